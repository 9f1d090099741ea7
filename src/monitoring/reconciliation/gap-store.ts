import type { Clock } from '../../kernel/clock.js';
import type { Database, Queryable } from '../../kernel/database.js';
import { KIND_CODES, kindOf, type Kind } from '../../pipeline/contract.js';
import type { GapState, Stage } from '../contract.js';

/** An obligation that did not reach a stage. */
export interface Gap {
  id: string;
  shopId: string;
  subjectId: string;
  kind: Kind;
  destinationId: number;
  orderId: string;
  ledgerDay: string;
  soldAt: Date;
  stage: Stage;
  cause: string;
  state: GapState;
  /** Why it is dead or excluded, or how it was recovered. */
  reason: string | null;
  foundAt: Date;
  requeues: number;
  requeuedAt: Date | null;
  nextLookAt: Date;
  closedAt: Date | null;
}

export type FoundGap = Pick<
  Gap,
  'shopId' | 'subjectId' | 'kind' | 'destinationId' | 'orderId' | 'ledgerDay' | 'soldAt' | 'stage' | 'cause'
> & {
  /** `dead`: nothing that we could do; it is written down and closed at once. */
  then: 'requeue' | 'dead';
};

/** Gaps of one run, counted alike. */
export interface GapCount {
  stage: Stage;
  cause: string;
  destinationId: number;
  state: GapState;
  reason: string | null;
  count: number;
  /** Of these, how many have been put on their way again. */
  requeued: number;
  /** Up to five orders. */
  sample: readonly string[];
}

/** Orders of one shop that one destination lacks. */
export interface Unrecovered {
  shopId: string;
  destinationId: number;
  orders: number;
  /** Of these, how many nobody brings back any more. */
  givenUp: number;
  oldestSoldAt: Date;
  oldestFoundAt: Date;
  stages: readonly Stage[];
  /** Up to five orders. */
  sample: readonly string[];
}

const COLUMNS = `
  g.id::text as id, g.shop_id::text as "shopId", g.subject_id as "subjectId", g.kind, g.destination_id as "destinationId",
  g.order_id as "orderId", g.ledger_day::text as "ledgerDay", g.sold_at as "soldAt", g.stage, g.cause, g.state, g.reason,
  g.found_at as "foundAt", g.requeues, g.requeued_at as "requeuedAt", g.next_look_at as "nextLookAt",
  g.closed_at as "closedAt"`;

type GapRow = Omit<Gap, 'kind'> & { kind: number } & Record<string, unknown>;

/**
 * One open gap an obligation: found again, it is the same one. A dead one that is found again is not news either: the
 * newest closed gap of the obligation stands for it while its cause is the same.
 *
 * Index: gap_open for the conflict. Locks: the rows inserted.
 */
const FIND = `
with input as (
  select * from unnest($2::text[], $3::smallint[], $4::integer[], $5::text[], $6::date[], $7::timestamptz[], $8::text[],
                       $9::text[], $10::boolean[])
    as i (subject_id, kind, destination_id, order_id, ledger_day, sold_at, stage, cause, dead)
),
known as (
  select distinct on (g.subject_id, g.kind, g.destination_id) g.subject_id, g.kind, g.destination_id, g.id, g.state, g.cause
    from monitoring.gap g join input i using (subject_id, kind, destination_id)
   where g.shop_id = $1 and (g.closed_at is null or (g.state = 'dead' and i.dead and g.cause = i.cause))
   order by g.subject_id, g.kind, g.destination_id, g.id desc
),
added as (
  insert into monitoring.gap
    (shop_id, subject_id, kind, destination_id, order_id, ledger_day, sold_at, stage, cause, state, reason, found_at,
     next_look_at, closed_at, changed_at)
  select $1, subject_id, kind, destination_id, order_id, ledger_day, sold_at, stage, cause,
         case when dead then 'dead' else 'open' end, case when dead then cause end, $11::timestamptz,
         $11::timestamptz, case when dead then $11::timestamptz end, $11::timestamptz
    from input i
   where not exists (select from known k where k.subject_id = i.subject_id and k.kind = i.kind
                        and k.destination_id = i.destination_id)
  on conflict (shop_id, subject_id, kind, destination_id) where closed_at is null do nothing
  returning id
)
select id::text as id, true as "isNew" from added
union all
select id::text, false from known`;

