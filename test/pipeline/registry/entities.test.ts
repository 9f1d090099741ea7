import { beforeAll, expect, it } from 'vitest';
import { createDataSource } from '../../../src/kernel/data-source.js';
import { REGISTRY_ENTITIES } from '../../../src/pipeline/registry/registry.js';
import { testDatabase, type TestDatabase } from '../../support/test-database.js';

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});

/** What TypeORM would do to the database to make it fit the entities. */
async function schemaDiff(): Promise<string[]> {
  const source = await createDataSource(db.url, REGISTRY_ENTITIES).initialize();
  try {
    return (await source.driver.createSchemaBuilder().log()).upQueries.map(({ query }) => query);
  } finally {
    await source.destroy();
  }
}

it('describes the tables of the migrations exactly: TypeORM would change nothing', async () => {
  expect(await schemaDiff()).toEqual([]);
});

it.each([
  ['alter table pipeline.shop add column left_over text', /DROP COLUMN "left_over"/],
  [
    'alter table pipeline.shop_destination drop constraint shop_destination_shop',
    /ADD CONSTRAINT "shop_destination_shop"/,
  ],
  ['drop index pipeline.shop_destination_by_destination', /CREATE INDEX "shop_destination_by_destination"/],
])('would notice: %s', async (change, seen) => {
  await db.database.query(change);
  expect((await schemaDiff()).join('\n')).toMatch(seen);
});
