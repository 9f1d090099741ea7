import type { Shop } from '../contract.js';
import type { Found, Product, ProductSource } from '../enrichment.js';
import { at, stringAt, type AdminApi } from './admin-api.js';

const QUERY = `query PlumblineEnrichment($ids: [ID!]!) { nodes(ids: $ids) {
  ... on Product { id legacyResourceId productType vendor }
  ... on Customer { id legacyResourceId numberOfOrders }
} }`;

/** Enrichment's view of the Admin API: everything one event lacks in one query of a few points. */
export class AdminProductSource implements ProductSource {
  constructor(private readonly adminApi: AdminApi) {}

  /** @throws Error when the Admin API does not answer the question; enrichment then goes on without */
  async lookup(
    shop: Shop,
    productIds: readonly string[],
    customerId: string | null,
    signal: AbortSignal,
  ): Promise<Found> {
    const ids = productIds.map((id) => `gid://shopify/Product/${id}`);
    if (customerId !== null) ids.push(`gid://shopify/Customer/${customerId}`);
    const answer = await this.adminApi.query(shop, QUERY, { ids }, signal);
    if (answer.outcome !== 'data') throw new Error(`Admin API: ${answer.outcome}`);
    const nodes = Array.isArray(answer.data['nodes']) ? (answer.data['nodes'] as unknown[]) : [];
    const products = new Map<string, Product>();
    let ordersCount: number | null = null;
    for (const node of nodes) {
      const id = stringAt(node, 'id') ?? '';
      const legacyId = id.slice(id.lastIndexOf('/') + 1);
      if (id.includes('/Product/')) {
        products.set(legacyId, {
          productType: stringAt(node, 'productType') || null,
          vendor: stringAt(node, 'vendor') || null,
        });
      } else if (id.includes('/Customer/')) {
        const count = Number(at(node, 'numberOfOrders'));
        if (Number.isInteger(count)) ordersCount = count;
      }
    }
    return { products, ordersCount };
  }
}
