import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseTrouble } from '../../sandbox/trouble.js';
import type { World, WorldOptions } from '../../sandbox/world.js';
import { until } from '../support/until.js';
import { Callback, type Call } from './support/callback.js';
import type { ManualClock } from './support/manual-clock.js';
import { COFFEE, KUMO, PretendDestination, SECRET, smallWorld, TEXTIL } from './support/small-world.js';

let callback: Callback;
let world: World;
let clock: ManualClock;

beforeEach(async () => {
  callback = await new Callback().start();
  open();
});

afterEach(async () => {
  world.stop();
  await callback.stop();
});

/** A world whose coffee store is connected and closed: it sells when a test asks it to. */
function open(given: Partial<WorldOptions> = {}): void {
  ({ world, clock } = smallWorld({ serviceUrl: callback.url, ...given }));
  world.start({ [COFFEE]: 'coffee-key' });
  world.stopSelling();
}

const make = (kind: string, value?: unknown, more: object = {}) => world.make(parseTrouble({ kind, value, ...more }));
const sellPaid = () => world.sellOne(COFFEE, { quiet: true, channel: 'pos', free: false, test: false });
const header = (call: Call | undefined, name: string) => String(call?.headers[`x-shopify-${name}`]);

/** Calls about orders, once `count` of them are here. */
async function orderCalls(count: number): Promise<Call[]> {
  const found = () => callback.calls.filter((call) => header(call, 'topic').startsWith('orders/'));
  await until(() => found().length >= count);
  return found();
}

describe('a story', () => {
  const live = () => {
    const { world: one, clock: time } = smallWorld({ ordersPerSecond: 5 });
    one.start({});
    time.advance(120_000);
    const orders = [...one.shops.values()].flatMap(({ book }) => book.rows().map(({ id }) => book.get(id)));
    one.stop();
    return { orders, one };
  };

  it('is the same for the same seed: every store, order, payment and refund', () => {
    const { orders } = live();
    expect(orders.length).toBeGreaterThan(300);
    expect(JSON.stringify(live().orders)).toBe(JSON.stringify(orders));
  });

  it('has orders that were paid later, changed, cancelled and refunded, with unique ids over all stores', () => {
    const { orders, one } = live();
    const statuses = new Set(orders.map((order) => order?.financial_status));
    expect([...statuses]).toEqual(
      expect.arrayContaining(['paid', 'pending', 'refunded', 'partially_refunded', 'voided']),
    );
    expect(new Set(orders.map((order) => order?.id)).size).toBe(orders.length);
    expect(one.truth.sold).toBe(orders.length);
    expect(one.truth.due).toBeLessThan(orders.length);
  });

  it('goes faster in a flood and stands still when a store stops, the others going on', () => {
    ({ world, clock } = smallWorld({ ordersPerSecond: 2 }));
    make('flood', 20, { store: TEXTIL });
    make('flood', 0, { store: KUMO });
    world.start({});
    clock.advance(60_000);
    const sold = (domain: string) => world.shops.get(domain)?.stats.sold ?? -1;
    expect(sold(TEXTIL)).toBeGreaterThan(500);
    expect(sold(COFFEE)).toBeGreaterThan(20);
    expect(sold(COFFEE)).toBeLessThan(150);
    expect(sold(KUMO)).toBe(0);
  });

  it('keeps no more orders than it may, and counts them all', () => {
    ({ world, clock } = smallWorld({ ordersPerSecond: 20, ordersMax: 150 }));
    world.start({});
    clock.advance(60_000);
    expect(world.truth.sold).toBeGreaterThan(900);
    for (const { book } of world.shops.values()) expect(book.size).toBeLessThanOrEqual(50);
  });
});

