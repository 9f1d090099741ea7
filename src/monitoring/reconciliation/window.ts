import type { ListingWindow } from './listing.js';

/** Shopify's search lags behind its writes by seconds, and a webhook needs its time to arrive: younger is not judged. */
export const LAG_MS = 3 * 60_000;
/** Windows overlap: what the search had not seen at the last look is met again. */
export const OVERLAP_MS = 10 * 60_000;
export const EVERY_MS = 3_600_000;

/** Without the scope `read_all_orders` Shopify shows the last 60 days (docs/shopify.md); one day less, to be inside. */
const WALL_DAYS = 59;
const DAY_MS = 86_400_000;

/**
 * What the next scheduled run of a shop looks at. Pure.
 *
 * @param comparedUntilAt `null` = never: everything that Shopify shows, back to the wall
 */
export function nextWindow(comparedUntilAt: Date | null, nowMs: number): ListingWindow & { why: 'first' | 'hourly' } {
  const toAt = new Date(nowMs - LAG_MS);
  if (comparedUntilAt === null) return { fromAt: new Date(nowMs - WALL_DAYS * DAY_MS), toAt, why: 'first' };
  // After months of blindness the wall holds too; that the days before it are not covered is said by the turn's hole.
  const fromMs = Math.max(comparedUntilAt.getTime() - OVERLAP_MS, nowMs - WALL_DAYS * DAY_MS);
  return { fromAt: new Date(Math.min(fromMs, toAt.getTime())), toAt, why: 'hourly' };
}

/** Where in the hour a shop has its turn: spread evenly, and the same after a restart. Pure. */
export function turnOffsetMs(shopId: string): number {
  // Knuth's multiplicative hash: neighbouring ids end far apart.
  const hash = Number((BigInt(shopId) * 2_654_435_761n) % 4_294_967_296n);
  return Math.floor((hash / 4_294_967_296) * EVERY_MS);
}

/** The first turn after `afterMs`. Pure. */
export function nextTurnMs(shopId: string, afterMs: number): number {
  const offsetMs = turnOffsetMs(shopId);
  const hourMs = Math.floor((afterMs - offsetMs) / EVERY_MS) * EVERY_MS;
  return hourMs + offsetMs + EVERY_MS;
}
