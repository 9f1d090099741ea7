import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SystemClock } from '../../../src/kernel/clock.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { ensurePartitions } from '../../../src/kernel/partitions.js';
import { SecretBox } from '../../../src/kernel/secrets.js';
import { InboxReader } from '../../../src/pipeline/inbox/inbox-reader.js';
import { InboxWriter } from '../../../src/pipeline/inbox/inbox-writer.js';
import { Journal } from '../../../src/pipeline/inbox/journal.js';
import { pipelinePartitions } from '../../../src/pipeline/partitions.js';
import { PgProxy } from '../../../simulation/pg-proxy.js';
import { testDatabase, type TestDatabase } from '../../support/test-database.js';
import { send, serveIntake, type IntakeServer } from './intake-server.js';

const clock = new SystemClock();
const secrets = new SecretBox([]);
const BODY = '{"id":820982911946154508}';
let db: TestDatabase;
let proxy: PgProxy;
let dir: string;
let journal: Journal;
let writer: InboxWriter;
let at: IntakeServer;

beforeAll(async () => {
  db = await testDatabase();
  await ensurePartitions(db.database, clock, pipelinePartitions());
});
beforeEach(async () => {
  await db.database.query('truncate pipeline.inbox_segment, pipeline.inbox_stream');
  dir = mkdtempSync(join(tmpdir(), 'plumbline-intake-'));
  proxy = await PgProxy.to(db.url);
  journal = await Journal.open({ dir: join(dir, 'journal'), secrets, clock, log: silentLogger });
  writer = await new InboxWriter({
    databaseUrl: proxy.url,
    writer: 'test',
    secrets,
    clock,
    log: silentLogger,
    journal,
    ensurePartitions: () => Promise.resolve(),
  }).start();
  at = await serveIntake((entry) => writer.append(entry));
});
afterEach(async () => {
  await at.close();
  await proxy.close();
  await writer.close();
  await journal.close();
  rmSync(dir, { recursive: true, force: true });
});

async function storedBodies(): Promise<string[]> {
  return db.database.transaction(async (client) => {
    const batch = await new InboxReader({ secrets, clock }).readBatch(client, { segments: 1000, streams: 10 });
    return batch.entries.map(({ entry }) => entry.body.toString());
  });
}

describe('answered means durable', () => {
  it('answers 200 to every one of many identical webhooks at once, and all of them are in the database', async () => {
    const answers = await Promise.all(Array.from({ length: 60 }, () => send(at.port, BODY)));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(await storedBodies()).toEqual(Array<string>(60).fill(BODY));
  });

  it('answers 200 from the journal when the database hangs', async () => {
    proxy.hang();
    expect((await send(at.port, BODY)).status).toBe(200);
    expect(journal.unsealed).toBe(1);
  });

  it('answers 200 from the journal when the database is away', async () => {
    proxy.refuse();
    expect((await send(at.port, BODY)).status).toBe(200);
    expect(journal.unsealed).toBe(1);
  });

  it('answers 503 and when to come back, when neither can be reached, and 200 again as soon as one can', async () => {
    proxy.refuse();
    rmSync(dir, { recursive: true });
    const answer = await send(at.port, BODY);
    expect(answer.status).toBe(503);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    await Journal.open({ dir: join(dir, 'journal'), secrets, clock, log: silentLogger });
    expect((await send(at.port, BODY)).status).toBe(200);
  });
});
