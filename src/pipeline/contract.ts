/**
 * The words of the pipeline: what later areas may know of it. Types, codes and the names of facts; no behaviour.
 */

/** What happened to a subject, as destinations know it (docs/destinations/). The code is what is stored; it never changes. */
export const KIND_CODES = {
  purchase: 1,
  'order-updated': 2,
  'order-cancelled': 3,
  refund: 4,
  'checkout-started': 5,
  'customer-created': 6,
} as const;
export type Kind = keyof typeof KIND_CODES;

/**
 * Where an obligation stands: the ledger holds exactly one of these for each (shop, subject, kind, destination).
 *
 * - `expected`: the fact is known but not due yet (an order that is not paid)
 * - `queued`: waiting for, or under, delivery; a disabled destination parks here with its reason
 * - `accepted`: the destination answered 2xx, which proves nothing yet
 * - `confirmed`: read back at the destination
 * - `ignored`: left out, with the reason counted
 * - `failed`: buried as a dead letter, with the reason
 * - `missing`: reconciliation found that it did not arrive
 * - `unconfirmable`: nobody can tell whether it arrived
 */
export const STATE_CODES = {
  expected: 1,
  queued: 2,
  accepted: 3,
  confirmed: 4,
  ignored: 5,
  failed: 6,
  missing: 7,
  unconfirmable: 8,
} as const;
export type State = keyof typeof STATE_CODES;

function nameByCode<Name extends string>(codes: Record<Name, number>): (code: number) => Name {
  const names = new Map<number, Name>();
  for (const name in codes) names.set(codes[name], name);
  return (code) => {
    const name = names.get(code);
    if (name === undefined) throw new RangeError(`no name for stored code ${code}`);
    return name;
  };
}
export const kindOf = nameByCode<Kind>(KIND_CODES);
export const stateOf = nameByCode<State>(STATE_CODES);

export type DestinationKind = 'ga4' | 'segment' | 'postgres' | 'webhook';

/** Real shops and the sandbox's never share a destination; the database refuses it too. */
export type World = 'real' | 'sandbox';

export interface Shop {
  /** bigint as a decimal string */
  id: string;
  /** `acme.myshopify.com`, lower case */
  domain: string;
  key: string;
  world: World;
  /** Base URL of the Admin API, without `/admin/api/…`; `null` = `https://<domain>` */
  adminUrl: string | null;
  accessToken: string | null;
  settings: ShopSettings;
  destinationIds: readonly number[];
  /** The same destinations, each with since when the shop's events go there: what was sold before is not owed to it. */
  links: readonly Link[];
  /** `shop`: made through the Admin API, Shopify may remove them. `app`: from the app's TOML, and not to be listed. */
  subscriptions: 'shop' | 'app';
  /** When it was last connected here: given a token for the first time, or again after an uninstallation. */
  connectedAt: Date;
  /** `null` = installed. */
  uninstalledAt: Date | null;
}

/** @see Shop.links */
export interface Link {
  destinationId: number;
  /** `null` = since the shop was connected, and so all of it. */
  linkedAt: Date | null;
}

export interface ShopSettings {
  /** IANA zone and ISO 4217 code as the shop has them; used where a payload leaves them out. */
  timeZone?: string;
  currency?: string;
  /** Note attributes in which this storefront keeps GA's client id and session id; tried before the usual names. */
  clientIdAttributes?: readonly string[];
  sessionIdAttributes?: readonly string[];
}

export interface Destination {
  id: number;
  name: string;
  kind: DestinationKind;
  world: World;
  enabled: boolean;
  settings: DestinationSettings;
  /** When it was last enabled, disabled or given other settings. */
  changedAt?: Date;
}

/** What every kind understands; each kind's own keys are parsed by its adapter from `own`. */
export interface DestinationSettings {
  /** When an order counts as a purchase. Default `paid`; a free order counts when it is created. */
  purchaseOn: 'created' | 'paid';
  /** Money in the shop's currency or in what the buyer saw. Default `shop`. */
  money: 'shop' | 'presentment';
  /** Send orders that Shopify marks `test: true`. Default false: they are ignored and counted. */
  testOrders: boolean;
  /** Order sources (`source_name`: web, pos, …) that are left out and counted. */
  excludeChannels: readonly string[];
  /** When set, only orders whose note attribute of this name is yes/true/granted/1 are sent. */
  consentAttribute: string | null;
  /** Kind-specific settings and secrets, unparsed. Never logged. */
  own: Readonly<Record<string, unknown>>;
}

