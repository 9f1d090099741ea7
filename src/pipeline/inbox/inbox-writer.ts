import type { Clock } from '../../kernel/clock.js';
import { stopwatch } from '../../kernel/clock.js';
import { messageOf } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import type { SecretBox } from '../../kernel/secrets.js';
import type { InboxEntry } from '../contract.js';
import { SegmentDraft, entryWeight } from './segment.js';
import { StreamSlot } from './stream-slot.js';

export type Durable = 'database' | 'journal';

/** Nothing durable could be reached: the webhook was not taken, and its sender must hear so. */
export class IntakeRefused extends Error {
  constructor(reason: string, options?: { cause?: unknown }) {
    super(reason, options);
    this.name = 'IntakeRefused';
  }
}

export interface InboxRecorder {
  /** One group commit: entries, bytes written, milliseconds it took, and where they are now. */
  appended(entries: number, bytes: number, ms: number, where: Durable): void;
}

/** Where batches go that the database does not take. */
export interface Spill {
  /** Resolves with the bytes written once they are on stable storage. The bodies are good until then. */
  append(entries: readonly InboxEntry[]): Promise<number>;
}

export interface InboxWriterOptions {
  databaseUrl: string;
  writer: string;
  secrets: SecretBox;
  clock: Clock;
  log: Logger;
  journal: Spill;
  ensurePartitions: () => Promise<unknown>;
  recorder?: InboxRecorder;
  /** Connections that commit side by side. */
  streams?: number;
  /**
   * A webhook waits at most this long for company, milliseconds, and only while a commit is under way: at half load
   * they are over sooner and nobody waits that long; at full load 4 instead of 1 makes batches of 100 instead of 38.
   */
  windowMs?: number;
  entriesMax?: number;
  bytesMax?: number;
  queueEntriesMax?: number;
  queueBytesMax?: number;
}

export interface InboxWriterHealth {
  database: 'up' | 'down';
  streams: { ready: number; busy: number; down: number };
  waiting: number;
  waitingBytes: number;
  lastError: string | null;
}

interface Waiter {
  resolve: (where: { durable: Durable }) => void;
  reject: (error: IntakeRefused) => void;
}

/** What will be stored together. */
interface Batch {
  draft: SegmentDraft;
  weight: number;
  /** When the eldest came. */
  sinceMs: number;
  waiters: Waiter[];
}

const IN_DATABASE = Object.freeze({ durable: 'database' } as const);
const IN_JOURNAL = Object.freeze({ durable: 'journal' } as const);

// With every stream at work and the eldest waiting this long, the database is stuck rather than busy. What is left of
// intake's 4 s is for the journal.
const SPILL_AFTER_MS = 1_000;
const WATCH_EVERY_MS = 100;

/**
 * Group commit. Webhooks that arrive together are stored together: one compressed segment, one commit, one flush.
 *
 * Invariant: `append` resolves only after its entry is on stable storage, in the database or in the journal; it
 * rejects with `IntakeRefused` and nothing else. A rejected entry may still have been stored (a commit whose answer
 * was lost): the sender repeats it and the router drops the repeat.
 */
export class InboxWriter {
  private readonly slots: StreamSlot[];
  private readonly elapsedMs = stopwatch();
  private readonly windowMs: number;
  private readonly entriesMax: number;
  private readonly bytesMax: number;
  private readonly queueEntriesMax: number;
  private readonly queueBytesMax: number;
  /** The eldest first; only the last takes company. */
  private readonly queue: Batch[] = [];
  private readonly spareDrafts: SegmentDraft[] = [];
  /** Taken and not settled yet: what waits and what is being committed. */
  private inHand = 0;
  private inHandBytes = 0;
  private windowTimer: NodeJS.Timeout | null = null;
  private immediate: NodeJS.Immediate | null = null;
  private watch: NodeJS.Timeout | null = null;
  private idle: (() => void)[] = [];
  private closed = false;
  private unloggedRefusals = 0;
  private refusalLoggedMs = -Infinity;

  constructor(private readonly options: InboxWriterOptions) {
    this.windowMs = options.windowMs ?? 4;
    this.entriesMax = options.entriesMax ?? 128;
    this.bytesMax = options.bytesMax ?? 1536 * 1024;
    this.queueEntriesMax = options.queueEntriesMax ?? 20_000;
    this.queueBytesMax = options.queueBytesMax ?? 64 * 1024 * 1024;
    this.slots = Array.from(
      { length: options.streams ?? 3 },
      () => new StreamSlot({ ...options, onReady: () => this.flush() }),
    );
  }

  /** Opens the streams. Resolves when each has been tried once; without a database the journal takes over at once. */
  async start(): Promise<this> {
    this.watch = setInterval(() => this.spillStuck(), WATCH_EVERY_MS);
    this.watch.unref();
    await Promise.all(this.slots.map((slot) => slot.open()));
    return this;
  }

  /** @throws IntakeRefused when nothing durable could be reached */
  append(entry: InboxEntry): Promise<{ durable: Durable }> {
    return new Promise((resolve, reject) => {
      const weight = entryWeight(entry);
      if (this.closed) return reject(new IntakeRefused('the inbox is closed'));
      if (this.inHand >= this.queueEntriesMax || this.inHandBytes + weight > this.queueBytesMax) {
        return reject(
          new IntakeRefused(`${this.inHand} webhooks (${this.inHandBytes} bytes) already wait for storage`),
        );
      }
      const last = this.queue.at(-1);
      const company = last && !this.isFull(last) ? last : null;
      let batch: Batch;
      try {
        batch = company ?? this.newBatch();
        batch.draft.add(entry);
      } catch (error) {
        return reject(new IntakeRefused(`it could not be encoded: ${messageOf(error)}`, { cause: error }));
      }
      if (!company) this.queue.push(batch);
      this.inHand += 1;
      this.inHandBytes += weight;
      batch.weight += weight;
      batch.waiters.push({ resolve, reject });
      this.schedule();
    });
  }

