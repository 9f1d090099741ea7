import type { InboxEntry, PayloadPointer, Reading, Shop, World } from './contract.js';
import type { ReadWebhook } from './event-cache.js';
import { browserIdNames } from './event/browser-ids.js';
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
  constructor(
    private readonly inbox: PayloadSource,
    private readonly shops: { shopByDomain(world: World, domain: string): Shop | undefined },
  ) {}

  /** Webhooks as they were stored, for `read`. */
  load(pointers: readonly PayloadPointer[]): Promise<(InboxEntry | null)[]> {
    return this.inbox.loadPayloads(pointers);
  }

  read(entry: InboxEntry): ReadWebhook {
    const names = browserIdNames(this.shops.shopByDomain(entry.world, entry.shopDomain)?.settings ?? {});
    return asReadWebhook(entry, readWebhook(entry, names));
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
