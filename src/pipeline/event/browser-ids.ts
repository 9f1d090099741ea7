import { hash } from 'node:crypto';
import type { PipelineEvent, ShopSettings } from '../contract.js';

/** Note attributes in which a storefront keeps Google Analytics' ids; compared without case. */
export interface BrowserIdNames {
  client: readonly string[];
  session: readonly string[];
}

/** The names seen in themes and tag managers; `_ga_<stream>` is known by its form and needs no name. */
export const DEFAULT_BROWSER_ID_NAMES: BrowserIdNames = {
  client: ['google-clientID', '_ga', 'ga_client_id', 'ga-client-id', 'client_id', 'clientId'],
  session: ['ga_session_id', 'ga-session-id', 'google-sessionID', 'session_id', 'sessionId'],
};

/** The names one shop uses: its own first, then the usual ones. */
export function browserIdNames(settings: ShopSettings): BrowserIdNames {
  const { clientIdAttributes: client, sessionIdAttributes: session } = settings;
  if (!client && !session) return DEFAULT_BROWSER_ID_NAMES;
  return {
    client: [...(client ?? []), ...DEFAULT_BROWSER_ID_NAMES.client],
    session: [...(session ?? []), ...DEFAULT_BROWSER_ID_NAMES.session],
  };
}

const CLIENT_ID = /^(?:GA\d\.\d+(?:-\d+)?\.)?([1-9]\d{0,19}\.[1-9]\d{0,19})$/;
const PLAIN_SESSION = /^([1-9]\d{0,14})$/;
// The session cookie: GS1.1.<session>.<count>.<engaged>… until 2025, then GS2.1.s<session>$o<count>$g<engaged>…
const SESSION_COOKIE = /^GS(?:1\.\d+\.|2\.\d+\.(?:[a-rt-z]\d+\$)*s)([1-9]\d{0,14})(?:[.$]|$)/;
const STREAM_COOKIE_NAME = /^_ga_[a-z0-9]+$/;

/**
 * The browser's ids as the storefront stored them, else a client id of our own that is the same every time.
 *
 * @param attributes note attributes of the order or checkout
 * @param identity what the synthetic id is derived from: the shop with its customer, or with the order for a guest
 * Source: docs/destinations/ga4.md (client_id is two positive numbers joined by a point)
 */
export function browserIds(
  attributes: Readonly<Record<string, string>>,
  identity: string,
  names: BrowserIdNames = DEFAULT_BROWSER_ID_NAMES,
): PipelineEvent['browser'] {
  const { clientNames, sessionNames } = lowerCase(names);
  let clientId: string | null = null;
  let sessionId: string | null = null;
  for (const [name, value] of Object.entries(attributes)) {
    const key = name.trim().toLowerCase();
    const text = unescaped(value.trim());
    if (clientNames.has(key)) clientId ??= CLIENT_ID.exec(text)?.[1] ?? null;
    else if (sessionNames.has(key)) sessionId ??= (PLAIN_SESSION.exec(text) ?? SESSION_COOKIE.exec(text))?.[1] ?? null;
    else if (STREAM_COOKIE_NAME.test(key)) sessionId ??= SESSION_COOKIE.exec(text)?.[1] ?? null;
  }
  if (clientId !== null) return { clientId, sessionId, synthetic: false };
  // A session of a browser that is not known belongs to nobody: it would attach to the wrong user.
  return { clientId: syntheticClientId(identity), sessionId: null, synthetic: true };
}

const lowerCased = new WeakMap<BrowserIdNames, ReturnType<typeof lowerCase>>();
function lowerCase(names: BrowserIdNames): { clientNames: ReadonlySet<string>; sessionNames: ReadonlySet<string> } {
  let known = lowerCased.get(names);
  if (known === undefined) {
    known = {
      clientNames: new Set(names.client.map((name) => name.toLowerCase())),
      sessionNames: new Set(names.session.map((name) => name.toLowerCase())),
    };
    lowerCased.set(names, known);
  }
  return known;
}

/** Cookies copied by a script keep their escapes: `GS2.1.s1764250000%24o3`. */
function unescaped(value: string): string {
  return value.includes('%24') || value.includes('%2E') ? value.replaceAll('%24', '$').replaceAll('%2E', '.') : value;
}

function syntheticClientId(identity: string): string {
  const digest = hash('sha256', `plumbline browser\n${identity}`, 'buffer');
  const positive = (offset: number): number => digest.readUInt32BE(offset) & 0x7fffffff || 1;
  return `${positive(0)}.${positive(4)}`;
}
