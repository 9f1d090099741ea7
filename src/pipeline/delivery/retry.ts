import type { Random } from '../../kernel/random.js';

const HOUR_MS = 3_600_000;

/** How long an event is tried before it is buried: three days, which is also how far back GA4 takes a time. */
export const GIVE_UP_AFTER_MS = 72 * HOUR_MS;

const BASE_MS = 1_000; // the first retry comes within a second, because most failures are a blink
const CAP_MS = 15 * 60_000; // a destination that is back after hours is noticed within a quarter of an hour

/**
 * When to try one delivery again: exponential with full jitter, so that what failed together does not return together.
 *
 * @param attempt how many tries there have been, 1 or more
 * @param retryAfterMs what the destination asked for, capped where it was read
 * @returns milliseconds from now
 * Source: "Exponential Backoff And Jitter", AWS Architecture Blog (full jitter)
 */
export function retryDelayMs(attempt: number, retryAfterMs: number | null, random: Random): number {
  const ceilingMs = Math.min(CAP_MS, BASE_MS * 2 ** Math.min(attempt - 1, 30));
  const jitteredMs = Math.ceil(random.next() * ceilingMs);
  return Math.max(jitteredMs, retryAfterMs ?? 0);
}

export function isSpent(queuedAtMs: number, nextAtMs: number): boolean {
  return nextAtMs - queuedAtMs > GIVE_UP_AFTER_MS;
}
