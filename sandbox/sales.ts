import type { Clock } from './clock.js';
import type { Random } from './random.js';

const SALES_AT_ONCE = 200; // a late timer catches up by at most this many, so a stalled process does not stall again
const IDLE_MS = 250;

/** When buyers come: a Poisson stream over all stores, at a rate that may change at any time. */
export class Sales {
  private nextAtMs = 0;
  private cancel: () => void = () => undefined;

  /**
   * @param perSecond asked before each sale; 0 or less = nobody buys now
   * @param sellOne makes one sale
   */
  constructor(
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly perSecond: () => number,
    private readonly sellOne: () => void,
  ) {}

  /** Draws the next sale anew. The stream has no memory, so this is right at the start and after any change of rate. */
  draw(): void {
    this.cancel();
    this.nextAtMs = this.clock.now() + this.gapMs();
    this.await();
  }

  stop(): void {
    this.cancel();
  }

  private await(): void {
    this.cancel = this.clock.after(Math.max(1, this.nextAtMs - this.clock.now()), () => {
      this.sellDue();
      this.await();
    });
  }

  private sellDue(): void {
    const nowMs = this.clock.now();
    for (let sold = 0; this.nextAtMs <= nowMs && sold < SALES_AT_ONCE; sold++) {
      if (this.perSecond() > 0) this.sellOne();
      this.nextAtMs += this.gapMs();
    }
    this.nextAtMs = Math.max(this.nextAtMs, nowMs - IDLE_MS);
  }

  private gapMs(): number {
    const perSecond = this.perSecond();
    return perSecond > 0 ? this.random.gap(1_000 / perSecond) : IDLE_MS;
  }
}