describe('the truth', () => {
  it('calls an order young for ten seconds, then missing, until it arrives', () => {
    const ga4 = new PretendDestination('ga4');
    open({ destinations: [ga4] });
    const { orderId } = sellPaid();
    expect(world.truth.at(clock.now()).ga4).toEqual({ arrived: 0, young: 1, missing: 0 });
    clock.advance(10_000);
    expect(world.truth.at(clock.now()).ga4).toEqual({ arrived: 0, young: 0, missing: 1 });
    expect(world.truth.missing('ga4', clock.now(), 5).map(({ id }) => String(id))).toEqual([orderId]);
    ga4.purchases.push(orderId, orderId);
    world.readArrivals();
    expect(world.truth.at(clock.now()).ga4).toEqual({ arrived: 1, young: 0, missing: 0 });
  });

  it('expects what is paid or free, and neither tests nor what nobody paid', () => {
    open({ destinations: [new PretendDestination('ga4')] });
    const sell = (wish: object) => world.sellOne(COFFEE, { quiet: true, channel: 'web', ...wish });
    sell({ free: true, test: false });
    expect(world.truth.due).toBe(1);
    sell({ free: false, test: true });
    const unpaid = sell({ free: false, test: false, unpaid: true });
    clock.advance(60_000);
    expect(world.truth).toMatchObject({ sold: 3, due: 1 });
    world.step(COFFEE, Number(unpaid.orderId), 'pay');
    expect(world.truth.due).toBe(2);
  });
});

describe('without trouble', () => {
  it('a sale is told as created and paid under one event id, to the address with the key of the store', async () => {
    const { orderId } = sellPaid();
    const calls = await orderCalls(2);
    expect(calls.map((call) => header(call, 'topic')).sort()).toEqual(['orders/create', 'orders/paid']);
    expect(new Set(calls.map((call) => header(call, 'event-id'))).size).toBe(1);
    expect(new Set(calls.map((call) => header(call, 'webhook-id'))).size).toBe(2);
    expect(calls.every(({ path }) => path === '/webhooks/shopify/coffee-key')).toBe(true);
    expect(JSON.parse(calls[0]?.body.toString() ?? '')).toMatchObject({ id: Number(orderId), currency: 'USD' });
    await until(() => world.truth.of(Number(orderId))?.answered === 2);
    expect(world.truth.of(Number(orderId))).toMatchObject({ sent: 2, dropped: 0, unheard: 0 });
  });

  it('a web sale is told as customer, checkout and order, in this order', async () => {
    world.sellOne(COFFEE, { channel: 'web' });
    await until(() => callback.calls.length >= 2);
    expect(callback.calls.map((call) => header(call, 'topic')).sort()).toEqual([
      'checkouts/create',
      'customers/create',
    ]);
    clock.advance(2_500);
    expect(header((await orderCalls(1))[0], 'topic')).toBe('orders/create');
  });
});

