import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Round } from '../../kernel/loop.js';
import type { LedgerReader, RegistryReader, SeenHour, Shop } from '../../pipeline/contract.js';
import { atLeast } from '../signals/steps.js';
import type { Finding } from '../contract.js';
import type { SignalBook } from '../signals/signal-book.js';
import { Watermark } from '../watermark.js';
import { habitOf, type Habit, type SeenHours } from './habit.js';
import { HISTORY_HOURS, SeenOrders, type LastOrder } from './seen-orders.js';
import { judgeSilence, levelAt, ORDERS_PER_WEEK_MIN, type Judgement } from './silence.js';

const HOUR_MS = 3_600_000;
/** What is under way when a webhook is written down has committed this long after. */
const OVERLAP_MS = 3 * 60_000;
/** Hours of history read in one round, so that statements are short: a day, and more while little comes of it. */
const SLICE_HOURS = 24;
const SLICE_ROWS_MIN = 10_000;
/** Shops of which each gets a signal; beyond them the fleet's says how many. */
const SIGNALS_MAX = 50;
/** Most shops silent at once: not theirs, ours. It is over when but a quarter is. */
const FLEET_SHARE = 0.5;
const FLEET_SHARE_OVER = 0.25;
const FLEET_SHOPS_MIN = 3;
const SHOPS_PER_TURN = 200;
const FLEET = 'fleet';

/** Who looks at once whether a shop's subscriptions are still there. */
export interface SubscriptionHints {
  hint(shopId: string, why: string): Promise<void>;
}

export interface SilenceDeps {
  database: Database;
  clock: Clock;
  registry: Pick<RegistryReader, 'shops'>;
  ledger: Pick<LedgerReader, 'ordersSeen'>;
  signals: Pick<SignalBook, 'replace'>;
  hints: SubscriptionHints;
}

interface Judged extends Judgement {
  shop: Shop;
  lastOrderAt: Date;
  silentSince: Date | null;
}

/**
 * Notices that a shop sends nothing although it should: habit against silence, a look every half minute.
 *
 * Signal `store-silent`, one a shop, closed by the next order; and one more, about the fleet, when nothing at all arrives
 * or most shops are silent at once.
 */
export class SilenceWatch {
  private readonly seen: SeenOrders;
  private readonly watermark: Watermark;
  private histories: Map<string, SeenHours & { orders: Uint32Array }> | null = null;
  private habits = new Map<string, Habit | null>();
  /** Hours before this one are in `histories`. */
  private learntUntil = 0;
  private lookedAtMs = 0;
  private sliceHours = SLICE_HOURS;
  private fleetSilent = false;

  constructor(private readonly deps: SilenceDeps) {
    this.seen = new SeenOrders(deps.database);
    this.watermark = new Watermark(deps.database, 'silence');
  }

  async round(signal: AbortSignal): Promise<Round> {
    const nowMs = this.deps.clock.nowMs();
    const untilHour = await this.storeHistory(nowMs);
    if (untilHour === null) return 'busy';
    if (untilHour !== this.learntUntil) await this.learn(untilHour, signal);
    if (signal.aborted) return 'idle';
    await this.look(nowMs);
    await this.judge(nowMs);
    return 'idle';
  }

  /** @returns the hour up to which everything is stored; `null` = there is more to store first */
  private async storeHistory(nowMs: number): Promise<number | null> {
    const endHour = Math.floor((nowMs - OVERLAP_MS) / HOUR_MS);
    const doneAt = await this.watermark.read();
    const doneHour = doneAt === null ? endHour - HISTORY_HOURS : Math.floor(doneAt.getTime() / HOUR_MS);
    const from = Math.max(doneHour, endHour - HISTORY_HOURS);
    if (from >= endHour) return endHour;
    const to = Math.min(endHour, from + this.sliceHours);
    const seen = await this.deps.ledger.ordersSeen(new Date(from * HOUR_MS), new Date(to * HOUR_MS));
    this.sliceHours = seen.length < SLICE_ROWS_MIN ? this.sliceHours * 2 : SLICE_HOURS;
    const byHour = Map.groupBy(seen, ({ hourAt }) => hourAt.getTime() / HOUR_MS);
    for (const [hour, ofHour] of byHour) await this.seen.storeHour(hour, ofHour);
    await this.seen.moveLast(latestOf(seen));
    await this.watermark.move(new Date(to * HOUR_MS));
    if (to < endHour) return null;
    await this.seen.forget(new Date(nowMs));
    return endHour;
  }

  private async learn(untilHour: number, signal: AbortSignal): Promise<void> {
    const shops = this.shops();
    this.histories = await this.seen.read(shops, untilHour);
    this.habits = new Map();
    for (const [index, { id }] of shops.entries()) {
      const history = this.histories.get(id);
      this.habits.set(id, history ? habitOf(history) : null);
      if (index % SHOPS_PER_TURN === SHOPS_PER_TURN - 1) await new Promise((resolve) => setImmediate(resolve));
      if (signal.aborted) return;
    }
    const fleet = sumOf(
      shops.flatMap(({ id, world }) => (world === 'real' ? (this.histories?.get(id) ?? []) : [])),
      untilHour,
    );
    this.histories.set(FLEET, fleet);
    this.habits.set(FLEET, habitOf(fleet));
    this.learntUntil = untilHour;
  }

