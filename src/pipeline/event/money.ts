import type { Money, MoneyPair } from '../contract.js';

/**
 * Exact decimal amounts. An amount is a string like `-414.95` from Shopify to the destination's door; no double
 * touches it, so a sum of a thousand lines is exact to the last cent.
 */
const AMOUNT = /^-?\d{1,30}(?:\.\d{1,12})?$/;

export function isAmount(text: string): boolean {
  return AMOUNT.test(text);
}

interface Decimal {
  units: bigint;
  /** Digits after the point. */
  scale: number;
}

function parse(amount: string): Decimal {
  const point = amount.indexOf('.');
  if (point < 0) return { units: BigInt(amount), scale: 0 };
  return { units: BigInt(amount.slice(0, point) + amount.slice(point + 1)), scale: amount.length - point - 1 };
}

function print({ units, scale }: Decimal): string {
  if (scale === 0) return units.toString();
  const sign = units < 0n ? '-' : '';
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0');
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function rescale(value: Decimal, scale: number): bigint {
  return value.units * 10n ** BigInt(scale - value.scale);
}

/** The sum, with the finer of the two scales. */
export function add(left: string, right: string): string {
  const a = parse(left);
  const b = parse(right);
  const scale = Math.max(a.scale, b.scale);
  return print({ units: rescale(a, scale) + rescale(b, scale), scale });
}

export function subtract(left: string, right: string): string {
  return add(left, negate(right));
}

/** @param times a whole number */
export function multiply(amount: string, times: number): string {
  const value = parse(amount);
  return print({ units: value.units * BigInt(times), scale: value.scale });
}

/**
 * Shares an amount among `parts`, rounded half away from zero.
 *
 * @param scale digits after the point of the answer
 */
export function divide(amount: string, parts: number, scale: number): string {
  const value = parse(amount);
  const finer = Math.max(scale, value.scale);
  // In units of 10^-scale the exact quotient is dividend / divisor; twice that plus one, halved, rounds half up.
  const dividend = rescale(value, finer);
  const divisor = BigInt(parts) * 10n ** BigInt(finer - scale);
  const size = dividend < 0n ? -dividend : dividend;
  const rounded = (2n * size + divisor) / (2n * divisor);
  return print({ units: dividend < 0n ? -rounded : rounded, scale });
}

function negate(amount: string): string {
  const value = parse(amount);
  return print({ units: -value.units, scale: value.scale });
}

export function isZero(amount: string): boolean {
  return parse(amount).units === 0n;
}

/** The same amount seen by the shop and by the buyer. */
export function samePair(money: Money): MoneyPair {
  return { shop: money, presentment: money };
}

function mapPairs(left: MoneyPair, right: MoneyPair, combine: (a: string, b: string) => string): MoneyPair {
  return {
    shop: { amount: combine(left.shop.amount, right.shop.amount), currency: left.shop.currency },
    presentment: {
      amount: combine(left.presentment.amount, right.presentment.amount),
      currency: left.presentment.currency,
    },
  };
}

export function addPairs(left: MoneyPair, right: MoneyPair): MoneyPair {
  return mapPairs(left, right, add);
}

export function subtractPairs(left: MoneyPair, right: MoneyPair): MoneyPair {
  return mapPairs(left, right, subtract);
}

export function multiplyPair(pair: MoneyPair, times: number): MoneyPair {
  return {
    shop: { amount: multiply(pair.shop.amount, times), currency: pair.shop.currency },
    presentment: { amount: multiply(pair.presentment.amount, times), currency: pair.presentment.currency },
  };
}

/** @returns `null` when there is nothing to add up */
export function sumPairs(pairs: readonly MoneyPair[]): MoneyPair | null {
  const [first, ...rest] = pairs;
  return first === undefined ? null : rest.reduce(addPairs, first);
}
