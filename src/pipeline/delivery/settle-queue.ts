import { isDataError, type Database } from '../../kernel/database.js';
import type { Logger } from '../../kernel/log.js';
import { settle, type Settlement } from '../ledger/settlement.js';

const FLUSH_AFTER_MS = 3; // under load a batch fills sooner; when idle, 3 ms are nothing beside a destination's answer
const BATCH_MAX = 500;
const GIVE_UP_AFTER_MS = 20_000; // inside the lease: past it another worker may hold the row, and must

interface Waiting {
  settlement: Settlement;
  /** Those that were added with it, and who waits for them. */
  together: { left: number; done: () => void };
}

/**
 * Writes outcomes in batches: one statement for everything that ended within a few milliseconds.
 *
 * Invariant: an outcome that cannot be written is not lost but unknown. Its row keeps its lease, is claimed again
 * when that runs out, and goes out with the same event id. One that the database refuses for what is in it takes no
 * other with it: a batch holds outcomes of all lanes.
 */
export class SettleQueue {
  private waiting: Waiting[] = [];
  private timer: NodeJS.Timeout | null = null;
  private flushing: Promise<void> | null = null;

  constructor(
    private readonly database: Database,
    private readonly log: Logger,
  ) {}

  /** Resolves when all are written, or given up on (their leases then decide). */
  add(settlements: readonly Settlement[]): Promise<void> {
    if (settlements.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const together = { left: settlements.length, done: resolve };
      for (const settlement of settlements) this.waiting.push({ settlement, together });
      if (this.waiting.length >= BATCH_MAX) this.flushSoon(0);
      else this.flushSoon(FLUSH_AFTER_MS);
    });
  }

  private flushSoon(afterMs: number): void {
    if (this.flushing) return;
    if (afterMs === 0) {
      if (this.timer) clearTimeout(this.timer);
      this.timer = null;
      this.flushing = this.flushAll();
    } else {
      this.timer ??= setTimeout(() => {
        this.timer = null;
        this.flushing ??= this.flushAll();
      }, afterMs);
    }
  }

  private async flushAll(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.takeBatch();
      await this.write(batch.map(({ settlement }) => settlement));
      for (const { together } of batch) if (--together.left === 0) together.done();
    }
    this.flushing = null;
    // Something may have come between the last look and the line above.
    if (this.waiting.length > 0) this.flushSoon(0);
  }

  /**
   * The next to be written, up to the first that is of an obligation among them. An obligation has two outcomes when its
   * lease ran out under a try that then ended all the same: the process stood still, or the clock was set.
   */
  private takeBatch(): Waiting[] {
    const obligations = new Set<string>();
    for (const { settlement } of this.waiting) {
      const { shopId, destinationId, kind, subjectId } = settlement;
      const obligation = `${shopId} ${destinationId} ${kind} ${subjectId}`;
      if (obligations.size === BATCH_MAX || obligations.has(obligation)) break;
      obligations.add(obligation);
    }
    return this.waiting.splice(0, obligations.size);
  }

  private async write(settlements: Settlement[]): Promise<void> {
    for (let pauseMs = 50, waitedMs = 0; ; waitedMs += pauseMs, pauseMs = Math.min(2_000, pauseMs * 2)) {
      try {
        await settle(this.database, settlements);
        return;
      } catch (error) {
        if (isDataError(error) && settlements.length > 1) {
          for (const settlement of settlements) await this.write([settlement]);
          return;
        }
        this.log.error({ err: error, outcomes: settlements.length }, 'outcomes could not be written; trying again');
        if (isDataError(error) || waitedMs > GIVE_UP_AFTER_MS) {
          this.log.error({ outcomes: settlements.length }, 'outcomes left to their leases; the events go out again');
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  }
}
