import type { BurnWindow, Slo } from '../contract.js';

/**
 * When burning is told: at so much of the budget in so long. The short window ends the signal soon after the trouble has
 * ended; it is a twelfth of the long one.
 * Source: Google, "The Site Reliability Workbook", ch. 5, table 5-8.
 */
export const DEFAULT_WINDOWS: readonly BurnWindow[] = [
  { longMinutes: 60, shortMinutes: 5, budgetShare: 0.02, class: 'page', severity: 1 },
  { longMinutes: 360, shortMinutes: 30, budgetShare: 0.05, class: 'page', severity: 2 },
  { longMinutes: 1_440, shortMinutes: 120, budgetShare: 0.1, class: 'ticket', severity: 4 },
  { longMinutes: 4_320, shortMinutes: 360, budgetShare: 0.1, class: 'ticket', severity: 4 },
];

/** What is promised when the configuration promises nothing else. */
export const DEFAULT_SLOS: readonly Slo[] = [
  {
    name: 'order-throughput',
    objective: 0.9999,
    windowDays: 28,
    // An order that is recovered within a day counts as good; GA4 takes none that is older than three.
    arrivedWithinMinutes: 1_440,
    windows: DEFAULT_WINDOWS,
  },
  { name: 'orders-on-time', objective: 0.999, windowDays: 28, arrivedWithinMinutes: 15, windows: DEFAULT_WINDOWS },
];

/** Fewer than three bad orders burn nothing, however few were sold: each of them is told as `order-missing` by itself. */
export const BAD_ORDERS_MIN = 3;

/** The pace at which a pair of windows is told: 1 spends exactly the budget in the objective's time. */
export function burnLimit({ windowDays }: Pick<Slo, 'windowDays'>, window: BurnWindow): number {
  return (window.budgetShare * windowDays * 1_440) / window.longMinutes;
}
