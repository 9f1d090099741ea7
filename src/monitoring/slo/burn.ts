import type { BurnView, BurnWindow, Slo } from '../contract.js';
import { BAD_ORDERS_MIN, burnLimit } from './objective.js';

/** What went well and what did not in one stretch of time that ends now; an order counts once for each destination. */
export interface Stretch {
  /** Arrived, or bad. */
  total: number;
  bad: number;
  /** Of the bad ones, lost and not late. */
  lost: number;
}

type Shares = Pick<Stretch, 'total' | 'bad'>;

export const NOTHING: Stretch = { total: 0, bad: 0, lost: 0 };

/** Budget is counted in orders, so that a page can say how many are left. */
export interface Budget {
  /** How many may be bad, of those that there were. */
  orders: number;
  spent: number;
  /** Below 0 = overspent. */
  left: number;
}

/** @returns `null` when there was no order: no data is not good data */
export function badShare({ total, bad }: Shares): number | null {
  return total === 0 ? null : bad / total;
}

/** How many times faster than the budget allows; `null` when there was no order. */
export function burnRate(stretch: Shares, objective: number): number | null {
  const share = badShare(stretch);
  return share === null ? null : share / (1 - objective);
}

export function budgetOf({ total, bad }: Shares, objective: number): Budget {
  const orders = total * (1 - objective);
  return { orders, spent: bad, left: orders - bad };
}

/**
 * One pair of windows. Burns when both are at least as fast as the limit, and the long one has at least three bad
 * orders. Pure.
 */
export function burnOf(slo: Slo, window: BurnWindow, long: Shares, short: Shares): BurnView {
  const limit = burnLimit(slo, window);
  const longBurn = burnRate(long, slo.objective);
  const shortBurn = burnRate(short, slo.objective);
  // Shares of whole orders over whole orders: a hair of rounding must not decide whether a limit was met.
  const meets = (burn: number | null): boolean => burn !== null && burn >= limit * (1 - 1e-9);
  return {
    ...window,
    limit,
    longBurn,
    shortBurn,
    longBad: long.bad,
    longTotal: long.total,
    shortBad: short.bad,
    burning: meets(longBurn) && meets(shortBurn) && long.bad >= BAD_ORDERS_MIN,
  };
}
