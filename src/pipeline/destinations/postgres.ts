import pg from 'pg';
import type { Clock } from '../../kernel/clock.js';
import { QuietClient, isDataError } from '../../kernel/database.js';
import { messageOf } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import { KIND_CODES, type Destination, type Kind } from '../contract.js';
import type { DeliveryItem, DestinationAdapter, Formatted, Outcome, SendItem } from './adapter.js';
import { bisect, type Tried } from './bisect.js';
import { eventRecord } from './event-record.js';
import { withoutSecrets } from './outcome.js';
import { OwnSettings } from './own-settings.js';
import { PostgresReadBack } from './postgres-read-back.js';
import {
  createTable,
  quotedTable,
  readBack,
  readBackValues,
  rowOf,
  upsert,
  upsertValues,
  type Row,
} from './postgres-rows.js';
import { POSTGRES_SETTINGS, sayingOf, troubleOf, type PostgresSettings } from './postgres-settings.js';

const POOL_MAX = 4; // per warehouse: it is a guest's, and one batch holds many rows
const CONNECT_TIMEOUT_MS = 3_000;
const STATEMENT_TIMEOUT_MS = 8_000; // under the ten seconds of a send, so that the server ends it and not only we
const CLIENT_TIMEOUT_MS = 9_000;

/**
 * A PostgreSQL warehouse: one row an event, loaded in batches, then read back in a statement of its own after the
 * commit. It is the one destination that can prove arrival on the spot, so what it accepts is `confirmed`.
 *
 * Every kind may be repeated: the key makes a second load the same row.
 *
 * Private addresses are not refused here, unlike for HTTP: a warehouse usually is in the private network, the protocol
 * carries nothing a page could forge, and only an administrator can set its URL.
 */
export class PostgresAdapter implements DestinationAdapter {
  readonly kind = 'postgres';
  readonly kinds: ReadonlySet<Kind> = new Set(Object.keys(KIND_CODES) as Kind[]);
  readonly batch = { items: 200, bytes: 4 * 1024 * 1024 };
  readonly secretKeys = ['url'];
  readonly readBack: PostgresReadBack;
  private readonly settings = new OwnSettings<PostgresSettings>(POSTGRES_SETTINGS);
  private readonly pools = new Map<string, pg.Pool>();
  /** Tables known to exist, by URL and name. */
  private readonly ready = new Set<string>();

  constructor(
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {
    this.readBack = new PostgresReadBack(log);
  }

  isIdempotent(): boolean {
    return true;
  }

  checkSettings(own: Readonly<Record<string, unknown>>): { key: string; message: string }[] {
    return this.settings.faults(own);
  }

  format(item: DeliveryItem, destination: Destination): Formatted {
    const row = rowOf(eventRecord(item, destination));
    return { ok: true, request: row, bytes: Buffer.byteLength(row.payload) + 300 };
  }

  async send(items: readonly SendItem[], destination: Destination, signal: AbortSignal): Promise<Outcome[]> {
    // `request` comes from `format` above: the type is lost in the contract's common shape only.
    const rows = items.map(({ formatted }) => formatted.request as Row);
    const late = new Promise<Outcome[]>((resolve) => {
      const giveUp = (): void => resolve(items.map(() => ({ outcome: 'ambiguous', detail: 'no answer in time' })));
      if (signal.aborted) giveUp();
      else signal.addEventListener('abort', giveUp, { once: true });
    });
    // What is given up goes on for a moment at the server and may commit; the key makes that harmless.
    return Promise.race([this.load(rows, destination, signal), late]);
  }

  async close(): Promise<void> {
    await Promise.all([this.readBack.close(), ...[...this.pools.values()].map((pool) => pool.end())]);
    this.pools.clear();
  }

  private async load(rows: readonly Row[], destination: Destination, signal: AbortSignal): Promise<Outcome[]> {
    try {
      const settings = this.settings.of(destination);
      const table = quotedTable(settings.table) ?? '';
      return await bisect(rows, (part) => this.loadPart(part, settings, table, signal));
    } catch (error) {
      return rows.map(() => ({
        outcome: 'unreachable',
        retryAfterMs: null,
        detail: withoutSecrets(messageOf(error), []),
      }));
    }
  }

  private async loadPart(
    rows: readonly Row[],
    settings: PostgresSettings,
    table: string,
    signal: AbortSignal,
  ): Promise<Tried> {
    const same = (outcome: Outcome): Tried => ({ outcomes: rows.map(() => outcome) });
    let client: pg.PoolClient;
    try {
      client = await this.pool(settings.url).connect();
    } catch (error) {
      return same(refused(error, settings));
    }
    let released = false;
    const release = (broken?: Error): void => {
      if (released) return;
      released = true;
      signal.removeEventListener('abort', onGivenUp);
      if (broken === undefined) client.off('error', release);
      client.release(broken);
    };
    // Given up means gone: a connection that hangs must not keep one of the pool's few places until its own time-out.
    const onGivenUp = (): void => release(new Error('given up'));
    signal.addEventListener('abort', onGivenUp, { once: true });
    // A connection that is cut while it is ours emits besides failing the query; unheard, that would end the process.
    client.on('error', release);
    try {
      // Once given up, nothing new is started: the queue may already be trying it again.
      if (signal.aborted) return same({ outcome: 'ambiguous', detail: 'no answer in time' });
      await this.ensureTable(client, settings.url, table);
      await client.query(upsert(table), upsertValues(rows, this.clock.now()));
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) {
        release(error instanceof Error ? error : new Error(messageOf(error)));
        return same({ outcome: 'ambiguous', detail: sayingOf(error, settings) });
      }
      if (error.code === '42P01') this.ready.delete(readyKey(settings.url, table)); // dropped since: made again next time
      const outcome = refused(error, settings);
      return isDataError(error) ? { poisoned: outcome } : same(outcome);
    } finally {
      release();
    }
    return { outcomes: await this.confirm(rows, settings, table) };
  }

