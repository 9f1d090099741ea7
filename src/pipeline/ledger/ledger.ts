import { storableText, type Queryable } from '../../kernel/database.js';
import { KIND_CODES, STATE_CODES, type Kind, type PayloadPointer, type State } from '../contract.js';
import type { Obligation } from '../router/plan.js';

const { expected, queued, accepted, confirmed, ignored, failed, missing, unconfirmable } = STATE_CODES;

/**
 * Writes a batch of obligations: the ledger's row, the delivery's row and the fact, in one statement and so in one
 * commit. With one and not the other an order could vanish and the count would still agree with itself (invariant 4).
 *
 * What changes an existing row: a newer version; a due fact where one was only expected; and, when `requeue`, an
 * obligation that ended badly. Everything else is a repeat and changes nothing (invariants 3 and 8).
 *
 * Locks: the ledger rows of the batch in key order (the caller sorts), then their delivery rows. Index: the primary
 * keys. Two routers cannot both win: the second waits for the first's row and then sees its version.
 */
function planStatement(requeue: boolean): string {
  return `
with input as (
  select * from unnest(
    $1::bigint[], $2::text[], $3::smallint[], $4::integer[], $5::date[], $6::text[], $7::bigint[], $8::smallint[],
    $9::text[], $10::timestamptz[], $11::timestamptz[], $12::date[], $13::integer[], $14::bigint[], $15::integer[],
    $16::text[]
  ) with ordinality as i (
    shop_id, subject_id, kind, destination_id, day, order_id, version, state,
    reason, occurred_at, logged_at, segment_day, stream_id, segment_seq, entry,
    webhook_id, ord)
),
applied as (
  insert into pipeline.ledger as l (
    shop_id, subject_id, kind, destination_id, day, order_id, version, state, reason, occurred_at, logged_at,
    queued_at, updated_at, segment_day, stream_id, segment_seq, entry)
  select shop_id, subject_id, kind, destination_id, day, order_id, version, state, reason, occurred_at, logged_at,
         case when state = ${queued} then $17::timestamptz end, $17, segment_day, stream_id, segment_seq, entry
    from input order by ord
  on conflict (shop_id, subject_id, kind, destination_id, day) do update set
    version = excluded.version, state = excluded.state, reason = excluded.reason,
    occurred_at = excluded.occurred_at, logged_at = excluded.logged_at, queued_at = excluded.queued_at,
    accepted_at = null, confirmed_at = null, attempts = 0, updated_at = excluded.updated_at,
    segment_day = excluded.segment_day, stream_id = excluded.stream_id, segment_seq = excluded.segment_seq,
    entry = excluded.entry
  where excluded.version > l.version
     or (l.state = ${expected} and excluded.state <> ${expected} and excluded.version >= l.version)
     ${requeue ? `or (l.state in (${failed}, ${missing}, ${unconfirmable}) and excluded.version >= l.version)` : ''}
  returning shop_id, subject_id, kind, destination_id
),
effective as materialized (
  select i.* from input i join applied using (shop_id, subject_id, kind, destination_id)
),
enqueued as (
  insert into pipeline.delivery as d (
    shop_id, destination_id, kind, subject_id, order_id, ledger_day, version, segment_day, stream_id, segment_seq,
    entry, queued_at, due_at)
  select shop_id, destination_id, kind, subject_id, order_id, day, version, segment_day, stream_id, segment_seq,
         entry, $17, $17
    from effective where state = ${queued} order by ord
  on conflict (shop_id, destination_id, kind, subject_id) do update set
    version = excluded.version, segment_day = excluded.segment_day, stream_id = excluded.stream_id,
    segment_seq = excluded.segment_seq, entry = excluded.entry, attempts = 0,
    -- The newer version has its own 72 hours: what the older one used up says nothing about it.
    queued_at = excluded.queued_at,
    -- Under way: its worker finds the newer version when it settles, and leaves the row for it.
    due_at = case when d.lease is null then excluded.due_at else d.due_at end
  where d.version < excluded.version
  returning shop_id, destination_id, kind, subject_id, (xmax <> 0) as replaced
),
facts as (
  insert into pipeline.ledger_fact
    (shop_id, subject_id, kind, destination_id, day, at, version, state, reason, webhook_id)
  select shop_id, subject_id, kind, destination_id, ($17::timestamptz at time zone 'UTC')::date, $17, version, state,
         reason, webhook_id
    from effective
  union all
  select shop_id, subject_id, kind, destination_id, ($17::timestamptz at time zone 'UTC')::date, $17, e.version,
         ${ignored}, 'superseded', null
    from enqueued join effective e using (shop_id, destination_id, kind, subject_id) where replaced
)
select ord::integer as ord from effective`;
}

