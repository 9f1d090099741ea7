import type { Clock } from '../../kernel/clock.js';
import type { Shop, ShopifyAdmin } from '../../pipeline/contract.js';
import type { Listing, ListingPosition, ListingStep, ListingWindow } from './listing.js';
import { failureOf, misreadSearch, searchOf } from './page-listing.js';

/** Hourly runs are narrower: they are listed by pages without asking how much there is. */
const NARROW_MS = 3 * 3_600_000;
/** Where nobody can say how much there is. */
const WIDE_MS = 2 * 86_400_000;
/** 40 pages of 250 cost what a full bucket of points holds; more would wait for points longer than for an operation. */
const BULK_FROM = 10_000;

/** Shopify shows an app without the scope `read_all_orders` no order that was made longer ago. */
const WALL_MS = 60 * 86_400_000;
const WALL_SCOPE = 'read_all_orders';

const QUERY = `query PlumblineWindow($search: String!, $limit: Int!) {
  ordersCount(query: $search, limit: $limit) { count precision }
  currentAppInstallation { accessScopes { handle } } }`;

type Way = 'pages' | 'bulk';

interface Position {
  by: Way;
  /** Why this way, in words. */
  why: string;
  notCovered: string | null;
  /** The way's own position. */
  at: ListingPosition;
}

/**
 * Lists by pages or in bulk, as is cheaper. Decided once a window and kept in the position: a count that grows meanwhile
 * changes nothing. What cannot be listed in bulk - no scope for it, operations that fail again and again - is listed by
 * pages, from the beginning.
 */
export class ChosenListing implements Listing {
  constructor(private readonly deps: { admin: ShopifyAdmin; clock: Clock; pages: Listing; bulk: Listing }) {}

  async step(shop: Shop, window: ListingWindow, position: ListingPosition, signal: AbortSignal): Promise<ListingStep> {
    const at = positionOf(position);
    if (at !== null) return this.goOn(shop, window, at, signal);
    const nowMs = this.deps.clock.nowMs();
    // A turn's listing is open towards the future, where nothing has changed yet.
    const widthMs = Math.min(window.toAt.getTime(), nowMs) - window.fromAt.getTime();
    const wallMs = nowMs - WALL_MS;
    if (widthMs <= NARROW_MS && window.fromAt.getTime() >= wallMs) {
      return this.goOn(shop, window, { by: 'pages', why: 'a narrow window', notCovered: null, at: null }, signal);
    }
    const search = searchOf(window.fromAt, window.toAt);
    const answer = await this.deps.admin.query(shop, QUERY, { search, limit: BULK_FROM }, signal);
    if (answer.outcome === 'throttled' || answer.outcome === 'unavailable') return failureOf(answer, null);
    const data = answer.outcome === 'data' ? answer.data : {};
    const misread = answer.outcome === 'data' ? misreadSearch(answer.extensions) : null;
    if (misread !== null) return { outcome: 'blind', detail: misread };
    const chosen = chooseWay(widthMs, countOf(data['ordersCount']));
    const notCovered = behindTheWall(window, wallMs, scopesOf(data['currentAppInstallation']));
    return this.goOn(shop, window, { ...chosen, notCovered, at: null }, signal);
  }

  private async goOn(shop: Shop, window: ListingWindow, at: Position, signal: AbortSignal): Promise<ListingStep> {
    const step = await this.deps[at.by].step(shop, window, at.at, signal);
    switch (step.outcome) {
      case 'orders': {
        const position = step.complete ? null : { ...at, at: step.position };
        return { ...step, position, notCovered: step.notCovered ?? at.notCovered };
      }
      case 'later':
        return { ...step, position: { ...at, at: step.position } };
      case 'blind': {
        if (at.by === 'pages') return step;
        const pages: Position = {
          by: 'pages',
          why: `not in bulk: ${step.detail}`,
          notCovered: at.notCovered,
          at: null,
        };
        return {
          outcome: 'orders',
          orders: [],
          position: { ...pages },
          complete: false,
          notCovered: at.notCovered,
        };
      }
    }
  }
}

/**
 * Pure.
 *
 * @param count up to `BULK_FROM`; `null` = not told
 */
export function chooseWay(
  widthMs: number,
  count: { count: number; isExact: boolean } | null,
): { by: Way; why: string } {
  if (count === null) {
    const isWide = widthMs > WIDE_MS;
    return {
      by: isWide ? 'bulk' : 'pages',
      why: `nobody says how many orders; the window is ${isWide ? 'wide' : 'small'}`,
    };
  }
  if (count.isExact && count.count < BULK_FROM) return { by: 'pages', why: `${count.count} orders` };
  return { by: 'bulk', why: `${count.count} orders or more` };
}

/**
 * What of a window lies behind the 60-day wall, in words. Pure.
 *
 * @param scopes of the app; `null` = not told, which is taken as if it lacked the scope
 */
export function behindTheWall(
  window: ListingWindow,
  wallMs: number,
  scopes: ReadonlySet<string> | null,
): string | null {
  if (window.fromAt.getTime() >= wallMs || scopes?.has(WALL_SCOPE) === true) return null;
  const day = new Date(wallMs).toISOString().slice(0, 10);
  return `orders made before ${day}: Shopify shows an app without the scope ${WALL_SCOPE} the last 60 days`;
}

function positionOf(position: ListingPosition): Position | null {
  const { by, why, notCovered, at } = position ?? {};
  if (by !== 'pages' && by !== 'bulk') return null;
  return {
    by,
    why: typeof why === 'string' ? why : '',
    notCovered: typeof notCovered === 'string' ? notCovered : null,
    at: record(at),
  };
}

function countOf(value: unknown): { count: number; isExact: boolean } | null {
  const { count, precision } = record(value) ?? {};
  return typeof count === 'number' ? { count, isExact: precision === 'EXACT' } : null;
}

function scopesOf(value: unknown): ReadonlySet<string> | null {
  const scopes = record(value)?.['accessScopes'];
  if (!Array.isArray(scopes)) return null;
  return new Set((scopes as unknown[]).map((scope) => String(record(scope)?.['handle'])));
}

function record(value: unknown): Record<string, unknown> | null {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}
