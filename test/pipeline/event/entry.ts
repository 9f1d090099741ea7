import type { InboxEntry } from '../../../src/pipeline/contract.js';

/** An inbox entry around a body, for tests of reading. */
export function entryOf(topic: string, body: unknown, over: Partial<InboxEntry> = {}): InboxEntry {
  return {
    source: 'http',
    world: 'real',
    webhookId: 'b54557e4-bdd9-4b37-8a5f-bf7d70bcd043',
    topic,
    shopDomain: 'acme.myshopify.com',
    receivedAtMs: Date.parse('2026-11-23T08:00:00Z'),
    body: Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    ...over,
  };
}
