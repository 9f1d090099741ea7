import { at, stringAt } from './admin-api.js';

/**
 * What the Admin API says of an order, in the shape a webhook would have had. Whatever comes in by another way than a
 * webhook - the rest of a lone id, what reconciliation brings back - then goes through the same reader, and ends in
 * the same event ids.
 */

const MONEY = '{ shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }';

/** Most lines asked for at once; Shopify's own page limit is 250. */
const LINES = 250;
/** Lines of each of several orders or refunds: most have fewer, and a page is paid for whether or not it is full. */
const LINES_OF_MANY = 25;

const LINE_FIELDS = `
  id name title variantTitle quantity sku vendor
  product { id legacyResourceId productType vendor } variant { id legacyResourceId }
  originalUnitPriceSet ${MONEY} totalDiscountSet ${MONEY}`;

const lineItems = (args: string): string =>
  `lineItems(${args}) { nodes { ${LINE_FIELDS} } pageInfo { hasNextPage endCursor } }`;

const refundLineItems = (args: string): string => `
  refundLineItems(${args}) {
    nodes { quantity subtotalSet ${MONEY} totalTaxSet ${MONEY} lineItem { ${LINE_FIELDS} } }
    pageInfo { hasNextPage endCursor } }`;

const orderFields = (lines: number): string => `
  id legacyResourceId name createdAt updatedAt processedAt cancelledAt test displayFinancialStatus sourceName
  currencyCode presentmentCurrencyCode discountCodes customAttributes { key value }
  totalPriceSet ${MONEY} subtotalPriceSet ${MONEY} totalShippingPriceSet ${MONEY} totalTaxSet ${MONEY}
  totalDiscountsSet ${MONEY}
  customer { id legacyResourceId email firstName lastName phone numberOfOrders }
  refunds { id legacyResourceId createdAt }
  ${lineItems(`first: ${lines}`)}`;

const refundFields = (lines: number): string => `
  id legacyResourceId createdAt updatedAt note order { id legacyResourceId currencyCode }
  totalRefundedSet ${MONEY}
  ${refundLineItems(`first: ${lines}`)}`;

export const ORDER_QUERY = `query PlumblineOrder($id: ID!) { order(id: $id) { ${orderFields(LINES)} } }`;
export const REFUND_QUERY = `query PlumblineRefund($id: ID!) { refund(id: $id) { ${refundFields(LINES)} } }`;

export const ORDERS_QUERY = `query PlumblineOrders($ids: [ID!]!) { nodes(ids: $ids) {
  ... on Order { ${orderFields(LINES_OF_MANY)} } } }`;
export const REFUNDS_QUERY = `query PlumblineRefunds($ids: [ID!]!) { nodes(ids: $ids) {
  ... on Refund { ${refundFields(LINES_OF_MANY)} } } }`;

/** Where an order and a refund keep their lines, and how the next page of them is asked for. */
export interface LinesOf {
  field: 'order' | 'refund';
  connection: 'lineItems' | 'refundLineItems';
  query: string;
}
const MORE = `first: ${LINES}, after: $after`;
export const LINES_OF_ORDER: LinesOf = {
  field: 'order',
  connection: 'lineItems',
  query: `query PlumblineLines($id: ID!, $after: String) { order(id: $id) { ${lineItems(MORE)} } }`,
};
export const LINES_OF_REFUND: LinesOf = {
  field: 'refund',
  connection: 'refundLineItems',
  query: `query PlumblineRefundLines($id: ID!, $after: String) { refund(id: $id) { ${refundLineItems(MORE)} } }`,
};

export const CUSTOMER_QUERY = `query PlumblineCustomer($id: ID!) { customer(id: $id) {
  id legacyResourceId createdAt updatedAt email firstName lastName phone numberOfOrders } }`;

export type Node = Record<string, unknown>;

