import { expect, test } from 'vitest';
import { silentLogger } from '../../src/kernel/log.js';
import { migrate } from '../../src/kernel/migrate.js';
import { MIGRATIONS } from '../../src/kernel/migrations/index.js';
import { emptyDatabase, testDatabase } from '../support/test-database.js';

test('gives every caller a migrated database of its own', async () => {
  const [one, other] = await Promise.all([testDatabase(), testDatabase()]);
  await one.database.query("insert into kernel.audit (at, actor, action, subject) values (now(), 'a', 'b', 'c')");
  const count = 'select count(*)::int as n from kernel.audit';
  expect(await one.database.rows(count)).toEqual([{ n: 1 }]);
  expect(await other.database.rows(count)).toEqual([{ n: 0 }]);
});

test('runs every migration once when four processes start together', async () => {
  const url = await emptyDatabase();
  const runs = await Promise.all(Array.from({ length: 4 }, () => migrate(url, silentLogger)));
  const ran = runs.flat().toSorted();
  expect(ran).toEqual(MIGRATIONS.map((migration) => new migration().name).toSorted());
  expect(await migrate(url, silentLogger)).toEqual([]);
});
