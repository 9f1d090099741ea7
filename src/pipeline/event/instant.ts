/** A moment with microseconds, so that two updates of one second can still be told apart. */
export interface Instant {
  ms: number;
  /** 0 to 999 */
  microsBelowMs: number;
}

/** Microseconds since 1970-01-01T00:00:00Z. They pass 2^53 in the year 2255. */
export function microsOf({ ms, microsBelowMs }: Instant): bigint {
  return BigInt(ms) * 1000n + BigInt(microsBelowMs);
}

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:?\d\d)$/;
const FRACTION_AT = '2026-11-23T08:00:00'.length;
const POINT = 46;

/**
 * Reads an RFC 3339 time with 0 to 9 digits of fraction (Shopify's headers vary: docs/shopify.md).
 *
 * @returns `null` for anything else; a time without a zone is not guessed at
 */
export function parseInstant(value: unknown): Instant | null {
  // A form without groups and digits by their place: half the cost of a form that cuts out eleven texts.
  if (typeof value !== 'string' || !RFC_3339.test(value)) return null;
  const year = 100 * twoDigits(value, 0) + twoDigits(value, 2);
  const month = twoDigits(value, 5);
  const day = twoDigits(value, 8);
  const hour = twoDigits(value, 11);
  const minute = twoDigits(value, 14);
  const second = twoDigits(value, 17);
  if (hour > 23 || minute > 59 || second > 60) return null;
  // A leap second counts as the second before it.
  const wholeMs = Date.UTC(year, month - 1, day, hour, minute, Math.min(second, 59));
  // Date.UTC rolls 31 February over into March; a date that does not exist is not read as another one.
  const date = new Date(wholeMs);
  if (date.getUTCDate() !== day || date.getUTCMonth() !== month - 1) return null;
  let micros = 0;
  let zoneAt = FRACTION_AT;
  if (value.charCodeAt(zoneAt) === POINT) {
    let unit = 100_000;
    for (zoneAt++; isDigitAt(value, zoneAt); zoneAt++) {
      micros += unit * digitAt(value, zoneAt);
      unit = Math.floor(unit / 10); // 0 from the seventh digit on
    }
  }
  return { ms: wholeMs - zoneMs(value, zoneAt) + Math.floor(micros / 1000), microsBelowMs: micros % 1000 };
}

/** @param at where the zone stands in a text of the form above */
function zoneMs(text: string, at: number): number {
  const sign = text.charAt(at);
  if (sign !== '+' && sign !== '-') return 0;
  const minutes = 60 * twoDigits(text, at + 1) + twoDigits(text, text.length - 2);
  return (sign === '-' ? -60_000 : 60_000) * minutes;
}

function digitAt(text: string, at: number): number {
  return text.charCodeAt(at) - 48;
}

function isDigitAt(text: string, at: number): boolean {
  const digit = digitAt(text, at);
  return digit >= 0 && digit <= 9;
}

function twoDigits(text: string, at: number): number {
  return 10 * digitAt(text, at) + digitAt(text, at + 1);
}

export function instantOfMs(ms: number): Instant {
  return { ms: Math.trunc(ms), microsBelowMs: 0 };
}

/** One order mostly says one instant several times: created, processed, and its day. */
let lastPrinted = { ms: 0, text: new Date(0).toISOString() };

/** RFC 3339 UTC with milliseconds. */
export function instantText({ ms }: Instant): string {
  if (ms !== lastPrinted.ms) lastPrinted = { ms, text: new Date(ms).toISOString() };
  return lastPrinted.text;
}

/** `YYYY-MM-DD`, UTC. */
export function utcDay(instant: Instant): string {
  return instantText(instant).slice(0, 10);
}
