import type { MigrationInterface, QueryRunner } from 'typeorm';
import { CREATE_MONITORING } from './monitoring.js';
import { PIPELINE_FOR_MONITORING } from './pipeline-for-monitoring.js';
import { CREATE_RECONCILIATION } from './reconciliation.js';
import { CREATE_PIPELINE } from './schema.js';
import { CREATE_THROUGHPUT } from './throughput.js';

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

export class PipelineForMonitoring1764200000000 extends SqlMigration {
  readonly name = 'PipelineForMonitoring1764200000000';
  protected readonly sql = PIPELINE_FOR_MONITORING;
}

export class CreateReconciliation1764300000000 extends SqlMigration {
  readonly name = 'CreateReconciliation1764300000000';
  protected readonly sql = CREATE_RECONCILIATION;
}

export class CreateThroughput1764600000000 extends SqlMigration {
  readonly name = 'CreateThroughput1764600000000';
  protected readonly sql = CREATE_THROUGHPUT;
}

/** In order. Each must be safe while the previous release still runs. */
export const MIGRATIONS = [
  CreatePipeline1764000000000,
  CreateMonitoring1764100000000,
  PipelineForMonitoring1764200000000,
  CreateReconciliation1764300000000,
  CreateThroughput1764600000000,
];