const LINK = `
insert into monitoring.reconciliation_gap (shop_id, reconciliation_id, gap_id)
select $1, $2, id from unnest($3::bigint[]) as id on conflict do nothing`;

/** Index: gap_next_look. The longest waiting first; those found first go first. */
const DUE = `
select ${COLUMNS} from monitoring.gap g where g.closed_at is null and g.next_look_at <= $1
 order by g.next_look_at, g.id limit $2`;

/** What was given up and arrived after all: a person has replayed it. Index: gap_dead. */
const GIVEN_UP = `
select ${COLUMNS} from monitoring.gap g where g.state = 'dead' and g.found_at > $1 order by g.id limit $2`;

const UNDER_WAY = `
select shop_id::text as "shopId", count(*)::integer as count from monitoring.gap
 where closed_at is null and state = 'requeued' group by shop_id`;

const REQUEUED = `
update monitoring.gap set state = 'requeued', requeues = requeues + 1, requeued_at = $3, next_look_at = $4, changed_at = $3
 where shop_id = $1 and id = any ($2) and closed_at is null`;

const LOOK_AGAIN = `
update monitoring.gap set next_look_at = $3, reason = coalesce($4, reason)
 where shop_id = $1 and id = any ($2) and closed_at is null`;

const CLOSE = `
update monitoring.gap set state = $3, reason = $4, closed_at = $5, changed_at = $5
 where shop_id = $1 and id = any ($2) and (closed_at is null or state = 'dead')`;

/** Index: reconciliation_gap's key. */
const COUNTS = `
select g.stage, g.cause, g.destination_id as "destinationId", g.state, g.reason, count(*)::integer as count,
       count(*) filter (where g.requeues > 0)::integer as requeued, (array_agg(g.order_id order by g.id))[1:5] as sample
  from monitoring.reconciliation_gap link
  join monitoring.gap g on g.shop_id = link.shop_id and g.id = link.gap_id
 where link.shop_id = $1 and link.reconciliation_id = $2
 group by 1, 2, 3, 4, 5 order by count(*) desc, 1, 2, 3`;

/**
 * Not recovered some time after they were found, and what was given up lately for another reason than a dead letter,
 * which has its own signal. What was sold before the shop was connected is a back-fill, and nobody's loss.
 *
 * Index: gap_open, gap_dead.
 */
const UNRECOVERED = `
select g.shop_id::text as "shopId", g.destination_id as "destinationId", count(distinct g.order_id)::integer as orders,
       count(distinct g.order_id) filter (where g.state = 'dead')::integer as "givenUp",
       min(g.sold_at) as "oldestSoldAt", min(g.found_at) as "oldestFoundAt",
       array_agg(distinct g.stage) as stages, (array_agg(distinct g.order_id))[1:5] as sample
  from monitoring.gap g
  join unnest($1::bigint[], $2::timestamptz[]) as shop (id, connected_at) on shop.id = g.shop_id
 where g.found_at <= $3 and g.sold_at >= shop.connected_at
   and (g.closed_at is null or (g.state = 'dead' and g.found_at > $4 and g.cause not like 'dead-letter:%'))
 group by g.shop_id, g.destination_id`;

