import type { PoolClient } from 'pg';
import type { ComponentId } from '../alerting/contract.js';
import type { Database } from '../kernel/database.js';
import type { World } from '../pipeline/contract.js';
import type { PublicState } from './contract.js';
import type { Composed } from './compose.js';
import type { KeptDay } from './days.js';
import { dayOf } from './public-words.js';
import { CLOCK_SKEW_MS, PUBLICATION_LIMIT_MS, shownAt } from './shown.js';
import type { DayUnit, Publication, Snapshot } from './snapshot.js';

/** A snapshot of another shape is of another release: it is not shown, and written over at the next look. */
const SNAPSHOT_SHAPE = 1;

const READ = `
select version::text, snapshot, confirmed_at from status_page.published where (snapshot->>'shape')::integer = $1`;

const HOLD = `
select version::text, snapshot, created_at, confirmed_at from status_page.published for update`;

const FIRST = `
insert into status_page.published (version, snapshot, created_at, confirmed_at)
values (0, '{"shape": 0}', $1, $1) on conflict (is_only) do nothing`;

const WRITE = `
update status_page.published set version = version + 1, snapshot = $1::jsonb, confirmed_at = $2 returning version::text`;

const CONFIRM = `update status_page.published set confirmed_at = $1 returning version::text`;

// Index: state_change_of. One row a component, so the last of each is one step back.
const LAST_CHANGES = `
select c.component, l.state, l.at, f.at as first_at
  from unnest($2::text[]) as c (component)
  cross join lateral (select state, at from status_page.state_change
                       where world = $1 and component = c.component order by seq desc limit 1) l
  cross join lateral (select at from status_page.state_change
                       where world = $1 and component = c.component order by seq limit 1) f`;

const STATES_BEFORE = `
select a.component, a.at, l.state
  from unnest($2::text[], $3::timestamptz[]) as a (component, at)
  left join lateral (select state from status_page.state_change
                      where world = $1 and component = a.component and at < a.at order by seq desc limit 1) l on true`;

const APPEND_CHANGE = `
insert into status_page.state_change (world, component, at, state, why)
select $1, c.component, c.at, c.state, c.why::jsonb
  from unnest($2::text[], $3::timestamptz[], $4::text[], $5::text[]) with ordinality as c (component, at, state, why, place)
 order by c.place`;

const CHANGES = `
select component, at, state, why from status_page.state_change where world = $1 and seq > $2 order by seq limit $3`;

// A settled day is counted again for as long as it is asked for; the latest count stands.
const KEEP_DAYS = `
insert into status_page.day (world, component, day, unit, owed, arrived, is_settled)
select $1, d.* from unnest($2::text[], $3::date[], $4::text[], $5::bigint[], $6::bigint[], $7::boolean[]) as d
on conflict (world, component, day) do update
   set unit = excluded.unit, owed = excluded.owed, arrived = excluded.arrived, is_settled = excluded.is_settled
 where (day.owed, day.arrived, day.is_settled) is distinct from (excluded.owed, excluded.arrived, excluded.is_settled)`;

const READ_DAYS = `
select component, day::text, unit, owed::float8, arrived::float8, is_settled from status_page.day
 where world = $1 and day >= $2::date order by component, day`;

const COUNT_MINUTE = `
insert into status_page.published_minutes (day, minutes) values ($1::date, 1)
on conflict (day) do update set minutes = published_minutes.minutes + 1`;

const READ_MINUTES = `select day::text, minutes from status_page.published_minutes where day >= $1::date`;

interface Row extends Record<string, unknown> {
  version: string;
  snapshot: Snapshot & { shape: number; content?: string };
  created_at: Date;
  confirmed_at: Date;
}

export interface StateChange {
  component: ComponentId;
  at: Date;
  state: PublicState;
  why: readonly string[];
}

/** The published snapshot and the history of what it said. */
export class PublicationStore {
  constructor(private readonly database: Database) {}

  /** `null` = nothing has been published yet, or by another release. */
  async read(): Promise<Publication | null> {
    const [row] = await this.database.rows<Row>(READ, [SNAPSHOT_SHAPE]);
    return row ? publicationOf(row) : null;
  }

