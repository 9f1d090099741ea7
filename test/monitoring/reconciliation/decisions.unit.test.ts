import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isOwed, judge } from '../../../src/monitoring/reconciliation/compare.js';
import type { Gap } from '../../../src/monitoring/reconciliation/gap-store.js';
import {
  factsOf,
  listedOrderOf,
  UnreadableNode,
  type ListedOrder,
} from '../../../src/monitoring/reconciliation/listed-order.js';
import { misreadSearch, searchOf } from '../../../src/monitoring/reconciliation/page-listing.js';
import { addCounts } from '../../../src/monitoring/reconciliation/reconciler.js';
import { nextStep } from '../../../src/monitoring/reconciliation/recover.js';
import { requeueItems } from '../../../src/monitoring/reconciliation/recovery.js';
import {
  EVERY_MS,
  LAG_MS,
  OVERLAP_MS,
  nextTurnMs,
  nextWindow,
  turnOffsetMs,
} from '../../../src/monitoring/reconciliation/window.js';
import type { Exception, Standing, State, Trace } from '../../../src/pipeline/contract.js';
import { destination } from '../../support/events.js';

const NOON = Date.UTC(2026, 10, 27, 12);
const MINUTE = 60_000;
const at = (minutes: number): Date => new Date(NOON + minutes * MINUTE);

function order(overrides: Partial<ListedOrder> = {}): ListedOrder {
  return {
    orderId: '6001',
    createdAt: at(-30),
    updatedAt: at(-29),
    cancelledAt: null,
    payment: 'paid',
    test: false,
    channel: 'web',
    refunds: [],
    ...overrides,
  };
}

const FACT = { shopId: '1', subjectId: '6001', orderId: '6001', kind: 'purchase', ledgerDay: '2026-11-27' } as const;

function standing(state: State, overrides: Partial<Standing> = {}): Standing {
  return {
    ...FACT,
    destinationId: 1,
    state,
    reason: null,
    version: '0',
    attempts: 1,
    occurredAt: at(-30),
    dueAt: at(-29),
    loggedAt: at(-29),
    queuedAt: at(-29),
    acceptedAt: state === 'accepted' || state === 'confirmed' ? at(-28) : null,
    confirmedAt: state === 'confirmed' ? at(-27) : null,
    updatedAt: at(-28),
    inQueue: state === 'queued',
    ...overrides,
  };
}

const exception = (known: Standing | null): Exception => ({ fact: FACT, destinationId: 1, standing: known });
const trace = (place: Trace['place'], reason: string | null = null): Trace => ({
  shopId: '1',
  subjectId: '6001',
  place,
  reason,
  at: at(-29),
});

