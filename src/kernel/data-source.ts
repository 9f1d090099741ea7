import { DataSource, type EntitySchema } from 'typeorm';
import { QuietClient, clientConfig } from './database.js';

/** The edited tables are small and rarely written: a few connections beside the hot path's pool are plenty. */
const POOL_SIZE = 3;

/** A TypeORM entity class. */
export type EntityClass = new () => object;

/**
 * TypeORM for the tables that people edit. Entities are named one by one, nothing is found by pattern; the schema is
 * the migrations' business, so it never synchronises.
 */
export function createDataSource(url: string, entities: readonly (EntityClass | EntitySchema)[]): DataSource {
  return new DataSource({
    type: 'postgres',
    url,
    entities: [...entities],
    synchronize: false,
    migrationsRun: false,
    logging: false,
    installExtensions: false,
    poolSize: POOL_SIZE,
    // The pool gets the URL itself too: TypeORM's own reading of it loses `?host=<socket directory>`.
    extra: { ...clientConfig(url, 'plumbline-registry'), Client: QuietClient },
  });
}
