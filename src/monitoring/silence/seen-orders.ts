import type { Database } from '../../kernel/database.js';
import type { SeenHour } from '../../pipeline/contract.js';
import { HOURS_OF_WEEK, type SeenHours } from './habit.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Eight weeks: long enough to know every hour of a week eight times, short enough to follow a shop that grows. */
export const HISTORY_HOURS = 8 * HOURS_OF_WEEK;
const SHOPS_PER_READ = 200;

// One hour of all shops at a time. Locks: these rows in key order (the caller sorts). Index: the primary key.
const STORE_HOUR = `
insert into monitoring.seen_day as d (shop_id, day, orders)
select i.shop_id, $3::date, array_fill(0, array[$4::integer]) || i.orders || array_fill(0, array[23 - $4::integer])
  from unnest($1::bigint[], $2::integer[]) with ordinality as i (shop_id, orders, ord) order by ord
on conflict (shop_id, day) do update set orders[$4::integer + 1] = excluded.orders[$4::integer + 1]`;

// Written only where it is news: most looks find an order that is known. An order ends a silence in the same statement.
const MOVE_LAST = `
insert into monitoring.silence as s (shop_id, last_order_at)
select i.shop_id, i.last_at from unnest($1::bigint[], $2::timestamptz[]) with ordinality as i (shop_id, last_at, ord)
 order by ord
on conflict (shop_id) do update set last_order_at = excluded.last_order_at, silent_since = null
 where s.last_order_at < excluded.last_order_at`;

const READ_DAYS = `
select shop_id::text as shop_id, day::text as day, orders from monitoring.seen_day
 where shop_id = any ($1::bigint[]) and day >= $2`;

const READ_LAST = `
select shop_id::text as "shopId", last_order_at as "lastOrderAt", silent_since as "silentSince" from monitoring.silence
 where $1::bigint[] is null or shop_id = any ($1)`;

const MARK = `
update monitoring.silence s set silent_since = i.since
  from unnest($1::bigint[], $2::timestamptz[]) as i (shop_id, since) where s.shop_id = i.shop_id`;

const FORGET = `delete from monitoring.seen_day where day < $1`;

export interface LastOrder {
  shopId: string;
  lastOrderAt: Date;
  silentSince: Date | null;
}

/** The tables of silence: orders seen by the hour, and each shop's last. */
export class SeenOrders {
  constructor(private readonly database: Database) {}

  /** @param seen of that hour, whole */
  async storeHour(hour: number, seen: readonly SeenHour[]): Promise<void> {
    const rows = [...seen].sort((one, other) => Number(one.shopId) - Number(other.shopId));
    const startAt = new Date(hour * HOUR_MS);
    await this.database.query(STORE_HOUR, [
      rows.map(({ shopId }) => shopId),
      rows.map(({ orders }) => orders),
      startAt.toISOString().slice(0, 10),
      startAt.getUTCHours(),
    ]);
  }

  async moveLast(lastAt: ReadonlyMap<string, Date>): Promise<void> {
    const rows = [...lastAt].sort(([one], [other]) => Number(one) - Number(other));
    if (rows.length === 0) return;
    await this.database.query(MOVE_LAST, [rows.map(([shopId]) => shopId), rows.map(([, at]) => at)]);
  }

  /**
   * What was seen of shops up to an hour, exclusive; eight weeks, or since the shop was connected.
   *
   * @param shops each with when it was connected; hours in which nothing was seen are 0
   */
  async read(
    shops: readonly { id: string; connectedAt: Date }[],
    untilHour: number,
  ): Promise<Map<string, SeenHours & { orders: Uint32Array }>> {
    const firstHour = untilHour - HISTORY_HOURS;
    const firstDay = new Date(firstHour * HOUR_MS).toISOString().slice(0, 10);
    const histories = new Map<string, SeenHours & { orders: Uint32Array }>();
    for (let start = 0; start < shops.length; start += SHOPS_PER_READ) {
      const some = shops.slice(start, start + SHOPS_PER_READ);
      for (const { id, connectedAt } of some) {
        const from = Math.min(untilHour, Math.max(firstHour, Math.ceil(connectedAt.getTime() / HOUR_MS)));
        histories.set(id, { firstHour: from, orders: new Uint32Array(untilHour - from) });
      }
      const days = await this.database.rows<{ shop_id: string; day: string; orders: number[] }>(READ_DAYS, [
        some.map(({ id }) => id),
        firstDay,
      ]);
      for (const { shop_id, day, orders } of days) {
        const history = histories.get(shop_id);
        if (!history) continue;
        const dayHour = Date.parse(day) / HOUR_MS;
        orders.forEach((count, hour) => {
          const index = dayHour + hour - history.firstHour;
          if (index >= 0 && index < history.orders.length) history.orders[index] = count;
        });
      }
    }
    return histories;
  }

  /** @param shopIds omitted = all */
  last(shopIds?: readonly string[]): Promise<LastOrder[]> {
    return this.database.rows<LastOrder & Record<string, unknown>>(READ_LAST, [shopIds ?? null]);
  }

  /** @param since by shop; `null` = it is not silent */
  async mark(since: ReadonlyMap<string, Date | null>): Promise<void> {
    if (since.size === 0) return;
    await this.database.query(MARK, [[...since.keys()], [...since.values()]]);
  }

  async forget(nowAt: Date): Promise<void> {
    const day = new Date(nowAt.getTime() - HISTORY_HOURS * HOUR_MS - 2 * DAY_MS).toISOString().slice(0, 10);
    await this.database.query(FORGET, [day]);
  }
}
