import type { Clock } from '../kernel/clock.js';
import type { FetchedOrders, InboxEntry, Requeue, Shop, ShopifyAdmin } from './contract.js';
import { fetchOrders } from './shopify/fetch-orders.js';

export interface RequeueDeps {
  admin: ShopifyAdmin;
  apiVersion: string;
  clock: Clock;
  /** Appends durably to the inbox; the only way into the pipeline. */
  append: (entry: InboxEntry) => Promise<unknown>;
}

/**
 * Brings back what reconciliation found missing. It goes the whole way again, through the inbox: the same reader, the
 * same event ids, and the ledger's own word on whether there is anything left to do.
 */
export class InboxRequeue implements Requeue {
  constructor(private readonly deps: RequeueDeps) {}

  fetchOrders(shop: Shop, orderIds: readonly string[], signal?: AbortSignal): Promise<FetchedOrders> {
    return fetchOrders(this.deps.admin, shop, orderIds, signal);
  }

  /** Once: the webhook id is the key's, so that asking again after a crash makes a repeat that the router recognises. */
  async requeue(shop: Shop, items: Parameters<Requeue['requeue']>[1]): Promise<void> {
    const receivedAtMs = this.deps.clock.nowMs();
    await Promise.all(
      items.map(({ topic, body, key, destinationId }) =>
        this.deps.append({
          source: 'reconciliation',
          world: shop.world,
          webhookId: `reconciliation:${key}`,
          topic,
          shopDomain: shop.domain,
          apiVersion: this.deps.apiVersion,
          receivedAtMs,
          body,
          ...(destinationId === undefined ? {} : { destinationId }),
        }),
      ),
    );
  }
}
