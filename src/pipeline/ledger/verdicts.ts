import type { Clock } from '../../kernel/clock.js';
import { storableText, type Database } from '../../kernel/database.js';
import { KIND_CODES, STATE_CODES, type LedgerVerdicts, type ObligationKey } from '../contract.js';
import { dayLiteral } from './standings.js';

const { queued, accepted, confirmed, missing } = STATE_CODES;

const KEY = 'shop_id, subject_id, kind, destination_id';

/** What a verdict is passed on, and what it changes. SQL over `l`, a row of the ledger, and `$8`, the present. */
interface Change {
  may: string;
  set: string;
}

/**
 * Changes what stands in the ledger, with the fact of it, in one statement (invariants 4 and 11).
 *
 * Invariant: a verdict is about the row that was judged. A row that another transaction has changed since this
 * statement began, or since the judgement that came with it, is left alone: a delivery that has just been accepted must
 * not become missing because an older one was.
 *
 * Locks: ledger rows in key order, as router and settlement lock them; no delivery rows. Index: the primary key, in the
 * one partition that the literal day leaves.
 */
function verdictOn(day: string, { may, set }: Change): string {
  return `
with input as (
  select * from unnest($1::bigint[], $2::text[], $3::smallint[], $4::integer[], $5::text[], $6::text[],
                       $7::timestamptz[])
    as i (${KEY}, new_reason, detail, judged_at)
),
judged as materialized (
  select ${KEY}, l.version, l.state, l.updated_at, i.new_reason, i.detail
    from input i join pipeline.ledger l using (${KEY})
   where l.day = ${dayLiteral(day)} and ${may}
     and (i.judged_at is null or date_trunc('milliseconds', l.updated_at) = i.judged_at)
),
held as materialized (
  select ${KEY}, j.new_reason, j.detail
    from judged j join pipeline.ledger l using (${KEY})
   where l.day = ${dayLiteral(day)}
     and l.version = j.version and l.state = j.state and l.updated_at = j.updated_at
   order by ${KEY}
     for update of l
),
changed as (
  update pipeline.ledger l
     set ${set}, reason = h.new_reason, updated_at = $8
    from held h
   where l.day = ${dayLiteral(day)} and l.shop_id = h.shop_id and l.subject_id = h.subject_id and l.kind = h.kind
     and l.destination_id = h.destination_id
  returning l.shop_id, l.subject_id, l.kind, l.destination_id, l.version, l.state, l.reason, h.detail
),
facts as (
  insert into pipeline.ledger_fact (${KEY}, day, at, version, state, reason, detail)
  select ${KEY}, ($8::timestamptz at time zone 'UTC')::date, $8, version, state, reason, detail from changed
  returning 1
)
select count(*)::integer as changed from facts`;
}

const CONFIRM: Change = {
  may: `l.state in (${accepted}, ${missing})`,
  set: `state = ${confirmed}, confirmed_at = $8, accepted_at = coalesce(l.accepted_at, $8)`,
};

/** `queued` only where nothing will bring it on: its delivery's row is gone, which no code of ours does. */
const MARK_MISSING: Change = {
  may: `(l.state in (${accepted}, ${confirmed})
     or (l.state = ${queued} and not exists (
           select from pipeline.delivery d
            where d.shop_id = l.shop_id and d.destination_id = l.destination_id and d.kind = l.kind
              and d.subject_id = l.subject_id)))`,
  set: `state = ${missing}, confirmed_at = null`,
};

/**
 * What was lost after it had been planned goes again, from the payload that it was planned from: the ledger's row and the
 * delivery's in one statement (invariant 4). The event id is derived, so it is the same one again.
 *
 * Locks: ledger rows in key order, then their delivery rows, as the router does. Index: the primary keys.
 */
const restartStatement = (day: string): string => `
with input as (
  select * from unnest($1::bigint[], $2::text[], $3::smallint[], $4::integer[]) as i (${KEY})
),
held as materialized (
  select ${KEY} from input i join pipeline.ledger l using (${KEY})
   where l.day = ${dayLiteral(day)} and l.state = ${missing}
   order by ${KEY}
     for update of l
),
changed as (
  update pipeline.ledger l
     set state = ${queued}, reason = 'sent-again', queued_at = $5, accepted_at = null, confirmed_at = null, attempts = 0,
         updated_at = $5
    from held h
   where l.day = ${dayLiteral(day)} and l.shop_id = h.shop_id and l.subject_id = h.subject_id and l.kind = h.kind
     and l.destination_id = h.destination_id
  returning l.*
),
enqueued as (
  insert into pipeline.delivery (
    shop_id, destination_id, kind, subject_id, order_id, ledger_day, version, segment_day, stream_id, segment_seq,
    entry, queued_at, due_at)
  select shop_id, destination_id, kind, subject_id, order_id, day, version, segment_day, stream_id, segment_seq,
         entry, $5, $5
    from changed
  on conflict (shop_id, destination_id, kind, subject_id) do nothing
),
facts as (
  insert into pipeline.ledger_fact (${KEY}, day, at, version, state, reason)
  select ${KEY}, ($5::timestamptz at time zone 'UTC')::date, $5, version, state, reason from changed
  returning 1
)
select count(*)::integer as changed from facts`;

const AT_ONCE = 1_000;

interface Verdict extends ObligationKey {
  reason: string | null;
  detail: string | null;
  updatedAt?: Date;
}

/** What monitoring's judgement changes in the ledger. */
export class Verdicts implements LedgerVerdicts {
  /** @param database KEYED */
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  confirm(items: Parameters<LedgerVerdicts['confirm']>[0]): Promise<number> {
    return this.pass(
      CONFIRM,
      items.map((item) => ({ ...item, reason: null })),
    );
  }

  markMissing(items: Parameters<LedgerVerdicts['markMissing']>[0]): Promise<number> {
    return this.pass(MARK_MISSING, items);
  }

  async restart(items: readonly ObligationKey[]): Promise<number> {
    let changed = 0;
    for (const [day, ofDay] of Map.groupBy(items, ({ ledgerDay }) => ledgerDay)) {
      const { rows } = await this.database.query<{ changed: number }>(restartStatement(day), [
        ofDay.map((item) => item.shopId),
        ofDay.map((item) => item.subjectId),
        ofDay.map((item) => KIND_CODES[item.kind]),
        ofDay.map((item) => item.destinationId),
        this.clock.now(),
      ]);
      changed += rows[0]?.changed ?? 0;
    }
    return changed;
  }

  private async pass(change: Change, items: readonly Verdict[]): Promise<number> {
    let changed = 0;
    for (const [day, ofDay] of Map.groupBy(items, ({ ledgerDay }) => ledgerDay)) {
      for (let at = 0; at < ofDay.length; at += AT_ONCE) {
        changed += await this.passOn(day, change, ofDay.slice(at, at + AT_ONCE));
      }
    }
    return changed;
  }

  private async passOn(day: string, change: Change, items: readonly Verdict[]): Promise<number> {
    const { rows } = await this.database.query<{ changed: number }>(verdictOn(day, change), [
      items.map((item) => item.shopId),
      items.map((item) => item.subjectId),
      items.map((item) => KIND_CODES[item.kind]),
      items.map((item) => item.destinationId),
      items.map((item) => item.reason),
      items.map((item) => storableText(item.detail)),
      items.map((item) => item.updatedAt ?? null),
      this.clock.now(),
    ]);
    return rows[0]?.changed ?? 0;
  }
}
