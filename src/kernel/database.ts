import pg from 'pg';
import type { SystemClock } from './clock.js';
import { PlumblineError, messageOf } from './errors.js';
import type { Logger } from './log.js';

/** A connection or the pool: whatever runs one statement. */
export interface Queryable {
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    statement: string | Statement,
    values?: readonly unknown[],
  ): Promise<pg.QueryResult<Row>>;
}

/**
 * A statement that a connection prepares once and then only executes. For the hot path's key look-ups: their plan does
 * not depend on the values, and planning would cost more than they do.
 */
export interface Statement {
  /** Unique for its text. */
  name: string;
  text: string;
}

// Every statement has a deadline: the server's own first, the client's a little later for a server that hangs.
const STATEMENT_TIMEOUT_MS = 30_000;
const CLIENT_TIMEOUT_MS = 35_000;
const CONNECT_TIMEOUT_MS = 5_000;
const TIME_ANSWER_MAX_MS = 500;

export interface DatabaseOptions {
  url: string;
  /** Connections in the pool. */
  poolSize?: number;
  applicationName?: string;
  /** Settings of every session, e.g. `{ enable_seqscan: 'off' }`. */
  settings?: Readonly<Record<string, string>>;
  log: Logger;
}

/**
 * Sessions whose statements find every row by its key. The planner takes a scan of the whole table and a hash for
 * cheaper as long as a queue is short, and a prepared statement would keep that plan when it has grown a hundredfold.
 */
export const KEYED: Readonly<Record<string, string>> = {
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
};

/**
 * How columns are read: as pg does, but for instants, of which a claim alone holds two a row. PostgreSQL prints them
 * `2026-11-23 08:00:00.123456+00`, and where they look so their digits are read by their place.
 */
const COLUMNS = new pg.TypeOverrides();
const readInstant = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ) as (text: string) => unknown;
COLUMNS.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text: string) => instantOf(text) ?? readInstant(text));

/** @returns `null` for what does not look so: another zone, a year of five digits, infinity */
function instantOf(text: string): Date | null {
  const end = text.length - 3;
  if (end < 19 || end > 26 || text.charCodeAt(4) !== 45 || text.charCodeAt(10) !== 32 || !text.endsWith('+00')) {
    return null;
  }
  const number = (from: number, to: number): number => {
    let value = 0;
    for (let at = from; at < to; at++) value = 10 * value + text.charCodeAt(at) - 48;
    return value;
  };
  // Milliseconds, as a Date has them: what is finer is cut off, as pg does.
  const fraction = Math.min(end, 23) - 20;
  const ms = fraction > 0 ? number(20, 20 + fraction) * 10 ** (3 - fraction) : 0;
  return new Date(
    Date.UTC(number(0, 4), number(5, 7) - 1, number(8, 10), number(11, 13), number(14, 16), number(17, 19), ms),
  );
}

/** Options for a connection of one's own (the inbox flushers, LISTEN), with the same deadlines as the pool's. */
export function clientConfig(url: string, applicationName: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: CLIENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: 60_000,
    keepAlive: true,
  };
}

/**
 * A connection whose last words end no process.
 *
 * A pool listens to a connection while it is idle, and whoever has it listens while it works. Between the two - let go
 * with an error, and not closed yet - nobody does, and a server that dies just then would take the process with it.
 */
export class QuietClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('error', () => undefined);
  }
}

