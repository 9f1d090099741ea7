import type { InboxEntry } from '../../../src/pipeline/contract.js';

/** A webhook as intake would hand it over. @param id its webhook id */
export function entryOf(id: string, overrides: Partial<InboxEntry> = {}): InboxEntry {
  return {
    source: 'http',
    world: 'real',
    webhookId: id,
    topic: 'orders/create',
    shopDomain: 'acme.myshopify.com',
    receivedAtMs: 1_795_000_000_000,
    body: Buffer.from(`{"id":820982911946154508,"note":"order ${id}"}`),
    ...overrides,
  };
}
