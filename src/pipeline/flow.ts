import type { Database } from '../kernel/database.js';
import {
  KIND_CODES,
  type ArrivalMinute,
  type FlowReader,
  type InboxLag,
  type LostCount,
  type QueueAge,
} from './contract.js';
import { readArrivals } from './ledger/arrivals.js';

/** Index: dead_letter_open. The same order's letters for one destination are one loss. */
const LOST = `
select d.destination_id as "destinationId", width_bucket(d.buried_at, $1::timestamptz[]) as place,
       count(distinct (d.shop_id, d.subject_id))::integer as count
  from pipeline.dead_letter d
 where d.replayed_at is null and d.kind = ${KIND_CODES.purchase} and d.destination_id is not null
   and d.buried_at >= $2
 group by 1, 2`;

/** The queue whole, as its gauges read it. What a disabled destination is not sent is parked, and not held up. */
const WAITING = `
select d.destination_id as "destinationId", width_bucket(d.queued_at, $1::timestamptz[]) as place,
       count(*)::integer as count
  from pipeline.delivery d join pipeline.destination t on t.id = d.destination_id and t.enabled
 where d.kind = ${KIND_CODES.purchase} and d.queued_at < $2
 group by 1, 2`;

/**
 * What is due and could go: its lane flows and its destination is enabled. It is as old as the latest of being due, of
 * its lane flowing again, and of its destination having been changed: what waited for those did not wait for us.
 */
const QUEUE_AGES = `
select d.destination_id as "destinationId", count(*)::integer as deliveries,
       min(greatest(d.due_at, l.since, t.updated_at)) as "oldestAt"
  from pipeline.delivery d
  join pipeline.destination t on t.id = d.destination_id and t.enabled
  left join pipeline.lane l using (shop_id, destination_id)
 where d.due_at <= $1 and l.state is distinct from 'open'
 group by 1 order by 1`;

const INBOX_LAG = `
select coalesce(sum(segment.entries), 0)::integer as entries, min(segment.appended_at) as "oldestAt"
  from pipeline.inbox_stream stream
  join pipeline.inbox_segment segment
    on segment.stream_id = stream.id and segment.day >= stream.cursor_day and segment.seq > stream.cursor_seq
 where stream.closed_at is null`;

interface Placed extends Record<string, unknown> {
  destinationId: number;
  place: number;
  count: number;
}

/** How orders flow, for whoever measures it. Reads only. */
export class PipelineFlow implements FlowReader {
  constructor(private readonly database: Database) {}

  arrivals(fromAt: Date, toAt: Date, withinMs: readonly number[]): Promise<ArrivalMinute[]> {
    return readArrivals(this.database, fromAt, toAt, withinMs);
  }

  async lostSince(sinceAts: readonly Date[]): Promise<LostCount[]> {
    const edges = ascending(sinceAts);
    const rows = await this.database.rows<Placed>(LOST, [edges, edges[0]]);
    // Place n lies at or after edge n - 1: a loss counts for each instant that it is not older than.
    return countsBy(rows, sinceAts, (place, at) => (edges[place - 1] ?? new Date(0)) >= at);
  }

  async waitingSince(sinceAts: readonly Date[]): Promise<LostCount[]> {
    const edges = ascending(sinceAts);
    const rows = await this.database.rows<Placed>(WAITING, [edges, edges.at(-1)]);
    // Place n lies before edge n.
    return countsBy(rows, sinceAts, (place, at) => (edges[place] ?? new Date(8.64e15)) <= at);
  }

  queueAges(nowAt: Date): Promise<QueueAge[]> {
    return this.database.rows<QueueAge & Record<string, unknown>>(QUEUE_AGES, [nowAt]);
  }

  async inboxLag(): Promise<InboxLag> {
    const [row] = await this.database.rows<InboxLag & Record<string, unknown>>(INBOX_LAG);
    return row ?? { entries: 0, oldestAt: null };
  }
}

function ascending(instants: readonly Date[]): Date[] {
  return [...instants].sort((one, other) => +one - +other);
}

function countsBy(
  rows: readonly Placed[],
  instants: readonly Date[],
  counts: (place: number, at: Date) => boolean,
): LostCount[] {
  return [...Map.groupBy(rows, ({ destinationId }) => destinationId)].map(([destinationId, ofOne]) => ({
    destinationId,
    counts: instants.map((at) => ofOne.reduce((sum, { place, count }) => sum + (counts(place, at) ? count : 0), 0)),
  }));
}
