import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import { messageOf } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import type { Round } from '../../kernel/loop.js';
import type {
  Destination,
  Kind,
  LedgerReader,
  ListedFact,
  ListedKind,
  RegistryReader,
  Shop,
} from '../../pipeline/contract.js';
import { isOwed, judge } from './compare.js';
import type { FoundGap, GapStore } from './gap-store.js';
import { factsOf, type ListedOrder } from './listed-order.js';
import type { Listing, ListingStep, ListingWindow } from './listing.js';
import { isScheduled, type BegunTurn, type Run, type RunStore, type StageCount } from './run-store.js';
import type { SoldStore } from './sold-store.js';
import { LAG_MS, nextTurnMs, nextWindow } from './window.js';

const RUNS_AT_ONCE = 4; // different shops have different buckets at Shopify
/** As many as a round takes on: what a round costs beside them is spent once for all. */
const RUNS_A_ROUND = 200;
/** After this a round ends and its runs give their places to others: one huge shop holds up nobody. */
const ROUND_MS = 15_000;
const OPEN_END_MS = 86_400_000;
const BLIND_PAUSE_MS = 5 * 60_000;
const LISTED_KINDS: readonly ListedKind[] = ['purchase', 'order-cancelled', 'refund'];

export interface ReconcilerDeps {
  database: Database;
  runs: RunStore;
  sold: SoldStore;
  gaps: GapStore;
  listing: Listing;
  ledger: Pick<LedgerReader, 'compare' | 'traces'>;
  registry: RegistryReader;
  /** The kinds of event a destination takes. */
  takes: (destination: Destination) => ReadonlySet<Kind>;
  clock: Clock;
  log: Logger;
}

/**
 * Compares what Shopify sold with the ledger, shop by shop.
 *
 * Invariant: whatever hinders a run - Shopify away, a token revoked, a crash - it is partial or blind and says so; what
 * has not been looked at is never called proved, and never called lost. Everything a step does is safe to do again.
 */
export class Reconciler {
  /** Shops that surely have a turn: asking for 5,000 of them every second would be most of what an idle watch does. */
  private readonly withTurn = new Set<string>();

  constructor(private readonly deps: ReconcilerDeps) {}

  /** Asks for a run of a window of one's own; it begins with the next round. @returns its id */
  request(shopId: string, window: ListingWindow, why: string, requestedBy: string): Promise<string> {
    return this.deps.runs.request(shopId, window, why, requestedBy);
  }

  async round(signal: AbortSignal): Promise<Round> {
    const { runs, clock, log } = this.deps;
    const untilMs = clock.nowMs() + ROUND_MS;
    await this.beginTurns();
    const due = await runs.dueRuns(RUNS_A_ROUND);
    // One run of a shop at a time: they would share its bucket, and its rows.
    const waiting = [...Map.groupBy(due, ({ shopId }) => shopId).values()].flatMap(([first]) => first ?? []);
    // Whoever is done takes the next: a shop that answers slowly keeps one place busy, not all of them.
    const place = async (): Promise<void> => {
      while (!signal.aborted && clock.nowMs() <= untilMs) {
        const run = waiting.shift();
        if (!run) return;
        await this.advance(run, untilMs, signal);
      }
    };
    // All of them, failed or not: no run may still be at work when the next round takes it up.
    const ends = await Promise.allSettled(Array.from({ length: RUNS_AT_ONCE }, place));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    const complete = await runs.settle();
    for (const id of complete) log.info({ reconciliation: id }, 'reconciliation complete');
    return due.length > 0 ? 'busy' : 'idle';
  }

  /** Shops that are due begin a scheduled run; new ones get their turn. */
  private async beginTurns(): Promise<void> {
    const { runs, clock, registry } = this.deps;
    const nowMs = clock.nowMs();
    const unknown = registry.shops().flatMap(({ id }) => (this.withTurn.has(id) ? [] : [id]));
    if (unknown.length > 0) {
      await runs.addTurns(unknown, new Date(nowMs));
      for (const id of unknown) this.withTurn.add(id);
    }
    const due = await runs.dueTurns(RUNS_A_ROUND);
    const [begun, passed]: [BegunTurn[], BegunTurn[]] = [[], []];
    for (const { shopId, comparedUntilAt } of due) {
      const shop = registry.shopById(shopId);
      const { why, ...window } = nextWindow(comparedUntilAt, nowMs);
      const isInstalled = shop !== undefined && shop.uninstalledAt === null;
      (isInstalled ? begun : passed).push({ shopId, why, window, nextRunAt: new Date(nextTurnMs(shopId, nowMs)) });
    }
    await runs.beginTurns(begun);
    await runs.postponeTurns(passed);
  }

  private async advance(run: Run, untilMs: number, signal: AbortSignal): Promise<void> {
    const { registry, runs, log, clock } = this.deps;
    const shop = registry.shopById(run.shopId);
    if (!shop || shop.uninstalledAt !== null) {
      await runs.failed(run, shop ? 'the shop is uninstalled' : 'the shop is not configured any more');
      return;
    }
    if (run.window.toAt.getTime() > clock.nowMs() - LAG_MS) {
      // What is younger is not judged yet: the run waits until its window is old enough.
      await runs.postpone(run, new Date(run.window.toAt.getTime() + LAG_MS));
      return;
    }
    await runs.started(run);
    let current = run;
    try {
      for (;;) {
        const step = await this.deps.listing.step(shop, listingWindow(current), current.position, signal);
        const next = await this.take(shop, current, step);
        if (next === null || signal.aborted) return;
        current = next;
        if (clock.nowMs() > untilMs) {
          await runs.postpone(run, clock.now()); // behind those that wait
          return;
        }
      }
    } catch (error) {
      log.error({ err: error, shop: shop.domain, reconciliation: run.id }, 'reconciliation failed; it goes on later');
      const againAt = new Date(clock.nowMs() + pauseMs(current.tries));
      const state = current.position === null && current.ordersListed === 0 ? 'blind' : 'partial';
      await runs.hinder(current, state, messageOf(error), current.position, againAt);
    }
  }

