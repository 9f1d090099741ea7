import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { InboxEntry, PipelineEvent, Reading } from '../../../src/pipeline/contract.js';
import { TOPICS_WITH_EFFECT, readWebhook } from '../../../src/pipeline/event/read-webhook.js';
import { entryOf } from './entry.js';
import { API_VERSIONS, officialSamples } from './official-samples.js';

function eventsOf(reading: Reading): readonly PipelineEvent[] {
  if (reading.outcome !== 'event') throw new Error(`expected events, got ${JSON.stringify(reading)}`);
  return reading.events;
}

function eventOf(topic: string, body: unknown, over: Partial<InboxEntry> = {}): PipelineEvent {
  const [event] = eventsOf(readWebhook(entryOf(topic, body, over)));
  if (event === undefined) throw new Error('no event');
  return event;
}

const order = {
  id: 6123456789014,
  name: '#1001',
  currency: 'CAD',
  created_at: '2026-11-22T20:30:00-05:00',
  updated_at: '2026-11-23T01:02:03.123456Z',
  financial_status: 'paid',
  total_price: '25.00',
  line_items: [{ id: 1, product_id: 8000000000001, title: 'Tee', quantity: 2, price: '12.50' }],
};

describe('when it is due', () => {
  const triggeredAt = '2026-11-23T01:02:04.5Z';

  it('is when its webhook was triggered, and when it arrived where the webhook does not say', () => {
    expect(eventOf('orders/paid', order, { triggeredAt }).dueAt).toBe('2026-11-23T01:02:04.500Z');
    expect(eventOf('orders/paid', order).dueAt).toBe('2026-11-23T08:00:00.000Z');
  });

  it.each(['fetch', 'reconciliation'] as const)('is when the order was last changed, where it came by %s', (source) => {
    expect(eventOf('orders/paid', order, { source, triggeredAt }).dueAt).toBe('2026-11-23T01:02:03.123Z');
  });

  it('is when a refund was made, which never changes, where it was fetched', () => {
    const refund = { id: 890088186047, order_id: 6123456789014, created_at: '2026-11-22T20:30:00-05:00' };
    expect(eventOf('refunds/create', refund, { source: 'reconciliation' }).dueAt).toBe('2026-11-23T01:30:00.000Z');
  });

  it('knows when the order was sold, in UTC', () => {
    expect(eventOf('orders/paid', order).createdAt).toBe('2026-11-23T01:30:00.000Z');
  });
});

describe('official samples', () => {
  it.each(API_VERSIONS)('reads every topic of API version %s: an event, no effect, never unknown', (version) => {
    for (const { topic, body } of officialSamples(version)) {
      const reading = readWebhook(entryOf(topic, body));
      const effect = TOPICS_WITH_EFFECT.includes(topic);
      expect({ topic, outcome: reading.outcome }).toEqual({ topic, outcome: effect ? 'event' : 'no-effect' });
    }
  });

  const shared = join('..', 'shared', 'data', 'shopify', 'webhooks', '2026-07');
  it.skipIf(!existsSync(shared))('keeps the ids of the repaired samples to the last digit (shared data)', () => {
    const body = (name: string): Buffer => readFileSync(join(shared, name));
    expect(eventOf('orders/create', body('orders_create.json'))).toMatchObject({
      subjectId: '820982911946154508',
      payment: 'unpaid',
      cancelled: true,
      test: true,
      total: { shop: { amount: '404.95', currency: 'USD' } },
      customer: { id: '115310627314723954', returning: null },
    });
    expect(eventOf('refunds/create', body('refunds_create.json'))).toMatchObject({
      subjectId: '890088186047892319',
      orderId: '820982911946154508',
      total: { shop: { amount: '85.00', currency: 'USD' } },
      tax: { shop: { amount: '0.00' } },
    });
    expect(eventOf('checkouts/create', body('checkouts_create.json'))).toMatchObject({
      subjectId: '123123123',
      kind: 'checkout-started',
      total: { presentment: { amount: '421.88', currency: 'USD' } },
    });
    expect(eventOf('customers/create', body('customers_create.json'))).toMatchObject({
      subjectId: '706405506930370084',
      customer: { email: 'bob@biller.com', returning: null },
    });
  });

  for (const folder of ['orders', 'generated']) {
    const directory = join('..', 'shared', 'data', 'shopify', folder);
    it.skipIf(!existsSync(directory))(`reads every shared order of ${folder}/ under every order topic`, () => {
      const files = readdirSync(directory).filter((name) => name.startsWith('order_'));
      expect(files.length).toBeGreaterThan(5);
      for (const name of files) {
        const body = readFileSync(join(directory, name));
        for (const topic of ['orders/create', 'orders/paid', 'orders/updated', 'orders/cancelled']) {
          const event = eventOf(topic, body);
          expect(event.subjectId, name).toMatch(/^\d{5,20}$/);
          expect(event.total?.shop.amount, name).toMatch(/^\d+\.\d\d$/);
          expect(event.lines.length, name).toBeGreaterThan(0);
        }
      }
    });
  }
});