/** Where a webhook's bytes lie in the inbox. */
export interface PayloadPointer {
  /** `YYYY-MM-DD`, the segment's partition */
  segmentDay: string;
  streamId: number;
  /** bigint as a decimal string */
  segmentSeq: string;
  entry: number;
}

/** How a webhook reached the inbox. */
export type Source = 'http' | 'fetch' | 'replay' | 'reconciliation';

/** One webhook as the inbox keeps it: the exact bytes and what was said around them. */
export interface InboxEntry {
  source: Source;
  world: World;
  webhookId: string;
  topic: string;
  shopDomain: string;
  /** The opaque key of the callback URL, when it had one. */
  key?: string;
  apiVersion?: string;
  eventId?: string;
  triggeredAt?: string;
  /** The signature as sent, so that the bytes can be verified again later. */
  hmac?: string;
  /** For a replay: only this destination is meant. */
  destinationId?: number;
  receivedAtMs: number;
  body: Buffer;
}

/** The key of one obligation without its destination. */
export interface Subject {
  shopId: string;
  /** Shopify's decimal id, or a checkout's token. Lossless. */
  subjectId: string;
  kind: Kind;
}

// --- events ------------------------------------------------------------------------------------------------------

export interface Money {
  /** Decimal string as Shopify sent it, e.g. `"414.95"`. */
  amount: string;
  /** ISO 4217 */
  currency: string;
}

/** Money once and the same everywhere: both views of one amount; the destination's setting picks. */
export interface MoneyPair {
  shop: Money;
  presentment: Money;
}

export interface EventLine {
  lineId: string | null;
  productId: string | null;
  variantId: string | null;
  sku: string | null;
  title: string;
  variantTitle: string | null;
  vendor: string | null;
  productType: string | null;
  quantity: number;
  /** Unit price before discount. */
  price: MoneyPair;
  /** Discount on the whole line. */
  discount: MoneyPair;
}

/**
 * A Shopify webhook read once, the same for every destination. Pure of its bytes: reading it again gives the same.
 */
export interface PipelineEvent {
  kind: Kind;
  topic: string;
  subjectId: string;
  /** The order a refund belongs to; for order kinds the order itself; else the subject. */
  orderId: string;
  /** `#1001`, for shops whose GA4 transaction id is the name. */
  orderName: string | null;
  /**
   * Grows with newer truth: microseconds of `updated_at` for `order-updated`, 0 for kinds that happen once.
   * Decimal string (it passes 2^53).
   */
  version: string;
  /** UTC date of the subject's `created_at` (`1970-01-01` when it has none): the ledger's partition. */
  ledgerDay: string;
  /** When it happened for the business (RFC 3339 UTC). */
  occurredAt: string;
  /** The subject's `created_at` in Shopify (RFC 3339 UTC); `null` where it has none. */
  createdAt: string | null;
  /**
   * Since when Shopify has known of it: when the webhook was triggered. Where no webhook told of it and the body was
   * fetched, when the subject was last changed: that never makes it later than it was. RFC 3339 UTC.
   */
  dueAt: string;
  /** orders/create of an unpaid order is a purchase that is not due yet. */
  payment: 'paid' | 'unpaid' | 'free' | 'none';
  cancelled: boolean;
  test: boolean;
  channel: string | null;
  total: MoneyPair | null;
  subtotal: MoneyPair | null;
  shipping: MoneyPair | null;
  tax: MoneyPair | null;
  discount: MoneyPair | null;
  coupons: readonly string[];
  lines: readonly EventLine[];
  customer: EventCustomer | null;
  /** GA4's ids as the storefront stored them, else a stable synthetic id (`synthetic: true`). */
  browser: { clientId: string; sessionId: string | null; synthetic: boolean };
  campaign: Readonly<Record<string, string>>;
  landingSite: string | null;
  attributes: Readonly<Record<string, string>>;
  checkoutToken: string | null;
  isFullRefund: boolean;
  /** The order lists refunds of its own, which refunds/create reports too. */
  hasRefunds: boolean;
  /** The body itself, for row and event destinations. */
  body: EventBody;
}

