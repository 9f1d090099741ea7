import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  CATALOGUE,
  GROUP_WAIT_MS,
  NEVER_MUTED,
  isNeverMuted,
  ruleNamed,
  rulesFor,
  type AlertRule,
  type Fixture,
  type Seen,
} from '../../src/alerting/catalogue.js';
import { MUST_BE_WATCHED } from '../../src/alerting/rules/judges.js';
import { JUDGES, SIGNAL_KINDS, type SignalKind } from '../../src/monitoring/contract.js';

function seen(kind: SignalKind, fixture: Fixture): Seen {
  return {
    id: '1',
    kind,
    subject: 'acme.myshopify.com',
    shop: 'acme.myshopify.com',
    destination: null,
    destinationKind: 'ga4',
    world: 'real',
    facts: {},
    evidence: '/api/v1/signals',
    ...fixture,
  };
}

const signalled = CATALOGUE.filter((rule): rule is AlertRule & { kind: SignalKind } => rule.kind !== null);

it('declares an alert for every kind of signal, each under a name of its own', () => {
  expect(SIGNAL_KINDS.filter((kind) => !signalled.some((rule) => rule.kind === kind))).toEqual([]);
  expect(new Set(CATALOGUE.map(({ name }) => name)).size).toBe(CATALOGUE.length);
});

