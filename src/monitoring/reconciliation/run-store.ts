import type { Clock } from '../../kernel/clock.js';
import type { Database, Queryable } from '../../kernel/database.js';
import type { Kind, State } from '../../pipeline/contract.js';
import type { ReconciliationState } from '../contract.js';
import type { ListingPosition, ListingWindow } from './listing.js';

/** How the obligations of one destination and kind stood when they were compared. `absent`: the ledger knew nothing. */
export interface StageCount {
  destinationId: number;
  kind: Kind;
  state: State | 'absent';
  count: number;
}

export interface Run {
  id: string;
  shopId: string;
  why: string;
  requestedBy: string;
  window: ListingWindow;
  state: ReconciliationState;
  /** Why it is partial, blind or failed. */
  detail: string | null;
  /** What the window does not cover. */
  notCovered: string | null;
  position: ListingPosition;
  ordersListed: number;
  counts: readonly StageCount[];
  nextTryAt: Date;
  tries: number;
  requestedAt: Date;
  startedAt: Date | null;
  listedAt: Date | null;
  finishedAt: Date | null;
}

/** How far one shop has been compared. */
export interface ShopTurn {
  shopId: string;
  comparedFromAt: Date | null;
  comparedUntilAt: Date | null;
  nextRunAt: Date;
  failures: number;
  lastError: string | null;
}

/** A turn that begins: its run's window, and when the shop has its next one. */
export interface BegunTurn {
  shopId: string;
  nextRunAt: Date;
  why: 'hourly' | 'first';
  window: ListingWindow;
}

const COLUMNS = `
  id::text as id, shop_id::text as "shopId", why, requested_by as "requestedBy", from_at, to_at, state, detail,
  not_covered as "notCovered", position, orders_listed as "ordersListed", counts, next_try_at as "nextTryAt", tries,
  requested_at as "requestedAt", started_at as "startedAt", listed_at as "listedAt", finished_at as "finishedAt"`;

type RunRow = Omit<Run, 'window'> & { from_at: Date; to_at: Date } & Record<string, unknown>;

const ADD_TURNS = `
insert into monitoring.shop_turn (shop_id, next_run_at)
select shop.id, $2 from unnest($1::bigint[]) as shop (id) on conflict (shop_id) do nothing`;

const POSTPONE_TURNS = `
update monitoring.shop_turn turn set next_run_at = i.next_run_at
  from unnest($1::bigint[], $2::timestamptz[]) as i (shop_id, next_run_at) where turn.shop_id = i.shop_id`;

/** One statement for any number of shops: a crash in between would lose a turn or make two. */
const BEGIN_TURNS = `
with begun as (
  select * from unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::timestamptz[], $5::timestamptz[])
    as i (shop_id, next_run_at, why, from_at, to_at)
),
moved as (
  update monitoring.shop_turn turn set next_run_at = begun.next_run_at from begun where turn.shop_id = begun.shop_id
)
insert into monitoring.reconciliation (shop_id, why, requested_by, from_at, to_at, state, next_try_at, requested_at)
select shop_id, why, 'schedule', from_at, to_at, 'queued', $6, $6 from begun`;

const TURNS = `
select shop_id::text as "shopId", compared_from_at as "comparedFromAt", compared_until_at as "comparedUntilAt",
       next_run_at as "nextRunAt", failures, last_error as "lastError" from monitoring.shop_turn`;

/** A run of a shop that is not finished stands for its turn: no second one begins beside it. */
const DUE_TURNS = `${TURNS} turn
 where next_run_at <= $1 and not exists (
   select from monitoring.reconciliation r
    where r.shop_id = turn.shop_id and r.listed_at is null and r.finished_at is null and r.why in ('hourly', 'first'))
 order by next_run_at limit $2`;

const REQUEST = `
insert into monitoring.reconciliation
  (shop_id, why, requested_by, from_at, to_at, state, next_try_at, requested_at)
values ($1, $2, $3, $4, $5, 'queued', $6, $6) returning id::text as id`;

/** Index: reconciliation_by_why. */
const REQUEST_ONCE = `
insert into monitoring.reconciliation (shop_id, why, requested_by, from_at, to_at, state, next_try_at, requested_at)
select shop.id, $2, $3, $4, $5, 'queued', $6, $6 from unnest($1::bigint[]) as shop (id)
 where not exists (select from monitoring.reconciliation r where r.why = $2 and r.shop_id = shop.id)`;

const PROGRESS = `
select count(*)::integer as asked, count(finished_at)::integer as ended from monitoring.reconciliation where why = $1`;

/** Index: reconciliation_open. */
const DUE_RUNS = `
select ${COLUMNS} from monitoring.reconciliation
 where finished_at is null and listed_at is null and next_try_at <= $1
 order by next_try_at, id limit $2`;

