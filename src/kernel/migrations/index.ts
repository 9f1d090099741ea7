import type { MigrationInterface, QueryRunner } from 'typeorm';
import { CREATE_PIPELINE } from './schema.js';

export class CreatePipeline1764000000000 implements MigrationInterface {
  readonly name = 'CreatePipeline1764000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(CREATE_PIPELINE);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('migrations go forward only; restore a backup instead'));
  }
}

/** In order. Each must be safe while the previous release still runs. */
export const MIGRATIONS = [CreatePipeline1764000000000];
