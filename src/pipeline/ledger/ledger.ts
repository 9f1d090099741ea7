import type { Queryable, Statement } from '../../kernel/database.js';
import { invariant } from '../../kernel/errors.js';
import { KIND_CODES, STATE_CODES, kindOf, type PayloadPointer } from '../contract.js';
import { obligationKey, type Obligation } from '../router/plan.js';

const { expected, queued, ignored, failed, missing, unconfirmable } = STATE_CODES;

/**
 * Writes a batch of obligations: the ledger's row and the delivery's row in one statement, and so in one commit. With one and not the other an order could vanish and the count would still agree with itself (invariant 4).
 *
 * What changes an existing row: a newer version; a due fact where one was only expected; and, when `requeue`, an
 * obligation that ended badly. Everything else is a repeat and changes nothing (invariants 3 and 8).
 *
 * An obligation that starts again has been due since it first was; only a newer version is due anew.
 *
 * Locks: the ledger rows of the batch in key order (the caller sorts), then their delivery rows. Index: the primary
 * keys. Two routers cannot both win: the second waits for the first's row and then sees its version.
 */
function planStatement(name: string, requeue: boolean): Statement {
  return {
    name,
    text: `
with input as (
  select * from unnest(
    $1::bigint[], $2::text[], $3::smallint[], $4::integer[], $5::date[], $6::text[], $7::bigint[], $8::smallint[],
    $9::text[], $10::timestamptz[], $11::timestamptz[], $12::date[], $13::integer[], $14::bigint[], $15::integer[],
    $17::timestamptz[], $18::timestamptz[], $19::timestamptz[]
  ) with ordinality as i (
    shop_id, subject_id, kind, destination_id, day, order_id, version, state,
    reason, occurred_at, logged_at, segment_day, stream_id, segment_seq, entry, due_at, sold_at, seen_at,
    ord)
),
applied as (
  insert into pipeline.ledger as l (
    shop_id, subject_id, kind, destination_id, day, order_id, version, state, reason, occurred_at, logged_at,
    queued_at, updated_at, segment_day, stream_id, segment_seq, entry, due_at, sold_at, seen_at)
  select shop_id, subject_id, kind, destination_id, day, order_id, version, state, reason, occurred_at, logged_at,
         case when state = ${queued} then $16::timestamptz end, $16, segment_day, stream_id, segment_seq, entry,
         due_at, sold_at, seen_at
    from input order by ord
  on conflict (shop_id, subject_id, kind, destination_id, day) do update set
    version = excluded.version, state = excluded.state, reason = excluded.reason,
    occurred_at = excluded.occurred_at, logged_at = excluded.logged_at, queued_at = excluded.queued_at,
    accepted_at = null, confirmed_at = null, attempts = 0, updated_at = excluded.updated_at,
    segment_day = excluded.segment_day, stream_id = excluded.stream_id, segment_seq = excluded.segment_seq,
    entry = excluded.entry, sold_at = excluded.sold_at,
    due_at = case when excluded.version > l.version then excluded.due_at else coalesce(l.due_at, excluded.due_at) end
  where excluded.version > l.version
     or (l.state = ${expected} and excluded.state <> ${expected} and excluded.version >= l.version)
     ${requeue ? `or (l.state in (${failed}, ${missing}, ${unconfirmable}) and excluded.version >= l.version)` : ''}
  returning shop_id, subject_id, kind, destination_id, day, order_id, version, state, segment_day, stream_id,
            segment_seq, entry
),
enqueued as (
  -- From what the ledger took, not from the input: no join that could be planned badly.
  insert into pipeline.delivery as d (
    shop_id, destination_id, kind, subject_id, order_id, ledger_day, version, segment_day, stream_id, segment_seq,
    entry, queued_at, due_at)
  select shop_id, destination_id, kind, subject_id, order_id, day, version, segment_day, stream_id, segment_seq,
         entry, $16, $16
    from applied where state = ${queued}
  on conflict (shop_id, destination_id, kind, subject_id) do update set
    version = excluded.version, segment_day = excluded.segment_day, stream_id = excluded.stream_id,
    segment_seq = excluded.segment_seq, entry = excluded.entry, attempts = 0,
    -- The newer version has its own 72 hours: what the older one used up says nothing about it.
    queued_at = excluded.queued_at, due_at = excluded.due_at,
    -- One that is under way keeps its lease, so that the two never travel side by side; the sign tells its worker to
    -- leave the row when it settles.
    lease = -abs(d.lease)
  where d.version < excluded.version
  returning shop_id, subject_id, kind, destination_id, (xmax <> 0) as replaced
)
select shop_id, subject_id, kind, destination_id, false as replaced from applied
union all
select shop_id, subject_id, kind, destination_id, true from enqueued where replaced`,
  };
}

