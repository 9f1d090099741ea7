import { zonedTime } from '../clock.js';
import type { Random } from '../random.js';
import type { StoreProfile } from './catalogue.js';
import { amountText, minorOf, moneySet, type Purse } from './money.js';
import type { Numbers } from './numbers.js';
import type { LineBody, OrderBody } from './order-body.js';

/** What can happen to an order after it was placed. */
export type Step = 'pay' | 'edit' | 'cancel' | 'refund-part' | 'refund-all';

export type Topic =
  | 'orders/create'
  | 'orders/paid'
  | 'orders/updated'
  | 'orders/cancelled'
  | 'refunds/create'
  | 'checkouts/create'
  | 'customers/create'
  | 'app/uninstalled';

export const TOPICS: readonly Topic[] = [
  'orders/create',
  'orders/paid',
  'orders/updated',
  'orders/cancelled',
  'refunds/create',
  'checkouts/create',
  'customers/create',
  'app/uninstalled',
];

export type RefundBody = ReturnType<typeof refundBody>;

/** The order after a step, and what is told of it. All of `announcements` share one event id: one merchant action. */
export interface Happened {
  order: OrderBody;
  announcements: readonly { topic: Topic; body: object }[];
}

/**
 * Lets one step happen to an order.
 *
 * @returns `null` when the order's state no longer allows the step (a cancelled order is not refunded again)
 */
export function happen(
  before: OrderBody,
  step: Step,
  store: StoreProfile,
  atMs: number,
  numbers: Numbers,
  random: Random,
): Happened | null {
  const order = structuredClone(before);
  const isSettled = order.cancelled_at !== null || order.financial_status === 'refunded';
  touch(order, store, atMs);
  const updated = { topic: 'orders/updated', body: order } as const;
  switch (step) {
    case 'pay':
      if (isSettled || order.financial_status !== 'pending') return null;
      order.financial_status = 'paid';
      order.total_outstanding = amountText(0, order.currency);
      return { order, announcements: [{ topic: 'orders/paid', body: order }, updated] };
    case 'edit':
      edit(order, random);
      return { order, announcements: [updated] };
    case 'cancel': {
      if (isSettled) return null;
      order.cancelled_at = order.updated_at;
      order.closed_at = order.updated_at;
      order.cancel_reason = random.pick(['customer', 'inventory', 'fraud', 'declined', 'other']);
      const cancelled = { topic: 'orders/cancelled', body: order } as const;
      const wasPaid = order.financial_status !== 'pending' && minorOf(order.total_price, order.currency) > 0;
      if (!wasPaid) {
        order.financial_status = 'voided';
        return { order, announcements: [cancelled, updated] };
      }
      const refund = applyRefund(order, openLines(order), true, store, atMs, numbers);
      return { order, announcements: [{ topic: 'refunds/create', body: refund }, cancelled, updated] };
    }
    case 'refund-part':
    case 'refund-all': {
      if (isSettled || order.financial_status === 'pending') return null;
      const open = openLines(order);
      const first = open[0];
      if (first === undefined) return null;
      const isWhole = step === 'refund-all' || (open.length === 1 && first.quantity === 1);
      const refund = applyRefund(order, isWhole ? open : [{ ...first, quantity: 1 }], isWhole, store, atMs, numbers);
      return { order, announcements: [{ topic: 'refunds/create', body: refund }, updated] };
    }
  }
}

/** Marks an order placed as paid at once: orders/create already says `paid`, and orders/paid follows. */
export function payAtOnce(order: OrderBody): void {
  order.financial_status = 'paid';
  order.total_outstanding = amountText(0, order.currency);
}

/** Invariant: `updated_at` strictly grows, although it only has whole seconds. */
function touch(order: OrderBody, store: StoreProfile, atMs: number): void {
  const beforeMs = Date.parse(order.updated_at);
  order.updated_at = zonedTime(Math.max(atMs, beforeMs + 1_000), store.timeZone);
}

function edit(order: OrderBody, random: Random): void {
  switch (random.between(0, 2)) {
    case 0:
      order.note = random.pick([
        'Leave at the door',
        'Geschenk, bitte ohne Rechnung',
        '包装をお願いします',
        'Call <first> & "ring"',
      ]);
      break;
    case 1:
      order.tags = order.tags === '' ? 'priority' : `${order.tags}, priority`;
      break;
    default:
      order.fulfillment_status = 'fulfilled';
      for (const line of order.line_items) {
        line.fulfillment_status = 'fulfilled';
        line.fulfillable_quantity = 0;
      }
  }
}

interface OpenLine {
  line: LineBody;
  quantity: number;
}

function openLines(order: OrderBody): OpenLine[] {
  return order.line_items
    .filter((line) => line.current_quantity > 0)
    .map((line) => ({ line, quantity: line.current_quantity }));
}

