/**
 * The words of monitoring: what later areas may know of it. Types and names; no behaviour.
 */
import type { DestinationKind, Kind, State, World } from '../pipeline/contract.js';

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
  /** An objective's budget goes faster than it may, in both windows of a pair. One a world, objective and pair. */
  'slo-burn',
  /** Too many orders take more than a quarter of an hour. One a world. */
  'orders-late',
  /** Our answers to Shopify come near to its limit of 5 s, or will within a day as they grow. One for each of the two. */
  'intake-slow',
  /** Our answers to Shopify are 5xx. */
  'intake-failing',
  /** What calls intake is not signed by a secret that we know. */
  'signature-failures',
  /** What is due waits, and nobody holds it up but us: deliveries (one a world), or stored webhooks before their routing. */
  'queue-old',
  /** Processes have gone without a word, or a loop of one hangs. One a set of roles, one a loop. */
  'workers-missing',
  /** A process whose event loop is slow or whose heap is nearly full, however well its host looks. One a process. */
  'process-sick',
  /** Most tries at all destinations of a kind fail, and not because of what is sent. One a world and kind. */
  'destination-outage',
  /** A destination refuses its credentials: whoever owns it acts. */
  'credentials-rejected',
  /** What judges does not: a duty of monitoring has not been done, in any process. */
  'watch-stalled',
  /** Told by alerting: what it says does not reach people. One a channel and recipient. */
  'notifier-failing',
  /** Told by alerting: nobody is on call, or nobody can say who. One an escalation policy. */
  'on-call-gap',
  /** Told by alerting: people are paged more often than they can stand. One a world. */
  'page-volume-high',
  /** Told by the status page: nothing has been published for so long that it says unknown. */
  'status-page-stale',
  /** Told from outside: an alert of an Alertmanager. One a fingerprint. */
  'external',
] as const;
export type SignalKind = (typeof SIGNAL_KINDS)[number];

/**
 * Which of monitoring's duties finds a kind of signal; `null` = nobody looks for it at intervals: it is reported as it
 * happens, or by a later area about itself.
 */
export const JUDGES: Readonly<Record<SignalKind, string | null>> = {
  'order-missing': 'reconciliation-signals',
  'reconciliation-partial': 'reconciliation-signals',
  'inbox-gap': 'reconciliation-signals',
  'reconciliation-stale': 'proof-watch',
  'store-silent': 'silence',
  'subscription-removed': 'subscription-audit',
  'subscription-wrong': 'subscription-audit',
  'subscription-unknown': 'subscription-audit',
  'subscription-countdown': 'subscription-countdown',
  'notice-unclassified': 'notices',
  'destination-refusing': 'destination-watch',
  'destination-outage': 'destination-watch',
  'credentials-rejected': 'destination-watch',
  'dead-letters-growing': 'dead-letter-watch',
  'slo-burn': 'slo',
  'orders-late': 'slo',
  'intake-slow': 'intake-watch',
  'intake-failing': 'intake-watch',
  'signature-failures': 'intake-watch',
  'queue-old': 'queue-watch',
  'workers-missing': 'process-watch',
  'process-sick': 'process-watch',
  'watch-stalled': null,
  'notifier-failing': null,
  'on-call-gap': null,
  'page-volume-high': null,
  'status-page-stale': null,
  external: null,
};

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
  /** Of its shop or destination, or as its finder says; `null` = about the service itself. */
  world: World | null;
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
  /** Any of these. */
  kinds?: readonly SignalKind[];
  shop?: string;
  /** Of this world, and about the service itself, which is of none. */
  world?: World;
  state?: 'open' | 'closed' | 'all';
}

