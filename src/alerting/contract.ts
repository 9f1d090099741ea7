/**
 * The words of alerting: what later areas may know of it. Types and names; no behaviour.
 */
import type { World } from '../pipeline/contract.js';

/** `page`: wakes somebody. `ticket`: somebody's next working day. `log`: told nobody, kept to be found. */
export const ALERT_CLASSES = ['page', 'ticket', 'log'] as const;
export type AlertClass = (typeof ALERT_CLASSES)[number];

/** 1 is the worst. Computed from orders, stores and time, never debated. */
export const SEVERITIES = [1, 2, 3, 4] as const;
export type Severity = (typeof SEVERITIES)[number];

/** `pending`: its signal is open, and its `for` is not over: nobody is told. */
export const ALERT_STATES = ['pending', 'open', 'closed'] as const;
export type AlertState = (typeof ALERT_STATES)[number];

/** Which of the pager's services hears of a page. Each has a routing key of its own. */
export const ROUTES = ['removed', 'orders', 'routine'] as const;
export type Route = (typeof ROUTES)[number];

export interface Acknowledgement {
  by: string;
  at: Date;
  note: string | null;
  /** When it ends by itself, and whoever is on call is told again. */
  nextLookAt: Date;
}

export interface AlertView {
  /** bigint as a decimal string */
  id: string;
  /** Of the catalogue. */
  name: string;
  /** `domain:object:cause`. The pager's too. One alert that is not closed for each. */
  dedupeKey: string;
  world: World;
  class: AlertClass;
  severity: Severity;
  state: AlertState;
  route: Route;
  /** What a person reads first: one line, at most 1,024 characters. */
  summary: string;
  /** Plain values of the signals in it. No personal data. */
  facts: Readonly<Record<string, unknown>>;
  /** A path of the API. */
  evidence: string;
  /** The runbook's name. */
  runbook: string;
  /** Domain; `null` = not about one shop. */
  shop: string | null;
  /** Name; `null` = not about one destination. */
  destination: string | null;
  /** How many signals are folded into it and open, and in how many shops. */
  signals: number;
  shops: number;
  /** How often any of them was opened or updated. */
  count: number;
  firstSeenAt: Date;
  lastSeenAt: Date;
  openedAt: Date | null;
  closedAt: Date | null;
  acknowledged: Acknowledgement | null;
  /** The alert of many shops that this one is folded into; nobody is told of this one meanwhile. */
  foldedInto: string | null;
  /** The open alert that makes this one no news. */
  inhibitedBy: string | null;
  /** The silence that keeps it quiet. */
  silencedBy: string | null;
  /** Since when nobody has looked whether it is still so; `null` = it is looked at. */
  unwatchedSince: Date | null;
}

/** What happened to an alert, in order. Incidents follow these. */
export interface AlertChange {
  /** Grows in the order of commits; continue after the last one seen. */
  seq: string;
  at: Date;
  /**
   * `opened`: its `for` is over. `changed`: another severity, class, or count of shops. `folded` and `unfolded`: into an
   * alert of many shops, or out of one. `muted` and `unmuted`: inhibited or silenced, or not any more.
   */
  change:
    'opened' | 'changed' | 'acknowledged' | 'unacknowledged' | 'folded' | 'unfolded' | 'muted' | 'unmuted' | 'closed';
  /** Who; `null` = nobody: its signals, or its time. */
  actor: string | null;
  detail: string | null;
  /** As it was then. */
  alert: AlertView;
}

export interface AlertFilter {
  name?: string;
  shop?: string;
  class?: AlertClass;
  state?: AlertState | 'live' | 'all';
}

export interface AlertReader {
  /** Page before ticket before log, then the worst, then the newest. `live` = pending or open. */
  alerts(
    filter: AlertFilter,
    page: { limit: number; cursor?: string },
  ): Promise<{ items: AlertView[]; nextCursor: string | null }>;
  alert(id: string): Promise<AlertView | null>;
  /** Oldest first. */
  changes(afterSeq: string, limit: number): Promise<AlertChange[]>;
  /** What happened to one alert, oldest first. */
  history(id: string, limit: number): Promise<AlertChange[]>;
  /** The signals that are open in it; of an alert of many shops, in those that are folded into it. */
  signalsOf(id: string, limit: number): Promise<AlertSignal[]>;
}

/** A signal as an alert holds it. */
export interface AlertSignal {
  /** Of monitoring's signal. */
  id: string;
  shop: string | null;
  /** What the alert would have if it were this signal alone. */
  severity: Severity;
  facts: Readonly<Record<string, unknown>>;
}

export interface AlertDesk extends AlertReader {
  /** `null` = there is no such alert, or it is closed. */
  acknowledge(id: string, by: string, note: string | null, nextLookAt: Date): Promise<AlertView | null>;
  unacknowledge(id: string, by: string): Promise<AlertView | null>;
}

