import type { Money, MoneyPair } from '../contract.js';
import { WrongType, isFields, textAt, type Fields } from './fields.js';
import { isAmount, samePair } from './money.js';
import type { WantedFields } from './wanted-json.js';

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
 * @param key of the plain amount; its set is looked for under `<key>_set`
 * @returns `null` when the body has neither
 * @throws WrongType for something that is there and is no amount
 */
export function pairAt(body: Fields, key: string, currencies: Currencies): MoneyPair | null {
  const setKey = setKeyOf(key);
  const set = body[setKey];
  if (isFields(set)) {
    const shop = moneyAt(set, 'shop_money', setKey);
    const presentment = moneyAt(set, 'presentment_money', setKey);
    if (shop !== null || presentment !== null) {
      const known = (shop ?? presentment) as Money;
      return { shop: shop ?? known, presentment: presentment ?? known };
    }
  } else if (set !== null && set !== undefined) {
    throw new WrongType(setKey, set);
  }
  const amount = amountAt(body, key);
  return amount === null ? null : samePair({ amount, currency: currencies.plain });
}

const WANTED_OF_MONEY: WantedFields = { amount: true, currency_code: true };

/** What `pairAt` reads. */
export function wantedPair(key: string): WantedFields {
  return { [key]: true, [setKeyOf(key)]: { shop_money: WANTED_OF_MONEY, presentment_money: WANTED_OF_MONEY } };
}

/** A key that is put together anew has to be found anew in every object; the few there are, are kept. */
const setKeys = new Map<string, string>();
function setKeyOf(key: string): string {
  let setKey = setKeys.get(key);
  if (setKey === undefined) setKeys.set(key, (setKey = `${key}_set`));
  return setKey;
}

function moneyAt(set: Fields, key: string, setKey: string): Money | null {
  const value = set[key];
  if (value === null || value === undefined) return null;
  if (!isFields(value)) throw new WrongType(`${setKey}.${key}`, value);
  const amount = amountOf(value['amount']);
  if (amount === undefined) throw new WrongType(`${setKey}.${key}.amount`, value['amount']);
  return amount === null ? null : { amount, currency: textAt(value, 'currency_code') ?? '' };
}

/** @throws WrongType for something that is there and is no amount */
export function amountAt(body: Fields, key: string): string | null {
  const amount = amountOf(body[key]);
  if (amount === undefined) throw new WrongType(key, body[key]);
  return amount;
}

/**
 * Shopify sends amounts as strings, and refund lines as JSON numbers, whose shortest form is what was sent.
 *
 * @returns `undefined` for what is no amount, `null` for nothing
 */
function amountOf(value: unknown): string | null | undefined {
  if (value === null || value === undefined || value === '') return null;
  const text = typeof value === 'number' ? String(value) : value;
  return typeof text === 'string' && isAmount(text) ? text : undefined;
}
