import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { KIND_CODES, type Kind, type PipelineEvent } from '../../../src/pipeline/contract.js';
import type { DeliveryItem, Formatted } from '../../../src/pipeline/destinations/adapter.js';
import { readWebhook } from '../../../src/pipeline/event/read-webhook.js';
import { createAdapters } from '../../../src/pipeline/destinations/registry.js';
import { signStandardWebhook, signingKey } from '../../../src/pipeline/destinations/standard-webhook.js';
import { entryOf } from '../event/entry.js';
import { API_VERSIONS, officialSamples } from '../event/official-samples.js';
import { destinationOf, itemOf, itemWith, orderBody } from './items.js';

const clock = new ManualClock(Date.parse('2026-11-23T10:00:00Z'));
const adapters = createAdapters({ clock, allowPrivateAddresses: [], log: silentLogger });
afterAll(async () => {
  for (const adapter of adapters.values()) await adapter.close();
});

const OWN = {
  ga4: { measurementId: 'G-TEST', apiSecret: 's3cret' },
  segment: { writeKey: 'k3y' },
  postgres: { url: 'postgres://u:pw@h/db' },
  webhook: { url: 'https://example.com/in', secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' },
};
type Name = keyof typeof OWN;
const KINDS = Object.keys(KIND_CODES) as Kind[];

function adapterOf(name: Name) {
  const adapter = adapters.get(name);
  if (adapter === undefined) throw new Error(`no adapter for ${name}`);
  return adapter;
}

function format(name: Name, item = itemOf('purchase'), own: object = {}, over = {}): Formatted {
  return adapterOf(name).format(item, destinationOf(name, { ...OWN[name], ...own }, over));
}

function requestOf(formatted: Formatted): unknown {
  if (!formatted.ok) throw new Error(`${formatted.reason}: ${formatted.detail}`);
  return formatted.request;
}

type FormatArguments = Parameters<typeof format> extends [Name, ...infer Rest] ? Rest : never;

interface Ga4Body {
  client_id: string;
  timestamp_micros: number;
  events: [{ name: string; params: Record<string, unknown> & { items?: Record<string, unknown>[] } }];
}

interface SegmentBody extends Record<string, unknown> {
  properties: Record<string, unknown> & { products: Record<string, unknown>[] };
}

function ga4(...args: FormatArguments): Ga4Body {
  return JSON.parse((requestOf(format('ga4', ...args)) as { body: string }).body) as Ga4Body;
}

function segment(...args: FormatArguments): SegmentBody {
  return JSON.parse((requestOf(format('segment', ...args)) as { message: string }).message) as SegmentBody;
}

describe('GA4 format', () => {
  it('writes a purchase with goods as its value, discounted prices and the browser’s session', () => {
    const item = itemOf('purchase');
    expect(ga4(item)).toEqual({
      client_id: '1234567890.1700000000',
      timestamp_micros: Date.parse('2026-11-23T07:00:00Z') * 1000,
      events: [
        {
          name: 'purchase',
          params: {
            transaction_id: '450789469',
            event_id: item.eventId,
            currency: 'CAD',
            value: 47.5,
            tax: 4.2,
            shipping: 5,
            coupon: 'SUMMER',
            session_id: '1764250000',
            engagement_time_msec: 1,
            items: [
              {
                item_id: 'TEE-M',
                item_name: 'Tee',
                item_variant: 'M',
                item_brand: 'Acme',
                price: 17.5,
                discount: 2.5,
                quantity: 2,
                index: 0,
              },
              { item_id: '921728736', item_name: 'Blue mug', price: 12.5, quantity: 1, index: 1 },
            ],
          },
        },
      ],
    });
  });

  it('uses the money the destination chose, for every amount', () => {
    const { params } = ga4(itemOf('purchase'), {}, { money: 'presentment' }).events[0];
    expect(params).toMatchObject({ currency: 'EUR', value: 31.6, tax: 2.8, shipping: 3.4 });
  });

  it('says of a client id of its own that it is one, and attributes by the landing page instead', () => {
    const { client_id, events } = ga4(itemOf('purchase', 5, { note_attributes: [] }));
    expect(client_id).toMatch(/^\d+\.\d+$/);
    expect(events[0].params).toMatchObject({
      client_id_source: 'synthetic',
      source: 'google',
      medium: 'cpc',
      campaign: 'sale',
    });
    expect(events[0].params).not.toHaveProperty('session_id');
  });

  it('says whether the customer is new or returning when that is known', () => {
    const type = (orders_count?: number): unknown =>
      ga4(itemOf('purchase', 5, { customer: { id: 7, orders_count } })).events[0].params['customer_type'];
    expect([type(1), type(2), type()]).toEqual(['new', 'returning', undefined]);
  });

  it('writes a refund with its items, and a cancelled order as a refund without any', () => {
    const refund = ga4(itemOf('refund', 9)).events[0];
    expect(refund).toMatchObject({ name: 'refund', params: { transaction_id: '450789469', value: 17.5 } });
    expect(refund.params.items).toMatchObject([{ item_id: 'TEE-M', quantity: 1, price: 17.5 }]);
    const cancelled = ga4(itemOf('order-cancelled')).events[0];
    expect(cancelled).toMatchObject({ name: 'refund', params: { transaction_id: '450789469', value: 47.5 } });
    expect(cancelled.params).not.toHaveProperty('items');
  });

  it('writes begin_checkout without a transaction', () => {
    const { name, params } = ga4(itemOf('checkout-started')).events[0];
    expect(name).toBe('begin_checkout');
    expect(params).toMatchObject({ currency: 'CAD', value: 47.5 });
    expect(params).not.toHaveProperty('transaction_id');
  });

  it('takes the order name for the transaction when the shop’s pixel does, and refuses where it is not known', () => {
    const own = { transactionId: 'order-name' };
    expect(ga4(itemOf('purchase'), own).events[0].params['transaction_id']).toBe('#450789469');
    expect(format('ga4', itemOf('refund', 9), own)).toMatchObject({ ok: false, reason: 'no-order-name' });
  });

  it('refuses a transaction id that GA4 would drop, and cuts names that may be cut', () => {
    const own = { transactionId: 'order-name' };
    const long = itemOf('purchase', 5, { name: `#${'9'.repeat(100)}` });
    expect(format('ga4', long, own)).toMatchObject({ ok: false, lane: 'ours', reason: 'too-long:transaction_id' });
    const lines = [{ title: '👕'.repeat(60), sku: 'x'.repeat(300), quantity: 1, price: '1.00' }];
    const [line] = ga4(itemOf('purchase', 5, { line_items: lines })).events[0].params.items ?? [];
    expect(line).toMatchObject({ item_name: '👕'.repeat(50), item_id: 'x'.repeat(100) });
  });

  it('keeps a large order under 130 kB, whole in value, and says how many items it left out', () => {
    const lines = Array.from({ length: 300 }, (_, index) => ({
      title: `${'long '.repeat(18)}${index}`, vendor: 'v'.repeat(100), variant_title: '✂'.repeat(100), sku: `sku${index}`, quantity: 1, price: '0.10',
    })); // prettier-ignore
    const formatted = format('ga4', itemOf('purchase', 5, { line_items: lines }));
    const { params } = ga4(itemOf('purchase', 5, { line_items: lines })).events[0];
    expect(formatted.ok && formatted.bytes).toBeLessThan(130_000);
    expect(params['value']).toBe(30);
    expect(params['items_omitted']).toBe(300 - (params.items?.length ?? 0));
    expect(params.items?.length).toBeLessThanOrEqual(200);
  });

  it('asks the customer for a currency when nobody names one', () => {
    const nameless = itemOf('purchase', 5, {
      currency: null,
      total_price_set: null,
      subtotal_price_set: null,
      line_items: [],
    });
    expect(format('ga4', nameless)).toMatchObject({ ok: false, lane: 'theirs', reason: 'no-currency' });
    const shop = { ...nameless.shop, settings: { currency: 'CAD' } };
    expect(ga4({ ...nameless, shop }).events[0].params['currency']).toBe('CAD');
  });

  it('does not take the kinds GA4 has no event for', () => {
    expect([...adapterOf('ga4').kinds].sort()).toEqual(['checkout-started', 'order-cancelled', 'purchase', 'refund']);
    expect(format('ga4', itemOf('order-updated'))).toMatchObject({ ok: false, reason: 'kind-not-supported' });
  });

  it('stays within GA4’s names and limits for every official sample', () => {
    for (const item of officialItems()) {
      if (!adapterOf('ga4').kinds.has(item.event.kind)) continue;
      const { events } = ga4(item);
      const { params } = events[0];
      const names = [
        events[0].name,
        ...Object.keys(params),
        ...(params.items ?? []).flatMap((entry) => Object.keys(entry)),
      ];
      expect(names.every((name) => /^[A-Za-z][A-Za-z0-9_]{0,39}$/.test(name))).toBe(true);
      expect(Object.keys(params).length).toBeLessThanOrEqual(25);
      const values = [params, ...(params.items ?? [])]
        .flatMap((entry) => Object.values(entry))
        .filter((v) => typeof v === 'string');
      expect(values.every((value) => String(value).length <= 100)).toBe(true);
    }
  });
});

describe('Segment format', () => {
  it('writes Order Completed after the e-commerce spec', () => {
    const item = itemOf('purchase');
    expect(segment(item)).toEqual({
      type: 'track',
      event: 'Order Completed',
      messageId: item.eventId,
      userId: '706405506930370',
      anonymousId: '1234567890.1700000000',
      timestamp: '2026-11-23T07:00:00.000Z',
      context: { library: { name: 'plumbline' }, campaign: { name: 'sale', source: 'google', medium: 'cpc' } },
      properties: {
        checkout_id: 'c0ffee',
        order_id: '450789469',
        affiliation: 'acme.myshopify.com',
        subtotal: 47.5,
        total: 56.7,
        revenue: 47.5,
        shipping: 5,
        tax: 4.2,
        discount: 5,
        coupon: 'SUMMER',
        currency: 'CAD',
        products: [
          { product_id: '632910392', sku: 'TEE-M', name: 'Tee', brand: 'Acme', variant: 'M', price: 20, quantity: 2, position: 1 },
          { product_id: '921728736', name: 'Blue mug', price: 12.5, quantity: 1, position: 2 },
        ],
      },
    }); // prettier-ignore
  });

  it.each([
    ['order-updated', 'Order Updated', { order_id: '450789469', total: 56.7, revenue: 47.5 }],
    ['order-cancelled', 'Order Cancelled', { order_id: '450789469', total: 56.7 }],
    ['refund', 'Order Refunded', { order_id: '450789469', refund_id: '450789469', total: 18.9, currency: 'CAD' }],
    ['checkout-started', 'Checkout Started', { checkout_id: 't450789469', value: 56.7, revenue: 47.5 }],
  ] as const)('writes %s as %s', (kind, event, properties) => {
    expect(segment(itemOf(kind))).toMatchObject({ type: 'track', event, properties });
  });

  it('identifies a new customer', () => {
    expect(segment(itemOf('customer-created', 7))).toMatchObject({
      type: 'identify',
      userId: '7',
      traits: { email: 'ann@example.com', firstName: 'Ann', createdAt: '2026-11-23T07:00:00.000Z' },
    });
  });

  it('names somebody in every event, a guest by the browser', () => {
    const guest = segment(itemOf('purchase', 5, { customer: null, note_attributes: [] }));
    expect(guest).not.toHaveProperty('userId');
    expect(guest['anonymousId']).toMatch(/^\d+\.\d+$/);
  });

  it('drops what describes products before it gives an event up as larger than 32 KB', () => {
    const lines = (count: number): object[] =>
      Array.from({ length: count }, (_, index) => ({ ...(orderBody(1)['line_items'] as object[])[0], id: index + 1 }));
    const large = segment(itemOf('purchase', 5, { line_items: lines(300) }));
    expect(large.properties.products).toHaveLength(300);
    expect(large.properties.products[0]).toEqual({ product_id: '632910392', sku: 'TEE-M', price: 20, quantity: 2 });
    expect(large.properties['revenue']).toBe(35 * 300);
    const huge = format('segment', itemOf('purchase', 5, { line_items: lines(1000) }));
    expect(huge).toMatchObject({ ok: false, lane: 'ours', reason: 'too-large' });
  });
});

describe('warehouse and webhook record', () => {
  it('has exactly the fixed fields', () => {
    const record = JSON.parse(requestOf(format('webhook')) as string) as Record<string, unknown>;
    expect(record).toMatchObject({
      shop_domain: 'acme.myshopify.com', subject_id: '450789469', kind: 'purchase', order_id: '450789469',
      event_id: itemOf('purchase').eventId, occurred_at: '2026-11-23T07:00:00.000Z', currency: 'CAD', value: '56.70',
    }); // prettier-ignore
    const fixed = [
      'shop_domain',
      'subject_id',
      'kind',
      'event_id',
      'order_id',
      'occurred_at',
      'currency',
      'value',
      'payload',
    ];
    expect(Object.keys(record)).toEqual(fixed);
    expect(Object.keys(requestOf(format('postgres')) as object)).toEqual(fixed);
  });

  it('keeps the body losslessly and the browser’s ids to itself', () => {
    const item = itemOf('purchase', '820982911946154508');
    const record = JSON.parse(requestOf(format('webhook', item)) as string) as { payload: Record<string, unknown> };
    expect(record.payload).toMatchObject({ money: 'shop', shopify: { id: '820982911946154508' } });
    expect(record.payload).not.toHaveProperty('browser');
  });

  it('replaces what PostgreSQL cannot store by U+FFFD, in the warehouse only', () => {
    const item = itemOf('purchase', 5, { note: 'a\u0000b\ud800c\\u0000 👕', name: '\\\u0000' });
    const row = requestOf(format('postgres', item)) as { payload: string };
    expect(JSON.parse(row.payload)).toMatchObject({
      order_name: '\\\ufffd',
      shopify: { note: 'a\ufffdb\ufffdc\\u0000 👕' },
    });
    const sent = JSON.parse(requestOf(format('webhook', item)) as string) as { payload: { shopify: { note: string } } };
    expect(sent.payload.shopify.note).toBe('a\u0000b\ud800c\\u0000 👕');
  });
});

describe('records of a body as Shopify escapes it', () => {
  // Every form of an escape, whole and half pairs, and digits beyond 2^53 in a text that is not what we would write.
  const text = String.raw`{"id": 820982911946154508, "note":"\u0026 \ud83d\udc55 \udc55\ud83d \u0000 \\ud83d \\\ud83d 👕 \/", "total_price":"1.00"}`;
  const reading = readWebhook(entryOf('orders/paid', text));
  if (reading.outcome !== 'event') throw new Error(reading.outcome);
  const item = { ...itemOf('purchase', 5), event: reading.events[0] as PipelineEvent };
  const note = String.raw`& 👕 ` + '\udc55\ud83d \u0000 ' + String.raw`\ud83d ` + '\\\ud83d 👕 /';

  it('webhook: says what JSON.parse would have read', () => {
    const sent = JSON.parse(requestOf(format('webhook', item)) as string) as { payload: { shopify: object } };
    expect(sent.payload.shopify).toEqual({ id: '820982911946154508', note, total_price: '1.00' });
  });

  it('postgres: the same, with U+FFFD for what cannot be stored', () => {
    const row = requestOf(format('postgres', item)) as { payload: string };
    expect(JSON.parse(row.payload)).toMatchObject({
      shopify: { id: '820982911946154508', note: note.replaceAll('\u0000', '\ufffd').toWellFormed() },
    });
  });
});

describe('every format', () => {
  it.each(['ga4', 'segment', 'postgres', 'webhook'] as const)(
    '%s takes every official sample of every API version',
    (name) => {
      const items = officialItems();
      expect(items.length).toBeGreaterThan(80);
      for (const item of items) {
        if (!adapterOf(name).kinds.has(item.event.kind)) continue;
        expect(format(name, item)).toMatchObject({ ok: true });
      }
    },
  );

  it.each(['ga4', 'segment', 'postgres', 'webhook'] as const)('%s formats the same event the same, twice', (name) => {
    for (const kind of KINDS) expect(format(name, itemOf(kind))).toEqual(format(name, itemOf(kind)));
  });

  const shared = join('..', 'shared', 'data', 'shopify');
  it.skipIf(!existsSync(shared))('takes every shared order, the 300-line one included', () => {
    for (const folder of ['orders', 'generated']) {
      for (const file of readdirSync(join(shared, folder)).filter((found) => found.startsWith('order_'))) {
        const reading = readWebhook(entryOf('orders/paid', readFileSync(join(shared, folder, file))));
        if (reading.outcome !== 'event') throw new Error(file);
        for (const name of Object.keys(OWN) as Name[]) {
          for (const event of reading.events)
            expect(format(name, itemWith(event)), `${name} ${file}`).toMatchObject({ ok: true });
        }
      }
    }
  });
});

describe('settings', () => {
  it.each([
    ['ga4', {}, ['measurementId', 'apiSecret']],
    ['ga4', { ...OWN.ga4, region: 'us', transactionId: 'x' }, ['region', 'transactionId']],
    [
      'ga4',
      { ...OWN.ga4, propertyId: 'G-1', serviceAccount: 'reader@example.com', dataEndpoint: 'x', settlingHours: 0 },
      ['propertyId', 'serviceAccount', 'dataEndpoint', 'settlingHours'],
    ],
    [
      'segment',
      { ...OWN.segment, publicToken: '', sourceId: '', publicEndpoint: 'x', settlingMinutes: -1 },
      ['publicToken', 'sourceId', 'publicEndpoint', 'settlingMinutes'],
    ],
    ['segment', { writeKey: '', endpoint: 'ftp://x', writeKy: 1 }, ['writeKey', 'endpoint', 'writeKy']],
    ['postgres', { url: 'mysql://x', table: 'x; drop table y' }, ['url', 'table']],
    ['webhook', { url: 'https://u:p@x/', secret: 'whsec_!' }, ['url', 'secret']],
    [
      'webhook',
      { ...OWN.webhook, headers: { 'Webhook-Id': 'x', 'x-a': 'b\r\nc', '': 'x' } },
      ['headers.Webhook-Id', 'headers.x-a', 'headers.'],
    ],
  ] as const)('of %s name each fault: %j', (name, own, keys) => {
    expect(
      adapterOf(name)
        .checkSettings(own)
        .map(({ key }) => key),
    ).toEqual(keys);
  });

  it.each(Object.entries(OWN))('of %s are fine as documented, and every secret is named', (name, own) => {
    const adapter = adapterOf(name as Name);
    expect(adapter.checkSettings(own)).toEqual([]);
    const optional = ['headers', 'serviceAccount', 'publicToken'];
    expect(adapter.secretKeys.every((key) => key in own || optional.includes(key))).toBe(true);
  });
});

describe('signStandardWebhook', () => {
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

  it('signs the published vector', () => {
    expect(
      signStandardWebhook(signingKey(secret), 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, '{"test": 2432232314}'),
    ).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
  });

  it('is accepted by the reference verifier, and not with another secret', () => {
    const timestamp = Math.floor(Date.now() / 1000);
    const body = '{"kind":"purchase","title":"👕"}';
    const headers = (key: string): Record<string, string> => ({
      'webhook-id': 'plb_1',
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signStandardWebhook(signingKey(key), 'plb_1', timestamp, body),
    });
    expect(new Webhook(secret).verify(body, headers(secret))).toEqual(JSON.parse(body));
    expect(() => new Webhook(secret).verify(body, headers('another-secret'))).toThrow();
  });

  const shared = join('..', 'shared', 'data', 'standard-webhooks', 'vectors.json');
  it.skipIf(!existsSync(shared))('signs the shared vector', () => {
    const vector = JSON.parse(readFileSync(shared, 'utf8')) as Record<string, string>;
    const { secret: key = '', body = '' } = vector;
    const signed = signStandardWebhook(
      signingKey(key),
      vector['webhook-id'] ?? '',
      Number(vector['webhook-timestamp']),
      body,
    );
    expect(signed).toBe(vector['webhook-signature']);
  });
});

function officialItems(): DeliveryItem[] {
  return API_VERSIONS.flatMap(officialSamples).flatMap(({ topic, body }) => {
    const reading = readWebhook(entryOf(topic, body));
    return reading.outcome === 'event' ? reading.events.map(itemWith) : [];
  });
}
