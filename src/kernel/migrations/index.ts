import type { MigrationInterface, QueryRunner } from 'typeorm';
import { CREATE_MONITORING } from './monitoring.js';
import { CREATE_NOTICES } from './notices.js';
import { CREATE_PIPELINE } from './schema.js';

/** A migration that is one string of SQL. */
abstract class SqlMigration implements MigrationInterface {
  abstract readonly name: string;
  protected abstract readonly sql: string;

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(this.sql);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('migrations go forward only; restore a backup instead'));
  }
}

export class CreatePipeline1764000000000 extends SqlMigration {
  readonly name = 'CreatePipeline1764000000000';
  protected readonly sql = CREATE_PIPELINE;
}

export class CreateMonitoring1764100000000 extends SqlMigration {
  readonly name = 'CreateMonitoring1764100000000';
  protected readonly sql = CREATE_MONITORING;
}

export class CreateNotices1764500000000 extends SqlMigration {
  readonly name = 'CreateNotices1764500000000';
  protected readonly sql = CREATE_NOTICES;
}

/** In order. Each must be safe while the previous release still runs. */
export const MIGRATIONS = [CreatePipeline1764000000000, CreateMonitoring1764100000000, CreateNotices1764500000000];
