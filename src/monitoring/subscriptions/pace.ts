const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;

/** A removal costs a shop that sells every order until it is seen; a look costs a few of 6,000 points a minute. */
export const SELLING_EVERY_MS = MINUTE_MS;
export const QUIET_EVERY_MS = 10 * MINUTE_MS;
/** No order for so long makes a shop a quiet one. */
export const QUIET_AFTER_MS = 7 * 24 * 60 * MINUTE_MS;
/** While a removal waits for its proof, so that it ends soon after the proof is there. */
const CASE_EVERY_MS = 15 * SECOND_MS;
/** A place that was set right and is wrong again: somebody else wants it elsewhere, and must not be fought each minute. */
export const MOVE_AGAIN_AFTER_MS = 10 * MINUTE_MS;

const PAUSE_BASE_MS = 15 * SECOND_MS;
/** An outage of Shopify's ends without a word, so it is asked again soon; a refused token waits for a person. */
const OUTAGE_PAUSE_MAX_MS = 2 * MINUTE_MS;
const PAUSE_MAX_MS = 15 * MINUTE_MS;

/** Fewer failed looks, or a shorter time without one that succeeds, is nothing to tell. */
export const UNKNOWN_AFTER_LOOKS = 3;
export const UNKNOWN_AFTER_MS = 5 * MINUTE_MS;

/**
 * The next turn of a shop. Each has its own second within the period, from its id, so that thousands of shops are
 * spread evenly and stay so over restarts.
 */
export function nextTurnMs(shopId: string, nowMs: number, everyMs: number): number {
  const offsetMs = hash(shopId) % everyMs;
  return Math.floor((nowMs - offsetMs) / everyMs + 1) * everyMs + offsetMs;
}

/** @param openCase a removal is not over */
export function nextLookMs(shop: { id: string; selling: boolean; openCase: boolean }, nowMs: number): number {
  const turnMs = nextTurnMs(shop.id, nowMs, shop.selling ? SELLING_EVERY_MS : QUIET_EVERY_MS);
  return shop.openCase ? Math.min(turnMs, nowMs + CASE_EVERY_MS) : turnMs;
}

/** @param failed 1 after the first failure in a row @returns milliseconds until the next try to mend something */
export function tryPauseMs(failed: number): number {
  return growing(failed, PAUSE_MAX_MS);
}

/** @param retryAfterMs what Shopify asked for @returns milliseconds until the next look */
export function lookPauseMs(
  failed: number,
  why: 'denied' | 'unavailable' | 'throttled' | 'refused',
  retryAfterMs: number | null,
): number {
  const passes = why === 'unavailable' || why === 'throttled';
  return Math.max(growing(failed, passes ? OUTAGE_PAUSE_MAX_MS : PAUSE_MAX_MS), retryAfterMs ?? 0);
}

function growing(failed: number, maxMs: number): number {
  return Math.min(PAUSE_BASE_MS * 2 ** Math.min(Math.max(0, failed - 1), 20), maxMs);
}

/** FNV-1a. Even enough over ids that follow one another. */
function hash(text: string): number {
  let hashed = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hashed = Math.imul(hashed ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hashed;
}
