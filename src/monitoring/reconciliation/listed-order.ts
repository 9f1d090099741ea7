import type { ListedFact } from '../../pipeline/contract.js';

/** What Shopify's records say of one order, as far as comparing needs it. No personal data. */
export interface ListedOrder {
  /** Decimal id. */
  orderId: string;
  createdAt: Date;
  updatedAt: Date;
  cancelledAt: Date | null;
  /** Whether the money has come in; `free` = there is none to come. */
  payment: 'paid' | 'free' | 'unpaid';
  test: boolean;
  /** `web`, `pos`, an app's id; `null` = not told. */
  channel: string | null;
  refunds: readonly { refundId: string; createdAt: Date }[];
}

/** The fields of an `Order` that `listedOrderOf` reads; the same for pages and for bulk operations. */
export const LISTED_ORDER_FIELDS = `
  id legacyResourceId createdAt updatedAt cancelledAt test displayFinancialStatus sourceName
  totalPriceSet { shopMoney { amount } } refunds { id legacyResourceId createdAt }`;

/** `displayFinancialStatus` of an order whose money has come in, whatever happened to it since. */
const PAID: ReadonlySet<unknown> = new Set(['PAID', 'PARTIALLY_REFUNDED', 'REFUNDED']);

/** A node that is not what Shopify documents. The run says so and declares nothing of it. */
export class UnreadableNode extends Error {}

/** @throws UnreadableNode when a field that identifies the order is absent */
export function listedOrderOf(node: Readonly<Record<string, unknown>>): ListedOrder {
  const price = member(member(node['totalPriceSet'], 'shopMoney'), 'amount');
  const isFree = (typeof price === 'string' || typeof price === 'number') && Number(price) === 0;
  return {
    orderId: idOf(node, 'order'),
    createdAt: instantOf(node['createdAt'], 'createdAt'),
    updatedAt: instantOf(node['updatedAt'], 'updatedAt'),
    cancelledAt: node['cancelledAt'] == null ? null : instantOf(node['cancelledAt'], 'cancelledAt'),
    payment: PAID.has(node['displayFinancialStatus']) ? 'paid' : isFree ? 'free' : 'unpaid',
    test: node['test'] === true,
    channel: typeof node['sourceName'] === 'string' ? node['sourceName'] : null,
    refunds: listOf(node['refunds']).map((refund) => ({
      refundId: idOf(refund, 'refund'),
      createdAt: instantOf(refund['createdAt'], 'refund.createdAt'),
    })),
  };
}

/** What an order's destinations are owed for it: its sale, its cancellation, its refunds. */
export function factsOf(shopId: string, order: ListedOrder): ListedFact[] {
  const ofOrder = { shopId, subjectId: order.orderId, orderId: order.orderId, ledgerDay: dayOf(order.createdAt) };
  return [
    { ...ofOrder, kind: 'purchase' },
    ...(order.cancelledAt === null ? [] : [{ ...ofOrder, kind: 'order-cancelled' as const }]),
    ...order.refunds.map(({ refundId, createdAt }) => ({
      shopId,
      subjectId: refundId,
      orderId: order.orderId,
      kind: 'refund' as const,
      ledgerDay: dayOf(createdAt),
    })),
  ];
}

function dayOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}

function idOf(node: Readonly<Record<string, unknown>>, what: string): string {
  const legacy = node['legacyResourceId'];
  if (typeof legacy === 'string' && /^\d+$/.test(legacy)) return legacy;
  const id = node['id'];
  const digits = typeof id === 'string' ? /\/(\d+)(?:\?.*)?$/.exec(id)?.[1] : undefined;
  if (digits === undefined) throw new UnreadableNode(`Shopify listed a ${what} without an id`);
  return digits;
}

function instantOf(value: unknown, name: string): Date {
  const ms = typeof value === 'string' ? Date.parse(value) : NaN;
  if (Number.isNaN(ms)) throw new UnreadableNode(`Shopify listed an order whose ${name} is no instant`);
  return new Date(ms);
}

function member(value: unknown, key: string): unknown {
  return value !== null && typeof value === 'object' ? (value as Record<string, unknown>)[key] : undefined;
}

function listOf(value: unknown): Readonly<Record<string, unknown>>[] {
  if (!Array.isArray(value)) return [];
  return (value as unknown[]).filter((one): one is Record<string, unknown> => one !== null && typeof one === 'object');
}
