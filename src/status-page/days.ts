import type { FleetItem, Stage } from '../monitoring/contract.js';
import { PROOF_LIMIT_MS } from './fleet-proof.js';
import { dayOf } from './public-words.js';
import type { Arrivals, DayFigure, DayUnit } from './snapshot.js';

export const DAYS_SHOWN = 90;
export const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** Kept beside the components: what has settled over all kinds of destination. */
export const SETTLED = 'settled';

/** One component's figure of one day, as it is kept. */
export interface KeptDay extends DayFigure {
  component: string;
  unit: DayUnit;
}

/** How a component's share of a day comes about; printed on the page. */
export const FORMULAS: Readonly<Record<'intake' | 'processing' | 'delivery' | 'reconciliation' | 'status', string>> = {
  intake: 'orders taken in ÷ orders sold',
  processing: 'orders routed to their destinations ÷ orders taken in',
  delivery: 'orders that arrived ÷ orders owed to the destination (sold, less those it is set to leave out)',
  reconciliation: 'stores of which the whole day was compared with Shopify ÷ stores',
  status: 'minutes in which this page was published ÷ minutes of the day',
};

export function formulaOf(component: string): string {
  return FORMULAS[component.startsWith('delivery:') ? 'delivery' : (component as keyof typeof FORMULAS)];
}

/**
 * What the fleet's throughput of some days says of each component. Pure. An order counts once for each destination that
 * is owed it. A day of which nothing is known has no figure; one that may still change says so.
 */
export function daysOf(items: readonly FleetItem[], nowMs: number): KeptDay[] {
  return items.flatMap((item): KeptDay[] => {
    const day = dayOf(item.start.getTime());
    const known = [item.settled, item.provisional].filter(({ sold }) => (sold ?? 0) > 0);
    const isSettled = (item.provisional.sold ?? 0) === 0 && isEmpty(item.unproved);
    if (item.kind !== null) {
      const owed = known.reduce((sum, { sold, ignored }) => sum + Math.max(0, (sold ?? 0) - ignored), 0);
      const arrived = known.reduce((sum, counts) => sum + arrivedOf(counts), 0);
      return owed === 0 ? [] : [{ component: `delivery:${item.kind}`, unit: 'orders', day, owed, arrived, isSettled }];
    }
    const sold = known.reduce((sum, counts) => sum + (counts.sold ?? 0), 0);
    const settledOwed = Math.max(0, (item.settled.sold ?? 0) - item.settled.ignored);
    const loggedOf = Math.max(0, sold - lostAt(item, 'logged'));
    const figures: KeptDay[] = [];
    // Nobody can have compared a day that is not over, and the last stores' turn comes an hour after its end.
    if (item.shops > 0 && item.start.getTime() + DAY_MS + PROOF_LIMIT_MS <= nowMs) {
      const { shops: owed, shopsProved: arrived } = item;
      figures.push({ component: 'reconciliation', unit: 'stores', day, owed, arrived, isSettled: arrived === owed });
    }
    if (settledOwed > 0) {
      const arrived = arrivedOf(item.settled);
      figures.push({ component: SETTLED, unit: 'orders', day, owed: settledOwed, arrived, isSettled });
    }
    if (sold > 0) {
      figures.push({ component: 'intake', unit: 'orders', day, owed: sold, arrived: loggedOf, isSettled });
    }
    if (loggedOf > 0) {
      const arrived = Math.max(0, loggedOf - lostAt(item, 'processed'));
      figures.push({ component: 'processing', unit: 'orders', day, owed: loggedOf, arrived, isSettled });
    }
    return figures;
  });
}

/**
 * Days of the page itself. Pure. A day without a single minute published is a day of nothing, not one left out.
 *
 * @param minutes minutes published, by day
 */
export function pageDays(minutes: ReadonlyMap<string, number>, createdAtMs: number, nowMs: number): KeptDay[] {
  const firstMs = Math.max(startOf(createdAtMs), startOf(nowMs) - (DAYS_SHOWN - 1) * DAY_MS);
  const days: KeptDay[] = [];
  for (let startMs = firstMs; startMs <= nowMs; startMs += DAY_MS) {
    const day = dayOf(startMs);
    // Whole minutes only: the one that goes on has not been missed yet.
    const begunMs = Math.max(createdAtMs, startMs);
    const overMs = Math.min(nowMs, startMs + DAY_MS);
    const owed = Math.floor(overMs / MINUTE_MS) - Math.floor(begunMs / MINUTE_MS);
    const arrived = Math.min(owed, minutes.get(day) ?? 0);
    const isSettled = startMs + DAY_MS <= nowMs;
    if (owed > 0) days.push({ component: 'status', unit: 'minutes', day, owed, arrived, isSettled });
  }
  return days;
}

/** Settled arrivals of days `[fromDay, toDay)`; `null` = nothing has settled in them. Pure. */
export function settledArrivals(kept: readonly KeptDay[], fromDay: string, toDay: string): Arrivals | null {
  const settled = kept.filter(({ component, day }) => component === SETTLED && day >= fromDay && day < toDay);
  if (settled.length === 0) return null;
  const sum = (of: (day: KeptDay) => number): number => settled.reduce((total, day) => total + of(day), 0);
  return { owed: sum(({ owed }) => owed), arrived: sum(({ arrived }) => arrived), days: settled.length };
}

export function startOf(ms: number): number {
  return Math.floor(ms / DAY_MS) * DAY_MS;
}

/** Throughput is arrived of owed, in whole orders: the product is one again. */
function arrivedOf({ throughput, sold, ignored }: FleetItem['settled']): number {
  return throughput === null ? 0 : Math.round(throughput * Math.max(0, (sold ?? 0) - ignored));
}

function lostAt({ lost }: FleetItem, stage: Stage): number {
  return lost.find((each) => each.stage === stage)?.orders ?? 0;
}

/** No order was seen in hours of which nobody knows what was sold. */
function isEmpty({ logged, accepted, ignored }: FleetItem['unproved']): boolean {
  return logged + accepted + ignored === 0;
}
