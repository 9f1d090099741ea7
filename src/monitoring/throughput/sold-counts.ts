import type { ShopHour } from '../../pipeline/contract.js';
import type { Stage } from '../contract.js';

/** What Shopify has listed as sold in one hour of a shop. */
export interface SoldHour extends ShopHour {
  /** All orders, test orders and left-out channels among them: the ledger ignores those, and counts them. */
  orders: number;
  /** Of these, due as purchases for who waits for payment: paid or free. */
  due: number;
}

/** Orders of one hour that were found absent at one destination, compared by id. */
export interface GapCount extends ShopHour {
  destinationId: number;
  /** The first stage they did not reach. */
  stage: Stage;
  /** Not there yet: open, or queued again. */
  missing: number;
  /** Given up, with a reason: they are buried in the ledger as well. */
  dead: number;
  recovered: number;
}

export interface Span {
  fromAt: Date;
  /** Exclusive. */
  untilAt: Date;
}

/** How much of a shop's past is known from the source of truth. */
export interface ProvedShop {
  shopId: string;
  /** Apart, and in order: every order sold in them has been listed and compared, by runs that were complete. */
  spans: readonly Span[];
}

/** Reconciliation's side of throughput: purchases. When one was sold is its `created_at` in Shopify, as in the ledger. */
export interface SoldCounts {
  /** Hours without an order are absent. */
  hours(hours: readonly ShopHour[]): Promise<SoldHour[]>;
  /** Hours and stages without a gap are absent. */
  gaps(hours: readonly ShopHour[]): Promise<GapCount[]>;
  /** @param shopIds omitted = all that have any proof */
  proved(shopIds?: readonly string[]): Promise<ProvedShop[]>;
  /**
   * Hours of which an answer of `hours` or `gaps` has changed in `[sinceAt, untilAt)`: an order listed, paid or taken
   * back, a gap opened, requeued, recovered or given up. A transaction that changes them commits within three minutes
   * of the instant it writes down.
   */
  touchedHours(sinceAt: Date, untilAt: Date): Promise<ShopHour[]>;
}
