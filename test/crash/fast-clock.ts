import type { Clock } from '../../src/kernel/clock.js';

/** Real time, and faster: what waits a minute for its turn waits seconds. The same in every process with the same start. */
export class FastClock implements Clock {
  constructor(
    readonly startedAtMs: number,
    private readonly speed: number,
  ) {}

  nowMs(): number {
    return Math.round(this.startedAtMs + (Date.now() - this.startedAtMs) * this.speed);
  }

  now(): Date {
    return new Date(this.nowMs());
  }
}
