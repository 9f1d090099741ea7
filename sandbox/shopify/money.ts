/** Money is counted in minor units; only what leaves the sandbox is text. Yen and won have no minor unit. */
const WITHOUT_MINOR = new Set(['JPY', 'KRW']);

/** One of `currency` in minor units. */
function minorUnit(currency: string): number {
  return WITHOUT_MINOR.has(currency) ? 1 : 100;
}

export function amountText(minor: number, currency: string): string {
  const unit = minorUnit(currency);
  return (minor / unit).toFixed(unit === 1 ? 0 : 2);
}

/** Which two currencies an order knows: the shop's, and what the buyer saw at which rate. */
export interface Purse {
  shop: string;
  presentment: string;
  /** How many presentment units one shop unit buys. */
  rate: number;
}

export interface MoneySet {
  shop_money: { amount: string; currency_code: string };
  presentment_money: { amount: string; currency_code: string };
}

export function moneySet(minor: number, purse: Purse): MoneySet {
  const presented = Math.round((minor / minorUnit(purse.shop)) * purse.rate * minorUnit(purse.presentment));
  return {
    shop_money: { amount: amountText(minor, purse.shop), currency_code: purse.shop },
    presentment_money: { amount: amountText(presented, purse.presentment), currency_code: purse.presentment },
  };
}

/** Minor units of an amount as a body holds it. */
export function minorOf(amount: string, currency: string): number {
  return Math.round(Number(amount) * minorUnit(currency));
}
