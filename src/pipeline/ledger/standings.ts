import type { Queryable, Statement } from '../../kernel/database.js';
import { invariant } from '../../kernel/errors.js';
import { KIND_CODES, STATE_CODES, kindOf, stateOf, type Kind, type Standing, type State } from '../contract.js';

/** Rows from before `due_at` was kept were due when they were queued. */
const STANDING_COLUMNS = `
l.shop_id, l.subject_id, l.kind, l.destination_id, l.day::text as day, l.order_id, l.state, l.reason, l.version,
l.attempts, l.occurred_at, l.logged_at, l.queued_at, l.accepted_at, l.confirmed_at, l.updated_at,
case when l.state <> ${STATE_CODES.expected} then coalesce(l.due_at, l.queued_at, l.logged_at) end as due_at,
exists (select from pipeline.delivery d
         where d.shop_id = l.shop_id and d.destination_id = l.destination_id and d.kind = l.kind
           and d.subject_id = l.subject_id) as in_queue`;

interface StandingRow extends Record<string, unknown> {
  shop_id: string;
  subject_id: string;
  kind: number;
  destination_id: number;
  day: string;
  order_id: string;
  state: number;
  reason: string | null;
  version: string;
  attempts: number;
  occurred_at: Date;
  logged_at: Date;
  queued_at: Date | null;
  accepted_at: Date | null;
  confirmed_at: Date | null;
  updated_at: Date;
  due_at: Date | null;
  in_queue: boolean;
}

function standingOf(row: StandingRow): Standing {
  return {
    shopId: row.shop_id,
    subjectId: row.subject_id,
    kind: kindOf(row.kind),
    destinationId: row.destination_id,
    ledgerDay: row.day,
    orderId: row.order_id,
    state: stateOf(row.state),
    reason: row.reason,
    version: row.version,
    attempts: row.attempts,
    occurredAt: row.occurred_at,
    dueAt: row.due_at,
    loggedAt: row.logged_at,
    queuedAt: row.queued_at,
    acceptedAt: row.accepted_at,
    confirmedAt: row.confirmed_at,
    updatedAt: row.updated_at,
    inQueue: row.in_queue,
  };
}

/** A fact's place in the ledger; its destinations' rows lie side by side there. */
export interface FactKey {
  shopId: string;
  subjectId: string;
  kind: Kind;
  ledgerDay: string;
}

/** A day as a literal, so that the planner sees one partition. */
export function dayLiteral(day: string): string {
  invariant(/^\d{4}-\d\d-\d\d$/.test(day), 'a day of the ledger is no date', { day });
  return `date '${day}'`;
}

/** At most this many keys a statement. */
const KEYS_AT_ONCE = 1_000;

/**
 * What the ledger holds of these facts, at every destination. One short statement a day of the ledger and 1,000 facts.
 *
 * Index: the primary key's prefix, so the session must find rows by it (KEYED), however small or large the ledger is.
 */
export async function readStandings(database: Queryable, facts: readonly FactKey[]): Promise<Standing[]> {
  const standings: Standing[] = [];
  for (const [day, ofDay] of Map.groupBy(facts, ({ ledgerDay }) => ledgerDay)) {
    for (let at = 0; at < ofDay.length; at += KEYS_AT_ONCE) {
      const keys = ofDay.slice(at, at + KEYS_AT_ONCE);
      const { rows } = await database.query<StandingRow>(
        `select ${STANDING_COLUMNS}
           from unnest($1::bigint[], $2::text[], $3::smallint[]) as i (shop_id, subject_id, kind)
          cross join lateral (
            select * from pipeline.ledger l
             where l.day = ${dayLiteral(day)} and l.shop_id = i.shop_id and l.subject_id = i.subject_id
               and l.kind = i.kind
            offset 0) l -- one look-up a key, whatever the planner thinks`,
        [keys.map((f) => f.shopId), keys.map((f) => f.subjectId), keys.map((f) => KIND_CODES[f.kind])],
      );
      standings.push(...rows.map(standingOf));
    }
  }
  return standings;
}

/** Where `acceptedBetween` goes on: behind this row, in the order of acceptance. */
interface Place {
  at: Date;
  shopId: string;
  subjectId: string;
  kind: number;
}

/**
 * Partitions: all up to the window's last day, because an old order's refund is accepted today. Index: ledger_times,
 * which leaves the pages of the window. Read in steps of time, so that one page costs what it holds and not the window.
 * Prepared: it is asked all day, and with a partition a day to plan it costs more than to answer it.
 */
const ACCEPTED: Statement = {
  name: 'accepted-between',
  text: `
select ${STANDING_COLUMNS}
  from pipeline.ledger l
 where l.accepted_at >= $1 and l.accepted_at < $2 and l.destination_id = $3
   and l.state = any ($4::smallint[]) and l.kind = any ($5::smallint[])
   and ($6::bigint is null or l.shop_id = $6)
   and ($7::bigint is null or (l.accepted_at, l.shop_id, l.subject_id, l.kind) > ($1, $7, $8::text, $9::smallint))
 order by l.accepted_at, l.shop_id, l.subject_id, l.kind
 limit $10`,
};

const STEP_MIN_MS = 60_000;
const STEP_GROWTH = 4;
const STEP_GROWTH_WHEN_EMPTY = 16;

export async function readAcceptedBetween(
  database: Queryable,
  destinationId: number,
  fromAt: Date,
  toAt: Date,
  options: { shopId?: string; states: readonly State[]; kinds: readonly Kind[]; limit: number; after?: string },
): Promise<{ items: Standing[]; next: string | null }> {
  const items: Standing[] = [];
  let place = options.after === undefined ? null : parsePlace(options.after);
  let startMs = (place?.at ?? fromAt).getTime();
  let stepMs = STEP_MIN_MS;
  while (startMs < toAt.getTime() && items.length < options.limit) {
    const endMs = Math.min(startMs + stepMs, toAt.getTime());
    const left = options.limit - items.length;
    const { rows } = await database.query<StandingRow>(ACCEPTED, [
      new Date(startMs),
      new Date(endMs),
      destinationId,
      options.states.map((state) => STATE_CODES[state]),
      options.kinds.map((kind) => KIND_CODES[kind]),
      options.shopId ?? null,
      place?.shopId ?? null,
      place?.subjectId ?? null,
      place?.kind ?? null,
      left,
    ]);
    items.push(...rows.map(standingOf));
    place = null;
    if (rows.length < left) startMs = endMs;
    stepMs *= rows.length === 0 ? STEP_GROWTH_WHEN_EMPTY : STEP_GROWTH;
  }
  const last = items.at(-1);
  return { items, next: items.length === options.limit && last?.acceptedAt ? placeText(last) : null };
}

function placeText(standing: Standing): string {
  return [standing.acceptedAt?.getTime(), standing.shopId, KIND_CODES[standing.kind], standing.subjectId].join('/');
}

function parsePlace(text: string): Place {
  const [ms = '', shopId = '', kind = '', ...subject] = text.split('/');
  return { at: new Date(Number(ms)), shopId, kind: Number(kind), subjectId: subject.join('/') };
}
