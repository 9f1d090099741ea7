import { stopwatch, type Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Round } from '../../kernel/loop.js';
import type { RegistryReader, World } from '../../pipeline/contract.js';
import { LOST, OWED, RECEIVED } from '../throughput/throughput-query.js';
import { dayOf } from '../throughput/throughput-table.js';

const DAY_MS = 86_400_000;
/** Days of one statement: a week is one partition of the roll-ups. */
const DAYS_AT_ONCE = 7;
/** What is older has settled long ago, and no objective reaches back further. */
const DAYS_BACK = 29;
const REST_MIN_MS = 30 * 60_000; // what settles does so by the hour
/** Adding up never takes more than a twentieth of a connection, however large the fleet. */
const REST_PER_PASS = 20;

// As the roll-ups' own readers count: an hour cannot show more arrived than the comparison by id leaves.
const ARRIVED = `greatest(0, least(${RECEIVED}, ${OWED} - ${LOST}))`;
const SETTLED = `filter (where t.sold is not null and t.settled_at is not null)`;
const PROVISIONAL = `filter (where t.sold is not null and t.settled_at is null)`;

/** Partitions: those of the days. */
const ADD_UP = `
insert into monitoring.slo_day as s
  (world, day, owed, arrived, late, owed_provisional, arrived_provisional, unproved, computed_at)
select d.world, t.day, coalesce(sum(${OWED}) ${SETTLED}, 0), coalesce(sum(${ARRIVED}) ${SETTLED}, 0),
       coalesce(sum(t.late) ${SETTLED}, 0), coalesce(sum(${OWED}) ${PROVISIONAL}, 0),
       coalesce(sum(${ARRIVED}) ${PROVISIONAL}, 0), coalesce(sum(t.logged) filter (where t.sold is null), 0), $5
  from monitoring.throughput t
  join unnest($3::integer[], $4::text[]) as d (id, world) on d.id = t.destination_id
 where t.day >= $1 and t.day < $2
 group by d.world, t.day
on conflict (world, day) do update set
  owed = excluded.owed, arrived = excluded.arrived, late = excluded.late,
  owed_provisional = excluded.owed_provisional, arrived_provisional = excluded.arrived_provisional,
  unproved = excluded.unproved, computed_at = excluded.computed_at
where s.computed_at <= excluded.computed_at`;

const FORGET = `delete from monitoring.slo_day where day < $1`;

const READ = `
select min(day)::text as "from", max(day)::text as until, coalesce(sum(owed), 0)::integer as owed,
       coalesce(sum(arrived), 0)::integer as arrived, coalesce(sum(late), 0)::integer as late
  from monitoring.slo_day where world = $1 and day >= $2 and owed > 0`;

const UNPROVED = `
select coalesce(sum(unproved), 0)::integer as unproved from monitoring.slo_day where world = $1 and day >= $2`;

export interface SettledDays {
  from: Date | null;
  until: Date | null;
  owed: number;
  arrived: number;
  late: number;
  unproved: number;
}

/**
 * The roll-ups of the last four weeks, added up by the day: what an objective achieved for sure. Days are added up anew
 * and replaced, so it may be done twice.
 */
export class SloDays {
  private nextAtMs = 0;

  constructor(
    private readonly deps: { database: Database; clock: Clock; registry: Pick<RegistryReader, 'destinations'> },
  ) {}

  async round(signal: AbortSignal): Promise<Round> {
    const { clock } = this.deps;
    if (clock.nowMs() < this.nextAtMs) return 'idle';
    const elapsedMs = stopwatch();
    await this.addUp(signal);
    if (!signal.aborted) this.nextAtMs = clock.nowMs() + Math.max(REST_MIN_MS, REST_PER_PASS * elapsedMs());
    return 'idle';
  }

  async addUp(signal: AbortSignal): Promise<void> {
    const { clock, database, registry } = this.deps;
    const nowAt = clock.now();
    const todayMs = Date.parse(dayOf(nowAt));
    const destinations = registry.destinations();
    for (let back = DAYS_BACK; back > -1 && !signal.aborted; back -= DAYS_AT_ONCE) {
      await database.query(ADD_UP, [
        dayOf(new Date(todayMs - back * DAY_MS)),
        dayOf(new Date(todayMs - (back - DAYS_AT_ONCE) * DAY_MS)),
        destinations.map(({ id }) => id),
        destinations.map(({ world }) => world),
        nowAt,
      ]);
    }
    await database.query(FORGET, [dayOf(new Date(todayMs - DAYS_BACK * DAY_MS))]);
  }

  async read(world: World, windowDays: number): Promise<SettledDays> {
    const { clock, database } = this.deps;
    const since = dayOf(new Date(clock.nowMs() - windowDays * DAY_MS));
    const [row] = await database.rows<{
      from: string | null;
      until: string | null;
      owed: number;
      arrived: number;
      late: number;
    }>(READ, [world, since]);
    const [open] = await database.rows<{ unproved: number }>(UNPROVED, [world, since]);
    return {
      from: row?.from == null ? null : new Date(row.from),
      until: row?.until == null ? null : new Date(row.until),
      owed: row?.owed ?? 0,
      arrived: row?.arrived ?? 0,
      late: row?.late ?? 0,
      unproved: open?.unproved ?? 0,
    };
  }
}
