import type { Database, Queryable } from '../../kernel/database.js';
import type { ShopHour } from '../../pipeline/contract.js';
import { HOUR_MS, type HourRow } from './hour-row.js';
import type { Span } from './sold-counts.js';

/** An hour of a shop that has to be counted anew. */
export interface DirtyHour extends ShopHour {
  /** A fact has come; otherwise only time has passed. */
  touched: boolean;
}

// Rows of whole hours replace what is there. Written only where they differ: most looks find what they found before.
// Locks: the rows of these hours in key order (the caller sorts). Index: the primary key. `computed_at` keeps a process
// that has just lost the lead, and read before its successor did, from overwriting what that one has written.
const REPLACE_HOURS = `
with input as (
  select * from unnest(
    $1::bigint[], $2::date[], $3::smallint[], $4::integer[], $5::integer[], $6::integer[], $7::integer[], $8::integer[],
    $9::integer[], $10::integer[], $11::integer[], $12::integer[], $13::integer[], $14::integer[], $15::integer[],
    $16::integer[], $17::integer[], $18::integer[], $19::boolean[], $20::timestamptz[], $21::timestamptz[],
    $22::timestamptz[]
  ) with ordinality as i (
    shop_id, day, hour, destination_id, sold, logged, processed, accepted, confirmed, ignored, failed, missing,
    recovered, late, lost_logged, lost_processed, lost_accepted, lost_received, confirmable, settles_at, settled_at,
    recheck_at, ord)
),
gone as (
  delete from monitoring.throughput t
   using (select * from unnest($24::bigint[], $25::date[], $26::smallint[]) as h (shop_id, day, hour)) h
   where t.shop_id = h.shop_id and t.day = h.day and t.hour = h.hour and t.computed_at <= $23
     and not exists (select 1 from input i where i.shop_id = t.shop_id and i.day = t.day and i.hour = t.hour
                        and i.destination_id = t.destination_id)
)
insert into monitoring.throughput as t (
  shop_id, day, hour, destination_id, sold, logged, processed, accepted, confirmed, ignored, failed, missing, recovered,
  late, lost_logged, lost_processed, lost_accepted, lost_received, confirmable, settles_at, settled_at, recheck_at,
  computed_at)
select shop_id, day, hour, destination_id, sold, logged, processed, accepted, confirmed, ignored, failed, missing,
       recovered, late, lost_logged, lost_processed, lost_accepted, lost_received, confirmable, settles_at, settled_at,
       recheck_at, $23::timestamptz
  from input order by ord
on conflict (shop_id, day, hour, destination_id) do update set
  sold = excluded.sold, logged = excluded.logged, processed = excluded.processed, accepted = excluded.accepted,
  confirmed = excluded.confirmed, ignored = excluded.ignored, failed = excluded.failed, missing = excluded.missing,
  recovered = excluded.recovered, late = excluded.late, lost_logged = excluded.lost_logged,
  lost_processed = excluded.lost_processed, lost_accepted = excluded.lost_accepted,
  lost_received = excluded.lost_received, confirmable = excluded.confirmable, settles_at = excluded.settles_at,
  settled_at = case when excluded.settled_at is not null then coalesce(t.settled_at, excluded.settled_at) end,
  recheck_at = excluded.recheck_at, computed_at = excluded.computed_at
where t.computed_at <= excluded.computed_at
  and (t.sold, t.logged, t.processed, t.accepted, t.confirmed, t.ignored, t.failed, t.missing, t.recovered, t.late,
       t.lost_logged, t.lost_processed, t.lost_accepted, t.lost_received, t.confirmable, t.settles_at, t.recheck_at,
       t.settled_at is null)
      is distinct from
      (excluded.sold, excluded.logged, excluded.processed, excluded.accepted, excluded.confirmed, excluded.ignored,
       excluded.failed, excluded.missing, excluded.recovered, excluded.late, excluded.lost_logged,
       excluded.lost_processed, excluded.lost_accepted, excluded.lost_received, excluded.confirmable,
       excluded.settles_at, excluded.recheck_at, excluded.settled_at is null)`;

