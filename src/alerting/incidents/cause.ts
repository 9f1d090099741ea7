import type { World } from '../../pipeline/contract.js';
import type { AlertView, ComponentId } from '../contract.js';

/**
 * What an alert is put down to. A _root_ explains others; a _symptom_ is explained by a root when one is known.
 *
 * - `removal`: Shopify does not send any more, or is about to stop
 * - `destination`: a kind of destination does not take what it is sent
 * - `intake`, `processing`: our own line is slow or stands still
 * - `orders`: orders are missing or late, and nobody has said why
 * - `silence`: shops that should sell send nothing
 * - `proof`: nothing can be proved; nothing is known to be wrong
 * - `telling`: our own way to people is broken
 */
const FAMILIES = {
  removal: { isRoot: true, touchesOrders: true },
  destination: { isRoot: true, touchesOrders: true },
  intake: { isRoot: true, touchesOrders: true },
  processing: { isRoot: true, touchesOrders: true },
  orders: { isRoot: false, touchesOrders: true },
  silence: { isRoot: false, touchesOrders: true },
  proof: { isRoot: true, touchesOrders: false },
  telling: { isRoot: true, touchesOrders: false },
  /** An alert that nobody has put into a family: it stands for itself. */
  other: { isRoot: true, touchesOrders: false },
  /** By a person: whatever fits it is for people to say. */
  declared: { isRoot: true, touchesOrders: false },
} as const;
export type Family = keyof typeof FAMILIES;

/** By the alert's name in the catalogue. Each that pages has its place here, or is an incident by itself on purpose. */
export const FAMILY_OF: Readonly<Record<string, Family>> = {
  'subscription-removed': 'removal',
  'subscription-countdown': 'removal',
  'orders-missing': 'orders',
  'orders-late': 'orders',
  'throughput-burn-fast': 'orders',
  'throughput-burn-slow': 'orders',
  'store-silent': 'silence',
  'fleet-silent': 'silence',
  'destination-outage': 'destination',
  'destination-refusing': 'destination',
  'intake-failing': 'intake',
  'intake-slow': 'intake',
  // What we refuse because its signature is wrong comes again for four hours, and then not any more.
  'signature-failures': 'intake',
  'inbox-gap': 'intake',
  'inbox-old': 'processing',
  'queue-old': 'processing',
  'workers-missing': 'processing',
  'reconciliation-stale': 'proof',
  'watch-stalled': 'proof',
  'notifier-failing': 'telling',
  'status-page-stale': 'telling',
  // From outside: nobody here knows what it has in common with anything.
  'external-page': 'other',
};

/** Alerts of a wave come within this of each other; what comes later is another incident, unless a shop is in both. */
export const WAVE_MS = 60 * 60_000;
/** A new alert within this of mitigation says that it was none. */
export const REOPEN_MS = 60 * 60_000;
/** Shopify repeats a failed webhook for four hours: what is found missing may have been lost so long before. */
export const RETRIES_MS = 4 * 3_600_000;

/** An alert, as far as its place among incidents depends on it. */
export interface PlacedAlert {
  world: World;
  /** Of `causeOf`. */
  cause: string;
  /** Domains. An alert about no single shop is about all that it can concern. */
  shops: readonly string[];
  beganAt: Date;
  /** When it opened. */
  at: Date;
}

/** An incident that is not resolved. */
export interface OpenIncident {
  id: string;
  world: World;
  cause: string;
  shops: ReadonlySet<string>;
  startedAt: Date;
  joinedAt: Date;
  mitigatedAt: Date | null;
}

export function familyOf(cause: string): Family {
  const family = cause.split(':')[0] ?? '';
  return family in FAMILIES ? (family as Family) : 'other';
}

export function isRoot(cause: string): boolean {
  return FAMILIES[familyOf(cause)].isRoot;
}

export function touchesOrders(cause: string): boolean {
  return FAMILIES[familyOf(cause)].touchesOrders;
}

/**
 * What an alert is put down to, as one text: the same for alerts that have it in common. Pure.
 *
 * @param destinationKind of the alert's destination; `null` = it is about none, or about one that nobody knows
 */
export function causeOf({ name }: Pick<AlertView, 'name'>, destinationKind: string | null): string {
  const family = FAMILY_OF[name] ?? 'other';
  if (family === 'other') return `other:${name}`;
  if (family === 'destination') return `destination:${destinationKind ?? 'unknown'}`;
  return family;
}

