import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/kernel/random.js';
import { HOURS_OF_WEEK, habitOf, usualOrders, type Habit } from '../../../src/monitoring/silence/habit.js';
import { judgeSilence, levelAt } from '../../../src/monitoring/silence/silence.js';
import { HOUR_MS, detectionMinutes, falseAlarms, knownAt, sell, type ShopKind } from './pretended-shop.js';

const CHANCE = 1e9; // a rate that never varies: counts scatter by chance alone
const steady = { hourShape: CHANCE, dayShape: CHANCE, night: 0.1 };
const usual = { hourShape: 20, dayShape: 40, night: 0.05 };
const wild = { hourShape: 4, dayShape: 8, night: 0.02 };

function habitAfter(kind: ShopKind, seed = 7, weeks = 8): Habit {
  const habit = habitOf(sell(kind, weeks * HOURS_OF_WEEK, new SeededRandom(seed)).seen);
  if (!habit) throw new Error('eight weeks are enough');
  return habit;
}

describe('a habit', () => {
  it('is not known before a week is over', () => {
    expect(habitOf({ firstHour: 0, orders: new Uint32Array(HOURS_OF_WEEK - 1) })).toBeNull();
    expect(habitOf({ firstHour: 0, orders: new Uint32Array(HOURS_OF_WEEK) })?.ordersPerWeek).toBe(0);
  });

  it('adds up to what was sold, hour by hour and over any time', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e6 }),
        fc.integer({ min: 0, max: 20_000 }),
        fc.double({ min: 0, max: 500, noNaN: true }),
        fc.double({ min: 0, max: 500, noNaN: true }),
        (seed, start, first, second) => {
          const random = new SeededRandom(seed);
          const orders = Array.from({ length: 3 * HOURS_OF_WEEK }, () => random.integer(0, 20));
          const habit = habitOf({ firstHour: start, orders });
          const perWeek = orders.reduce((sum, each) => sum + each, 0) / 3;
          expect(habit?.ordersPerWeek).toBeCloseTo(perWeek, 6);
          if (!habit) return;
          const [a, b, c] = [start * HOUR_MS, (start + first) * HOUR_MS, (start + first + second) * HOUR_MS];
          expect(usualOrders(habit, a, c)).toBeCloseTo(usualOrders(habit, a, b) + usualOrders(habit, b, c), 6);
          expect(usualOrders(habit, a, a + HOURS_OF_WEEK * HOUR_MS)).toBeCloseTo(perWeek, 6);
        },
      ),
    );
  });

  it('doubts itself more the less it knows, and the more the shop scatters', () => {
    const kind = { ordersPerHour: 30, ...steady };
    expect(habitAfter(kind, 7, 2).shape).toBeLessThan(habitAfter(kind, 7, 8).shape);
    expect(habitAfter({ ...kind, ...wild }).shape).toBeLessThan(habitAfter({ ...kind, ...usual }).shape);
    expect(habitAfter({ ...kind, ...usual }).shape).toBeLessThan(habitAfter(kind).shape);
  });
});

describe('a silence', () => {
  it('grows less likely the longer it lasts', () => {
    const habit = habitAfter({ ordersPerHour: 5, ...usual });
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10_000 }),
        fc.integer({ min: 0, max: 10_000 }),
        fc.integer({ min: 0, max: 10_000 }),
        (start, first, more) => {
          const from = start * 60_000;
          const one = judgeSilence(habit, 1, from, from + first * 60_000);
          const other = judgeSilence(habit, 1, from, from + (first + more) * 60_000);
          expect(other.probability).toBeLessThanOrEqual(one.probability);
          expect(other.expected).toBeGreaterThanOrEqual(one.expected);
        },
      ),
    );
  });

  it('says nothing about a shop that hardly sells, however long it is', () => {
    const habit = habitOf({
      firstHour: 0,
      orders: Array.from({ length: 8 * HOURS_OF_WEEK }, (_, i) => (i % 400 ? 0 : 1)),
    });
    expect(habit && judgeSilence(habit, 1, 0, 300 * 24 * HOUR_MS).silent).toBe(false);
  });

  it('is expected more readily on a slow day, and no less so after a busy one', () => {
    const { seen } = sell({ ordersPerHour: 30, ...steady }, 8 * HOURS_OF_WEEK, new SeededRandom(3), (hour) =>
      hour >= 8 * HOURS_OF_WEEK - 24 ? 0.25 : 1,
    );
    const habit = habitOf(seen);
    const end = 8 * HOURS_OF_WEEK * HOUR_MS;
    expect(habit && levelAt(habit, seen, end)).toBeLessThan(0.5);
    const busy = sell({ ordersPerHour: 30, ...steady }, 8 * HOURS_OF_WEEK, new SeededRandom(3), (hour) =>
      hour >= 8 * HOURS_OF_WEEK - 24 ? 5 : 1,
    ).seen;
    const busyHabit = habitOf(busy);
    expect(busyHabit && levelAt(busyHabit, busy, end)).toBe(1);
  });
});

