import type { Clock } from '../../kernel/clock.js';
import type { Logger } from '../../kernel/log.js';
import type { LedgerReader } from '../../pipeline/contract.js';
import type { SubscriptionBook } from './subscription-book.js';

const HOUR_MS = 3_600_000;
const READ_EVERY_MS = 60_000;
/** How far back the first reading goes; what is older is in the book, or is not known. */
const FIRST_SPAN_MS = 48 * HOUR_MS;
/** Readings overlap: a webhook is counted when it is routed, which may be after its hour. */
const OVERLAP_MS = HOUR_MS;

/**
 * When an order of each shop last came in. Tells shops that sell from quiet ones, and how far back a gap may reach. Kept
 * in memory, and in the book by the hour; a ledger that cannot be read makes it old, which costs looks and no orders.
 */
export class LastOrders {
  private readonly atMs = new Map<string, number>();
  private readonly storedMs = new Map<string, number>();
  private readUntilMs: number | null = null;

  constructor(
    private readonly deps: {
      ledger: Pick<LedgerReader, 'ordersSeen'>;
      book: SubscriptionBook;
      clock: Clock;
      log: Logger;
    },
  ) {}

  of(shopId: string): Date | null {
    const atMs = this.atMs.get(shopId);
    return atMs === undefined ? null : new Date(atMs);
  }

  /** What the book says, newer than what is known. */
  remember(shopId: string, at: Date | null): void {
    if (at === null) return;
    this.atMs.set(shopId, Math.max(this.atMs.get(shopId) ?? 0, at.getTime()));
  }

  /** Reads on, at most once a minute. Does not fail. */
  async refresh(): Promise<void> {
    const { ledger, clock, log } = this.deps;
    const nowMs = clock.nowMs();
    if (this.readUntilMs !== null && nowMs - this.readUntilMs < READ_EVERY_MS) return;
    const fromMs = this.readUntilMs === null ? nowMs - FIRST_SPAN_MS : this.readUntilMs - OVERLAP_MS;
    try {
      const hours = await ledger.ordersSeen(new Date(fromMs), new Date(nowMs));
      for (const { shopId, lastAt } of hours) this.remember(shopId, lastAt);
      await this.store(hours.map(({ shopId }) => shopId));
    } catch (error) {
      log.warn({ err: error }, 'when shops last sold cannot be read; what is known stays');
    }
    this.readUntilMs = nowMs;
  }

  private async store(shopIds: readonly string[]): Promise<void> {
    const due = [...new Set(shopIds)].filter(
      (shopId) => (this.atMs.get(shopId) ?? 0) - (this.storedMs.get(shopId) ?? 0) >= HOUR_MS,
    );
    await this.deps.book.noteOrders(due.map((shopId) => ({ shopId, at: new Date(this.atMs.get(shopId) ?? 0) })));
    for (const shopId of due) this.storedMs.set(shopId, this.atMs.get(shopId) ?? 0);
  }
}
