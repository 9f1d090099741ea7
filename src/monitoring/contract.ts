/**
 * The words of monitoring: what later areas may know of it. Types and names; no behaviour.
 */
import type { Kind, State } from '../pipeline/contract.js';

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

// --- reconciliation ----------------------------------------------------------------------------------------------

/**
 * How a run stands. `partial` and `blind`: it could not look at everything, or at anything, and tries again.
 * `settling`: everything listed and compared, and not every gap recovered yet.
 */
export const RECONCILIATION_STATES = [
  'queued',
  'running',
  'partial',
  'blind',
  'settling',
  'complete',
  'failed',
] as const;
export type ReconciliationState = (typeof RECONCILIATION_STATES)[number];

/** Where on its way an obligation was lost: it did not reach this stage. */
export const STAGES = ['logged', 'processed', 'accepted', 'received'] as const;
export type Stage = (typeof STAGES)[number];

/** `excluded`: left out, with the reason. `dead`: cannot be brought back by us, with the reason. */
export const GAP_STATES = ['open', 'requeued', 'recovered', 'dead', 'excluded'] as const;
export type GapState = (typeof GAP_STATES)[number];

export interface ReconciliationView {
  id: string;
  shop: string;
  /** Orders updated in `[from, to)` at Shopify. */
  from: Date;
  to: Date;
  why: string;
  requestedBy: string;
  state: ReconciliationState;
  /** Why it is partial, blind or failed. */
  detail: string | null;
  /** What the window does not cover, in words. */
  notCovered: string | null;
  counts: {
    /** Orders that Shopify lists in the window. */
    sold: number;
    /** How their obligations stood when they were compared, before anything was recovered. */
    obligations: readonly { destination: string; kind: Kind; state: State | 'absent'; count: number }[];
  };
  gaps: readonly {
    stage: Stage;
    cause: string;
    destination: string;
    state: GapState;
    reason: string | null;
    count: number;
    /** Of these, how many have been put on their way again. */
    requeued: number;
    /** Up to five orders. */
    sample: readonly string[];
  }[];
  requeued: number;
  recovered: number;
  /** Not recovered yet. */
  open: number;
  requestedAt: Date;
  startedAt: Date | null;
  listedAt: Date | null;
  finishedAt: Date | null;
}

export interface GapView {
  id: string;
  shop: string;
  destination: string;
  orderId: string;
  subjectId: string;
  kind: Kind;
  stage: Stage;
  cause: string;
  state: GapState;
  reason: string | null;
  soldAt: Date;
  foundAt: Date;
  requeues: number;
  closedAt: Date | null;
}

/** How far each shop is compared with Shopify. */
export interface ProofView {
  shop: string;
  /** Orders updated in `[comparedFrom, comparedUntil)` were listed and compared. `null` = none yet. */
  comparedFrom: Date | null;
  comparedUntil: Date | null;
  nextRunAt: Date;
  lastError: string | null;
}

export interface ReconciliationDesk {
  /** @returns the run's id; `null` when there is no such shop */
  request(shopDomain: string, from: Date, to: Date, actor: string): Promise<string | null>;
  reconciliation(id: string): Promise<ReconciliationView | null>;
  /** Newest first. */
  reconciliations(
    filter: { shop?: string; state?: ReconciliationState },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: ReconciliationView[]; nextCursor: string | null }>;
  /** Newest first. `unrecovered` = open or requeued. */
  gaps(
    filter: { shop?: string; state?: GapState | 'unrecovered'; reconciliation?: string; order?: string },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: GapView[]; nextCursor: string | null }>;
  proofs(): Promise<ProofView[]>;
}