  health(): InboxWriterHealth {
    const streams = { ready: 0, busy: 0, down: 0 };
    for (const slot of this.slots) streams[slot.state] += 1;
    return {
      database: streams.ready + streams.busy > 0 ? 'up' : 'down',
      streams,
      waiting: this.inHand,
      waitingBytes: this.inHandBytes,
      lastError: this.slots.find((slot) => slot.lastError !== null)?.lastError ?? null,
    };
  }

  /** Takes nothing more, waits until everything taken is settled, and lets the streams go. */
  async close(): Promise<void> {
    this.closed = true;
    this.flush();
    if (this.inHand > 0) await new Promise<void>((resolve) => this.idle.push(resolve));
    if (this.watch) clearInterval(this.watch);
    await Promise.all(this.slots.map((slot) => slot.close()));
  }

  private newBatch(): Batch {
    const draft = this.spareDrafts.pop() ?? new SegmentDraft();
    return { draft, weight: 0, sinceMs: this.elapsedMs(), waiters: [] };
  }

  private isFull({ draft, weight }: Batch): boolean {
    return draft.count >= this.entriesMax || weight >= this.bytesMax;
  }

  /**
   * When to flush what waits. At once, when a batch is full or the eldest has waited long enough; at the end of this
   * turn of the event loop, when no commit is under way that company could be gathered meanwhile; else when the
   * window is over. So a lone webhook waits for nobody, and a crowd shares its commits.
   */
  private schedule(): void {
    const eldest = this.queue[0];
    if (!eldest) return;
    const leftMs = this.windowMs - (this.elapsedMs() - eldest.sinceMs);
    if (this.isFull(eldest) || leftMs <= 0) {
      this.flush();
    } else if (this.slots.every((slot) => slot.state !== 'busy')) {
      this.immediate ??= setImmediate(() => this.flush());
    } else {
      this.windowTimer ??= setTimeout(() => this.flush(), leftMs);
    }
  }

  private flush(): void {
    if (this.windowTimer) clearTimeout(this.windowTimer);
    if (this.immediate) clearImmediate(this.immediate);
    this.windowTimer = null;
    this.immediate = null;
    while (this.queue.length > 0) {
      const slot = this.slots.find((candidate) => candidate.state === 'ready');
      // A stream that comes back flushes; `spillStuck` watches over the eldest.
      if (!slot && this.slots.some((candidate) => candidate.state !== 'down')) return;
      const batch = this.queue.shift();
      if (batch) void (slot ? this.commit(slot, batch) : this.spill(batch, null));
    }
  }

  private async commit(slot: StreamSlot, batch: Batch): Promise<void> {
    const startedMs = this.elapsedMs();
    const outcome = await slot.append(batch.draft).catch(failure);
    if (typeof outcome === 'number') this.settle(batch, outcome, startedMs, IN_DATABASE);
    else await this.spill(batch, outcome.failure);
    this.schedule();
  }

  private async spill(batch: Batch, cause: unknown): Promise<void> {
    const startedMs = this.elapsedMs();
    const outcome = await this.toJournal(batch).catch(failure);
    if (typeof outcome === 'number') this.settle(batch, outcome, startedMs, IN_JOURNAL);
    else this.refuse(batch, cause, outcome.failure);
  }

  // Async, so that what is thrown on the way to the journal's own promise ends as a refusal too.
  private async toJournal({ draft }: Batch): Promise<number> {
    return this.options.journal.append(draft.entries());
  }

  private settle(batch: Batch, bytes: number, startedMs: number, where: { durable: Durable }): void {
    this.release(batch);
    this.options.recorder?.appended(batch.waiters.length, bytes, this.elapsedMs() - startedMs, where.durable);
    for (const waiter of batch.waiters) waiter.resolve(where);
  }

  private refuse(batch: Batch, databaseError: unknown, journalError: unknown): void {
    const down = databaseError ?? this.health().lastError ?? 'no stream';
    const reason = `neither the database (${messageOf(down)}) nor the journal (${messageOf(journalError)}) took it`;
    this.logRefusal(batch.waiters.length, journalError, reason);
    this.release(batch);
    for (const waiter of batch.waiters) waiter.reject(new IntakeRefused(reason, { cause: journalError }));
  }

  // Every batch of a flood is refused; a line a second tells as much.
  private logRefusal(webhooks: number, journalError: unknown, reason: string): void {
    this.unloggedRefusals += webhooks;
    const nowMs = this.elapsedMs();
    if (nowMs - this.refusalLoggedMs < 1_000) return;
    this.options.log.error({ err: journalError, webhooks: this.unloggedRefusals }, reason);
    this.refusalLoggedMs = nowMs;
    this.unloggedRefusals = 0;
  }

  private release({ draft, weight, waiters }: Batch): void {
    this.inHand -= waiters.length;
    this.inHandBytes -= weight;
    if (this.spareDrafts.length <= this.slots.length) {
      draft.clear();
      this.spareDrafts.push(draft);
    }
    if (this.inHand > 0) return;
    for (const resolve of this.idle.splice(0)) resolve();
  }

  private spillStuck(): void {
    const eldest = this.queue[0];
    if (!eldest || this.elapsedMs() - eldest.sinceMs < SPILL_AFTER_MS) return;
    for (const batch of this.queue.splice(0)) void this.spill(batch, new Error('every stream is stuck'));
  }
}

function failure(error: unknown): { failure: unknown } {
  return { failure: error };
}
