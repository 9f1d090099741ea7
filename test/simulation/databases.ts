import { randomBytes } from 'node:crypto';
import { afterAll } from 'vitest';
import { Databases } from '../../simulation/databases.js';
import { databaseUrl } from '../support/test-database.js';

/** The run's own server, for simulated worlds of one test file. */
export function simulatedDatabases(): Databases {
  const databases = new Databases(databaseUrl, `world_${randomBytes(4).toString('hex')}`);
  afterAll(() => databases.end());
  return databases;
}
