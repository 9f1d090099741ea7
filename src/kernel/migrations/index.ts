import type { MigrationInterface, QueryRunner } from 'typeorm';
import { CREATE_ALERTING } from './alerting.js';
import { CREATE_INCIDENTS } from './incidents.js';
import { CREATE_MONITORING } from './monitoring.js';
import { CREATE_NOTICES } from './notices.js';
import { CREATE_NOTIFY } from './notify.js';
import { PIPELINE_FOR_MONITORING } from './pipeline-for-monitoring.js';
import { CREATE_RECONCILIATION } from './reconciliation.js';
import { CREATE_PIPELINE } from './schema.js';
import { CREATE_STATUS_PAGE } from './status-page.js';
import { CREATE_SUBSCRIPTIONS } from './subscriptions.js';
import { CREATE_THROUGHPUT } from './throughput.js';
import { CREATE_WATCHING } from './watching.js';

/** A migration that is one string of SQL. Its name ends in the milliseconds that TypeORM sorts by. */
function migration(name: string, sql: string): new () => MigrationInterface {
  return class implements MigrationInterface {
    readonly name = name;

    async up(queryRunner: QueryRunner): Promise<void> {
      await queryRunner.query(sql);
    }

    down(): Promise<void> {
      return Promise.reject(new Error('migrations go forward only; restore a backup instead'));
    }
  };
}

/** In order. Each must be safe while the previous release still runs. */
export const MIGRATIONS = [
  migration('CreatePipeline1764000000000', CREATE_PIPELINE),
  migration('CreateMonitoring1764100000000', CREATE_MONITORING),
  migration('PipelineForMonitoring1764200000000', PIPELINE_FOR_MONITORING),
  migration('CreateReconciliation1764300000000', CREATE_RECONCILIATION),
  migration('CreateSubscriptions1764400000000', CREATE_SUBSCRIPTIONS),
  migration('CreateNotices1764500000000', CREATE_NOTICES),
  migration('CreateThroughput1764600000000', CREATE_THROUGHPUT),
  migration('CreateAlerting1764700000000', CREATE_ALERTING),
  migration('CreateWatching1764800000000', CREATE_WATCHING),
  migration('CreateNotify1764900000000', CREATE_NOTIFY),
  migration('CreateIncidents1765000000000', CREATE_INCIDENTS),
  migration('CreateStatusPage1765100000000', CREATE_STATUS_PAGE),
];