/** What an event carries of the body it was read from. */
export interface EventBody {
  /** JSON text as it came, but for integers beyond 15 digits, which are strings. */
  text(): string;
  /**
   * Says that the event will be kept. Until then the body may be a part of something a hundred times as large, which
   * it keeps in memory with it; from then on it is a copy of its own.
   */
  keep(): void;
}

export interface EventCustomer {
  id: string | null;
  email: string | null;
  phone: string | null;
  firstName: string | null;
  lastName: string | null;
  /** `null` = the payload does not tell. */
  returning: boolean | null;
}

/** What reading a webhook's bytes comes to. */
export type Reading =
  | { outcome: 'event'; events: readonly PipelineEvent[] }
  /** A body that holds an id and nothing else: it means "fetch it". */
  | { outcome: 'fetch'; id: string }
  /** A topic that has no effect at any destination by design (products/update …). Counted. */
  | { outcome: 'no-effect'; reason: string }
  | { outcome: 'unknown-topic' }
  /** What cannot be read; becomes a dead letter with this reason and the payload. `id`: what it is about, if it says so. */
  | { outcome: 'unmappable'; reason: string; detail: string; id: string | null };

// --- registry ----------------------------------------------------------------------------------------------------

/** Who declared it: what the configuration file declares is read-only over the API. */
export type Origin = 'file' | 'api';

/** A shop as people see it: secrets appear only as whether they are set. */
export interface ShopView {
  domain: string;
  world: World;
  origin: Origin;
  /** The opaque part of the shop's own callback URL. */
  key: string;
  adminUrl: string | null;
  accessTokenSet: boolean;
  subscriptions: 'shop' | 'app';
  settings: ShopSettings;
  /** Names. */
  destinations: readonly string[];
  uninstalledAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
}

/** A destination as people see it: secrets appear only as whether they are set. */
export interface DestinationView {
  name: string;
  kind: DestinationKind;
  world: World;
  origin: Origin;
  enabled: boolean;
  disabledReason: string | null;
  /** Common settings and the kind's own that are no secret. */
  settings: Readonly<Record<string, unknown>>;
  /** The kind's secret keys, and whether each is set. */
  secretsSet: Readonly<Record<string, boolean>>;
  /** Domains. */
  shops: readonly string[];
  createdAt: Date;
  updatedAt: Date;
}

export interface SettingFault {
  key: string;
  message: string;
}

/** What a write to the registry comes to. */
export type Written<View> =
  | { ok: true; value: View }
  /** `read-only`: the configuration file declares it, so it is changed there. */
  | { ok: false; refusal: 'not-found' | 'exists' | 'read-only' | 'invalid'; faults: readonly SettingFault[] };

/** The people's side of the registry. Inputs have the keys of the configuration file and are validated alike. */
export interface RegistryDesk {
  shops(): Promise<ShopView[]>;
  createShop(input: Readonly<Record<string, unknown>>, actor: string): Promise<Written<ShopView>>;
  updateShop(domain: string, input: Readonly<Record<string, unknown>>, actor: string): Promise<Written<ShopView>>;
  /** Marks it; nothing is deleted, because the ledger refers to it. */
  uninstallShop(domain: string, actor: string): Promise<Written<ShopView>>;
  destinations(): Promise<DestinationView[]>;
  createDestination(input: Readonly<Record<string, unknown>>, actor: string): Promise<Written<DestinationView>>;
  updateDestination(
    name: string,
    input: Readonly<Record<string, unknown>>,
    actor: string,
  ): Promise<Written<DestinationView>>;
  /** A disabled destination parks its events. Allowed for what the file declares: trouble does not wait for a deploy. */
  setDestinationEnabled(name: string, enabled: boolean, actor: string): Promise<Written<DestinationView>>;
}

// --- reading -----------------------------------------------------------------------------------------------------

/** One fact of an obligation's history. */
export interface FactView {
  at: Date;
  state: State;
  version: string;
  reason: string | null;
  detail: string | null;
  attempt: number | null;
  durationMs: number | null;
  webhookId: string | null;
}

