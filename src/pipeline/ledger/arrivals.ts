import type { Queryable } from '../../kernel/database.js';
import { KIND_CODES, STATE_CODES, type ArrivalMinute } from '../contract.js';

const { accepted, confirmed } = STATE_CODES;

/**
 * How long each took from being due to being accepted, as the place among the thresholds: 0 = within the first.
 * Partitions: all, because an old order can arrive today. Index: ledger_times, which leaves the pages of the window.
 */
const ARRIVALS = `
select l.destination_id as "destinationId", date_trunc('minute', l.accepted_at, 'UTC') as "minuteAt",
       width_bucket(1000 * extract(epoch from l.accepted_at - coalesce(l.due_at, l.queued_at, l.logged_at))::float8,
                    $3::float8[]) as place,
       count(*)::integer as count
  from pipeline.ledger l
 where l.kind = ${KIND_CODES.purchase} and l.state in (${accepted}, ${confirmed})
   and l.accepted_at >= $1 and l.accepted_at < $2
 group by 1, 2, 3`;

/** @param withinMs ascending */
export async function readArrivals(
  database: Queryable,
  fromAt: Date,
  toAt: Date,
  withinMs: readonly number[],
): Promise<ArrivalMinute[]> {
  // width_bucket counts a value that equals a bound as beyond it, and here it is still within.
  const bounds = withinMs.map((ms) => ms + 0.001);
  const { rows } = await database.query<{ destinationId: number; minuteAt: Date; place: number; count: number }>(
    ARRIVALS,
    [fromAt, toAt, bounds],
  );
  return [...Map.groupBy(rows, (row) => `${row.destinationId}/${row.minuteAt.getTime()}`).values()].flatMap((same) => {
    const [first] = same;
    if (!first) return [];
    const sum = (atLeast: number): number =>
      same.reduce((total, { place, count }) => total + (place >= atLeast ? count : 0), 0);
    return [
      {
        destinationId: first.destinationId,
        minuteAt: first.minuteAt,
        arrived: sum(0),
        beyond: withinMs.map((_, index) => sum(index + 1)),
      },
    ];
  });
}
