import type { SeededRandom } from '../../../src/kernel/random.js';
import { HOURS_OF_WEEK, habitOf, type Habit, type SeenHours } from '../../../src/monitoring/silence/habit.js';
import { judgeSilence, levelAt } from '../../../src/monitoring/silence/silence.js';

export const HOUR_MS = 3_600_000;
const HISTORY_HOURS = 8 * HOURS_OF_WEEK;

export interface ShopKind {
  ordersPerHour: number;
  /** Shape of what each hour's rate is multiplied by; large = Poisson. */
  hourShape: number;
  /** The same for whole days: holidays, campaigns. */
  dayShape: number;
  /** How much of the day's sales the night has, 0 to 1. */
  night: number;
}

/** Mean orders of an hour: nights, weekends and evenings as shops have them. */
export function meanOf(kind: ShopKind, hour: number): number {
  const hourOfDay = hour % 24;
  const day = Math.floor(hour / 24) % 7;
  const swing = (1 - Math.cos((2 * Math.PI * (hourOfDay - 4)) / 24)) / 2;
  const shape = kind.night + (1 - kind.night) * swing ** 1.5;
  const weekday = day === 3 || day === 2 ? 1.35 : 0.9;
  return (kind.ordersPerHour * shape * weekday) / (kind.night + (1 - kind.night) * 0.424);
}

/** Instants of orders, hour by hour. @param factor what the mean is multiplied by in an hour */
export function sell(
  kind: ShopKind,
  hours: number,
  random: SeededRandom,
  factor: (hour: number) => number = () => 1,
): { seen: SeenHours; ordersAt: number[] } {
  const orders = new Uint32Array(hours);
  const ordersAt: number[] = [];
  let day = 1;
  for (let hour = 0; hour < hours; hour++) {
    if (hour % 24 === 0) day = gamma(kind.dayShape, random);
    const count = poisson(meanOf(kind, hour) * day * gamma(kind.hourShape, random) * factor(hour), random);
    orders[hour] = count;
    const within = Array.from({ length: count }, () => (hour + random.next()) * HOUR_MS);
    ordersAt.push(...within.sort((one, other) => one - other));
  }
  return { seen: { firstHour: 0, orders }, ordersAt };
}

/** What was known at an hour: eight weeks at the most. */
export function knownAt(seen: SeenHours, hour: number): SeenHours {
  const from = Math.max(0, hour - HISTORY_HOURS);
  return { firstHour: from, orders: (seen.orders as Uint32Array).subarray(from, hour) };
}

/**
 * Every silence between two orders, judged at its end, when it was longest; its habit learnt until the day before.
 *
 * @returns how many would have been taken for silence, and in how many weeks
 */
export function falseAlarms(shop: { seen: SeenHours; ordersAt: readonly number[] }): { alarms: number; weeks: number } {
  const firstHour = 2 * HOURS_OF_WEEK;
  let alarms = 0;
  let habit: Habit | null = null;
  let learntDay = -1;
  let last: number | undefined;
  for (const nextAt of shop.ordersAt) {
    const hour = Math.floor(nextAt / HOUR_MS);
    if (last !== undefined && hour >= firstHour) {
      const day = Math.floor(last / HOUR_MS / 24);
      if (day !== learntDay) {
        habit = habitOf(knownAt(shop.seen, day * 24));
        learntDay = day;
      }
      // Level 1 first: it is the cheaper bound, and most silences are short.
      if (habit && judgeSilence(habit, 1, last, nextAt).silent) {
        const level = levelAt(habit, knownAt(shop.seen, Math.floor(last / HOUR_MS)), last);
        if (judgeSilence(habit, level, last, nextAt).silent) alarms++;
      }
    }
    last = nextAt;
  }
  return { alarms, weeks: shop.seen.orders.length / HOURS_OF_WEEK - 2 };
}

/** @returns minutes from the last order until it is taken for silence */
export function detectionMinutes(habit: Habit, level: number, lastAtMs: number): number {
  for (let minutes = 1; minutes < 60 * 24 * 60; minutes++) {
    if (judgeSilence(habit, level, lastAtMs, lastAtMs + minutes * 60_000).silent) return minutes;
  }
  return Infinity;
}

function normal(random: SeededRandom): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}

/** Mean 1. Marsaglia and Tsang. */
export function gamma(shape: number, random: SeededRandom): number {
  if (shape >= 1e6) return 1;
  if (shape < 1) return (gamma(shape + 1, random) * (shape + 1) * random.next() ** (1 / shape)) / shape;
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal(random);
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random.next()) < (x * x) / 2 + d - d * v + d * Math.log(v)) return (d * v) / shape;
  }
}

export function poisson(mean: number, random: SeededRandom): number {
  if (mean > 60) return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal(random)));
  let product = random.next();
  let count = 0;
  for (const limit = Math.exp(-mean); product > limit; count++) product *= random.next();
  return count;
}