describe('what an exception means', () => {
  const requeue = { outcome: 'gap', then: 'requeue' };
  it.each<[string, Partial<ListedOrder>, Standing | null, Trace | null, object]>([
    ['sold, and nothing here knows of it', {}, null, null, { ...requeue, stage: 'logged', cause: 'not-received' }],
    ['free, and nothing here knows of it', { payment: 'free' }, null, null, { ...requeue, stage: 'logged' }],
    ['not paid, and nothing here knows of it', { payment: 'unpaid' }, null, null, { outcome: 'fine' }],
    [
      'stored, and no obligation came of it',
      {},
      null,
      trace('webhook'),
      { ...requeue, stage: 'processed', cause: 'no-obligation' },
    ],
    ['held', {}, null, trace('held', 'no-token'), { ...requeue, stage: 'processed', cause: 'held: no-token' }],
    [
      'not readable',
      {},
      null,
      trace('dead-letter', 'not-json'),
      { ...requeue, stage: 'processed', cause: 'dead-letter: not-json' },
    ],
    [
      'paid at Shopify, awaiting payment here',
      {},
      standing('expected'),
      null,
      { ...requeue, stage: 'logged', cause: 'payment-not-received' },
    ],
    ['not paid, and waiting for that', { payment: 'unpaid' }, standing('expected'), null, { outcome: 'fine' }],
    ['in delivery', {}, standing('queued'), null, { outcome: 'waiting' }],
    [
      'queued, and its delivery is gone',
      {},
      standing('queued', { inQueue: false }),
      null,
      { ...requeue, stage: 'accepted', cause: 'delivery-gone' },
    ],
    [
      'buried',
      {},
      standing('failed', { reason: 'http-400' }),
      null,
      { outcome: 'gap', stage: 'accepted', cause: 'dead-letter: http-400', then: 'dead' },
    ],
    [
      'nobody can tell, and it is buried for a person to decide',
      {},
      standing('unconfirmable', { reason: 'ambiguous-not-repeatable' }),
      null,
      { outcome: 'gap', stage: 'received', cause: 'dead-letter: ambiguous-not-repeatable', then: 'dead' },
    ],
    [
      'found missing by reading back',
      {},
      standing('missing', { reason: 'absent' }),
      null,
      { ...requeue, stage: 'received', cause: 'absent' },
    ],
    ['left out with its reason', {}, standing('ignored', { reason: 'test-order' }), null, { outcome: 'fine' }],
    ['accepted', {}, standing('accepted'), null, { outcome: 'fine' }],
  ])('%s', (_, listed, known, told, verdict) => {
    expect(judge(order(listed), exception(known), destination(), told)).toMatchObject(verdict);
  });

  it('an unpaid order is due where purchases count when they are created', () => {
    const eager = destination({ settings: { ...destination().settings, purchaseOn: 'created' } });
    expect(judge(order({ payment: 'unpaid' }), exception(null), eager, null)).toMatchObject({ outcome: 'gap' });
  });

  it('a destination that was linked later is owed what was sold since, and one that was always linked everything', () => {
    const links = [
      { destinationId: 1, linkedAt: null },
      { destinationId: 2, linkedAt: at(-10) },
    ];
    const shop = { links, connectedAt: at(-60) };
    expect([
      isOwed(shop, 1, at(-90)),
      isOwed(shop, 2, at(-20)),
      isOwed(shop, 2, at(-5)),
      isOwed(shop, 3, at(0)),
    ]).toEqual([true, false, true, false]);
  });
});

function gap(overrides: Partial<Gap> = {}): Gap {
  return {
    ...FACT,
    id: '9',
    destinationId: 1,
    soldAt: at(-30),
    stage: 'logged',
    cause: 'not-received',
    state: 'open',
    reason: null,
    foundAt: at(-5),
    requeues: 0,
    requeuedAt: null,
    nextLookAt: at(0),
    closedAt: null,
    ...overrides,
  };
}

const requeued = (minutes: number, overrides: Partial<Gap> = {}): Gap =>
  gap({ state: 'requeued', requeues: 1, requeuedAt: at(minutes), ...overrides });

