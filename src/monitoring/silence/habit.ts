export const HOURS_OF_WEEK = 168;

/** Orders seen by the hour, all of them whole, up to the last one that is over. */
export interface SeenHours {
  /** Hours since 1970-01-01T00:00Z of the first. */
  firstHour: number;
  orders: ArrayLike<number>;
}

/** How a shop usually sells: what eight weeks of it say. */
export interface Habit {
  weeks: number;
  ordersPerWeek: number;
  /** Orders an hour, by hour of the week; 0 is Thursday, midnight UTC, as 1970 began. */
  rates: Float64Array;
  /** Orders from the beginning of the week to the beginning of each hour, and one more for its end. */
  sums: Float64Array;
  /**
   * How far the true rate may be off: the shape of a gamma distribution around it, whose variance is 1 / shape. Small =
   * anything may happen.
   */
  shape: number;
}

/** An hour of the week is worth its own weeks and two of what the shop's day and week look like at large. */
const PRIOR_WEEKS = 2;
/** Until a shop's own scatter is known, it is taken to be this (variance of the rate); worth ten orders squared. */
const PRIOR_SCATTER = 0.05;
const PRIOR_SCATTER_WEIGHT = 10;
/** A silence that is worth judging is about as long as twenty orders usually take, and at most three days. */
const BLOCK_ORDERS = 20;
const BLOCK_HOURS_MAX = 72;
/** Doubt about a level: so many orders on both sides. */
export const LEVEL_PRIOR = 5;
/** A profile of one week may be off by half (1 / (4 weeks) = 0.25 of variance), one of eight weeks by a sixth. */
const DOUBT_WEEKS = 4;

/**
 * @param seen more than a week, or there is nothing to compare with
 * @returns `null` = not enough is known
 */
export function habitOf(seen: SeenHours): Habit | null {
  const weeks = seen.orders.length / HOURS_OF_WEEK;
  if (weeks < 1) return null;
  const rates = ratesOf(seen);
  const sums = new Float64Array(HOURS_OF_WEEK + 1);
  for (let hour = 0; hour < HOURS_OF_WEEK; hour++) sums[hour + 1] = (sums[hour] ?? 0) + (rates[hour] ?? 0);
  const ordersPerWeek = sums[HOURS_OF_WEEK] ?? 0;
  const blockHours = Math.round(
    Math.min(BLOCK_HOURS_MAX, Math.max(1, (BLOCK_ORDERS * HOURS_OF_WEEK) / Math.max(1, ordersPerWeek))),
  );
  const leverage = (weeks + PRIOR_WEEKS) / (weeks + PRIOR_WEEKS - 1);
  const scatter = scatterOf(seen, rates, blockHours) * leverage;
  return {
    weeks,
    ordersPerWeek,
    rates,
    sums,
    shape: 1 / (scatter + 1 / (DOUBT_WEEKS * weeks)),
  };
}

/** Orders that would usually come between two instants. */
export function usualOrders(habit: Habit, fromMs: number, toMs: number): number {
  return cumulative(habit, toMs / HOUR_MS) - cumulative(habit, fromMs / HOUR_MS);
}

const HOUR_MS = 3_600_000;

function cumulative({ sums, rates }: Habit, hours: number): number {
  const week = Math.floor(hours / HOURS_OF_WEEK);
  const within = hours - week * HOURS_OF_WEEK;
  const hour = Math.min(HOURS_OF_WEEK - 1, Math.floor(within));
  return week * (sums[HOURS_OF_WEEK] ?? 0) + (sums[hour] ?? 0) + (within - hour) * (rates[hour] ?? 0);
}

/** Each hour of the week by itself, drawn towards what the shop's hours of the day and days of the week say together. */
function ratesOf({ firstHour, orders }: SeenHours): Float64Array {
  const own = new Float64Array(HOURS_OF_WEEK);
  const times = new Float64Array(HOURS_OF_WEEK);
  for (let index = 0; index < orders.length; index++) {
    const hour = (firstHour + index) % HOURS_OF_WEEK;
    own[hour] = (own[hour] ?? 0) + (orders[index] ?? 0);
    times[hour] = (times[hour] ?? 0) + 1;
  }
  const ofDay = new Float64Array(24);
  const ofWeekday = new Float64Array(7);
  for (let hour = 0; hour < HOURS_OF_WEEK; hour++) {
    const mean = (own[hour] ?? 0) / (times[hour] ?? 1);
    const [day, hourOfDay] = [Math.floor(hour / 24), hour % 24];
    ofDay[hourOfDay] = (ofDay[hourOfDay] ?? 0) + mean / 7;
    ofWeekday[day] = (ofWeekday[day] ?? 0) + mean;
  }
  const perDay = ofDay.reduce((sum, each) => sum + each, 0);
  const rates = new Float64Array(HOURS_OF_WEEK);
  for (let hour = 0; hour < HOURS_OF_WEEK; hour++) {
    const [day, hourOfDay] = [Math.floor(hour / 24), hour % 24];
    const weeks = times[hour] ?? 1;
    // Its neighbours count half, so that a peak that comes a little early one week is not taken for two habits.
    const smooth =
      (ofDay[hourOfDay] ?? 0) / 2 + ((ofDay[(hourOfDay + 23) % 24] ?? 0) + (ofDay[(hourOfDay + 1) % 24] ?? 0)) / 4;
    const weekday =
      perDay === 0 ? 1 : ((ofWeekday[day] ?? 0) * weeks + perDay * PRIOR_WEEKS) / ((weeks + PRIOR_WEEKS) * perDay);
    rates[hour] = ((own[hour] ?? 0) + PRIOR_WEEKS * smooth * weekday) / (weeks + PRIOR_WEEKS);
  }
  return rates;
}

/**
 * How much more the counts scatter than chance alone would make them, as the variance of the rate: moments of a negative
 * binomial, over blocks as long as the silences that will be judged. A time that is slow as a whole is no scatter: the
 * judgement knows it by the level before the last order, and so each block is held against the three before it.
 */
function scatterOf({ firstHour, orders }: SeenHours, rates: Float64Array, blockHours: number): number {
  const counted = new Float64Array(orders.length + 1);
  const usual = new Float64Array(orders.length + 1);
  for (let index = 0; index < orders.length; index++) {
    counted[index + 1] = (counted[index] ?? 0) + (orders[index] ?? 0);
    usual[index + 1] = (usual[index] ?? 0) + (rates[(firstHour + index) % HOURS_OF_WEEK] ?? 0);
  }
  const between = (sums: Float64Array, from: number, to: number): number => (sums[to] ?? 0) - (sums[from] ?? 0);
  let excess = PRIOR_SCATTER * PRIOR_SCATTER_WEIGHT;
  let weight = PRIOR_SCATTER_WEIGHT;
  const levelHours = 3 * blockHours;
  for (let start = levelHours; start + blockHours <= orders.length; start += blockHours) {
    const from = start - levelHours;
    const level = (between(counted, from, start) + LEVEL_PRIOR) / (between(usual, from, start) + LEVEL_PRIOR);
    const expected = between(usual, start, start + blockHours) * level;
    excess += (between(counted, start, start + blockHours) - expected) ** 2 - expected;
    weight += expected ** 2;
  }
  return Math.max(0, excess / weight);
}
