import { stopwatch, type Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import { messageOf } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import { Loop, type LoopHealth, type Round } from '../../kernel/loop.js';
import type { Random } from '../../kernel/random.js';
import type {
  Destination,
  AdapterOf,
  DestinationAdapter,
  DestinationKind,
  DeliveryItem,
  Formatted,
  Outcome,
  PipelineEvent,
  Shop,
} from '../contract.js';
import type { EventCache, ReadWebhook } from '../event-cache.js';
import { keyOf } from '../event-cache.js';
import { eventId } from '../event/event-id.js';
import type { Settlement } from '../ledger/ledger.js';
import type { WebhookReader } from '../webhook-reader.js';
import type { DeadLetters } from './dead-letters.js';
import { Lane, laneName, type LaneKey } from './lane.js';
import { claimDue, findLanes, rememberLane, restoreAgeOrder, type Claim } from './queue.js';
import { isSpent, retryDelayMs } from './retry.js';
import type { SettleQueue } from './settle-queue.js';

const SEND_DEADLINE_MS = 10_000;
const DISCOVER_EVERY_MS = 500; // how late a delivery queued by another process may start
const CLAIM_MAX = 1_000;
const IN_FLIGHT_MAX = 3_000; // items, some 30 MB of events at the most
const FLOOR_SLACK_MS = 2_000; // a router's transaction may commit a row this much older than one already claimed
const STOP_WITHIN_MS = 8_000;

export interface DeliveryMetrics {
  /** One item's outcome at a destination. */
  sent(destination: DestinationKind, outcome: Outcome['outcome'], durationMs: number): void;
  /** Webhook received → destination's 2xx. */
  accepted(destination: DestinationKind, endToEndMs: number): void;
}

export interface WorkerDeps {
  database: Database;
  shops: { shopById(id: string): Shop | undefined; destinationById(id: number): Destination | undefined };
  adapters: AdapterOf;
  webhooks: WebhookReader;
  cache: EventCache;
  enricher: { enrich(shop: Shop, event: PipelineEvent): Promise<PipelineEvent> };
  deadLetters: DeadLetters;
  settleQueue: SettleQueue;
  clock: Clock;
  random: Random;
  log: Logger;
  metrics: DeliveryMetrics;
}

interface Prepared {
  claim: Claim;
  item: DeliveryItem;
  formatted: Extract<Formatted, { ok: true }>;
  receivedAtMs: number;
}

/**
 * Delivers what is due: claims by lane, formats, sends, settles. Any number of these run beside each other, in one
 * process or many; the claim's row lock and lease are what keeps them apart.
 */
export class DeliveryWorker {
  private readonly lanes = new Map<string, Lane>();
  private readonly loop: Loop;
  private readonly underWay = new Set<Promise<void>>();
  private inFlight = 0;
  private discoverAtMs = 0;
  private turn = 0;

  constructor(private readonly deps: WorkerDeps) {
    this.loop = new Loop({
      name: 'delivery',
      pauseMs: 25,
      clock: deps.clock,
      log: deps.log,
      round: () => this.round(),
    });
  }

  start(): this {
    this.loop.start();
    return this;
  }

  health(): LoopHealth {
    return this.loop.health();
  }

  /** The router has queued something for these lanes. */
  nudge(keys: Iterable<LaneKey>): void {
    const nowMs = this.deps.clock.nowMs();
    for (const key of keys) this.lane(key).dueAtMs = nowMs;
    this.loop.wake();
  }

  /** Looks for due lanes at once; for tests that move the clock, and after a registry change. */
  rediscover(): void {
    this.discoverAtMs = 0;
    this.loop.wake();
  }

  /** Stops taking; waits for what is under way, up to 8 s. What is cut off then keeps its lease and goes out again. */
  async stop(): Promise<void> {
    await this.loop.stop();
    const deadline = new Promise<void>((resolve) => setTimeout(resolve, STOP_WITHIN_MS).unref());
    await Promise.race([Promise.allSettled(this.underWay), deadline]);
  }

  /** The lanes this process knows, for screens. */
  snapshot(): {
    key: LaneKey;
    state: Lane['state'];
    sending: number;
    retryAt: Date | null;
    lastError: string | null;
  }[] {
    return [...this.lanes.values()].map((lane) => ({
      key: lane.key,
      state: lane.state,
      sending: lane.sending,
      retryAt: lane.retryAt,
      lastError: lane.lastError,
    }));
  }

  private lane(key: LaneKey): Lane {
    const name = laneName(key);
    let lane = this.lanes.get(name);
    if (!lane) this.lanes.set(name, (lane = new Lane(key)));
    return lane;
  }

  private async round(): Promise<Round> {
    const nowMs = this.deps.clock.nowMs();
    if (nowMs >= this.discoverAtMs || nowMs < this.discoverAtMs - 10 * DISCOVER_EVERY_MS) await this.discover(nowMs);
    const wants = this.pickLanes(nowMs);
    if (wants.length === 0) return 'idle';
    const claims = await this.claim(wants, nowMs);
    this.noteClaims(wants, claims, nowMs);
    for (const claimed of groupByLane(claims)) this.run(this.deliver(claimed));
    return claims.length > 0 ? 'busy' : 'idle';
  }

  private async discover(nowMs: number): Promise<void> {
    const took = stopwatch();
    const found = await findLanes(this.deps.database);
    for (const { dueAt, open, ...key } of found) {
      const lane = this.lane(key);
      lane.dueAtMs = Math.min(lane.dueAtMs ?? Infinity, dueAt.getTime());
      // Rows at or before the floor that are due: left by a lost lease, a retry, or a commit that came late.
      if (dueAt.getTime() <= nowMs && dueAt.getTime() <= lane.floor.dueAt.getTime()) lane.resetFloor();
      if (open) lane.restoreOpen(open.since.getTime(), open.retryAt.getTime(), open.lastError);
    }
    // At most a twentieth of the time goes into looking, however many lanes there are.
    this.discoverAtMs = nowMs + Math.max(DISCOVER_EVERY_MS, 20 * took());
  }

  private pickLanes(nowMs: number): { lane: Lane; most: number }[] {
    const lanes = [...this.lanes.values()];
    const wants: { lane: Lane; most: number }[] = [];
    let budget = Math.min(CLAIM_MAX, IN_FLIGHT_MAX - this.inFlight);
    // Each round starts at the next lane, so that a small budget is shared fairly.
    const start = lanes.length === 0 ? 0 : this.turn++ % lanes.length;
    for (let i = 0; i < lanes.length && budget > 0; i++) {
      const lane = lanes[(start + i) % lanes.length] as Lane;
      if (lane.dueAtMs === null || lane.dueAtMs > nowMs) continue;
      const room = lane.room(nowMs);
      if (room === 0) continue;
      const destination = this.deps.shops.destinationById(lane.key.destinationId);
      if (!destination?.enabled || !this.deps.shops.shopById(lane.key.shopId)) continue;
      const perSend = this.deps.adapters(destination)?.batch.items ?? 1;
      const most = lane.state === 'open' ? 1 : Math.min(budget, room * perSend);
      wants.push({ lane, most });
      budget -= most;
      // Before the claim, not after it: a nudge that comes while the claim is under way must not be lost.
      lane.dueAtMs = null;
    }
    return wants;
  }

  private async claim(wants: readonly { lane: Lane; most: number }[], nowMs: number): Promise<Claim[]> {
    try {
      return await claimDue(this.deps.database, wants, nowMs);
    } catch (error) {
      for (const { lane } of wants) lane.dueAtMs = nowMs;
      throw error;
    }
  }

  private noteClaims(wants: readonly { lane: Lane; most: number }[], claims: readonly Claim[], nowMs: number): void {
    const counts = new Map<string, { count: number; last: Claim }>();
    for (const claim of claims) {
      const name = laneName(claim);
      counts.set(name, { count: (counts.get(name)?.count ?? 0) + 1, last: claim });
    }
    for (const { lane, most } of wants) {
      const claimed = counts.get(laneName(lane.key));
      if (!claimed) continue;
      if (claimed.count >= most) lane.dueAtMs = nowMs; // there may be more
      const newestSafeMs = nowMs - FLOOR_SLACK_MS;
      const floor =
        claimed.last.dueAt.getTime() <= newestSafeMs
          ? { dueAt: claimed.last.dueAt, id: claimed.last.id }
          : { dueAt: new Date(newestSafeMs), id: '0' };
      if (floor.dueAt.getTime() >= lane.floor.dueAt.getTime()) lane.floor = floor;
    }
  }

  private run(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => {
        this.deps.log.error({ err: error }, 'delivery failed before an outcome; the lease returns it');
      })
      .finally(() => {
        this.underWay.delete(tracked);
        this.loop.wake();
      });
    this.underWay.add(tracked);
  }

  private async deliver(claims: readonly Claim[]): Promise<void> {
    const [first] = claims;
    if (!first) return;
    const lane = this.lane(first);
    const shop = this.deps.shops.shopById(first.shopId);
    const destination = this.deps.shops.destinationById(first.destinationId);
    const adapter = destination && this.deps.adapters(destination);
    if (!shop || !destination || !adapter) return; // gone between pick and claim; the lease returns them
    // Counted from the claim on, so that the lane's room is right while events are being prepared.
    this.inFlight += claims.length;
    const reserved = Math.ceil(claims.length / adapter.batch.items);
    lane.sending += reserved;
    let prepared: Prepared[];
    try {
      prepared = await this.prepare(claims, shop, destination, adapter);
    } catch (error) {
      this.inFlight -= claims.length;
      throw error;
    } finally {
      lane.sending -= reserved;
    }
    try {
      const batches = splitBatches(prepared, adapter.batch);
      await Promise.all(batches.map((batch) => this.sendBatch(lane, batch, destination, adapter)));
    } finally {
      this.inFlight -= claims.length;
    }
  }

  /** Reads, enriches and formats; what cannot be formatted is buried here. */
  private async prepare(
    claims: readonly Claim[],
    shop: Shop,
    destination: Destination,
    adapter: DestinationAdapter,
  ): Promise<Prepared[]> {
    const read = await this.readAll(claims);
    const prepared = await Promise.all(
      claims.map(async (claim): Promise<Prepared | null> => {
        const webhook = read.get(keyOf(claim));
        const event = webhook?.events.find((candidate) => candidate.kind === claim.kind);
        if (!webhook || !event) {
          await this.bury(claim, 'ours', webhook ? 'event-not-in-payload' : 'payload-expired', null, 0, 'failed');
          return null;
        }
        if (claim.orphaned && !adapter.isIdempotent(claim.kind)) {
          // The process that held it died between sending and settling. Sending again could count it twice.
          await this.bury(
            claim,
            'ours',
            'ambiguous-not-repeatable',
            'a process ended during the call',
            0,
            'unconfirmable',
          );
          return null;
        }
        const item: DeliveryItem = {
          shop,
          event: await this.deps.enricher.enrich(shop, event),
          eventId: eventId({
            shopDomain: shop.domain,
            subjectId: claim.subjectId,
            kind: claim.kind,
            version: claim.version,
          }),
          attempt: claim.attempts + 1,
          maybeSentBefore: claim.orphaned || claim.attempts > 0,
        };
        const formatted = adapter.format(item, destination);
        if (!formatted.ok) {
          await this.bury(claim, formatted.lane, formatted.reason, formatted.detail, 0, 'failed');
          return null;
        }
        return { claim, item, formatted, receivedAtMs: webhook.receivedAtMs };
      }),
    );
    return prepared.filter((one) => one !== null);
  }

  private async readAll(claims: readonly Claim[]): Promise<Map<string, ReadWebhook>> {
    const read = new Map<string, ReadWebhook>();
    const absent: Claim[] = [];
    for (const claim of claims) {
      const cached = this.deps.cache.get(claim);
      if (cached) read.set(keyOf(claim), cached);
      else absent.push(claim);
    }
    if (absent.length > 0) {
      const loaded = await this.deps.webhooks.read(absent);
      absent.forEach((claim, i) => {
        const webhook = loaded[i];
        if (webhook) read.set(keyOf(claim), webhook);
      });
    }
    return read;
  }

  private async sendBatch(
    lane: Lane,
    batch: readonly Prepared[],
    destination: Destination,
    adapter: DestinationAdapter,
  ): Promise<void> {
    lane.sending += 1;
    const took = stopwatch();
    let outcomes: Outcome[];
    try {
      outcomes = await adapter.send(batch, destination, AbortSignal.timeout(SEND_DEADLINE_MS));
    } catch (error) {
      // An adapter must not throw; one that does has a bug, and nothing tells whether the request went out.
      this.deps.log.error({ err: error, destination: destination.name }, 'destination adapter threw');
      outcomes = batch.map(() => ({ outcome: 'ambiguous', detail: `adapter threw: ${messageOf(error)}` }));
    } finally {
      lane.sending -= 1;
    }
    const durationMs = took();
    await this.judgeLane(lane, outcomes);
    this.loop.wake();
    await Promise.all(
      batch.map((prepared, i) =>
        this.settleOne(lane, prepared, outcomes[i] as Outcome, destination, adapter, durationMs),
      ),
    );
  }

  private async judgeLane(lane: Lane, outcomes: readonly Outcome[]): Promise<void> {
    const nowMs = this.deps.clock.nowMs();
    const trouble = outcomes.find(
      (o) => o.outcome === 'unreachable' || o.outcome === 'throttled' || o.outcome === 'ambiguous',
    );
    const answered = outcomes.some((o) => o.outcome === 'accepted' || o.outcome === 'rejected');
    let changed = false;
    if (trouble && !answered) {
      const retryAfterMs = 'retryAfterMs' in trouble ? trouble.retryAfterMs : null;
      changed = lane.failed(nowMs, trouble.detail, retryAfterMs, this.deps.random);
    } else if (answered) {
      changed = lane.succeeded();
      if (changed) {
        await restoreAgeOrder(this.deps.database, lane.key);
        lane.resetFloor();
        lane.dueAtMs = nowMs;
      }
    }
    if (changed || lane.state === 'open') {
      this.deps.log[changed ? 'warn' : 'debug'](
        { shop: lane.key.shopId, destination: lane.key.destinationId, breaker: lane.state, error: lane.lastError },
        changed ? `lane ${lane.state === 'open' ? 'blocked' : 'flows again'}` : 'lane still blocked',
      );
      await rememberLane(this.deps.database, lane, nowMs);
    }
  }

  private async settleOne(
    lane: Lane,
    prepared: Prepared,
    outcome: Outcome,
    destination: Destination,
    adapter: DestinationAdapter,
    durationMs: number,
  ): Promise<void> {
    const { claim } = prepared;
    this.deps.metrics.sent(destination.kind, outcome.outcome, durationMs);
    switch (outcome.outcome) {
      case 'accepted': {
        const at = this.deps.clock.now();
        this.deps.metrics.accepted(destination.kind, at.getTime() - prepared.receivedAtMs);
        await this.deps.settleQueue.add({
          ...this.settlement(claim, durationMs),
          state: outcome.confirmed ? 'confirmed' : 'accepted',
          reason: null,
          detail: outcome.status === undefined ? null : `HTTP ${outcome.status}`,
          attempt: claim.attempts + 1,
        });
        return;
      }
      case 'rejected':
        await this.bury(claim, outcome.lane, outcome.reason, outcome.detail, durationMs, 'failed');
        return;
      case 'ambiguous':
        if (!adapter.isIdempotent(claim.kind)) {
          await this.bury(claim, 'ours', 'ambiguous-not-repeatable', outcome.detail, durationMs, 'unconfirmable');
          return;
        }
        await this.retry(lane, claim, 'ambiguous', outcome.detail, null, durationMs);
        return;
      case 'throttled':
        await this.retry(lane, claim, 'throttled', outcome.detail, outcome.retryAfterMs, durationMs);
        return;
      case 'unreachable':
        await this.retry(lane, claim, 'unreachable', outcome.detail, outcome.retryAfterMs, durationMs);
        return;
    }
  }

  private async retry(
    lane: Lane,
    claim: Claim,
    reason: 'ambiguous' | 'throttled' | 'unreachable',
    detail: string,
    retryAfterMs: number | null,
    durationMs: number,
  ): Promise<void> {
    const nowMs = this.deps.clock.nowMs();
    const attempts = claim.attempts + 1;
    // While the lane is blocked the event keeps its place by age; the lane decides when the next one goes.
    const blocked = lane.state === 'open';
    const dueAtMs = blocked ? claim.queuedAt.getTime() : nowMs + retryDelayMs(attempts, retryAfterMs, this.deps.random);
    if (isSpent(claim.queuedAt.getTime(), Math.max(nowMs, dueAtMs))) {
      await this.bury(claim, 'theirs', `not-delivered-in-72h`, `${reason}: ${detail}`, durationMs, 'failed');
      return;
    }
    await this.deps.settleQueue.add({
      ...this.settlement(claim, durationMs),
      state: 'queued',
      reason,
      detail,
      attempt: attempts,
      dueAt: new Date(dueAtMs),
    });
    if (blocked) lane.resetFloor();
    lane.dueAtMs = Math.min(lane.dueAtMs ?? Infinity, dueAtMs);
  }

  private settlement(claim: Claim, durationMs: number): Omit<Settlement, 'state' | 'reason' | 'detail' | 'attempt'> {
    return {
      shopId: claim.shopId,
      subjectId: claim.subjectId,
      kind: claim.kind,
      destinationId: claim.destinationId,
      ledgerDay: claim.ledgerDay,
      orderId: claim.orderId,
      version: claim.version,
      lease: claim.lease,
      durationMs,
      at: this.deps.clock.now(),
      dueAt: null,
      segmentDay: claim.segmentDay,
      streamId: claim.streamId,
      segmentSeq: claim.segmentSeq,
      entry: claim.entry,
      queuedAt: claim.queuedAt,
    };
  }

  private async bury(
    claim: Claim,
    lane: 'ours' | 'theirs',
    reason: string,
    detail: string | null,
    durationMs: number,
    state: 'failed' | 'unconfirmable',
  ): Promise<void> {
    await this.deps.deadLetters.bury(
      { ...this.settlement(claim, durationMs), state, reason, detail, attempt: claim.attempts + 1 },
      lane,
    );
  }
}

function groupByLane(claims: readonly Claim[]): Claim[][] {
  const groups = new Map<string, Claim[]>();
  for (const claim of claims) {
    const name = laneName(claim);
    const group = groups.get(name);
    if (group) group.push(claim);
    else groups.set(name, [claim]);
  }
  return [...groups.values()];
}

function splitBatches(prepared: readonly Prepared[], limit: DestinationAdapter['batch']): Prepared[][] {
  const batches: Prepared[][] = [];
  let current: Prepared[] = [];
  let bytes = 0;
  for (const one of prepared) {
    if (current.length > 0 && (current.length >= limit.items || bytes + one.formatted.bytes > limit.bytes)) {
      batches.push(current);
      current = [];
      bytes = 0;
    }
    current.push(one);
    bytes += one.formatted.bytes;
  }
  if (current.length > 0) batches.push(current);
  return batches;
}