/**
 * The promise: less than one false alarm in a year of a shop, whatever it sells. `weeks` are weeks of shops, so the
 * bound for 600 of them is eleven; in the model itself it would be three.
 */
describe('false alarms stay under one in a year of a shop', () => {
  const YEARLY_MAX = 1;

  function alarmsOf(kind: ShopKind, shops: number, factor?: (hour: number) => number): number {
    let [alarms, weeks] = [0, 0];
    for (let seed = 1; seed <= shops; seed++) {
      const counted = falseAlarms(sell(kind, 22 * HOURS_OF_WEEK, new SeededRandom(seed * 7919), factor));
      alarms += counted.alarms;
      weeks += counted.weeks;
    }
    return (alarms / weeks) * 52;
  }

  it.each([
    ['a small shop', { ordersPerHour: 0.05, ...steady }, 30],
    ['a small shop that scatters', { ordersPerHour: 0.05, ...wild }, 30],
    ['an order every few hours', { ordersPerHour: 0.3, ...usual }, 30],
    ['an order every few hours, wildly', { ordersPerHour: 0.3, ...wild }, 30],
    ['an order an hour', { ordersPerHour: 1, ...steady }, 30],
    ['an order an hour, as shops are', { ordersPerHour: 1, ...usual }, 30],
    ['five an hour, wildly', { ordersPerHour: 5, ...wild }, 20],
    ['thirty an hour by chance alone', { ordersPerHour: 30, ...steady }, 5],
    ['thirty an hour, as shops are', { ordersPerHour: 30, ...usual }, 5],
    ['thirty an hour, wildly', { ordersPerHour: 30, ...wild }, 5],
    ['a hundred an hour, wildly', { ordersPerHour: 100, ...wild }, 2],
  ])('%s', (_, kind, shops) => {
    expect(alarmsOf(kind, shops)).toBeLessThan(YEARLY_MAX);
  });

  const kind = { ordersPerHour: 10, ...usual };
  const week = (hour: number): number => Math.floor(hour / HOURS_OF_WEEK);
  const day = (hour: number): number => Math.floor(hour / 24);
  it.each([
    ['through holidays', (hour: number) => (day(hour) % 31 === 20 ? 0.2 : 1)],
    ['after a week of a sale', (hour: number) => (week(hour) % 6 === 5 ? 8 : 1)],
    ['when half its customers leave for good', (hour: number) => (week(hour) >= 12 ? 0.5 : 1)],
    ['as it grows by a fifth a month', (hour: number) => 1.2 ** (hour / 720)],
  ])('%s', (_, factor) => {
    expect(alarmsOf(kind, 8, factor)).toBeLessThan(YEARLY_MAX);
  });

  it('when clocks change by an hour, in a shop that sells nothing at night', () => {
    const morning = {
      firstHour: 0,
      orders: Array.from({ length: 8 * HOURS_OF_WEEK }, (_, i) => (i % 24 >= 7 ? 60 : 0)),
    };
    const habit = habitOf(morning);
    const silentFrom = (hour: number, hours: number): boolean | null => {
      const fromMs = (8 * HOURS_OF_WEEK + hour) * HOUR_MS;
      return habit && judgeSilence(habit, 1, fromMs, fromMs + hours * HOUR_MS).silent;
    };
    // It sells from seven to midnight; after the change from eight to one, or from six to eleven.
    expect(silentFrom(1, 7)).toBe(false);
    expect(silentFrom(-1, 7)).toBe(false);
    expect(silentFrom(0, 9)).toBe(true);
  });
});

describe('a shop that falls silent at noon is noticed', () => {
  // What the README says of it. `steady`: by chance alone; `usual`: hours vary by a fifth and days by a sixth.
  it.each([
    [120, steady, 10],
    [120, usual, 20],
    [30, steady, 40],
    [30, usual, 75],
    [5, steady, 3.5 * 60],
    [5, usual, 5 * 60],
    [1, steady, 24 * 60],
    [1, usual, 36 * 60],
    [0.2, usual, 7 * 24 * 60],
  ])('at %d orders an hour (%o) within %d minutes', (ordersPerHour, scatter, minutesMax) => {
    const delays = Array.from({ length: 15 }, (_, seed) => {
      const noon = 10 * HOURS_OF_WEEK + 13;
      const { seen } = sell({ ordersPerHour, ...scatter }, noon, new SeededRandom(seed + 1));
      const known = knownAt(seen, noon);
      const habit = habitOf(known);
      return habit ? detectionMinutes(habit, levelAt(habit, known, noon * HOUR_MS), noon * HOUR_MS) : Infinity;
    }).sort((one, other) => one - other);
    // Twelve of fifteen: the rest begin on a day that was slow already.
    expect(delays[11]).toBeLessThanOrEqual(minutesMax);
  });
});
