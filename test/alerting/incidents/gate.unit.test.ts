import { describe, expect, it } from 'vitest';
import { gateOf, judgeProof, windowToProve, type GateFacts } from '../../../src/alerting/incidents/gate.js';
import type { ReconciliationView } from '../../../src/monitoring/contract.js';

const NOON = Date.UTC(2026, 10, 27, 12);
const HOUR = 3_600_000;
const at = (hours: number): Date => new Date(NOON + hours * HOUR);
/** It began at noon and was mitigated at two. */
const startedAt = at(0);
const mitigatedAt = at(2);
const WINDOW = windowToProve({ startedAt, mitigatedAt }, at(3).getTime());

const run = (given: Partial<ReconciliationView>): ReconciliationView => ({
  id: '7',
  shop: 'acme',
  from: at(-4),
  to: at(2),
  why: 'on-demand',
  requestedBy: 'incident',
  state: 'complete',
  detail: null,
  notCovered: null,
  counts: { sold: 0, obligations: [] },
  gaps: [],
  requeued: 0,
  recovered: 0,
  open: 0,
  requestedAt: at(2),
  startedAt: at(2.1),
  listedAt: at(2.2),
  finishedAt: at(2.2),
  ...given,
});

describe('the window to be proved', () => {
  it('begins four hours before, as long as Shopify repeats what failed, and ends with mitigation', () => {
    expect(WINDOW).toEqual({ fromAt: at(-4), toAt: at(2) });
  });

  it('goes back no further than Shopify lists', () => {
    const nowMs = at(3).getTime();
    const { fromAt } = windowToProve({ startedAt: at(-24 * 100), mitigatedAt }, nowMs);
    expect(fromAt.getTime()).toBe(nowMs - 59 * 24 * HOUR);
  });
});

describe('a reconciliation', () => {
  it.each<[string, Partial<ReconciliationView>]>([
    ['that is complete over the window, begun after mitigation', {}],
    ['that is wider', { from: at(-10), to: at(2.5) }],
    ['that somebody else asked for', { requestedBy: 'ada', why: 'hourly' }],
    ['begun at the very instant of mitigation', { startedAt: at(2) }],
  ])('%s proves', (_what, given) => {
    expect(judgeProof(run(given), WINDOW, mitigatedAt, at(3).getTime())).toEqual({ proved: true });
  });

  it.each<[string, Partial<ReconciliationView>, string, boolean]>([
    ['begun before mitigation', { startedAt: at(1.99) }, 'begun before mitigation', true],
    ['that covers half of the window', { from: at(0) }, 'not all of', true],
    ['that ends before mitigation', { to: at(1.99) }, 'not all of', true],
    ['that does not cover what is behind the wall', { notCovered: 'before September' }, 'before September', true],
    ['with open gaps', { state: 'settling', open: 3 }, '3 orders of reconciliation 7 not recovered yet', false],
    ['that was complete, and of which something is open again', { open: 1 }, '1 order of', false],
    ['that is partial', { state: 'partial', detail: 'HTTP 503' }, 'is partial: HTTP 503', false],
    ['that is blind', { state: 'blind' }, 'is blind', false],
    ['that has come to nothing for six hours', { state: 'blind', requestedAt: at(-3) }, 'is blind', true],
    ['that failed', { state: 'failed', detail: 'no token' }, 'failed: no token', true],
    ['that failed just now', { state: 'failed', requestedAt: at(2.99) }, 'failed', false],
    ['that waits', { state: 'queued', startedAt: null }, 'is queued', false],
    ['that is running', { state: 'running' }, 'is running', false],
  ])('%s does not', (_what, given, missing, again) => {
    expect(judgeProof(run(given), WINDOW, mitigatedAt, at(3).getTime())).toMatchObject({
      proved: false,
      missing: expect.stringContaining(missing) as string,
      again,
    });
  });
});

const FACTS: GateFacts = {
  touchesOrders: true,
  alertsOpen: 0,
  mitigatedAt,
  resolvedAt: null,
  shops: 1,
  unproved: 0,
  waiting: [],
  open: 0,
};

describe('the gate', () => {
  it.each<[string, Partial<GateFacts>, number]>([
    ['proved', {}, 2.01],
    ['resolved', { resolvedAt: at(3), alertsOpen: 4 }, 3],
    ['of no orders, after a quarter of an hour', { touchesOrders: false, unproved: 1 }, 2.25],
    ['of orders of no shop, after a quarter of an hour', { shops: 0 }, 2.25],
  ])('of what is %s is open', (_what, given, hours) => {
    expect(gateOf({ ...FACTS, ...given }, at(hours).getTime())).toEqual([]);
  });

  it.each<[string, Partial<GateFacts>, number, string[]]>([
    ['of no orders, before', { touchesOrders: false }, 2.24, ['quiet until 14:15 UTC, 15 minutes after mitigation']],
    [
      'with open alerts',
      { alertsOpen: 2, mitigatedAt: null },
      1,
      ['2 of its alerts are open', 'a reconciliation begun after mitigation'],
    ],
    [
      'that nobody called mitigated',
      { touchesOrders: false, mitigatedAt: null },
      1,
      ['it is not mitigated: nobody has said that it goes on no more'],
    ],
    ['with orders on their way', { open: 1 }, 3, ['1 order of its time not recovered yet']],
    [
      'of seven shops, two of them proved',
      {
        shops: 9,
        unproved: 7,
        waiting: ['a', 'b', 'c', 'd', 'e', 'f'].map((shop) => ({
          shop,
          missing: shop === 'a' ? 'reconciliation 7 is blind' : null,
        })),
      },
      3,
      [
        'a: reconciliation 7 is blind',
        ...['b', 'c', 'd', 'e'].map((shop) => `${shop}: a reconciliation begun after mitigation is not asked for yet`),
        '2 more shops not proved yet',
      ],
    ],
  ])('%s is closed, and says why', (_what, given, hours, missing) => {
    expect(gateOf({ ...FACTS, ...given }, at(hours).getTime())).toEqual(missing);
  });
});
