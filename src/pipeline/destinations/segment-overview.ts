import { z } from 'zod';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Source: docs/destinations/segment.md, "Read back" */
const LIMITS = {
  minute: { pointMs: MINUTE_MS, rangeMaxMs: 4 * HOUR_MS, ageMaxMs: 48 * HOUR_MS },
  hour: { pointMs: HOUR_MS, rangeMaxMs: 14 * DAY_MS, ageMaxMs: 30 * DAY_MS },
} as const;
type Granularity = keyof typeof LIMITS;

const CLOCKS_DIFFER_MS = 2 * MINUTE_MS; // what is just old enough by our clock may be too old by theirs

export interface Asking {
  granularity: Granularity;
  pointMs: number;
  slices: readonly { fromMs: number; toMs: number }[];
}

/**
 * How to ask for a time: in minutes where they are told, in whole hours before that; in slices no wider than allowed.
 *
 * @returns a sentence when it cannot be asked for exactly
 */
export function askingFor(fromMs: number, toMs: number, nowMs: number): Asking | string {
  const can = (granularity: Granularity): boolean => {
    const { pointMs, ageMaxMs } = LIMITS[granularity];
    const isWhole = fromMs % pointMs === 0 && toMs % pointMs === 0;
    return isWhole && fromMs >= nowMs - ageMaxMs + CLOCKS_DIFFER_MS;
  };
  // Hours take fewer requests where minutes would take more than one.
  const isWide = toMs - fromMs > LIMITS.minute.rangeMaxMs;
  const granularity = (isWide ? (['hour', 'minute'] as const) : (['minute', 'hour'] as const)).find(can);
  if (granularity === undefined) {
    return 'Segment tells whole minutes of the last 48 hours and whole hours of the last 30 days, and nothing else';
  }
  const { pointMs, rangeMaxMs } = LIMITS[granularity];
  const slices: { fromMs: number; toMs: number }[] = [];
  for (let atMs = fromMs; atMs < toMs; atMs += rangeMaxMs) {
    slices.push({ fromMs: atMs, toMs: Math.min(atMs + rangeMaxMs, toMs) });
  }
  return { granularity, pointMs, slices };
}

const ANSWER = z.object({
  data: z.object({
    dataset: z.array(
      z.object({
        eventName: z.string().nullish(),
        total: z.number(),
        series: z.array(z.object({ time: z.string(), count: z.number() })),
      }),
    ),
    pagination: z.object({ next: z.string().nullish() }).nullish(),
  }),
});

/**
 * Reads a page of counts: how many events of this name came, by the instant at which their interval begins, and where
 * the next page is.
 *
 * @returns `null` when it is no such page, or its counts are not by event name
 */
export function readOverview(
  body: string,
  eventName: string,
): { counts: ReadonlyMap<number, number>; next: string | null } | null {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return null;
  }
  const parsed = ANSWER.safeParse(json);
  if (!parsed.success) return null;
  const { dataset, pagination } = parsed.data.data;
  // Events without a name are counted under none; one line for everything would be a grouping that was not done.
  if (dataset.length === 1 && dataset[0]?.eventName === undefined && dataset[0]?.total !== 0) return null;
  const counts = new Map<number, number>();
  for (const { series } of dataset.filter((line) => line.eventName === eventName)) {
    for (const point of series) {
      const atMs = Date.parse(point.time);
      if (Number.isNaN(atMs)) return null;
      counts.set(atMs, (counts.get(atMs) ?? 0) + point.count);
    }
  }
  return { counts, next: pagination?.next ?? null };
}

/** All intervals of the time asked for; one that the answer leaves out was empty, and what lies outside is not ours. */
export function pointsOf(
  { pointMs, slices }: Asking,
  counts: ReadonlyMap<number, number>,
): { fromMs: number; toMs: number; received: number }[] {
  return slices.flatMap(({ fromMs, toMs }) =>
    Array.from({ length: (toMs - fromMs) / pointMs }, (_, index) => {
      const atMs = fromMs + index * pointMs;
      return { fromMs: atMs, toMs: atMs + pointMs, received: counts.get(atMs) ?? 0 };
    }),
  );
}
