import type { StoreProfile } from './catalogue.js';
import type { Args, GraphNode, Resolved } from './graphql-answer.js';
import { GraphqlError } from './graphql.js';
import type { RefundBody } from './lifecycle.js';
import { minorOf, moneySet, type MoneySet } from './money.js';
import type { LineBody, OrderBody } from './order-body.js';
import type { Address, Customer } from './people.js';
import type { Subscription } from './subscriptions.js';

const PAGE_MAX = 250; // shopify.dev/api/usage/limits

/** What the Admin API says of an order, from the same body the webhooks carry. Instants are UTC, as GraphQL's are. */
export function orderNode(
  order: OrderBody,
  store: StoreProfile,
  customerOf: (id: number) => Customer | undefined,
): GraphNode {
  const shopZero = () => money({ ...order.total_price_set, ...zeroOf(order) });
  return {
    __typename: 'Order',
    id: order.admin_graphql_api_id,
    legacyResourceId: String(order.id),
    name: order.name,
    number: order.order_number,
    createdAt: utc(order.created_at),
    updatedAt: utc(order.updated_at),
    processedAt: utc(order.processed_at),
    cancelledAt: order.cancelled_at && utc(order.cancelled_at),
    closedAt: order.closed_at && utc(order.closed_at),
    cancelReason: order.cancel_reason?.toUpperCase() ?? null,
    confirmed: order.confirmed,
    confirmationNumber: order.confirmation_number,
    test: order.test,
    displayFinancialStatus: order.financial_status.toUpperCase(),
    displayFulfillmentStatus: order.fulfillment_status?.toUpperCase() ?? 'UNFULFILLED',
    sourceName: order.source_name,
    currencyCode: order.currency,
    presentmentCurrencyCode: order.presentment_currency,
    taxesIncluded: order.taxes_included,
    email: order.email === '' ? null : order.email,
    phone: order.phone,
    note: order.note,
    tags: order.tags === '' ? [] : order.tags.split(', '),
    clientIp: order.browser_ip,
    customerLocale: order.customer_locale,
    landingPageUrl: order.landing_site,
    referrerUrl: order.referring_site,
    totalPriceSet: money(order.total_price_set),
    subtotalPriceSet: money(order.subtotal_price_set),
    totalShippingPriceSet: money(order.total_shipping_price_set),
    totalTaxSet: money(order.total_tax_set),
    totalDiscountsSet: money(order.total_discounts_set),
    currentTotalPriceSet: money(order.current_total_price_set),
    currentSubtotalPriceSet: money(order.current_subtotal_price_set),
    currentTotalTaxSet: money(order.current_total_tax_set),
    currentTotalDiscountsSet: money(order.current_total_discounts_set),
    totalRefundedSet: order.refunds.length === 0 ? shopZero() : money(difference(order)),
    discountCode: order.discount_codes[0]?.code ?? null,
    discountCodes: order.discount_codes.map(({ code }) => code),
    customAttributes: order.note_attributes.map(({ name, value }) => ({ __typename: 'Attribute', key: name, value })),
    billingAddress: addressNode(order.billing_address),
    shippingAddress: addressNode(order.shipping_address),
    customer: order.customer && customerNode(order.customer.id, customerOf(order.customer.id), order),
    lineItems: (args) =>
      connection(
        'LineItem',
        order.line_items,
        args,
        (line) => lineNode(line, store),
        (line) => line.id,
      ),
    refunds: ({ first }) =>
      (order.refunds as RefundBody[])
        .slice(0, typeof first === 'number' ? first : undefined)
        .map((refund) => refundNode(refund, order, store)),
  };
}

