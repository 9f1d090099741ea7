import { stopwatch, type Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import { PlumblineError, messageOf } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import type { Random } from '../../kernel/random.js';
import type {
  DeliveryItem,
  Destination,
  DestinationAdapter,
  DestinationKind,
  Formatted,
  Outcome,
  PayloadPointer,
  PipelineEvent,
  Shop,
} from '../contract.js';
import { keyOf, type EventCache, type ReadWebhook } from '../event-cache.js';
import { eventId } from '../event/event-id.js';
import { SegmentUnreadable } from '../inbox/inbox-reader.js';
import { purchasePointer } from '../ledger/ledger.js';
import type { Settlement } from '../ledger/settlement.js';
import type { WebhookReader } from '../webhook-reader.js';
import type { BurialLane, DeadLetters } from './dead-letters.js';
import type { Lane } from './lane.js';
import { release, rememberLane, restoreAgeOrder, type Claim } from './queue.js';
import { isSpent, retryDelayMs } from './retry.js';
import type { SettleQueue } from './settle-queue.js';

const LOSSES_MAX = 5; // a deploy takes one, a bad night three; an event that kills its process takes them all
const SEND_DEADLINE_MS = 10_000;
const GIVE_BACK_PAUSE_MAX_MS = 10_000; // in all 13 s: within the lease
const UNREADABLE_PAUSE_MS = 60_000; // a missing key comes with a restart

export interface DeliveryMetrics {
  /** One item's outcome at a destination. */
  sent(destination: DestinationKind, outcome: Outcome['outcome'], durationMs: number): void;
  /** Webhook received → destination's 2xx. */
  accepted(destination: DestinationKind, endToEndMs: number): void;
}

export interface SenderDeps {
  database: Database;
  webhooks: WebhookReader;
  cache: EventCache;
  enricher: { enrichAll(shop: Shop, events: readonly PipelineEvent[]): Promise<readonly PipelineEvent[]> };
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

/** A claim with the event it is about. */
interface Found {
  claim: Claim;
  event: PipelineEvent;
  receivedAtMs: number;
}

/** Where a lane's claims go. */
export interface Route {
  shop: Shop;
  destination: Destination;
  adapter: DestinationAdapter;
}

/** Brings claimed deliveries to their destination: reads, enriches, formats, sends, and settles what came of it. */
export class Sender {
  constructor(private readonly deps: SenderDeps) {}

  /**
   * All claims are of one lane. Resolves when each has an outcome that is written, or is left to its lease.
   *
   * @param sent called whenever a request has ended, so that the next claim need not wait for the rest
   */
  async deliver(lane: Lane, claims: readonly Claim[], route: Route, sent: () => void): Promise<void> {
    const { destination, adapter } = route;
    // Counted from the claim on, so that the lane's room is right while events are being prepared.
    const reserved = Math.ceil(claims.length / adapter.batch.items);
    lane.sending += reserved;
    const unready: Claim[] = [];
    let prepared: Prepared[];
    try {
      prepared = await this.prepare(claims, route, unready);
    } finally {
      lane.sending -= reserved;
    }
    const batches = splitBatches(prepared, adapter.batch);
    await Promise.all([
      ...batches.map((batch) => this.sendBatch(lane, batch, destination, adapter, sent)),
      this.giveBack(unready),
    ]);
  }

  /**
   * Gives claims back that nothing has been sent of, so that their next claim knows so: left to their leases they
   * would count as perhaps sent. Those already in doubt stay with their leases, and in doubt.
   */
  async giveBack(claims: readonly Claim[]): Promise<void> {
    const unsent = claims.filter((claim) => !claim.orphaned);
    if (unsent.length === 0) return;
    for (let pauseMs = 200; pauseMs < GIVE_BACK_PAUSE_MAX_MS; pauseMs *= 2) {
      try {
        await release(this.deps.database, unsent);
        return;
      } catch (error) {
        this.deps.log.warn({ err: error, claims: unsent.length }, 'unsent deliveries could not be given back');
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  }

  /**
   * Reads, enriches and formats; what cannot be formatted is buried here. One claim's trouble is its own.
   *
   * @param unready takes the claims that could not be prepared for now
   */
  private async prepare(claims: readonly Claim[], route: Route, unready: Claim[]): Promise<Prepared[]> {
    const read = await this.readAll(claims).catch((error: unknown) => {
      this.deps.log.error({ err: error, claims: claims.length }, 'payloads could not be read; trying again');
      unready.push(...claims);
      return null;
    });
    if (read === null) return [];
    const each = async <Input, Output>(
      inputs: readonly Input[],
      claimOf: (input: Input) => Claim,
      step: (input: Input, index: number) => Promise<Output | null>,
    ): Promise<Output[]> => {
      const outputs = await Promise.all(
        inputs.map((input, index) =>
          step(input, index).catch((error: unknown) => {
            const claim = claimOf(input);
            this.deps.log.error({ err: error, subject: claim.subjectId }, 'delivery not prepared; trying again');
            unready.push(claim);
            return null;
          }),
        ),
      );
      return outputs.filter((output) => output !== null);
    };
    const found = await each(
      claims,
      (claim) => claim,
      (claim) => this.find(claim, read.get(keyOf(claim)), route.adapter),
    );
    const events = await this.deps.enricher.enrichAll(
      route.shop,
      found.map(({ event }) => event),
    );
    return each(
      found,
      ({ claim }) => claim,
      (one, index) => this.format({ ...one, event: events[index] ?? one.event }, route),
    );
  }

  /** @returns `null` when there is nothing to send, which is then written down */
  private async find(
    claim: Claim,
    webhook: ReadWebhook | SegmentUnreadable | undefined,
    adapter: DestinationAdapter,
  ): Promise<Found | null> {
    if (webhook instanceof SegmentUnreadable) {
      // With the key that sealed it, it can be read again; damaged bytes stay damaged.
      if (webhook.cause instanceof PlumblineError) await this.postpone(claim, webhook.message);
      else await this.bury(claim, 'ours', 'payload-unreadable', webhook.message, 0, 'failed');
      return null;
    }
    const event = webhook?.events.find((candidate) => candidate.kind === claim.kind);
    if (!webhook || !event) {
      await this.bury(claim, 'ours', webhook ? 'event-not-in-payload' : 'payload-expired', null, 0, 'failed');
      return null;
    }
    // Not before its time is over: a claim is lost with the database as well, through no fault of the event.
    if (claim.losses >= LOSSES_MAX && isSpent(claim.queuedAt.getTime(), this.deps.clock.nowMs())) {
      const detail = `its claim was lost ${claim.losses} times in a row`;
      await this.bury(claim, 'ours', 'process-ended-repeatedly', detail, 0, 'unconfirmable');
      return null;
    }
    if (claim.orphaned && !adapter.isIdempotent(claim.kind)) {
      // The process that held it died between sending and settling. Sending again could count it twice.
      await this.bury(claim, 'ours', 'ambiguous-not-repeatable', 'a process ended during the call', 0, 'unconfirmable');
      return null;
    }
    return { claim, event, receivedAtMs: webhook.receivedAtMs };
  }

  private async format(
    { claim, event, receivedAtMs }: Found,
    { shop, destination, adapter }: Route,
  ): Promise<Prepared | null> {
    const item: DeliveryItem = {
      shop,
      event: await this.withOrderName(claim, event),
      eventId: eventId({
        shopDomain: shop.domain,
        subjectId: claim.subjectId,
        kind: claim.kind,
        version: claim.version,
      }),
      attempt: claim.attempts + 1,
      maybeSentBefore: claim.orphaned || claim.attempts > 0,
    };
    const formatted = formatOrFail(adapter, item, destination);
    if (!formatted.ok) {
      await this.bury(claim, formatted.lane, formatted.reason, formatted.detail, 0, 'failed');
      return null;
    }
    return { claim, item, formatted, receivedAtMs };
  }

  /** A refund's body does not carry its order's name, and a shop may know its GA4 transactions by it. */
  private async withOrderName(claim: Claim, event: PipelineEvent): Promise<PipelineEvent> {
    if (event.kind !== 'refund' || event.orderName !== null) return event;
    const pointer = await purchasePointer(this.deps.database, claim.shopId, event.orderId);
    const order = pointer ? await this.readOne(pointer) : null;
    const orderName = order instanceof SegmentUnreadable ? null : (order?.events[0]?.orderName ?? null);
    return { ...event, orderName };
  }

  private async readAll(claims: readonly Claim[]): Promise<Map<string, ReadWebhook | SegmentUnreadable>> {
    const read = new Map<string, ReadWebhook | SegmentUnreadable>();
    const absent: Claim[] = [];
    for (const claim of claims) {
      const cached = this.deps.cache.get(claim);
      if (cached) read.set(keyOf(claim), cached);
      else absent.push(claim);
    }
    if (absent.length === 0) return read;
    const loaded = await this.deps.webhooks.read(absent).catch((error: unknown) => {
      if (error instanceof SegmentUnreadable) return null;
      throw error;
    });
    for (const [i, claim] of absent.entries()) {
      // One that cannot be opened must not hold up the others: then each is read for itself.
      const webhook = loaded === null ? await this.readOne(claim) : loaded[i];
      if (webhook) read.set(keyOf(claim), webhook);
    }
    return read;
  }

  private async readOne(pointer: PayloadPointer): Promise<ReadWebhook | SegmentUnreadable | null> {
    try {
      return (await this.deps.webhooks.read([pointer]))[0] ?? null;
    } catch (error) {
      if (error instanceof SegmentUnreadable) return error;
      throw error;
    }
  }

  private async sendBatch(
    lane: Lane,
    batch: readonly Prepared[],
    destination: Destination,
    adapter: DestinationAdapter,
    sent: () => void,
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
    await this.judgeLane(lane, outcomes).catch((error: unknown) => {
      // What people and other processes see of the breaker may be late; the outcomes must not be lost with it.
      this.deps.log.warn({ err: error, destination: destination.name }, 'breaker not written down');
    });
    sent();
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
        await this.retry(lane, claim, destination, 'ambiguous', outcome.detail, null, durationMs);
        return;
      case 'throttled':
        await this.retry(lane, claim, destination, 'throttled', outcome.detail, outcome.retryAfterMs, durationMs);
        return;
      case 'unreachable':
        await this.retry(lane, claim, destination, 'unreachable', outcome.detail, outcome.retryAfterMs, durationMs);
        return;
    }
  }

  private async retry(
    lane: Lane,
    claim: Claim,
    destination: Destination,
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
    // What was parked for days has not been tried for days: its 72 hours begin when the destination is enabled.
    const triedSinceMs = Math.max(claim.queuedAt.getTime(), destination.changedAt?.getTime() ?? 0);
    if (isSpent(triedSinceMs, Math.max(nowMs, dueAtMs))) {
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

  /** Not the destination's trouble, so the lane is not told. */
  private async postpone(claim: Claim, detail: string): Promise<void> {
    const nowMs = this.deps.clock.nowMs();
    if (isSpent(claim.queuedAt.getTime(), nowMs)) {
      await this.bury(claim, 'ours', 'payload-unreadable', detail, 0, 'failed');
      return;
    }
    const attempt = claim.attempts + 1;
    const dueAt = new Date(nowMs + retryDelayMs(attempt, UNREADABLE_PAUSE_MS, this.deps.random));
    await this.deps.settleQueue.add({
      ...this.settlement(claim, 0),
      state: 'queued',
      reason: 'payload-unreadable',
      detail,
      attempt,
      dueAt,
    });
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
      atRow: claim.atRow,
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
    lane: BurialLane,
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

/** A body that no formatter foresaw must become a dead letter, never stop the events around it. */
function formatOrFail(adapter: DestinationAdapter, item: DeliveryItem, destination: Destination): Formatted {
  try {
    return adapter.format(item, destination);
  } catch (error) {
    return { ok: false, lane: 'ours', reason: 'format-failed', detail: messageOf(error) };
  }
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