describe('orders', () => {
  it.each([
    ['orders/create', 'paid', '25.00', 'paid'],
    ['orders/create', 'partially_refunded', '25.00', 'paid'],
    ['orders/create', 'refunded', '25.00', 'paid'],
    ['orders/create', 'pending', '25.00', 'unpaid'],
    ['orders/create', 'authorized', '25.00', 'unpaid'],
    ['orders/create', 'partially_paid', '25.00', 'unpaid'],
    ['orders/create', 'pending', '0.00', 'free'],
    ['orders/paid', 'pending', '25.00', 'paid'],
  ])('%s with %s and a total of %s is a purchase whose payment is %s', (topic, status, total, payment) => {
    const event = eventOf(topic, { ...order, financial_status: status, total_price: total });
    expect(event).toMatchObject({ kind: 'purchase', payment, version: '0', orderId: '6123456789014' });
  });

  it('sees in a paid orders/updated the purchase as well, and in an unpaid one only the update', () => {
    const kinds = (body: unknown): string[] =>
      eventsOf(readWebhook(entryOf('orders/updated', body))).map((event) => event.kind);
    expect(kinds(order)).toEqual(['order-updated', 'purchase']);
    expect(kinds({ ...order, financial_status: 'pending' })).toEqual(['order-updated']);
  });

  it('reads the same purchase from orders/create, orders/paid and orders/updated', () => {
    const purchases = ['orders/create', 'orders/paid', 'orders/updated'].map((topic) => {
      const found = eventsOf(readWebhook(entryOf(topic, order))).find((event) => event.kind === 'purchase');
      return { ...found, topic: '' };
    });
    expect(purchases[1]).toEqual(purchases[0]);
    expect(purchases[2]).toEqual(purchases[0]);
  });

  it('versions an update by the microseconds of updated_at, then triggeredAt, then arrival', () => {
    expect(eventOf('orders/updated', order).version).toBe('1795395723123456');
    const without = { ...order, updated_at: null };
    const triggered = { triggeredAt: '2026-11-23T01:02:04.000000001Z' };
    expect(eventOf('orders/updated', without, triggered).version).toBe('1795395724000000');
    expect(eventOf('orders/updated', without).version).toBe('1795420800000000');
  });

  it('orders two updates of one second by their fraction', () => {
    const at = (text: string): bigint => BigInt(eventOf('orders/updated', { ...order, updated_at: text }).version);
    expect(at('2026-11-23T01:02:03.000002Z') > at('2026-11-23T01:02:03.000001Z')).toBe(true);
    expect(at('2026-11-23T01:02:03Z')).toBe(at('2026-11-22T20:02:03-05:00'));
  });

  it('keeps an order in the ledger under the UTC day it was created', () => {
    expect(eventOf('orders/paid', order).ledgerDay).toBe('2026-11-23');
    expect(eventOf('orders/paid', { ...order, created_at: undefined }).ledgerDay).toBe('1970-01-01');
  });

  it('reads a cancellation as a full refund at the time of the cancellation', () => {
    expect(eventOf('orders/cancelled', { ...order, cancelled_at: '2026-11-24T00:00:00+01:00' })).toMatchObject({
      kind: 'order-cancelled',
      occurredAt: '2026-11-23T23:00:00.000Z',
      cancelled: true,
      isFullRefund: true,
    });
  });

  it('keeps both views of the money, and labels a plain amount with its true currency', () => {
    const set = {
      shop_money: { amount: '25.00', currency_code: 'CAD' },
      presentment_money: { amount: '16.70', currency_code: 'EUR' },
    };
    expect(eventOf('orders/paid', { ...order, total_price_set: set }).total).toEqual({
      shop: { amount: '25.00', currency: 'CAD' },
      presentment: { amount: '16.70', currency: 'EUR' },
    });
    expect(eventOf('orders/paid', { ...order, presentment_currency: 'EUR' }).total?.presentment.currency).toBe('CAD');
    const checkout = { token: 't', currency: 'CAD', presentment_currency: 'EUR', total_price: '16.70' };
    expect(eventOf('checkouts/create', checkout).total?.shop).toEqual({ amount: '16.70', currency: 'EUR' });
  });

  it("takes a line's discount from its allocations, and from total_discount without any", () => {
    const line = { ...order.line_items[0], total_discount: '1.00' };
    const discount = (extra: object): string | undefined =>
      eventOf('orders/paid', { ...order, line_items: [{ ...line, ...extra }] }).lines[0]?.discount.shop.amount;
    expect(discount({})).toBe('1.00');
    expect(discount({ discount_allocations: [{ amount: '0.10' }, { amount: '0.20' }] })).toBe('0.30');
  });

  it('says whether the customer returns only when the body does', () => {
    const returning = (customer: unknown): unknown =>
      eventOf('orders/paid', { ...order, customer }).customer?.returning;
    expect(returning({ id: 5, orders_count: 3 })).toBe(true);
    expect(returning({ id: 5, orders_count: 1 })).toBe(false);
    expect(returning({ id: 5 })).toBeNull();
    expect(returning(null)).toBeUndefined();
  });
});