  /** When what is published was last confirmed, whatever release did it; `null` = never. */
  async confirmedAt(): Promise<Date | null> {
    const [row] = await this.database.rows<{ confirmed_at: Date }>('select confirmed_at from status_page.published');
    return row?.confirmed_at ?? null;
  }

  /** When the page was first published; now when it never was. */
  async createdAtMs(nowMs: number): Promise<number> {
    await this.database.query(FIRST, [new Date(nowMs)]);
    const [row] = await this.database.rows<{ created_at: Date }>('select created_at from status_page.published');
    return row?.created_at.getTime() ?? nowMs;
  }

  /**
   * Publishes what was composed at `nowMs`.
   *
   * Lock: the one row of `published`, so that publishers go one after the other and each change of state is appended
   * once, however many of them run. Who looked earlier than what is published has nothing to add, unless that was
   * published by a clock that is ahead: it would keep everybody else from publishing for as long.
   *
   * @returns what is published now
   */
  async publish(composed: Composed, nowMs: number): Promise<Publication> {
    return this.database.transaction(async (client) => {
      const held = (await client.query<Row>(HOLD)).rows[0];
      if (held === undefined) throw new Error('the row of status_page.published is gone');
      const was = held.snapshot.shape === SNAPSHOT_SHAPE ? publicationOf(held) : null;
      if (was !== null && was.confirmedAtMs > nowMs && was.confirmedAtMs - nowMs <= CLOCK_SKEW_MS) return was;
      const { last, appended } = await this.appendChanges(client, composed, was, nowMs);
      const told = was === null || appended || toldOf(was.snapshot) !== toldOf(composed);
      const changed = told || contentOf(was.snapshot) !== contentOf(composed);
      if (was === null || minuteOf(was.confirmedAtMs) !== minuteOf(nowMs)) {
        await client.query(COUNT_MINUTE, [dayOf(nowMs)]);
      }
      if (!changed) {
        const { rows } = await client.query<Row>(CONFIRM, [new Date(nowMs)]);
        return { version: rows[0]?.version ?? was.version, confirmedAtMs: nowMs, snapshot: was.snapshot };
      }
      const snapshot: Snapshot = {
        ...composed,
        components: composed.components.map((component) => ({
          ...component,
          createdAtMs: last.get(component.id)?.firstAtMs ?? nowMs,
          changedAtMs: last.get(component.id)?.atMs ?? nowMs,
        })),
        createdAtMs: held.created_at.getTime(),
        changedAtMs: told ? nowMs : was.snapshot.changedAtMs,
      };
      const text = JSON.stringify({ ...snapshot, shape: SNAPSHOT_SHAPE });
      const { rows } = await client.query<Row>(WRITE, [text, new Date(nowMs)]);
      return { version: rows[0]?.version ?? '', confirmedAtMs: nowMs, snapshot };
    });
  }

  /** What the public was told before some instants; `unknown` where nothing was. */
  async statesBefore(
    world: World,
    asked: readonly { component: ComponentId; atMs: number }[],
  ): Promise<(component: ComponentId, atMs: number) => PublicState> {
    const rows =
      asked.length === 0
        ? []
        : await this.database.rows<{ component: string; at: Date; state: PublicState | null }>(STATES_BEFORE, [
            world,
            asked.map(({ component }) => component),
            asked.map(({ atMs }) => new Date(atMs)),
          ]);
    const states = new Map(rows.map(({ component, at, state }) => [`${component} ${at.getTime()}`, state]));
    return (component, atMs) => states.get(`${component} ${atMs}`) ?? 'unknown';
  }

  /** Oldest first, after `afterSeq`. */
  changes(world: World, afterSeq: string, limit: number): Promise<StateChange[]> {
    return this.database.rows<StateChange & Record<string, unknown>>(CHANGES, [world, afterSeq, limit]);
  }

  async keepDays(world: World, days: readonly KeptDay[]): Promise<void> {
    if (days.length === 0) return;
    await this.database.query(KEEP_DAYS, [
      world,
      days.map(({ component }) => component),
      days.map(({ day }) => day),
      days.map(({ unit }) => unit),
      days.map(({ owed }) => owed),
      days.map(({ arrived }) => arrived),
      days.map(({ isSettled }) => isSettled),
    ]);
  }

