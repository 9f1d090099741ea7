import { afterEach, expect, it } from 'vitest';
import { SystemClock } from '../../src/kernel/clock.js';
import { Leader } from '../../src/kernel/leader.js';
import { silentLogger } from '../../src/kernel/log.js';
import { testDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

const leaders: Leader[] = [];
afterEach(async () => {
  await Promise.all(leaders.splice(0).map((leader) => leader.stop()));
});

function leader(databaseUrl: string, processName: string): Leader {
  const made = new Leader({ name: 'watch', databaseUrl, processName, clock: new SystemClock(), log: silentLogger });
  leaders.push(made);
  return made;
}

it('is one of many, and another takes over when it stops', async () => {
  const { url, database } = await testDatabase();
  const [one, two] = [leader(url, 'one'), leader(url, 'two')];
  await one.look();
  await two.look();
  expect([one.isLeader, two.isLeader]).toEqual([true, false]);
  const { signal } = one;
  await one.stop();
  expect(signal.aborted).toBe(true);
  await two.look();
  expect(two.isLeader).toBe(true);
  expect(await database.rows('select name, process from kernel.leader')).toEqual([{ name: 'watch', process: 'two' }]);
});

it('learns that its connection was cut, and lets go', async () => {
  const { url, database } = await testDatabase();
  const one = leader(url, 'one');
  await one.look();
  const { signal } = one;
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'plumbline-leader-watch' and datname = current_database()`,
  );
  await until(() => Promise.resolve(!one.isLeader), { what: 'the leader has noticed' });
  expect(signal.aborted).toBe(true);
  await one.look();
  expect(one.isLeader).toBe(true);
  expect(one.signal.aborted).toBe(false);
});
