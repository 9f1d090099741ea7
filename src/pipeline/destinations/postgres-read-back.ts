import pg from 'pg';
import { QuietClient } from '../../kernel/database.js';
import { hasCode, messageOf } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import {
  KIND_CODES,
  type Destination,
  type Kind,
  type ReadBackAbility,
  type ReadBackItem,
  type ReadBackPresent,
  type Shop,
} from '../contract.js';
import type { AdapterReadBack } from './adapter.js';
import { OwnSettings } from './own-settings.js';
import { findSubjects, findSubjectsValues, quotedTable } from './postgres-rows.js';
import { POSTGRES_SETTINGS, troubleOf, type PostgresSettings } from './postgres-settings.js';
import { cannot, later } from './read-back.js';

const SETTLING_MS = 60_000; // it is there with the commit; a minute for clocks that differ
const CHUNK_ITEMS = 250;
const POOL_MAX = 1; // of its own, so that a read that hangs takes no place of a load
const CONNECT_TIMEOUT_MS = 3_000;
const STATEMENT_TIMEOUT_MS = 8_000;
const CLIENT_TIMEOUT_MS = 9_000;

const UNDEFINED_TABLE = '42P01';

const ALL_KINDS: ReadonlySet<Kind> = new Set(Object.keys(KIND_CODES) as Kind[]);

/**
 * Reads a warehouse back by the keys of its table, exactly. A table that is gone holds nothing, so everything is
 * absent; a database that cannot be asked says nothing, so the answer is `later`.
 */
export class PostgresReadBack implements AdapterReadBack {
  private readonly settings = new OwnSettings<PostgresSettings>(POSTGRES_SETTINGS);
  private readonly pools = new Map<string, pg.Pool>();

  constructor(private readonly log: Logger) {}

  ability(destination: Destination): ReadBackAbility {
    if (this.settings.orNull(destination) === null) return cannot('its settings cannot be read');
    return { means: 'ids', kinds: ALL_KINDS, settlingMs: SETTLING_MS, why: null };
  }

  async present(
    destination: Destination,
    shop: Shop,
    kind: Kind,
    items: readonly ReadBackItem[],
    signal?: AbortSignal,
  ): Promise<ReadBackPresent> {
    const settings = this.settings.of(destination);
    const present = new Set<string>();
    try {
      for (let from = 0; from < items.length; from += CHUNK_ITEMS) {
        const chunk = items.slice(from, from + CHUNK_ITEMS);
        for (const place of await this.find(settings, shop.domain, kind, chunk, signal)) {
          const item = chunk[place - 1];
          if (item !== undefined) present.add(item.subjectId);
        }
      }
    } catch (error) {
      if (hasCode(error, UNDEFINED_TABLE)) return { outcome: 'read', present: new Set() };
      return later(troubleOf(error, settings));
    }
    return { outcome: 'read', present };
  }

  async close(): Promise<void> {
    await Promise.all([...this.pools.values()].map((pool) => pool.end()));
    this.pools.clear();
  }

  /** @returns places in `items`, counted from 1 */
  private async find(
    settings: PostgresSettings,
    shopDomain: string,
    kind: Kind,
    items: readonly ReadBackItem[],
    signal: AbortSignal | undefined,
  ): Promise<number[]> {
    const client = await this.pool(settings.url).connect();
    const givenUp = Promise.withResolvers<never>();
    const onGivenUp = (): void => givenUp.reject(new Error('no answer in time'));
    signal?.addEventListener('abort', onGivenUp, { once: true });
    let broken: Error | undefined;
    try {
      signal?.throwIfAborted();
      const asked = client.query<{ place: number }>(
        findSubjects(quotedTable(settings.table) ?? ''),
        findSubjectsValues(shopDomain, kind, items),
      );
      const { rows } = await Promise.race([asked, givenUp.promise]);
      return rows.map(({ place }) => place);
    } catch (error) {
      // Only what the server itself refused leaves the connection usable; one that hangs must not keep the place.
      if (!(error instanceof pg.DatabaseError)) broken = error instanceof Error ? error : new Error(messageOf(error));
      throw error;
    } finally {
      signal?.removeEventListener('abort', onGivenUp);
      client.release(broken);
    }
  }

  private pool(url: string): pg.Pool {
    const known = this.pools.get(url);
    if (known !== undefined) return known;
    const pool = new pg.Pool({
      Client: QuietClient,
      connectionString: url,
      application_name: 'plumbline-read-back',
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