/** Where one event of an order stands at one destination, and how it came there. */
export interface ObligationView {
  kind: Kind;
  subjectId: string;
  destination: string;
  destinationKind: DestinationKind;
  state: State;
  reason: string | null;
  version: string;
  attempts: number;
  occurredAt: Date;
  loggedAt: Date;
  queuedAt: Date | null;
  acceptedAt: Date | null;
  confirmedAt: Date | null;
  /** When it is tried next; `null` when nothing is waiting. */
  nextTryAt: Date | null;
  /** Oldest first. */
  facts: readonly FactView[];
}

/** A webhook that told of an order. */
export interface WebhookView {
  webhookId: string;
  topic: string;
  receivedAt: Date;
  outcome: string;
  reason: string | null;
  repeats: number;
}

export interface OrderView {
  shop: string;
  orderId: string;
  obligations: readonly ObligationView[];
  webhooks: readonly WebhookView[];
  deadLetters: readonly DeadLetterView[];
}

export interface DeadLetterView {
  /** bigint as a decimal string */
  id: string;
  shop: string;
  /** `null` = the webhook could not be mapped for anybody. */
  destination: string | null;
  kind: Kind | null;
  subjectId: string | null;
  orderId: string | null;
  topic: string;
  webhookId: string;
  lane: 'ours' | 'theirs';
  reason: string;
  detail: string | null;
  attempts: number;
  receivedAt: Date;
  buriedAt: Date;
  replayedAt: Date | null;
}

export interface DeadLetterFilter {
  shop?: string;
  destination?: string;
  lane?: 'ours' | 'theirs';
  reason?: string;
  /** Buried at or after. */
  from?: Date;
  /** Buried before. */
  to?: Date;
  /** Default `open`. */
  state?: 'open' | 'replayed' | 'all';
}

export interface HeldView {
  id: string;
  shop: string;
  topic: string;
  webhookId: string;
  reason: string;
  detail: string | null;
  receivedAt: Date;
  heldAt: Date;
  nextTryAt: Date | null;
  tries: number;
  repeats: number;
}

/** What became of webhooks: planned, duplicate, no-effect, unknown-topic, held, dead. */
export interface WebhookOutcomeView {
  shop: string;
  /** False for a shop nobody has configured: its webhooks are held. */
  shopKnown: boolean;
  topic: string;
  outcome: string;
  reason: string | null;
  count: number;
  repeats: number;
  lastAt: Date;
}

/** What waits for one destination, a line a shop. */
export interface LaneView {
  destination: string;
  shop: string;
  state: 'closed' | 'open';
  since: Date | null;
  retryAt: Date | null;
  failures: number;
  lastError: string | null;
  backlog: number;
  /** When the longest waiting was queued. */
  oldestQueuedAt: Date | null;
}

/** Stored webhooks that were gone from the inbox before anybody read them: by hand, or by a damaged disk. */
export interface InboxGapView {
  streamId: number;
  /** bigint as a decimal string */
  firstSeq: string;
  lastSeq: string;
  /** Each held one webhook or more; how many, nobody knows. */
  segments: number;
  noticedAt: Date;
  /** They had been appended after this moment and before the other. */
  afterAt: Date;
  beforeAt: Date;
}

/** Newest first; `nextCursor` continues, `null` = the end. */
export interface Page<Item> {
  items: Item[];
  nextCursor: string | null;
}

export interface PageRequest {
  limit: number;
  cursor?: string;
}

/** Tries to deliver, by destination. */
export interface AttemptView {
  destination: string;
  attempts: number;
  /** Of these, not taken: to be tried again, or refused. */
  failures: number;
  /** Of these failures, the destination's own trouble: another try may do. */
  retryable: number;
  /** Of these failures, credentials that the destination does not take. */
  credentialsRejected: number;
}

/** Dead letters of one lane and destination that nobody has replayed. */
export interface DeadLetterCount {
  /** `null` = could not be mapped for anybody. */
  destination: string | null;
  lane: 'ours' | 'theirs';
  open: number;
  /** Of these, buried since the instant asked for. */
  fresh: number;
  oldestAt: Date;
}

