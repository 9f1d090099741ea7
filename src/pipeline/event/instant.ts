/** A moment with microseconds, so that two updates of one second can still be told apart. */
export interface Instant {
  ms: number;
  /** Microseconds since 1970-01-01T00:00:00Z. */
  micros: bigint;
}

const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):?(\d\d))$/;

/**
 * Reads an RFC 3339 time with 0 to 9 digits of fraction (Shopify's headers vary: docs/shopify.md).
 *
 * @returns `null` for anything else; a time without a zone is not guessed at
 */
export function parseInstant(value: unknown): Instant | null {
  if (typeof value !== 'string') return null;
  const match = RFC_3339.exec(value);
  if (match === null) return null;
  const [, year, month, day, hour, minute, second, fraction = '', zulu, sign, zoneHours, zoneMinutes] = match;
  const wholeMs = Date.UTC(
    Number(year),
    Number(month) - 1,
    Number(day),
    Number(hour),
    Number(minute),
    Math.min(Number(second), 59), // a leap second counts as the second before it
  );
  // Date.UTC rolls 31 February over into March; a date that does not exist is not read as another one.
  const date = new Date(wholeMs);
  if (date.getUTCDate() !== Number(day) || date.getUTCMonth() !== Number(month) - 1) return null;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return null;
  const zoneMs =
    zulu === undefined ? (sign === '-' ? -1 : 1) * (Number(zoneHours) * 60 + Number(zoneMinutes)) * 60_000 : 0;
  const fractionMicros = BigInt(fraction.padEnd(6, '0').slice(0, 6));
  const micros = BigInt(wholeMs - zoneMs) * 1000n + fractionMicros;
  return { ms: wholeMs - zoneMs + Number(fractionMicros / 1000n), micros };
}

export function instantOfMs(ms: number): Instant {
  return { ms, micros: BigInt(Math.trunc(ms)) * 1000n };
}

/** RFC 3339 UTC with milliseconds. */
export function instantText(instant: Instant): string {
  return new Date(instant.ms).toISOString();
}

/** `YYYY-MM-DD`, UTC. */
export function utcDay(instant: Instant): string {
  return instantText(instant).slice(0, 10);
}
