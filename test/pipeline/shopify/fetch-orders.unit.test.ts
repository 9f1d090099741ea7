import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ControlServer } from '../../../sandbox/control/server.js';
import type { RefundBody } from '../../../sandbox/shopify/lifecycle.js';
import type { OrderBody } from '../../../sandbox/shopify/order-body.js';
import type { World } from '../../../sandbox/world.js';
import { SystemClock } from '../../../src/kernel/clock.js';
import type { FetchedOrders, PipelineEvent, Shop } from '../../../src/pipeline/contract.js';
import { eventId } from '../../../src/pipeline/event/event-id.js';
import { readWebhook } from '../../../src/pipeline/event/read-webhook.js';
import { AdminApi } from '../../../src/pipeline/shopify/admin-api.js';
import { createFetchBody } from '../../../src/pipeline/shopify/fetch-body.js';
import { fetchOrders } from '../../../src/pipeline/shopify/fetch-orders.js';
import type { ManualClock } from '../../sandbox/support/manual-clock.js';
import { COFFEE, smallWorld, TOKEN } from '../../sandbox/support/small-world.js';
import { entryOf } from '../event/entry.js';

let world: World;
let clock: ManualClock;
let server: ControlServer;
let base: string;
let asked: { query: string; ids: number }[];
/** As a shop whose limit a query lies under: above it Shopify refuses the query. */
let idsMax: number;

beforeEach(async () => {
  ({ world, clock } = smallWorld());
  server = new ControlServer(world, 'http://127.0.0.1:1');
  base = await server.start(0);
  asked = [];
  idsMax = Infinity;
});
afterEach(async () => {
  world.stop();
  await server.stop();
});

const admin = new AdminApi({
  clock: new SystemClock(),
  apiVersion: '2026-10',
  async post(_world, url, headers, body) {
    const { query, variables } = JSON.parse(body) as { query: string; variables: { ids?: string[] } };
    const ids = variables.ids?.length ?? 1;
    asked.push({ query: /Plumbline\w+/.exec(query)?.[0] ?? '', ids });
    if (ids > idsMax) {
      return { status: 200, body: '{"errors":[{"message":"Query cost is 1201, which exceeds the limit (1000)."}]}' };
    }
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body,
    });
    return { status: response.status, body: await response.text() };
  },
});

const shop = (): Shop => ({
  id: '1',
  domain: COFFEE,
  key: 'k',
  world: 'sandbox',
  adminUrl: `${base}/shops/${COFFEE}`,
  accessToken: TOKEN,
  settings: {},
  destinationIds: [],
  links: [],
  subscriptions: 'shop',
  connectedAt: new Date(0),
  uninstalledAt: null,
});

const book = () => {
  const found = world.shops.get(COFFEE)?.book;
  if (!found) throw new Error('the world has no such shop');
  return found;
};

function sell(wish: { free?: boolean; step?: 'pay' | 'cancel' | 'refund-part' | 'refund-all' } = {}): string {
  const { orderId } = world.sellOne(COFFEE, { quiet: true, channel: 'web', free: wish.free ?? false, test: false });
  clock.advance(60_000);
  if (wish.step) world.step(COFFEE, Number(orderId), wish.step);
  return orderId;
}

/** Puts more lines on an order, under ids of their own. */
function withLines(orderId: string, count: number): OrderBody {
  const order = book().get(Number(orderId));
  const [line] = order?.line_items ?? [];
  if (!order || !line) throw new Error('no such order');
  const lines = Array.from({ length: count }, (_, i) => ({
    ...line,
    id: line.id + i,
    admin_graphql_api_id: `gid://shopify/LineItem/${line.id + i}`,
  }));
  const long = { ...order, line_items: lines };
  book().put(long);
  return long;
}

const fetched = async (...orderIds: string[]) => {
  const result: FetchedOrders = await fetchOrders(admin, shop(), orderIds);
  if (result.outcome !== 'fetched') throw new Error(result.detail);
  return result.orders;
};

/** What a webhook comes to: what must be the same, whichever way it came. */
function meaning(topic: string, body: Buffer | string): unknown[] {
  const reading = readWebhook(entryOf(topic, Buffer.from(body), { shopDomain: COFFEE }));
  if (reading.outcome !== 'event') throw new Error(JSON.stringify(reading));
  return reading.events.map((event: PipelineEvent) => ({
    eventId: eventId({ shopDomain: COFFEE, ...event }),
    kind: event.kind,
    ledgerDay: event.ledgerDay,
    orderId: event.orderId,
    createdAt: event.createdAt,
    occurredAt: event.occurredAt,
    total: event.total?.shop,
    lines: event.lines.map(({ lineId, sku, quantity }) => [lineId, sku, quantity]),
    due: event.payment !== 'unpaid',
  }));
}