function sessionOptions(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

/** The pool of connections that the hot path's hand-written SQL runs on. TypeORM has its own, for the edited tables. */
export class Database implements Queryable {
  readonly pool: pg.Pool;
  readonly url: string;

  constructor(private readonly options: DatabaseOptions) {
    this.url = options.url;
    this.pool = new pg.Pool({
      ...clientConfig(options.url, options.applicationName ?? 'plumbline'),
      ...(options.settings ? { options: sessionOptions(options.settings) } : {}),
      Client: QuietClient,
      types: COLUMNS,
      max: options.poolSize ?? 10,
      idleTimeoutMillis: 30_000,
    });
    // An idle connection that dies emits here; without a listener the process would end.
    this.pool.on('error', (error) => this.options.log.warn({ err: error }, 'idle database connection lost'));
  }

  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    statement: string | Statement,
    values: readonly unknown[] = [],
  ): Promise<pg.QueryResult<Row>> {
    return this.pool.query<Row>(statement, values as unknown[]);
  }

  async rows<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return (await this.query<Row>(text, values)).rows;
  }

  /** One transaction on one connection. A failure rolls back and is thrown on; a broken connection leaves the pool. */
  async transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    let broken: Error | undefined;
    // Between two statements a cut connection speaks up on the client itself; unheard, it would end the process.
    const onError = (error: Error): void => {
      broken = error;
    };
    client.on('error', onError);
    try {
      await client.query('begin');
      const result = await work(client);
      await client.query('commit');
      return result;
    } catch (error) {
      try {
        await client.query('rollback');
      } catch (rollbackError) {
        broken = rollbackError instanceof Error ? rollbackError : new Error(messageOf(rollbackError));
      }
      throw error;
    } finally {
      client.off('error', onError);
      client.release(broken);
    }
  }

  async end(): Promise<void> {
    await this.pool.end();
  }
}

/** SQLSTATE classes 22 (data exception), 23 (constraint) and 54 (a limit exceeded): the data, not the database. */
export function isDataError(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^(22|23|54)/.test(code);
}

/** A text from outside (what a destination answered) as a `text` column takes it: PostgreSQL stores no NUL. */
export function storableText(text: string | null): string | null {
  return text === null ? null : text.replaceAll('\u0000', '\ufffd');
}

/** Lets the clock follow the database's. Called by the health loop. */
export async function followDatabaseClock(database: Queryable, clock: SystemClock): Promise<void> {
  const askedMs = Date.now();
  const { rows } = await database.query<{ ms: string }>(
    'select (extract(epoch from clock_timestamp()) * 1000)::text as ms',
  );
  const answeredMs = Date.now();
  // An answer that waited (for a connection, for a busy server) tells the time only to within its wait.
  if (answeredMs - askedMs > TIME_ANSWER_MAX_MS) return;
  clock.follow(Number(rows[0]?.ms), (askedMs + answeredMs) / 2);
}

export interface DurabilitySetting {
  name: string;
  value: string;
  durable: boolean;
}

/**
 * Invariant 1: a 2xx means durable, so the database must mean it too.
 *
 * @returns each setting with its value and whether it keeps a committed transaction through a power cut
 * Source: PostgreSQL manual, "Write Ahead Log" (runtime-config-wal)
 */
export async function readDurability(database: Queryable): Promise<DurabilitySetting[]> {
  const { rows } = await database.query<{ name: string; setting: string }>(
    `select name, setting from pg_settings
      where name in ('fsync', 'synchronous_commit', 'full_page_writes') order by name`,
  );
  return rows.map(({ name, setting }) => ({
    name,
    value: setting,
    // 'local' and stronger wait for this server's own flush; only 'off' answers before it.
    durable: name === 'synchronous_commit' ? setting !== 'off' : setting === 'on',
  }));
}

/** @throws PlumblineError DATABASE_NOT_DURABLE naming each weak setting and the statement that mends it */
export function refuseWeakDurability(settings: readonly DurabilitySetting[]): void {
  const weak = settings.filter((setting) => !setting.durable);
  if (weak.length === 0) return;
  throw new PlumblineError(
    'DATABASE_NOT_DURABLE',
    `PostgreSQL would lose acknowledged orders in a power cut: ${weak.map((w) => `${w.name} = ${w.value}`).join(', ')}. ` +
      `Mend it with: ${weak.map((w) => `ALTER SYSTEM SET ${w.name} = on;`).join(' ')} SELECT pg_reload_conf();`,
  );
}