describe('refunds', () => {
  const refund = {
    id: 9,
    order_id: 6123456789014,
    created_at: '2026-11-23T01:00:00Z',
    refund_line_items: [
      {
        quantity: 1,
        subtotal: 11.25,
        total_tax: 1.1,
        subtotal_set: { shop_money: { amount: '11.25', currency_code: 'CAD' }, presentment_money: { amount: '7.50', currency_code: 'EUR' } },
        total_tax_set: { shop_money: { amount: '1.10', currency_code: 'CAD' }, presentment_money: { amount: '0.73', currency_code: 'EUR' } },
        line_item: {
          id: 1,
          quantity: 2,
          title: 'Tee',
          price_set: { shop_money: { amount: '12.50', currency_code: 'CAD' }, presentment_money: { amount: '8.35', currency_code: 'EUR' } },
        },
      },
    ],
  }; // prettier-ignore

  it('takes the amount from successful refund transactions, and the other currency from the lines', () => {
    const transactions = [
      { kind: 'refund', status: 'success', amount: '8.00', currency: 'EUR' },
      { kind: 'refund', status: 'failure', amount: '99.00', currency: 'EUR' },
      { kind: 'void', status: 'success', amount: '99.00', currency: 'EUR' },
    ];
    expect(eventOf('refunds/create', { ...refund, transactions }).total).toEqual({
      shop: { amount: '12.35', currency: 'CAD' },
      presentment: { amount: '8.00', currency: 'EUR' },
    });
  });

  it('takes the amount from the lines when no transaction gave money back', () => {
    expect(eventOf('refunds/create', refund).total).toEqual({
      shop: { amount: '12.35', currency: 'CAD' },
      presentment: { amount: '8.23', currency: 'EUR' },
    });
  });

  it('lists the refunded quantity, with the discount that explains the refunded subtotal', () => {
    const event = eventOf('refunds/create', refund);
    expect(event.isFullRefund).toBe(false);
    expect(event.lines[0]).toMatchObject({ quantity: 1, discount: { shop: { amount: '1.25' } } });
  });

  it('needs the order it belongs to', () => {
    expect(readWebhook(entryOf('refunds/create', { id: 9, note: 'x' }))).toMatchObject({ reason: 'no-id' });
  });
});

