import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Round } from '../../kernel/loop.js';
import type { IntakeMinute } from '../contract.js';

/** Upper bounds of how long an answer took, milliseconds; what took longer has a place of its own behind the last. */
export const TOOK_BOUNDS_MS: readonly number[] = [
  10, 25, 50, 100, 250, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500, 4_000, 5_000,
];

const MINUTE_MS = 60_000;
const KEEP_MS = 24 * 3_600_000;
const HOUSE_EVERY_MS = 3_600_000;
/** While the database is away; what is older is forgotten, and shows as a gap. */
const MINUTES_KEPT = 60;

const WRITE = `
insert into pipeline.intake_minute as m (minute, process, answers, unsigned, failed, took)
select i.minute, $1, i.answers, i.unsigned, i.failed, i.took::integer[]
  from unnest($2::timestamptz[], $3::integer[], $4::integer[], $5::integer[], $6::text[])
         as i (minute, answers, unsigned, failed, took)
on conflict (minute, process) do update set
  answers = excluded.answers, unsigned = excluded.unsigned, failed = excluded.failed, took = excluded.took`;

const FORGET = 'delete from pipeline.intake_minute where minute < $1';

/** Index: the primary key. */
const READ = `
select minute as "minuteAt", answers, unsigned, failed, took from pipeline.intake_minute
 where minute >= $1 order by minute`;

class Counts {
  answers = 0;
  unsigned = 0;
  failed = 0;
  readonly took = new Int32Array(TOOK_BOUNDS_MS.length + 1);

  add(other: Counts): void {
    this.answers += other.answers;
    this.unsigned += other.unsigned;
    this.failed += other.failed;
    for (let place = 0; place < this.took.length; place++) {
      this.took[place] = (this.took[place] ?? 0) + (other.took[place] ?? 0);
    }
  }
}

/**
 * Intake's answers by the minute: how many, how many were ours to be ashamed of, and how long they took.
 *
 * An answer costs a few additions (invariant 2: it waits for nothing). A loop carries them to the table every few
 * seconds, so an answer may count for the minute after its own. What a process had not carried when it died is gone:
 * these figures say how intake is, never what it took in.
 */
export class AnswerMinutes {
  private fresh = new Counts();
  private readonly unwritten = new Map<number, Counts>();
  private current = { minuteMs: 0, counts: new Counts() };
  private houseAtMs = 0;

  constructor(private readonly deps: { database: Database; clock: Clock; process: string }) {}

  /** Every answer once. @param status 0 = the sender left before there was one */
  answered(status: number, ms: number): void {
    const { fresh } = this;
    fresh.answers += 1;
    if (status === 401) fresh.unsigned += 1;
    else if (status >= 500) fresh.failed += 1;
    // How long a refusal took tells of its sender; a sender that left tells of us.
    if (status !== 0 && status !== 200 && status < 500) return;
    let place = 0;
    while (place < TOOK_BOUNDS_MS.length && ms > (TOOK_BOUNDS_MS[place] ?? 0)) place += 1;
    fresh.took[place] = (fresh.took[place] ?? 0) + 1;
  }

  async round(): Promise<Round> {
    const { clock, database, process } = this.deps;
    const nowMs = clock.nowMs();
    if (this.fresh.answers > 0) {
      const minuteMs = nowMs - (nowMs % MINUTE_MS);
      if (this.current.minuteMs !== minuteMs) this.current = { minuteMs, counts: new Counts() };
      this.current.counts.add(this.fresh);
      this.fresh = new Counts();
      this.unwritten.set(minuteMs, this.current.counts);
      for (const old of [...this.unwritten.keys()].slice(0, -MINUTES_KEPT)) this.unwritten.delete(old);
    }
    if (this.unwritten.size > 0) {
      const rows = [...this.unwritten];
      await database.query(WRITE, [
        process,
        rows.map(([minuteMs]) => new Date(minuteMs)),
        rows.map(([, { answers }]) => answers),
        rows.map(([, { unsigned }]) => unsigned),
        rows.map(([, { failed }]) => failed),
        rows.map(([, { took }]) => `{${took.join(',')}}`),
      ]);
      for (const [minuteMs, counts] of rows)
        if (this.unwritten.get(minuteMs) === counts) this.unwritten.delete(minuteMs);
    }
    if (nowMs >= this.houseAtMs) {
      await database.query(FORGET, [new Date(nowMs - KEEP_MS)]);
      this.houseAtMs = nowMs + HOUSE_EVERY_MS;
    }
    return 'idle';
  }

  /** Of all processes, added up. */
  async minutes(sinceAt: Date): Promise<IntakeMinute[]> {
    const rows = await this.deps.database.rows<IntakeMinute & Record<string, unknown>>(READ, [sinceAt]);
    return [...Map.groupBy(rows, ({ minuteAt }) => minuteAt.getTime()).values()].map((same) => ({
      minuteAt: same[0]?.minuteAt ?? sinceAt,
      answers: sumOf(same, ({ answers }) => answers),
      unsigned: sumOf(same, ({ unsigned }) => unsigned),
      failed: sumOf(same, ({ failed }) => failed),
      took: Array.from({ length: TOOK_BOUNDS_MS.length + 1 }, (_, place) =>
        sumOf(same, ({ took }) => took[place] ?? 0),
      ),
    }));
  }
}

function sumOf<Item>(items: readonly Item[], valueOf: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + valueOf(item), 0);
}
