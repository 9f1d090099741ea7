import type { Queryable, Statement } from '../../kernel/database.js';
import { KIND_CODES, STATE_CODES, type HourCount, type SeenHour, type ShopHour } from '../contract.js';
import { dayLiteral } from './standings.js';

const { expected, queued, accepted, confirmed, ignored, failed, missing, unconfirmable } = STATE_CODES;
const HOUR_MS = 3_600_000;

/**
 * When an order was sold. Rows from before that was kept, and orders that do not say, count at the moment of their own
 * day that is nearest to when it happened: so each row is in one hour, and that hour is in the row's partition.
 */
const SOLD_AT = `
coalesce(l.sold_at, least(greatest(l.occurred_at, l.day::timestamp at time zone 'UTC'),
                          (l.day + 1)::timestamp at time zone 'UTC' - interval '1 microsecond'))`;

/** Partitions: all, because an old order can change today. Index: ledger_times, which leaves the pages of the window. */
const TOUCHED = `
select l.shop_id as "shopId", date_trunc('hour', ${SOLD_AT}, 'UTC') as "hourAt"
  from pipeline.ledger l
 where l.kind = ${KIND_CODES.purchase} and l.updated_at >= $1 and l.updated_at < $2
 group by 1, 2`;

export async function readTouchedHours(database: Queryable, sinceAt: Date, untilAt: Date): Promise<ShopHour[]> {
  return (await database.query<ShopHour & Record<string, unknown>>(TOUCHED, [sinceAt, untilAt])).rows;
}

/** Since when a purchase has been due; rows from before that was kept, since they were queued. */
const DUE_AT = `case when l.state <> ${expected} then coalesce(l.due_at, l.queued_at, l.logged_at) end`;
const LATE_AFTER = `$4::double precision * interval '1 millisecond'`;

/**
 * Partition: one, by the literal day. Index: ledger_times by the hours' span, or the primary key's prefix by the shops.
 */
const countStatement = (day: string): string => `
select l.shop_id as "shopId", date_trunc('hour', ${SOLD_AT}, 'UTC') as "hourAt", l.destination_id as "destinationId",
       count(*)::integer as logged,
       count(*) filter (where l.state <> ${expected})::integer as processed,
       count(*) filter (where l.state in (${accepted}, ${confirmed}))::integer as accepted,
       count(*) filter (where l.state = ${confirmed})::integer as confirmed,
       count(*) filter (where l.state = ${ignored})::integer as ignored,
       count(*) filter (where l.state in (${failed}, ${unconfirmable}))::integer as failed,
       count(*) filter (where l.state = ${missing})::integer as missing,
       count(*) filter (where case when l.state in (${accepted}, ${confirmed}) then l.accepted_at
                                   when l.state = ${queued} then $5::timestamptz end
                              - ${DUE_AT} > ${LATE_AFTER})::integer as late,
       max(l.accepted_at) filter (where l.state = ${accepted}) as "unconfirmedAcceptedAt"
  from pipeline.ledger l
 where l.day = ${dayLiteral(day)} and l.kind = ${KIND_CODES.purchase} and l.shop_id = any ($1::bigint[])
   and ((l.sold_at >= $2 and l.sold_at < $3) or l.sold_at is null)
 group by 1, 2, 3`;

/** Purchases of these hours, counted. One statement a day of the ledger. */
export async function readHourCounts(
  database: Queryable,
  hours: readonly ShopHour[],
  { lateAfterMs, nowAt }: { lateAfterMs: number; nowAt: Date },
): Promise<HourCount[]> {
  const counts: HourCount[] = [];
  for (const [day, ofDay] of Map.groupBy(hours, ({ hourAt }) => hourAt.toISOString().slice(0, 10))) {
    const wanted = new Set(ofDay.map(keyOf));
    const starts = ofDay.map(({ hourAt }) => hourAt.getTime());
    const { rows } = await database.query<HourCount & Record<string, unknown>>(countStatement(day), [
      [...new Set(ofDay.map(({ shopId }) => shopId))],
      new Date(starts.reduce((one, other) => Math.min(one, other), Infinity)),
      new Date(starts.reduce((one, other) => Math.max(one, other), -Infinity) + HOUR_MS),
      lateAfterMs,
      nowAt,
    ]);
    counts.push(...rows.filter((row) => wanted.has(keyOf(row))));
  }
  return counts;
}

function keyOf({ shopId, hourAt }: ShopHour): string {
  return `${shopId}/${hourAt.getTime()}`;
}

/**
 * Every destination that a shop has takes purchases, so the one with the most rows has one of each order; no order need
 * be told from another. Index: ledger_times, which leaves the pages of the window. Prepared: it is asked every minute,
 * and with a partition a day to plan it costs more than to answer it.
 */
const SEEN: Statement = {
  name: 'orders-seen',
  text: `
select "shopId", "hourAt", max(orders)::integer as orders, max(last_at) as "lastAt"
  from (select l.shop_id as "shopId", date_trunc('hour', l.seen_at, 'UTC') as "hourAt", l.destination_id,
               count(*) as orders, max(l.seen_at) as last_at
          from pipeline.ledger l
         where l.kind = ${KIND_CODES.purchase} and l.seen_at >= $1 and l.seen_at < $2
         group by 1, 2, 3) by_destination
 group by 1, 2`,
};

export async function readOrdersSeen(database: Queryable, fromAt: Date, toAt: Date): Promise<SeenHour[]> {
  return (await database.query<SeenHour & Record<string, unknown>>(SEEN, [fromAt, toAt])).rows;
}
