import type { AdminAnswer, Shop, ShopifyAdmin } from '../contract.js';
import { at, stringAt } from './admin-api.js';
import { isNode, list, type LinesOf, type Node } from './webhook-shape.js';

/** What kept Shopify from answering. */
export type Hindrance = Exclude<AdminAnswer, { outcome: 'data' }>;

const PAGES_MAX = 100; // of 250 lines; no order has as many, and a cursor that runs in circles ends

/**
 * An order or a refund with its lines to the end, however many pages they take: a body with some of them would say that
 * the others were not sold.
 *
 * @param node with the first page of its lines
 * @returns `null` when Shopify does not have it any more
 */
export async function withAllLines(
  admin: ShopifyAdmin,
  shop: Shop,
  node: Node,
  { field, connection, query }: LinesOf,
  signal?: AbortSignal,
): Promise<{ outcome: 'whole'; node: Node | null } | Hindrance> {
  const lines = list(at(node, connection, 'nodes'));
  let page: unknown = at(node, connection, 'pageInfo');
  for (let pages = 1; at(page, 'hasNextPage') === true; pages++) {
    if (pages === PAGES_MAX) return { outcome: 'refused', detail: `more than ${PAGES_MAX} pages of lines` };
    const answer = await admin.query(shop, query, { id: node['id'], after: stringAt(page, 'endCursor') }, signal);
    if (answer.outcome !== 'data') return answer;
    const next = answer.data[field];
    if (!isNode(next)) return { outcome: 'whole', node: null };
    lines.push(...list(at(next, connection, 'nodes')));
    page = at(next, connection, 'pageInfo');
  }
  return { outcome: 'whole', node: { ...node, [connection]: { nodes: lines } } };
}
