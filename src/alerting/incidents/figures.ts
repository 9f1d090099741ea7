import type { Clock } from '../../kernel/clock.js';
import type { GapView, ReconciliationDesk, ThroughputCounts, ThroughputReader } from '../../monitoring/contract.js';
import type { PipelineReader, RegistryReader, World } from '../../pipeline/contract.js';

const HOUR_MS = 3_600_000;
/** Past so many shops the fleet's figures stand for theirs: one question instead of thousands. */
const SHOPS_APART_MAX = 20;
const PAGE = 200;
/** 10,000 gaps a look: what is more is as bad. */
const PAGES_MAX = 50;
/** Late orders of the last week: hours that are older have settled, and are not what is decided about now. */
const LATE_SPAN_MS = 7 * 24 * HOUR_MS;

/** How it stands with the orders of an incident. */
export interface Figures {
  /** Not where they belong now: open, requeued or dead. */
  lost: number;
  /** Of these, dead: nobody brings them back. */
  unrecoverable: number;
  recovered: number;
  late: number;
  /** Deliveries that wait for a destination of the incident. */
  queued: number;
  /** Of the obligations of the worst hour; `null` = not known. */
  lostShare: number | null;
  lateShare: number | null;
}

export const NO_FIGURES: Figures = {
  lost: 0,
  unrecoverable: 0,
  recovered: 0,
  late: 0,
  queued: 0,
  lostShare: null,
  lateShare: null,
};

/** Whose orders, and of which time. */
export interface FigureScope {
  world: World;
  shops: ReadonlySet<string>;
  /** Names; `null` = every destination. */
  destinations: ReadonlySet<string> | null;
  startedAt: Date;
  mitigatedAt: Date | null;
}

export interface FigureSources {
  reconciliation: Pick<ReconciliationDesk, 'gaps'>;
  throughput: ThroughputReader;
  pipeline: Pick<PipelineReader, 'lanes'>;
  registry: Pick<RegistryReader, 'destinations'>;
  clock: Clock;
}

/**
 * The orders behind gaps, each counted once: lost as long as any of its gaps is not closed. Pure.
 *
 * Of the incident are gaps that were found since it began, of orders that were sold until it was mitigated.
 */
export function countGaps(
  gaps: readonly GapView[],
  scope: FigureScope,
): Omit<Figures, 'late' | 'queued' | 'lateShare' | 'lostShare'> & {
  lostByHour: Map<number, number>;
} {
  const untilMs = scope.mitigatedAt?.getTime() ?? Infinity;
  const lost = new Set<string>();
  const dead = new Set<string>();
  const recovered = new Set<string>();
  const lostByHour = new Map<number, number>();
  for (const gap of gaps) {
    const { shop, destination, orderId, state, soldAt, foundAt } = gap;
    if (!scope.shops.has(shop) || (scope.destinations !== null && !scope.destinations.has(destination))) continue;
    if (foundAt < scope.startedAt || soldAt.getTime() >= untilMs) continue;
    const order = `${shop}/${orderId}`;
    if (state === 'recovered') recovered.add(order);
    if (state !== 'open' && state !== 'requeued' && state !== 'dead') continue;
    lost.add(order);
    if (state === 'dead') dead.add(order);
    const hour = Math.floor(soldAt.getTime() / HOUR_MS);
    lostByHour.set(hour, (lostByHour.get(hour) ?? 0) + 1);
  }
  for (const order of lost) recovered.delete(order);
  return { lost: lost.size, unrecoverable: dead.size, recovered: recovered.size, lostByHour };
}

/** Asks monitoring and the pipeline how it stands. */
export class FigureReader {
  constructor(private readonly sources: FigureSources) {}

  async read(scope: FigureScope): Promise<Figures> {
    if (scope.shops.size === 0) return NO_FIGURES;
    const { lostByHour, ...counts } = countGaps(await this.gaps(scope), scope);
    const late = await this.late(scope);
    const lostShare = worstShare(lostByHour, late.soldByHour);
    return {
      ...counts,
      late: late.orders,
      lateShare: worstShare(late.lateByHour, late.soldByHour),
      lostShare,
      queued: await this.queued(scope),
    };
  }

  private async gaps(scope: FigureScope): Promise<GapView[]> {
    const apart = scope.shops.size <= SHOPS_APART_MAX;
    const shops: (string | undefined)[] = apart ? [...scope.shops] : [undefined];
    const found: GapView[] = [];
    for (const shop of shops) {
      let cursor: string | null = '';
      for (let page = 0; page < PAGES_MAX && cursor !== null; page++) {
        const answer: { items: GapView[]; nextCursor: string | null } = await this.sources.reconciliation.gaps(
          shop === undefined ? {} : { shop },
          { limit: PAGE, ...(cursor === '' ? {} : { cursor }) },
        );
        found.push(...answer.items);
        // Newest first: what follows was found before the incident began.
        const last = answer.items.at(-1);
        cursor = last !== undefined && last.foundAt < scope.startedAt ? null : answer.nextCursor;
      }
    }
    return found;
  }

