import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';

/** How far a destination has been read back, by when things were accepted there. */
export interface ReadBackTurn {
  destinationId: number;
  /** Everything accepted before has its verdict. */
  settledUntilAt: Date;
  checkedAt: Date | null;
  nextCheckAt: Date;
  failures: number;
  lastError: string | null;
}

const ADD = `
insert into monitoring.read_back (destination_id, settled_until_at, next_check_at) values ($1, $2, $3)
on conflict (destination_id) do nothing`;

const ALL = `
select destination_id as "destinationId", settled_until_at as "settledUntilAt", checked_at as "checkedAt",
       next_check_at as "nextCheckAt", failures, last_error as "lastError" from monitoring.read_back`;

const CHECKED = `
update monitoring.read_back
   set settled_until_at = greatest(settled_until_at, $2), checked_at = $3, next_check_at = $4, failures = 0, last_error = null
 where destination_id = $1`;

const HINDERED = `
update monitoring.read_back set next_check_at = $2, failures = failures + 1, last_error = $3 where destination_id = $1`;

export class ReadBackStore {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  async add(destinationId: number, settledUntilAt: Date): Promise<void> {
    await this.database.query(ADD, [destinationId, settledUntilAt, this.clock.now()]);
  }

  turns(): Promise<ReadBackTurn[]> {
    return this.database.rows<ReadBackTurn & Record<string, unknown>>(ALL);
  }

  async checked(destinationId: number, settledUntilAt: Date, nextCheckAt: Date): Promise<void> {
    await this.database.query(CHECKED, [destinationId, settledUntilAt, this.clock.now(), nextCheckAt]);
  }

  async hindered(destinationId: number, detail: string, nextCheckAt: Date): Promise<void> {
    await this.database.query(HINDERED, [destinationId, nextCheckAt, detail]);
  }
}
