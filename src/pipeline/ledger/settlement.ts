import { bigints, dates, instants, integers, smallints, texts, tids } from '../../kernel/binary-arrays.js';
import { storableText, type Queryable, type Statement } from '../../kernel/database.js';
import { KIND_CODES, STATE_CODES, type Kind, type State } from '../contract.js';

const { queued, accepted, confirmed } = STATE_CODES;

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
  /** The claim: its token, and where its row lay then. A row that somebody else holds by now is left to them. */
  lease: string;
  atRow: string;
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
 * The ledger follows an attempt only where it does not already know a newer version (invariant 8), never from accepted
 * back to anything else, and to `queued` only where a row is still behind it: a try whose lease was lost may end after
 * its row has been buried.
 */
const FOLLOW_LEDGER = `
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
    and (excluded.state <> ${queued} or l.state = ${queued})
  returning 1
),
facts as (
  insert into pipeline.ledger_fact
    (shop_id, subject_id, kind, destination_id, day, at, version, state, reason, detail, attempt, duration_ms)
  select shop_id, subject_id, kind, destination_id, (at at time zone 'UTC')::date, at, version, state, reason, detail,
         attempt, duration_ms
    from input
)`;

/**
 * Makes a statement write the ledger before it touches the queue, which is the order in which the router locks the two:
 * a router that supersedes what is being settled waits, and neither is thrown out by a deadlock.
 */
const AFTER_LEDGER = '(select count(*) from ledger) >= 0';

const INPUT = `
input as (
  select * from unnest(
    $1::bigint[], $2::text[], $3::smallint[], $4::integer[], $5::date[], $6::text[], $7::bigint[], $8::bigint[],
    $9::smallint[], $10::text[], $11::text[], $12::integer[], $13::integer[], $14::timestamptz[],
    $15::date[], $16::integer[], $17::bigint[], $18::integer[], $19::timestamptz[]
  ) as i (
    shop_id, subject_id, kind, destination_id, day, order_id, version, lease,
    state, reason, detail, attempt, duration_ms, at,
    segment_day, stream_id, segment_seq, entry, queued_at)
)`;

/**
 * Attempts that ended for good: the delivery's row leaves in the statement that writes the ledger (invariant 4).
 *
 * Found by where the claim put it, without any index. The lease, which is no other row's, guards the place: a newer
 * version turns its sign and another worker's claim replaces it, also in the moment in which this statement waits for
 * theirs, so neither is touched.
 */
const SETTLE_ENDED: Statement = {
  name: 'settle-ended',
  text: `
with ${INPUT},${FOLLOW_LEDGER},
finished as (
  delete from pipeline.delivery
   where ctid = any ($20::tid[]) and lease = any ($8::bigint[]) and ${AFTER_LEDGER}
  returning 1
)
select count(*)::integer as gone from finished`,
};

/** Attempts that will be repeated. */
const SETTLE_WAITING: Statement = {
  name: 'settle-waiting',
  text: `
with ${INPUT},${FOLLOW_LEDGER},
waiting as (
  update pipeline.delivery d
     set lease = null, losses = 0, due_at = case when d.version = i.version then i.due_at else i.at end,
         attempts = case when d.version = i.version then i.attempt else 0 end
    from (select input.*, due.due_at from input join unnest($8::bigint[], $20::timestamptz[]) as due (lease, due_at)
           using (lease)) i
   where d.shop_id = i.shop_id and d.destination_id = i.destination_id and d.kind = i.kind
     and d.subject_id = i.subject_id and abs(d.lease) = i.lease
     and ${AFTER_LEDGER}
)
select count(*) from input`,
};

/** A newer version came while the older one was under way: the row stays, for the newer one, due at once. */
const LEAVE_TO_NEWER: Statement = {
  name: 'leave-to-newer',
  text: `
update pipeline.delivery d set lease = null, due_at = $6, attempts = 0
  from unnest($1::bigint[], $2::integer[], $3::smallint[], $4::text[], $5::bigint[])
         as i(shop_id, destination_id, kind, subject_id, lease)
 where d.shop_id = i.shop_id and d.destination_id = i.destination_id and d.kind = i.kind
   and d.subject_id = i.subject_id and d.lease = -i.lease`,
};

/**
 * Ends or re-schedules a batch of claims, and writes the ledger and the facts.
 *
 * What was accepted stays accepted although the lease was lost: the destination did answer 2xx. A crash between the
 * statements leaves a row with its lease, which runs out.
 *
 * Locks: ledger rows by primary key, then delivery rows: the router's order.
 *
 * @param settlements at most one an obligation: PostgreSQL refuses to change a row twice in a statement
 */
export async function settle(database: Queryable, settlements: readonly Settlement[]): Promise<void> {
  const ended = settlements.filter((s) => s.state !== 'queued');
  const waiting = settlements.filter((s) => s.state === 'queued');
  if (ended.length > 0) {
    const { rows } = await database.query<{ gone: number }>(SETTLE_ENDED, [
      ...columnsOf(ended),
      tids(ended.map((s) => s.atRow)),
    ]);
    // Which ones stayed it finds by their leases: to be told costs a row an event, and hardly ever one has stayed.
    if (rows[0]?.gone !== ended.length) {
      await database.query(LEAVE_TO_NEWER, [
        bigints(ended.map((s) => s.shopId)),
        integers(ended.map((s) => s.destinationId)),
        smallints(ended.map((s) => KIND_CODES[s.kind])),
        texts(ended.map((s) => s.subjectId)),
        bigints(ended.map((s) => s.lease)),
        ended[0]?.at,
      ]);
    }
  }
  if (waiting.length > 0) {
    await database.query(SETTLE_WAITING, [...columnsOf(waiting), instants(waiting.map((s) => s.dueAt))]);
  }
}

function columnsOf(settlements: readonly Settlement[]): Buffer[] {
  return [
    bigints(settlements.map((s) => s.shopId)),
    texts(settlements.map((s) => s.subjectId)),
    smallints(settlements.map((s) => KIND_CODES[s.kind])),
    integers(settlements.map((s) => s.destinationId)),
    dates(settlements.map((s) => s.ledgerDay)),
    texts(settlements.map((s) => s.orderId)),
    bigints(settlements.map((s) => s.version)),
    bigints(settlements.map((s) => s.lease)),
    smallints(settlements.map((s) => STATE_CODES[s.state])),
    texts(settlements.map((s) => s.reason)),
    texts(settlements.map((s) => storableText(s.detail))),
    integers(settlements.map((s) => s.attempt)),
    integers(settlements.map((s) => Math.round(s.durationMs))),
    instants(settlements.map((s) => s.at)),
    dates(settlements.map((s) => s.segmentDay)),
    integers(settlements.map((s) => s.streamId)),
    bigints(settlements.map((s) => s.segmentSeq)),
    integers(settlements.map((s) => s.entry)),
    instants(settlements.map((s) => s.queuedAt)),
  ];
}
