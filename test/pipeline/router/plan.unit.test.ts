import { describe, expect, it } from 'vitest';
import type { DestinationKind, DestinationSettings, Kind, PipelineEvent } from '../../../src/pipeline/contract.js';
import {
  foldObligations,
  planObligation,
  withHistoryLeftOut,
  withImpliedEvents,
  withOrderLeftOut,
} from '../../../src/pipeline/router/plan.js';
import { destination, obligation, purchaseEvent } from '../../support/events.js';

const ALL: ReadonlySet<Kind> = new Set<Kind>([
  'purchase',
  'order-updated',
  'order-cancelled',
  'refund',
  'checkout-started',
  'customer-created',
]);

function withSettings(settings: Partial<DestinationSettings>, kind: 'ga4' | 'webhook' = 'webhook') {
  const base = destination({ kind });
  return { ...base, settings: { ...base.settings, ...settings } };
}

describe('what one event means for one destination', () => {
  const cases: {
    name: string;
    event: Partial<PipelineEvent>;
    settings?: Partial<DestinationSettings>;
    kind?: 'ga4' | 'webhook';
    state: string;
    reason: string | null;
  }[] = [
    { name: 'a paid order is queued', event: {}, state: 'queued', reason: null },
    {
      name: 'an unpaid order is expected until it is paid',
      event: { payment: 'unpaid' },
      state: 'expected',
      reason: 'awaiting-payment',
    },
    {
      name: 'an unpaid order is a purchase where the destination counts created ones',
      event: { payment: 'unpaid' },
      settings: { purchaseOn: 'created' },
      state: 'queued',
      reason: null,
    },
    { name: 'a free order counts when it is created', event: { payment: 'free' }, state: 'queued', reason: null },
    {
      name: 'an order cancelled before payment is left out with that reason',
      event: { payment: 'unpaid', cancelled: true },
      state: 'ignored',
      reason: 'cancelled-before-payment',
    },
    { name: 'a test order is left out and counted', event: { test: true }, state: 'ignored', reason: 'test-order' },
    {
      name: 'a test order is sent where the destination asks for them',
      event: { test: true },
      settings: { testOrders: true },
      state: 'queued',
      reason: null,
    },
    {
      name: 'an excluded channel is left out and counted',
      event: { channel: 'pos' },
      settings: { excludeChannels: ['pos'] },
      state: 'ignored',
      reason: 'channel-excluded',
    },
    {
      name: 'an order without consent is left out where consent is asked for',
      event: {},
      settings: { consentAttribute: 'consent' },
      state: 'ignored',
      reason: 'consent-missing',
    },
    {
      name: 'an order with consent goes on',
      event: { attributes: { consent: ' Yes ' } },
      settings: { consentAttribute: 'consent' },
      state: 'queued',
      reason: null,
    },
    {
      name: 'a refund is not judged by attributes it cannot have',
      event: { kind: 'refund' },
      settings: { consentAttribute: 'consent' },
      state: 'queued',
      reason: null,
    },
    {
      name: 'GA4 takes back nothing for an order that was never paid',
      event: { kind: 'order-cancelled', payment: 'unpaid', cancelled: true },
      kind: 'ga4',
      state: 'ignored',
      reason: 'cancelled-before-payment',
    },
    {
      name: 'GA4 does not take back twice what refunds/create reports',
      event: { kind: 'order-cancelled', hasRefunds: true },
      kind: 'ga4',
      state: 'ignored',
      reason: 'refund-reported-separately',
    },
    {
      name: 'GA4 takes back a paid order that was cancelled without a refund of its own',
      event: { kind: 'order-cancelled', hasRefunds: false },
      kind: 'ga4',
      state: 'queued',
      reason: null,
    },
  ];
  it.each(cases)('$name', ({ event, settings, kind, state, reason }) => {
    const plan = planObligation(purchaseEvent(event), withSettings(settings ?? {}, kind), ALL);
    expect(plan).toEqual({ state, reason });
  });

  it('parks what a disabled destination would get, and says why', () => {
    expect(planObligation(purchaseEvent(), destination({ enabled: false }), ALL)).toEqual({
      state: 'queued',
      reason: 'destination-disabled',
    });
  });

  it('makes no obligation for a kind the destination has no place for', () => {
    expect(planObligation(purchaseEvent({ kind: 'order-updated' }), destination(), new Set(['purchase']))).toBeNull();
  });

  it('lets a refund follow its order out', () => {
    const refund = obligation({ event: purchaseEvent({ kind: 'refund' }) });
    expect(withOrderLeftOut(refund, 'test-order').plan).toEqual({
      state: 'ignored',
      reason: 'order-left-out:test-order',
    });
    expect(withOrderLeftOut(refund, null)).toBe(refund);
  });

  it('knows from the cancellation of an unpaid order that its purchase will never come', () => {
    const cancelled = purchaseEvent({ kind: 'order-cancelled', payment: 'unpaid' });
    expect(withImpliedEvents([cancelled]).map((event) => [event.kind, event.cancelled])).toEqual([
      ['order-cancelled', false],
      ['purchase', true],
    ]);
    const paid = [purchaseEvent({ kind: 'order-cancelled' })];
    expect(withImpliedEvents(paid)).toBe(paid);
  });
});

