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

/**
 * What a mail comes to. `removed` and `failing`: Shopify says so of a webhook; `unknown`: Shopify says something about
 * webhooks that nobody has taught us to read; `untrusted`: nobody can tell that it is Shopify's, so it has no effect.
 */
export const NOTICE_CLASSES = ['removed', 'failing', 'other', 'unknown', 'untrusted'] as const;
export type NoticeClass = (typeof NOTICE_CLASSES)[number];

/** What a person can say that a mail is. */
export const JUDGED_CLASSES = ['removed', 'failing', 'other', 'unknown'] as const;
export type JudgedClass = (typeof JUDGED_CLASSES)[number];

export interface NoticeView {
  /** bigint as a decimal string */
  id: string;
  world: 'real' | 'sandbox';
  /** Who handed it in: `postmark`, `smtp` … */
  provider: string;
  class: NoticeClass;
  /** What its words say, believed or not. */
  wording: JudgedClass;
  /** Why it is believed, or why not. */
  trust: string;
  senderDomain: string | null;
  /** Domain; `null` = it names no shop of ours. */
  shop: string | null;
  topic: string | null;
  /** The address of ours that it names. */
  url: string | null;
  removedAt: Date | null;
  attempts: number | null;
  subject: string;
  excerpt: string | null;
  receivedAt: Date;
  /** When the same was last said, and how often since the first time. */
  lastAt: Date;
  count: number;
  /** When the subscription watch was told; `null` = not yet, or nothing to tell. */
  hintedAt: Date | null;
  /** Whether a person is to look. */
  needsAttention: boolean;
  readAt: Date | null;
  classifiedBy: string | null;
  classifiedAt: Date | null;
}

export interface NoticeFilter {
  class?: NoticeClass;
  shop?: string;
}

/** Shopify's mails, for people. */
export interface NoticeDesk {
  /** Newest first. */
  notices(
    filter: NoticeFilter,
    page: { limit: number; cursor?: string },
  ): Promise<{ items: NoticeView[]; nextCursor: string | null }>;
  /** A person says what it is; `removed` and `failing` then are told to the subscription watch. `null` = there is none */
  classify(id: string, as: JudgedClass, actor: string): Promise<NoticeView | null>;
  /** A person has looked. `null` = there is none */
  markRead(id: string, actor: string): Promise<NoticeView | null>;
}

/** What a request that hands a mail in is answered. Above 299 it had no effect at all. */
export interface InboundAnswer {
  status: 200 | 400 | 401 | 403 | 406 | 503;
  detail: string;
}

/** The door for mails that providers post. */
export interface InboundMail {
  readonly providers: readonly string[];
  /** Whether the address is right; compared in constant time. Asked before a byte of the body is read. */
  admits(secret: string): boolean;
  /** Resolves with 200 only once what was handed in is durable. Never throws. */
  take(request: { provider: string; secret: string; contentType: string; body: Buffer }): Promise<InboundAnswer>;
}