  private async look(nowMs: number): Promise<void> {
    // What is older is in the history.
    const fromMs = Math.max(this.lookedAtMs, this.learntUntil * HOUR_MS) - OVERLAP_MS;
    // To the end of this instant: the end is exclusive.
    const seen = await this.deps.ledger.ordersSeen(new Date(fromMs), new Date(nowMs + 1));
    await this.seen.moveLast(latestOf(seen));
    this.lookedAtMs = nowMs;
  }

  private async judge(nowMs: number): Promise<void> {
    const lasts = new Map((await this.seen.last()).map((last) => [last.shopId, last]));
    const judged = this.shops().flatMap((shop): Judged[] => {
      const last = lasts.get(shop.id);
      const judgement = last ? this.judgementOf(shop.id, last, nowMs) : null;
      return last && judgement ? [{ ...judgement, shop, ...last }] : [];
    });
    const silent = judged.filter((one) => one.silent);
    const found = silent.filter(({ silentSince }) => silentSince === null);
    const over = [...lasts.values()].filter(
      ({ shopId, silentSince }) => silentSince !== null && !silent.some(({ shop }) => shop.id === shopId),
    );
    // The signal before the mark: cut off in between, the next look finds the same and changes nothing.
    await this.deps.signals.replace('store-silent', null, [
      ...signalled(silent).map(findingOf),
      ...this.fleetFinding(judged, silent, lasts, nowMs),
    ]);
    await this.seen.mark(
      new Map([
        ...found.map(({ shop }): [string, Date] => [shop.id, new Date(nowMs)]),
        ...over.map(({ shopId }): [string, null] => [shopId, null]),
      ]),
    );
    for (const { shop } of found) await this.deps.hints.hint(shop.id, 'store-silent');
  }

  /** Silence holds until an order comes: what is expected may fall again meanwhile, and no signal flaps for that. */
  private judgementOf(id: string, last: LastOrder, nowMs: number): Judgement | null {
    const [habit, history] = [this.habits.get(id), this.histories?.get(id)];
    if (!habit || !history) return null;
    const lastMs = last.lastOrderAt.getTime();
    const judgement = judgeSilence(habit, levelAt(habit, history, lastMs), lastMs, nowMs);
    const holds = last.silentSince !== null && habit.ordersPerWeek >= ORDERS_PER_WEEK_MIN;
    return { ...judgement, silent: judgement.silent || holds };
  }

  private fleetFinding(
    judged: readonly Judged[],
    silent: readonly Judged[],
    lasts: ReadonlyMap<string, LastOrder>,
    nowMs: number,
  ): Finding[] {
    const real = judged.filter(({ shop }) => shop.world === 'real');
    const realSilent = silent.filter(({ shop }) => shop.world === 'real').length;
    const ids = new Set(this.shops().flatMap(({ id, world }) => (world === 'real' ? [id] : [])));
    const lastMs = Math.max(
      0,
      ...[...lasts.values()].filter(({ shopId }) => ids.has(shopId)).map(({ lastOrderAt }) => lastOrderAt.getTime()),
    );
    const last: LastOrder = { shopId: FLEET, lastOrderAt: new Date(lastMs), silentSince: null };
    const nothing = real.length > 1 && lastMs > 0 && (this.judgementOf(FLEET, last, nowMs)?.silent ?? false);
    const share = real.length === 0 ? 0 : realSilent / real.length;
    const most = realSilent >= FLEET_SHOPS_MIN && share >= (this.fleetSilent ? FLEET_SHARE_OVER : FLEET_SHARE);
    this.fleetSilent = nothing || most;
    if (!this.fleetSilent) return [];
    return [
      {
        kind: 'store-silent',
        subject: FLEET,
        facts: {
          nothingArrives: nothing,
          ...(nothing ? { lastOrderAt: last.lastOrderAt } : {}),
          silentShopsAtLeast: atLeast(realSilent),
          shops: real.length,
        },
        evidence: '/api/v1/silence',
      },
    ];
  }

  private shops(): Shop[] {
    return this.deps.registry.shops().filter(({ uninstalledAt }) => uninstalledAt === null);
  }
}

/** Those that are signalled already stay so; of the others, those that miss most. */
function signalled(silent: readonly Judged[]): Judged[] {
  return [...silent]
    .sort((one, other) => {
      const known = Number(other.silentSince !== null) - Number(one.silentSince !== null);
      return known === 0 ? other.expected - one.expected : known;
    })
    .slice(0, SIGNALS_MAX);
}

function findingOf({ shop, lastOrderAt, expected }: Judged): Finding {
  return {
    kind: 'store-silent',
    subject: shop.domain,
    shopId: shop.id,
    facts: { lastOrderAt, expectedAtLeast: atLeast(Math.floor(expected)) },
    evidence: `/api/v1/silence?shop=${shop.domain}`,
  };
}

function latestOf(seen: readonly SeenHour[]): Map<string, Date> {
  const latest = new Map<string, Date>();
  for (const { shopId, lastAt } of seen) {
    const known = latest.get(shopId);
    if (!known || lastAt > known) latest.set(shopId, lastAt);
  }
  return latest;
}

function sumOf(histories: readonly SeenHours[], untilHour: number): SeenHours & { orders: Uint32Array } {
  const firstHour = Math.min(untilHour, ...histories.map((history) => history.firstHour));
  const orders = new Uint32Array(untilHour - firstHour);
  for (const history of histories) {
    for (let index = 0; index < history.orders.length; index++) {
      const at = history.firstHour - firstHour + index;
      orders[at] = (orders[at] ?? 0) + (history.orders[index] ?? 0);
    }
  }
  return { firstHour, orders };
}
