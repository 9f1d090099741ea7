import type { ShopifyAdmin } from '../contract.js';
import { idOf, parseLossless } from '../event/lossless-json.js';
import type { FetchBody } from '../router/held.js';
import { at } from './admin-api.js';
import { withAllLines, type Hindrance } from './all-lines.js';
import {
  CUSTOMER_QUERY,
  LINES_OF_ORDER,
  LINES_OF_REFUND,
  ORDER_QUERY,
  REFUND_QUERY,
  customerAsWebhook,
  isNode,
  orderAsWebhook,
  refundAsWebhook,
  type LinesOf,
  type Node,
} from './webhook-shape.js';

interface Recipe {
  gid: string;
  query: string;
  field: string;
  /** `null` = it has none. */
  lines: LinesOf | null;
  shape: (node: Node) => Node;
}

const ORDER: Recipe = {
  gid: 'Order',
  query: ORDER_QUERY,
  field: 'order',
  lines: LINES_OF_ORDER,
  shape: orderAsWebhook,
};
const REFUND: Recipe = {
  gid: 'Refund',
  query: REFUND_QUERY,
  field: 'refund',
  lines: LINES_OF_REFUND,
  shape: refundAsWebhook,
};
const CUSTOMER: Recipe = {
  gid: 'Customer',
  query: CUSTOMER_QUERY,
  field: 'customer',
  lines: null,
  shape: customerAsWebhook,
};
const RECIPES: ReadonlyMap<string, Recipe> = new Map([
  ['orders/create', ORDER],
  ['orders/paid', ORDER],
  ['orders/updated', ORDER],
  ['orders/cancelled', ORDER],
  ['refunds/create', REFUND],
  ['customers/create', CUSTOMER],
]);

/**
 * A body that is only an id means "fetch it" (Shopify sends that where the full body passes a transport's limit).
 * Fetched now, so it may be newer than the webhook was; its `updated_at` says so, and newer is never wrong.
 */
export function createFetchBody(admin: ShopifyAdmin): FetchBody {
  return async (shop, topic, body) => {
    const recipe = RECIPES.get(topic.toLowerCase());
    const id = idOf(at(parseLossless(body.toString('utf8')), 'id'));
    if (!recipe || id === null) return { outcome: 'impossible', detail: `nothing to fetch ${topic} by` };
    const gone = {
      outcome: 'gone' as const,
      detail: `Shopify has no ${recipe.field} ${id} (deleted, or older than 60 days)`,
    };
    const answer = await admin.query(shop, recipe.query, { id: `gid://shopify/${recipe.gid}/${id}` });
    if (answer.outcome !== 'data') return later(answer);
    let node = answer.data[recipe.field];
    if (!isNode(node)) return gone;
    if (recipe.lines !== null) {
      const whole = await withAllLines(admin, shop, node, recipe.lines);
      if (whole.outcome !== 'whole') return later(whole);
      if (whole.node === null) return gone;
      node = whole.node;
    }
    return { outcome: 'fetched', body: Buffer.from(JSON.stringify(recipe.shape(node as Node))) };
  };
}

function later(hindrance: Hindrance): { outcome: 'later'; detail: string } {
  return { outcome: 'later', detail: hindranceText(hindrance) };
}

export function hindranceText(hindrance: Hindrance): string {
  return hindrance.outcome === 'throttled' ? 'the Admin API is throttled' : `${hindrance.outcome}: ${hindrance.detail}`;
}
