import { KIND_CODES, type Destination, type Kind, type PipelineEvent, type Source, type State } from '../contract.js';

/** What one event means for one destination. */
export interface Plan {
  state: Extract<State, 'queued' | 'expected' | 'ignored'>;
  /** Why it is not simply queued; counted and shown. */
  reason: string | null;
}

const QUEUED: Plan = { state: 'queued', reason: null };

const GRANTED = new Set(['yes', 'true', 'granted', '1']);

/**
 * Decides what one event means for one destination. Pure.
 *
 * @param takes the kinds of event the destination's adapter takes
 * @returns `null` when the destination has no place for this kind, which makes no obligation
 */
export function planObligation(event: PipelineEvent, destination: Destination, takes: ReadonlySet<Kind>): Plan | null {
  if (!takes.has(event.kind)) return null;
  const { settings } = destination;
  if (event.test && !settings.testOrders) return ignored('test-order');
  if (event.channel !== null && settings.excludeChannels.includes(event.channel)) return ignored('channel-excluded');
  // A refund's body carries nothing of its order's attributes: `withOrderLeftOut` looks at the order itself.
  if (settings.consentAttribute !== null && event.kind !== 'customer-created' && event.kind !== 'refund') {
    const given = event.attributes[settings.consentAttribute]?.trim().toLowerCase();
    if (given === undefined || !GRANTED.has(given)) return ignored('consent-missing');
  }
  if (event.kind === 'purchase' && settings.purchaseOn === 'paid' && event.payment === 'unpaid') {
    return event.cancelled ? ignored('cancelled-before-payment') : { state: 'expected', reason: 'awaiting-payment' };
  }
  if (event.kind === 'order-cancelled' && destination.kind === 'ga4') {
    // GA4 knows a cancellation only as a refund of money. Without a purchase there is nothing to take back, and what
    // refunds/create reports by itself must not be taken back twice.
    if (settings.purchaseOn === 'paid' && event.payment === 'unpaid') return ignored('cancelled-before-payment');
    if (event.hasRefunds) return ignored('refund-reported-separately');
  }
  // A disabled destination parks what is meant for it: the row waits in its lane, and the ledger says why.
  return destination.enabled ? QUEUED : { state: 'queued', reason: 'destination-disabled' };
}

function ignored(reason: string): Plan {
  return { state: 'ignored', reason };
}

/** Older than this, GA4 moves an event to another date (docs/destinations/ga4.md, "Time"). */
const GA4_BACK_DATED_MAX_MS = 72 * 3_600_000;

/**
 * What a shop sold before it was connected comes in by its first comparison with Shopify. For GA4 the older part of it
 * would all be counted at one wrong date, so it is left out there; what was lost since is sent late, and said. Pure.
 *
 * @param entry the webhook it came by
 */
export function withHistoryLeftOut(
  plan: Plan,
  event: Pick<PipelineEvent, 'createdAt' | 'occurredAt'>,
  destination: Pick<Destination, 'kind'>,
  connectedAt: Date,
  entry: { source: Source; receivedAtMs: number },
): Plan {
  if (plan.state !== 'queued' || destination.kind !== 'ga4' || entry.source !== 'reconciliation') return plan;
  const isBefore = Date.parse(event.createdAt ?? event.occurredAt) < connectedAt.getTime();
  const isTooOld = entry.receivedAtMs - Date.parse(event.occurredAt) > GA4_BACK_DATED_MAX_MS;
  return isBefore && isTooOld ? ignored('before-connection') : plan;
}

/** A refund follows its order: where the purchase was left out, so is the money that goes back. */
export function withOrderLeftOut(obligation: Obligation, purchaseReason: string | null): Obligation {
  if (purchaseReason === null) return obligation;
  return { ...obligation, plan: ignored(`order-left-out:${purchaseReason}`) };
}

/**
 * The facts that one webhook's events carry along: a cancellation of an unpaid order also says that its purchase
 * will never come, so that no obligation waits for ever in `expected`.
 */
export function withImpliedEvents(events: readonly PipelineEvent[]): readonly PipelineEvent[] {
  const implied = events
    .filter((event) => event.kind === 'order-cancelled' && event.payment === 'unpaid')
    .map((event): PipelineEvent => ({ ...event, kind: 'purchase', version: '0', cancelled: true }));
  return implied.length === 0 ? events : [...events, ...implied];
}

const STATE_RANK: Record<Plan['state'], number> = { queued: 3, ignored: 2, expected: 1 };

/** One obligation as a batch of webhooks asks for it. */
export interface Obligation {
  shopId: string;
  destinationId: number;
  event: PipelineEvent;
  plan: Plan;
  webhookId: string;
  loggedAtMs: number;
  /** When Shopify's own webhook told of it; `null` = none did, reconciliation found it. */
  seenAtMs: number | null;
  pointer: { segmentDay: string; streamId: number; segmentSeq: string; entry: number };
}

export function obligationKey(
  o: Pick<Obligation, 'shopId' | 'destinationId'> & { event: Pick<PipelineEvent, 'subjectId' | 'kind'> },
): string {
  return `${o.shopId}\u0000${o.event.subjectId}\u0000${o.event.kind}\u0000${o.destinationId}`;
}

/**
 * Folds a batch to one obligation a key. The newest version wins (invariant 8); at the same version what is due wins
 * over what is left out, and both over what is only expected.
 *
 * Invariant: the database statement that follows may touch each ledger row once ("ON CONFLICT DO UPDATE command
 * cannot affect row a second time"), so folding is not an optimisation.
 */
export function foldObligations(obligations: readonly Obligation[]): Obligation[] {
  const byKey = new Map<string, Obligation>();
  for (const obligation of obligations) {
    const key = obligationKey(obligation);
    const known = byKey.get(key);
    if (!known || supersedes(obligation, known)) byKey.set(key, obligation);
  }
  // Sorted, so that whoever meets the same rows - routers, settlements, verdicts - locks them in one order.
  return [...byKey.values()].sort(byLedgerKey);
}

/** The ledger's key as the database orders it: numbers as numbers, kinds by their code. */
function byLedgerKey(a: Obligation, b: Obligation): number {
  if (a.shopId !== b.shopId) return a.shopId.length - b.shopId.length || (a.shopId < b.shopId ? -1 : 1);
  if (a.event.subjectId !== b.event.subjectId) return a.event.subjectId < b.event.subjectId ? -1 : 1;
  return KIND_CODES[a.event.kind] - KIND_CODES[b.event.kind] || a.destinationId - b.destinationId;
}

function supersedes(candidate: Obligation, known: Obligation): boolean {
  const [a, b] = [BigInt(candidate.event.version), BigInt(known.event.version)];
  if (a !== b) return a > b;
  return STATE_RANK[candidate.plan.state] > STATE_RANK[known.plan.state];
}