describe.each(CATALOGUE.map((rule) => [rule.name, rule] as const))('%s', (name, rule) => {
  it('has a runbook', () => {
    expect(existsSync(new URL(`../../runbooks/${rule.runbook}.md`, import.meta.url))).toBe(true);
  });

  it('has a signal that opens it, and one that does not where the kind has other alerts', () => {
    expect(rule.firing.length).toBeGreaterThan(0);
    const alike = CATALOGUE.filter(({ kind }) => kind === rule.kind);
    if (alike.length > 1) expect(rule.quiet.length).toBeGreaterThan(0);
    if (rule.kind === null) return;
    const { kind } = rule;
    for (const fixture of rule.firing) expect(rulesFor(seen(kind, fixture)).map((one) => one.name)).toContain(name);
    for (const fixture of rule.quiet) expect(rulesFor(seen(kind, fixture)).map((one) => one.name)).not.toContain(name);
  });

  it('says in one line what is so, under a key that names its cause and no instant', () => {
    if (rule.kind === null) return;
    for (const fixture of rule.firing) {
      const signal = seen(rule.kind, fixture);
      expect(rule.key(signal)).toMatch(/^[a-z]+:[^:]+:[a-z0-9-]+$/);
      expect(rule.key(signal).length).toBeLessThanOrEqual(255);
      expect(rule.key(signal)).not.toMatch(/\d{4}-\d\d|\d{10}/);
      const summary = rule.summary(signal);
      expect(summary).toMatch(/^[^\n]{10,1024}$/);
      expect(summary).not.toMatch(/undefined|null|NaN|\[object/);
      expect([1, 2, 3, 4]).toContain(rule.severity(signal));
    }
  });

  it('bears signals that lack every fact', () => {
    if (rule.kind === null) return;
    const bare = seen(rule.kind, { facts: {}, shop: null, subject: 'x' });
    expect(rule.summary(bare)).not.toMatch(/undefined|NaN|\[object/);
    expect(rule.key(bare)).toMatch(/^[a-z]+:[^:]+:[a-z0-9-]+$/);
  });

  it('speaks for many where it does', () => {
    if (rule.collapses) expect(rule.cause).not.toBeNull();
    if (rule.collapses || rule.gathers) {
      expect(rule.summaryOfMany?.({ signals: 12, shops: 7 }, { scope: 'ga4' })).toMatch(/7|12/);
    }
  });

  it('waits for the others where it can be folded or inhibited', () => {
    if (rule.collapses || rule.inhibitedBy.length > 0) expect(rule.forMs).toBeGreaterThanOrEqual(GROUP_WAIT_MS);
  });

  it('is inhibited only by alerts that there are, and that speak no later', () => {
    for (const { by } of rule.inhibitedBy) {
      const source = ruleNamed(by);
      expect(source?.name).toBe(by);
      expect(source?.forMs).toBeLessThanOrEqual(rule.forMs);
    }
  });
});

it('has no circle of alerts that make each other no news', () => {
  const reach = (name: string, path: readonly string[]): string[] =>
    path.includes(name)
      ? [[...path, name].join(' < ')]
      : (ruleNamed(name)?.inhibitedBy ?? []).flatMap(({ by }) => reach(by, [...path, name]));
  expect(CATALOGUE.flatMap(({ name }) => reach(name, []))).toEqual([]);
});

describe('invariant 9', () => {
  const never = CATALOGUE.filter(isNeverMuted);

  it('covers removals and missing orders, and nothing else', () => {
    expect([...NEVER_MUTED].sort()).toEqual(['order-missing', 'subscription-removed']);
    expect(never.map(({ name }) => name).sort()).toEqual(['orders-missing', 'subscription-removed']);
  });

  it.each(never)('$name pages at once, on a route where routine is not, folded and inhibited by nothing', (rule) => {
    const { forMs, inhibitedBy, collapses, gathers, route } = rule;
    expect({ forMs, inhibitedBy, collapses, gathers, class: rule.class }).toEqual({
      forMs: 0,
      inhibitedBy: [],
      collapses: false,
      gathers: false,
      class: 'page',
    });
    expect(route).not.toBe('routine');
  });

  it('leaves removals a route of their own', () => {
    expect(CATALOGUE.filter(({ route }) => route === 'removed').map(({ name }) => name)).toEqual([
      'subscription-removed',
    ]);
  });

  it('gives every shop and topic, and every shop and destination, a key of its own', () => {
    const key = (kind: SignalKind, fixture: Fixture) =>
      rulesFor(seen(kind, fixture)).map((rule) => rule.key(seen(kind, fixture)));
    const removals = ['orders/paid', 'orders/create'].flatMap((topic) =>
      ['a.myshopify.com', 'b.myshopify.com'].flatMap((shop) =>
        key('subscription-removed', { shop, subject: `${shop}/${topic}`, facts: { topic } }),
      ),
    );
    expect(new Set(removals).size).toBe(4);
    const missing = ['one', 'two'].flatMap((destination) =>
      ['a.myshopify.com', 'b.myshopify.com'].flatMap((shop) =>
        key('order-missing', { shop, destination, subject: `${shop}/${destination}`, facts: { orders: 1 } }),
      ),
    );
    expect(new Set(missing).size).toBe(4);
  });
});

describe('no data', () => {
  it.each(SIGNAL_KINDS)('of %s opens a page for the stalled watch exactly where an alert of it says so', (kind) => {
    const opens = signalled.some((rule) => rule.kind === kind && rule.noData === 'opens');
    expect(MUST_BE_WATCHED.has(kind)).toBe(opens);
    if (!opens) return;
    const stalled = seen('watch-stalled', { shop: null, subject: JUDGES[kind] ?? 'nobody looks', facts: {} });
    expect(rulesFor(stalled).map((rule) => [rule.name, rule.class])).toEqual([['watch-stalled', 'page']]);
  });
});

/** Severities are computed, never debated: facts and the number of shops with one cause decide. */
describe('severity', () => {
  const of = (kind: SignalKind, fixture: Fixture): number[] =>
    rulesFor(seen(kind, fixture)).map((rule) => rule.severity(seen(kind, fixture)));

  it.each<[string, SignalKind, Fixture, number]>([
    ['nine orders that can be brought in', 'order-missing', { facts: { orders: 9, givenUp: 0 } }, 2],
    ['ten orders', 'order-missing', { facts: { orders: 10, givenUp: 0 } }, 1],
    ['one order that cannot be brought in', 'order-missing', { facts: { orders: 1, givenUp: 1 } }, 1],
    ['a removed subscription', 'subscription-removed', { facts: { topic: 'orders/paid' } }, 2],
    ['three failures in a row', 'subscription-countdown', { facts: { failuresInRow: 3 } }, 4],
    ['four failures in a row', 'subscription-countdown', { facts: { failuresInRow: 4 } }, 2],
    ['six failures in a row', 'subscription-countdown', { facts: { failuresInRow: 6 } }, 1],
    ['nothing from any shop', 'store-silent', { shop: null, facts: { nothingArrives: true } }, 1],
    ['5 % of answers failed', 'intake-failing', { shop: null, facts: { percentAtLeast: 5 } }, 1],
    ['1 % of answers failed', 'intake-failing', { shop: null, facts: { percentAtLeast: 1 } }, 2],
    ['5 % of orders late', 'orders-late', { shop: null, facts: { latePercentAtLeast: 5 } }, 1],
    ['a fast burn', 'slo-burn', { shop: null, facts: { class: 'page', severity: 1 } }, 1],
    ['a slow burn', 'slo-burn', { shop: null, facts: { class: 'page', severity: 2 } }, 2],
    ['a worker of three gone', 'workers-missing', { shop: null, facts: { missing: 1, alive: 2 } }, 3],
    ['two workers of three gone', 'workers-missing', { shop: null, facts: { missing: 2, alive: 1 } }, 2],
  ])('of %s', (_, kind, fixture, severity) => {
    expect(of(kind, fixture)).toEqual([severity]);
  });

  it('of removals is the worst from three shops on', () => {
    const floors = [1, 2, 3, 100].map((shops) => ruleNamed('subscription-removed')?.severityOfMany?.(shops));
    expect(floors).toEqual([null, null, 1, 1]);
  });
});
