import type { Random } from '../../kernel/random.js';

/** At most `burst` at once, and one every `everyMs` after. */
export interface Pace {
  burst: number;
  everyMs: number;
}

/**
 * PagerDuty takes some 120 events a minute and key, over a sliding 60 s; past it answers 429. In any 60 s this sends at
 * most 30 + 80, which leaves a little for whoever else uses the key.
 * Source: PagerDuty developer docs, "Events API v2", "Rate limits".
 */
export const PAGER_PACE: Pace = { burst: 30, everyMs: 750 };

/** A person reads these: ten, then one every six seconds. What is more is folded into digests. */
export const SECOND_PACE: Pace = { burst: 10, everyMs: 6_000 };

/**
 * How many may go now.
 *
 * @param pacedUntilMs when the last one would have left, had all left at the steady pace
 */
export function freeSlots({ burst, everyMs }: Pace, pacedUntilMs: number, nowMs: number): number {
  const aheadMs = Math.max(0, pacedUntilMs - nowMs);
  return Math.max(0, Math.floor(burst - aheadMs / everyMs));
}

/** `pacedUntilMs` after `count` more have gone. */
export function take({ everyMs }: Pace, pacedUntilMs: number, nowMs: number, count: number): number {
  return Math.max(pacedUntilMs, nowMs) + count * everyMs;
}

const BACKOFF_FIRST_MS = 1_000;
// Once the far side is back, nobody waits longer than this to be told.
const BACKOFF_MAX_MS = 30_000;
const BACKOFF_LEAST_MS = 250;

/**
 * How long to leave a recipient alone that has failed: full jitter, without end, because a page is never given up.
 *
 * @param failures in a row, from 1
 */
export function backoffMs(failures: number, random: Random): number {
  const mostMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(failures - 1, 10));
  return Math.max(BACKOFF_LEAST_MS, Math.round(random.next() * mostMs));
}
