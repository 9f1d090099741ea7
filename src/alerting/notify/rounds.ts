import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';

/** The row's lock decides between processes; the others find it done. */
const TAKE = `
insert into alerting.round (name, done_at) values ($1, $2)
on conflict (name) do update set done_at = excluded.done_at where alerting.round.done_at <= $3
returning name`;

/** What is done at intervals, by whichever process comes first, and when it was done last. */
export class Rounds {
  constructor(private readonly deps: { database: Database; clock: Clock }) {}

  /** @returns whether it is this caller's turn: nobody has done it for so long */
  async take(name: string, everyMs: number): Promise<boolean> {
    const nowAt = this.deps.clock.now();
    const { rowCount } = await this.deps.database.query(TAKE, [name, nowAt, new Date(nowAt.getTime() - everyMs)]);
    return rowCount === 1;
  }

  async doneAt(name: string): Promise<Date | null> {
    const [row] = await this.deps.database.rows<{ doneAt: Date }>(
      'select done_at as "doneAt" from alerting.round where name = $1',
      [name],
    );
    return row?.doneAt ?? null;
  }

  /** Says that it was done at that time, whatever was known. */
  async set(name: string, doneAt: Date): Promise<void> {
    await this.deps.database.query(
      `insert into alerting.round (name, done_at) values ($1, $2)
on conflict (name) do update set done_at = excluded.done_at`,
      [name, doneAt],
    );
  }

  async forget(name: string): Promise<void> {
    await this.deps.database.query('delete from alerting.round where name = $1', [name]);
  }
}