export class GapStore {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /**
   * Writes what was found, and that this run met it.
   *
   * @param runId `null` = found by reading back, outside of any run
   * @returns how many are new
   */
  async find(client: Queryable, shopId: string, runId: string | null, gaps: readonly FoundGap[]): Promise<number> {
    if (gaps.length === 0) return 0;
    const { rows } = await client.query<{ id: string; isNew: boolean }>(FIND, [
      shopId,
      gaps.map(({ subjectId }) => subjectId),
      gaps.map(({ kind }) => KIND_CODES[kind]),
      gaps.map(({ destinationId }) => destinationId),
      gaps.map(({ orderId }) => orderId),
      gaps.map(({ ledgerDay }) => ledgerDay),
      gaps.map(({ soldAt }) => soldAt),
      gaps.map(({ stage }) => stage),
      gaps.map(({ cause }) => cause),
      gaps.map(({ then }) => then === 'dead'),
      this.clock.now(),
    ]);
    if (runId !== null) await client.query(LINK, [shopId, runId, rows.map(({ id }) => id)]);
    return rows.filter(({ isNew }) => isNew).length;
  }

  due(limit: number): Promise<Gap[]> {
    return this.gaps(DUE, [this.clock.now(), limit]);
  }

  /** How many of each shop are on their way again. */
  async underWay(): Promise<Map<string, number>> {
    const rows = await this.database.rows<{ shopId: string; count: number }>(UNDER_WAY);
    return new Map(rows.map(({ shopId, count }) => [shopId, count]));
  }

  async requeued(shopId: string, ids: readonly string[], nextLookAt: Date): Promise<void> {
    await this.database.query(REQUEUED, [shopId, ids, this.clock.now(), nextLookAt]);
  }

  async lookAgain(shopId: string, ids: readonly string[], nextLookAt: Date, reason: string | null): Promise<void> {
    await this.database.query(LOOK_AGAIN, [shopId, ids, nextLookAt, reason]);
  }

  async close(
    shopId: string,
    ids: readonly string[],
    state: 'recovered' | 'dead' | 'excluded',
    reason: string | null,
  ): Promise<void> {
    await this.database.query(CLOSE, [shopId, ids, state, reason, this.clock.now()]);
  }

  async countsOf(shopId: string, runId: string): Promise<GapCount[]> {
    return this.database.rows<GapCount & Record<string, unknown>>(COUNTS, [shopId, runId]);
  }

  /** Gaps that were given up after `sinceAt`. */
  givenUp(sinceAt: Date, limit: number): Promise<Gap[]> {
    return this.gaps(GIVEN_UP, [sinceAt, limit]);
  }

  /** @param foundUntilAt younger gaps are being recovered @param givenUpSinceAt older ones have been told for long enough */
  unrecovered(
    shops: readonly { id: string; connectedAt: Date }[],
    foundUntilAt: Date,
    givenUpSinceAt: Date,
  ): Promise<Unrecovered[]> {
    return this.database.rows<Unrecovered & Record<string, unknown>>(UNRECOVERED, [
      shops.map(({ id }) => id),
      shops.map(({ connectedAt }) => connectedAt),
      foundUntilAt,
      givenUpSinceAt,
    ]);
  }

  /** Newest first. */
  list(
    filter: { shopId?: string; state?: GapState | 'unrecovered'; runId?: string; orderId?: string; beforeId?: string },
    limit: number,
  ): Promise<Gap[]> {
    return this.gaps(
      `select ${COLUMNS} from monitoring.gap g
        where ($1::bigint is null or g.shop_id = $1)
          and ($2::text is null or case when $2 = 'unrecovered' then g.closed_at is null else g.state = $2 end)
          and ($3::bigint is null or exists (
                select from monitoring.reconciliation_gap link
                 where link.shop_id = g.shop_id and link.gap_id = g.id and link.reconciliation_id = $3))
          and ($4::bigint is null or g.id < $4) and ($6::text is null or g.order_id = $6)
        order by g.id desc limit $5`,
      [
        filter.shopId ?? null,
        filter.state ?? null,
        filter.runId ?? null,
        filter.beforeId ?? null,
        limit,
        filter.orderId ?? null,
      ],
    );
  }

  private async gaps(text: string, values: readonly unknown[]): Promise<Gap[]> {
    const rows = await this.database.rows<GapRow>(text, values);
    return rows.map((row) => ({ ...row, kind: kindOf(row.kind) }));
  }
}
