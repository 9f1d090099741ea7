import type { EventLine, MoneyPair } from '../contract.js';
import { pairAt, type Currencies } from './amounts.js';
import { WrongType, idAt, listAt, textAt, type Fields } from './fields.js';
import { samePair, sumPairs } from './money.js';

/** Reads one line item of an order, a checkout or a refund. */
export function readLine(line: Fields, path: string, currencies: Currencies): EventLine {
  const price = pairAt(line, 'price', `${path}.price`, currencies) ?? zeroIn(currencies);
  return {
    lineId: idAt(line, 'id', `${path}.id`),
    productId: idAt(line, 'product_id', `${path}.product_id`),
    variantId: idAt(line, 'variant_id', `${path}.variant_id`),
    sku: textAt(line, 'sku'),
    title: textAt(line, 'title') ?? textAt(line, 'presentment_title') ?? textAt(line, 'name') ?? '',
    variantTitle: textAt(line, 'variant_title') ?? textAt(line, 'presentment_variant_title'),
    vendor: textAt(line, 'vendor'),
    productType: textAt(line, 'product_type'),
    quantity: quantityAt(line, `${path}.quantity`),
    price,
    discount: discountOf(line, path, currencies) ?? zeroLike(price),
  };
}

/** Absent counts as one, as GA4 and Segment do. */
export function quantityAt(line: Fields, path: string): number {
  const value = line['quantity'];
  if (value === null || value === undefined) return 1;
  const quantity = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value;
  if (typeof quantity !== 'number' || !Number.isSafeInteger(quantity) || quantity < 0) throw new WrongType(path, value);
  return quantity;
}

/**
 * What the line costs less, as a whole. `discount_allocations` carries a line's share of every discount, the order's
 * own included; `total_discount` only what was taken off this line, so it counts where there are no allocations.
 */
function discountOf(line: Fields, path: string, currencies: Currencies): MoneyPair | null {
  const allocations = listAt(line, 'discount_allocations', `${path}.discount_allocations`);
  const shares = allocations.flatMap((allocation, index) => {
    const pair = pairAt(allocation, 'amount', `${path}.discount_allocations[${index}].amount`, currencies);
    return pair === null ? [] : [pair];
  });
  return sumPairs(shares) ?? pairAt(line, 'total_discount', `${path}.total_discount`, currencies);
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
  return listAt(body, 'line_items', 'line_items').map((line, index) =>
    readLine(line, `line_items[${index}]`, currencies),
  );
}

/** Shipping as one amount, when the body has no total of it. */
export function shippingLinesTotal(body: Fields, currencies: Currencies): MoneyPair | null {
  const prices = listAt(body, 'shipping_lines', 'shipping_lines').flatMap((line, index) => {
    const pair = pairAt(line, 'price', `shipping_lines[${index}].price`, currencies);
    return pair === null ? [] : [pair];
  });
  return sumPairs(prices);
}

/** Codes the buyer entered, each once, in their order. */
export function couponsOf(body: Fields): string[] {
  const codes = listAt(body, 'discount_codes', 'discount_codes').flatMap((entry) => textAt(entry, 'code') ?? []);
  return [...new Set(codes)];
}

/** `note_attributes`: a list of name and value, or (in carts and old apps) one object. Anything else tells nothing. */
export function attributesOf(body: Fields): Readonly<Record<string, string>> {
  const value = body['note_attributes'];
  if (typeof value !== 'object' || value === null) return {};
  const pairs: [string, unknown][] = Array.isArray(value)
    ? value.flatMap((entry: unknown): [string, unknown][] =>
        typeof entry === 'object' && entry !== null && 'name' in entry && 'value' in entry
          ? [[String(entry.name), entry.value]]
          : [],
      )
    : Object.entries(value);
  return Object.fromEntries(
    pairs.flatMap(([name, text]) =>
      typeof text === 'string' || typeof text === 'number' || typeof text === 'boolean' ? [[name, String(text)]] : [],
    ),
  );
}