const STARTED = `
update monitoring.reconciliation set state = 'running', started_at = coalesce(started_at, $3)
 where shop_id = $1 and id = $2 and finished_at is null`;

const STEPPED = `
update monitoring.reconciliation
   set position = $3, orders_listed = orders_listed + $4, counts = $5, not_covered = coalesce($6, not_covered),
       state = 'running', detail = null, tries = 0
 where shop_id = $1 and id = $2 and finished_at is null`;

const LISTED = `
update monitoring.reconciliation set state = 'settling', listed_at = $3, position = null, detail = null
 where shop_id = $1 and id = $2 and finished_at is null`;

/**
 * Joined to what was compared before where the two meet. After a hole a scheduled run begins anew: what lies before the
 * hole is no proof of what lies in it. A run of another window never moves the turn over a hole.
 */
const TURN_COMPARED = `
update monitoring.shop_turn
   set compared_from_at = case when compared_until_at is null or ($4 and $2 > compared_until_at) then $2
                               when $2 <= compared_until_at and $3 >= compared_from_at
                                then least(compared_from_at, $2) else compared_from_at end,
       compared_until_at = case when compared_until_at is null or ($4 and $2 > compared_until_at) then $3
                                when $2 <= compared_until_at and $3 >= compared_from_at
                                 then greatest(compared_until_at, $3) else compared_until_at end,
       failures = 0, last_error = null
 where shop_id = $1 and ($4 or compared_until_at is not null)`;

const HINDERED = `
update monitoring.reconciliation
   set state = $3, detail = $4, position = $5, next_try_at = $6, tries = tries + 1
 where shop_id = $1 and id = $2 and finished_at is null`;

const UNDER_WAY = `
update monitoring.reconciliation
   set state = 'running', detail = $3, position = $4, next_try_at = $5, tries = 0
 where shop_id = $1 and id = $2 and finished_at is null`;

const TURN_HINDERED = `
update monitoring.shop_turn set failures = failures + 1, last_error = $2 where shop_id = $1`;

const FINISHED = `
update monitoring.reconciliation set state = $3, detail = coalesce($4, detail), finished_at = $5
 where shop_id = $1 and id = $2 and finished_at is null`;

/** All listed, and none of the gaps it met is open any more. Index: reconciliation_open, reconciliation_gap's key. */
const SETTLED = `
update monitoring.reconciliation r set state = 'complete', finished_at = $1
 where r.state = 'settling' and r.finished_at is null and not exists (
   select from monitoring.reconciliation_gap link join monitoring.gap g on g.shop_id = link.shop_id and g.id = link.gap_id
    where link.shop_id = r.shop_id and link.reconciliation_id = r.id and g.closed_at is null)
returning r.id::text as id`;

/** Whether a run is a shop's turn, or somebody asked for a window of their own. */
export function isScheduled({ why }: Run): boolean {
  return why === 'hourly' || why === 'first';
}

/** Runs and turns as they are stored. */
export class RunStore {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /** Their turn begins at `firstRunAt`; shops that have it keep it. */
  async addTurns(shopIds: readonly string[], firstRunAt: Date): Promise<void> {
    await this.database.query(ADD_TURNS, [shopIds, firstRunAt]);
  }

  turns(): Promise<ShopTurn[]> {
    return this.database.rows<ShopTurn & Record<string, unknown>>(TURNS);
  }

  dueTurns(limit: number): Promise<ShopTurn[]> {
    return this.database.rows<ShopTurn & Record<string, unknown>>(DUE_TURNS, [this.clock.now(), limit]);
  }

  /** Each shop's next turn is set, and the run of this one begins. */
  async beginTurns(turns: readonly BegunTurn[]): Promise<void> {
    if (turns.length === 0) return;
    await this.database.query(BEGIN_TURNS, [
      turns.map(({ shopId }) => shopId),
      turns.map(({ nextRunAt }) => nextRunAt),
      turns.map(({ why }) => why),
      turns.map(({ window }) => window.fromAt),
      turns.map(({ window }) => window.toAt),
      this.clock.now(),
    ]);
  }

  /** The turn passes without a run. */
  async postponeTurns(turns: readonly Pick<BegunTurn, 'shopId' | 'nextRunAt'>[]): Promise<void> {
    if (turns.length === 0) return;
    await this.database.query(POSTPONE_TURNS, [
      turns.map(({ shopId }) => shopId),
      turns.map(({ nextRunAt }) => nextRunAt),
    ]);
  }

  async postpone(run: Run, nextTryAt: Date): Promise<void> {
    await this.database.query('update monitoring.reconciliation set next_try_at = $3 where shop_id = $1 and id = $2', [
      run.shopId,
      run.id,
      nextTryAt,
    ]);
  }

