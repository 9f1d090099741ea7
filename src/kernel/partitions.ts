import type { Clock } from './clock.js';
import type { Database } from './database.js';
import { hasCode, messageOf } from './errors.js';
import type { Logger } from './log.js';

/** A table partitioned by range over a `date` column, one partition a day or a week (from Monday). */
export interface PartitionedTable {
  /** With its schema: `pipeline.inbox_segment`. */
  table: string;
  every: 'day' | 'week';
  /** Partitions that ended longer ago than this are dropped; `null` keeps them all. */
  keepDays: number | null;
  /** SQL over `$1::date`, the partition's first day: true while something in it is still needed. */
  neededSql?: string;
}

// Serialises partition work between processes. Second key 0; the class is ours alone.
const PARTITION_LOCK = 0x504c0002;

// Attaching waits for those who use the default partition, dropping for all who use the table; behind the waiting,
// everybody else queues. So wait briefly, and try again at the next round: there are two days to spare.
const LOCK_TIMEOUT = '2s';

const DAY_MS = 86_400_000;

interface Partition {
  schema: string;
  table: string;
  name: string;
  /** First day and the day after the last, `YYYY-MM-DD`. */
  from: string;
  to: string;
}

/**
 * Creates the partitions of yesterday (weeks: of last week) to `daysAhead` days from now, where they are not there.
 * Safe between processes; costs one catalogue query when there is nothing to do.
 *
 * @returns names of the partitions created
 */
export async function ensurePartitions(
  database: Database,
  clock: Clock,
  tables: readonly PartitionedTable[],
  options: { daysAhead?: number; log?: Logger } = {},
): Promise<string[]> {
  const wanted = tables.flatMap((table) => partitionsAround(table, clock.nowMs(), options.daysAhead ?? 2));
  const created: string[] = [];
  for (const partition of await missing(database, wanted)) {
    try {
      if (await create(database, partition)) created.push(partition.name);
    } catch (error) {
      // A default partition that already holds rows of these days keeps them; that is no reason to stop the others.
      if (!hasCode(error, '23514')) throw error;
      options.log?.warn({ partition: partition.name, detail: messageOf(error) }, 'days stay in the default partition');
    }
  }
  return created;
}

/**
 * Drops the partitions past their table's retention that nothing needs any more.
 *
 * @returns names of the partitions dropped
 */
export async function dropExpired(
  database: Database,
  clock: Clock,
  tables: readonly PartitionedTable[],
): Promise<string[]> {
  const dropped: string[] = [];
  for (const table of tables) {
    if (table.keepDays === null) continue;
    const horizon = dayString(clock.nowMs() - table.keepDays * DAY_MS);
    for (const partition of await existing(database, table)) {
      if (partition.to > horizon) continue;
      if (await drop(database, partition, table.neededSql)) dropped.push(partition.name);
    }
  }
  return dropped;
}

/** Monday of the week, or the day itself: the first day of the partition that holds `day`. */
export function partitionStart(every: 'day' | 'week', atMs: number): string {
  const midnightMs = Math.floor(atMs / DAY_MS) * DAY_MS;
  if (every === 'day') return dayString(midnightMs);
  // 1970-01-01 was a Thursday: day numbers 4, 11, … are Mondays.
  const daysSinceMonday = (midnightMs / DAY_MS + 3) % 7;
  return dayString(midnightMs - daysSinceMonday * DAY_MS);
}

function partitionsAround(table: PartitionedTable, nowMs: number, daysAhead: number): Partition[] {
  const stepDays = table.every === 'day' ? 1 : 7;
  const last = partitionStart(table.every, nowMs + daysAhead * DAY_MS);
  const partitions: Partition[] = [];
  let from = partitionStart(table.every, nowMs - stepDays * DAY_MS);
  while (from <= last) {
    const to = dayString(Date.parse(from) + stepDays * DAY_MS);
    partitions.push(named(table, from, to));
    from = to;
  }
  return partitions;
}

function named(table: PartitionedTable, from: string, to: string): Partition {
  const [schema = '', name = ''] = table.table.split('.');
  return { schema, table: name, name: `${name}_${from.replaceAll('-', '')}`, from, to };
}

async function missing(database: Database, wanted: readonly Partition[]): Promise<Partition[]> {
  const rows = await database.rows<{ index: number }>(
    `select index - 1 as index from unnest($1::text[]) with ordinality as wanted (name, index)
      where not exists (select 1 from pg_inherits where inhrelid = to_regclass(name))`,
    [wanted.map((partition) => `${partition.schema}.${partition.name}`)],
  );
  const indexes = new Set(rows.map((row) => Number(row.index)));
  return wanted.filter((_, index) => indexes.has(index));
}

// LIKE and ATTACH instead of PARTITION OF: the parent stays readable and writable meanwhile (SHARE UPDATE EXCLUSIVE).
// A default partition is locked and scanned by ATTACH, to make sure that it holds none of these days.
async function create(database: Database, { schema, table, name, from, to }: Partition): Promise<boolean> {
  return database.transaction(async (client) => {
    await client.query(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
    await client.query('select pg_advisory_xact_lock($1, 0)', [PARTITION_LOCK]);
    const { rows } = await client.query('select 1 from pg_inherits where inhrelid = to_regclass($1)', [
      `${schema}.${name}`,
    ]);
    if (rows.length > 0) return false; // another process was quicker
    await client.query(`create table ${schema}.${name} (like ${schema}.${table} including all)`);
    await client.query(
      `alter table ${schema}.${table} attach partition ${schema}.${name} for values from ('${from}') to ('${to}')`,
    );
    return true;
  });
}

async function existing(database: Database, table: PartitionedTable): Promise<Partition[]> {
  const rows = await database.rows<{ name: string }>(
    `select relname as name from pg_inherits join pg_class on oid = inhrelid
      where inhparent = to_regclass($1) order by relname`,
    [table.table],
  );
  const [, base = ''] = table.table.split('.');
  return rows.flatMap(({ name }) => {
    const day = /^_(\d{4})(\d{2})(\d{2})$/.exec(name.slice(base.length));
    if (!day) return []; // the default partition, or one that somebody else made
    const from = day.slice(1).join('-');
    return [named(table, from, dayString(Date.parse(from) + (table.every === 'day' ? 1 : 7) * DAY_MS))];
  });
}

async function drop(database: Database, partition: Partition, neededSql: string | undefined): Promise<boolean> {
  return database.transaction(async (client) => {
    await client.query(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
    await client.query('select pg_advisory_xact_lock($1, 0)', [PARTITION_LOCK]);
    if (neededSql !== undefined) {
      const { rows } = await client.query<{ needed: boolean }>(`select (${neededSql}) as needed`, [partition.from]);
      if (rows[0]?.needed !== false) return false;
    }
    await client.query(`drop table if exists ${partition.schema}.${partition.name}`);
    return true;
  });
}

function dayString(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
