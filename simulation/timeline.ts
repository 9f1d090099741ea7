import { setImmediate as turn } from 'node:timers/promises';
import type { Clock as WorldClock } from '../sandbox/clock.js';
import { ManualClock } from '../src/kernel/clock.js';

interface Appointment {
  atMs: number;
  /** Breaks ties: what was agreed first happens first, so that one seed tells one story. */
  order: number;
  action: () => void;
  isOff: boolean;
}

/**
 * Virtual time, one for everybody: the world makes appointments with it, the product asks it what time it is.
 *
 * Invariant: it moves only in `live`, from appointment to appointment and never back, and each appointment is kept at its
 * own instant. However slow the machine is, nothing becomes late by it.
 */
export class Timeline {
  /** The product's clock. */
  readonly clock: ManualClock;
  /** The world's clock. */
  readonly world: WorldClock;
  private readonly heap: Appointment[] = [];
  private made = 0;

  constructor(startAtMs: number) {
    this.clock = new ManualClock(startAtMs);
    this.world = {
      now: () => this.clock.nowMs(),
      after: (delayMs, action) => this.at(this.nowMs + Math.max(0, delayMs), action),
    };
  }

  get nowMs(): number {
    return this.clock.nowMs();
  }

  /** @returns takes the appointment back */
  at(atMs: number, action: () => void): () => void {
    const appointment = { atMs: Math.max(atMs, this.nowMs), order: this.made++, action, isOff: false };
    this.push(appointment);
    return () => {
      appointment.isOff = true;
    };
  }

  /** Keeps every appointment up to an instant, those made on the way too. What they set off has had its turn after each. */
  async live(untilMs: number): Promise<void> {
    for (;;) {
      const next = this.heap[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.pop();
      if (next.isOff) continue;
      this.clock.set(next.atMs);
      next.action();
      // What an appointment answers (a request, say) goes on in promises; they come first, then the next appointment.
      await turn();
    }
    this.clock.set(untilMs);
  }

  private push(appointment: Appointment): void {
    const { heap } = this;
    let index = heap.push(appointment) - 1;
    while (index > 0) {
      const above = (index - 1) >> 1;
      if (!isBefore(appointment, heap[above] as Appointment)) break;
      heap[index] = heap[above] as Appointment;
      index = above;
    }
    heap[index] = appointment;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Appointment, heap[child] as Appointment)) child++;
      if (!isBefore(heap[child] as Appointment, last)) break;
      heap[index] = heap[child] as Appointment;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(one: Appointment, other: Appointment): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