describe('bodies that are not what they should be', () => {
  it.each([
    ['{', 'not-json'],
    ['', 'not-json'],
    ['<html>', 'not-json'],
    ['[]', 'not-an-object'],
    ['null', 'not-an-object'],
    ['"order"', 'not-an-object'],
    ['{}', 'no-id'],
    ['{"id": null, "total_price": "1.00"}', 'no-id'],
    ['{"id": {"a": 1}, "total_price": "1.00"}', 'wrong-type:id'],
    ['{"id": -4, "total_price": "1.00"}', 'wrong-type:id'],
    ['{"id": 1, "line_items": "none"}', 'wrong-type:line_items'],
    ['{"id": 1, "line_items": [null]}', 'wrong-type:line_items[0]'],
    ['{"id": 1, "line_items": [{"quantity": 1.5}]}', 'wrong-type:line_items[0].quantity'],
    ['{"id": 1, "total_price": "ten"}', 'wrong-type:total_price'],
    ['{"id": 1, "total_price_set": {"shop_money": {"amount": []}}}', 'wrong-type:total_price_set.shop_money.amount'],
    ['{"id": 1, "customer": "Bob"}', 'wrong-type:customer'],
    ['{"id": 1, "customer": {"id": []}}', 'wrong-type:customer.id'],
    [
      '{"id": 1, "line_items": [{}, {"discount_allocations": [{}, {"amount_set": {"shop_money": {"amount": "x"}}}]}]}',
      'wrong-type:line_items[1].discount_allocations[1].amount_set.shop_money.amount',
    ],
  ])('%s is unmappable: %s', (body, reason) => {
    const reading = readWebhook(entryOf('orders/paid', body));
    expect(reading).toMatchObject({ outcome: 'unmappable', reason });
  });

  it('does not quote the body in the detail of a JSON fault', () => {
    const reading = readWebhook(entryOf('orders/paid', '{"email": "ann@example.com" "x"}'));
    expect(JSON.stringify(reading)).not.toContain('ann');
  });

  it.each([['{"id": 820982911946154508}'], ['{"id": "gid://shopify/Order/820982911946154508"}']])(
    'takes %s for a request to fetch it',
    (body) => {
      expect(readWebhook(entryOf('orders/create', body))).toEqual({ outcome: 'fetch', id: '820982911946154508' });
    },
  );

  it('does not fetch for a topic without effect', () => {
    expect(readWebhook(entryOf('orders/delete', { id: 1 }))).toEqual({ outcome: 'no-effect', reason: 'order-deleted' });
  });

  it('calls a topic nobody documented unknown', () => {
    expect(readWebhook(entryOf('orders/teleported', order))).toEqual({ outcome: 'unknown-topic' });
  });

  it('falls back to the global id', () => {
    const event = eventOf('orders/paid', { ...order, id: null, admin_graphql_api_id: 'gid://shopify/Order/7' });
    expect(event.subjectId).toBe('7');
  });

  it('reads an order of nothing but nulls around its id', () => {
    const nulls = Object.fromEntries(
      [...Object.keys(order), 'customer', 'note_attributes', 'test'].map((k) => [k, null]),
    );
    expect(eventOf('orders/create', { ...nulls, id: 5 })).toMatchObject({
      subjectId: '5',
      total: null,
      lines: [],
      customer: null,
      payment: 'unpaid',
      occurredAt: '2026-11-23T08:00:00.000Z',
    });
  });

  it('keeps control characters and emoji as they are', () => {
    const title = 'Tee \u0000\u0007 👕 \u{1F9F5} "quoted" \ud800';
    const event = eventOf('orders/paid', { ...order, line_items: [{ ...order.line_items[0], title }] });
    expect(event.lines[0]?.title).toBe(title);
  });

  it('never throws, whatever the bytes and whatever the topic', () => {
    const anything = fc.record(
      {
        id: fc.oneof(fc.integer({ min: 1 }), fc.jsonValue()),
        line_items: fc.oneof(
          fc.array(fc.dictionary(fc.constantFrom('price', 'quantity', 'id'), fc.jsonValue())),
          fc.jsonValue(),
        ),
        customer: fc.jsonValue(),
        total_price: fc.jsonValue(),
        note_attributes: fc.jsonValue(),
        landing_site: fc.jsonValue(),
        updated_at: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.constantFrom(...TOPICS_WITH_EFFECT, 'x'), fc.oneof(anything, fc.jsonValue()), (topic, body) => {
        const reading = readWebhook(entryOf(topic, JSON.stringify(body)));
        expect(reading).not.toMatchObject({ reason: 'unreadable' });
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(readWebhook(entryOf('orders/create', Buffer.from(bytes))).outcome).not.toBe('event');
      }),
    );
  });

  it('is pure: the same bytes read the same again', () => {
    expect(readWebhook(entryOf('orders/updated', order))).toEqual(readWebhook(entryOf('orders/updated', order)));
  });
});
