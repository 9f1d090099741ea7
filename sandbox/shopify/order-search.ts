import type { Clock } from '../clock.js';
import type { StoreProfile } from './catalogue.js';
import type { Args } from './graphql-answer.js';
import type { OrderBook, OrderRow } from './order-book.js';
import { parseSearch, type Search } from './search.js';

const DAY_MS = 86_400_000;
/** How far back an app sees orders without `read_all_orders`. */
const WALL_DAYS = 60;

export interface SearchedShop {
  store: StoreProfile;
  book: OrderBook;
  /** Whether the app has `read_all_orders`. Without it, orders made more than 60 days ago are not found. */
  readAllOrders: boolean;
}

/** Which orders of a shop an app finds, and in which order. */
export class OrderSearch {
  constructor(private readonly clock: Clock) {}

  /** @param told takes what was understood of the search, for `extensions.search` */
  found(shop: SearchedShop, { query }: Args, told: Record<string, unknown>[]): OrderRow[] {
    const search: Search | null = typeof query === 'string' ? parseSearch(query, shop.store.timeZone) : null;
    if (search !== null) told.push({ path: [], ...search.extension });
    return shop.book.rows().filter((row) => this.isInReach(shop, row.createdAtMs) && (search?.matches(row) ?? true));
  }

  sorted(shop: SearchedShop, args: Args, told: Record<string, unknown>[]): OrderRow[] {
    const key = sortKey(args.sortKey);
    const sign = args.reverse === true ? -1 : 1;
    return this.found(shop, args, told).sort((one, other) => (key(one) - key(other) || one.id - other.id) * sign);
  }

  isInReach(shop: SearchedShop, createdAtMs: number): boolean {
    return shop.readAllOrders || createdAtMs >= this.clock.now() - WALL_DAYS * DAY_MS;
  }
}

export function sortKey(name: unknown): (row: OrderRow) => number {
  switch (name) {
    case 'UPDATED_AT':
      return (row) => row.updatedAtMs;
    case 'ID':
      return (row) => row.id;
    case 'TOTAL_PRICE':
      return (row) => row.totalMinor;
    default: // PROCESSED_AT is the documented default; here it equals CREATED_AT
      return (row) => row.createdAtMs;
  }
}
