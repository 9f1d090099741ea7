import type { Queryable } from '../../kernel/database.js';
import { KIND_CODES, STATE_CODES, type HourCount, type SeenHour, type ShopHour } from '../contract.js';

const { expected, queued, accepted, confirmed, ignored, failed, missing, unconfirmable } = STATE_CODES;

/** Rows from before `sold_at` was kept go by when it happened for the business. */
const SOLD_AT = 'coalesce(l.sold_at, l.occurred_at)';

/** Index: ledger_times, which leaves out the stretches of each partition that have not changed since. */
const TOUCHED = `
select distinct l.shop_id::text as "shopId", date_trunc('hour', ${SOLD_AT}, 'UTC') as "hourAt"
  from pipeline.ledger l
 where l.updated_at >= $1 and l.updated_at < $2 and l.kind = ${KIND_CODES.purchase}`;

/**
 * Index: the primary key's prefix, in the partition of the hour's own day; and in that of subjects that have no
 * `created_at`. The days are bounds besides, so that the planner need not open every partition.
 */
const COUNTS = `
select i.shop_id::text as "shopId", i.hour as "hourAt", l.destination_id as "destinationId",
       count(*)::integer as logged,
       count(*) filter (where l.state <> ${expected})::integer as processed,
       count(*) filter (where l.state in (${accepted}, ${confirmed}))::integer as accepted,
       count(*) filter (where l.state = ${confirmed})::integer as confirmed,
       count(*) filter (where l.state = ${ignored})::integer as ignored,
       count(*) filter (where l.state in (${failed}, ${unconfirmable}))::integer as failed,
       count(*) filter (where l.state = ${missing})::integer as missing,
       count(*) filter (where
         case when l.state in (${accepted}, ${confirmed}) then l.accepted_at
              when l.state = ${queued} then $5::timestamptz end
         - coalesce(l.due_at, l.queued_at, l.logged_at) > make_interval(secs => $6))::integer as late,
       max(l.accepted_at) filter (where l.state = ${accepted}) as "unconfirmedAcceptedAt"
  from unnest($1::bigint[], $2::timestamptz[]) as i (shop_id, hour)
  join pipeline.ledger l
    on l.shop_id = i.shop_id and l.kind = ${KIND_CODES.purchase}
   and l.day in ((i.hour at time zone 'UTC')::date, '1970-01-01')
   and ${SOLD_AT} >= i.hour and ${SOLD_AT} < i.hour + interval '1 hour'
 where (l.day between $3 and $4 or l.day = '1970-01-01')
 group by i.shop_id, i.hour, l.destination_id`;

/**
 * An order is seen when its first webhook comes, for whichever destination. Index: ledger_times. An order that reached a
 * second destination later keeps the hour it was first seen in, because `seen_at` is the webhook's arrival.
 */
const SEEN = `
select shop_id::text as "shopId", date_trunc('hour', seen_at, 'UTC') as "hourAt", count(*)::integer as orders,
       max(seen_at) as "lastAt"
  from (
    select l.shop_id, l.subject_id, min(l.seen_at) as seen_at
      from pipeline.ledger l
     where l.seen_at >= $1 and l.seen_at < $2 and l.kind = ${KIND_CODES.purchase}
     group by l.shop_id, l.subject_id
  ) one
 group by 1, 2`;

/** Hours of which a purchase's row has changed in `[sinceAt, untilAt)`. */
export async function readTouchedHours(database: Queryable, sinceAt: Date, untilAt: Date): Promise<ShopHour[]> {
  return (await database.query<ShopHour & Record<string, unknown>>(TOUCHED, [sinceAt, untilAt])).rows;
}

export async function readHourCounts(
  database: Queryable,
  hours: readonly ShopHour[],
  { lateAfterMs, nowAt }: { lateAfterMs: number; nowAt: Date },
): Promise<HourCount[]> {
  if (hours.length === 0) return [];
  const days = hours.map(({ hourAt }) => hourAt.toISOString().slice(0, 10)).sort();
  const { rows } = await database.query<HourCount & Record<string, unknown>>(COUNTS, [
    hours.map(({ shopId }) => shopId),
    hours.map(({ hourAt }) => hourAt),
    days[0],
    days.at(-1),
    nowAt,
    lateAfterMs / 1_000,
  ]);
  return rows;
}

/** Of the arrivals in `[fromAt, toAt)`. */
export async function readOrdersSeen(database: Queryable, fromAt: Date, toAt: Date): Promise<SeenHour[]> {
  return (await database.query<SeenHour & Record<string, unknown>>(SEEN, [fromAt, toAt])).rows;
}
