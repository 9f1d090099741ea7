import type { Destination, EventLine, Kind, PipelineEvent } from '../contract.js';
import type { DeliveryItem } from './adapter.js';
import { ChosenMoney } from './chosen-money.js';

/**
 * One event as row and event destinations know it. The field names are fixed, because others build on them: they are
 * columns of the `postgres` destination's table and keys of a `webhook` event's JSON.
 */
export interface EventRecord {
  shop_domain: string;
  subject_id: string;
  kind: Kind;
  event_id: string;
  /** Shopify's decimal id; a checkout's and a customer's own id where there is no order. */
  order_id: string;
  /** RFC 3339 UTC */
  occurred_at: string;
  /** ISO 4217, in the chosen money; `null` for a customer. */
  currency: string | null;
  /** The total in the chosen money as an exact decimal string: what was paid, shipping and tax included. */
  value: string | null;
  /** JSON text of an `EventPayload` */
  payload: string;
}

/**
 * What analysts need beyond the columns, in names of ours that do not change with Shopify's API version: money is
 * exact decimal strings in the one chosen currency, ids are strings. `shopify` is the webhook's body as it came, with
 * integers beyond 15 digits as strings. The browser's ids stay out: they are the analytics destinations' business.
 */
export interface EventPayload {
  topic: string;
  version: string;
  order_name: string | null;
  payment: string;
  cancelled: boolean;
  test: boolean;
  channel: string | null;
  money: 'shop' | 'presentment';
  subtotal: string | null;
  shipping: string | null;
  tax: string | null;
  discount: string | null;
  coupons: readonly string[];
  full_refund: boolean;
  lines: readonly LineRecord[];
  customer: {
    id: string | null;
    email: string | null;
    phone: string | null;
    first_name: string | null;
    last_name: string | null;
    returning: boolean | null;
  } | null;
  campaign: Readonly<Record<string, string>>;
  landing_site: string | null;
  checkout_token: string | null;
  shopify: Readonly<Record<string, unknown>>;
}

interface LineRecord {
  line_id: string | null;
  product_id: string | null;
  variant_id: string | null;
  sku: string | null;
  title: string;
  variant_title: string | null;
  vendor: string | null;
  product_type: string | null;
  quantity: number;
  price: string;
  discount: string;
}

export function eventRecord(item: DeliveryItem, destination: Destination): EventRecord {
  const { event, shop } = item;
  const money = new ChosenMoney(item, destination);
  return {
    shop_domain: shop.domain,
    subject_id: event.subjectId,
    kind: event.kind,
    event_id: item.eventId,
    order_id: event.orderId,
    occurred_at: event.occurredAt,
    currency: event.kind === 'customer-created' ? null : money.currency,
    value: money.amount(event.total),
    payload: payloadText(event, money),
  };
}

/** A record as JSON. */
export function recordText({ payload, ...columns }: EventRecord): string {
  return withLast(columns, 'payload', payload);
}

function payloadText(event: PipelineEvent, money: ChosenMoney): string {
  const known: Omit<EventPayload, 'shopify'> = {
    topic: event.topic,
    version: event.version,
    order_name: event.orderName,
    payment: event.payment,
    cancelled: event.cancelled,
    test: event.test,
    channel: event.channel,
    money: money.view,
    subtotal: money.amount(event.subtotal),
    shipping: money.amount(event.shipping),
    tax: money.amount(event.tax),
    discount: money.amount(event.discount),
    coupons: event.coupons,
    full_refund: event.isFullRefund,
    lines: event.lines.map((line) => lineRecord(line, money)),
    customer: event.customer && {
      id: event.customer.id,
      email: event.customer.email,
      phone: event.customer.phone,
      first_name: event.customer.firstName,
      last_name: event.customer.lastName,
      returning: event.customer.returning,
    },
    campaign: event.campaign,
    landing_site: event.landingSite,
    checkout_token: event.checkoutToken,
  };
  // The body is most of it: its text is taken as it is, not parsed and printed again.
  return withLast(known, 'shopify', event.body.text());
}

/** @param json of the value */
function withLast(fields: object, key: string, json: string): string {
  return `${JSON.stringify(fields).slice(0, -1)},"${key}":${json}}`;
}

function lineRecord(line: EventLine, money: ChosenMoney): LineRecord {
  return {
    line_id: line.lineId,
    product_id: line.productId,
    variant_id: line.variantId,
    sku: line.sku,
    title: line.title,
    variant_title: line.variantTitle,
    vendor: line.vendor,
    product_type: line.productType,
    quantity: line.quantity,
    price: line.price[money.view].amount,
    discount: line.discount[money.view].amount,
  };
}
