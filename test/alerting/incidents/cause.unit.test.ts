import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CATALOGUE } from '../../../src/alerting/catalogue.js';
import {
  FAMILY_OF,
  beganAt,
  causeOf,
  componentsOf,
  isRoot,
  placeOf,
  touchesOrders,
  type OpenIncident,
  type PlacedAlert,
} from '../../../src/alerting/incidents/cause.js';

const NOON = Date.UTC(2026, 10, 27, 12);
const MINUTE = 60_000;
const at = (minutes: number): Date => new Date(NOON + minutes * MINUTE);

describe('an alert is put down to', () => {
  it.each([
    ['subscription-removed', null, 'removal', true],
    ['subscription-countdown', null, 'removal', true],
    ['orders-missing', 'ga4', 'orders', true],
    ['throughput-burn-fast', null, 'orders', true],
    ['fleet-silent', null, 'silence', true],
    ['inbox-gap', null, 'intake', true],
    ['watch-stalled', null, 'proof', false],
    ['store-silent', null, 'silence', true],
    ['destination-refusing', 'ga4', 'destination:ga4', true],
    ['destination-refusing', null, 'destination:unknown', true],
    ['intake-slow', null, 'intake', true],
    ['queue-old', null, 'processing', true],
    ['workers-missing', null, 'processing', true],
    ['reconciliation-stale', null, 'proof', false],
    ['notifier-failing', null, 'telling', false],
    ['something-from-outside', null, 'other:something-from-outside', false],
  ])('%s at %s: %s', (name, kind, cause, orders) => {
    expect(causeOf({ name }, kind)).toBe(cause);
    expect(touchesOrders(cause)).toBe(orders);
  });

  it.each([
    ['removal', {}, null, ['intake']],
    ['destination:ga4', {}, 'ga4', ['delivery:ga4']],
    ['orders', { stages: ['logged'] }, 'ga4', ['intake']],
    ['orders', { stages: ['processed', 'received'] }, 'ga4', ['processing', 'delivery:ga4']],
    ['orders', {}, null, ['processing']],
    ['proof', {}, null, ['reconciliation']],
    ['telling', {}, null, []],
  ])('%s with %j is seen in its components', (cause, facts, kind, components) => {
    expect(componentsOf(cause, facts, kind)).toEqual(components);
  });

  it('a family that somebody has chosen, for every alert that can page', () => {
    const pages = CATALOGUE.filter((rule) => rule.class === 'page').map(({ name }) => name);
    expect(pages.filter((name) => FAMILY_OF[name] === undefined)).toEqual([]);
    expect(Object.keys(FAMILY_OF).filter((name) => !CATALOGUE.some((rule) => rule.name === name))).toEqual([]);
  });

  it('a beginning that its facts know, which is never after it was first seen', () => {
    expect(beganAt({ facts: { oldestSoldAt: at(-30).toISOString() }, firstSeenAt: at(0) })).toEqual(at(-30));
    expect(beganAt({ facts: { lastSeenAt: at(5).toISOString() }, firstSeenAt: at(0) })).toEqual(at(0));
    expect(beganAt({ facts: { lastSeenAt: 'yesterday' }, firstSeenAt: at(0) })).toEqual(at(0));
    expect(beganAt({ facts: { oldestSoldAt: '2020-01-01T00:00:00Z' }, firstSeenAt: at(0) })).toEqual(at(-59 * 1440));
  });
});

const alert = (given: Partial<PlacedAlert>): PlacedAlert => ({
  world: 'real',
  cause: 'removal',
  shops: ['acme'],
  beganAt: at(0),
  at: at(0),
  ...given,
});
const incident = (given: Partial<OpenIncident>): OpenIncident => ({
  id: 'one',
  world: 'real',
  cause: 'removal',
  shops: new Set(['acme']),
  startedAt: at(-30),
  joinedAt: at(-20),
  mitigatedAt: null,
  ...given,
});