  /** @returns the run as it goes on; `null` when it does not, for now or for good */
  private async take(shop: Shop, run: Run, step: ListingStep): Promise<Run | null> {
    const { clock, runs, log } = this.deps;
    if (step.outcome === 'later' && step.underWay) {
      await runs.underWay(run, step.detail, step.position, new Date(clock.nowMs() + step.retryAfterMs));
      return null;
    }
    if (step.outcome !== 'orders') {
      const retryAfterMs = step.outcome === 'later' ? step.retryAfterMs : BLIND_PAUSE_MS;
      const position = step.outcome === 'later' ? step.position : run.position;
      // Throttling is how Shopify says "not so fast"; it hinders nobody who waits.
      const state = step.outcome === 'blind' && run.ordersListed === 0 ? 'blind' : 'partial';
      const nextTryAt = new Date(clock.nowMs() + Math.max(retryAfterMs, run.tries === 0 ? 0 : pauseMs(run.tries)));
      log.warn({ shop: shop.domain, reconciliation: run.id, state, detail: step.detail }, 'reconciliation hindered');
      await runs.hinder(run, state, step.detail, position, nextTryAt);
      return null;
    }
    const fresh = await this.deps.sold.fresh(shop.id, run.id, step.orders);
    const inWindow = fresh.filter(({ updatedAt }) => updatedAt < run.window.toAt);
    const { counts, gaps } = await this.compare(shop, inWindow);
    const summed = addCounts(run.counts, counts);
    await this.deps.database.transaction(async (client) => {
      // Invariant: the position moves with what was written. With one and not the other, a page would be lost, or an
      // order counted as sold that nobody has compared.
      await this.deps.sold.put(client, shop.id, run.id, fresh);
      const found = await this.deps.gaps.find(client, shop.id, run.id, gaps);
      await runs.stepped(client, run, {
        position: step.position,
        ordersNew: inWindow.length,
        counts: summed,
        notCovered: step.notCovered,
      });
      if (step.complete) await runs.listed(client, run);
      if (found > 0) log.warn({ shop: shop.domain, reconciliation: run.id, gaps: found }, 'gaps found');
    });
    if (step.complete) return null;
    return {
      ...run,
      position: step.position,
      counts: summed,
      ordersListed: run.ordersListed + inWindow.length,
      tries: 0,
    };
  }

  private async compare(
    shop: Shop,
    orders: readonly ListedOrder[],
  ): Promise<{ counts: StageCount[]; gaps: FoundGap[] }> {
    if (orders.length === 0) return { counts: [], gaps: [] };
    const { registry, ledger, takes } = this.deps;
    const byId = new Map(orders.map((order) => [order.orderId, order]));
    const facts = orders.flatMap((order) => factsOf(shop.id, order));
    const destinations = shop.destinationIds.flatMap((id) => registry.destinationById(id) ?? []);
    const owed = destinations.flatMap((destination) => {
      const kinds = takes(destination);
      return LISTED_KINDS.filter((kind) => kinds.has(kind)).map((kind) => ({
        shopId: shop.id,
        destinationId: destination.id,
        kind,
      }));
    });
    const compared = await ledger.compare(facts, owed);
    const absent = compared.exceptions.filter(({ standing }) => standing === null).map(({ fact }) => fact);
    const traces = new Map(
      (absent.length === 0 ? [] : await ledger.traces(distinct(absent))).map((trace) => [trace.subjectId, trace]),
    );
    const gaps = compared.exceptions.flatMap((exception): FoundGap[] => {
      const { fact, destinationId, standing } = exception;
      const order = byId.get(fact.orderId);
      const destination = registry.destinationById(destinationId);
      if (!order || !destination) return [];
      if (standing === null && !isOwed(shop, destinationId, order.createdAt)) return [];
      const verdict = judge(order, exception, destination, traces.get(fact.subjectId) ?? null);
      if (verdict.outcome !== 'gap') return [];
      const { stage, cause, then } = verdict;
      return [{ ...fact, destinationId, soldAt: order.createdAt, stage, cause, then }];
    });
    const counts = compared.counts.map(({ destinationId, kind, state, count }): StageCount => ({
      destinationId,
      kind,
      state: state ?? 'absent',
      count,
    }));
    return { counts, gaps };
  }
}

/**
 * A turn lists up to this moment although it judges only what is older: an order that was sold within the window and has
 * just changed would otherwise be in nobody's list, and the hour it was sold in be called known without it.
 */
function listingWindow(run: Run): ListingWindow {
  return isScheduled(run) ? { ...run.window, toAt: new Date(run.window.toAt.getTime() + OPEN_END_MS) } : run.window;
}

/** A failure that stays is looked at less and less often, up to five minutes. */
function pauseMs(tries: number): number {
  return Math.min(BLIND_PAUSE_MS, 5_000 * 2 ** Math.min(tries, 10));
}

function distinct(facts: readonly ListedFact[]): ListedFact[] {
  return [...new Map(facts.map((fact) => [`${fact.subjectId}/${fact.kind}`, fact])).values()];
}

/** Pure. */
export function addCounts(one: readonly StageCount[], other: readonly StageCount[]): StageCount[] {
  const sums = new Map<string, StageCount>();
  for (const each of [...one, ...other]) {
    const key = `${each.destinationId}/${each.kind}/${each.state}`;
    sums.set(key, { ...each, count: (sums.get(key)?.count ?? 0) + each.count });
  }
  return [...sums.values()];
}