/** Which alerts a silence keeps quiet: all that is given must be the same. */
export interface SilenceMatch {
  name?: string;
  shop?: string;
  destination?: string;
}

export interface Silence {
  id: string;
  match: SilenceMatch;
  owner: string;
  reason: string;
  startsAt: Date;
  endsAt: Date;
  /** Ended by hand, before its end. */
  endedAt: Date | null;
  endedBy: string | null;
}

export interface SilenceDesk {
  silences(
    filter: { state?: 'active' | 'ended' | 'all' },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: Silence[]; nextCursor: string | null }>;
  /** @returns `refused` for what no silence may touch: removals, and orders that are missing and not recovered */
  silence(
    match: SilenceMatch,
    owner: string,
    reason: string,
    endsAt: Date,
  ): Promise<{ silence: Silence } | { refused: string }>;
  endSilence(id: string, by: string): Promise<Silence | null>;
}

// --- from outside ------------------------------------------------------------------------------------------------

/** An alert as an Alertmanager's webhook tells it, version 4. */
export interface OutsideAlert {
  status: 'firing' | 'resolved';
  /** 16 hexadecimal digits: its identity there. */
  fingerprint: string;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  startsAt: string;
  endsAt: string;
  generatorURL?: string | undefined;
}

export interface InboundAlerts {
  /** Resolves once it is durable. @param truncated how many the Alertmanager left out */
  take(
    alerts: readonly OutsideAlert[],
    truncated: number,
  ): Promise<{ firing: number; resolved: number; /** Passed over: we had sent them out ourselves. */ ours: number }>;
}

// --- what was said -----------------------------------------------------------------------------------------------

/** Why something is said. */
export const NOTIFICATION_REASONS = ['new', 'changed', 'repeated', 'acknowledged', 'resolved', 'heartbeat'] as const;
export type NotificationReason = (typeof NOTIFICATION_REASONS)[number];

/**
 * What every channel needs to say it. Kept with the notification, because it tells of a moment and the alert goes on
 * changing. No personal data, no secret.
 */
export interface NotificationBody {
  /** Of the catalogue. */
  name: string;
  class: AlertClass;
  facts: Readonly<Record<string, unknown>>;
  /** A path of the API. */
  evidence: string;
  /** The runbook's name. */
  runbook: string;
  shop: string | null;
  destination: string | null;
  signals: number;
  shops: number;
  /** Since when it is so, RFC 3339. */
  since: string;
}

export interface NotificationView {
  id: string;
  alertId: string | null;
  dedupeKey: string;
  channel: 'pagerduty' | 'second' | 'alertmanager';
  /** Who hears it: a route of the pager, an address, a host. */
  recipient: string;
  action: 'trigger' | 'acknowledge' | 'resolve';
  reason: NotificationReason;
  severity: Severity;
  summary: string;
  state: 'waiting' | 'taken' | 'confirmed' | 'refused' | 'overtaken';
  attempts: number;
  createdAt: Date;
  /** When the far side said that it has it. */
  takenAt: Date | null;
  /** When it was seen that somebody is paged. */
  confirmedAt: Date | null;
  lastError: string | null;
}

export interface NotificationReader {
  /** Newest first. */
  notifications(
    filter: { alert?: string; state?: NotificationView['state'] },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: NotificationView[]; nextCursor: string | null }>;
}

/** How one recipient of a channel is. */
export interface RecipientHealth {
  world: World;
  channel: NotificationView['channel'];
  recipient: string;
  state: 'ok' | 'failing' | 'unknown';
  /** When it last took something; `null` = never yet. */
  takenAt: Date | null;
  failingSince: Date | null;
  lastError: string | null;
  waiting: number;
  oldestWaitingAt: Date | null;
}

export interface NotifierReader {
  /** How people are told, for each world that has anybody to tell. */
  channels(): Promise<
    {
      world: World;
      /**
       * What counts as proof that somebody is paged. `taken`: nothing but the pager's 202, which it gives to what it has
       * not looked at yet; configure its webhooks or a token.
       */
      confirmation: 'webhooks' | 'look-ups' | 'webhooks and look-ups' | 'taken' | 'no pager';
      recipients: RecipientHealth[];
    }[]
  >;
}

/** What an inbound message is answered. */
export interface InboundAnswer {
  status: 200 | 401 | 503;
  detail: string;
}

/** Where the pager tells what people did. */
export interface InboundPager {
  /** @param given.body as it came, because it is what is signed */
  take(given: { signature: string; body: Buffer }): Promise<InboundAnswer>;
}

// --- incidents ---------------------------------------------------------------------------------------------------

export const INCIDENT_STATES = ['investigating', 'identified', 'monitoring', 'resolved'] as const;
export type IncidentState = (typeof INCIDENT_STATES)[number];