  async days(world: World, fromMs: number): Promise<KeptDay[]> {
    const rows = await this.database.rows<{
      component: string;
      day: string;
      unit: DayUnit;
      owed: number;
      arrived: number;
      is_settled: boolean;
    }>(READ_DAYS, [world, dayOf(fromMs)]);
    return rows.map(({ is_settled, ...row }) => ({ ...row, isSettled: is_settled }));
  }

  async minutes(fromMs: number): Promise<Map<string, number>> {
    const rows = await this.database.rows<{ day: string; minutes: number }>(READ_MINUTES, [dayOf(fromMs)]);
    return new Map(rows.map(({ day, minutes }) => [day, minutes]));
  }

  /**
   * Appends what is told otherwise than before. A time in which nobody published is part of the history too: the page
   * said unknown then, by itself.
   */
  private async appendChanges(
    client: PoolClient,
    composed: Composed,
    was: Publication | null,
    nowMs: number,
  ): Promise<{ last: Map<string, { firstAtMs: number; atMs: number }>; appended: boolean }> {
    const { world, components } = composed;
    const { rows } = await client.query<{ component: string; state: PublicState; at: Date; first_at: Date }>(
      LAST_CHANGES,
      [world, components.map(({ id }) => id)],
    );
    const last = new Map(
      rows.map(({ component, state, at, first_at }) => [
        component,
        { state, atMs: at.getTime(), firstAtMs: first_at.getTime() },
      ]),
    );
    const now: Publication = {
      version: '',
      confirmedAtMs: nowMs,
      snapshot: { ...composed, components: [], createdAtMs: 0, changedAtMs: 0 },
    };
    const unheardAtMs =
      was !== null && was.snapshot.world === world && nowMs - was.confirmedAtMs > PUBLICATION_LIMIT_MS
        ? was.confirmedAtMs + PUBLICATION_LIMIT_MS + 1
        : null;
    const added: { component: string; atMs: number; state: PublicState; why: readonly string[] }[] = [];
    const note = (component: string, atMs: number, state: PublicState, why: readonly string[]): void => {
      const known = last.get(component);
      if (known?.state === state) return;
      added.push({ component, atMs, state, why });
      last.set(component, { state, atMs, firstAtMs: known?.firstAtMs ?? atMs });
    };
    for (const component of components) {
      const before = was?.snapshot.components.find(({ id }) => id === component.id);
      if (unheardAtMs !== null && was !== null && before !== undefined) {
        const { state, why } = shownAt(before, was, unheardAtMs);
        note(component.id, unheardAtMs, state, why);
      }
      const { state, why } = shownAt({ ...component, createdAtMs: 0, changedAtMs: 0 }, now, nowMs);
      note(component.id, nowMs, state, why);
    }
    if (added.length > 0) {
      await client.query(APPEND_CHANGE, [
        world,
        added.map(({ component }) => component),
        added.map(({ atMs }) => new Date(atMs)),
        added.map(({ state }) => state),
        added.map(({ why }) => JSON.stringify(why)),
      ]);
    }
    return { last, appended: added.length > 0 };
  }
}

function publicationOf({ version, snapshot, confirmed_at }: Row): Publication {
  return { version, snapshot, confirmedAtMs: confirmed_at.getTime() };
}

/** Everything, whatever order of keys PostgreSQL keeps it in, and without since when. */
function contentOf(snapshot: Composed | Snapshot): string {
  const { components, days, throughput } = snapshot;
  return JSON.stringify(ordered([toldOf(snapshot), components.map(({ proof }) => proof), days, throughput]));
}

/** What readers are told of: not the figures and proofs, which grow by the minute and say nothing new. */
function toldOf({ world, components, entries, incidents }: Composed | Snapshot): string {
  return JSON.stringify(ordered([world, components.map(({ id, troubles }) => [id, troubles]), entries, incidents]));
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, inner]) => [key, ordered(inner)]),
  );
}

function minuteOf(ms: number): number {
  return Math.floor(ms / 60_000);
}