/** Totals of the last hour and what stands open now. */
export interface PipelineTotals {
  webhooksStored: number;
  orders: { destinationKind: DestinationKind; accepted: number; confirmed: number }[];
  waiting: number;
  deadLetters: { ours: number; theirs: number };
  held: number;
}

/** What later areas may ask of the pipeline's tables. */
export interface PipelineReader {
  /** @returns `null` when nothing is known of it */
  order(shopDomain: string, orderId: string): Promise<OrderView | null>;
  deadLetters(filter: DeadLetterFilter, page: PageRequest): Promise<Page<DeadLetterView>>;
  deadLetter(id: string): Promise<DeadLetterView | null>;
  /** The webhook of a dead letter, opened. The caller writes the audit entry first. */
  deadLetterPayload(id: string): Promise<InboxEntry | null>;
  held(filter: { shop?: string; reason?: string }, page: PageRequest): Promise<Page<HeldView>>;
  webhookOutcomes(filter: { shop?: string; from: Date; to: Date }): Promise<WebhookOutcomeView[]>;
  lanes(destination?: string): Promise<LaneView[]>;
  /** What is gone from the inbox and was noticed since, by when it was noticed. At most 1,000. */
  inboxGaps(sinceAt: Date): Promise<InboxGapView[]>;
  /** Destinations without a try since then are absent. */
  attempts(sinceAt: Date): Promise<AttemptView[]>;
  deadLetterCounts(sinceAt: Date): Promise<DeadLetterCount[]>;
  totals(): Promise<PipelineTotals>;
}

export interface ReplayRequest {
  ids?: readonly string[];
  query?: DeadLetterFilter;
  dryRun: boolean;
  ratePerSecond?: number;
  actor: string;
}

export interface ReplayReport {
  matched: number;
  replayed: number;
  items: { id: string; shop: string; destination: string | null; reason: string }[];
}

/** Sends dead letters on their way again. */
export interface DeadLetterReplay {
  replay(request: ReplayRequest): Promise<ReplayReport>;
}

// --- what monitoring asks, and what it has written down ----------------------------------------------------------

/** The registry as later areas read it: one snapshot in memory, never older than a second. */
export interface RegistryReader {
  shops(): readonly Shop[];
  destinations(): readonly Destination[];
  shopById(id: string): Shop | undefined;
  destinationById(id: number): Destination | undefined;
}

/** What asking Shopify's Admin API came to. */
export type AdminAnswer =
  /** `extensions` holds `cost`, and `search` where a search was understood otherwise than meant. */
  | { outcome: 'data'; data: Record<string, unknown>; extensions: unknown }
  /** Out of points: ask again after this long. */
  | { outcome: 'throttled'; retryAfterMs: number }
  /** The token is refused, or the app lacks the scope: the merchant acts. */
  | { outcome: 'denied'; detail: string }
  /** 402, 5xx, no connection: later. */
  | { outcome: 'unavailable'; detail: string }
  /** The query is wrong: we act. */
  | { outcome: 'refused'; detail: string };

export interface ShopifyAdmin {
  /** One query or mutation. Never throws for what the world does; has its own deadline. */
  query(shop: Shop, query: string, variables: Record<string, unknown>, signal?: AbortSignal): Promise<AdminAnswer>;
}

/** A body that is pulled piece by piece, as large as it likes. Read it to its end or close it. */
export interface ResultBody {
  next(): Promise<
    { kind: 'chunk'; bytes: Buffer } | { kind: 'end' } | { /** Cut or stalled. */ kind: 'cut'; detail: string }
  >;
  close(): void;
}

export type OpenedFile =
  | { outcome: 'open'; body: ResultBody }
  /** Not there any more: the address has expired. */
  | { outcome: 'gone'; detail: string }
  /** No connection, 5xx: later. */
  | { outcome: 'later'; detail: string }
  /** The address may not be called: we act. */
  | { outcome: 'refused'; detail: string };

/** Files that Shopify lays down outside the shop: results of bulk operations. */
export interface ShopifyFiles {
  /**
   * Never throws for what the world does; no token is sent there.
   *
   * @param fromByte of the uncompressed file: what the body begins with
   */
  open(shop: Shop, url: string, fromByte: number, signal?: AbortSignal): Promise<OpenedFile>;
}

