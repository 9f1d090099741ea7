import type { Standing } from '../../pipeline/contract.js';

/** An interval of time, half-open. */
export interface Span {
  fromMs: number;
  toMs: number;
}

/** What a destination counted in one of its smallest intervals. */
export interface CountPoint extends Span {
  received: number;
}

/** Between when, by the destination's clock, an event was taken in, if it was. */
export interface Receipt {
  earliestMs: number;
  latestMs: number;
}

/** An interval in which the destination certainly lacks events. */
export interface Shortfall extends Span {
  lacking: number;
}

const SEND_MS = 10_000; // a send ends after ten seconds, so it began at most so long before it was accepted
export const CLOCKS_MS = 10_000; // how far the destination's clock may be from ours
const QUEUED_LATE_MS = 60_000; // queued so long after it was known and due, it had been queued before

/**
 * A destination keeps an event at the first time it comes, and drops it at the next. So an event that was tried, or
 * queued, more than once may have been taken in at any time since it was known. Pure.
 */
export function receiptOf(one: Pick<Standing, 'attempts' | 'loggedAt' | 'dueAt' | 'queuedAt' | 'acceptedAt'>): Receipt {
  const acceptedMs = one.acceptedAt?.getTime() ?? 0;
  const loggedMs = one.loggedAt.getTime();
  const dueMs = Math.max(loggedMs, one.dueAt?.getTime() ?? loggedMs);
  const isFirstQueue = one.queuedAt !== null && one.queuedAt.getTime() - dueMs <= QUEUED_LATE_MS;
  const firstTryMs =
    one.attempts <= 1 && isFirstQueue ? acceptedMs - SEND_MS : Math.min(loggedMs, acceptedMs - SEND_MS);
  return { earliestMs: firstTryMs - CLOCKS_MS, latestMs: acceptedMs + CLOCKS_MS };
}

/**
 * Finds where the destination certainly lacks events: an interval whose count is below the number of events that can
 * have been taken in nowhere else. All intervals between the points' borders are tried, because what one interval's
 * edges hide another's do not; the narrowest ones are named, and what they lack is put aside to see what else is lacking.
 *
 * Never names an interval where nothing was lost. May miss a loss: while many others come within its seconds, nobody can
 * tell on which side of a border each was counted; and whatever else sends such events there fills the gap.
 *
 * Pure. @param points in order, without a gap between them
 */
export function shortfalls(points: readonly CountPoint[], receipts: readonly Receipt[]): Shortfall[] {
  const inside = insideCounts(points, receipts);
  const received = points.map((point) => point.received);
  const found: Shortfall[] = [];
  for (;;) {
    const narrowest = narrowestShortfall(points, received, inside);
    if (narrowest === null) return found;
    found.push(narrowest.shortfall);
    received[narrowest.first] = (received[narrowest.first] ?? 0) + narrowest.shortfall.lacking;
  }
}

export function isWithin({ earliestMs, latestMs }: Receipt, { fromMs, toMs }: Span): boolean {
  return earliestMs >= fromMs && latestMs < toMs;
}

/** For each point in which events may begin to be taken in: how many are so until the end of which point. */
function insideCounts(points: readonly CountPoint[], receipts: readonly Receipt[]): Map<number, number>[] {
  const counts = points.map(() => new Map<number, number>());
  for (const { earliestMs, latestMs } of receipts) {
    const first = pointAt(points, earliestMs);
    const last = pointAt(points, latestMs);
    if (first === null || last === null) continue; // may have been counted outside
    const untilPoint = counts[first];
    untilPoint?.set(last, (untilPoint.get(last) ?? 0) + 1);
  }
  return counts;
}

function pointAt(points: readonly CountPoint[], atMs: number): number | null {
  let low = 0;
  let high = points.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const point = points[middle];
    if (point === undefined) return null;
    if (atMs < point.fromMs) high = middle - 1;
    else if (atMs >= point.toMs) low = middle + 1;
    else return middle;
  }
  return null;
}

function narrowestShortfall(
  points: readonly CountPoint[],
  received: readonly number[],
  inside: readonly ReadonlyMap<number, number>[],
): { shortfall: Shortfall; first: number } | null {
  let best: { shortfall: Shortfall; first: number; width: number } | null = null;
  /** Of events taken in from `first` on: how many by the end of each point. */
  const endingAt = new Array<number>(points.length).fill(0);
  for (let first = points.length - 1; first >= 0; first--) {
    for (const [last, count] of inside[first] ?? []) endingAt[last] = (endingAt[last] ?? 0) + count;
    let expected = 0;
    let counted = 0;
    for (let last = first; last < points.length; last++) {
      if (best !== null && last - first + 1 >= best.width) break;
      expected += endingAt[last] ?? 0;
      counted += received[last] ?? 0;
      if (expected <= counted) continue;
      const span = { fromMs: points[first]?.fromMs ?? 0, toMs: points[last]?.toMs ?? 0 };
      best = { shortfall: { ...span, lacking: expected - counted }, first, width: last - first + 1 };
    }
  }
  return best;
}
