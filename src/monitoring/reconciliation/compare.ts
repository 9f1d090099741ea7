import type { Destination, Exception, Shop, Trace } from '../../pipeline/contract.js';
import type { Stage } from '../contract.js';
import type { ListedOrder } from './listed-order.js';

/** What one exception means. */
export type Verdict =
  /** Nothing is wrong: not due yet, or on its way. */
  | { outcome: 'fine' }
  /** In delivery: not lost, and not there. */
  | { outcome: 'waiting' }
  /** Lost. `requeue` brings it back; `dead` cannot be brought back by us. */
  | { outcome: 'gap'; stage: Stage; cause: string; then: 'requeue' | 'dead' };

const FINE: Verdict = { outcome: 'fine' };
const WAITING: Verdict = { outcome: 'waiting' };

/**
 * Decides what the ledger's silence, or an obligation that is not at rest, means. Pure.
 *
 * @param order as Shopify lists it
 * @param exception of that order at one destination
 * @param trace what is known of it beside the ledger
 */
export function judge(
  order: ListedOrder,
  { fact, standing }: Exception,
  destination: Pick<Destination, 'settings'>,
  trace: Trace | null,
): Verdict {
  const isDue = fact.kind !== 'purchase' || order.payment !== 'unpaid' || destination.settings.purchaseOn === 'created';
  if (standing === null) {
    // What will never be paid is owed to nobody; once it is paid, Shopify tells, and so does the next listing.
    if (!isDue) return FINE;
    if (trace === null) return gap('logged', 'not-received');
    if (trace.place === 'held') return gap('processed', `held: ${trace.reason ?? 'unknown'}`);
    if (trace.place === 'dead-letter') return gap('processed', `dead-letter: ${trace.reason ?? 'unknown'}`);
    return gap('processed', 'no-obligation');
  }
  switch (standing.state) {
    case 'expected':
      return isDue && order.cancelledAt === null ? gap('logged', 'payment-not-received') : FINE;
    case 'queued':
      return standing.inQueue ? WAITING : gap('accepted', 'delivery-gone');
    case 'failed':
      // A person's matter, with its payload kept: sending it again unchanged would end the same way.
      return { outcome: 'gap', stage: 'accepted', cause: `dead-letter: ${standing.reason ?? 'unknown'}`, then: 'dead' };
    case 'unconfirmable':
      // Buried as well, because a repeat could count twice: its letter tells, and nobody calls missing what may be there.
      return { outcome: 'gap', stage: 'received', cause: `dead-letter: ${standing.reason ?? 'unknown'}`, then: 'dead' };
    case 'missing':
      return gap('received', standing.reason ?? 'absent');
    case 'accepted':
    case 'confirmed':
    case 'ignored':
      return FINE;
  }
}

function gap(stage: Stage, cause: string): Verdict {
  return { outcome: 'gap', stage, cause, then: 'requeue' };
}

/** Whether a destination is owed an order at all: one that was linked later is owed what was sold since. Pure. */
export function isOwed(shop: Pick<Shop, 'links' | 'connectedAt'>, destinationId: number, soldAt: Date): boolean {
  const link = shop.links.find((one) => one.destinationId === destinationId);
  if (!link) return false;
  return link.linkedAt === null || soldAt >= link.linkedAt;
}