/** @param order an order with all its lines */
export function orderAsWebhook(order: Node): Node {
  const customer = at(order, 'customer');
  return {
    id: order['legacyResourceId'],
    admin_graphql_api_id: order['id'],
    name: order['name'],
    created_at: order['createdAt'],
    updated_at: order['updatedAt'],
    processed_at: order['processedAt'],
    cancelled_at: order['cancelledAt'] ?? null,
    test: order['test'],
    financial_status: stringAt(order, 'displayFinancialStatus')?.toLowerCase() ?? null,
    source_name: order['sourceName'] ?? null,
    currency: order['currencyCode'],
    presentment_currency: order['presentmentCurrencyCode'] ?? order['currencyCode'],
    ...money('total_price', order['totalPriceSet']),
    ...money('subtotal_price', order['subtotalPriceSet']),
    ...money('total_tax', order['totalTaxSet']),
    ...money('total_discounts', order['totalDiscountsSet']),
    total_shipping_price_set: moneySet(order['totalShippingPriceSet']),
    discount_codes: list(order['discountCodes']).map((code) => ({ code })),
    note_attributes: list(order['customAttributes']).map((one) => ({ name: at(one, 'key'), value: at(one, 'value') })),
    customer: isNode(customer) ? customerAsWebhook(customer) : null,
    refunds: list(order['refunds']).map((refund) => ({
      id: at(refund, 'legacyResourceId'),
      admin_graphql_api_id: at(refund, 'id'),
      order_id: order['legacyResourceId'],
      created_at: at(refund, 'createdAt'),
    })),
    line_items: list(at(order, 'lineItems', 'nodes'))
      .filter(isNode)
      .map(lineAsWebhook),
  };
}

/** @param refund a refund with all its lines */
export function refundAsWebhook(refund: Node): Node {
  return {
    id: refund['legacyResourceId'],
    admin_graphql_api_id: refund['id'],
    order_id: at(refund, 'order', 'legacyResourceId'),
    created_at: refund['createdAt'],
    processed_at: refund['createdAt'],
    note: refund['note'] ?? null,
    transactions: [
      {
        kind: 'refund',
        status: 'success',
        amount: at(refund, 'totalRefundedSet', 'shopMoney', 'amount'),
        currency: at(refund, 'totalRefundedSet', 'shopMoney', 'currencyCode'),
      },
    ],
    refund_line_items: list(at(refund, 'refundLineItems', 'nodes'))
      .filter(isNode)
      .map((one) => ({
        quantity: one['quantity'],
        subtotal: at(one, 'subtotalSet', 'shopMoney', 'amount'),
        subtotal_set: moneySet(one['subtotalSet']),
        total_tax: at(one, 'totalTaxSet', 'shopMoney', 'amount'),
        total_tax_set: moneySet(one['totalTaxSet']),
        line_item: isNode(one['lineItem']) ? lineAsWebhook(one['lineItem']) : null,
      })),
  };
}

/** @param customer the `customer` node of CUSTOMER_QUERY, or an order's */
export function customerAsWebhook(customer: Node): Node {
  const orders = Number(customer['numberOfOrders']);
  return {
    id: customer['legacyResourceId'],
    admin_graphql_api_id: customer['id'],
    created_at: customer['createdAt'] ?? null,
    updated_at: customer['updatedAt'] ?? null,
    email: customer['email'] ?? null,
    first_name: customer['firstName'] ?? null,
    last_name: customer['lastName'] ?? null,
    phone: customer['phone'] ?? null,
    ...(Number.isInteger(orders) ? { orders_count: orders } : {}),
  };
}

function lineAsWebhook(line: Node): Node {
  return {
    id: legacyId(line['id']),
    admin_graphql_api_id: line['id'],
    name: line['name'],
    title: line['title'],
    variant_title: line['variantTitle'] ?? null,
    quantity: line['quantity'],
    sku: line['sku'] ?? null,
    vendor: line['vendor'] ?? at(line, 'product', 'vendor') ?? null,
    product_type: at(line, 'product', 'productType') ?? null,
    product_id: at(line, 'product', 'legacyResourceId') ?? null,
    variant_id: at(line, 'variant', 'legacyResourceId') ?? null,
    ...money('price', line['originalUnitPriceSet']),
    ...money('total_discount', line['totalDiscountSet']),
  };
}

function money(name: string, set: unknown): Node {
  return { [name]: at(set, 'shopMoney', 'amount') ?? null, [`${name}_set`]: moneySet(set) };
}

function moneySet(set: unknown): Node | null {
  if (!isNode(set)) return null;
  const view = (name: string): Node => ({
    amount: at(set, name, 'amount') ?? null,
    currency_code: at(set, name, 'currencyCode') ?? null,
  });
  return { shop_money: view('shopMoney'), presentment_money: view('presentmentMoney') };
}

function legacyId(gid: unknown): string | null {
  return typeof gid === 'string' ? (/(\d+)(?:\?.*)?$/.exec(gid)?.[1] ?? null) : null;
}

export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

export function isNode(value: unknown): value is Node {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
