import { LEVEL_PRIOR, usualOrders, type Habit, type SeenHours } from './habit.js';

const HOUR_MS = 3_600_000;

/**
 * False alarms we accept of one shop: one in two hundred weeks of it. Every order ends a silence, so a busy shop has more
 * silences that could be taken for one: each may be wrong only in its share of this.
 */
const FALSE_ALARMS_PER_WEEK = 0.005;
const PROBABILITY_MAX = 0.001;
/** Below this, silence is no evidence, whatever the model believes of the tails. */
const EXPECTED_MIN = 5;
/** A shop that sells less than this a week has no silences worth a person's time. */
export const ORDERS_PER_WEEK_MIN = 1;

/** The hours before the last order that say how the shop sells just now, against how it usually does. */
const LEVEL_HOURS = [24, 3, 1];

export interface Judgement {
  /** Orders that would usually have come since the last one, at the level at which the shop sold before it. */
  expected: number;
  /** That none came by chance. */
  probability: number;
  /** Under it, it is silence. */
  limit: number;
  silent: boolean;
}

/**
 * Whether no order since the last one means that something is wrong. Pure.
 *
 * The rate is the shop's habit, lowered by how it has sold in the last day, three hours and hour (holidays, the day after
 * a sale); it may be an hour early or late (clocks that change); and it may be off by as much as the shop's own past was.
 * So the chance of nothing is that of a gamma-Poisson count being 0: (1 + expected / shape) ^ -shape.
 *
 * @param level from `levelAt`, 0 to 1
 */
export function judgeSilence(habit: Habit, level: number, lastOrderAtMs: number, nowMs: number): Judgement {
  const usual = Math.max(
    0,
    Math.min(
      usualOrders(habit, lastOrderAtMs, nowMs),
      usualOrders(habit, lastOrderAtMs - HOUR_MS, nowMs - HOUR_MS),
      usualOrders(habit, lastOrderAtMs + HOUR_MS, nowMs + HOUR_MS),
    ),
  );
  const expected = usual * level;
  // What these hours of the week have taught comes from as many orders as they usually bring in so many weeks.
  const shape = 1 / (1 / habit.shape + 1 / (usual * habit.weeks + 1));
  const probability = (1 + expected / shape) ** -shape;
  const limit = Math.min(PROBABILITY_MAX, FALSE_ALARMS_PER_WEEK / Math.max(1, habit.ordersPerWeek));
  const silent = expected >= EXPECTED_MIN && probability < limit && habit.ordersPerWeek >= ORDERS_PER_WEEK_MIN;
  return { expected, probability, limit, silent };
}

/** How a shop sold before an instant against its habit: 1 = as usual or more, 0.3 = a third of it. Pure. */
export function levelAt(habit: Habit, seen: SeenHours, atMs: number): number {
  const endHour = Math.min(Math.floor(atMs / HOUR_MS), seen.firstHour + seen.orders.length);
  const levels = LEVEL_HOURS.map((hours) => {
    const counted = ordersIn(seen, endHour - hours, endHour);
    const usual = usualOrders(habit, (endHour - hours) * HOUR_MS, endHour * HOUR_MS);
    return (counted + LEVEL_PRIOR) / (usual + LEVEL_PRIOR);
  });
  return Math.min(1, ...levels);
}

/** @param untilHour exclusive; hours since 1970 */
export function ordersIn({ firstHour, orders }: SeenHours, fromHour: number, untilHour: number): number {
  let sum = 0;
  for (let index = Math.max(0, fromHour - firstHour); index < Math.min(orders.length, untilHour - firstHour); index++) {
    sum += orders[index] ?? 0;
  }
  return sum;
}
