import { createHmac } from 'node:crypto';
import { stores } from '../sandbox/shopify/catalogue.js';
import { Numbers } from '../sandbox/shopify/numbers.js';
import { Till } from '../sandbox/shopify/orders.js';
import { Random } from '../sandbox/random.js';

/** Signs what the generator sends; the measured services are given the same. */
export const SECRET = 'bench-client-secret';
export const TOPIC = 'orders/paid';
export const SHOPS = ['bench-one', 'bench-two', 'bench-three', 'bench-four'].map((name) => `${name}.myshopify.com`);

const ID_DIGITS = 13;

/** One order as Shopify would send it, whose id can be exchanged. */
export interface Order {
  shop: string;
  id: number;
  body: Buffer;
  /** Where the id stands in the body. */
  idAt: readonly number[];
}

/**
 * Different orders, each with names, addresses, lines, tokens and amounts of its own, of six stores: identical ones
 * would flatter every compression (by half: docs/performance.md). 8 to 9 KB; zstd makes some 1.1 KB of each in a batch of a hundred.
 */
export function makeOrders(count: number, seed: number): Order[] {
  const nowMs = Date.now();
  const numbers = new Numbers(seed, nowMs);
  const tills = stores(6, seed, 'none').map((store) => new Till(store, seed, numbers));
  const random = new Random(seed);
  return Array.from({ length: count }, (_, index) => {
    const till = random.pick(tills);
    const sale = till.decide(nowMs, { channel: 'web', test: false, free: false, lines: 1 });
    const order = till.place(sale, nowMs);
    const body = Buffer.from(
      JSON.stringify({
        ...order,
        financial_status: 'paid',
        note_attributes: [...order.note_attributes, ...trackerMarks(random, nowMs)],
      }),
    );
    const id = String(order.id);
    if (id.length !== ID_DIGITS) throw new Error(`an order's id has ${id.length} digits`);
    const idAt: number[] = [];
    for (let at = body.indexOf(id); at !== -1; at = body.indexOf(id, at + 1)) idAt.push(at);
    return { shop: SHOPS[index % SHOPS.length] as string, id: order.id, body, idAt };
  });
}

/** What pixels and apps leave in the cart of a live store: text that no two orders share and no compressor shrinks. */
function trackerMarks(random: Random, nowMs: number): { name: string; value: string }[] {
  const token = (bytes: number): string => Buffer.from(random.hex(2 * bytes), 'hex').toString('base64url');
  return [
    { name: '_fbp', value: `fb.1.${nowMs - random.between(0, 9e8)}.${random.between(1e8, 2e9)}` },
    { name: '_fbc', value: `fb.1.${nowMs - random.between(0, 9e8)}.${token(60)}` },
    { name: 'gclid', value: token(66) },
    { name: '_kx', value: token(33) },
    { name: 'session', value: random.uuid() },
    { name: 'experiments', value: Array.from({ length: 12 }, () => token(15)).join('.') },
  ];
}

/** Makes it another order, in place. */
export function giveId(order: Order, id: number): void {
  const digits = String(id);
  for (const at of order.idAt) order.body.write(digits, at, 'latin1');
  order.id = id;
}

export function sign(body: Buffer): string {
  return createHmac('sha256', SECRET).update(body).digest('base64');
}
