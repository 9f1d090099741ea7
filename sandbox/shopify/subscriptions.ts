import type { Numbers } from './numbers.js';

/**
 * Whose a subscription is. `shop`: made through the Admin API for one shop; Shopify removes it after repeated
 * failures. `app`: from the app's TOML; never removed, and hidden from the Admin API (docs/shopify.md).
 */
export type Owner = 'shop' | 'app';

export interface Subscription {
  id: number;
  domain: string;
  /** `orders/create`; any topic may be subscribed to, the sandbox sends those of `TOPICS` */
  topic: string;
  uri: string;
  owner: Owner;
  name: string | null;
  createdAtMs: number;
  /** Failed attempts since the last 2xx, over all deliveries of this subscription. */
  failuresInRow: number;
}

export interface Removal {
  domain: string;
  topic: string;
  uri: string;
  atMs: number;
  why: 'failures' | 'by hand' | 'api';
}

const REMOVALS_KEPT = 500;

/** All subscriptions of the world's stores to this one app. */
export class Subscriptions {
  private readonly byId = new Map<number, Subscription>();
  readonly removals: Removal[] = [];

  constructor(private readonly numbers: Numbers) {}

  /** @returns `null` when the shop already has this address for the topic; Shopify refuses the second */
  add(wanted: Pick<Subscription, 'domain' | 'topic' | 'uri' | 'owner' | 'name'>, atMs: number): Subscription | null {
    const isTaken = this.of(wanted.domain).some(
      ({ topic, uri, owner }) => topic === wanted.topic && uri === wanted.uri && owner === wanted.owner,
    );
    if (isTaken) return null;
    const subscription = { ...wanted, id: this.numbers.subscription(), createdAtMs: atMs, failuresInRow: 0 };
    this.byId.set(subscription.id, subscription);
    return subscription;
  }

  get(id: number): Subscription | undefined {
    return this.byId.get(id);
  }

  of(domain: string): Subscription[] {
    return [...this.byId.values()].filter((subscription) => subscription.domain === domain);
  }

  listening(domain: string, topic: string): Subscription[] {
    return this.of(domain).filter((subscription) => subscription.topic === topic);
  }

  remove(id: number, why: Removal['why'], atMs: number): boolean {
    const gone = this.byId.get(id);
    if (gone === undefined) return false;
    this.byId.delete(id);
    this.removals.push({ domain: gone.domain, topic: gone.topic, uri: gone.uri, atMs, why });
    if (this.removals.length > REMOVALS_KEPT) this.removals.shift();
    return true;
  }
}
