/**
 * The words of monitoring: what later areas may know of it. Types and names; no behaviour.
 */

/** What a signal can be about. Alerting declares one alert or more for each. */
export const SIGNAL_KINDS = [
  /** Sold, and not at a destination that is owed it. One a shop and destination. */
  'order-missing',
  /** Shopify removed a webhook subscription. One a shop and topic. */
  'subscription-removed',
  /** A subscription is not as it is wanted: address, API version, twice, a filter that swallows events. */
  'subscription-wrong',
  /** Our own answers are on the way to a removal: failures in a row of the eight that Shopify takes. */
  'subscription-countdown',
  /** The subscriptions of a shop cannot be looked at. */
  'subscription-unknown',
  /** A shop that should have sold by now sends nothing. */
  'store-silent',
  /** No reconciliation of a shop has ended for too long: nothing is proved there. */
  'reconciliation-stale',
  /** A reconciliation could not look at everything, and says what. */
  'reconciliation-partial',
  /** A mail from Shopify that nobody has taught us to read. */
  'notice-unclassified',
  /** A destination refuses what it is sent. */
  'destination-refusing',
  /** Dead letters become more. */
  'dead-letters-growing',
  /** Stored webhooks are gone from the inbox before anybody read them. */
  'inbox-gap',
] as const;
export type SignalKind = (typeof SIGNAL_KINDS)[number];

export interface SignalView {
  /** bigint as a decimal string */
  id: string;
  kind: SignalKind;
  /** What it is about, within its kind. */
  subject: string;
  /** Domain; `null` = not about one shop. */
  shop: string | null;
  /** Name; `null` = not about one destination. */
  destination: string | null;
  state: 'open' | 'closed';
  /** Plain values that a page can quote: counts, instants, ids. No personal data. */
  facts: Readonly<Record<string, unknown>>;
  /** Where a person looks: a path of the API. */
  evidence: string;
  openedAt: Date;
  updatedAt: Date;
  closedAt: Date | null;
  /** How often its facts have changed since it was opened. */
  updates: number;
}

export interface SignalChange {
  /** Grows with every change, in the order of commits; continue after the last one seen. */
  seq: string;
  at: Date;
  change: 'opened' | 'updated' | 'closed';
  signal: SignalView;
}

export interface SignalFilter {
  kind?: SignalKind;
  shop?: string;
  state?: 'open' | 'closed' | 'all';
}

/** What later areas may ask of signals. */
export interface SignalReader {
  /** Newest first. */
  signals(
    filter: SignalFilter,
    page: { limit: number; cursor?: string },
  ): Promise<{ items: SignalView[]; nextCursor: string | null }>;
  /** Oldest first. */
  changes(afterSeq: string, limit: number): Promise<SignalChange[]>;
}