  async request(shopId: string, { fromAt, toAt }: ListingWindow, why: string, requestedBy: string): Promise<string> {
    const rows = await this.database.rows<{ id: string }>(REQUEST, [
      shopId,
      why,
      requestedBy,
      fromAt,
      toAt,
      this.clock.now(),
    ]);
    return rows[0]?.id ?? '';
  }

  /** One run a shop; of a shop that was asked for before with the same reason, nothing. */
  async requestOnce(shopIds: readonly string[], { fromAt, toAt }: ListingWindow, why: string): Promise<void> {
    await this.database.query(REQUEST_ONCE, [shopIds, why, 'monitoring', fromAt, toAt, this.clock.now()]);
  }

  async progressOf(why: string): Promise<{ asked: number; ended: number }> {
    const [row] = await this.database.rows<{ asked: number; ended: number }>(PROGRESS, [why]);
    return row ?? { asked: 0, ended: 0 };
  }

  dueRuns(limit: number): Promise<Run[]> {
    return this.runs(DUE_RUNS, [this.clock.now(), limit]);
  }

  async run(id: string): Promise<Run | null> {
    const text = `select ${COLUMNS} from monitoring.reconciliation where id = $1`;
    return (await this.runs(text, [id]))[0] ?? null;
  }

  /** Newest first. */
  list(filter: { shopId?: string; state?: ReconciliationState; beforeId?: string }, limit: number): Promise<Run[]> {
    return this.runs(
      `select ${COLUMNS} from monitoring.reconciliation
        where ($1::bigint is null or shop_id = $1) and ($2::text is null or state = $2)
          and ($3::bigint is null or id < $3)
        order by id desc limit $4`,
      [filter.shopId ?? null, filter.state ?? null, filter.beforeId ?? null, limit],
    );
  }

  /** Runs that cannot look and were asked for some time ago, the newest of each shop. */
  hindered(requestedUntilAt: Date): Promise<Run[]> {
    return this.runs(
      `select distinct on (shop_id) ${COLUMNS} from monitoring.reconciliation
        where finished_at is null and state in ('partial', 'blind') and requested_at <= $1
        order by shop_id, id desc`,
      [requestedUntilAt],
    );
  }

  async started(run: Run): Promise<void> {
    await this.database.query(STARTED, [run.shopId, run.id, this.clock.now()]);
  }

  /** @param client the transaction that also writes what was listed: position and lists move together */
  async stepped(
    client: Queryable,
    run: Run,
    step: { position: ListingPosition; ordersNew: number; counts: readonly StageCount[]; notCovered: string | null },
  ): Promise<void> {
    await client.query(STEPPED, [
      run.shopId,
      run.id,
      step.position === null ? null : JSON.stringify(step.position),
      step.ordersNew,
      JSON.stringify(step.counts),
      step.notCovered,
    ]);
  }

  async listed(client: Queryable, run: Run): Promise<void> {
    await client.query(LISTED, [run.shopId, run.id, this.clock.now()]);
    await client.query(TURN_COMPARED, [run.shopId, run.window.fromAt, run.window.toAt, isScheduled(run)]);
  }

  /** It could not look now. Nothing is concluded; the next try goes on from the position. */
  async hinder(run: Run, state: 'partial' | 'blind', detail: string, position: ListingPosition, nextTryAt: Date) {
    const at = position === null ? null : JSON.stringify(position);
    await this.database.query(HINDERED, [run.shopId, run.id, state, detail, at, nextTryAt]);
    await this.database.query(TURN_HINDERED, [run.shopId, detail]);
  }

  /** Shopify works at it; looked at again at `nextTryAt`. */
  async underWay(run: Run, detail: string, position: ListingPosition, nextTryAt: Date): Promise<void> {
    const at = position === null ? null : JSON.stringify(position);
    await this.database.query(UNDER_WAY, [run.shopId, run.id, detail, at, nextTryAt]);
  }

  async failed(run: Run, detail: string): Promise<void> {
    await this.database.query(FINISHED, [run.shopId, run.id, 'failed', detail, this.clock.now()]);
  }

  /** @returns the runs that are complete now */
  async settle(): Promise<string[]> {
    return (await this.database.rows<{ id: string }>(SETTLED, [this.clock.now()])).map(({ id }) => id);
  }

  private async runs(text: string, values: readonly unknown[]): Promise<Run[]> {
    const rows = await this.database.rows<RunRow>(text, values);
    return rows.map(({ from_at, to_at, ...row }) => ({ ...row, window: { fromAt: from_at, toAt: to_at } }));
  }
}
