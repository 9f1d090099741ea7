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
  format: 'JSON' | 'XML';
  /** A search that says which events are sent; `null` = all. */
  filter: string | null;
  /** Top-level fields of the body; empty = all. */
  includeFields: readonly string[];
  /** The version of the app that made it; `null` = the world's. */
  apiVersion: string | null;
  createdAtMs: number;
  updatedAtMs: number;
  /** Failed attempts since the last 2xx, over all deliveries of this subscription. */
  failuresInRow: number;
}

type Wanted = Pick<Subscription, 'domain' | 'topic' | 'uri' | 'owner' | 'name'> &
  Partial<Pick<Subscription, 'format' | 'filter' | 'includeFields' | 'apiVersion'>>;

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
  add(wanted: Wanted, atMs: number): Subscription | null {
    if (this.isTaken(wanted)) return null;
    const subscription: Subscription = {
      format: 'JSON',
      filter: null,
      includeFields: [],
      apiVersion: null,
      ...wanted,
      id: this.numbers.subscription(),
      createdAtMs: atMs,
      updatedAtMs: atMs,
      failuresInRow: 0,
    };
    this.byId.set(subscription.id, subscription);
    return subscription;
  }

  /** Whether another one of the shop has this address for this topic. */
  isTaken(wanted: Pick<Subscription, 'domain' | 'topic' | 'uri' | 'owner'> & { id?: number }): boolean {
    return this.of(wanted.domain).some(
      ({ id, topic, uri, owner }) =>
        id !== wanted.id && topic === wanted.topic && uri === wanted.uri && owner === wanted.owner,
    );
  }

  get(id: number): Subscription | undefined {
    return this.byId.get(id);
  }

  of(domain: string): Subscription[] {
    return [...this.byId.values()].filter((subscription) => subscription.domain === domain);
  }

  /** With a filter it hears nothing, as at Shopify with one that names no field: the sandbox does not read filters. */
  listening(domain: string, topic: string): Subscription[] {
    return this.of(domain).filter((subscription) => subscription.topic === topic && subscription.filter === null);
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