const PLAN = planStatement(false);
const PLAN_REQUEUE = planStatement(true);

/**
 * Writes the obligations of a batch into the ledger and the delivery queue.
 *
 * @param obligations folded (one a key) and sorted by key
 * @param requeue true for replays and reconciliation: an obligation that failed or went missing starts again
 * @returns the obligations that had an effect; the others were repeats or older than what is known
 */
export async function planObligations(
  database: Queryable,
  obligations: readonly Obligation[],
  nowAt: Date,
  requeue = false,
): Promise<Obligation[]> {
  if (obligations.length === 0) return [];
  const { rows } = await database.query<{ ord: number }>(requeue ? PLAN_REQUEUE : PLAN, [
    obligations.map((o) => o.shopId),
    obligations.map((o) => o.event.subjectId),
    obligations.map((o) => KIND_CODES[o.event.kind]),
    obligations.map((o) => o.destinationId),
    obligations.map((o) => o.event.ledgerDay),
    obligations.map((o) => o.event.orderId),
    obligations.map((o) => o.event.version),
    obligations.map((o) => STATE_CODES[o.plan.state]),
    obligations.map((o) => o.plan.reason),
    obligations.map((o) => o.event.occurredAt),
    obligations.map((o) => new Date(o.loggedAtMs).toISOString()),
    obligations.map((o) => o.pointer.segmentDay),
    obligations.map((o) => o.pointer.streamId),
    obligations.map((o) => o.pointer.segmentSeq),
    obligations.map((o) => o.pointer.entry),
    obligations.map((o) => o.webhookId),
    nowAt,
  ]);
  return rows.map((row) => obligations[row.ord - 1] as Obligation);
}

/** Purchases that were left out, with the reason, for the refunds that follow them. Index: the primary key's prefix. */
const LEFT_OUT = `
select l.shop_id, l.subject_id, l.destination_id, l.reason
  from unnest($1::bigint[], $2::text[]) as i(shop_id, subject_id)
  join pipeline.ledger l on l.shop_id = i.shop_id and l.subject_id = i.subject_id
 where l.kind = ${KIND_CODES.purchase} and l.state = ${ignored}`;

/** @returns reason by `shop/order/destination` */
export async function ordersLeftOut(
  database: Queryable,
  orders: readonly { shopId: string; orderId: string }[],
): Promise<Map<string, string>> {
  if (orders.length === 0) return new Map();
  const { rows } = await database.query<{
    shop_id: string;
    subject_id: string;
    destination_id: number;
    reason: string | null;
  }>(LEFT_OUT, [orders.map((o) => o.shopId), orders.map((o) => o.orderId)]);
  return new Map(
    rows.map((row) => [`${row.shop_id}/${row.subject_id}/${row.destination_id}`, row.reason ?? 'ignored']),
  );
}

/** Where an order's purchase lies in the inbox, whichever destination it was for. Index: the primary key's prefix. */
const PURCHASE_POINTER = `
select segment_day::text, stream_id, segment_seq, entry from pipeline.ledger
 where shop_id = $1 and subject_id = $2 and kind = ${KIND_CODES.purchase} limit 1`;

/** @returns `null` when no webhook of the order has been seen */
export async function purchasePointer(
  database: Queryable,
  shopId: string,
  orderId: string,
): Promise<PayloadPointer | null> {
  const { rows } = await database.query<{
    segment_day: string;
    stream_id: number;
    segment_seq: string;
    entry: number;
  }>(PURCHASE_POINTER, [shopId, orderId]);
  const [row] = rows;
  return row
    ? { segmentDay: row.segment_day, streamId: row.stream_id, segmentSeq: row.segment_seq, entry: row.entry }
    : null;
}

/** One obligation's key and the version that was under way. */
export interface ObligationRef {
  shopId: string;
  subjectId: string;
  kind: Kind;
  destinationId: number;
  ledgerDay: string;
  orderId: string;
  version: string;
}

/** What one attempt came to, as the ledger and the queue must know it together. */
export interface Settlement extends ObligationRef {
  /** Token of the claim; a row that somebody else holds by now is left to them. */
  lease: string;
  /** The state reached. `queued` = to be tried again at `dueAt`. */
  state: Extract<State, 'queued' | 'accepted' | 'confirmed' | 'failed' | 'unconfirmable'>;
  reason: string | null;
  detail: string | null;
  attempt: number;
  durationMs: number;
  at: Date;
  dueAt: Date | null;
  segmentDay: string;
  streamId: number;
  segmentSeq: string;
  entry: number;
  queuedAt: Date;
}

