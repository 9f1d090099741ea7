import type pg from 'pg';
import type { Clock } from '../../kernel/clock.js';
import { isDataError, type Database } from '../../kernel/database.js';
import { messageOf } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import { Loop, type LoopHealth, type Round } from '../../kernel/loop.js';
import type { SecretBox } from '../../kernel/secrets.js';
import type { Destination, InboxEntry, PayloadPointer, PipelineEvent, Reading, Shop, World } from '../contract.js';
import type { AdapterOf } from '../destinations/adapter.js';
import { insertDeadLetter } from '../delivery/dead-letters.js';
import type { LaneKey } from '../delivery/lane.js';
import type { EventCache } from '../event-cache.js';
import { browserIdNames } from '../event/browser-ids.js';
import { readWebhook } from '../event/read-webhook.js';
import type { InboxReader } from '../inbox/inbox-reader.js';
import { ordersLeftOut, planObligations } from '../ledger/ledger.js';
import { asReadWebhook } from '../webhook-reader.js';
import { UNINSTALLED_TOPIC, markUninstalled } from '../registry/uninstalled.js';
import { hold, type HeldReason } from './held.js';
import { foldObligations, planObligation, withHistoryLeftOut, withOrderLeftOut, type Obligation } from './plan.js';
import { recordWebhooks, markDuplicates, type WebhookRecord, type WebhookOutcome } from './webhook-record.js';

const SEGMENTS_AT_ONCE = 64; // in quiet times a segment is one webhook
// Some 700 webhooks of 8.7 KB: enough that a transaction weighs little, few enough that they are delivered from the
// cache of events before the next thousands push them out.
const BYTES_AT_ONCE = 6 * 1024 * 1024;

export interface RouterDeps {
  database: Database;
  inbox: Pick<InboxReader, 'readBatch'>;
  shops: {
    shopByDomain(world: World, domain: string): Shop | undefined;
    destinationById(id: number): Destination | undefined;
  };
  adapters: AdapterOf;
  cache: EventCache;
  secrets: SecretBox;
  clock: Clock;
  log: Logger;
  /** Lanes that have something due now. */
  queued: (lanes: LaneKey[]) => void;
  metrics: { routed(outcome: WebhookOutcome, count: number): void };
}

/** One webhook as the router understands it, before anything is written. */
interface Routed {
  entry: InboxEntry;
  pointer: PayloadPointer;
  shop: Shop | undefined;
  reading: Reading;
  events: readonly PipelineEvent[];
}

const NO_SHOP = '0';

/**
 * Whether a failure may lie in one webhook alone: data that the database refuses, or a fault of ours in reading it. What
 * the database or the connection says of itself is not, and is tried again with the whole batch.
 */
function isOfOneWebhook(error: unknown): boolean {
  return isDataError(error) || error instanceof TypeError || error instanceof RangeError;
}

/**
 * Takes webhooks from the inbox to the ledger and the delivery queue.
 *
 * Invariant: everything a batch comes to - dedupe, obligations, deliveries, facts, dead letters, held webhooks and
 * the cursor - is one transaction. A crash anywhere before its commit leaves the batch unread; after it, done. There
 * is no moment at which an order is neither in the inbox nor in the ledger (invariant 4).
 */
export class Router {
  private readonly loop: Loop;
  /** The last batch held something the database refuses: take the next one webhook at a time. */
  private careful = false;

  constructor(private readonly deps: RouterDeps) {
    this.loop = new Loop({
      name: 'router',
      pauseMs: 50,
      clock: deps.clock,
      log: deps.log,
      round: () => this.round(),
    });
  }

  start(): this {
    this.loop.start();
    return this;
  }

