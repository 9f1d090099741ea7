import type { InboxEntry, PayloadPointer, Reading } from './contract.js';
import type { ReadWebhook } from './event-cache.js';
import { readWebhook } from './event/read-webhook.js';
import { withImpliedEvents } from './router/plan.js';

/** The inbox, as far as reading single webhooks back goes. */
export interface PayloadSource {
  /** In the order asked; `null` where retention has dropped it. */
  loadPayloads(pointers: readonly PayloadPointer[]): Promise<(InboxEntry | null)[]>;
}

/**
 * Reads webhooks back from the inbox as events: the same function of the same bytes as the router's, so that a
 * delivery after a restart says what it would have said before.
 */
export class WebhookReader {
  constructor(private readonly inbox: PayloadSource) {}

  async read(pointers: readonly PayloadPointer[]): Promise<(ReadWebhook | null)[]> {
    const entries = await this.inbox.loadPayloads(pointers);
    return entries.map((entry) => entry && asReadWebhook(entry, readWebhook(entry)));
  }

  /** The bytes themselves, for a dead letter. */
  async entry(pointer: PayloadPointer): Promise<InboxEntry | null> {
    return (await this.inbox.loadPayloads([pointer]))[0] ?? null;
  }
}

export function asReadWebhook(entry: InboxEntry, reading: Reading): ReadWebhook {
  return {
    events: reading.outcome === 'event' ? withImpliedEvents(reading.events) : [],
    receivedAtMs: entry.receivedAtMs,
    topic: entry.topic,
    webhookId: entry.webhookId,
    shopDomain: entry.shopDomain,
  };
}
