import { stopwatch, type Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import { PlumblineError, messageOf } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import type { Random } from '../../kernel/random.js';
import type { Destination, DestinationKind, InboxEntry, PayloadPointer, PipelineEvent, Shop } from '../contract.js';
import type { DeliveryItem, DestinationAdapter, Formatted, Outcome, SendItem } from '../destinations/adapter.js';
import type { EventCache, ReadWebhook } from '../event-cache.js';
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
const PART_ITEMS_MIN = 50; // where a request holds one event: some 5 ms of reading and formatting
const SEND_DEADLINE_MS = 10_000;
const GIVE_BACK_PAUSE_MAX_MS = 10_000; // in all 13 s: within the lease
const UNREADABLE_PAUSE_MS = 60_000; // a missing key comes with a restart

export interface DeliveryMetrics {
  /** A send that ended: once for each outcome that its items had. */
  sent(destination: DestinationKind, outcome: Outcome['outcome'], durationMs: number): void;
  /** Webhook received → destination's 2xx. */
  accepted(destination: DestinationKind, endToEndMs: number): void;
}

export interface SenderDeps {
  database: Database;
  webhooks: WebhookReader;
  cache: EventCache;
  /** Answers at once where no event lacks anything that can be had. */
  enricher: {
    enrichAll(
      shop: Shop,
      events: readonly PipelineEvent[],
    ): readonly PipelineEvent[] | Promise<readonly PipelineEvent[]>;
  };
  deadLetters: DeadLetters;
  settleQueue: SettleQueue;
  clock: Clock;
  random: Random;
  log: Logger;
  metrics: DeliveryMetrics;
}

/** Ready to be sent. Nothing of the event is left in it but the request: thousands of these wait for an answer. */
interface Prepared extends SendItem {
  claim: Claim;
  receivedAtMs: number;
}

/** A claim with the event it is about. */
interface Found {
  claim: Claim;
  event: PipelineEvent;
  receivedAtMs: number;
}

/** A claim whose event is not sent, and what writes down why. */
class Ended {
  constructor(
    readonly claim: Claim,
    readonly end: () => Promise<void>,
  ) {}
}

/** Where claims go that are not prepared. */
interface LeftOut {
  ended: Ended[];
  notPrepared: (claim: Claim, error: unknown) => void;
}

/** Runs a step for each, so that one claim's trouble is its own. */
function eachOf<Input, Output>(
  inputs: readonly Input[],
  claimOf: (input: Input) => Claim,
  step: (input: Input, index: number) => Output | Ended,
  { ended, notPrepared }: LeftOut,
): Output[] {
  const outputs: Output[] = [];
  for (const [index, input] of inputs.entries()) {
    try {
      const output = step(input, index);
      if (output instanceof Ended) ended.push(output);
      else outputs.push(output);
    } catch (error) {
      notPrepared(claimOf(input), error);
    }
  }
  return outputs;
}

/** A webhook as it was found: read before, to be read, not readable, or gone. */
type Source = ReadWebhook | InboxEntry | SegmentUnreadable | null;

/** Where a lane's claims go. */
export interface Route {
  shop: Shop;
  destination: Destination;
  adapter: DestinationAdapter;
}

/** What the worker hears of a delivery while it is under way. */
export interface Progress {
  /** So many claims have had their turn, or were given up: the processor is free for others. */
  turned(claims: number): void;
  /** A request has ended. */
  sent(): void;
}

/** Brings claimed deliveries to their destination: reads, enriches, formats, sends, and settles what came of it. */
export class Sender {
  private lastTurn: Promise<void> = Promise.resolve();

  constructor(private readonly deps: SenderDeps) {}

  /**
   * All claims are of one lane. Resolves when each has an outcome that is written, or is left to its lease.
   *
   * They are read and formatted in parts of about a request, and sent part by part: between two parts others have
   * their turn, and what was parsed is garbage before the next part is.
   *
   * @param progress so that the next claim need not wait for the rest of these
   */
  async deliver(lane: Lane, claims: readonly Claim[], route: Route, progress: Progress): Promise<void> {
    const { adapter } = route;
    const partItems = adapter.batch.items * Math.ceil(PART_ITEMS_MIN / adapter.batch.items);
    const parts: Promise<void>[] = [];
    for (let at = 0; at < claims.length; at += partItems) {
      const part = claims.slice(at, at + partItems);
      // Counted from the claim on, so that the lane's room is right while events are being prepared.
      const reserved = Math.ceil(part.length / adapter.batch.items);
      lane.sending += reserved;
      parts.push(this.deliverPart(lane, part, reserved, route, progress));
    }
    await Promise.allSettled(parts); // each to its end, whatever becomes of the others: the caller counts what is under way
    await Promise.all(parts);
  }

  private async deliverPart(
    lane: Lane,
    claims: readonly Claim[],
    reserved: number,
    route: Route,
    progress: Progress,
  ): Promise<void> {
    const { destination, adapter } = route;
    const unready: Claim[] = [];
    let prepared: Prepared[];
    try {
      prepared = await this.prepare(claims, route, unready, progress);
    } finally {
      lane.sending -= reserved;
    }
    const batches = splitBatches(prepared, adapter.batch);
    await Promise.all([
      ...batches.map((batch) => this.sendBatch(lane, batch, destination, adapter, progress)),
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
   * Once it is its turn nothing is waited for, unless an event lacks something: so what is parsed dies young.
   *
   * @param unready takes the claims that could not be prepared for now
   */
  private async prepare(
    claims: readonly Claim[],
    route: Route,
    unready: Claim[],
    progress: Progress,
  ): Promise<Prepared[]> {
    const sources = await this.load(claims).catch((error: unknown) => {
      this.deps.log.error({ err: error, claims: claims.length }, 'payloads could not be read; trying again');
      unready.push(...claims);
      return null;
    });
    await this.turn();
    progress.turned(claims.length); // the rest of this turn is ours, and what is waited for after it is no work
    if (sources === null) return [];
    const notPrepared = (claim: Claim, error: unknown): void => {
      this.deps.log.error({ err: error, subject: claim.subjectId }, 'delivery not prepared; trying again');
      unready.push(claim);
    };
    const ended: Ended[] = [];
    const preparing = this.readAndFormat(claims, sources, route, { ended, notPrepared });
    // This call has waited long enough to be old for the garbage collector; what it still points to, even when it is
    // over, lives until the next full collection. So it lets go of the bodies, and never holds an event.
    sources.length = 0;
    const prepared = preparing instanceof Promise ? await preparing : preparing;
    await Promise.all(ended.map(({ claim, end }) => end().catch((error: unknown) => notPrepared(claim, error))));
    return prepared;
  }

  /** A promise only where an event lacks something that has to be asked for. */
  private readAndFormat(
    claims: readonly Claim[],
    sources: readonly Source[],
    route: Route,
    left: LeftOut,
  ): Prepared[] | Promise<Prepared[]> {
    const found = eachOf(
      claims,
      (claim) => claim,
      (claim, index) => this.find(claim, sources[index] ?? null, route.adapter),
      left,
    );
    if (!found.some(lacksOrderName)) return this.enrichAndFormat(found, route, left);
    const named = found.map((one) =>
      this.withOrderName(one).catch((error: unknown) => {
        left.notPrepared(one.claim, error);
        return null;
      }),
    );
    return Promise.all(named).then((all) =>
      this.enrichAndFormat(
        all.filter((one) => one !== null),
        route,
        left,
      ),
    );
  }

  private enrichAndFormat(found: readonly Found[], route: Route, left: LeftOut): Prepared[] | Promise<Prepared[]> {
    const format = (events: readonly PipelineEvent[]): Prepared[] =>
      eachOf(
        found,
        ({ claim }) => claim,
        (one, index) => this.format(one, events[index] ?? one.event, route),
        left,
      );
    const enriching = this.deps.enricher.enrichAll(
      route.shop,
      found.map(({ event }) => event),
    );
    return enriching instanceof Promise ? enriching.then(format) : format(enriching);
  }

  /** Resolves when it is the caller's turn: one at a time, with a turn of the event loop between two. */
  private turn(): Promise<void> {
    return (this.lastTurn = this.lastTurn.then(() => new Promise((resolve) => setImmediate(resolve))));
  }

  private find(claim: Claim, source: Source, adapter: DestinationAdapter): Found | Ended {
    if (source instanceof SegmentUnreadable) {
      return new Ended(claim, () =>
        // With the key that sealed it, it can be read again; damaged bytes stay damaged.
        source.cause instanceof PlumblineError
          ? this.postpone(claim, source.message)
          : this.bury(claim, 'ours', 'payload-unreadable', source.message, 0, 'failed'),
      );
    }
    const buried = (reason: string, detail: string | null, state: 'failed' | 'unconfirmable'): Ended =>
      new Ended(claim, () => this.bury(claim, 'ours', reason, detail, 0, state));
    if (source === null) return buried('payload-expired', null, 'failed');
    const webhook = 'events' in source ? source : this.deps.webhooks.read(source);
    const event = webhook.events.find((candidate) => candidate.kind === claim.kind);
    if (!event) return buried('event-not-in-payload', null, 'failed');
    // Not before its time is over: a claim is lost with the database as well, through no fault of the event.
    if (claim.losses >= LOSSES_MAX && isSpent(claim.queuedAt.getTime(), this.deps.clock.nowMs())) {
      return buried('process-ended-repeatedly', `its claim was lost ${claim.losses} times in a row`, 'unconfirmable');
    }
    if (claim.orphaned && !adapter.isIdempotent(claim.kind)) {
      // The process that held it died between sending and settling. Sending again could count it twice.
      return buried('ambiguous-not-repeatable', 'a process ended during the call', 'unconfirmable');
    }
    return { claim, event, receivedAtMs: webhook.receivedAtMs };
  }

  private format(
    { claim, receivedAtMs }: Found,
    event: PipelineEvent,
    { shop, destination, adapter }: Route,
  ): Prepared | Ended {
    const item: DeliveryItem = {
      shop,
      event,
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
      const { lane, reason, detail } = formatted;
      return new Ended(claim, () => this.bury(claim, lane, reason, detail, 0, 'failed'));
    }
    return { claim, kind: claim.kind, eventId: item.eventId, formatted, receivedAtMs };
  }

  /** A refund's body does not carry its order's name, and a shop may know its GA4 transactions by it. */
  private async withOrderName(found: Found): Promise<Found> {
    if (!lacksOrderName(found)) return found;
    const { claim, event } = found;
    const pointer = await purchasePointer(this.deps.database, claim.shopId, event.orderId);
    const order = pointer ? await this.loadOne(pointer) : null;
    const known = order === null || order instanceof SegmentUnreadable ? null : this.deps.webhooks.read(order);
    return { ...found, event: { ...event, orderName: known?.events[0]?.orderName ?? null } };
  }

  /** In the order of the claims. */
  private async load(claims: readonly Claim[]): Promise<Source[]> {
    const sources: Source[] = claims.map((claim) => this.deps.cache.get(claim) ?? null);
    const absent = claims.flatMap((claim, index) => (sources[index] === null ? [{ claim, index }] : []));
    if (absent.length === 0) return sources;
    const loaded = await this.deps.webhooks.load(absent.map(({ claim }) => claim)).catch((error: unknown) => {
      if (error instanceof SegmentUnreadable) return null;
      throw error;
    });
    for (const [i, { claim, index }] of absent.entries()) {
      // One that cannot be opened must not hold up the others: then each is read for itself.
      sources[index] = loaded === null ? await this.loadOne(claim) : (loaded[i] ?? null);
    }
    return sources;
  }

  private async loadOne(pointer: PayloadPointer): Promise<InboxEntry | SegmentUnreadable | null> {
    try {
      return (await this.deps.webhooks.load([pointer]))[0] ?? null;
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
    progress: Progress,
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
    progress.sent();
    for (const outcome of new Set(outcomes.map((each) => each.outcome))) {
      this.deps.metrics.sent(destination.kind, outcome, durationMs);
    }
    const accepted: Settlement[] = [];
    const others: Promise<void>[] = [];
    for (const [i, prepared] of batch.entries()) {
      const outcome = outcomes[i] as Outcome;
      if (outcome.outcome === 'accepted') accepted.push(this.acceptance(prepared, outcome, destination, durationMs));
      else others.push(this.settleOther(lane, prepared.claim, outcome, destination, adapter, durationMs));
    }
    await Promise.all([this.deps.settleQueue.add(accepted), ...others]);
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

  private acceptance(
    { claim, receivedAtMs }: Prepared,
    { confirmed, status }: Extract<Outcome, { outcome: 'accepted' }>,
    destination: Destination,
    durationMs: number,
  ): Settlement {
    const settlement = this.settlement(claim, durationMs);
    this.deps.metrics.accepted(destination.kind, settlement.at.getTime() - receivedAtMs);
    return {
      ...settlement,
      state: confirmed ? 'confirmed' : 'accepted',
      detail: status === undefined ? null : `HTTP ${status}`,
    };
  }

  private async settleOther(
    lane: Lane,
    claim: Claim,
    outcome: Exclude<Outcome, { outcome: 'accepted' }>,
    destination: Destination,
    adapter: DestinationAdapter,
    durationMs: number,
  ): Promise<void> {
    switch (outcome.outcome) {
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
    await this.deps.settleQueue.add([
      { ...this.settlement(claim, durationMs), state: 'queued', reason, detail, dueAt: new Date(dueAtMs) },
    ]);
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
    await this.deps.settleQueue.add([
      { ...this.settlement(claim, 0), state: 'queued', reason: 'payload-unreadable', detail, dueAt },
    ]);
  }

  /** Of this try, as far as it is the same for every outcome. */
  private settlement(claim: Claim, durationMs: number): Settlement {
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
      state: 'queued',
      reason: null,
      detail: null,
      attempt: claim.attempts + 1,
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
    await this.deps.deadLetters.bury({ ...this.settlement(claim, durationMs), state, reason, detail }, lane);
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

function lacksOrderName({ event }: Found): boolean {
  return event.kind === 'refund' && event.orderName === null;
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
