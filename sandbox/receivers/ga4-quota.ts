const HOUR_MS = 60 * 60 * 1_000;
const DAY_MS = 24 * HOUR_MS;
const PACIFIC_OFFSET_MS = 8 * HOUR_MS; // the day's tokens come back at midnight Pacific; summer time left out

/** A standard property. Source: docs/destinations/ga4.md, "Read back" */
const LIMITS = {
  tokensPerDay: { tokens: 200_000, periodMs: DAY_MS, offsetMs: PACIFIC_OFFSET_MS },
  tokensPerHour: { tokens: 40_000, periodMs: HOUR_MS, offsetMs: 0 },
  tokensPerProjectPerHour: { tokens: 14_000, periodMs: HOUR_MS, offsetMs: 0 },
} as const;
export type TokenBucket = keyof typeof LIMITS;
const BUCKETS = Object.keys(LIMITS) as TokenBucket[]; // LIMITS is a literal: its keys are the buckets

const CONCURRENT_MAX = 10;
const SERVER_ERRORS_MAX = 10;

const EXHAUSTED: Record<TokenBucket, string> = {
  tokensPerDay: 'Exhausted property tokens per day. These quota tokens will return in under 24 hours.',
  tokensPerHour: 'Exhausted property tokens per hour. These quota tokens will return in under an hour.',
  tokensPerProjectPerHour:
    'Exhausted property tokens for a project per hour. These quota tokens will return in under an hour.',
};

/** What a property may still be asked. */
export class Ga4Quota {
  /** Emptied on request, until it is set to `null`. */
  exhausted: TokenBucket | null = null;
  /** Tokens that others, the merchant's dashboards, have taken out of every bucket in this period. */
  takenByOthers = 0;
  private readonly taken = new Map<string, number>();

  constructor(private readonly now: () => number) {}

  /** @returns why the request is refused; `null` = its tokens are taken */
  take(tokens: number, underWay: number): string | null {
    if (underWay > CONCURRENT_MAX) return 'Exhausted concurrent requests quota.';
    const empty = this.exhausted ?? BUCKETS.find((bucket) => this.left(bucket) < tokens);
    if (empty !== undefined) return EXHAUSTED[empty];
    for (const bucket of BUCKETS) this.taken.set(this.period(bucket), this.takenIn(bucket) + tokens);
    return null;
  }

  /** As an answer tells it. */
  state(consumed: number, underWay: number): Record<string, { consumed: number; remaining: number }> {
    const tokens = BUCKETS.map((bucket) => [bucket, { consumed, remaining: Math.max(0, this.left(bucket)) }] as const);
    return {
      ...Object.fromEntries(tokens),
      concurrentRequests: { consumed: 0, remaining: Math.max(0, CONCURRENT_MAX - underWay) },
      serverErrorsPerProjectPerHour: { consumed: 0, remaining: SERVER_ERRORS_MAX },
      potentiallyThresholdedRequestsPerHour: { consumed: 0, remaining: 120 },
    };
  }

  private left(bucket: TokenBucket): number {
    return LIMITS[bucket].tokens - this.takenByOthers - this.takenIn(bucket);
  }

  private takenIn(bucket: TokenBucket): number {
    return this.taken.get(this.period(bucket)) ?? 0;
  }

  /** Names the bucket's present period; what was taken in the one before is forgotten. */
  private period(bucket: TokenBucket): string {
    const { periodMs, offsetMs } = LIMITS[bucket];
    const name = `${bucket} ${Math.floor((this.now() - offsetMs) / periodMs)}`;
    if (!this.taken.has(name)) {
      for (const old of this.taken.keys()) if (old.startsWith(`${bucket} `)) this.taken.delete(old);
      this.taken.set(name, 0);
    }
    return name;
  }
}
