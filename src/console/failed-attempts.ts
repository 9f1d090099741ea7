import type { Clock } from '../kernel/clock.js';

const WINDOW_MS = 60_000;
/** A person mistyping stays below it; guessing does not get anywhere with it. */
const FAILURES_MAX = 20;
/** Bounds memory under a flood from many addresses; the oldest are forgotten first. */
const ADDRESSES_MAX = 10_000;

/** Counts failed attempts to authenticate, by address, in a window of a minute. */
export class FailedAttempts {
  private readonly byAddress = new Map<string, { count: number; sinceMs: number }>();

  constructor(private readonly clock: Clock) {}

  /** @returns seconds to wait; 0 = go on */
  blockedSeconds(address: string): number {
    const entry = this.byAddress.get(address);
    if (!entry) return 0;
    const leftMs = entry.sinceMs + WINDOW_MS - this.clock.nowMs();
    if (leftMs <= 0) {
      this.byAddress.delete(address);
      return 0;
    }
    return entry.count >= FAILURES_MAX ? Math.ceil(leftMs / 1000) : 0;
  }

  note(address: string): void {
    const entry = this.byAddress.get(address);
    if (entry) {
      entry.count += 1;
      return;
    }
    if (this.byAddress.size >= ADDRESSES_MAX) {
      const oldest = this.byAddress.keys().next();
      if (!oldest.done) this.byAddress.delete(oldest.value);
    }
    this.byAddress.set(address, { count: 1, sinceMs: this.clock.nowMs() });
  }
}
