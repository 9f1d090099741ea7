import { at, stringAt } from './admin-api.js';

/**
 * What the Admin API says of an order, in the shape a webhook would have had. Whatever comes in by another way than a
 * webhook - the rest of a lone id, what reconciliation brings back - then goes through the same reader, and ends in
 * the same event ids.
 */

const MONEY = '{ shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }';

/** Most lines of one order asked for at once; Shopify's own page limit is 250. */
const LINES = 250;

const ORDER_FIELDS = `
  id legacyResourceId name createdAt updatedAt processedAt cancelledAt test displayFinancialStatus sourceName
  currencyCode presentmentCurrencyCode discountCodes customAttributes { key value }
  totalPriceSet ${MONEY} subtotalPriceSet ${MONEY} totalShippingPriceSet ${MONEY} totalTaxSet ${MONEY}
  totalDiscountsSet ${MONEY}
  customer { id legacyResourceId email firstName lastName phone numberOfOrders }
  lineItems(first: ${LINES}) { nodes {
    id name title variantTitle quantity sku vendor
    product { id legacyResourceId productType vendor } variant { id legacyResourceId }
    originalUnitPriceSet ${MONEY} totalDiscountSet ${MONEY}
  } }`;

export const ORDER_QUERY = `query PlumblineOrder($id: ID!) { order(id: $id) { ${ORDER_FIELDS} } }`;

export const REFUND_QUERY = `query PlumblineRefund($id: ID!) { refund(id: $id) {
  id legacyResourceId createdAt updatedAt note order { id legacyResourceId currencyCode }
  totalRefundedSet ${MONEY}
  refundLineItems(first: ${LINES}) { nodes { quantity subtotalSet ${MONEY} totalTaxSet ${MONEY}
    lineItem { id name title variantTitle sku vendor quantity product { id legacyResourceId productType vendor }
      variant { id legacyResourceId } originalUnitPriceSet ${MONEY} totalDiscountSet ${MONEY} } } }
} }`;

export const CUSTOMER_QUERY = `query PlumblineCustomer($id: ID!) { customer(id: $id) {
  id legacyResourceId createdAt updatedAt email firstName lastName phone numberOfOrders } }`;

type Node = Record<string, unknown>;

/** @param order the `order` node of ORDER_QUERY */
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
    line_items: list(at(order, 'lineItems', 'nodes'))
      .filter(isNode)
      .map(lineAsWebhook),
  };
}

/** @param refund the `refund` node of REFUND_QUERY */
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

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function isNode(value: unknown): value is Node {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
