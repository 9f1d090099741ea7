import { expect, it } from 'vitest';
import { SystemClock } from '../../src/kernel/clock.js';
import { followDatabaseClock, type Queryable } from '../../src/kernel/database.js';
import { testDatabase } from '../support/test-database.js';

const { database } = await testDatabase();

const awayFromMachineMs = (clock: SystemClock): number => Math.abs(clock.nowMs() - Date.now());

it('follows the clock of the database', async () => {
  const clock = new SystemClock();
  clock.follow(Date.now() + 60_000, Date.now());
  await followDatabaseClock(database, clock);
  expect(awayFromMachineMs(clock)).toBeLessThan(500);
});

it('does not move its clock by the time an answer had to wait', async () => {
  const clock = new SystemClock();
  const busy: Queryable = {
    query: async (text) => {
      await database.query('select pg_sleep(2)');
      return database.query(text);
    },
  };
  await followDatabaseClock(busy, clock);
  expect(awayFromMachineMs(clock)).toBeLessThan(500);
});

it('outlives a connection that speaks up after it was let go with an error', async () => {
  const client = await database.pool.connect();
  client.release(new Error('no longer trusted'));
  // What node-postgres does with a FATAL message that no query waits for; without a listener it ends the process.
  expect(() =>
    client.emit('error', new Error('terminating connection due to unexpected postmaster exit')),
  ).not.toThrow();
});
