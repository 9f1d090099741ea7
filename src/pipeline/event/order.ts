import type { PipelineEvent } from '../contract.js';
import { pairAt, wantedPair, type Currencies } from './amounts.js';
import { WANTED_OF_CUSTOMER, customerOf } from './customer.js';
import { instantAt, ownId, textAt, type Fields } from './fields.js';
import { WANTED_OF_LINE, attributesOf, couponsOf, readLines, shippingLinesTotal } from './line.js';
import { microsOf } from './instant.js';
import { isZero } from './money.js';
import { NoId, blankEvent, identityOf, type ReadContext } from './read-context.js';
import type { WantedFields } from './wanted-json.js';

/** All that is read of an order's body here and in `readWebhook`. A test holds every key that is read against it. */
export const WANTED_OF_ORDER: WantedFields = {
  id: true,
  admin_graphql_api_id: true,
  name: true,
  test: true,
  currency: true,
  created_at: true,
  processed_at: true,
  updated_at: true,
  cancelled_at: true,
  financial_status: true,
  source_name: true,
  landing_site: true,
  checkout_token: true,
  email: true,
  phone: true,
  note_attributes: [{ name: true, value: true }],
  discount_codes: [{ code: true }],
  refunds: [{}],
  ...wantedPair('total_price'),
  ...wantedPair('subtotal_price'),
  ...wantedPair('total_shipping_price'),
  ...wantedPair('total_tax'),
  ...wantedPair('total_discounts'),
  shipping_lines: [wantedPair('price')],
  customer: WANTED_OF_CUSTOMER,
  line_items: [WANTED_OF_LINE],
};

/** `financial_status` values of an order whose money has come in, whatever happened to it since. */
const PAID_STATUSES: ReadonlySet<unknown> = new Set(['paid', 'partially_refunded', 'refunded']);

/**
 * orders/create, orders/paid, orders/updated, orders/cancelled: one body, and the topic says what happened.
 *
 * orders/updated yields the purchase too when it shows payment. That is evidence of the same fact as orders/paid, and
 * has the same key; should orders/paid be lost, the order still arrives.
 */
export function readOrder(body: Fields, context: ReadContext): PipelineEvent[] {
  const order = orderFrame(body, context);
  switch (context.topic) {
    case 'orders/updated': {
      const updatedAt = instantAt(body, 'updated_at') ?? context.triggeredAt;
      const update: PipelineEvent = {
        ...order,
        kind: 'order-updated',
        version: updatedAt.ms >= 0 ? microsOf(updatedAt).toString() : '0',
        occurredAt: new Date(updatedAt.ms).toISOString(),
      };
      return order.payment === 'paid' ? [update, order] : [update];
    }
    case 'orders/cancelled': {
      const cancelledAt = instantAt(body, 'cancelled_at') ?? instantAt(body, 'updated_at') ?? context.triggeredAt;
      return [
        {
          ...order,
          kind: 'order-cancelled',
          occurredAt: new Date(cancelledAt.ms).toISOString(),
          cancelled: true,
          isFullRefund: true,
        },
      ];
    }
    default:
      return [order];
  }
}

/** The order as the purchase it is, or will be once it is paid. */
function orderFrame(body: Fields, context: ReadContext): PipelineEvent {
  const id = ownId(body);
  if (id === null) throw new NoId('the body has neither id nor admin_graphql_api_id');
  const currencies: Currencies = { plain: textAt(body, 'currency') ?? '' };
  const customer = customerOf(body);
  const createdAt = instantAt(body, 'created_at');
  const total = pairAt(body, 'total_price', currencies);
  return {
    ...blankEvent(context, {
      kind: 'purchase',
      subjectId: id,
      orderId: id,
      createdAt,
      // The business day: processed_at is back-dated on imports, where created_at is only the day of the import.
      occurredAt: instantAt(body, 'processed_at') ?? createdAt,
      attributes: attributesOf(body),
      browserIdentity: identityOf(customer, `order:${id}`),
      customer,
      landingSite: textAt(body, 'landing_site'),
    }),
    orderName: textAt(body, 'name'),
    payment: paymentOf(body, context.topic, total),
    cancelled: typeof body['cancelled_at'] === 'string' && body['cancelled_at'] !== '',
    hasRefunds: Array.isArray(body['refunds']) && body['refunds'].length > 0,
    test: body['test'] === true,
    channel: textAt(body, 'source_name'),
    total,
    subtotal: pairAt(body, 'subtotal_price', currencies),
    shipping: pairAt(body, 'total_shipping_price', currencies) ?? shippingLinesTotal(body, currencies),
    tax: pairAt(body, 'total_tax', currencies),
    discount: pairAt(body, 'total_discounts', currencies),
    coupons: couponsOf(body),
    lines: readLines(body, currencies),
    checkoutToken: textAt(body, 'checkout_token'),
  };
}

/** Whether an order's body shows that its purchase is due: paid, or free. */
export function isPaid(body: Fields): boolean {
  const currencies: Currencies = { plain: textAt(body, 'currency') ?? '' };
  return paymentOf(body, 'orders/create', pairAt(body, 'total_price', currencies)) !== 'unpaid';
}

function paymentOf(body: Fields, topic: string, total: PipelineEvent['total']): PipelineEvent['payment'] {
  if (topic === 'orders/paid' || PAID_STATUSES.has(body['financial_status'])) return 'paid';
  return total !== null && isZero(total.shop.amount) ? 'free' : 'unpaid';
}
