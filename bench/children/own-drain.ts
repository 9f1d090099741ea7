import { bigints, tids } from '../../src/kernel/binary-arrays.js';
import { SystemClock } from '../../src/kernel/clock.js';
import { Database, KEYED } from '../../src/kernel/database.js';
import { silentLogger } from '../../src/kernel/log.js';
import { systemRandom } from '../../src/kernel/random.js';
import { SecretBox } from '../../src/kernel/secrets.js';
import type { Destination, InboxEntry, Shop } from '../../src/pipeline/contract.js';
import type { DestinationAdapter } from '../../src/pipeline/destinations/adapter.js';
import { DeadLetters } from '../../src/pipeline/delivery/dead-letters.js';
import { LaneBook } from '../../src/pipeline/delivery/lane-book.js';
import { claimDue } from '../../src/pipeline/delivery/queue.js';
import { Sender } from '../../src/pipeline/delivery/sender.js';
import { SettleQueue } from '../../src/pipeline/delivery/settle-queue.js';
import { DeliveryWorker } from '../../src/pipeline/delivery/worker.js';
import { EventCache, type ReadWebhook } from '../../src/pipeline/event-cache.js';
import { readWebhook } from '../../src/pipeline/event/read-webhook.js';
import type { Settlement } from '../../src/pipeline/ledger/settlement.js';
import { WebhookReader, asReadWebhook } from '../../src/pipeline/webhook-reader.js';
import { TOPIC, makeOrders, sign } from '../orders.js';
import type { Drain } from './drainer.js';
import type { Progress } from './progress.js';

/** Counts what has been written, not what has been tried. */
class CountingSettleQueue extends SettleQueue {
  progress: Progress | null = null;

  override async add(settlements: readonly Settlement[]): Promise<void> {
    await super.add(settlements);
    this.progress?.add(settlements.length);
  }
}

/** Every event is read already, and every one is the same. */
class OneEventCache extends EventCache {
  constructor(private readonly webhook: ReadWebhook) {
    super(1);
  }

  override get(): ReadWebhook {
    return this.webhook;
  }
}

const NO_WORK: DestinationAdapter = {
  kind: 'segment',
  kinds: new Set(['purchase']),
  isIdempotent: () => true,
  batch: { items: 100, bytes: 500_000 },
  secretKeys: [],
  checkSettings: () => [],
  format: () => ({ ok: true, request: null, bytes: 1_000 }),
  send: (items) => Promise.resolve(items.map(() => ({ outcome: 'accepted', confirmed: false }))),
  close: () => Promise.resolve(),
};

const SETTINGS: Destination['settings'] = {
  purchaseOn: 'paid',
  money: 'shop',
  testOrders: false,
  excludeChannels: [],
  consentAttribute: null,
  own: {},
};

const FETCHERS = 2;
const BATCH = 500;
/** The queue's part of what settles an ended attempt; the ledger's part is left out, because the rivals keep no books. */
const COMPLETE = 'delete from pipeline.delivery where ctid = any ($1::tid[]) and lease = any ($2::bigint[])';

/** Our queue alone: claim and complete, which is all that the rivals do. */
export function openOwnQueue(databaseUrl: string): Drain {
  const database = new Database({ url: databaseUrl, log: silentLogger, settings: KEYED });
  const clock = new SystemClock();
  return {
    fill: () => Promise.reject(new Error('our own rows are written by SQL')),
    async drain(progress) {
      const lanes = new LaneBook(database, clock);
      const fetchUntilDone = async (): Promise<void> => {
        while (!progress.isOver) {
          const nowMs = clock.nowMs();
          await lanes.discover(nowMs);
          const wants = lanes.pick(nowMs, BATCH, () => BATCH);
          const claims = wants.length === 0 ? [] : await claimDue(database, wants, nowMs);
          lanes.noteClaims(wants, claims, nowMs);
          if (claims.length === 0) {
            if (wants.length > 0) return;
            await new Promise((resolve) => setImmediate(resolve)); // the other fetcher has every lane's turn
            continue;
          }
          await database.query({ name: 'complete', text: COMPLETE }, [
            tids(claims.map(({ atRow }) => atRow)),
            bigints(claims.map(({ lease }) => lease)),
          ]);
          progress.add(claims.length);
        }
      };
      await Promise.all(Array.from({ length: FETCHERS }, fetchUntilDone));
    },
  };
}

/** Our delivery worker itself - lanes, floors, claims, settling - with an adapter that does nothing. */
export function openOwnDrain(databaseUrl: string): Drain {
  const database = new Database({ url: databaseUrl, log: silentLogger, settings: KEYED });
  const clock = new SystemClock();
  const webhook = oneWebhook();
  const common = { database, clock, log: silentLogger };
  const webhooks = new WebhookReader(
    { loadPayloads: () => Promise.reject(new Error('everything is in the cache')) },
    { shopByDomain: () => SHOP },
  );
  return {
    fill: () => Promise.reject(new Error('our own rows are written by SQL')),
    async drain(progress) {
      const settleQueue = new CountingSettleQueue(database, silentLogger);
      const append = (): Promise<never> => Promise.reject(new Error('nothing is replayed here'));
      const sender = new Sender({
        ...common,
        webhooks,
        cache: new OneEventCache(webhook),
        enricher: { enrichAll: (_shop, events) => Promise.resolve(events) },
        deadLetters: new DeadLetters({ ...common, webhooks, secrets: new SecretBox([]), append }),
        settleQueue,
        random: systemRandom,
        metrics: { sent: () => undefined, accepted: () => undefined },
      });
      const worker = new DeliveryWorker({
        ...common,
        shops: {
          shopById: (id): Shop => ({ ...SHOP, id }),
          destinationById: (id): Destination => ({ ...DESTINATION, id }),
        },
        adapters: () => NO_WORK,
        sender,
      });
      settleQueue.progress = progress;
      worker.start();
      await progress.over;
      await worker.stop();
    },
  };
}

const SHOP: Shop = {
  id: '1',
  domain: 'bench-one.myshopify.com',
  key: 'bench',
  world: 'real',
  adminUrl: null,
  accessToken: null,
  settings: {},
  destinationIds: [1],
  links: [{ destinationId: 1, linkedAt: null }],
  subscriptions: 'shop',
  connectedAt: new Date(0),
  uninstalledAt: null,
};

const DESTINATION: Destination = {
  id: 1,
  name: 'none',
  kind: 'segment',
  world: 'real',
  enabled: true,
  settings: SETTINGS,
};

function oneWebhook(): ReadWebhook {
  const [order] = makeOrders(1, 1);
  if (!order) throw new Error('no order was made');
  const entry: InboxEntry = {
    source: 'http',
    world: 'real',
    webhookId: 'one',
    topic: TOPIC,
    shopDomain: order.shop,
    receivedAtMs: Date.now(),
    hmac: sign(order.body),
    body: order.body,
  };
  return asReadWebhook(entry, readWebhook(entry));
}
