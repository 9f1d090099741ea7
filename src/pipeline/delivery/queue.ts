import { storableText, type Database, type Queryable, type Statement } from '../../kernel/database.js';
import { KIND_CODES, kindOf, type Kind } from '../contract.js';
import type { Lane, LaneKey } from './lane.js';

/** A claimed delivery: ours until `lease` runs out. */
export interface Claim extends LaneKey {
  kind: Kind;
  subjectId: string;
  id: string;
  orderId: string;
  ledgerDay: string;
  version: string;
  segmentDay: string;
  streamId: number;
  segmentSeq: string;
  entry: number;
  queuedAt: Date;
  /** Its place in the lane before the claim. */
  dueAt: Date;
  /** This claim's own, no other row's and no other claim's. */
  lease: string;
  /** Where the row lay right after the claim (PostgreSQL's ctid). It is elsewhere as soon as anybody changes it. */
  atRow: string;
  /** Tries before this one. */
  attempts: number;
  /** An earlier claim ended without a word: its try may have taken effect. */
  orphaned: boolean;
  /** How many claims in a row were lost. An event that brings down its process would be claimed for ever. */
  losses: number;
}

/** 3 × the longest a claimed batch can take (10 s send, 1.5 s enrichment, one queue turn); shorter delivers twice. */
const LEASE_MS = 40_000;

/**
 * Claims due rows of several lanes at once, the oldest first in each.
 *
 * Locks: the picked rows, skipping what another worker has locked; two workers cannot both win a row, and a row with a
 * lease is passed by until the lease has run out. A claim changes no indexed column, so it costs no index entry.
 * Index: delivery_lane, walked from each lane's floor. Without the floor every claim would walk the dead entries of
 * all rows claimed before, which a long snapshot elsewhere keeps from being cleaned up (measured: 4 × slower).
 * `orphaned` is set from what the row was before: a lease that is still there was never settled.
 */
const CLAIM_DUE: Statement = {
  name: 'claim-due',
  text: `
with picked as materialized (
  select d.ctid as at_row
    from unnest($1::bigint[], $2::integer[], $3::timestamptz[], $4::bigint[], $5::integer[])
           as w(shop_id, destination_id, floor_due, floor_id, most)
   cross join lateral (
     select ctid from pipeline.delivery d
      where d.shop_id = w.shop_id and d.destination_id = w.destination_id
        and (d.due_at, d.id) > (w.floor_due, w.floor_id) and d.due_at <= $6
        and (d.lease is null or d.lease_until <= $6)
      order by d.due_at, d.id
      limit w.most
        for update skip locked) d
)
update pipeline.delivery d
   set lease = nextval('pipeline.lease_token'), lease_until = $7, orphaned = (d.lease is not null),
       losses = d.losses + (d.lease is not null)::integer
 where d.ctid = any (array(select at_row from picked))
returning d.ctid::text as at_row, d.shop_id, d.destination_id, d.kind, d.subject_id, d.id,
          nullif(d.order_id, d.subject_id) as order_id, d.ledger_day::text, d.version,
          nullif(d.segment_day, d.ledger_day)::text as segment_day, d.stream_id, d.segment_seq, d.entry, d.queued_at,
          nullif(d.due_at, d.queued_at) as due_at, d.lease, d.attempts, d.orphaned, d.losses`,
};

interface ClaimRow extends Record<string, unknown> {
  at_row: string;
  shop_id: string;
  destination_id: number;
  kind: number;
  subject_id: string;
  id: string;
  // What a column has in common with another is not said twice: printing and reading is much of what a claim costs.
  /** `null` = as subject_id */
  order_id: string | null;
  ledger_day: string;
  version: string;
  /** `null` = as ledger_day */
  segment_day: string | null;
  stream_id: number;
  segment_seq: string;
  entry: number;
  queued_at: Date;
  /** `null` = as queued_at */
  due_at: Date | null;
  lease: string;
  attempts: number;
  orphaned: boolean;
  losses: number;
}

/** @param wants lanes with the most rows each may take */
export async function claimDue(
  database: Queryable,
  wants: readonly { lane: Lane; most: number }[],
  nowMs: number,
): Promise<Claim[]> {
  const { rows } = await database.query<ClaimRow>(CLAIM_DUE, [
    wants.map(({ lane }) => lane.key.shopId),
    wants.map(({ lane }) => lane.key.destinationId),
    wants.map(({ lane }) => lane.floor.dueAt.toISOString()),
    wants.map(({ lane }) => lane.floor.id),
    wants.map(({ most }) => most),
    new Date(nowMs),
    new Date(nowMs + LEASE_MS),
  ]);
  return rows
    .map((row) => ({
      atRow: row.at_row,
      shopId: row.shop_id,
      destinationId: row.destination_id,
      kind: kindOf(row.kind),
      subjectId: row.subject_id,
      id: row.id,
      orderId: row.order_id ?? row.subject_id,
      ledgerDay: row.ledger_day,
      version: row.version,
      segmentDay: row.segment_day ?? row.ledger_day,
      streamId: row.stream_id,
      segmentSeq: row.segment_seq,
      entry: row.entry,
      queuedAt: row.queued_at,
      dueAt: row.due_at ?? row.queued_at,
      lease: row.lease,
      attempts: row.attempts,
      orphaned: row.orphaned,
      losses: row.losses,
    }))
    .sort((a, b) => a.dueAt.getTime() - b.dueAt.getTime() || compareIds(a.id, b.id));
}