/** Kinds that Shopify's own records prove: an order was sold, cancelled, refunded. */
export type ListedKind = 'purchase' | 'order-cancelled' | 'refund';

/** A business fact that Shopify lists, which each of the shop's destinations is owed unless it is left out. */
export interface ListedFact {
  shopId: string;
  /** The order's id; a refund's own for `refund`. */
  subjectId: string;
  orderId: string;
  kind: ListedKind;
  /** UTC date of the subject's created_at (`YYYY-MM-DD`): the ledger's partition. */
  ledgerDay: string;
}

export interface ObligationKey {
  shopId: string;
  subjectId: string;
  kind: Kind;
  destinationId: number;
  ledgerDay: string;
}

/** Where one obligation stands, as a comparison needs it. */
export interface Standing extends ObligationKey {
  orderId: string;
  state: State;
  reason: string | null;
  version: string;
  attempts: number;
  occurredAt: Date;
  /** Since when it has been due, as Shopify says; `null` = not due yet. */
  dueAt: Date | null;
  loggedAt: Date;
  queuedAt: Date | null;
  acceptedAt: Date | null;
  confirmedAt: Date | null;
  updatedAt: Date;
  /** Whether a delivery waits. `queued` without one means that the delivery's row is gone. */
  inQueue: boolean;
}

/** A fact at one of the destinations that are owed it, when the ledger has no row for it (`standing: null`) or one not at rest. */
export interface Exception {
  fact: ListedFact;
  destinationId: number;
  standing: Standing | null;
}

export interface StandingCount {
  shopId: string;
  destinationId: number;
  kind: Kind;
  /** `null` = the ledger has no row. */
  state: State | null;
  count: number;
}

/** A webhook that told of a subject and came to no obligation. */
export interface Trace {
  shopId: string;
  subjectId: string;
  /** `webhook` = stored and routed; `held` and `dead-letter` say where it waits. */
  place: 'webhook' | 'held' | 'dead-letter';
  reason: string | null;
  at: Date;
}

/** An hour of a shop, by when orders were sold. `hourAt` is its beginning (UTC). */
export interface ShopHour {
  shopId: string;
  hourAt: Date;
}

/**
 * Purchases of one hour at one destination, counted from the ledger. Each order counts once in each column:
 * processed = ignored + accepted + failed + missing + waiting.
 */
export interface HourCount extends ShopHour {
  destinationId: number;
  /** Everything in the ledger. */
  logged: number;
  /** Everything but `expected`. */
  processed: number;
  /** Taken by the destination and not known to be gone: `accepted` and `confirmed`. */
  accepted: number;
  confirmed: number;
  ignored: number;
  /** Buried: `failed` and `unconfirmable`. */
  failed: number;
  missing: number;
  /** Accepted, or still waiting, more than `lateAfterMs` after it became due. */
  late: number;
  /** The latest acceptance among those not confirmed; `null` = none waits for its read-back. */
  unconfirmedAcceptedAt: Date | null;
}

export interface SeenHour extends ShopHour {
  /**
   * Orders of which Shopify's first webhook came in that hour (by arrival, not by sale). What reconciliation brought
   * back is not seen: it says nothing about whether Shopify still sends.
   */
  orders: number;
  lastAt: Date;
}

