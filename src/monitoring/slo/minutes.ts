import type { Queryable } from '../../kernel/database.js';
import type { World } from '../../pipeline/contract.js';

export const MINUTE_MS = 60_000;

/** A row of `monitoring.slo_minute`. */
export interface SloMinute {
  world: World;
  withinMinutes: number;
  minuteAt: Date;
  arrived: number;
  beyond: number;
}

/** Measured minutes since one instant. */
export interface Measured {
  withinMinutes: number;
  sinceAt: Date;
  minutes: number;
  arrived: number;
  beyond: number;
  firstAt: Date | null;
  lastAt: Date | null;
}

const REPLACE = `
insert into monitoring.slo_minute as m (world, within_minutes, minute, arrived, beyond)
select * from unnest($1::text[], $2::integer[], $3::timestamptz[], $4::integer[], $5::integer[])
on conflict (world, within_minutes, minute) do update set arrived = excluded.arrived, beyond = excluded.beyond
where (m.arrived, m.beyond) is distinct from (excluded.arrived, excluded.beyond)`;

export async function replaceMinutes(database: Queryable, rows: readonly SloMinute[]): Promise<void> {
  if (rows.length === 0) return;
  await database.query(REPLACE, [
    rows.map(({ world }) => world),
    rows.map(({ withinMinutes }) => withinMinutes),
    rows.map(({ minuteAt }) => minuteAt),
    rows.map(({ arrived }) => arrived),
    rows.map(({ beyond }) => beyond),
  ]);
}

/** Index: the primary key; one walk over the longest time for all the times in it. */
const MEASURED = `
select within_minutes as "withinMinutes", width_bucket(minute, $3::timestamptz[]) as place, count(*)::integer as minutes,
       sum(arrived)::integer as arrived, sum(beyond)::integer as beyond, min(minute) as "firstAt", max(minute) as "lastAt"
  from monitoring.slo_minute
 where world = $1 and within_minutes = any ($2::integer[]) and minute >= $4
 group by 1, 2`;

type MeasuredRow = Omit<Measured, 'sinceAt'> & { place: number } & Record<string, unknown>;

/** For every limit and instant, what was measured since; a minute counts when it began at or after the instant. */
export async function readMeasured(
  database: Queryable,
  world: World,
  withinMinutes: readonly number[],
  sinceAts: readonly Date[],
): Promise<Measured[]> {
  const edges = [...sinceAts].sort((one, other) => +one - +other);
  const { rows } = await database.query<MeasuredRow>(MEASURED, [world, withinMinutes, edges, edges[0]]);
  return withinMinutes.flatMap((within) =>
    sinceAts.map((sinceAt): Measured => {
      const ofBoth = rows.filter(
        (row) => row.withinMinutes === within && (edges[row.place - 1] ?? new Date(0)) >= sinceAt,
      );
      const sum = (valueOf: (row: MeasuredRow) => number): number => ofBoth.reduce((all, row) => all + valueOf(row), 0);
      const instants = ofBoth.flatMap(({ firstAt, lastAt }) => [firstAt?.getTime() ?? NaN, lastAt?.getTime() ?? NaN]);
      return {
        withinMinutes: within,
        sinceAt,
        minutes: sum((row) => row.minutes),
        arrived: sum((row) => row.arrived),
        beyond: sum((row) => row.beyond),
        firstAt: instants.length === 0 ? null : new Date(Math.min(...instants)),
        lastAt: instants.length === 0 ? null : new Date(Math.max(...instants)),
      };
    }),
  );
}

const FORGET = `delete from monitoring.slo_minute where minute < $1`;

export async function forgetMinutes(database: Queryable, beforeAt: Date): Promise<void> {
  await database.query(FORGET, [beforeAt]);
}