describe('an alert joins', () => {
  it.each<[string, Partial<PlacedAlert>, Partial<OpenIncident>, string | null]>([
    ['a removal of the same wave, although no shop is in both', { shops: ['other'] }, {}, 'removal'],
    ['no removal of long ago with which it shares no shop', { shops: ['other'] }, { joinedAt: at(-61) }, null],
    ['a removal of long ago with which it shares a shop', {}, { joinedAt: at(-600), startedAt: at(-600) }, 'removal'],
    ['nothing of the other world', { world: 'sandbox' }, {}, null],
    ['what was mitigated within the hour', {}, { mitigatedAt: at(-59) }, 'removal'],
    ['nothing that was mitigated before', {}, { mitigatedAt: at(-61) }, null],
    [
      'the outage of the same kind of destination',
      { cause: 'destination:ga4' },
      { cause: 'destination:ga4' },
      'destination:ga4',
    ],
    ['no outage of another kind', { cause: 'destination:ga4' }, { cause: 'destination:segment' }, null],
    ['the removal that explains missing orders', { cause: 'orders', beganAt: at(-25) }, {}, 'removal'],
    ['the removal whose lost retries explain missing orders', { cause: 'orders', beganAt: at(-260) }, {}, 'removal'],
    ['no removal that came long after the orders were sold', { cause: 'orders', beganAt: at(-280) }, {}, null],
    ['no removal of other shops', { cause: 'orders', shops: ['other'] }, {}, null],
    [
      'the removal in whose time the order was sold, hours after mitigation: its proof found it',
      { cause: 'orders', beganAt: at(-500), at: at(0) },
      { startedAt: at(-600), mitigatedAt: at(-400) },
      'removal',
    ],
    [
      'no removal that was over for long when the order was sold',
      { cause: 'orders', beganAt: at(-10) },
      { startedAt: at(-600), mitigatedAt: at(-400) },
      null,
    ],
    ['the missing orders that it explains, and is their cause', { beganAt: at(-40) }, { cause: 'orders' }, 'removal'],
    ['no missing orders of before it began', { beganAt: at(300), at: at(300) }, { cause: 'orders' }, null],
    ['the silence of the shop that lacks orders', { cause: 'orders' }, { cause: 'silence' }, 'silence'],
    ['other missing orders, whatever the shop', { cause: 'orders', shops: ['other'] }, { cause: 'orders' }, 'orders'],
    ['no other root', { cause: 'destination:ga4' }, {}, null],
    ['nothing that touches no orders', { cause: 'orders' }, { cause: 'proof' }, null],
    ['nothing that a person has declared', {}, { cause: 'declared' }, null],
  ])('%s', (_words, given, open, cause) => {
    expect(placeOf(alert(given), [incident(open)])).toEqual(cause === null ? null : { id: 'one', cause });
  });

  it('the incident of its own cause before a root, a root before a symptom, and of two the older', () => {
    const removal = incident({ id: 'removal' });
    const outage = incident({ id: 'outage', cause: 'destination:ga4', startedAt: at(-50) });
    const silence = incident({ id: 'silence', cause: 'silence', startedAt: at(-90) });
    const missing = incident({ id: 'missing', cause: 'orders', startedAt: at(-10) });
    const orders = alert({ cause: 'orders', beganAt: at(-20) });
    expect(placeOf(orders, [removal, outage, silence, missing])?.id).toBe('missing');
    expect(placeOf(orders, [removal, outage, silence])?.id).toBe('outage');
    expect(placeOf(orders, [silence])?.id).toBe('silence');
  });

  const cause = fc.constantFrom('removal', 'destination:ga4', 'intake', 'orders', 'silence', 'proof', 'other:x');
  const world = fc.constantFrom<('real' | 'sandbox')[]>('real', 'sandbox');
  const shops = fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 });
  const minutes = fc.integer({ min: -600, max: 600 });

  it('no incident of another world, and never makes a symptom the cause of a root', () => {
    fc.assert(
      fc.property(cause, cause, world, world, shops, shops, minutes, minutes, (one, other, w1, w2, s1, s2, m1, m2) => {
        const place = placeOf(alert({ cause: one, world: w1, shops: s1, beganAt: at(m1), at: at(Math.max(m1, 0)) }), [
          incident({ cause: other, world: w2, shops: new Set(s2), startedAt: at(m2) }),
        ]);
        if (place === null) return;
        expect(w1).toBe(w2);
        expect([one, other]).toContain(place.cause);
        if (isRoot(other)) expect(place.cause).toBe(other);
      }),
    );
  });
});
