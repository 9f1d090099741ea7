import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, inject } from 'vitest';
import { Database } from '../../src/kernel/database.js';
import { silentLogger } from '../../src/kernel/log.js';

const TEMPLATE = 'plumbline_template';

export interface TestDatabase {
  url: string;
  database: Database;
  /** Ends the pool and drops the database, whoever still uses it. */
  drop(): Promise<void>;
}

/**
 * A fresh copy of the migrated template, for one test file (or one test). It is dropped when the file ends;
 * calling `drop` earlier is allowed.
 */
export async function testDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await onServer(`create database ${name} template ${TEMPLATE}`);
  const url = databaseUrl(name);
  const database = new Database({ url, log: silentLogger, applicationName: name });
  let dropped: Promise<void> | null = null;
  const drop = (): Promise<void> => (dropped ??= endAndDrop(database, name));
  afterAll(drop);
  return { url, database, drop };
}

/** An empty database without a schema, for tests of the migrations themselves. The caller need not drop it. */
export async function emptyDatabase(): Promise<string> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await onServer(`create database ${name}`);
  afterAll(() => onServer(`drop database if exists ${name} with (force)`));
  return databaseUrl(name);
}

/** URL of a database on the run's server. */
export function databaseUrl(name: string): string {
  return inject('serverUrl').replace('{database}', name);
}

async function endAndDrop(database: Database, name: string): Promise<void> {
  await database.end();
  await onServer(`drop database if exists ${name} with (force)`);
}

async function onServer(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl('postgres'), connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