function compareIds(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

/**
 * Every lane that holds anything, with the earliest due time of what nobody holds: a skip scan, one index probe a lane instead of a walk
 * over the backlog.
 */
const FIND_LANES: Statement = {
  name: 'find-lanes',
  text: `
with recursive lane as (
  (select shop_id, destination_id from pipeline.delivery order by shop_id, destination_id limit 1)
  union all
  select n.shop_id, n.destination_id
    from lane
   cross join lateral (
     select d.shop_id, d.destination_id from pipeline.delivery d
      where (d.shop_id, d.destination_id) > (lane.shop_id, lane.destination_id)
      order by d.shop_id, d.destination_id limit 1) n
)
select lane.shop_id, lane.destination_id,
       (select d.due_at from pipeline.delivery d
         where d.shop_id = lane.shop_id and d.destination_id = lane.destination_id
           and (d.lease is null or d.lease_until <= $1)
         order by d.due_at, d.id limit 1) as due_at,
       s.since, s.retry_at, s.last_error
  from lane
  left join pipeline.lane s
    on s.shop_id = lane.shop_id and s.destination_id = lane.destination_id and s.state = 'open'`,
};

export interface FoundLane extends LaneKey {
  /** `null` = everything in it is under way. */
  dueAt: Date | null;
  /** What is known of an open breaker, by any process. */
  open: { since: Date; retryAt: Date; lastError: string | null } | null;
}

export async function findLanes(database: Queryable, nowMs: number): Promise<FoundLane[]> {
  const { rows } = await database.query<{
    shop_id: string;
    destination_id: number;
    due_at: Date | null;
    since: Date | null;
    retry_at: Date | null;
    last_error: string | null;
  }>(FIND_LANES, [new Date(nowMs)]);
  return rows.map((row) => ({
    shopId: row.shop_id,
    destinationId: row.destination_id,
    dueAt: row.due_at,
    open: row.since && row.retry_at ? { since: row.since, retryAt: row.retry_at, lastError: row.last_error } : null,
  }));
}

/** Gives claims back untried, at their old place by age. */
const RELEASE = `
update pipeline.delivery d set lease = null, due_at = d.queued_at
  from unnest($1::bigint[], $2::integer[], $3::smallint[], $4::text[], $5::bigint[])
         as i(shop_id, destination_id, kind, subject_id, lease)
 where d.shop_id = i.shop_id and d.destination_id = i.destination_id and d.kind = i.kind
   and d.subject_id = i.subject_id and abs(d.lease) = i.lease`;

export async function release(database: Queryable, claims: readonly Claim[]): Promise<void> {
  if (claims.length === 0) return;
  await database.query(RELEASE, [
    claims.map((c) => c.shopId),
    claims.map((c) => c.destinationId),
    claims.map((c) => KIND_CODES[c.kind]),
    claims.map((c) => c.subjectId),
    claims.map((c) => c.lease),
  ]);
}

/**
 * After an outage: what was tried during it returns to its place by age, so that the lane drains oldest first.
 * Bounded by what was tried, which an open breaker keeps small.
 */
const RESTORE_AGE_ORDER = `
update pipeline.delivery set due_at = queued_at
 where shop_id = $1 and destination_id = $2 and lease is null and attempts > 0 and due_at > queued_at`;

const REMEMBER_LANE = `
insert into pipeline.lane (shop_id, destination_id, state, since, retry_at, failures, last_error)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (shop_id, destination_id) do update set
  state = excluded.state, since = excluded.since, retry_at = excluded.retry_at, failures = excluded.failures,
  last_error = excluded.last_error`;

/** Writes a lane's breaker where people and other processes see it. */
export async function rememberLane(database: Database, lane: Lane, nowMs: number): Promise<void> {
  await database.query(REMEMBER_LANE, [
    lane.key.shopId,
    lane.key.destinationId,
    lane.state,
    lane.openSince ?? new Date(nowMs),
    lane.retryAt,
    lane.consecutiveFailures,
    storableText(lane.lastError),
  ]);
}

export async function restoreAgeOrder(database: Database, key: LaneKey): Promise<void> {
  await database.query(RESTORE_AGE_ORDER, [key.shopId, key.destinationId]);
}