describe('what was sold before the shop was connected', () => {
  const connectedAt = new Date('2026-11-23T00:00:00Z');
  const receivedAtMs = Date.parse('2026-11-23T01:00:00Z');
  const sold = (at: string) => purchaseEvent({ createdAt: at, occurredAt: at });
  const queued = { state: 'queued', reason: null } as const;

  it.each<[string, string, DestinationKind, 'http' | 'reconciliation', string]>([
    ['and is older than GA4 keeps dates', '2026-11-01T00:00:00.000Z', 'ga4', 'reconciliation', 'before-connection'],
    ['and is not so old', '2026-11-21T00:00:00.000Z', 'ga4', 'reconciliation', 'queued'],
    ['and goes to a warehouse', '2026-11-01T00:00:00.000Z', 'postgres', 'reconciliation', 'queued'],
    ['and is told by Shopify itself', '2026-11-01T00:00:00.000Z', 'ga4', 'http', 'queued'],
  ])('%s', (_, at, kind, source, expected) => {
    const plan = withHistoryLeftOut(queued, sold(at), destination({ kind }), connectedAt, { source, receivedAtMs });
    expect(plan.reason ?? plan.state).toBe(expected);
  });

  it('does not concern what was lost since, however late it is brought back', () => {
    const late = { source: 'reconciliation', receivedAtMs: Date.parse('2026-12-20T00:00:00Z') } as const;
    const plan = withHistoryLeftOut(
      queued,
      sold('2026-11-24T00:00:00.000Z'),
      destination({ kind: 'ga4' }),
      connectedAt,
      late,
    );
    expect(plan).toEqual(queued);
  });
});

describe('folding a batch', () => {
  it('orders rows as the database does, so that all who lock them do so in one order', () => {
    const one = (shopId: string, subjectId: string, kind: Kind, destinationId: number) =>
      obligation({ shopId, destinationId, event: purchaseEvent({ subjectId, kind }) });
    const ordered = [
      one('9', '71', 'purchase', 2),
      one('9', '71', 'purchase', 10),
      one('9', '71', 'order-updated', 1),
      one('9', '71', 'order-cancelled', 1),
      one('9', '8', 'purchase', 1),
      one('10', '1', 'purchase', 1),
    ];
    expect(foldObligations([...ordered].reverse())).toEqual(ordered);
  });

  it('keeps the newest version of one obligation, compared as numbers beyond 2^53', () => {
    const versions = ['9007199254740993', '9007199254740992', '99'];
    const folded = foldObligations(
      versions.map((version) => obligation({ event: purchaseEvent({ kind: 'order-updated', version }) })),
    );
    expect(folded.map((o) => o.event.version)).toEqual(['9007199254740993']);
  });

  it('prefers what is due over what is left out, and both over what is only expected', () => {
    const plan = (state: 'queued' | 'ignored' | 'expected') => obligation({ plan: { state, reason: null } });
    expect(foldObligations([plan('expected'), plan('queued'), plan('ignored')])[0]?.plan.state).toBe('queued');
    expect(foldObligations([plan('expected'), plan('ignored')])[0]?.plan.state).toBe('ignored');
  });

  it('keeps destinations, kinds, shops and subjects apart, in one order whatever order they came in', () => {
    const some = [
      obligation(),
      obligation({ destinationId: 2 }),
      obligation({ shopId: '2' }),
      obligation({ event: purchaseEvent({ kind: 'refund' }) }),
      obligation({ event: purchaseEvent({ subjectId: '7' }) }),
    ];
    expect(foldObligations(some)).toHaveLength(5);
    expect(foldObligations([...some].reverse())).toEqual(foldObligations(some));
  });
});
