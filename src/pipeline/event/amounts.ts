import type { Money, MoneyPair } from '../contract.js';
import { WrongType, isFields, textAt, type Fields } from './fields.js';
import { isAmount, samePair } from './money.js';

/**
 * The currencies of one body. A plain amount (`total_price`) is in the shop's currency on an order and in the buyer's
 * on a checkout; only a `…_set` holds both. Without a set both views hold the one amount, labelled with its true
 * currency: a conversion is never guessed.
 * Source: shopify.dev REST reference, Order.total_price and AbandonedCheckout.subtotal_price (read 2026-11)
 */
export interface Currencies {
  /** ISO 4217, or `''` when the body does not tell; destinations then take the shop's setting. */
  plain: string;
}

/**
 * @param key of the plain amount; its set is looked for under `setKey`
 * @returns `null` when the body has neither
 * @throws WrongType for something that is there and is no amount
 */
export function pairAt(
  body: Fields,
  key: string,
  path: string,
  currencies: Currencies,
  setKey = `${key}_set`,
): MoneyPair | null {
  const set = body[setKey];
  if (isFields(set)) {
    const setPath = `${path}_set`;
    const shop = moneyAt(set['shop_money'], `${setPath}.shop_money`);
    const presentment = moneyAt(set['presentment_money'], `${setPath}.presentment_money`);
    if (shop !== null || presentment !== null) {
      const known = (shop ?? presentment) as Money;
      return { shop: shop ?? known, presentment: presentment ?? known };
    }
  } else if (set !== null && set !== undefined) {
    throw new WrongType(`${path}_set`, set);
  }
  const amount = amountOf(body[key], path);
  return amount === null ? null : samePair({ amount, currency: currencies.plain });
}

function moneyAt(value: unknown, path: string): Money | null {
  if (value === null || value === undefined) return null;
  if (!isFields(value)) throw new WrongType(path, value);
  const amount = amountOf(value['amount'], `${path}.amount`);
  return amount === null ? null : { amount, currency: textAt(value, 'currency_code') ?? '' };
}

/** Shopify sends amounts as strings, and refund lines as JSON numbers, whose shortest form is what was sent. */
export function amountOf(value: unknown, path: string): string | null {
  if (value === null || value === undefined || value === '') return null;
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string' || !isAmount(text)) throw new WrongType(path, value);
  return text;
}
