import type { Destination, EventLine, PipelineEvent } from '../contract.js';
import type { DeliveryItem, Formatted } from './adapter.js';
import { ChosenMoney } from './chosen-money.js';

export const EVENT_MAX_BYTES = 32 * 1024;

type Json = Record<string, unknown>;

/** A message, serialised once: it is measured here and sent as it is. */
export interface SegmentRequest {
  message: string;
}

/**
 * One event as a Segment message: `identify` for a customer, else a `track` of the e-commerce spec.
 *
 * `messageId` is the event id. Segment's dedupe is global to all of Segment; the event id is a hash that includes the
 * shop, so no other workspace's message can be taken for ours.
 * Source: segmentio/segment-docs, spec/ecommerce/v2.md and http-api/index.md (docs/destinations/segment.md)
 */
export function formatSegment(item: DeliveryItem, destination: Destination): Formatted {
  const { event } = item;
  const money = new ChosenMoney(item, destination);
  const base = {
    messageId: item.eventId,
    ...identityOf(event),
    timestamp: event.occurredAt,
    context: contextOf(event),
  };
  if (event.kind === 'customer-created') return sized({ type: 'identify', ...base, traits: traitsOf(event) });

  const name = EVENT_NAMES[event.kind];
  const properties = propertiesOf(item, money);
  const track = (products: (line: EventLine, index: number) => Json): Formatted =>
    sized({ type: 'track', event: name, ...base, properties: { ...properties, products: event.lines.map(products) } });
  const full = track((line, index) => fullProduct(line, index, money));
  if (full.ok) return full;
  // Over 32 KB Segment refuses the event. What describes products goes first; what was sold and for how much stays.
  return track((line) => leanProduct(line, money));
}

/** What each kind is called; a customer is an `identify` and has no name. */
export const EVENT_NAMES = {
  purchase: 'Order Completed',
  'order-updated': 'Order Updated',
  'order-cancelled': 'Order Cancelled',
  refund: 'Order Refunded',
  'checkout-started': 'Checkout Started',
} as const;

/** A known customer and a known browser are named together: that is how Segment joins them. */
function identityOf(event: PipelineEvent): Json {
  const userId = event.customer?.id ?? null;
  if (userId === null) return { anonymousId: event.browser.clientId };
  return event.browser.synthetic ? { userId } : { userId, anonymousId: event.browser.clientId };
}

function contextOf(event: PipelineEvent): Json {
  const campaign = present({
    name: event.campaign['utm_campaign'],
    source: event.campaign['utm_source'],
    medium: event.campaign['utm_medium'],
    term: event.campaign['utm_term'],
    content: event.campaign['utm_content'],
  });
  const library = { name: 'plumbline' };
  return Object.keys(campaign).length > 0 ? { library, campaign } : { library };
}

function traitsOf({ customer, occurredAt }: PipelineEvent): Json {
  return present({
    email: customer?.email,
    phone: customer?.phone,
    firstName: customer?.firstName,
    lastName: customer?.lastName,
    createdAt: occurredAt,
  });
}

function propertiesOf({ event, shop }: DeliveryItem, money: ChosenMoney): Json {
  const revenue = Number(money.goods(event));
  const total = numberOf(money.amount(event.total));
  const returning = event.customer?.returning ?? null;
  const shared = {
    affiliation: shop.domain,
    revenue,
    shipping: numberOf(money.amount(event.shipping)),
    tax: numberOf(money.amount(event.tax)),
    discount: numberOf(money.amount(event.discount)),
    coupon: event.coupons.join(',') || null,
    currency: money.currency,
    customer_type: returning === null ? null : returning ? 'returning' : 'new',
  };
  switch (event.kind) {
    case 'purchase':
      return present({
        checkout_id: event.checkoutToken,
        order_id: event.orderId,
        subtotal: numberOf(money.amount(event.subtotal)),
        total,
        ...shared,
      });
    case 'checkout-started':
      return present({ checkout_id: event.checkoutToken, order_id: event.orderId, value: total, ...shared });
    case 'refund':
      return present({ order_id: event.orderId, refund_id: event.subjectId, total, currency: money.currency });
    default:
      return present({ order_id: event.orderId, total, ...shared });
  }
}

function fullProduct(line: EventLine, index: number, money: ChosenMoney): Json {
  return present({
    ...leanFields(line, money),
    category: line.productType,
    name: line.title,
    brand: line.vendor,
    variant: line.variantTitle,
    position: index + 1,
  });
}

function leanProduct(line: EventLine, money: ChosenMoney): Json {
  return present(leanFields(line, money));
}

function leanFields(line: EventLine, money: ChosenMoney) {
  return {
    product_id: line.productId ?? line.variantId ?? line.lineId,
    sku: line.sku,
    price: Number(line.price[money.view].amount),
    quantity: line.quantity,
  };
}

function numberOf(amount: string | null): number | null {
  return amount === null ? null : Number(amount);
}

/** What is not known is left out: Segment keeps a null as if it had been said. */
function present(fields: Json): Json {
  const known: Json = {};
  for (const key in fields) {
    const value = fields[key];
    if (value !== null && value !== undefined) known[key] = value;
  }
  return known;
}

function sized(content: Json): Formatted {
  const message = JSON.stringify(content);
  const bytes = Buffer.byteLength(message);
  if (bytes <= EVENT_MAX_BYTES) return { ok: true, request: { message } satisfies SegmentRequest, bytes };
  return { ok: false, lane: 'ours', reason: 'too-large', detail: `${bytes} bytes, Segment takes ${EVENT_MAX_BYTES}` };
}