  /** An order that is late at two destinations is one late order; shares are of obligations, like what is sold. */
  private async late(scope: FigureScope): Promise<{
    orders: number;
    lateByHour: Map<number, number>;
    soldByHour: Map<number, number>;
  }> {
    const { throughput, clock } = this.sources;
    const to = scope.mitigatedAt ?? clock.now();
    const from = new Date(Math.max(scope.startedAt.getTime(), to.getTime() - LATE_SPAN_MS));
    const window = { from, to, granularity: 'hour' as const };
    const lateByHour = new Map<number, number>();
    const soldByHour = new Map<number, number>();
    let orders = 0;
    const add = (sums: Map<number, number>, hour: number, count: number): void => {
      sums.set(hour, (sums.get(hour) ?? 0) + count);
    };
    const kinds = this.kindsOf(scope.destinations);
    const apart = scope.shops.size <= SHOPS_APART_MAX;
    await pages(
      (page) => throughput.fleet({ ...window, world: scope.world }, page),
      24,
      ({ start, kind, settled, provisional, unproved }) => {
        const hour = Math.floor(start.getTime() / HOUR_MS);
        const parts = [settled, provisional, unproved];
        if (kind === null)
          add(
            soldByHour,
            hour,
            sum(parts, ({ sold, logged }) => sold ?? logged),
          );
        if (apart || (kinds === null ? kind !== null : kind === null || !kinds.has(kind))) return;
        const late = sum(parts, (part) => part.late);
        add(lateByHour, hour, late);
      },
    );
    if (!apart) {
      // Of kinds together it cannot be told which are the same orders; the largest is the least that is true.
      return { orders: [...lateByHour.values()].reduce((total, count) => total + count, 0), lateByHour, soldByHour };
    }
    for (const shop of scope.shops) {
      const most = new Map<number, number>();
      await pages(
        (page) => throughput.items({ ...window, shop }, page),
        PAGE,
        ({ start, destination, late }) => {
          if (scope.destinations !== null && !scope.destinations.has(destination)) return;
          const hour = Math.floor(start.getTime() / HOUR_MS);
          add(lateByHour, hour, late);
          most.set(hour, Math.max(most.get(hour) ?? 0, late));
        },
      );
      for (const count of most.values()) orders += count;
    }
    return { orders, lateByHour, soldByHour };
  }

  private async queued({ destinations, shops }: FigureScope): Promise<number> {
    if (destinations === null) return 0;
    let queued = 0;
    for (const name of destinations) {
      for (const lane of await this.sources.pipeline.lanes(name)) if (shops.has(lane.shop)) queued += lane.backlog;
    }
    return queued;
  }

  private kindsOf(destinations: ReadonlySet<string> | null): ReadonlySet<string> | null {
    if (destinations === null) return null;
    const all = this.sources.registry.destinations();
    return new Set(all.flatMap(({ name, kind }) => (destinations.has(name) ? [kind] : [])));
  }
}

/** The worst hour's share; `null` when nobody knows what was sold in any of them. Pure. */
export function worstShare(
  badByHour: ReadonlyMap<number, number>,
  soldByHour: ReadonlyMap<number, number>,
): number | null {
  const shares = [...badByHour].flatMap(([hour, bad]) => {
    const sold = soldByHour.get(hour) ?? 0;
    return sold > 0 ? [Math.min(1, bad / sold)] : [];
  });
  return shares.length === 0 ? null : Math.max(...shares);
}

function sum(parts: readonly ThroughputCounts[], of: (part: ThroughputCounts) => number): number {
  return parts.reduce((total, part) => total + of(part), 0);
}

async function pages<Item>(
  ask: (page: { limit: number; cursor?: string }) => Promise<{ items: Item[]; nextCursor: string | null }>,
  limit: number,
  each: (item: Item) => void,
): Promise<void> {
  let cursor: string | null = '';
  for (let page = 0; page < PAGES_MAX && cursor !== null; page++) {
    const answer: { items: Item[]; nextCursor: string | null } = await ask({
      limit,
      ...(cursor === '' ? {} : { cursor }),
    });
    for (const item of answer.items) each(item);
    cursor = answer.nextCursor;
  }
}
