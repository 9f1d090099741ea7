import type { Shop } from '../../pipeline/contract.js';
import type { ListedOrder } from './listed-order.js';

/** Orders by `updated_at`, from `fromAt` (inclusive) to `toAt` (exclusive), UTC. */
export interface ListingWindow {
  fromAt: Date;
  toAt: Date;
}

/** Where a listing stands, as JSON: kept after every step, so that a crash goes on where it was. `null` = not begun. */
export type ListingPosition = Readonly<Record<string, unknown>> | null;

/** What one step of a listing came to. */
export type ListingStep =
  | {
      outcome: 'orders';
      /** Any of them may come again in a later step; which is why what is done with them must be safe to do twice. */
      orders: readonly ListedOrder[];
      position: ListingPosition;
      /** Everything of the window has been listed with this step. */
      complete: boolean;
      /** What the window does not cover, in words: the 60-day wall. `null` = all of it. */
      notCovered: string | null;
    }
  /** Not now: throttled, unavailable, a bulk operation that still runs. Nothing may be concluded. */
  | {
      outcome: 'later';
      detail: string;
      retryAfterMs: number;
      position: ListingPosition;
      /** Shopify works at it and gets on: nothing hinders, and nobody need be told. */
      underWay?: true;
    }
  /** Not at all until a person acts: token revoked, scope missing, a query that is refused. */
  | { outcome: 'blind'; detail: string };

/** Lists what Shopify sold, step by step. */
export interface Listing {
  step(shop: Shop, window: ListingWindow, position: ListingPosition, signal: AbortSignal): Promise<ListingStep>;
}
