import type { EventLine, MoneyPair } from '../contract.js';
import { pairAt, wantedPair, type Currencies } from './amounts.js';
import { WrongType, eachAt, hasKey, idAt, isFields, listAt, textAt, type Fields } from './fields.js';
import { samePair, sumPairs } from './money.js';
import type { WantedFields } from './wanted-json.js';

/** What `readLine` reads. */
export const WANTED_OF_LINE: WantedFields = {
  id: true,
  product_id: true,
  variant_id: true,
  sku: true,
  title: true,
  presentment_title: true,
  name: true,
  variant_title: true,
  presentment_variant_title: true,
  vendor: true,
  product_type: true,
  quantity: true,
  ...wantedPair('price'),
  ...wantedPair('total_discount'),
  discount_allocations: [wantedPair('amount')],
};

/** Reads one line item of an order, a checkout or a refund. */
export function readLine(line: Fields, currencies: Currencies): EventLine {
  const price = pairAt(line, 'price', currencies) ?? zeroIn(currencies);
  return {
    lineId: idAt(line, 'id'),
    productId: idAt(line, 'product_id'),
    variantId: idAt(line, 'variant_id'),
    sku: textAt(line, 'sku'),
    title: textAt(line, 'title') ?? textAt(line, 'presentment_title') ?? textAt(line, 'name') ?? '',
    variantTitle: textAt(line, 'variant_title') ?? textAt(line, 'presentment_variant_title'),
    vendor: textAt(line, 'vendor'),
    productType: textAt(line, 'product_type'),
    quantity: quantityAt(line),
    price,
    discount: discountOf(line, currencies) ?? zeroLike(price),
  };
}

/** Absent counts as one, as GA4 and Segment do. */
export function quantityAt(line: Fields): number {
  const value = line['quantity'];
  if (value === null || value === undefined) return 1;
  const quantity = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value;
  if (typeof quantity !== 'number' || !Number.isSafeInteger(quantity) || quantity < 0)
    throw new WrongType('quantity', value);
  return quantity;
}

/**
 * What the line costs less, as a whole. `discount_allocations` carries a line's share of every discount, the order's
 * own included; `total_discount` only what was taken off this line, so it counts where there are no allocations.
 */
function discountOf(line: Fields, currencies: Currencies): MoneyPair | null {
  const shares = eachAt(line, 'discount_allocations', (allocation) => pairAt(allocation, 'amount', currencies));
  return sumPairs(shares.filter((share) => share !== null)) ?? pairAt(line, 'total_discount', currencies);
}

function zeroIn(currencies: Currencies): MoneyPair {
  return samePair({ amount: '0', currency: currencies.plain });
}

function zeroLike(pair: MoneyPair): MoneyPair {
  return {
    shop: { amount: '0', currency: pair.shop.currency },
    presentment: { amount: '0', currency: pair.presentment.currency },
  };
}

export function readLines(body: Fields, currencies: Currencies): EventLine[] {
  return eachAt(body, 'line_items', (line) => readLine(line, currencies));
}

/** Shipping as one amount, when the body has no total of it. */
export function shippingLinesTotal(body: Fields, currencies: Currencies): MoneyPair | null {
  const prices = eachAt(body, 'shipping_lines', (line) => pairAt(line, 'price', currencies));
  return sumPairs(prices.filter((price) => price !== null));
}

/** Codes the buyer entered, each once, in their order. */
export function couponsOf(body: Fields): string[] {
  const codes = listAt(body, 'discount_codes').flatMap((entry) => textAt(entry, 'code') ?? []);
  return [...new Set(codes)];
}

/** `note_attributes`: a list of name and value, or (in carts and old apps) one object. Anything else tells nothing. */
export function attributesOf(body: Fields): Readonly<Record<string, string>> {
  const value = body['note_attributes'];
  if (typeof value !== 'object' || value === null) return {};
  const attributes: [string, string][] = [];
  const take = (name: string, text: unknown): void => {
    if (typeof text === 'string') attributes.push([name, text]);
    else if (typeof text === 'number' || typeof text === 'boolean') attributes.push([name, String(text)]);
  };
  if (!Array.isArray(value)) for (const [name, text] of Object.entries(value)) take(name, text);
  else
    for (const entry of value as unknown[])
      if (isFields(entry) && hasKey(entry, 'name')) take(String(entry['name']), entry['value']);
  return Object.fromEntries(attributes);
}
