import type { RegistryReader } from '../../pipeline/contract.js';
import type { Finding } from '../contract.js';
import type { Unrecovered } from './gap-store.js';
import type { Run } from './run-store.js';

/** Orders that a destination lacks: one signal a shop and destination. Pure of the registry. */
export function missingFindings(unrecovered: readonly Unrecovered[], registry: RegistryReader): Finding[] {
  return unrecovered.flatMap((one): Finding[] => {
    const shop = registry.shopById(one.shopId);
    const destination = registry.destinationById(one.destinationId);
    if (!shop || !destination) return [];
    const { orders, givenUp, oldestSoldAt, oldestFoundAt, stages, sample } = one;
    return [
      {
        kind: 'order-missing',
        subject: `${shop.domain}/${destination.name}`,
        shopId: shop.id,
        destinationId: destination.id,
        facts: { orders, givenUp, oldestSoldAt, oldestFoundAt, stages, sample },
        evidence: `/api/v1/gaps?shop=${shop.domain}&state=${givenUp === orders ? 'dead' : 'unrecovered'}`,
      },
    ];
  });
}

/** Runs that cannot look: one signal a shop. Pure of the registry. */
export function partialFindings(hindered: readonly Run[], registry: RegistryReader): Finding[] {
  return hindered.flatMap((run): Finding[] => {
    const shop = registry.shopById(run.shopId);
    if (!shop) return [];
    return [
      {
        kind: 'reconciliation-partial',
        subject: shop.domain,
        shopId: shop.id,
        facts: {
          state: run.state,
          detail: run.detail,
          from: run.window.fromAt,
          to: run.window.toAt,
          since: run.requestedAt,
          ordersListed: run.ordersListed,
        },
        evidence: `/api/v1/reconciliations/${run.id}`,
      },
    ];
  });
}
