import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Severity } from '../../../src/alerting/contract.js';
import { severityOf, type Stakes } from '../../../src/alerting/incidents/severity.js';

const HOUR = 3_600_000;
const CALM: Stakes = {
  alerts: null,
  removedShops: 0,
  shopsConnected: 100,
  lost: 0,
  unrecoverable: 0,
  late: 0,
  lostShare: null,
  lateShare: null,
  openMs: 0,
  sinceGrowthMs: null,
};

describe('the severity', () => {
  it.each<[string, Partial<Stakes>, Severity]>([
    ['one order nobody can bring back', { lost: 1, unrecoverable: 1 }, 1],
    ['ten missing orders', { lost: 10 }, 1],
    ['nine missing orders', { lost: 9 }, 2],
    ['three missing orders of under 3,000 in the hour', { lost: 3, lostShare: 3 / 2_999 }, 1],
    ['two missing orders of ten: too few for a share', { lost: 2, lostShare: 0.2 }, 2],
    ['subscriptions of three shops removed', { removedShops: 3 }, 1],
    ['subscriptions of one shop removed', { removedShops: 1 }, 2],
    ['subscriptions of both of two shops removed', { removedShops: 2, shopsConnected: 2 }, 1],
    ['the only shop removed', { removedShops: 1, shopsConnected: 1 }, 2],
    ['six of a hundred orders late', { late: 6, lateShare: 0.06 }, 1],
    ['two of a hundred orders late: too few', { late: 2, lateShare: 0.02 }, 4],
    ['20 of 1,000 orders late', { late: 20, lateShare: 0.02 }, 2],
    ['6 of 1,000 orders late', { late: 6, lateShare: 0.006 }, 3],
    ['4 of 1,000 orders late', { late: 4, lateShare: 0.004 }, 4],
    ['late orders of an unknown many', { late: 400, lateShare: null }, 4],
    ['an alert of severity 2', { alerts: 2 }, 2],
    ['nothing', {}, 4],
  ])('of %s is right', (_what, stakes, severity) => {
    expect(severityOf({ severity: 4, reason: 'so far' }, { ...CALM, ...stakes }).severity).toBe(severity);
  });

  it.each<[string, Severity, Partial<Stakes>, Severity]>([
    ['3 for four hours stays', 3, { openMs: 4 * HOUR }, 3],
    ['3 for longer becomes 2', 3, { openMs: 4 * HOUR + 1 }, 2],
    ['3 for longer, mitigated, stays', 3, { openMs: null }, 3],
    ['2 for over two hours with a growing loss becomes 1', 2, { openMs: 2 * HOUR + 1, sinceGrowthMs: HOUR }, 1],
    ['2 for over two hours stays while the loss does not grow', 2, { openMs: 9 * HOUR, sinceGrowthMs: HOUR + 1 }, 2],
    ['2 for over two hours without a loss stays', 2, { openMs: 9 * HOUR }, 2],
  ])('of %s', (_what, severity, stakes, expected) => {
    expect(severityOf({ severity, reason: 'so far' }, { ...CALM, ...stakes }).severity).toBe(expected);
  });

  const severity = fc.constantFrom<Severity[]>(1, 2, 3, 4);
  const count = fc.nat(50);
  const stakes = fc.record<Stakes>({
    alerts: fc.option(severity),
    removedShops: count,
    shopsConnected: count,
    lost: count,
    unrecoverable: count,
    late: count,
    lostShare: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
    lateShare: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
    openMs: fc.option(fc.nat(20 * HOUR)),
    sinceGrowthMs: fc.option(fc.nat(20 * HOUR)),
  });

  it('is never lowered, and keeps its reason while it stays', () => {
    fc.assert(
      fc.property(severity, stakes, (before, given) => {
        const after = severityOf({ severity: before, reason: 'so far' }, given);
        expect(after.severity).toBeLessThanOrEqual(before);
        if (after.severity === before) expect(after.reason).toBe('so far');
        else expect(after.reason).not.toBe('so far');
      }),
    );
  });

  it('is no better for more lost orders', () => {
    fc.assert(
      fc.property(stakes, count, (given, more) => {
        const now = { severity: 4 as const, reason: 'so far' };
        const one = severityOf(now, given).severity;
        expect(severityOf(now, { ...given, lost: given.lost + more }).severity).toBeLessThanOrEqual(one);
      }),
    );
  });
});
