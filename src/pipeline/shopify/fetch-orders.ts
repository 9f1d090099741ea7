import { invariant } from '../../kernel/errors.js';
import type { FetchedOrder, FetchedOrders, Shop, ShopifyAdmin } from '../contract.js';
import { isPaid } from '../event/order.js';
import { at, stringAt } from './admin-api.js';
import { withAllLines, type Hindrance } from './all-lines.js';
import { hindranceText } from './fetch-body.js';
import {
  LINES_OF_ORDER,
  LINES_OF_REFUND,
  ORDERS_QUERY,
  REFUNDS_QUERY,
  isNode,
  list,
  orderAsWebhook,
  refundAsWebhook,
  type LinesOf,
  type Node,
} from './webhook-shape.js';

/** Most orders a call: with their refunds they stay within what a shop's bucket holds. */
const ORDERS_MAX = 50;
/** At once; what costs too much is asked for in halves. */
const ORDERS_AT_ONCE = 25;
const REFUNDS_AT_ONCE = 10;

/** Shopify did not answer the whole of it; nothing is concluded from the rest. */
class Hindered extends Error {
  constructor(readonly hindrance: Hindrance) {
    super(hindranceText(hindrance));
  }
}

/**
 * What Shopify has of orders now, as the webhooks that would have told of it: the sale, its cancellation, each refund.
 * The same reader then yields the same events with the same event ids, however the first telling was lost.
 */
export async function fetchOrders(
  admin: ShopifyAdmin,
  shop: Shop,
  orderIds: readonly string[],
  signal?: AbortSignal,
): Promise<FetchedOrders> {
  invariant(orderIds.length <= ORDERS_MAX, `at most ${ORDERS_MAX} orders are fetched a call`, { shop: shop.domain });
  const ask = new Asking(admin, shop, signal);
  try {
    const orders = await ask.nodes('Order', orderIds, ORDERS_QUERY, ORDERS_AT_ONCE, LINES_OF_ORDER);
    const refundIds = orders.flatMap(refundIdsOf);
    const refunds = await ask.nodes('Refund', refundIds, REFUNDS_QUERY, REFUNDS_AT_ONCE, LINES_OF_REFUND);
    return {
      outcome: 'fetched',
      orders: orders.map((order) => {
        const ids = new Set(refundIdsOf(order));
        return fetchedOrder(
          order,
          refunds.filter((refund) => ids.has(idOf(refund))),
        );
      }),
    };
  } catch (error) {
    if (!(error instanceof Hindered)) throw error;
    const { hindrance } = error;
    return {
      outcome: 'later',
      detail: error.message,
      retryAfterMs: hindrance.outcome === 'throttled' ? hindrance.retryAfterMs : null,
    };
  }
}

class Asking {
  constructor(
    private readonly admin: ShopifyAdmin,
    private readonly shop: Shop,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Those that Shopify has, each with all its lines. @throws Hindered */
  async nodes(type: string, ids: readonly string[], query: string, atOnce: number, lines: LinesOf): Promise<Node[]> {
    const found: Node[] = [];
    for (let from = 0; from < ids.length; from += atOnce) {
      for (const node of await this.some(type, ids.slice(from, from + atOnce), query)) {
        const whole = await withAllLines(this.admin, this.shop, node, lines, this.signal);
        if (whole.outcome !== 'whole') throw new Hindered(whole);
        if (whole.node !== null) found.push(whole.node);
      }
    }
    return found;
  }

  private async some(type: string, ids: readonly string[], query: string): Promise<Node[]> {
    const gids = ids.map((id) => `gid://shopify/${type}/${id}`);
    const answer = await this.admin.query(this.shop, query, { ids: gids }, this.signal);
    if (answer.outcome === 'data')
      return list(answer.data['nodes'])
        .filter(isNode)
        .filter((node) => 'id' in node);
    // A query may cost too much for this shop; half of it costs less. One that is wrong is refused down to the last.
    if (answer.outcome !== 'refused' || ids.length === 1) throw new Hindered(answer);
    const half = Math.ceil(ids.length / 2);
    return [...(await this.some(type, ids.slice(0, half), query)), ...(await this.some(type, ids.slice(half), query))];
  }
}

function fetchedOrder(order: Node, refunds: readonly Node[]): FetchedOrder {
  const orderId = idOf(order);
  const body = orderAsWebhook(order);
  const bytes = Buffer.from(JSON.stringify(body));
  const cancelled = order['cancelledAt'] !== null && order['cancelledAt'] !== undefined;
  return {
    orderId,
    webhooks: [
      { topic: isPaid(body) ? 'orders/paid' : 'orders/create', subjectId: orderId, body: bytes },
      ...(cancelled ? [{ topic: 'orders/cancelled', subjectId: orderId, body: bytes }] : []),
      ...refunds.map((refund) => ({
        topic: 'refunds/create',
        subjectId: idOf(refund),
        body: Buffer.from(JSON.stringify(refundAsWebhook(refund))),
      })),
    ],
  };
}

function refundIdsOf(order: Node): string[] {
  return list(order['refunds']).flatMap((refund) => stringAt(refund, 'legacyResourceId') ?? []);
}

function idOf(node: Node): string {
  const id = stringAt(node, 'legacyResourceId');
  invariant(id !== undefined, 'a node of the Admin API has no legacyResourceId', { id: at(node, 'id') });
  return id;
}