/** The ledger as monitoring reads it. Every statement is short and touches the partitions it names. */
export interface LedgerReader {
  /**
   * Compares what Shopify lists with the ledger, set by set: 417,000 facts cost less than half a second of the database.
   *
   * @param owed for each shop, the destinations that are owed each kind
   * @returns counts of all, and each one that is absent, `expected`, `queued`, `failed`, `missing` or `unconfirmable`
   */
  compare(
    facts: readonly ListedFact[],
    owed: readonly { shopId: string; destinationId: number; kind: ListedKind }[],
  ): Promise<{ counts: StandingCount[]; exceptions: Exception[] }>;
  /** Every standing of these, at every destination. At most 1,000 a call. */
  standings(subjects: readonly Omit<ObligationKey, 'destinationId'>[]): Promise<Standing[]>;
  /** Accepted or confirmed obligations that were accepted in `[fromAt, toAt)` at one destination, by acceptance. At most `limit`. */
  acceptedBetween(
    destinationId: number,
    fromAt: Date,
    toAt: Date,
    options: { shopId?: string; states: readonly State[]; kinds: readonly Kind[]; limit: number; after?: string },
  ): Promise<{ items: Standing[]; next: string | null }>;
  /** What is known of subjects beside the ledger. */
  traces(facts: readonly ListedFact[]): Promise<Trace[]>;
  /** Hours of which a ledger row has changed in `[sinceAt, untilAt)`. */
  touchedHours(sinceAt: Date, untilAt: Date): Promise<ShopHour[]>;
  hourCounts(hours: readonly ShopHour[], options: { lateAfterMs: number; nowAt: Date }): Promise<HourCount[]>;
  /** Of the arrivals in `[fromAt, toAt)`, which need not be whole hours. */
  ordersSeen(fromAt: Date, toAt: Date): Promise<SeenHour[]>;
  /** Webhooks of one topic since; for `app/uninstalled`. `null` = none. */
  lastWebhookAt(shopId: string, topic: string): Promise<Date | null>;
}

/**
 * What monitoring's judgement changes in the ledger. Each is one statement with its facts (invariants 4 and 11).
 * `updatedAt` is the standing's that was judged: where the row has changed since, nothing happens. Without it the row is
 * taken as it stands.
 */
export interface LedgerVerdicts {
  /** Read back at the destination: `accepted` or `missing` → `confirmed`. @returns how many changed */
  confirm(items: readonly (ObligationKey & { detail: string; updatedAt?: Date })[]): Promise<number>;
  /** Did not arrive: `accepted`, `confirmed`, or `queued` without a delivery → `missing`. @returns how many changed */
  markMissing(
    items: readonly (ObligationKey & { reason: string; detail: string | null; updatedAt?: Date })[],
  ): Promise<number>;
  /**
   * `missing` → `queued`, with a delivery of the payload it was planned from, under the same event id. What has been
   * erased meanwhile ends as a dead letter with the reason `payload-expired`. At most 1,000 a call. @returns how many changed
   */
  restart(items: readonly ObligationKey[]): Promise<number>;
}

/** What Shopify has of an order now, in the shape of webhooks. */
export interface FetchedOrder {
  orderId: string;
  /**
   * `orders/paid` where it is paid or free, else `orders/create`; `orders/updated`; then `orders/cancelled` and
   * `refunds/create` where there are any. The order's body is the same in each, its refunds included.
   */
  webhooks: readonly { topic: string; subjectId: string; body: Buffer }[];
}

export type FetchedOrders =
  /** Orders that Shopify does not have (any more) are absent. */
  | { outcome: 'fetched'; orders: readonly FetchedOrder[] }
  | { outcome: 'later'; detail: string; retryAfterMs: number | null };

export interface Requeue {
  /** @param orderIds at most 50 a call */
  fetchOrders(shop: Shop, orderIds: readonly string[], signal?: AbortSignal): Promise<FetchedOrders>;
  /**
   * Puts webhooks into the inbox as reconciliation's; resolves when they are durable. An obligation that failed or is
   * missing starts again under the same event id; what has arrived stays arrived.
   *
   * @param items `key` names the attempt: the same key twice has one effect. `destinationId`: only that one is meant
   */
  requeue(
    shop: Shop,
    items: readonly { topic: string; body: Buffer; key: string; destinationId?: number }[],
  ): Promise<void>;
}

/** How a destination can say what it has received. */
export interface ReadBackAbility {
  /** `ids`: which; `counts`: how many; `none`: nobody can tell, so it is unconfirmable. */
  means: 'ids' | 'counts' | 'none';
  kinds: ReadonlySet<Kind>;
  /** How long after acceptance an absence is final; before that it is provisional. */
  settlingMs: number;
  /** Why it cannot, for people; `null` where it can. */
  why: string | null;
}

/** One obligation as reading back asks for it. */
export interface ReadBackItem {
  subjectId: string;
  orderId: string;
  version: string;
  occurredAt: Date;
  acceptedAt: Date;
}

