/** Time as the sandbox knows it. Given, so that a test can live through Shopify's four hours of retries at once. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** @returns takes the appointment back */
  after(delayMs: number, action: () => void): () => void;
}

const TIMER_MAX_MS = 2_147_483_647; // setTimeout fires at once past 31 bits

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, Math.min(Math.max(0, delayMs), TIMER_MAX_MS));
    return () => {
      clearTimeout(timer);
    };
  },
};

/** RFC 3339 in UTC with `digits` of fraction, 0 to 9: Shopify's own headers vary in it (6 and 9 were seen: docs/shopify.md). */
export function utcTime(atMs: number, digits: number, random: () => number): string {
  const base = new Date(atMs).toISOString().slice(0, 19);
  if (digits === 0) return `${base}Z`;
  const millis = String(((atMs % 1000) + 1000) % 1000).padStart(3, '0');
  let fraction = millis;
  while (fraction.length < digits) fraction += Math.floor(random() * 10).toString();
  return `${base}.${fraction.slice(0, digits)}Z`;
}

const formatters = new Map<string, Intl.DateTimeFormat>();

/** `2026-11-27T09:00:00-05:00`: an instant as the shop's own zone writes it, whole seconds, as webhook bodies do. */
export function zonedTime(atMs: number, timeZone: string): string {
  const wholeMs = Math.floor(atMs / 1000) * 1000;
  const offsetMinutes = Math.round((wallClockMs(wholeMs, timeZone) - wholeMs) / 60_000);
  const sign = offsetMinutes < 0 ? '-' : '+';
  const hours = String(Math.floor(Math.abs(offsetMinutes) / 60)).padStart(2, '0');
  const minutes = String(Math.abs(offsetMinutes) % 60).padStart(2, '0');
  return `${new Date(wholeMs + offsetMinutes * 60_000).toISOString().slice(0, 19)}${sign}${hours}:${minutes}`;
}

/** The instant at which the shop's wall clock shows this local time; the second reading settles a change of offset. */
export function fromLocalTime(local: string, timeZone: string): number {
  const asUtcMs = Date.parse(`${local}Z`);
  const firstMs = asUtcMs - (wallClockMs(asUtcMs, timeZone) - asUtcMs);
  return asUtcMs - (wallClockMs(firstMs, timeZone) - firstMs);
}

/** What the zone's wall clock shows, counted as if it were UTC. */
function wallClockMs(atMs: number, timeZone: string): number {
  let formatter = formatters.get(timeZone);
  if (formatter === undefined) {
    formatter = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
    formatters.set(timeZone, formatter);
  }
  const part: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
  for (const { type, value } of formatter.formatToParts(atMs)) part[type] = Number(value);
  return Date.UTC(
    part.year ?? 1970,
    (part.month ?? 1) - 1,
    part.day ?? 1,
    part.hour ?? 0,
    part.minute ?? 0,
    part.second ?? 0,
  );
}
