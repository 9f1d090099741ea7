import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { RegistryReader } from '../../pipeline/contract.js';
import type { SilenceReader, SilenceView } from '../contract.js';
import { Watermark } from '../watermark.js';
import { HOURS_OF_WEEK, habitOf, usualOrders, type Habit, type SeenHours } from './habit.js';
import { SeenOrders, type LastOrder } from './seen-orders.js';
import { ORDERS_PER_WEEK_MIN, judgeSilence, levelAt, ordersIn } from './silence.js';

const HOUR_MS = 3_600_000;
const DAY_HOURS = 24;

/** How shops sell against their habit, worked out when it is asked for from what the watch has stored. */
export class SilenceQuery implements SilenceReader {
  private readonly seen: SeenOrders;
  private readonly watermark: Watermark;

  constructor(private readonly deps: { database: Database; clock: Clock; registry: Pick<RegistryReader, 'shops'> }) {
    this.seen = new SeenOrders(deps.database);
    this.watermark = new Watermark(deps.database, 'silence');
  }

  /** By domain. Shops that are uninstalled are not looked at. */
  async silence(
    filter: { shop?: string },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: SilenceView[]; nextCursor: string | null }> {
    const { clock, registry } = this.deps;
    const after = page.cursor ?? '';
    const shops = registry
      .shops()
      .filter(
        ({ domain, uninstalledAt }) => uninstalledAt === null && domain > after && (filter.shop ?? domain) === domain,
      )
      .sort((one, other) => (one.domain < other.domain ? -1 : 1));
    const shown = shops.slice(0, page.limit);
    const untilAt = await this.watermark.read();
    const untilHour = Math.floor((untilAt?.getTime() ?? 0) / HOUR_MS);
    const histories = await this.seen.read(untilAt === null ? [] : shown, untilHour);
    const lasts = new Map((await this.seen.last(shown.map(({ id }) => id))).map((last) => [last.shopId, last]));
    return {
      items: shown.map(({ id, domain }) => viewOf(domain, histories.get(id), lasts.get(id), clock.nowMs())),
      nextCursor: shops.length > page.limit ? (shown.at(-1)?.domain ?? null) : null,
    };
  }
}

function viewOf(shop: string, history: SeenHours | undefined, last: LastOrder | undefined, nowMs: number): SilenceView {
  const habit = history ? habitOf(history) : null;
  const endHour = history ? history.firstHour + history.orders.length : 0;
  const fromHour = endHour - DAY_HOURS;
  const lastMs = last?.lastOrderAt.getTime();
  const judgement =
    habit && history && lastMs !== undefined
      ? judgeSilence(habit, levelAt(habit, history, lastMs), lastMs, nowMs)
      : null;
  return {
    shop,
    state: stateOf(habit, last),
    lastOrderAt: last?.lastOrderAt ?? null,
    silentSince: last?.silentSince ?? null,
    expected: habit ? usualOrders(habit, fromHour * HOUR_MS, endHour * HOUR_MS) : null,
    seen: history ? ordersIn(history, fromHour, endHour) : 0,
    expectedSinceLast: judgement?.expected ?? null,
    probability: judgement?.probability ?? null,
    limit: judgement?.limit ?? null,
    weeksKnown: habit?.weeks ?? (history ? history.orders.length / HOURS_OF_WEEK : 0),
    ordersPerWeek: habit?.ordersPerWeek ?? null,
  };
}

function stateOf(habit: Habit | null, last: LastOrder | undefined): SilenceView['state'] {
  if (last?.silentSince) return 'silent';
  if (habit === null) return 'learning';
  return habit.ordersPerWeek < ORDERS_PER_WEEK_MIN || last === undefined ? 'quiet' : 'selling';
}
