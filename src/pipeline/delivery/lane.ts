import type { Random } from '../../kernel/random.js';

/**
 * One lane is (shop, destination): its own pace, its own breaker, its own place in the queue. A neighbour's trouble
 * stays with the neighbour (invariant 7) because nothing here is shared between lanes but the turn they wait for.
 */
export interface LaneKey {
  shopId: string;
  destinationId: number;
}

export function laneName(key: LaneKey): string {
  return `${key.shopId}/${key.destinationId}`;
}

const FAILURES_TO_OPEN = 3; // one failure is a blink, three in a row with nothing between them are an outage
const PROBE_BASE_MS = 1_000;
const PROBE_CAP_MS = 30_000; // after hours of outage the first event still flows within half a minute
const LIMIT_START = 4;
const LIMIT_MAX = 32;

export type BreakerState = 'closed' | 'open';

/**
 * A lane's pace and breaker. Pure of time: instants are given.
 *
 * Pace: additive increase after a full window of successes, halved by trouble (as TCP does), between 1 and 32
 * requests at once. Breaker: three failures in a row open it; then one probe at a time, at growing jittered pauses,
 * until one succeeds. While it is open the events keep their place by age instead of being rescheduled one by one.
 */
export class Lane {
  /** Requests under way. */
  sending = 0;
  /** Where the next claim starts: rows at or before it have been claimed by this process. */
  floor: { dueAt: Date; id: string } = FLOOR_START;
  /** When there may be something due; `null` = nothing known. */
  dueAtMs: number | null = null;

  private limit = LIMIT_START;
  private successes = 0;
  private failures = 0;
  private openSinceMs: number | null = null;
  private probeAtMs = 0;
  private probes = 0;
  lastError: string | null = null;

  constructor(readonly key: LaneKey) {}

  get state(): BreakerState {
    return this.openSinceMs === null ? 'closed' : 'open';
  }

  get openSince(): Date | null {
    return this.openSinceMs === null ? null : new Date(this.openSinceMs);
  }

  get retryAt(): Date | null {
    return this.openSinceMs === null ? null : new Date(this.probeAtMs);
  }

  get consecutiveFailures(): number {
    return this.failures;
  }

  /** How many more requests may start now. */
  room(nowMs: number): number {
    if (this.openSinceMs !== null) return this.sending === 0 && nowMs >= this.probeAtMs ? 1 : 0;
    // A pause the destination asked for holds even while the breaker is closed.
    if (nowMs < this.probeAtMs) return 0;
    return Math.max(0, this.limit - this.sending);
  }

  /** @returns true when this success closed the breaker */
  succeeded(): boolean {
    const closed = this.openSinceMs !== null;
    this.failures = 0;
    this.probes = 0;
    this.openSinceMs = null;
    this.probeAtMs = 0;
    this.lastError = null;
    if (closed) {
      this.limit = 1; // begin gently: a destination that has just come back falls over again under a full backlog
      this.successes = 0;
    } else if (++this.successes >= this.limit) {
      this.successes = 0;
      this.limit = Math.min(LIMIT_MAX, this.limit + 1);
    }
    return closed;
  }

  /**
   * The destination is in trouble.
   *
   * @param retryAfterMs the pause it asked for
   * @returns true when this failure opened the breaker
   */
  failed(nowMs: number, error: string, retryAfterMs: number | null, random: Random): boolean {
    this.failures += 1;
    this.successes = 0;
    this.lastError = error;
    this.limit = Math.max(1, Math.floor(this.limit / 2));
    // Requests that were under way when it opened tell of the same trouble: only a probe earns a longer pause.
    const sameTrouble = this.openSinceMs !== null && nowMs < this.probeAtMs;
    if (retryAfterMs !== null) this.probeAtMs = Math.max(this.probeAtMs, nowMs + retryAfterMs);
    if (this.openSinceMs === null && this.failures < FAILURES_TO_OPEN) return false;
    const opened = this.openSinceMs === null;
    if (sameTrouble) return false;
    this.openSinceMs ??= nowMs;
    const pauseMs = Math.min(PROBE_CAP_MS, PROBE_BASE_MS * 2 ** Math.min(this.probes, 20));
    this.probes += 1;
    // Half fixed, half jittered: never a probe storm, never a probe at once.
    this.probeAtMs = Math.max(this.probeAtMs, nowMs + Math.ceil(pauseMs / 2 + (random.next() * pauseMs) / 2));
    return opened;
  }

  /** What another process, or this one before a restart, has learnt. */
  restoreOpen(sinceMs: number, retryAtMs: number, error: string | null): void {
    if (this.openSinceMs !== null) return;
    this.openSinceMs = sinceMs;
    this.probeAtMs = retryAtMs;
    this.failures = FAILURES_TO_OPEN;
    this.lastError = error;
  }

  resetFloor(): void {
    this.floor = FLOOR_START;
  }
}

const FLOOR_START = { dueAt: new Date(0), id: '0' };
