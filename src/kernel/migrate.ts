import pg from 'pg';
import { DataSource } from 'typeorm';
import { clientConfig } from './database.js';
import type { Logger } from './log.js';
import { MIGRATIONS } from './migrations/index.js';

// Any number, the same in every process and used for nothing else: "plmb" in ASCII.
const MIGRATION_LOCK = 0x706c6d62;

/**
 * Brings the database to this build's schema, each migration in a transaction of its own.
 *
 * Several processes may start at once: an advisory lock lets one migrate while the others wait, and then find
 * nothing to do. The lock belongs to a connection, so a process killed half-way frees it.
 *
 * @returns the names of the migrations that ran now, in order
 */
export async function migrate(url: string, log: Logger): Promise<string[]> {
  // Waiting for another's long migration is no failure, and a migration may outlast a query's deadline.
  const patient = { statement_timeout: 0, query_timeout: 0 };
  const guard = new pg.Client({ ...clientConfig(url, 'plumbline-migrate'), ...patient });
  // A guard that is cut off shows in the statement that follows; unheard, it would end the process.
  guard.on('error', (error) => log.warn({ err: error }, 'connection that guards the migrations was lost'));
  await guard.connect();
  try {
    await guard.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const source = new DataSource({
      type: 'postgres',
      url,
      migrations: MIGRATIONS,
      migrationsTableName: 'plumbline_migration',
      migrationsTransactionMode: 'each',
      poolSize: 1,
      extra: patient,
    });
    await source.initialize();
    try {
      const names = (await source.runMigrations()).map((migration) => migration.name);
      if (names.length > 0) log.info({ migrations: names }, 'database schema brought up to date');
      return names;
    } finally {
      await source.destroy();
    }
  } finally {
    await guard.end(); // releases the lock
  }
}
