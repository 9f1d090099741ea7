import type { Database } from '../kernel/database.js';

const READ = `select at from monitoring.watermark where name = $1`;
// Never backwards: a process that has just lost the lead may still be writing.
const MOVE = `
insert into monitoring.watermark as w (name, at) values ($1, $2)
on conflict (name) do update set at = greatest(w.at, excluded.at)`;

/** How far a reader of the pipeline's facts has come; survives its process. */
export class Watermark {
  constructor(
    private readonly database: Database,
    private readonly name: string,
  ) {}

  /** @returns `null` = it has never begun */
  async read(): Promise<Date | null> {
    const [row] = await this.database.rows<{ at: Date }>(READ, [this.name]);
    return row?.at ?? null;
  }

  async move(at: Date): Promise<void> {
    await this.database.query(MOVE, [this.name, at]);
  }
}