  /** Reads the keys back, after the commit and in a statement of its own. A failed read leaves them unproved. */
  private async confirm(rows: readonly Row[], settings: PostgresSettings, table: string): Promise<Outcome[]> {
    try {
      const found = await this.pool(settings.url).query<{ place: number }>(readBack(table), readBackValues(rows));
      const places = new Set(found.rows.map(({ place }) => place));
      return rows.map((_row, index) => ({ outcome: 'accepted', confirmed: places.has(index + 1) }));
    } catch (error) {
      this.log.warn({ reason: sayingOf(error, settings) }, 'warehouse read-back failed');
      return rows.map(() => ({ outcome: 'accepted', confirmed: false }));
    }
  }

  /** Made on first use. The advisory lock keeps two makers apart: `if not exists` alone can still collide. */
  private async ensureTable(client: pg.PoolClient, url: string, table: string): Promise<void> {
    const key = readyKey(url, table);
    if (this.ready.has(key)) return;
    // Asked first: a role that may only insert must not need the right to create.
    const { rows } = await client.query<{ found: string | null }>('select to_regclass($1)::text as found', [table]);
    if (rows[0]?.found == null) {
      await client.query('begin');
      try {
        await client.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`plumbline ${table}`]);
        await client.query(createTable(table));
        await client.query('commit');
      } catch (error) {
        await client.query('rollback');
        throw error;
      }
    }
    this.ready.add(key);
  }

  private pool(url: string): pg.Pool {
    const known = this.pools.get(url);
    if (known !== undefined) return known;
    const pool = new pg.Pool({
      Client: QuietClient,
      connectionString: url,
      application_name: 'plumbline',
      max: POOL_MAX,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      query_timeout: CLIENT_TIMEOUT_MS,
      idleTimeoutMillis: 30_000,
      keepAlive: true,
    });
    // An idle connection that dies emits here; without a listener the process would end.
    pool.on('error', (error) => this.log.debug({ reason: messageOf(error) }, 'idle warehouse connection lost'));
    this.pools.set(url, pool);
    return pool;
  }
}

function readyKey(url: string, table: string): string {
  return `${url} ${table}`;
}

/**
 * What a failure means when the server said so itself, or when no connection came about. Only a fault of the data
 * buries the event: a missing right, table or database is the destination's state and can be mended.
 */
function refused(error: unknown, settings: PostgresSettings): Outcome {
  if (isDataError(error)) {
    const code = error instanceof pg.DatabaseError ? (error.code ?? '') : '';
    const detail = sayingOf(error, settings);
    // A constraint the customer added is theirs to judge; anything else we should not have sent.
    return { outcome: 'rejected', lane: code.startsWith('23') ? 'theirs' : 'ours', reason: `sql-${code}`, detail };
  }
  return { outcome: 'unreachable', retryAfterMs: null, detail: troubleOf(error, settings) };
}
