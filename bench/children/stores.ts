import { Queue } from 'bullmq';
import { makeWorkerUtils } from 'graphile-worker';
import pg from 'pg';
import { PgBoss } from 'pg-boss';
import type { InboxEntry } from '../../src/pipeline/contract.js';
import { Batcher } from './batcher.js';

/** Something that keeps a webhook durably, and can be emptied between measurements. */
export interface Store {
  append(entry: InboxEntry): Promise<unknown>;
  empty(): Promise<void>;
  close(): Promise<void>;
}

export type RivalName = 'one-insert' | 'pg-boss' | 'graphile-worker' | 'bullmq';

const QUEUE = 'webhook';

/** A rival at its best: its own batch insert where it has one, behind the same front and the same batching as ours. */
export async function openRival(name: RivalName, place: { databaseUrl: string; redisPort: number }): Promise<Store> {
  switch (name) {
    case 'one-insert':
      return openOneInsert(place.databaseUrl);
    case 'pg-boss':
      return openPgBoss(place.databaseUrl);
    case 'graphile-worker':
      return openGraphile(place.databaseUrl);
    case 'bullmq':
      return openBullmq(place.redisPort);
  }
}

/** What a job must hold, so that the webhook can be verified and delivered from it alone. */
function jobData(entry: InboxEntry): { topic: string; shop: string; webhookId: string; hmac: string; body: string } {
  const { topic, shopDomain, webhookId, hmac, body } = entry;
  return { topic, shop: shopDomain, webhookId, hmac: hmac ?? '', body: body.toString('utf8') };
}

async function openOneInsert(databaseUrl: string): Promise<Store> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 16 });
  await pool.query(`create table if not exists webhook_row (
    webhook_id text primary key, topic text not null, shop text not null, received_at timestamptz not null, body bytea not null)`);
  await pool.query('alter table webhook_row alter column body set storage external');
  const text = 'insert into webhook_row values ($1, $2, $3, $4, $5) on conflict do nothing';
  return {
    append: ({ webhookId, topic, shopDomain, receivedAtMs, body }) =>
      pool.query({ name: 'one', text, values: [webhookId, topic, shopDomain, new Date(receivedAtMs), body] }),
    empty: async () => void (await pool.query('truncate webhook_row')),
    close: () => pool.end(),
  };
}

async function openPgBoss(databaseUrl: string): Promise<Store> {
  const boss = new PgBoss({ connectionString: databaseUrl, max: 8, supervise: false, schedule: false });
  boss.on('error', (error) => process.stderr.write(`pg-boss: ${String(error)}\n`));
  await boss.start();
  await boss.createQueue(QUEUE);
  const batcher = new Batcher<InboxEntry>((entries) =>
    boss.insert(
      QUEUE,
      entries.map((entry) => ({ data: jobData(entry) })),
    ),
  );
  return {
    append: (entry) => batcher.append(entry),
    empty: async () => void (await boss.deleteAllJobs(QUEUE)),
    close: () => boss.stop({ graceful: false }),
  };
}

async function openGraphile(databaseUrl: string): Promise<Store> {
  const pgPool = new pg.Pool({ connectionString: databaseUrl, max: 8 });
  pgPool.on('error', () => undefined);
  pgPool.on('connect', (client) => client.on('error', () => undefined));
  const utils = await makeWorkerUtils({ pgPool });
  await utils.migrate();
  const batcher = new Batcher<InboxEntry>((entries) =>
    utils.addJobs(entries.map((entry) => ({ identifier: QUEUE, payload: jobData(entry) }))),
  );
  return {
    append: (entry) => batcher.append(entry),
    empty: async () => void (await pgPool.query('truncate graphile_worker._private_jobs')),
    async close() {
      await utils.release();
      await pgPool.end();
    },
  };
}

async function openBullmq(redisPort: number): Promise<Store> {
  const queue = new Queue(QUEUE, { connection: { host: '127.0.0.1', port: redisPort } });
  await queue.waitUntilReady();
  const batcher = new Batcher<InboxEntry>((entries) =>
    queue.addBulk(entries.map((entry) => ({ name: entry.topic, data: jobData(entry) }))),
  );
  return {
    append: (entry) => batcher.append(entry),
    empty: () => queue.obliterate({ force: true }),
    close: () => queue.close(),
  };
}