/**
 * Ends or re-schedules a batch of claims, and writes the ledger and the facts, in one statement.
 *
 * A delivery row leaves when its attempt ended for good and no newer version has been written over it meanwhile; with
 * a newer one it stays and is due at once. The ledger follows only where it does not already know a newer version
 * (invariant 8). What was accepted stays accepted although the lease was lost: the destination did answer 2xx.
 *
 * Locks: delivery rows by primary key, then ledger rows by primary key. A row is deleted or updated by exactly one of
 * the three branches, because their conditions exclude each other.
 */
const SETTLE = `
with input as (
  select * from unnest(
    $1::bigint[], $2::text[], $3::smallint[], $4::integer[], $5::date[], $6::text[], $7::bigint[], $8::bigint[],
    $9::smallint[], $10::text[], $11::text[], $12::integer[], $13::integer[], $14::timestamptz[], $15::timestamptz[],
    $16::date[], $17::integer[], $18::bigint[], $19::integer[], $20::timestamptz[]
  ) with ordinality as i (
    shop_id, subject_id, kind, destination_id, day, order_id, version, lease,
    state, reason, detail, attempt, duration_ms, at, due_at,
    segment_day, stream_id, segment_seq, entry, queued_at, ord)
),
finished as (
  delete from pipeline.delivery d using input i
   where d.shop_id = i.shop_id and d.destination_id = i.destination_id and d.kind = i.kind
     and d.subject_id = i.subject_id and d.lease = i.lease and d.version = i.version and i.state <> ${queued}
),
waiting as (
  update pipeline.delivery d
     set lease = null,
         due_at = case when d.version = i.version then i.due_at else i.at end,
         attempts = case when d.version = i.version then i.attempt else 0 end
    from input i
   where d.shop_id = i.shop_id and d.destination_id = i.destination_id and d.kind = i.kind
     and d.subject_id = i.subject_id and d.lease = i.lease and (d.version > i.version or i.state = ${queued})
),
ledger as (
  insert into pipeline.ledger as l (
    shop_id, subject_id, kind, destination_id, day, order_id, version, state, reason, occurred_at, logged_at,
    queued_at, accepted_at, confirmed_at, updated_at, attempts, segment_day, stream_id, segment_seq, entry)
  select shop_id, subject_id, kind, destination_id, day, order_id, version, state, reason, queued_at, queued_at,
         queued_at, case when state in (${accepted}, ${confirmed}) then at end,
         case when state = ${confirmed} then at end, at, attempt, segment_day, stream_id, segment_seq, entry
    from input order by shop_id, subject_id, kind, destination_id
  on conflict (shop_id, subject_id, kind, destination_id, day) do update set
    state = excluded.state, reason = excluded.reason, attempts = excluded.attempts,
    accepted_at = coalesce(l.accepted_at, excluded.accepted_at),
    confirmed_at = coalesce(l.confirmed_at, excluded.confirmed_at),
    updated_at = excluded.updated_at
  where l.version = excluded.version
    and (l.state not in (${accepted}, ${confirmed}) or excluded.state = ${confirmed})
    -- A try whose lease was lost may end after its row has been buried: "queued" would then have no row behind it.
    and (excluded.state <> ${queued} or l.state = ${queued})
)
insert into pipeline.ledger_fact
  (shop_id, subject_id, kind, destination_id, day, at, version, state, reason, detail, attempt, duration_ms)
select shop_id, subject_id, kind, destination_id, (at at time zone 'UTC')::date, at, version, state, reason, detail,
       attempt, duration_ms
  from input`;

/** Settles a batch. At most one settlement an obligation in a batch (the claim guarantees it). */
export async function settle(database: Queryable, settlements: readonly Settlement[]): Promise<void> {
  if (settlements.length === 0) return;
  await database.query(SETTLE, [
    settlements.map((s) => s.shopId),
    settlements.map((s) => s.subjectId),
    settlements.map((s) => KIND_CODES[s.kind]),
    settlements.map((s) => s.destinationId),
    settlements.map((s) => s.ledgerDay),
    settlements.map((s) => s.orderId),
    settlements.map((s) => s.version),
    settlements.map((s) => s.lease),
    settlements.map((s) => STATE_CODES[s.state]),
    settlements.map((s) => s.reason),
    settlements.map((s) => storableText(s.detail)),
    settlements.map((s) => s.attempt),
    settlements.map((s) => Math.round(s.durationMs)),
    settlements.map((s) => s.at.toISOString()),
    settlements.map((s) => s.dueAt?.toISOString() ?? null),
    settlements.map((s) => s.segmentDay),
    settlements.map((s) => s.streamId),
    settlements.map((s) => s.segmentSeq),
    settlements.map((s) => s.entry),
    settlements.map((s) => s.queuedAt.toISOString()),
  ]);
}