export function refundNode(refund: RefundBody, order: OrderBody, store: StoreProfile): GraphNode {
  const items = refund.refund_line_items;
  const transactions = refund.transactions;
  const presented = Number(transactions[0]?.amount ?? 0);
  const rate = Number(order.total_price_set.presentment_money.amount) / Number(order.total_price_set.shop_money.amount);
  const shopMinor = minorOf(String(presented / (rate > 0 ? rate : 1)), order.currency);
  return {
    __typename: 'Refund',
    id: refund.admin_graphql_api_id,
    legacyResourceId: String(refund.id),
    createdAt: utc(refund.created_at),
    updatedAt: utc(refund.created_at),
    note: refund.note,
    order: () => orderNode(order, store, () => undefined),
    totalRefundedSet: money(
      moneySet(shopMinor, { shop: order.currency, presentment: order.presentment_currency, rate }),
    ),
    refundLineItems: (args) =>
      connection(
        'RefundLineItem',
        items,
        args,
        (item): GraphNode => ({
          __typename: 'RefundLineItem',
          id: `gid://shopify/RefundLineItem/${item.id}`,
          quantity: item.quantity,
          restockType: item.restock_type.toUpperCase(),
          subtotalSet: money(item.subtotal_set),
          totalTaxSet: money(item.total_tax_set),
          priceSet: money(item.line_item.price_set),
          lineItem: lineNode(item.line_item, store),
        }),
        (item) => item.id,
      ),
    transactions: (args) =>
      connection(
        'OrderTransaction',
        transactions,
        args,
        (transaction): GraphNode => ({
          __typename: 'OrderTransaction',
          id: transaction.admin_graphql_api_id,
          kind: transaction.kind.toUpperCase(),
          status: transaction.status.toUpperCase(),
          gateway: transaction.gateway,
          createdAt: utc(transaction.created_at),
          processedAt: utc(transaction.processed_at),
          amountSet: money(
            moneySet(shopMinor, { shop: order.currency, presentment: order.presentment_currency, rate }),
          ),
        }),
        (transaction) => transaction.id,
      ),
  };
}

function lineNode(line: LineBody, store: StoreProfile): GraphNode {
  return {
    __typename: 'LineItem',
    id: line.admin_graphql_api_id,
    name: line.name,
    title: line.title,
    variantTitle: line.variant_title,
    quantity: line.quantity,
    currentQuantity: line.current_quantity,
    sku: line.sku,
    vendor: line.vendor,
    isGiftCard: line.gift_card,
    product: productNode(line.product_id, store),
    variant: {
      __typename: 'ProductVariant',
      id: `gid://shopify/ProductVariant/${line.variant_id}`,
      legacyResourceId: String(line.variant_id),
      title: line.variant_title ?? 'Default Title',
      sku: line.sku,
    },
    originalUnitPriceSet: money(line.price_set),
    totalDiscountSet: money(line.total_discount_set),
    discountAllocations: line.discount_allocations.map((part) => ({
      __typename: 'DiscountAllocation',
      allocatedAmountSet: money(part.amount_set),
    })),
  };
}

export function productNode(id: number, store: StoreProfile): GraphNode | null {
  const product = store.products.find((one) => one.id === id);
  if (product === undefined) return null;
  return {
    __typename: 'Product',
    id: `gid://shopify/Product/${product.id}`,
    legacyResourceId: String(product.id),
    title: product.title,
    productType: product.productType,
    vendor: product.vendor,
  };
}

/** @param customer `undefined` = forgotten by the sandbox's till; the order still knows who it was */
export function customerNode(id: number, customer: Customer | undefined, order?: OrderBody): GraphNode {
  const email = customer?.email ?? order?.customer?.email ?? null;
  const phone = customer?.phone ?? order?.customer?.phone ?? null;
  return {
    __typename: 'Customer',
    id: `gid://shopify/Customer/${id}`,
    legacyResourceId: String(id),
    email,
    phone,
    firstName: customer?.firstName ?? order?.customer?.first_name ?? null,
    lastName: customer?.lastName ?? order?.customer?.last_name ?? null,
    createdAt:
      customer === undefined ? (order?.customer ? utc(order.customer.created_at) : null) : utcOf(customer.createdAtMs),
    updatedAt:
      customer === undefined ? (order?.customer ? utc(order.customer.updated_at) : null) : utcOf(customer.createdAtMs),
    numberOfOrders: String(customer?.numberOfOrders ?? 1), // UnsignedInt64 is text in GraphQL
    defaultEmailAddress: email === null ? null : { __typename: 'CustomerEmailAddress', emailAddress: email },
    defaultPhoneNumber: phone === null ? null : { __typename: 'CustomerPhoneNumber', phoneNumber: phone },
  };
}

export function subscriptionNode(subscription: Subscription, apiVersion: string): GraphNode {
  const version = subscription.apiVersion ?? apiVersion;
  return {
    __typename: 'WebhookSubscription',
    id: `gid://shopify/WebhookSubscription/${subscription.id}`,
    legacyResourceId: String(subscription.id),
    topic: topicEnum(subscription.topic),
    uri: subscription.uri,
    callbackUrl: subscription.uri,
    format: subscription.format,
    filter: subscription.filter,
    includeFields: subscription.includeFields,
    metafieldNamespaces: [],
    metafields: [],
    name: subscription.name,
    apiVersion: {
      __typename: 'ApiVersion',
      handle: version,
      displayName: version,
      supported: true,
    },
    createdAt: utcOf(subscription.createdAtMs),
    updatedAt: utcOf(subscription.updatedAtMs),
  };
}