/** The public parts of the line. `delivery:<kind>` is one for each kind of destination. */
export type ComponentId = 'intake' | 'processing' | `delivery:${string}` | 'reconciliation' | 'status';

export interface IncidentView {
  /** 12 lower-case letters and digits: the public id too. */
  id: string;
  world: World;
  /** For the public: names no shop. */
  title: string;
  /** What it is put down to, for machines: `removal`, `destination:ga4`, `declared` … Not for the public. */
  cause: string;
  severity: Severity;
  /** Why it has this severity, in words. */
  severityReason: string;
  state: IncidentState;
  components: readonly ComponentId[];
  shops: readonly string[];
  /** Whether orders may be missing or late because of it: then only a proof ends it. */
  touchesOrders: boolean;
  /** Whether a customer could notice it: then the public is told. Never taken back. */
  public: boolean;
  /** Not where they belong, as of now; those that nobody can bring back are among them. */
  ordersLost: number;
  ordersUnrecoverable: number;
  ordersLate: number;
  ordersRecovered: number;
  /** Held for a destination that does not take them. */
  ordersQueued: number;
  /** Of its alerts, how many are open. */
  alertsOpen: number;
  /** When the trouble began, as far as is known. */
  startedAt: Date;
  declaredAt: Date;
  /** When the last of its alerts closed; `null` = it goes on. */
  mitigatedAt: Date | null;
  resolvedAt: Date | null;
  /** What still stands between it and `resolved`; empty = it may be resolved. */
  gate: readonly string[];
  /** The reconciliations that prove it. */
  proofs: readonly string[];
  /** When the public was promised to hear of it again; `null` = nothing was promised. */
  nextUpdateAt: Date | null;
}

/** An alert of an incident, as it was last. */
export interface IncidentAlert {
  id: string;
  name: string;
  dedupeKey: string;
  severity: Severity;
  summary: string;
  evidence: string;
  runbook: string;
  shop: string | null;
  destination: string | null;
  acknowledgedBy: string | null;
  joinedAt: Date;
  closedAt: Date | null;
}

/** One line of a timeline. Appended, never changed. */
export interface IncidentEntry {
  id: string;
  at: Date;
  kind:
    | 'declared'
    | 'alert-joined'
    | 'alert-changed'
    | 'alert-acknowledged'
    | 'alert-closed'
    | 'severity-raised'
    | 'state'
    | 'recovery'
    | 'proof'
    | 'note'
    | 'public-update'
    | 'resolved';
  /** Who; `null` = Plumbline itself. */
  actor: string | null;
  text: string;
  evidence: string | null;
}

/** What the public is told. */
export interface IncidentUpdate {
  id: string;
  at: Date;
  state: IncidentState;
  body: string;
  /** `null` = Plumbline wrote it. */
  actor: string | null;
  /** When the next one was promised. */
  nextUpdateAt: Date | null;
}

export interface IncidentReader {
  /** Newest first. */
  incidents(
    filter: { state?: IncidentState | 'open' | 'all'; world?: World },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: IncidentView[]; nextCursor: string | null }>;
  incident(id: string): Promise<IncidentView | null>;
  /** Oldest first. */
  timeline(id: string): Promise<IncidentEntry[]>;
  /** Newest first. */
  updates(id: string): Promise<IncidentUpdate[]>;
  /** Of several at once, by incident; each newest first. */
  updatesOf(ids: readonly string[]): Promise<ReadonlyMap<string, IncidentUpdate[]>>;
  /** Open ones first, then the newest; at most 200. */
  alertsOf(id: string): Promise<IncidentAlert[]>;
}

export interface IncidentDesk extends IncidentReader {
  /**
   * Of no shop although orders are touched: of every shop of its world.
   *
   * @returns `unknownShops` = nothing is declared, because these are not registered in that world
   */
  declare(given: {
    title: string;
    severity: Severity;
    components: readonly ComponentId[];
    shops: readonly string[];
    touchesOrders: boolean;
    world: World;
    actor: string;
  }): Promise<{ incident: IncidentView } | { unknownShops: readonly string[] }>;
  note(id: string, text: string, actor: string): Promise<IncidentView | null>;
  /** Told to the public. */
  update(
    id: string,
    state: IncidentState,
    body: string,
    actor: string,
  ): Promise<{ incident: IncidentView } | { refused: string } | null>;
  /** Only upwards. */
  raise(
    id: string,
    severity: Severity,
    reason: string,
    actor: string,
  ): Promise<{ incident: IncidentView } | { refused: string } | null>;
  /** @returns `refused` while the gate is closed, with what is missing */
  resolve(id: string, actor: string): Promise<{ incident: IncidentView } | { refused: string } | null>;
}
