import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Severity } from '../../../src/alerting/contract.js';
import {
  bodyOf,
  isPublic,
  nextUpdateAfterMs,
  titleOf,
  type News,
  type Told,
} from '../../../src/alerting/incidents/public-words.js';

const NOW = new Date('2026-11-27T12:00:00Z');
const NEXT = new Date('2026-11-27T12:30:00Z');
const TOLD: Told = {
  cause: 'removal',
  severity: 2,
  touchesOrders: true,
  shops: 1,
  lost: 0,
  unrecoverable: 0,
  recovered: 0,
  late: 0,
  queued: 0,
  declaredAt: NOW,
};
const say = (news: News, told: Partial<Told>): string =>
  bodyOf(news, { ...TOLD, ...told }, NOW, news.kind === 'resolved' ? null : NEXT);

describe('what the public is told', () => {
  it.each<[string, Partial<Told>, boolean]>([
    ['orders that may be missing', {}, true],
    ['a destination that takes nothing', { cause: 'destination:ga4' }, true],
    ['a small matter', { severity: 3 }, false],
    ['that nothing can be proved', { cause: 'proof', touchesOrders: false }, false],
    ['that our own pager is broken', { cause: 'telling', touchesOrders: false, severity: 1 }, false],
  ])('of %s is decided by whether a customer could notice', (_what, given, expected) => {
    expect(isPublic({ ...TOLD, ...given })).toBe(expected);
  });

  it.each<[News, Partial<Told>, string]>([
    [
      { kind: 'declared' },
      {},
      'New orders of 1 store reach their destinations late. What is not sent to us is read from the stores and brought in. Next update by 12:30 UTC.',
    ],
    [
      { kind: 'declared' },
      { cause: 'destination:ga4', queued: 42 },
      'Deliveries to Google Analytics 4 are delayed. Orders are held, not lost. Held, not lost: 42 orders queued. Next update by 12:30 UTC.',
    ],
    [
      { kind: 'scope' },
      { shops: 7, lost: 3 },
      '7 stores are affected by now. Being brought in: 3 orders. Next update by 12:30 UTC.',
    ],
    [
      { kind: 'mitigated' },
      { recovered: 2 },
      'New orders arrive as they should again. Every order of that time is now compared with what has arrived. Brought in so far: 2 orders. Next update by 12:30 UTC.',
    ],
    [
      { kind: 'still', mitigated: true, proved: 3, of: 5 },
      { shops: 5 },
      'It goes on no more; the comparison is under way, complete for 3 of 5 stores. Next update by 12:30 UTC.',
    ],
    [
      { kind: 'resolved', proofs: ['7'], notCompared: 0 },
      { recovered: 2, late: 1 },
      'Resolved. Proved at 12:00 UTC by reconciliation: every order of that time was compared with what has arrived. Data loss: none. 2 orders brought in afterwards. 1 order over 15 minutes late.',
    ],
    [
      { kind: 'resolved', proofs: ['7'], notCompared: 1 },
      { unrecoverable: 2, lost: 2 },
      'Resolved. Proved at 12:00 UTC by reconciliation: every order of that time was compared with what has arrived. 1 store could not be compared. It has removed the app since. Data loss: 2 orders could not be brought to every destination. No order was late.',
    ],
    [
      { kind: 'resolved', proofs: [], notCompared: 0 },
      { touchesOrders: false, cause: 'telling' },
      'Resolved. No orders were affected. Data loss: none.',
    ],
  ])('when %j of %j', (news, told, text) => {
    expect(say(news, told)).toBe(text);
  });

  const cause = fc.constantFrom(
    ...[
      'removal',
      'destination:ga4',
      'destination:unknown',
      'intake',
      'processing',
      'orders',
      'silence',
      'proof',
      'telling',
      'other:acme.myshopify.com',
      'declared',
    ],
  );
  const severity = fc.constantFrom<Severity[]>(1, 2, 3, 4);
  const told = fc.record<Told>({
    cause,
    severity,
    touchesOrders: fc.boolean(),
    shops: fc.nat(5_000),
    lost: fc.nat(50),
    unrecoverable: fc.nat(3),
    recovered: fc.nat(50),
    late: fc.nat(50),
    queued: fc.nat(50),
    declaredAt: fc.constant(NOW),
  });
  const news = fc.constantFrom<News[]>(
    { kind: 'declared' },
    { kind: 'reopened' },
    { kind: 'scope' },
    { kind: 'still', mitigated: false, proved: 0, of: 0 },
    { kind: 'still', mitigated: true, proved: 1, of: 2 },
    { kind: 'mitigated' },
    { kind: 'resolved', proofs: ['1'], notCompared: 0 },
  );

  it('always says when it is told again, until the end says what was lost', () => {
    fc.assert(
      fc.property(told, news, (given, what) => {
        const text = say(what, given);
        if (what.kind === 'resolved') expect(text).toMatch(/Data loss: (none|\d+ orders? could)/);
        else expect(text).toMatch(/ Next update by 12:30 UTC\.$/);
      }),
    );
  });

  it('names no shop, blames nobody, promises no end, and calls nothing an outage', () => {
    fc.assert(
      fc.property(told, news, (given, what) => {
        const text = `${titleOf(given.cause, given.shops)} ${say(what, given)}`;
        expect(text).not.toMatch(/myshopify|shopify|outage|because of|fault|will be (fixed|over|resolved)|ETA/i);
      }),
    );
  });

  it('comes at least as often the worse it is', () => {
    for (const ageMs of [0, 3 * 3_600_000]) {
      const pauses = ([1, 2, 3, 4] as const).map((each) => nextUpdateAfterMs(each, ageMs));
      expect(pauses).toEqual([...pauses].sort((one, other) => one - other));
    }
  });
});
