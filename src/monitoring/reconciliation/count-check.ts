/** An interval of acceptance, half-open. */
export interface Span {
  fromMs: number;
  toMs: number;
}

/** What a count proves about what was accepted in a span. */
export type CountVerdict = 'all-there' | 'short';

/**
 * A destination counts by its own clock, up to a request's length before our acceptance; so at a span's edges an event
 * may stand on either side. What was accepted well inside must be counted; less than that is a loss for certain.
 */
export const EDGE_MS = 60_000;
const NARROWEST_MS = 5 * 60_000;

/** Pure. @param acceptedMs when each was accepted @param received what the destination counted in the span */
export function judgeCount(span: Span, acceptedMs: readonly number[], received: number): CountVerdict {
  return received >= countWithin({ fromMs: span.fromMs + EDGE_MS, toMs: span.toMs - EDGE_MS }, acceptedMs)
    ? 'all-there'
    : 'short';
}

/**
 * Finds the smallest spans that are certainly short, by halving.
 *
 * @param count asks the destination
 * @returns spans whose events are suspects; together they hold every loss that can be told
 */
export async function shortSpans(
  span: Span,
  acceptedMs: readonly number[],
  count: (span: Span) => Promise<number>,
): Promise<Span[]> {
  const middleMs = Math.floor((span.fromMs + span.toMs) / 2 / 60_000) * 60_000;
  if (span.toMs - span.fromMs <= NARROWEST_MS || middleMs <= span.fromMs) return [span];
  const halves = [
    { fromMs: span.fromMs, toMs: middleMs },
    { fromMs: middleMs, toMs: span.toMs },
  ];
  const short: Span[] = [];
  for (const half of halves) {
    if (judgeCount(half, acceptedMs, await count(half)) === 'short') {
      short.push(...(await shortSpans(half, acceptedMs, count)));
    }
  }
  // Short as a whole, and neither half for certain: the loss is near the middle's edge, and all of it is suspect.
  return short.length > 0 ? short : [span];
}

export function countWithin({ fromMs, toMs }: Span, atMs: readonly number[]): number {
  return atMs.filter((ms) => ms >= fromMs && ms < toMs).length;
}