/** Which parts of the line the public would see it in. Pure. */
export function componentsOf(
  cause: string,
  facts: Readonly<Record<string, unknown>>,
  destinationKind: string | null,
): ComponentId[] {
  switch (familyOf(cause)) {
    case 'removal':
    case 'silence':
    case 'intake':
      return ['intake'];
    case 'processing':
      return ['processing'];
    case 'destination':
      return [`delivery:${destinationKind ?? 'unknown'}`];
    case 'orders': {
      const stages = Array.isArray(facts['stages']) ? facts['stages'] : [];
      const isDelivered = stages.some((stage) => stage === 'accepted' || stage === 'received');
      const found: ComponentId[] = [
        ...(stages.includes('logged') ? (['intake'] as const) : []),
        ...(stages.includes('processed') ? (['processing'] as const) : []),
        ...(isDelivered && destinationKind !== null ? ([`delivery:${destinationKind}`] as const) : []),
      ];
      return found.length > 0 ? found : ['processing'];
    }
    case 'proof':
      return ['reconciliation'];
    case 'telling':
    case 'other':
    case 'declared':
      return [];
  }
}

/** Facts in which a signal says since when, by what they are called. All are RFC 3339 in a stored alert. */
const SINCE_FACTS = [
  'lastSeenAt',
  'goneSince',
  'oldestSoldAt',
  'blockedSince',
  'lastOrderAt',
  'since',
  'oldestAt',
  'storedAfter',
];
/** Shopify lists no more than 60 days: nothing can be said of what is older. One day less, to be inside. */
export const WALL_MS = 59 * 86_400_000;

/** When the trouble of an alert began, as far as its facts know: never after it was first seen. Pure. */
export function beganAt({ facts, firstSeenAt }: Pick<AlertView, 'facts' | 'firstSeenAt'>): Date {
  const known = SINCE_FACTS.flatMap((name) => {
    const value = facts[name];
    const ms = typeof value === 'string' ? Date.parse(value) : value instanceof Date ? value.getTime() : NaN;
    return Number.isFinite(ms) ? [ms] : [];
  });
  const earliestMs = Math.min(firstSeenAt.getTime(), ...known);
  return new Date(Math.max(earliestMs, firstSeenAt.getTime() - WALL_MS));
}

/**
 * Which incident an alert joins, and what that is put down to from then on. Pure.
 *
 * - The same cause joins while the incident goes on, and for an hour after it was mitigated. Removals join when they are
 *   of one wave (within an hour of the last), or a shop is in both: two removals that have nothing in common would hold
 *   each other's proof up.
 * - A symptom joins the root that explains it: a shop is in both, and it began while the incident lasted, or within the
 *   four hours before in which Shopify still repeats what failed. That holds until it is resolved: the proof itself may
 *   be what finds the missing order.
 * - A root joins the symptom that came first, under the same conditions, and from then on is its cause.
 * - Symptoms join each other when a shop is in both.
 *
 * Of several the one with the same cause is taken, then a root, then the oldest.
 *
 * @returns `null` = it is an incident of its own
 */
export function placeOf(alert: PlacedAlert, open: readonly OpenIncident[]): { id: string; cause: string } | null {
  const fits = open
    .filter(({ world }) => world === alert.world)
    .flatMap((incident) => {
      const cause = joinedCause(alert, incident);
      if (cause === null) return [];
      const rank = incident.cause === alert.cause ? 0 : isRoot(incident.cause) ? 1 : 2;
      return [{ id: incident.id, cause, rank, startedMs: incident.startedAt.getTime() }];
    })
    .sort((one, other) => one.rank - other.rank || one.startedMs - other.startedMs);
  const [best] = fits;
  return best ? { id: best.id, cause: best.cause } : null;
}

/** @returns what the incident is put down to when the alert joins; `null` = it does not */
function joinedCause(alert: PlacedAlert, incident: OpenIncident): string | null {
  const isRecent = incident.mitigatedAt === null || alert.at.getTime() - incident.mitigatedAt.getTime() <= REOPEN_MS;
  const overlaps = alert.shops.some((shop) => incident.shops.has(shop));
  if (alert.cause === incident.cause) {
    const isOneWave = alert.at.getTime() - incident.joinedAt.getTime() <= WAVE_MS;
    if (isRecent && (familyOf(alert.cause) !== 'removal' || overlaps || isOneWave)) return incident.cause;
    return isSymptomOf(alert, incident) && overlaps ? incident.cause : null;
  }
  // What touches no orders explains none, and is explained by none.
  if (!touchesOrders(alert.cause) || !touchesOrders(incident.cause) || !overlaps) return null;
  if (!isRoot(alert.cause)) {
    if (isRoot(incident.cause)) return isSymptomOf(alert, incident) ? incident.cause : null;
    return isRecent ? incident.cause : null;
  }
  if (isRoot(incident.cause) || !isRecent) return null;
  const explains = incident.startedAt.getTime() >= alert.beganAt.getTime() - RETRIES_MS;
  return explains ? alert.cause : null;
}

function isSymptomOf(alert: PlacedAlert, { startedAt, mitigatedAt }: OpenIncident): boolean {
  if (isRoot(alert.cause)) return false;
  const beganMs = alert.beganAt.getTime();
  return beganMs >= startedAt.getTime() - RETRIES_MS && (mitigatedAt === null || beganMs <= mitigatedAt.getTime());
}