/** @param hours all that were counted, those that came to no row among them; sorted @param rows sorted */
export async function replaceHours(
  database: Queryable,
  hours: readonly DirtyHour[],
  rows: readonly (HourRow & { recheckAt: Date | null })[],
  computedAt: Date,
): Promise<void> {
  await database.query(REPLACE_HOURS, [
    rows.map((row) => row.shopId),
    rows.map((row) => dayOf(row.hourAt)),
    rows.map((row) => row.hourAt.getUTCHours()),
    rows.map((row) => row.destinationId),
    rows.map((row) => row.sold),
    rows.map((row) => row.logged),
    rows.map((row) => row.processed),
    rows.map((row) => row.accepted),
    rows.map((row) => row.confirmed),
    rows.map((row) => row.ignored),
    rows.map((row) => row.failed),
    rows.map((row) => row.missing),
    rows.map((row) => row.recovered),
    rows.map((row) => row.late),
    rows.map((row) => row.lost.logged),
    rows.map((row) => row.lost.processed),
    rows.map((row) => row.lost.accepted),
    rows.map((row) => row.lost.received),
    rows.map((row) => row.confirmable),
    rows.map((row) => row.settlesAt),
    rows.map((row) => row.settledAt),
    rows.map((row) => row.recheckAt),
    computedAt,
    hours.map((hour) => hour.shopId),
    hours.map((hour) => dayOf(hour.hourAt)),
    hours.map((hour) => hour.hourAt.getUTCHours()),
  ]);
}

// Index: throughput_recheck.
const RECHECK = `
select distinct shop_id::text as shop_id, day::text as day, hour from monitoring.throughput where recheck_at <= $1`;

/** Hours in which orders waited and may have become late. */
export function hoursToRecheck(database: Database, nowAt: Date): Promise<ShopHour[]> {
  return hoursOf(database, RECHECK, [nowAt]);
}

// Index: throughput_unproved.
const NEWLY_PROVED = `
select distinct t.shop_id::text as shop_id, t.day::text as day, t.hour
  from unnest($1::bigint[], $2::integer[], $3::timestamptz[], $4::timestamptz[])
         as p (shop_id, destination_id, from_at, until_at)
  join monitoring.throughput t
    on t.shop_id = p.shop_id and t.destination_id = p.destination_id and t.sold is null
   and t.day >= (p.from_at at time zone 'UTC')::date and t.day <= (p.until_at at time zone 'UTC')::date
   and (t.day + make_interval(hours => t.hour)) at time zone 'UTC' >= p.from_at
   and (t.day + make_interval(hours => t.hour + 1)) at time zone 'UTC' <= p.until_at`;

/** What of a shop's proved time one destination is owed. */
export interface ProvedLink extends Span {
  shopId: string;
  destinationId: number;
}

/** Hours of which nobody knew what was sold, and which are covered now. */
export function hoursNewlyProved(database: Database, links: readonly ProvedLink[]): Promise<ShopHour[]> {
  if (links.length === 0) return Promise.resolve([]);
  return hoursOf(database, NEWLY_PROVED, [
    links.map(({ shopId }) => shopId),
    links.map(({ destinationId }) => destinationId),
    links.map(({ fromAt }) => fromAt),
    links.map(({ untilAt }) => untilAt),
  ]);
}

const SETTLE_BATCH = 5_000;
// Index: throughput_settles. In batches, so that the locks of an hour in which all shops settle are short.
const SETTLE = `
with due as (
  select shop_id, day, hour, destination_id from monitoring.throughput
   where settled_at is null and settles_at <= $1 limit ${SETTLE_BATCH} for update skip locked
)
update monitoring.throughput t set settled_at = $1
  from due where (t.shop_id, t.day, t.hour, t.destination_id) = (due.shop_id, due.day, due.hour, due.destination_id)`;

/** What is due to settle settles. @returns rows */
export async function settleHours(database: Database, nowAt: Date, signal: AbortSignal): Promise<number> {
  for (let settled = 0; ;) {
    const { rowCount } = await database.query(SETTLE, [nowAt]);
    settled += rowCount ?? 0;
    if ((rowCount ?? 0) < SETTLE_BATCH || signal.aborted) return settled;
  }
}

async function hoursOf(database: Database, statement: string, values: readonly unknown[]): Promise<ShopHour[]> {
  const rows = await database.rows<{ shop_id: string; day: string; hour: number }>(statement, values);
  return rows.map(({ shop_id, day, hour }) => ({
    shopId: shop_id,
    hourAt: new Date(Date.parse(day) + hour * HOUR_MS),
  }));
}

export function dayOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}
