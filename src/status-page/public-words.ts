/**
 * How instants, spans and other people's texts are put before the public. All pure; all UTC.
 */
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

const two = (value: number): string => String(value).padStart(2, '0');

/** `2026-08-22` */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** `22 Aug 2026` */
export function dayWords(day: string): string {
  return `${Number(day.slice(8))} ${MONTHS[Number(day.slice(5, 7)) - 1]} ${day.slice(0, 4)}`;
}

/** `12:03 UTC` */
export function timeWords(ms: number): string {
  const at = new Date(ms);
  return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())} UTC`;
}

/** `12:03 UTC`, with the day when it is not today's. */
export function instantWords(ms: number, nowMs: number): string {
  return dayOf(ms) === dayOf(nowMs) ? timeWords(ms) : fullInstantWords(ms);
}

/** `22 Aug 2026, 12:03 UTC` */
export function fullInstantWords(ms: number): string {
  return `${dayWords(dayOf(ms))}, ${timeWords(ms)}`;
}

/** `Nov 22, 12:03 UTC`, as readers of Statuspage's feeds know it. */
export function feedInstantWords(ms: number): string {
  const at = new Date(ms);
  return `${MONTHS[at.getUTCMonth()]} ${two(at.getUTCDate())}, ${timeWords(ms)}`;
}

/** `less than a minute`, `5 minutes`, `3 hours`, `2 days`: never more than has passed. */
export function spanWords(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return 'less than a minute';
  if (minutes < 120) return countWords(minutes, 'minute');
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? countWords(hours, 'hour') : countWords(Math.floor(hours / 24), 'day');
}

/** `1 incident`, `2,000 orders` */
export function countWords(count: number, noun: string): string {
  return `${numberWords(count)} ${noun}${count === 1 ? '' : 's'}`;
}

export function numberWords(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Two digits after the point, three from 99.99 up, cut and never rounded: 99.9996 % is not 100 %. `null` of nothing. */
export function percentWords(arrived: number, owed: number): string | null {
  if (owed <= 0) return null;
  if (arrived >= owed) return '100 %';
  const thousandths = Math.floor((100_000 * Math.max(0, arrived)) / owed);
  const text = (thousandths / 1_000).toFixed(3);
  return `${thousandths > 99_990 ? text : text.slice(0, -1)} %`;
}

const MAIL = /[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+/gu;
const SHOP = /\b[a-z0-9][a-z0-9-]*\.myshopify\.com\b/gi;
const LONG_NUMBER = /\d{9,}/g;
const WORD = /[a-z0-9][a-z0-9._-]*[a-z0-9]/gi;
const WITHHELD = '[withheld]';

/**
 * A text that others wrote, fit for everybody's eyes: no store's name, no address, no order's number. People write
 * updates in a hurry, and titles are made of what alerts know.
 *
 * @param secret further words that nobody may read, in lower case: other domains of stores, destinations' names
 */
export function publicText(text: string, secret: ReadonlySet<string>): string {
  return text
    .replace(MAIL, WITHHELD)
    .replace(SHOP, 'a store')
    .replace(WORD, (word) => (secret.has(word.toLowerCase()) ? WITHHELD : word))
    .replace(LONG_NUMBER, WITHHELD);
}