describe('what an open gap needs', () => {
  it.each<[string, Gap, Standing | null, boolean, object]>([
    ['not asked for yet', gap(), null, false, { step: 'requeue' }],
    ['asked for a moment ago', requeued(-1), null, false, { step: 'wait' }],
    ['asked for, and nothing came of it', requeued(-3), null, false, { step: 'requeue' }],
    ['asked for three times', requeued(-3, { requeues: 3 }), null, false, { step: 'close', state: 'dead' }],
    ['on its way, for however long', requeued(-300), standing('queued'), false, { step: 'wait' }],
    ['there', requeued(-1), standing('accepted'), false, { step: 'close', state: 'recovered' }],
    [
      'left out',
      requeued(-1),
      standing('ignored', { reason: 'test-order' }),
      false,
      { step: 'close', state: 'excluded', reason: 'test-order' },
    ],
    [
      'refused since',
      requeued(-30),
      standing('failed', { reason: 'http-400', updatedAt: at(-20) }),
      false,
      { step: 'close', state: 'dead', reason: 'http-400' },
    ],
    [
      'it had failed before it was asked for',
      requeued(-1),
      standing('failed', { updatedAt: at(-20) }),
      false,
      { step: 'wait' },
    ],
    [
      'lost after a 2xx of before',
      gap({ stage: 'received' }),
      standing('accepted', { acceptedAt: at(-28) }),
      true,
      { step: 'wait' },
    ],
    [
      'taken again, and not proved',
      requeued(-2, { stage: 'received' }),
      standing('accepted', { acceptedAt: at(-1) }),
      true,
      { step: 'wait' },
    ],
    [
      'taken again, where nobody can prove it',
      requeued(-2, { stage: 'received' }),
      standing('accepted', { acceptedAt: at(-1) }),
      false,
      { step: 'close', state: 'recovered' },
    ],
    [
      'taken again, and read back',
      requeued(-2, { stage: 'received' }),
      standing('confirmed', { acceptedAt: at(-1), confirmedAt: at(0) }),
      true,
      { step: 'close', state: 'recovered' },
    ],
  ])('%s', (_, open, known, canConfirm, step) => {
    expect(nextStep(open, known, canConfirm, NOON)).toMatchObject(step);
  });

  it('says by how much one comes too late for its date', () => {
    const late = standing('accepted', { occurredAt: at(-80 * 60), acceptedAt: at(0) });
    expect(nextStep(requeued(-1), late, false, NOON)).toMatchObject({ reason: '80 hours after it happened' });
  });

  it('looks less often the longer it takes, and at least every five minutes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100_000 }), (minutes) => {
        const step = nextStep(requeued(-minutes), standing('queued'), false, NOON);
        const waitMs = step.step === 'wait' ? step.untilAt.getTime() - NOON : NaN;
        expect(waitMs).toBeGreaterThanOrEqual(3_000);
        expect(waitMs).toBeLessThanOrEqual(5 * MINUTE);
      }),
    );
  });

  it('is filled by the webhook of its own fact, for its own destination, once an attempt', () => {
    const webhooks = [
      { topic: 'orders/paid', subjectId: '6001', body: Buffer.from('paid') },
      { topic: 'orders/updated', subjectId: '6001', body: Buffer.from('paid') },
      { topic: 'refunds/create', subjectId: '77', body: Buffer.from('refund') },
    ];
    const gaps = [
      gap({ id: '1' }),
      gap({ id: '2', destinationId: 2, requeues: 1 }),
      gap({ id: '3', kind: 'refund', subjectId: '77' }),
      gap({ id: '4', kind: 'refund', subjectId: '78' }),
    ];
    expect(
      requeueItems({ orderId: '6001', webhooks }, gaps).map(({ topic, key, destinationId }) => [
        topic,
        key,
        destinationId,
      ]),
    ).toEqual([
      ['orders/paid', '1-1', 1],
      ['orders/paid', '2-2', 2],
      ['refunds/create', '3-1', 1],
    ]);
  });
});

describe('the windows of scheduled runs', () => {
  it('leave no instant out, whatever the pauses between them', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 50 * 24 * 60 }), { minLength: 2, maxLength: 20 }), (pauses) => {
        let nowMs = NOON;
        let untilAt: Date | null = null;
        for (const pause of pauses) {
          const window = nextWindow(untilAt, nowMs);
          expect(window.toAt.getTime()).toBe(nowMs - LAG_MS);
          if (untilAt) expect(window.fromAt.getTime()).toBeLessThanOrEqual(untilAt.getTime() - 0);
          if (untilAt) expect(untilAt.getTime() - window.fromAt.getTime()).toBeLessThanOrEqual(OVERLAP_MS + LAG_MS);
          untilAt = window.toAt;
          nowMs += pause * MINUTE;
        }
      }),
    );
  });

  it('begin at the wall the first time', () => {
    const { fromAt, why } = nextWindow(null, NOON);
    expect(why).toBe('first');
    expect((NOON - fromAt.getTime()) / 86_400_000).toBe(59);
  });

  it('are spread over the hour, each shop at the same minute of every hour', () => {
    const minutes = Array.from({ length: 600 }, (_, i) => Math.floor(turnOffsetMs(String(i + 1)) / MINUTE / 10));
    for (let part = 0; part < 6; part++) {
      expect(minutes.filter((minute) => minute === part).length).toBeGreaterThan(60);
    }
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 10n ** 15n }), fc.integer({ min: 0, max: 10 ** 9 }), (id, afterMs) => {
        const turnMs = nextTurnMs(String(id), NOON + afterMs);
        expect(turnMs).toBeGreaterThan(NOON + afterMs);
        expect(turnMs - (NOON + afterMs)).toBeLessThanOrEqual(EVERY_MS);
        expect(nextTurnMs(String(id), turnMs) - turnMs).toBe(EVERY_MS);
      }),
    );
  });
});

