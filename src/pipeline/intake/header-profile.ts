import type { IncomingHttpHeaders } from 'node:http';

/**
 * The words around a webhook, whatever their spelling: classic webhooks say `X-Shopify-Topic`, the Events preview says
 * `shopify-topic`. HTTP header names are case-insensitive and Node gives them in lower case.
 * Source: shopify.dev/docs/apps/build/webhooks/delivery-structure (read 2026-09-11)
 */
const NAMES = {
  hmac: ['x-shopify-hmac-sha256', 'shopify-hmac-sha256'],
  topic: ['x-shopify-topic', 'shopify-topic'],
  shopDomain: ['x-shopify-shop-domain', 'shopify-shop-domain'],
  webhookId: ['x-shopify-webhook-id', 'shopify-webhook-id'],
  apiVersion: ['x-shopify-api-version', 'shopify-api-version'],
  eventId: ['x-shopify-event-id', 'shopify-event-id'],
  triggeredAt: ['x-shopify-triggered-at', 'shopify-triggered-at'],
} as const satisfies Record<string, readonly [string, string]>;

type Field = keyof typeof NAMES;

/** Longest values taken, characters. The longest printed by Shopify are a fourth of these. */
const LENGTH_MAX: Record<Field, number> = {
  hmac: 64,
  topic: 128,
  shopDomain: 253, // DNS
  webhookId: 200,
  apiVersion: 32,
  eventId: 200,
  triggeredAt: 64,
};

const DOMAIN = /^(?=.{4,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+$/;

export interface WebhookHeaders {
  topic: string;
  /** Lower case. */
  shopDomain: string;
  webhookId: string;
  apiVersion: string | undefined;
  eventId: string | undefined;
  triggeredAt: string | undefined;
}

/** @returns the signature as sent, if any; the other headers are not looked at before it has been checked */
export function readSignature(headers: IncomingHttpHeaders): string | undefined {
  return valueOf(headers, 'hmac');
}

/**
 * @returns the headers, or what is wrong with them in a sentence for the sender. An optional header that makes no
 *   sense is left out: refusing a signed order for it would lose more than it saves.
 */
export function readHeaders(headers: IncomingHttpHeaders): WebhookHeaders | { fault: string } {
  const topic = required(headers, 'topic');
  if (typeof topic === 'object') return topic;
  const shopDomain = required(headers, 'shopDomain');
  if (typeof shopDomain === 'object') return shopDomain;
  const webhookId = required(headers, 'webhookId');
  if (typeof webhookId === 'object') return webhookId;
  const domain = shopDomain.toLowerCase();
  if (!DOMAIN.test(domain)) return { fault: 'X-Shopify-Shop-Domain is not a domain name.' };
  return {
    topic,
    shopDomain: domain,
    webhookId,
    apiVersion: optional(headers, 'apiVersion'),
    eventId: optional(headers, 'eventId'),
    triggeredAt: optional(headers, 'triggeredAt'),
  };
}

/** Which subscription a request belongs to, as far as it says so itself. `null` = it does not, or not in these words. */
export function readSubscription(headers: IncomingHttpHeaders): { shopDomain: string; topic: string } | null {
  const topic = optional(headers, 'topic');
  const shopDomain = optional(headers, 'shopDomain')?.toLowerCase();
  return topic !== undefined && shopDomain !== undefined && DOMAIN.test(shopDomain) ? { shopDomain, topic } : null;
}

function required(headers: IncomingHttpHeaders, field: Field): string | { fault: string } {
  const value = valueOf(headers, field);
  if (value === undefined || value === '') return { fault: `${spelled(field)} is missing.` };
  if (value.length > LENGTH_MAX[field]) {
    return { fault: `${spelled(field)} is longer than ${LENGTH_MAX[field]} characters.` };
  }
  return value;
}

function optional(headers: IncomingHttpHeaders, field: Field): string | undefined {
  const value = valueOf(headers, field);
  return value === undefined || value === '' || value.length > LENGTH_MAX[field] ? undefined : value;
}

function valueOf(headers: IncomingHttpHeaders, field: Field): string | undefined {
  const [classic, preview] = NAMES[field];
  const value = headers[classic] ?? headers[preview];
  return typeof value === 'string' ? value : value?.[0];
}

/** `x-shopify-shop-domain` as Shopify prints it: `X-Shopify-Shop-Domain`. */
function spelled(field: Field): string {
  return NAMES[field][0].replaceAll(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}
