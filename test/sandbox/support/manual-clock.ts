import type { Clock } from '../../../sandbox/clock.js';

/** Time that passes only when told to. */
export class ManualClock implements Clock {
  private appointments: { atMs: number; action: () => void }[] = [];

  constructor(private nowMs = Date.parse('2026-11-27T14:00:00Z')) {}

  now(): number {
    return this.nowMs;
  }

  after(delayMs: number, action: () => void): () => void {
    const appointment = { atMs: this.nowMs + delayMs, action };
    this.appointments.push(appointment);
    return () => {
      this.appointments = this.appointments.filter((one) => one !== appointment);
    };
  }

  /** Milliseconds from now to each appointment, soonest first. */
  get ahead(): number[] {
    return this.appointments.map(({ atMs }) => atMs - this.nowMs).sort((one, other) => one - other);
  }

  /** Lives through `ms`, keeping every appointment on the way at its own time, those made on the way too. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const next = this.appointments
        .filter(({ atMs }) => atMs <= untilMs)
        .sort((one, other) => one.atMs - other.atMs)
        .at(0);
      if (next === undefined) break;
      this.appointments = this.appointments.filter((one) => one !== next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.action();
    }
    this.nowMs = untilMs;
  }
}