/** `orders/create` ↔ `ORDERS_CREATE` */
export function topicEnum(topic: string): string {
  return topic.replace('/', '_').toUpperCase();
}
export function topicOfEnum(name: string): string {
  return name.toLowerCase().replace('_', '/');
}

/**
 * One page, with opaque cursors that survive changes before them: `after` names the last key given, not a position.
 *
 * @param items in their order
 * @param pagedMax where paging ends: a page that begins behind this many objects is an error
 */
export function connection<Item>(
  typename: string,
  items: readonly Item[],
  args: Args,
  nodeOf: (item: Item) => GraphNode,
  keyOf: (item: Item) => number,
  valueOf: (item: Item) => number = keyOf,
  pagedMax = Infinity,
): GraphNode {
  const first = args.first;
  if (typeof first !== 'number') throw new GraphqlError('you must provide one of first or last (the sandbox: first)');
  if (first < 1 || first > PAGE_MAX) throw new GraphqlError(`first must be between 1 and ${PAGE_MAX}`);
  const after = typeof args.after === 'string' ? decodeCursor(args.after) : null;
  // Invariant: items are sorted by (value, key), so the page starts where a comparison says, even if `after` is gone.
  const sign = args.reverse === true ? -1 : 1;
  const from =
    after === null
      ? 0
      : items.findIndex((item) => {
          const byValue = (valueOf(item) - after.value) * sign;
          return byValue > 0 || (byValue === 0 && (keyOf(item) - after.id) * sign > 0);
        });
  if (from >= pagedMax) {
    throw new GraphqlError(`Cannot paginate beyond ${pagedMax} objects. Narrow the query by a filter.`, {
      code: 'PAGINATION_LIMIT_EXCEEDED',
    });
  }
  const page = from < 0 ? [] : items.slice(from, from + first);
  const cursorOf = (item: Item) => encodeCursor(keyOf(item), valueOf(item));
  const last = page.at(-1);
  return {
    __typename: `${typename}Connection`,
    nodes: () => page.map(nodeOf),
    edges: () =>
      page.map((item): Resolved => ({
        __typename: `${typename}Edge`,
        cursor: cursorOf(item),
        node: () => nodeOf(item),
      })),
    pageInfo: {
      __typename: 'PageInfo',
      hasNextPage: from >= 0 && from + first < items.length,
      hasPreviousPage: from > 0,
      startCursor: page[0] === undefined ? null : cursorOf(page[0]),
      endCursor: last === undefined ? null : cursorOf(last),
    },
  };
}

function encodeCursor(id: number, value: number): string {
  return Buffer.from(JSON.stringify({ last_id: id, last_value: value })).toString('base64');
}

function decodeCursor(cursor: string): { id: number; value: number } {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, 'base64').toString());
    if (typeof parsed === 'object' && parsed !== null && 'last_id' in parsed && 'last_value' in parsed) {
      return { id: Number(parsed.last_id), value: Number(parsed.last_value) };
    }
  } catch {
    // answered below, like any other text that is no cursor
  }
  throw new GraphqlError('Invalid cursor for current pagination sort.');
}

function money(set: MoneySet): GraphNode {
  const side = (one: MoneySet['shop_money']): GraphNode => ({
    __typename: 'MoneyV2',
    amount: one.amount,
    currencyCode: one.currency_code,
  });
  return { __typename: 'MoneyBag', shopMoney: side(set.shop_money), presentmentMoney: side(set.presentment_money) };
}

function zeroOf(order: OrderBody): MoneySet {
  return moneySet(0, { shop: order.currency, presentment: order.presentment_currency, rate: 1 });
}

function difference(order: OrderBody): MoneySet {
  const less = (total: MoneySet['shop_money'], now: MoneySet['shop_money']) => ({
    amount: (Number(total.amount) - Number(now.amount)).toFixed(total.amount.includes('.') ? 2 : 0),
    currency_code: total.currency_code,
  });
  const { total_price_set: total, current_total_price_set: now } = order;
  return {
    shop_money: less(total.shop_money, now.shop_money),
    presentment_money: less(total.presentment_money, now.presentment_money),
  };
}

function addressNode(address: Address | null): GraphNode | null {
  if (address === null) return null;
  return {
    __typename: 'MailingAddress',
    firstName: address.first_name,
    lastName: address.last_name,
    name: address.name,
    company: address.company,
    address1: address.address1,
    address2: address.address2,
    city: address.city,
    zip: address.zip,
    province: address.province,
    provinceCode: address.province_code,
    country: address.country,
    countryCodeV2: address.country_code,
    phone: address.phone,
  };
}

function utc(zoned: string): string {
  return utcOf(Date.parse(zoned));
}

function utcOf(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19)}Z`;
}