  /** Intake has appended something in this process. */
  wake(): void {
    this.loop.wake();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  health(): LoopHealth {
    return this.loop.health();
  }

  /** One batch. Public so that a test can drive it step by step. */
  async round(): Promise<Round> {
    const { careful } = this;
    let effective: Obligation[] | null;
    try {
      effective = await this.deps.database.transaction(async (client) => {
        const batch = await this.deps.inbox.readBatch(client, { segments: SEGMENTS_AT_ONCE, bytes: BYTES_AT_ONCE });
        if (batch.entries.length === 0) return null;
        const routed = batch.entries.map((one) => this.read(one.entry, one.pointer));
        const written = careful ? await this.writeOneByOne(client, routed) : await this.write(client, routed);
        await batch.commitCursor(client);
        return written;
      });
    } catch (error) {
      this.careful = !careful && isOfOneWebhook(error);
      throw error;
    }
    if (!effective) return 'idle';
    this.careful = false;
    // Only after the commit: before it nothing of this exists for anybody else.
    const lanes = new Map<string, LaneKey>();
    for (const { shopId, destinationId, plan } of effective) {
      if (plan.state === 'queued') lanes.set(`${shopId}/${destinationId}`, { shopId, destinationId });
    }
    if (lanes.size > 0) this.deps.queued([...lanes.values()]);
    return 'busy';
  }

  private read(entry: InboxEntry, pointer: PayloadPointer): Routed {
    const shop = this.deps.shops.shopByDomain(entry.world, entry.shopDomain);
    const reading = shop ? readWebhook(entry, browserIdNames(shop.settings)) : readWebhook(entry);
    const webhook = asReadWebhook(entry, reading);
    if (shop && webhook.events.length > 0) this.deps.cache.set(pointer, webhook, entry.body.length);
    return { entry, pointer, shop, reading, events: webhook.events };
  }

  /**
   * One webhook that the database refuses (a character it cannot store, a number out of range) must not stop the
   * webhooks around it: each gets a savepoint, and the refused one becomes a dead letter with its payload.
   */
  private async writeOneByOne(client: pg.PoolClient, routed: readonly Routed[]): Promise<Obligation[]> {
    const effective: Obligation[] = [];
    for (const one of routed) {
      await client.query('savepoint one_webhook');
      try {
        effective.push(...(await this.write(client, [one])));
      } catch (error) {
        if (!isOfOneWebhook(error)) throw error;
        await client.query('rollback to savepoint one_webhook');
        const detail = `the database refused it: ${messageOf(error)}`;
        this.deps.log.error({ shop: one.entry.shopDomain, topic: one.entry.topic, err: error }, 'webhook not storable');
        const reading: Reading = { outcome: 'unmappable', reason: 'not-storable', detail, id: null };
        await this.write(client, [{ ...one, reading, events: [] }]);
      }
      await client.query('release savepoint one_webhook');
    }
    return effective;
  }

  /** @returns the obligations that had an effect */
  private async write(client: pg.PoolClient, routed: readonly Routed[]): Promise<Obligation[]> {
    const nowAt = this.deps.clock.now();
    const records = routed.map((one): WebhookRecord => recordOf(one));
    const fresh = await recordWebhooks(client, records, nowAt);
    const plain: Obligation[] = [];
    const requeued: Obligation[] = [];
    const planned = new Map<number, { record: WebhookRecord; obligations: Obligation[] }>();
    for (const index of fresh) {
      const one = routed[index] as Routed;
      const record = records[index] as WebhookRecord;
      this.deps.metrics.routed(record.outcome, 1);
      if (record.topic === UNINSTALLED_TOPIC && one.shop) {
        await markUninstalled(client, this.deps.clock, one.shop, one.entry);
      }
      if (record.outcome === 'planned' && one.shop) {
        const obligations = this.obligations(one, one.shop);
        planned.set(index, { record, obligations });
        const restarts = one.entry.source === 'replay' || one.entry.source === 'reconciliation';
        (restarts ? requeued : plain).push(...obligations);
      } else if (record.outcome === 'held') {
        await hold(client, this.deps.secrets, one.entry, record.reason as HeldReason, nowAt);
      } else if (record.outcome === 'dead' && one.reading.outcome === 'unmappable') {
        await insertDeadLetter(client, this.deps.secrets, {
          shopId: record.shopId,
          settlement: null,
          entry: one.entry,
          lane: 'ours', // the signature was right, so it is Shopify's body that we do not understand
          reason: one.reading.reason,
          detail: one.reading.detail,
          buriedAt: nowAt,
        });
      }
    }
    // What another process released, knowing the shop before this one does, has been here before and still waits.
    const first = new Set(fresh);
    for (const [index, one] of routed.entries()) {
      if (!one.shop && !first.has(index)) await hold(client, this.deps.secrets, one.entry, 'unknown-shop', nowAt);
    }
    const repeats = routed.length - fresh.length;
    if (repeats > 0) this.deps.metrics.routed('repeat', repeats);
    const effective = [
      ...(await this.plan(client, plain, nowAt, false)),
      ...(await this.plan(client, requeued, nowAt, true)),
    ];
    const useful = new Set(effective.map((o) => o.webhookId));
    const without = [...planned.values()]
      .filter(({ record, obligations }) => obligations.length > 0 && !useful.has(record.webhookId))
      .map(({ record }) => record);
    await markDuplicates(client, without, nowAt);
    return effective;
  }

  private async plan(
    client: pg.PoolClient,
    obligations: readonly Obligation[],
    nowAt: Date,
    requeue: boolean,
  ): Promise<Obligation[]> {
    // Refunds after everything else: the ledger then knows what became of an order of this very batch.
    const refunds = obligations.filter((o) => o.event.kind === 'refund');
    const others = obligations.filter((o) => o.event.kind !== 'refund');
    const effective = await planObligations(client, foldObligations(others), nowAt, requeue);
    const leftOut = await ordersLeftOut(
      client,
      refunds.map((o) => ({ shopId: o.shopId, orderId: o.event.orderId })),
    );
    const followed = refunds.map((o) =>
      withOrderLeftOut(o, leftOut.get(`${o.shopId}/${o.event.orderId}/${o.destinationId}`) ?? null),
    );
    return [...effective, ...(await planObligations(client, foldObligations(followed), nowAt, requeue))];
  }

  private obligations(one: Routed, shop: Shop): Obligation[] {
    const destinations = one.entry.destinationId === undefined ? shop.destinationIds : [one.entry.destinationId];
    const obligations: Obligation[] = [];
    for (const destinationId of destinations) {
      const destination = this.deps.shops.destinationById(destinationId);
      const adapter = destination && this.deps.adapters(destination);
      if (!destination || !adapter) continue;
      for (const event of one.events) {
        const planned = planObligation(event, destination, adapter.kinds);
        if (!planned) continue;
        const plan = withHistoryLeftOut(planned, event, destination, shop.connectedAt, one.entry);
        obligations.push({
          shopId: shop.id,
          destinationId,
          event,
          plan,
          webhookId: one.entry.webhookId,
          loggedAtMs: one.entry.receivedAtMs,
          seenAtMs: one.entry.source === 'reconciliation' ? null : one.entry.receivedAtMs,
          pointer: one.pointer,
        });
      }
    }
    return obligations;
  }
}

function recordOf({ entry, pointer, shop, reading, events }: Routed): WebhookRecord {
  const base = {
    shopId: shop?.id ?? NO_SHOP,
    // Without a shop the domain keeps two shops' webhooks apart.
    webhookId: shop ? entry.webhookId : `${entry.world}/${entry.shopDomain}/${entry.webhookId}`,
    topic: entry.topic,
    receivedAtMs: entry.receivedAtMs,
    subjectId: events[0]?.subjectId ?? ('id' in reading ? reading.id : null),
    pointer,
  };
  const outcome = (name: WebhookOutcome, reason: string | null): WebhookRecord => ({ ...base, outcome: name, reason });
  if (!shop) return outcome('held', 'unknown-shop');
  switch (reading.outcome) {
    case 'event':
      return outcome('planned', entry.key !== undefined && entry.key !== shop.key ? 'key-of-another-shop' : null);
    case 'fetch':
      return outcome('held', 'needs-fetch');
    case 'no-effect':
      return outcome('no-effect', reading.reason);
    case 'unknown-topic':
      return outcome('unknown-topic', null);
    case 'unmappable':
      return outcome('dead', reading.reason);
  }
}
