import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DataSource } from 'typeorm';
import { createDataSource } from '../../../src/kernel/data-source.js';
import { REGISTRY_ENTITIES } from '../../../src/pipeline/registry/registry.js';
import { testDatabase } from '../../support/test-database.js';

let source: DataSource;
beforeAll(async () => {
  source = await createDataSource((await testDatabase()).url, REGISTRY_ENTITIES).initialize();
});
afterAll(() => source.destroy());

it('describes the tables of the migrations exactly: TypeORM would change nothing', async () => {
  const { upQueries } = await source.driver.createSchemaBuilder().log();
  expect(upQueries.map(({ query }) => query)).toEqual([]);
});
