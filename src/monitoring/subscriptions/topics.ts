/**
 * Compliance topics come from the app's TOML file alone; the Admin API neither lists nor makes them.
 * Source: shopify.dev/docs/apps/build/compliance/privacy-law-compliance (read 2026-11)
 */
const TOML_ONLY: ReadonlySet<string> = new Set(['customers/data_request', 'customers/redact', 'shop/redact']);

/** Those of the configured topics that the Admin API can list, each once. */
export function listableTopics(topics: readonly string[]): string[] {
  return [...new Set(topics)].filter((topic) => !TOML_ONLY.has(topic));
}

/** `orders/create` → `ORDERS_CREATE`, as GraphQL's enum spells it. The way back is not unique, so nobody goes it. */
export function topicEnum(topic: string): string {
  return topic.replaceAll(/[/.]/g, '_').toUpperCase();
}

/** Topics whose events reconciliation can bring back, because Shopify lists what they tell of. */
export function isProvable(topic: string): boolean {
  return /^(?:orders|refunds)\//.test(topic);
}
