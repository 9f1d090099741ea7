import { SystemClock } from '../../src/kernel/clock.js';
import { Database } from '../../src/kernel/database.js';
import { silentLogger } from '../../src/kernel/log.js';
import { ensurePartitions } from '../../src/kernel/partitions.js';
import { SecretBox } from '../../src/kernel/secrets.js';
import type { InboxEntry } from '../../src/pipeline/contract.js';
import { InboxWriter } from '../../src/pipeline/inbox/inbox-writer.js';
import { pipelinePartitions } from '../../src/pipeline/partitions.js';
import { TOPIC, giveId, makeOrders, sign, type Order } from '../orders.js';
import { answer } from '../rpc.js';

export type SeederApi = {
  /** Puts webhooks of that many different orders into the inbox, as intake would have. */
  fill: { takes: { databaseUrl: string; events: number; firstId: number }; gives: void };
  /** The bare cost of parsing such bodies: processor microseconds each, over at least so many seconds. */
  parse: { takes: { seconds: number }; gives: { events: number; seconds: number } };
};

const DIFFERENT = 4_096;
const AT_ONCE = 2_000;

let orders: Order[] = [];
function pool(): Order[] {
  if (orders.length === 0) orders = makeOrders(DIFFERENT, 20261123);
  return orders;
}

function entryOf(order: Order, id: number): InboxEntry {
  giveId(order, id);
  return {
    source: 'http',
    world: 'real',
    webhookId: `seed-${id}`,
    topic: TOPIC,
    shopDomain: order.shop,
    receivedAtMs: Date.now(),
    apiVersion: '2026-10',
    hmac: sign(order.body),
    body: Buffer.from(order.body),
  };
}

answer<SeederApi>({
  async fill({ databaseUrl, events, firstId }) {
    const clock = new SystemClock();
    const database = new Database({ url: databaseUrl, log: silentLogger });
    const writer = await new InboxWriter({
      databaseUrl,
      writer: 'bench-seeder',
      secrets: new SecretBox([]),
      clock,
      log: silentLogger,
      journal: { append: () => Promise.reject(new Error('the seeder has no journal')) },
      ensurePartitions: () => ensurePartitions(database, clock, pipelinePartitions()),
    }).start();
    const templates = pool();
    for (let done = 0; done < events; done += AT_ONCE) {
      const count = Math.min(AT_ONCE, events - done);
      await Promise.all(
        Array.from({ length: count }, (_, index) => {
          const number = done + index;
          return writer.append(entryOf(templates[number % templates.length] as Order, firstId + number));
        }),
      );
    }
    await writer.close();
    await database.end();
  },
  parse({ seconds }) {
    const bodies = pool().map(({ body }) => body);
    let events = 0;
    let orderIds = 0;
    const startedMs = performance.now();
    let elapsedMs = 0;
    for (; elapsedMs < seconds * 1000; elapsedMs = performance.now() - startedMs) {
      for (let turn = 0; turn < 100; turn++) {
        const parsed = JSON.parse((bodies[events++ % bodies.length] as Buffer).toString('utf8')) as { id: number };
        orderIds += parsed.id; // used, or the compiler might leave the parsing out
      }
    }
    if (Number.isNaN(orderIds)) throw new Error('an order without an id');
    return { events, seconds: elapsedMs / 1000 };
  },
});