function applyRefund(
  order: OrderBody,
  lines: readonly OpenLine[],
  isWhole: boolean,
  store: StoreProfile,
  atMs: number,
  numbers: Numbers,
): RefundBody {
  const currency = order.currency;
  const purse = purseOf(order);
  const leftMinor = minorOf(order.current_total_price, currency);
  const subtotalMinor = lines.reduce((sum, { line, quantity }) => sum + shareOf(line, quantity, currency).subtotal, 0);
  const taxMinor = lines.reduce((sum, { line, quantity }) => sum + shareOf(line, quantity, currency).tax, 0);
  const linesMinor = subtotalMinor + (order.taxes_included ? 0 : taxMinor);
  const refundedMinor = isWhole ? leftMinor : Math.min(leftMinor, linesMinor);
  const refund = refundBody(order, lines, { refundedMinor, isWhole }, store, atMs, numbers);
  for (const { line, quantity } of lines) line.current_quantity -= quantity;
  order.refunds.push(refund);
  order.financial_status = isWhole ? 'refunded' : 'partially_refunded';
  const now = {
    total: leftMinor - refundedMinor,
    subtotal: isWhole ? 0 : Math.max(0, minorOf(order.current_subtotal_price, currency) - subtotalMinor),
    tax: isWhole ? 0 : Math.max(0, minorOf(order.current_total_tax, currency) - taxMinor),
  };
  order.current_total_price = amountText(now.total, currency);
  order.current_total_price_set = moneySet(now.total, purse);
  order.current_subtotal_price = amountText(now.subtotal, currency);
  order.current_subtotal_price_set = moneySet(now.subtotal, purse);
  order.current_total_tax = amountText(now.tax, currency);
  order.current_total_tax_set = moneySet(now.tax, purse);
  if (isWhole) order.current_shipping_price_set = moneySet(0, purse);
  return refund;
}

/** What `quantity` of a line cost after its discount, and the tax on it, in minor units. */
function shareOf(line: LineBody, quantity: number, currency: string): { subtotal: number; tax: number } {
  const discount = line.discount_allocations.reduce((sum, part) => sum + minorOf(part.amount, currency), 0);
  const tax = line.tax_lines.reduce((sum, part) => sum + minorOf(part.price, currency), 0);
  const share = quantity / line.quantity;
  return {
    subtotal: Math.round((minorOf(line.price, currency) * line.quantity - discount) * share),
    tax: Math.round(tax * share),
  };
}

function purseOf(order: OrderBody): Purse {
  const { shop_money: shop, presentment_money: presented } = order.total_price_set;
  const isOne = order.currency === order.presentment_currency || Number(shop.amount) === 0;
  const rate = isOne ? 1 : Number(presented.amount) / Number(shop.amount);
  return { shop: order.currency, presentment: order.presentment_currency, rate };
}

/** refunds/create: `id` is the refund, the order stands in `order_id`; line amounts are JSON numbers (docs/shopify.md). */
function refundBody(
  order: OrderBody,
  lines: readonly OpenLine[],
  { refundedMinor, isWhole }: { refundedMinor: number; isWhole: boolean },
  store: StoreProfile,
  atMs: number,
  numbers: Numbers,
) {
  const id = numbers.refund();
  const purse = purseOf(order);
  const at = zonedTime(atMs, store.timeZone);
  const shippingMinor = isWhole ? minorOf(order.current_shipping_price_set.shop_money.amount, order.currency) : 0;
  return {
    id,
    order_id: order.id,
    created_at: at,
    note: isWhole ? 'Order returned' : 'One piece damaged',
    user_id: 98_540_380_009,
    processed_at: at,
    duties: [],
    total_duties_set: moneySet(0, purse),
    return: null,
    refund_shipping_lines: [],
    restock: isWhole,
    admin_graphql_api_id: `gid://shopify/Refund/${id}`,
    order_adjustments:
      shippingMinor === 0
        ? []
        : [
            {
              id: numbers.refund(),
              order_id: order.id,
              refund_id: id,
              amount: amountText(-shippingMinor, order.currency),
              tax_amount: amountText(0, order.currency),
              kind: 'shipping_refund',
              reason: 'Shipping refund',
              amount_set: moneySet(-shippingMinor, purse),
              tax_amount_set: moneySet(0, purse),
            },
          ],
    refund_line_items: lines.map(({ line, quantity }) => {
      const { subtotal, tax } = shareOf(line, quantity, order.currency);
      return {
        id: numbers.refund(),
        quantity,
        line_item_id: line.id,
        location_id: isWhole ? 36_110_175 : null,
        restock_type: isWhole ? 'return' : 'no_restock',
        subtotal: Number(amountText(subtotal, order.currency)),
        total_tax: Number(amountText(tax, order.currency)),
        subtotal_set: moneySet(subtotal, purse),
        total_tax_set: moneySet(tax, purse),
        line_item: structuredClone(line),
      };
    }),
    transactions: [
      {
        id: numbers.refund(),
        order_id: order.id,
        kind: 'refund',
        gateway: order.payment_gateway_names[0] ?? 'manual',
        status: 'success',
        message: 'Refunded',
        created_at: at,
        test: order.test,
        authorization: null,
        location_id: null,
        user_id: null,
        parent_id: null,
        processed_at: at,
        device_id: null,
        error_code: null,
        source_name: order.source_name,
        receipt: {},
        // Invariant: in the buyer's currency, as the buyer was charged; `currency` says which.
        amount: moneySet(refundedMinor, purse).presentment_money.amount,
        currency: purse.presentment,
        payment_id: `${order.name}.1`,
        total_unsettled_set: moneySet(0, purse),
        manual_payment_gateway: false,
        amount_rounding: null,
        admin_graphql_api_id: `gid://shopify/OrderTransaction/${id + 1}`,
      },
    ],
  };
}
