import type { HourCount, Link, ShopHour } from '../../pipeline/contract.js';
import type { Stage } from '../contract.js';
import type { GapCount, ProvedShop, SoldHour } from './sold-counts.js';

export const HOUR_MS = 3_600_000;

/** End to end, over this is late: the promise to customers is "within a quarter of an hour". */
export const LATE_AFTER_MS = 15 * 60_000;

/** What counting needs to know of a destination. */
export interface CountedDestination {
  id: number;
  purchaseOn: 'created' | 'paid';
  /** Whether purchases can be read back there. */
  confirmable: boolean;
  /** After acceptance, how long until absence is final. */
  settlingMs: number;
}

/** Everything known of one hour of a shop. */
export interface HourFacts {
  hour: ShopHour;
  /** What Shopify has listed, proved complete or not. */
  listed: Pick<SoldHour, 'orders' | 'due'> | undefined;
  proof: ProvedShop | undefined;
  links: readonly Link[];
  counts: readonly HourCount[];
  gaps: readonly GapCount[];
}

/** A row of `monitoring.throughput`. */
export interface HourRow extends ShopHour {
  destinationId: number;
  sold: number | null;
  logged: number;
  processed: number;
  accepted: number;
  confirmed: number;
  ignored: number;
  failed: number;
  missing: number;
  recovered: number;
  late: number;
  lost: Readonly<Record<Stage, number>>;
  confirmable: boolean;
  settlesAt: Date | null;
  settledAt: Date | null;
  /** Whether orders of it wait, so that time alone can make them late. */
  waiting: boolean;
}

/**
 * The rows of one hour: one for each destination that has, or is owed, an order of it. Pure; facts that come in another
 * order, or twice, make the same rows.
 *
 * @param destinations those of the ledger's counts and those that are owed; what is not among them gets no row
 */
export function rowsOfHour(
  facts: HourFacts,
  destinations: ReadonlyMap<number, CountedDestination>,
  nowAt: Date,
): HourRow[] {
  const owed = new Set(owedIn(facts.hour, facts.links));
  const proved = isProved(facts.proof, facts.hour.hourAt.getTime(), facts.hour.hourAt.getTime() + HOUR_MS);
  const ids = new Set([
    ...facts.counts.map(({ destinationId }) => destinationId),
    ...facts.gaps.map(({ destinationId }) => destinationId),
    ...((facts.listed?.orders ?? 0) > 0 ? owed : []),
  ]);
  return [...ids]
    .sort((one, other) => one - other)
    .flatMap((id) => {
      const destination = destinations.get(id);
      return destination === undefined ? [] : [rowOf(facts, destination, proved && owed.has(id), nowAt)];
    });
}

function rowOf(facts: HourFacts, destination: CountedDestination, proved: boolean, nowAt: Date): HourRow {
  const count = facts.counts.find(({ destinationId }) => destinationId === destination.id);
  const gaps = facts.gaps.filter(({ destinationId }) => destinationId === destination.id);
  const { logged = 0, processed = 0, accepted = 0, confirmed = 0, ignored = 0, failed = 0, late = 0 } = count ?? {};
  const listed = (destination.purchaseOn === 'paid' ? facts.listed?.due : facts.listed?.orders) ?? 0;
  const lost = lostByStage(gaps, failed);
  const missing = Math.max(
    count?.missing ?? 0,
    gaps.reduce((sum, gap) => sum + gap.missing, 0),
  );
  const settlesAt = proved ? settlingEnds(facts.hour, destination, count?.unconfirmedAcceptedAt ?? null) : null;
  return {
    ...facts.hour,
    destinationId: destination.id,
    sold: proved ? soldFor(listed, processed, lost) : null,
    logged,
    processed,
    accepted,
    confirmed,
    ignored,
    failed,
    missing,
    recovered: gaps.reduce((sum, gap) => sum + gap.recovered, 0),
    late,
    lost,
    confirmable: destination.confirmable,
    settlesAt,
    settledAt: settlesAt !== null && settlesAt <= nowAt ? nowAt : null,
    waiting: processed - ignored - accepted - failed - (count?.missing ?? 0) > 0,
  };
}

/** What is buried is lost on the way to acceptance, also before a reconciliation has met it. */
function lostByStage(gaps: readonly GapCount[], failed: number): Record<Stage, number> {
  const at = (stage: Stage, what: 'missing' | 'dead'): number =>
    gaps.reduce((sum, gap) => sum + (gap.stage === stage ? gap[what] : 0), 0);
  return {
    logged: at('logged', 'missing') + at('logged', 'dead'),
    processed: at('processed', 'missing') + at('processed', 'dead'),
    // `failed` holds what nobody can confirm as well, and that was lost a stage later.
    accepted: at('accepted', 'missing') + Math.max(at('accepted', 'dead'), failed - at('received', 'dead')),
    received: at('received', 'missing') + at('received', 'dead'),
  };
}

/**
 * When absence is final. An order that is accepted after the hour has settled needs the destination's time as well, so
 * the hour is provisional again until that is over: one that is paid three days late must not read as lost.
 */
function settlingEnds(hour: ShopHour, destination: CountedDestination, acceptedAt: Date | null): Date {
  const endMs = hour.hourAt.getTime() + HOUR_MS;
  const lastMs = destination.confirmable ? Math.max(endMs, acceptedAt?.getTime() ?? 0) : endMs;
  return new Date(lastMs + destination.settlingMs);
}

/**
 * What was sold for a destination: what Shopify lists, and never less than what the ledger and the comparison by id know
 * of. A webhook may be ahead of the listing; and an order that is left out before it is paid is in the ledger, to be
 * taken off again, but is not listed as due.
 */
function soldFor(listed: number, processed: number, lost: Record<Stage, number>): number {
  return Math.max(listed, processed + lost.logged + lost.processed);
}

/** An hour that a destination is owed in part is not its hour: nobody could tell which part was its loss. */
function owedIn({ hourAt }: ShopHour, links: readonly Link[]): number[] {
  return links.filter(({ linkedAt }) => linkedAt === null || linkedAt <= hourAt).map((link) => link.destinationId);
}

export function isProved(proof: ProvedShop | undefined, fromMs: number, untilMs: number): boolean {
  return (proof?.spans ?? []).some(({ fromAt, untilAt }) => fromAt.getTime() <= fromMs && untilAt.getTime() >= untilMs);
}