describe('a search', () => {
  it('names its zone', () => {
    expect(searchOf(at(0), at(60))).toBe(
      "updated_at:>='2026-11-27T12:00:00.000Z' AND updated_at:<'2026-11-27T13:00:00.000Z'",
    );
  });

  it('that Shopify misread proves nothing', () => {
    expect(misreadSearch({ search: [{ warnings: [{ field: 'updatedat', message: 'Invalid search field' }] }] })).toBe(
      'Shopify misread the search: updatedat: Invalid search field',
    );
    expect(misreadSearch({ search: [{ parsed: {} }], cost: {} })).toBeNull();
    expect(misreadSearch(undefined)).toBeNull();
  });
});

describe('an order that Shopify lists', () => {
  const node = {
    id: 'gid://shopify/Order/9223372036854775001',
    createdAt: '2026-11-27T23:59:59Z',
    updatedAt: '2026-11-28T00:10:00Z',
    cancelledAt: null,
    test: false,
    displayFinancialStatus: 'PARTIALLY_REFUNDED',
    sourceName: 'web',
    totalPriceSet: { shopMoney: { amount: '12.00' } },
    refunds: [{ id: 'gid://shopify/Refund/77', legacyResourceId: '77', createdAt: '2026-11-28T00:09:00Z' }],
  };

  it('is owed with each of its facts, on the day that the ledger keeps it under', () => {
    const listed = listedOrderOf({ ...node, cancelledAt: '2026-11-28T00:10:00Z' });
    expect(listed).toMatchObject({ orderId: '9223372036854775001', payment: 'paid' });
    expect(factsOf('1', listed).map(({ kind, subjectId, ledgerDay }) => [kind, subjectId, ledgerDay])).toEqual([
      ['purchase', '9223372036854775001', '2026-11-27'],
      ['order-cancelled', '9223372036854775001', '2026-11-27'],
      ['refund', '77', '2026-11-28'],
    ]);
  });

  it.each([
    ['PAID', '1.00', 'paid'],
    ['PENDING', '1.00', 'unpaid'],
    ['AUTHORIZED', '1.00', 'unpaid'],
    ['PENDING', '0.00', 'free'],
    ['REFUNDED', '1.00', 'paid'],
    [null, '1.00', 'unpaid'],
  ])('with the status %s and a total of %s is %s', (displayFinancialStatus, amount, payment) => {
    expect(listedOrderOf({ ...node, displayFinancialStatus, totalPriceSet: { shopMoney: { amount } } }).payment).toBe(
      payment,
    );
  });

  it('without an id or an instant is refused, never guessed', () => {
    expect(() => listedOrderOf({ ...node, id: null })).toThrow(UnreadableNode);
    expect(() => listedOrderOf({ ...node, updatedAt: 'yesterday' })).toThrow(UnreadableNode);
    expect(() => listedOrderOf({ ...node, refunds: [{ createdAt: 'x' }] })).toThrow(UnreadableNode);
  });
});

describe('counts', () => {
  it('of steps add up, whatever the order of the steps', () => {
    const count = fc.record({
      destinationId: fc.integer({ min: 1, max: 2 }),
      kind: fc.constantFrom('purchase' as const, 'refund' as const),
      state: fc.constantFrom('accepted' as const, 'absent' as const),
      count: fc.integer({ min: 1, max: 9 }),
    });
    fc.assert(
      fc.property(fc.array(count), fc.array(count), (one, other) => {
        const total = (sums: readonly { count: number }[]): number => sums.reduce((sum, each) => sum + each.count, 0);
        const both = addCounts(one, other);
        expect(total(both)).toBe(total(one) + total(other));
        const key = (each: (typeof both)[number]): string => JSON.stringify(each);
        expect(both.map(key).sort()).toEqual(addCounts(other, one).map(key).sort());
      }),
    );
  });
});
