/** Where every instant comes from. Code in `src/` never asks the machine, so a test can live through a day in a second. */
export interface Clock {
  /** Now, in milliseconds since 1970-01-01T00:00:00Z. */
  nowMs(): number;
  /** Now, as a Date (UTC). */
  now(): Date;
}

/**
 * Production's clock: the machine's time corrected by the database's, so that two processes agree about what is due.
 * The correction is set by `follow`, fed by the database health loop.
 */
export class SystemClock implements Clock {
  private offsetMs = 0;

  nowMs(): number {
    return Date.now() + this.offsetMs;
  }

  now(): Date {
    return new Date(this.nowMs());
  }

  /**
   * Follow the database.
   *
   * @param databaseNowMs what the database said, milliseconds since the epoch
   * @param askedAtMs machine time halfway between question and answer
   */
  follow(databaseNowMs: number, askedAtMs: number): void {
    const offsetMs = databaseNowMs - askedAtMs;
    // Below 5 ms the difference is the round trip's own noise; following it would make time jitter for nothing.
    this.offsetMs = Math.abs(offsetMs) < 5 ? 0 : offsetMs;
  }
}

/** A clock that stands still until it is told to move. For tests and for the simulation. */
export class ManualClock implements Clock {
  constructor(private atMs: number) {}

  nowMs(): number {
    return this.atMs;
  }

  now(): Date {
    return new Date(this.atMs);
  }

  advance(ms: number): void {
    this.atMs += ms;
  }

  set(atMs: number): void {
    this.atMs = atMs;
  }
}

/** Duration since a start, for measuring only: monotonic, never compared with an instant. */
export function stopwatch(): () => number {
  const startedNs = process.hrtime.bigint();
  return () => Number(process.hrtime.bigint() - startedNs) / 1e6;
}