const PLAN = planStatement('plan', false);
const PLAN_REQUEUE = planStatement('plan-requeue', true);

/** Appends facts. Locks nothing but the new rows. */
const APPEND_FACTS: Statement = {
  name: 'append-facts',
  text: `
insert into pipeline.ledger_fact
  (shop_id, subject_id, kind, destination_id, version, state, reason, webhook_id, day, at)
select i.*, ($9::timestamptz at time zone 'UTC')::date, $9
  from unnest($1::bigint[], $2::text[], $3::smallint[], $4::integer[], $5::bigint[], $6::smallint[], $7::text[],
              $8::text[]) as i`,
};

/**
 * Writes the obligations of a batch into the ledger and the delivery queue, and the facts beside them.
 *
 * @param client in a transaction: the rows and their facts must commit together (invariant 4)
 * @param obligations folded (one a key) and sorted by key
 * @param requeue true for replays and reconciliation: an obligation that failed or went missing starts again
 * @returns the obligations that had an effect; the others were repeats or older than what is known
 */
export async function planObligations(
  client: Queryable,
  obligations: readonly Obligation[],
  nowAt: Date,
  requeue = false,
): Promise<Obligation[]> {
  if (obligations.length === 0) return [];
  const { rows } = await client.query<{
    shop_id: string;
    subject_id: string;
    kind: number;
    destination_id: number;
    replaced: boolean;
  }>(requeue ? PLAN_REQUEUE : PLAN, [
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
    obligations.map((o) => new Date(o.loggedAtMs)),
    obligations.map((o) => o.pointer.segmentDay),
    obligations.map((o) => o.pointer.streamId),
    obligations.map((o) => o.pointer.segmentSeq),
    obligations.map((o) => o.pointer.entry),
    nowAt,
    obligations.map((o) => (o.plan.state === 'expected' ? null : o.event.dueAt)),
    obligations.map((o) => o.event.createdAt),
    obligations.map((o) => (o.seenAtMs === null ? null : new Date(o.seenAtMs))),
  ]);
  const byKey = new Map(obligations.map((o) => [obligationKey(o), o]));
  const touched = rows.map((row) => {
    const event = { subjectId: row.subject_id, kind: kindOf(row.kind) };
    const obligation = byKey.get(obligationKey({ shopId: row.shop_id, destinationId: row.destination_id, event }));
    invariant(obligation, 'the ledger answered for an obligation it was not given', { row });
    return { obligation, replaced: row.replaced };
  });
  if (touched.length > 0) {
    await client.query(APPEND_FACTS, [
      touched.map(({ obligation: o }) => o.shopId),
      touched.map(({ obligation: o }) => o.event.subjectId),
      touched.map(({ obligation: o }) => KIND_CODES[o.event.kind]),
      touched.map(({ obligation: o }) => o.destinationId),
      touched.map(({ obligation: o }) => o.event.version),
      touched.map(({ obligation: o, replaced }) => (replaced ? ignored : STATE_CODES[o.plan.state])),
      touched.map(({ obligation: o, replaced }) => (replaced ? 'superseded' : o.plan.reason)),
      touched.map(({ obligation: o, replaced }) => (replaced ? null : o.webhookId)),
      nowAt,
    ]);
  }
  return touched.filter(({ replaced }) => !replaced).map(({ obligation }) => obligation);
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