describe('orders fetched from Shopify', () => {
  it('come to the events that their webhooks would have come to', async () => {
    const paid = sell({ step: 'pay' });
    const refunded = sell({ step: 'refund-part' });
    const orders = await fetched(paid, refunded);
    expect(orders.map(({ orderId }) => orderId)).toEqual([paid, refunded]);
    for (const { orderId, webhooks } of orders) {
      const sold = book().get(Number(orderId));
      if (!sold) throw new Error('not sold');
      const told = [['orders/paid', sold], ...sold.refunds.map((refund) => ['refunds/create', refund])] as const;
      expect(webhooks.map(({ topic, body }) => [topic, meaning(topic, body)])).toEqual(
        told.map(([topic, body]) => [topic, meaning(topic as string, JSON.stringify(body))]),
      );
    }
  });

  it.each([
    ['a paid order', {}, ['orders/paid']],
    ['a free order', { free: true }, ['orders/paid']],
    ['a cancelled order', { step: 'cancel' }, ['orders/cancelled']],
    ['an order that was refunded', { step: 'refund-all' }, ['orders/paid', 'refunds/create']],
  ] as const)('%s', async (_name, wish, topics) => {
    const id = sell(wish);
    const order = book().get(Number(id));
    const [one] = await fetched(id);
    const seen = one?.webhooks.map(({ topic }) => topic) ?? [];
    for (const topic of topics) expect(seen).toContain(topic);
    expect(seen.filter((topic) => topic === 'refunds/create')).toHaveLength(order?.refunds.length ?? 0);
    const sale = one?.webhooks[0];
    expect(meaning(sale?.topic ?? '', sale?.body ?? '')).toMatchObject([
      { kind: 'purchase', due: sale?.topic === 'orders/paid' },
    ]);
  });

  it('an order that is not paid yet is told as created', async () => {
    const id = sell();
    const order = book().get(Number(id));
    if (!order) throw new Error('not sold');
    book().put({ ...order, financial_status: 'pending' });
    const [one] = await fetched(id);
    expect(one?.webhooks.map(({ topic }) => topic)).toEqual(['orders/create']);
  });

  it('have all their lines, and so have their refunds, however many there are', async () => {
    const id = sell({ step: 'refund-part' });
    const order = withLines(id, 612);
    const [refund] = order.refunds as RefundBody[];
    const [line] = refund?.refund_line_items ?? [];
    if (!refund || !line) throw new Error('not refunded');
    const refundLines = Array.from({ length: 270 }, (_, i) => ({ ...line, id: line.id + i }));
    const refunds: RefundBody[] = [{ ...refund, refund_line_items: refundLines }];
    book().put({ ...order, refunds });
    const [one] = await fetched(id);
    const lines = one?.webhooks.map(({ topic, body }) => {
      const reading = readWebhook(entryOf(topic, body));
      return reading.outcome === 'event' ? [topic, reading.events[0]?.lines.length] : [topic, reading.outcome];
    });
    expect(lines).toEqual([
      ['orders/paid', 612],
      ['refunds/create', 270],
    ]);
  });

  it('that Shopify does not have are absent, and nothing is fetched for no orders', async () => {
    const id = sell();
    expect((await fetched('6999999999999', id)).map(({ orderId }) => orderId)).toEqual([id]);
    asked = [];
    expect(await fetched()).toEqual([]);
    expect(asked).toEqual([]);
  });

  it('are asked for in parts that cost less where Shopify refuses the whole', async () => {
    const ids = Array.from({ length: 7 }, () => sell());
    idsMax = 2;
    expect((await fetched(...ids)).map(({ orderId }) => orderId)).toEqual(ids);
    expect(Math.max(...asked.filter(({ ids: count }) => count <= 2).map(({ ids: count }) => count))).toBe(2);
  });

  it.each([
    ['throttled', 'throttled'],
    ['unavailable', 'unavailable: HTTP 503'],
    ['frozen', 'unavailable: HTTP 402'],
  ] as const)('come later while the Admin API is %s', async (trouble, detail) => {
    const id = sell();
    world.admin.trouble = trouble;
    const result = await fetchOrders(admin, { ...shop(), id: trouble }, [id]);
    expect(result).toMatchObject({ outcome: 'later', detail: expect.stringContaining(detail) as string });
    if (trouble === 'throttled') expect(result).toMatchObject({ retryAfterMs: expect.any(Number) as number });
  });

  it('come later, and not in part, when the token is refused', async () => {
    const result = await fetchOrders(admin, { ...shop(), accessToken: 'wrong' }, [sell()]);
    expect(result).toMatchObject({ outcome: 'later', detail: 'denied: HTTP 401', retryAfterMs: null });
  });
});

describe('a body that was only an id', () => {
  it('is fetched with all its lines', async () => {
    const id = sell();
    withLines(id, 300);
    const body = await createFetchBody(admin)(shop(), 'orders/paid', Buffer.from(`{"id": ${id}}`));
    if (body.outcome !== 'fetched') throw new Error(body.detail);
    expect((JSON.parse(body.body.toString()) as { line_items: unknown[] }).line_items).toHaveLength(300);
  });

  it('names the refunds of a cancelled order, which must not be given back twice', async () => {
    const id = sell({ step: 'refund-all' });
    const body = await createFetchBody(admin)(shop(), 'orders/cancelled', Buffer.from(`{"id": ${id}}`));
    if (body.outcome !== 'fetched') throw new Error(body.detail);
    expect(JSON.parse(body.body.toString())).toMatchObject({
      refunds: [{ id: String(book().get(Number(id))?.refunds[0]?.id) }],
    });
  });
});