/** Not now: quota, no connection, a refused credential, an answer that cannot be read. Nothing is lost by that. */
export interface ReadBackLater {
  outcome: 'later';
  detail: string;
  /** `null` = the far side did not say. */
  retryAfterMs: number | null;
}

export type ReadBackPresent =
  | { outcome: 'read'; present: ReadonlySet<string> }
  /** `present`: found all the same, where the far side withheld a part. Of all others nothing can be said. */
  | (ReadBackLater & { present?: ReadonlySet<string> });

export type ReadBackCount =
  /** `points`: the same by the far side's smallest intervals, in order, which together are the time asked for. */
  | { outcome: 'read'; received: number; points: readonly { fromMs: number; toMs: number; received: number }[] }
  /** The far side tells nothing of that time, and asking again will not help. */
  | { outcome: 'never'; detail: string }
  | ReadBackLater;

/** Reading back from destinations. */
export interface ReadBack {
  ability(destination: Destination): ReadBackAbility;
  /** Of these, the subjects whose event the destination has. `subjectId`s. At most 1,000 a call. */
  present(
    destination: Destination,
    shop: Shop,
    kind: Kind,
    items: readonly ReadBackItem[],
    signal?: AbortSignal,
  ): Promise<ReadBackPresent>;
  /**
   * How many events of a kind the destination took in `[fromAt, toAt)` by its own clock, of all shops, and of whoever
   * else sends to it. Whole minutes in the last two days; before that whole hours, back to 30 days.
   */
  count(destination: Destination, kind: Kind, fromAt: Date, toAt: Date, signal?: AbortSignal): Promise<ReadBackCount>;
}

/** Our own answers to Shopify, per shop and topic: how near a subscription is to its removal. */
export interface IntakeTally {
  shopDomain: string;
  topic: string;
  /** Answers other than 2xx, and requests that got none in time, since the last 2xx. */
  failuresInRow: number;
  lastFailureAt: Date;
  lastStatus: number;
}

export interface IntakeTallies {
  /** Those with a failure since their last 2xx, over all intake processes. */
  failing(): Promise<IntakeTally[]>;
}

/** What intake answered in one minute, over all its processes. Minutes without an answer are absent. */
export interface IntakeMinute {
  minuteAt: Date;
  answers: number;
  /** Not signed by a secret of ours. */
  unsigned: number;
  /** 5xx. */
  failed: number;
  /** 2xx, 5xx and senders that left first, by how long they took; places as `tookBoundsMs`, one more behind the last. */
  took: readonly number[];
}

export interface IntakeMinutes {
  /** Upper bounds, milliseconds, ascending. */
  readonly tookBoundsMs: readonly number[];
  /** Oldest first; kept for a day. */
  minutes(sinceAt: Date): Promise<IntakeMinute[]>;
}

/** Purchases that one destination took in one minute. Minutes without any are absent. */
export interface ArrivalMinute {
  destinationId: number;
  minuteAt: Date;
  arrived: number;
  /** Of these, accepted longer after they were due than each threshold asked for. */
  beyond: readonly number[];
}

export interface LostCount {
  destinationId: number;
  /** One for each instant asked for, in its order. */
  counts: readonly number[];
}

/** Deliveries that are due and that nothing holds up: neither their lane's breaker nor a disabled destination. */
export interface QueueAge {
  destinationId: number;
  deliveries: number;
  /** Since when the oldest could have gone. */
  oldestAt: Date;
}

/** Stored webhooks that have not been routed. */
export interface InboxLag {
  entries: number;
  oldestAt: Date | null;
}

/** How orders flow, minute by minute. Every statement is short, and costs by its window and by what waits. */
export interface FlowReader {
  /** Accepted in `[fromAt, toAt)` and not known to be gone. @param withinMs ascending */
  arrivals(fromAt: Date, toAt: Date, withinMs: readonly number[]): Promise<ArrivalMinute[]>;
  /** Purchases buried at or after each instant, and not replayed. */
  lostSince(sinceAts: readonly Date[]): Promise<LostCount[]>;
  /** Purchases that have waited for delivery since before each instant. */
  waitingSince(sinceAts: readonly Date[]): Promise<LostCount[]>;
  queueAges(nowAt: Date): Promise<QueueAge[]>;
  inboxLag(): Promise<InboxLag>;
}
