/** Intake's path, below whatever Shopify calls; a shop's own key follows. */
const INTAKE = '/webhooks/shopify';

export interface Address {
  /** What Shopify calls, without intake's path: `https://hooks.example.com`. */
  base: string;
  /** The opaque key of the shop's own address. */
  key: string;
}

/** Where a shop's webhooks are to go. */
export function wantedUri({ base, key }: Address): string {
  return `${base.replace(/\/+$/, '')}${INTAKE}/${key}`;
}

/**
 * Whether a subscription leads here, or was made to: it carries the shop's key, which nobody guesses, or it points at
 * our intake. Invariant: only those are ever changed or deleted. Another service of the same app, even on our host, is
 * somebody else's.
 */
export function isOurs(uri: string, address: Address): boolean {
  const url = httpUrl(uri);
  if (url === null) return false;
  if (url.pathname.endsWith(`${INTAKE}/${address.key}`)) return true;
  const base = httpUrl(address.base);
  if (base?.host !== url.host) return false;
  const intake = `${base.pathname.replace(/\/+$/, '')}${INTAKE}`;
  return url.pathname === intake || url.pathname.startsWith(`${intake}/`);
}

/** Shopify may write a host in lower case or leave out a port; it is the same address. */
export function isSameAddress(one: string, other: string): boolean {
  return one === other || (httpUrl(one) !== null && httpUrl(one)?.href === httpUrl(other)?.href);
}

/** As people may see it: what follows a `?` may be somebody's secret. */
export function shownAddress(uri: string): string {
  const url = httpUrl(uri);
  if (url === null) return uri;
  return `${url.origin}${url.pathname}${url.search === '' ? '' : '?…'}`;
}

function httpUrl(uri: string): URL | null {
  const url = URL.parse(uri);
  return url !== null && /^https?:$/.test(url.protocol) ? url : null;
}
