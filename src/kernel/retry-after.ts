/** Nobody may park our queue for longer than this: a far side that says "in a week" is misconfigured; ask again sooner. */
const RETRY_AFTER_MAX_MS = 6 * 60 * 60 * 1000;

const SECONDS = /^\d{1,10}(?:\.\d+)?$/;
/** RFC 9110 HTTP-date: IMF-fixdate, and the two obsolete forms a recipient must still read. All name weekday first. */
const HTTP_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /;

/** A reset later than this many seconds is an instant (Unix time), not a wait. Segment means a wait. */
const UNIX_TIME_FLOOR = 1_000_000_000;

/**
 * How long the far side asks to be left alone.
 *
 * @param headers lower-case names; `retry-after` (seconds or HTTP-date) wins over `x-ratelimit-reset` (seconds)
 * @param nowMs the clock's time, for dates
 * @returns milliseconds, 0 for a time that has passed, at most six hours; `null` when nothing readable is said
 * Source: RFC 9110 section 10.2.3; docs/destinations/segment.md (its X-RateLimit-Reset is in seconds)
 */
export function retryAfterMs(headers: Readonly<Record<string, string>>, nowMs: number): number | null {
  const waitMs = retryAfterHeader(headers['retry-after'], nowMs) ?? resetHeader(headers['x-ratelimit-reset'], nowMs);
  return waitMs === null ? null : Math.min(Math.max(Math.round(waitMs), 0), RETRY_AFTER_MAX_MS);
}

function retryAfterHeader(value: string | undefined, nowMs: number): number | null {
  const text = value?.trim() ?? '';
  if (SECONDS.test(text)) return Number(text) * 1000;
  if (!HTTP_DATE.test(text)) return null;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? null : atMs - nowMs;
}

function resetHeader(value: string | undefined, nowMs: number): number | null {
  const text = value?.trim() ?? '';
  if (!SECONDS.test(text)) return null;
  const seconds = Number(text);
  return seconds >= UNIX_TIME_FLOOR ? seconds * 1000 - nowMs : seconds * 1000;
}
