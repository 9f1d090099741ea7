import { idOf, parseLossless } from '../event/lossless-json.js';
import type { FetchBody } from '../router/held.js';
import { at, type AdminApi } from './admin-api.js';
import {
  CUSTOMER_QUERY,
  ORDER_QUERY,
  REFUND_QUERY,
  customerAsWebhook,
  orderAsWebhook,
  refundAsWebhook,
} from './webhook-shape.js';

type Node = Record<string, unknown>;

interface Recipe {
  gid: string;
  query: string;
  field: string;
  shape: (node: Node) => Node;
}

const ORDER: Recipe = { gid: 'Order', query: ORDER_QUERY, field: 'order', shape: orderAsWebhook };
const RECIPES: ReadonlyMap<string, Recipe> = new Map([
  ['orders/create', ORDER],
  ['orders/paid', ORDER],
  ['orders/updated', ORDER],
  ['orders/cancelled', ORDER],
  ['refunds/create', { gid: 'Refund', query: REFUND_QUERY, field: 'refund', shape: refundAsWebhook }],
  ['customers/create', { gid: 'Customer', query: CUSTOMER_QUERY, field: 'customer', shape: customerAsWebhook }],
]);

/**
 * A body that is only an id means "fetch it" (Shopify sends that where the full body passes a transport's limit).
 * Fetched now, so it may be newer than the webhook was; its `updated_at` says so, and newer is never wrong.
 */
export function createFetchBody(adminApi: AdminApi): FetchBody {
  return async (shop, topic, body) => {
    const recipe = RECIPES.get(topic.toLowerCase());
    const id = idOf(at(parseLossless(body.toString('utf8')), 'id'));
    if (!recipe || id === null) return { outcome: 'impossible', detail: `nothing to fetch ${topic} by` };
    const answer = await adminApi.query(shop, recipe.query, { id: `gid://shopify/${recipe.gid}/${id}` });
    switch (answer.outcome) {
      case 'data': {
        const node = answer.data[recipe.field];
        if (node === null || typeof node !== 'object') {
          return { outcome: 'gone', detail: `Shopify has no ${recipe.field} ${id} (deleted, or older than 60 days)` };
        }
        return { outcome: 'fetched', body: Buffer.from(JSON.stringify(recipe.shape(node as Node))) };
      }
      case 'throttled':
        return { outcome: 'later', detail: 'the Admin API is throttled' };
      case 'denied':
      case 'unavailable':
      case 'refused':
        return { outcome: 'later', detail: `${answer.outcome}: ${answer.detail}` };
    }
  };
}
