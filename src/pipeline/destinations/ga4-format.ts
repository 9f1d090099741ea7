import type { Destination, EventLine, Kind, PipelineEvent } from '../contract.js';
import type { DeliveryItem, Formatted } from './adapter.js';
import { divide, isZero, subtract } from '../event/money.js';
import { ChosenMoney } from './chosen-money.js';

/** Source: docs/destinations/ga4.md (Measurement Protocol limitations, standard properties); 200 items is unverified */
const PARAM_VALUE_MAX_CHARS = 100;
const ITEMS_MAX = 200;
export const BODY_MAX_BYTES = 130_000;

const UNIT_PRICE_SCALE = 6; // a discount shared by the quantity need not come out even; GA4 takes any decimal

/** What each kind is called at GA4. A cancelled order is a refund of all of it. */
export const GA4_EVENT_NAMES: Partial<Record<Kind, string>> = {
  purchase: 'purchase',
  refund: 'refund',
  'order-cancelled': 'refund',
  'checkout-started': 'begin_checkout',
};

export interface Ga4Request {
  body: string;
  /** Event name and the names of its parameters: what the validation server can have an opinion about. */
  shape: string;
}

type Params = Record<string, string | number>;

/**
 * One event as a Measurement Protocol body.
 *
 * GA4 accepts anything and drops what is over a limit, so limits are asserted here: a transaction id that is too long is
 * refused (a cut one would be another order); what describes an item is cut.
 */
export function formatGa4(
  item: DeliveryItem,
  destination: Destination,
  transactionIdFrom: 'order-id' | 'order-name',
): Formatted {
  const { event } = item;
  const name = GA4_EVENT_NAMES[event.kind];
  if (name === undefined) return refuse('ours', 'kind-not-supported', `GA4 has no event for ${event.kind}`);
  const money = new ChosenMoney(item, destination);
  const { currency } = money;
  if (currency === null) {
    return refuse('theirs', 'no-currency', 'neither the webhook nor the settings of the shop name a currency');
  }

  const params: Params = { currency, value: Number(money.goods(event)), event_id: item.eventId };
  if (event.kind !== 'checkout-started') {
    const transactionId = transactionIdFrom === 'order-name' ? event.orderName : event.orderId;
    if (transactionId === null) {
      return refuse('ours', 'no-order-name', `${event.topic} does not carry the order name that GA4 knows it by`);
    }
    if (transactionId.length > PARAM_VALUE_MAX_CHARS) {
      return refuse('ours', 'too-long:transaction_id', `${transactionId.length} characters, GA4 takes 100`);
    }
    params['transaction_id'] = transactionId;
  }
  if (event.kind === 'purchase') addPurchaseParams(params, event, money);
  addBrowserParams(params, event);
  const coupon = event.coupons.join(',');
  if (coupon !== '') params['coupon'] = cut(coupon);

  // A full refund names no items: GA4 then takes back the whole transaction.
  const items = event.isFullRefund
    ? []
    : event.lines.slice(0, ITEMS_MAX).map((line, index) => ga4Item(line, index, money));
  return fitBody(event, name, params, items);
}

function addPurchaseParams(params: Params, event: PipelineEvent, money: ChosenMoney): void {
  const tax = money.amount(event.tax);
  const shipping = money.amount(event.shipping);
  if (tax !== null) params['tax'] = Number(tax);
  if (shipping !== null) params['shipping'] = Number(shipping);
  if (event.customer?.returning != null) params['customer_type'] = event.customer.returning ? 'returning' : 'new';
}

/** With the browser's own ids GA4 attributes by its session; without them, by what the landing page said. */
function addBrowserParams(params: Params, event: PipelineEvent): void {
  params['engagement_time_msec'] = 1; // with session_id, what makes an event show in Realtime
  if (event.browser.sessionId !== null) params['session_id'] = event.browser.sessionId;
  if (!event.browser.synthetic) return;
  params['client_id_source'] = 'synthetic';
  for (const key of ['source', 'medium', 'campaign', 'term', 'content']) {
    const value = event.campaign[`utm_${key}`];
    if (value !== undefined) params[key] = cut(value);
  }
}

function ga4Item(line: EventLine, index: number, money: ChosenMoney): Params {
  const unit = line.price[money.view].amount;
  const discount = line.discount[money.view].amount;
  const perUnit = line.quantity > 0 && !isZero(discount) ? divide(discount, line.quantity, UNIT_PRICE_SCALE) : '0';
  const item: Params = {
    item_id: cut(line.sku ?? line.variantId ?? line.productId ?? line.lineId ?? line.title),
    item_name: cut(line.title),
    price: Number(subtract(unit, perUnit)), // GA4 wants it discounted already; `discount` explains it, per unit
    quantity: line.quantity,
    index,
  };
  if (!isZero(perUnit)) item['discount'] = Number(perUnit);
  if (line.vendor !== null) item['item_brand'] = cut(line.vendor);
  if (line.productType !== null) item['item_category'] = cut(line.productType);
  if (line.variantTitle !== null) item['item_variant'] = cut(line.variantTitle);
  return item;
}

/** Leaves out items from the end until the body fits; `value` is the whole order's, and `items_omitted` says so. */
function fitBody(event: PipelineEvent, name: string, params: Params, items: Params[]): Formatted {
  for (let kept = items.length; ; kept = Math.floor(kept * 0.8)) {
    const omitted = event.isFullRefund ? 0 : event.lines.length - kept;
    const sent = {
      ...params,
      ...(omitted > 0 ? { items_omitted: omitted } : {}),
      ...(kept > 0 ? { items: items.slice(0, kept) } : {}),
    };
    const body = JSON.stringify({
      client_id: event.browser.clientId,
      // Past 72 hours GA4 moves the time to 72 hours ago; the true one is sent and the date is GA4's to move.
      timestamp_micros: Date.parse(event.occurredAt) * 1000,
      events: [{ name, params: sent }],
    });
    const bytes = Buffer.byteLength(body);
    if (bytes < BODY_MAX_BYTES) {
      const itemKeys = [...new Set(items.flatMap((item) => Object.keys(item)))];
      const shape = [name, ...Object.keys(sent).sort(), '/', ...itemKeys.sort()].join(' ');
      return { ok: true, request: { body, shape } satisfies Ga4Request, bytes };
    }
    if (kept === 0) return refuse('ours', 'too-large', `${bytes} bytes without any item, GA4 takes ${BODY_MAX_BYTES}`);
  }
}

/** By code points, so that an emoji is kept or left, never halved. */
function cut(text: string): string {
  if (text.length <= PARAM_VALUE_MAX_CHARS) return text;
  let kept = '';
  for (const character of text) {
    if (kept.length + character.length > PARAM_VALUE_MAX_CHARS) break;
    kept += character;
  }
  return kept;
}

function refuse(lane: 'theirs' | 'ours', reason: string, detail: string): Formatted {
  return { ok: false, lane, reason, detail };
}