/** What somebody who judges has found. */
export interface Finding {
  kind: SignalKind;
  subject: string;
  shopId?: string | null;
  destinationId?: number | null;
  /** Where it is about neither a shop nor a destination, and all the same not about both worlds. */
  world?: World;
  /** What a page would quote. A change of these is an update; so leave out what changes with every look. */
  facts: Readonly<Record<string, unknown>>;
  evidence: string;
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

/** For those who judge, later areas among them: what they find wrong of themselves, or are told from outside. */
export interface SignalDesk extends SignalReader {
  /** Something is wrong: opens, or updates when its facts are others than before. */
  report(finding: Finding): Promise<void>;
  /** It is as it should be again. Nothing happens when nothing was open. @param facts added to what it said last */
  close(kind: SignalKind, subject: string, facts?: Readonly<Record<string, unknown>>): Promise<void>;
  /**
   * Everything that is wrong of one kind, within subjects that begin with `scope`: what is not among the findings is
   * closed, what is new is opened.
   *
   * @param scope `null` = the whole kind
   * @param closing facts added to what is closed
   */
  replace(
    kind: SignalKind,
    scope: string | null,
    findings: readonly Finding[],
    closing?: Readonly<Record<string, unknown>>,
  ): Promise<void>;
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

// --- throughput --------------------------------------------------------------------------------------------------

export type Granularity = 'hour' | 'day';

/** Purchases by when they were sold. A count that is not known yet is `null`, never 0. */
export interface ThroughputCounts {
  /** Sold for the destination: paid or created, as its `purchaseOn` says; what it ignores among them. */
  sold: number | null;
  /** In the ledger, those that wait for payment among them. */
  logged: number;
  /** Routed, and waiting for nothing but the destination. */
  processed: number;
  /** Taken by the destination, and not found absent. */
  accepted: number;
  /** Read back. `null`: cannot be, or has not been yet. */
  confirmed: number | null;
  ignored: number;
  /** Buried as dead letters. */
  failed: number;
  /** Found absent, at whatever stage, and not recovered yet. */
  missing: number | null;
  /** Found absent once, and brought in since. */
  recovered: number | null;
  /** Over 15 minutes from being due to being accepted, or waiting for as long. */
  late: number;
  /** Arrived of those owed and not ignored, 0 to 1; `null` = not known, or nothing was owed. */
  throughput: number | null;
}

export interface ThroughputItem extends ThroughputCounts {
  /** Domain. */
  shop: string;
  /** Name. */
  destination: string;
  start: Date;
  /** `unconfirmable`: the destination cannot be read back, so what it accepted is all that can be said. */
  confirmation: 'confirmable' | 'unconfirmable';
  /** Since when the figures are final but for late facts; `null` = provisional. */
  settledAt: Date | null;
  /** `throughput`, once settled. */
  settledThroughput: number | null;
}

/** All shops and destinations of a kind together; an order counts once for each destination that is owed it. */
export interface FleetItem {
  start: Date;
  /** `null` = all kinds. */
  kind: DestinationKind | null;
  /** Connected shops, and those of which all that was sold in this time is known. */
  shops: number;
  shopsProved: number;
  /** Hours that have settled, hours that may still change, and hours of which nobody knows what was sold. */
  settled: ThroughputCounts;
  provisional: ThroughputCounts;
  unproved: ThroughputCounts;
  /** How many were lost on the way to each stage, in the order of the line. */
  lost: { stage: Stage; orders: number }[];
}

export interface ThroughputFilter {
  /** The hour or day that holds it is the first. */
  from: Date;
  /** Exclusive: hours or days that begin before it. */
  to: Date;
  granularity: Granularity;
}

export interface ThroughputReader {
  /** By day, shop, destination and hour. */
  items(
    filter: ThroughputFilter & { shop?: string; destination?: string },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: ThroughputItem[]; nextCursor: string | null }>;
  /** By start; within it all kinds first, then kind by kind. `limit` counts hours or days. */
  fleet(
    filter: ThroughputFilter & { world: World },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: FleetItem[]; nextCursor: string | null }>;
}

// --- objectives --------------------------------------------------------------------------------------------------

/** A pair of windows in which burning budget is told. */
export interface BurnWindow {
  longMinutes: number;
  shortMinutes: number;
  /** Of the whole budget, what is gone after the longer window at this pace. */
  budgetShare: number;
  class: 'page' | 'ticket';
  severity: 1 | 2 | 3 | 4;
}

/** What is promised: of the orders of the last `windowDays`, `objective` have arrived in time. */
export interface Slo {
  name: string;
  /** Share, above 0 and below 1. */
  objective: number;
  windowDays: number;
  arrivedWithinMinutes: number;
  windows: readonly BurnWindow[];
}

export interface BurnView extends BurnWindow {
  /** Both burns at or above it are told. */
  limit: number;
  /** How many times faster than the budget allows; `null` = there was no order. */
  longBurn: number | null;
  shortBurn: number | null;
  longBad: number;
  longTotal: number;
  shortBad: number;
  burning: boolean;
}

/** An objective, over the whole fleet of one world. An order counts once for each destination that is owed it. */
export interface SloView extends Omit<Slo, 'windows'> {
  world: World;
  /**
   * `spent`: more orders were bad than the budget has. `unknown`: nobody has measured for five minutes, or there was no
   * order: no data is not good data.
   */
  state: 'ok' | 'burning' | 'spent' | 'unknown';
  /** As known minute by minute; an order that is found missing counts as bad until it is recovered. */
  provisional: {
    /** Since when it has been measured, within the objective's time; `null` = not at all. */
    from: Date | null;
    until: Date | null;
    total: number;
    bad: number;
    /** Share of good orders; `null` = there was none. */
    achieved: number | null;
    /** In orders. */
    budget: { orders: number; spent: number; left: number };
  };
  /** From the hourly roll-ups that have settled, by when orders were sold; `null` where roll-ups do not know this limit. */
  settled: {
    /** The first and the last day of which anything has settled; `null` = none. */
    from: Date | null;
    until: Date | null;
    owed: number;
    good: number;
    achieved: number | null;
    /** Logged in hours of which nobody knows what was sold. */
    unproved: number;
  } | null;
  windows: readonly BurnView[];
  /** The bad orders of the objective's time, by the stage that they did not reach. */
  lost: { stage: Stage; orders: number }[];
  /** By the count rule: shops with orders that are missing and not recovered, whatever the shares say. Open `order-missing`. */
  unrecovered: { shop: string; destination: string; orders: number; signal: string }[];
}

export interface SloReader {
  /** By world and in the order of the configuration; worlds without a shop are absent. */
  slos(filter: { world?: World }): Promise<SloView[]>;
}

// --- heartbeats --------------------------------------------------------------------------------------------------

export interface Heartbeat {
  /** Of the duty. */
  name: string;
  beatAt: Date;
}

/** Whether what judges is at work. What a duty has found is as old as its heartbeat. */
export interface HeartbeatReader {
  heartbeats(): Promise<Heartbeat[]>;
}

// --- processes ---------------------------------------------------------------------------------------------------

/** A process of the service, by its own word of some seconds ago. */
export interface ProcessView {
  id: string;
  /** For people. */
  name: string;
  roles: readonly string[];
  startedAt: Date;
  /** Its last word; one that stopped gracefully has taken its row away. */
  beatAt: Date;
  /** Whether it has said nothing for a minute. */
  silent: boolean;
  eventLoopDelayP99Ms: number;
  heapUsedBytes: number;
  heapLimitBytes: number;
  residentBytes: number;
  /** Loops of it that hang. */
  stuck: readonly string[];
}

export interface ProcessReader {
  /** Of the last hour, the longest running first. */
  processes(): Promise<ProcessView[]>;
}

// --- silence -----------------------------------------------------------------------------------------------------

/** How a shop sells against how it usually sells. */
export interface SilenceView {
  /** Domain. */
  shop: string;
  /** `learning`: less than a week is known of it. `quiet`: it has never sold, or so rarely that silence says nothing. */
  state: 'selling' | 'silent' | 'quiet' | 'learning';
  lastOrderAt: Date | null;
  /** Found silent at; `null` = it is not. */
  silentSince: Date | null;
  /** Orders of the last 24 whole hours: as usual, and seen. `null` = not enough is known to expect anything. */
  expected: number | null;
  seen: number;
  /** Orders that would usually have come since the last one. */
  expectedSinceLast: number | null;
  /** How likely no order since the last one is by chance; below `limit` it is silence. */
  probability: number | null;
  limit: number | null;
  /** What this is learnt from. */
  weeksKnown: number;
  ordersPerWeek: number | null;
}

export interface SilenceReader {
  silence(
    filter: { shop?: string },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: SilenceView[]; nextCursor: string | null }>;
}

// --- notices -----------------------------------------------------------------------------------------------------

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

// --- subscriptions -----------------------------------------------------------------------------------------------

/**
 * Where a topic of a shop stands. The first six are told by a look at Shopify; the others say why there is none.
 *
 * - `ok`: there, as wanted
 * - `missing`: never here since the shop was connected; it is made without an alarm
 * - `removed`: it was here and is gone
 * - `recreated`: there again, while reconciliation is still to prove that nothing was lost meanwhile
 * - `wrong`: there, but its findings say what is not as wanted
 * - `unwanted`: sends here, and nobody asked for it
 * - `pending`: not looked at yet
 * - `unknown`: Shopify does not let us look; the reason says why
 * - `app-owned`: from the app's TOML, which cannot be listed: watched by silence and reconciliation
 * - `no-address`: nobody has said where Shopify should call
 * - `no-destination`: nothing is owed to anybody, so nothing is watched
 * - `uninstalled`: the merchant has removed the app, and with it its subscriptions
 */
export const SUBSCRIPTION_STATES = [
  'ok',
  'missing',
  'removed',
  'recreated',
  'wrong',
  'unwanted',
  'pending',
  'unknown',
  'app-owned',
  'no-address',
  'no-destination',
  'uninstalled',
] as const;
export type SubscriptionState = (typeof SUBSCRIPTION_STATES)[number];

export const SUBSCRIPTION_FINDINGS = [
  'missing',
  'removed',
  'wrong-address',
  'wrong-format',
  'wrong-version',
  'duplicate',
  /** Its filter swallows events. */
  'filter',
  /** Its includeFields leave out updated_at, so changes are taken for repeats and dropped. */
  'fields',
  'unwanted',
] as const;

export interface SubscriptionFinding {
  kind: (typeof SUBSCRIPTION_FINDINGS)[number];
  /** For people. */
  detail: string;
}

/** One topic of one shop. */
export interface SubscriptionView {
  shop: string;
  topic: string;
  wanted: boolean;
  state: SubscriptionState;
  /** Of the state. */
  since: Date | null;
  /** Why nothing can be said, or what Shopify said to the last try to mend it. */
  reason: string | null;
  findings: readonly SubscriptionFinding[];
  /** Where it should send; `null` = not known, or not wanted. */
  wantedUri: string | null;
  /** Where it sends; `null` = there is none, or it cannot be listed. */
  uri: string | null;
  lastSeenAt: Date | null;
  goneSince: Date | null;
  recreatedAt: Date | null;
  recreatedBy: string | null;
  /** The run that is to prove the gap. */
  reconciliation: string | null;
  /** The last good look at the shop. */
  lastAuditedAt: Date | null;
  /** The last look, good or not. */
  lastTriedAt: Date | null;
}

/** The subscription watch as people use it. Any process can answer; the one that leads does the work. */
export interface SubscriptionDesk {
  /** By shop and topic. */
  subscriptions(
    filter: { shop?: string },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: SubscriptionView[]; nextCursor: string | null }>;
  /**
   * Has shops looked at now instead of at their turn.
   *
   * @param shop all of them when left out
   * @returns `null` = there is no such shop
   */
  requestAudit(shop: string | undefined, why: string): Promise<{ shops: string[]; requestedAt: Date } | null>;
}