describe('trouble', () => {
  it('dropped webhooks are never sent, and the truth knows', () => {
    make('drop', 1);
    const { orderId } = sellPaid();
    expect(world.sender.pending).toMatchObject({ ready: 0, underWay: 0, waiting: 0 });
    expect(world.truth.of(Number(orderId))).toMatchObject({ sent: 0, dropped: 2 });
    expect(world.shops.get(COFFEE)?.stats).toMatchObject({ dropped: 2, sent: 0 });
  });

  it('duplicates come with the same webhook id', async () => {
    make('duplicate', 1, { store: COFFEE });
    sellPaid();
    clock.advance(3_000);
    const ids = (await orderCalls(4)).map((call) => header(call, 'webhook-id'));
    expect(new Set(ids).size).toBe(2);
    expect(world.shops.get(COFFEE)?.stats.sent).toBe(4);
  });

  it('repeats come with another webhook id and the same event id', async () => {
    make('repeat', '1');
    sellPaid();
    clock.advance(3_000);
    const calls = await orderCalls(4);
    expect(new Set(calls.map((call) => header(call, 'webhook-id'))).size).toBe(4);
    expect(new Set(calls.map((call) => header(call, 'event-id'))).size).toBe(1);
  });

  it('late webhooks keep the time of their trigger', async () => {
    make('delay', 30);
    sellPaid();
    clock.advance(29_999);
    expect(callback.calls).toEqual([]);
    clock.advance(1);
    const [call] = await orderCalls(2);
    expect(header(call, 'triggered-at')).toMatch(/^2026-11-27T14:00:00/);
  });

  it('mixed up webhooks arrive out of order', async () => {
    make('reorder', 0.5);
    const sold = Array.from({ length: 20 }, () => Number(sellPaid().orderId));
    clock.advance(8_000);
    const calls = await orderCalls(40);
    const created = calls.filter((call) => header(call, 'topic') === 'orders/create');
    const ids = created.map((call) => (JSON.parse(call.body.toString()) as { id: number }).id);
    expect([...ids].sort()).toEqual([...sold].sort());
    expect(ids).not.toEqual(sold);
  });

  it('oversize bodies hold the id and nothing else, and are signed as they are', async () => {
    make('oversize', 1);
    const { orderId } = sellPaid();
    const [call] = await orderCalls(2);
    expect(call?.body.toString()).toBe(`{"id":${orderId}}`);
    expect(header(call, 'hmac-sha256')).toBe(hmac(call, SECRET));
  });

  it('the old secret signs until its time is up', async () => {
    make('old-secret', 60);
    sellPaid();
    expect((await orderCalls(2)).every((call) => header(call, 'hmac-sha256') === hmac(call, 'old-secret'))).toBe(true);
    clock.advance(60_000);
    sellPaid();
    expect(header((await orderCalls(4)).at(-1), 'hmac-sha256')).toBe(hmac(callback.calls.at(-1), SECRET));
  });

  it('a removed subscription means silence for its topic, until it is made again', async () => {
    make('remove-subscription', undefined, { store: COFFEE, topic: 'orders/paid' });
    const { orderId } = sellPaid();
    const calls = await orderCalls(1);
    expect(calls.map((call) => header(call, 'topic'))).toEqual(['orders/create']);
    expect(world.truth.of(Number(orderId))).toMatchObject({ unheard: 1 });
    expect(world.subscriptions.removals).toMatchObject([{ topic: 'orders/paid', why: 'by hand' }]);
    make('calm');
    expect(world.subscriptions.of(COFFEE)).toHaveLength(8);
  });

  it('an uninstalled app hears so, and nothing after it', async () => {
    make('uninstall', undefined, { store: COFFEE });
    await until(() => callback.calls.length === 1);
    expect(header(callback.calls[0], 'topic')).toBe('app/uninstalled');
    expect(world.subscriptions.of(COFFEE)).toEqual([]);
  });

  it('ends with calm, everywhere', () => {
    const ga4 = new PretendDestination('ga4');
    open({ destinations: [ga4] });
    make('drop', 1);
    make('flood', 9);
    make('destination', 'down', { destination: 'ga4' });
    make('admin', 'frozen');
    make('rate', 100);
    expect(ga4.mode).toBe('down');
    make('calm');
    expect(world.shops.get(COFFEE)?.trouble).toMatchObject({ drop: 0, flood: 1 });
    expect([ga4.mode, world.admin.trouble, world.ordersPerSecond]).toEqual(['calm', 'none', 2]);
    expect(world.log[0]?.text).toBe('Calm: all trouble ended');
  });

  it.each([
    [{ kind: 'drop', value: 2 }, 'share'],
    [{ kind: 'drop' }, 'share'],
    [{ kind: 'flood', value: 'fast' }, 'factor'],
    [{ kind: 'destination', value: 'asleep' }, 'one of calm, down'],
    [{ kind: 'earthquake' }, 'unknown kind'],
  ])('that makes no sense is refused with a sentence: %j', (input, words) => {
    expect(() => parseTrouble(input)).toThrow(words);
  });
});

function hmac(call: Call | undefined, secret: string): string {
  return createHmac('sha256', secret)
    .update(call?.body ?? '')
    .digest('base64');
}
