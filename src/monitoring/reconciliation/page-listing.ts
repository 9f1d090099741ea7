import type { AdminAnswer, Shop, ShopifyAdmin } from '../../pipeline/contract.js';
import { LISTED_ORDER_FIELDS, UnreadableNode, listedOrderOf, type ListedOrder } from './listed-order.js';
import type { Listing, ListingPosition, ListingStep, ListingWindow } from './listing.js';

/** Shopify's own limits: shopify.dev/api/usage/limits (docs/shopify.md, "Admin API"). */
const PAGE = 250;
const PAGED_MAX = 25_000;

/** One page short of the wall, so that the slice begins anew before Shopify refuses. */
const SLICE_MAX = PAGED_MAX - PAGE;

const QUERY = `query PlumblineSold($search: String!, $after: String) {
  orders(first: ${PAGE}, after: $after, query: $search, sortKey: UPDATED_AT) {
    nodes { ${LISTED_ORDER_FIELDS} }
    pageInfo { hasNextPage endCursor }
  } }`;

/** `sliceFromAt` moves when a slice nears the wall; `after` is Shopify's cursor within it. */
interface Position {
  sliceFromAt: string;
  after: string | null;
  listedInSlice: number;
}

/**
 * Lists by pages of 250, sorted by what the window is cut by. An order that changes while it is listed moves behind the
 * window's end and is met by the next window; none can slip from a later page to an earlier one.
 */
export class PageListing implements Listing {
  constructor(private readonly admin: ShopifyAdmin) {}

  async step(shop: Shop, window: ListingWindow, position: ListingPosition, signal: AbortSignal): Promise<ListingStep> {
    const at = positionOf(position, window);
    const search = searchOf(new Date(at.sliceFromAt), window.toAt);
    const answer = await this.admin.query(shop, QUERY, { search, after: at.after }, signal);
    if (answer.outcome !== 'data') return failureOf(answer, position);
    const misread = misreadSearch(answer.extensions);
    if (misread !== null) return { outcome: 'blind', detail: misread };
    const connection = record(answer.data['orders']);
    const nodes = connection?.['nodes'];
    const pageInfo = record(connection?.['pageInfo']);
    if (!Array.isArray(nodes) || !pageInfo) {
      return { outcome: 'later', detail: 'the answer held no orders', retryAfterMs: 60_000, position };
    }
    let orders: ListedOrder[];
    try {
      orders = nodes.map((node) => listedOrderOf(record(node) ?? {}));
    } catch (error) {
      if (error instanceof UnreadableNode) return { outcome: 'blind', detail: error.message };
      throw error;
    }
    if (pageInfo['hasNextPage'] !== true) {
      return { outcome: 'orders', orders, position: null, complete: true, notCovered: null };
    }
    const next = nextPosition(at, orders, pageInfo['endCursor']);
    if (next === null) {
      const second = at.sliceFromAt;
      return { outcome: 'blind', detail: `more than ${PAGED_MAX} orders changed at the same second (${second})` };
    }
    return { outcome: 'orders', orders, position: { ...next }, complete: false, notCovered: null };
  }
}

/** With a zone, always: a bare time is read in the shop's own, which moves the window by hours. Pure. */
export function searchOf(fromAt: Date, toAt: Date): string {
  return `updated_at:>='${fromAt.toISOString()}' AND updated_at:<'${toAt.toISOString()}'`;
}

/**
 * Whether Shopify searched for what was meant. A field it does not know matches everything, and a bound it read
 * otherwise would move the window; both would pass for a complete listing.
 *
 * @returns what it misread; `null` when nothing says so
 * Source: docs/shopify.md, "Search"
 */
export function misreadSearch(extensions: unknown): string | null {
  const searches = record(extensions)?.['search'];
  if (!Array.isArray(searches)) return null;
  for (const search of searches as unknown[]) {
    const warnings = record(search)?.['warnings'];
    if (!Array.isArray(warnings) || warnings.length === 0) continue;
    const first = record(warnings[0]);
    return `Shopify misread the search: ${String(first?.['field'])}: ${String(first?.['message'])}`;
  }
  return null;
}

function nextPosition(at: Position, orders: readonly ListedOrder[], endCursor: unknown): Position | null {
  const listedInSlice = at.listedInSlice + orders.length;
  const last = orders.at(-1);
  if (listedInSlice < SLICE_MAX && typeof endCursor === 'string') return { ...at, after: endCursor, listedInSlice };
  if (!last) return null;
  // Begins at the second of the last one seen: those of the same second come again rather than not at all.
  const sliceFromAt = new Date(Math.floor(last.updatedAt.getTime() / 1000) * 1000).toISOString();
  return sliceFromAt > at.sliceFromAt ? { sliceFromAt, after: null, listedInSlice: 0 } : null;
}

function positionOf(position: ListingPosition, window: ListingWindow): Position {
  const { sliceFromAt, after, listedInSlice } = position ?? {};
  return {
    sliceFromAt: typeof sliceFromAt === 'string' ? sliceFromAt : window.fromAt.toISOString(),
    after: typeof after === 'string' ? after : null,
    listedInSlice: typeof listedInSlice === 'number' ? listedInSlice : 0,
  };
}

/** What an answer without data means for a listing. */
export function failureOf(answer: Exclude<AdminAnswer, { outcome: 'data' }>, position: ListingPosition): ListingStep {
  switch (answer.outcome) {
    case 'throttled':
      return { outcome: 'later', detail: 'the Admin API is throttled', retryAfterMs: answer.retryAfterMs, position };
    case 'unavailable':
      return { outcome: 'later', detail: `the Admin API is away: ${answer.detail}`, retryAfterMs: 60_000, position };
    case 'denied':
      return { outcome: 'blind', detail: `the Admin API refuses us: ${answer.detail}` };
    case 'refused':
      return { outcome: 'blind', detail: `the Admin API refuses the query: ${answer.detail}` };
  }
}

function record(value: unknown): Record<string, unknown> | null {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}
