import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SystemClock } from '../../../src/kernel/clock.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { ensurePartitions } from '../../../src/kernel/partitions.js';
import { SecretBox } from '../../../src/kernel/secrets.js';
import { InboxReader } from '../../../src/pipeline/inbox/inbox-reader.js';
import { InboxWriter, IntakeRefused, type InboxWriterOptions } from '../../../src/pipeline/inbox/inbox-writer.js';
import { JournalDrain } from '../../../src/pipeline/inbox/journal-drain.js';
import { Journal } from '../../../src/pipeline/inbox/journal.js';
import { InboxStream } from '../../../src/pipeline/inbox/stream.js';
import { pipelinePartitions } from '../../../src/pipeline/partitions.js';
import { PgProxy } from '../../../simulation/pg-proxy.js';
import { testDatabase, type TestDatabase } from '../../support/test-database.js';
import { until } from '../../support/until.js';
import { entryOf } from './entries.js';

const clock = new SystemClock();
const secrets = new SecretBox([]);
const fullDisk = { append: () => Promise.reject(new Error('ENOSPC: no space left on device')) };
let db: TestDatabase;
let proxy: PgProxy;
let dir: string;
let journal: Journal;
let ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  db = await testDatabase();
  await ensurePartitions(db.database, clock, pipelinePartitions());
});
beforeEach(async () => {
  await db.database.query('truncate pipeline.inbox_segment, pipeline.inbox_stream');
  dir = mkdtempSync(join(tmpdir(), 'plumbline-spill-'));
  proxy = await PgProxy.to(db.url);
  journal = await Journal.open({ dir: join(dir, 'journal'), secrets, clock, log: silentLogger });
});
afterEach(async () => {
  for (const end of ends) await end();
  ends = [];
  await proxy.close();
  await journal.close();
  rmSync(dir, { recursive: true });
});

async function writer(options: Partial<InboxWriterOptions> = {}): Promise<InboxWriter> {
  const started = await new InboxWriter({
    databaseUrl: proxy.url,
    writer: 'test',
    secrets,
    clock,
    log: silentLogger,
    journal,
    ensurePartitions: () => Promise.resolve(),
    ...options,
  }).start();
  ends.push(() => started.close());
  return started;
}

async function drainJournal(): Promise<void> {
  const drain = new JournalDrain({
    journal,
    database: db.database,
    secrets,
    log: silentLogger,
    databaseIsUp: () => true,
    openStream: () =>
      InboxStream.open({
        databaseUrl: db.url,
        writer: 'drain',
        secrets,
        clock,
        ensurePartitions: () => Promise.resolve(),
      }),
  });
  while ((await drain.round()) === 'busy');
  await drain.close();
}

async function inboxIds(): Promise<string[]> {
  return db.database.transaction(async (client) => {
    const batch = await new InboxReader({ secrets, clock }).readBatch(client, { segments: 5000, streams: 100 });
    return batch.entries.map(({ entry }) => entry.webhookId);
  });
}

async function appendMany(inbox: InboxWriter, prefix: string, count: number): Promise<string[]> {
  const entries = Array.from({ length: count }, (_, n) => entryOf(`${prefix}${n}`));
  return (await Promise.all(entries.map((entry) => inbox.append(entry)))).map(({ durable }) => durable);
}

describe('the inbox writer, when the database is in trouble', () => {
  it('never answers from a database that would lose commits in a power cut: the journal takes over', async () => {
    const name = db.url.replace(/\?.*$/, '').split('/').pop() ?? '';
    await db.database.query(`alter database ${name} set synchronous_commit = off`);
    try {
      const inbox = await writer();
      expect(await inbox.append(entryOf('1'))).toEqual({ durable: 'journal' });
      expect(inbox.health().lastError).toContain('synchronous_commit = off');
    } finally {
      await db.database.query(`alter database ${name} reset synchronous_commit`);
    }
  });

  it('goes to the journal when the database refuses, and back as soon as it is there again', async () => {
    const inbox = await writer();
    expect(await inbox.append(entryOf('before'))).toEqual({ durable: 'database' });
    proxy.refuse();
    await until(() => inbox.health().database === 'down');
    expect(new Set(await appendMany(inbox, 'during', 20))).toEqual(new Set(['journal']));
    proxy.pass();
    await until(() => inbox.health().database === 'up');
    expect(await inbox.append(entryOf('after'))).toEqual({ durable: 'database' });

    await drainJournal();
    const ids = await inboxIds();
    expect(ids).toHaveLength(22);
    expect(new Set(ids).size).toBe(22);
  });

  it('starts without a database', async () => {
    proxy.refuse();
    const inbox = await writer();
    expect(await inbox.append(entryOf('early'))).toEqual({ durable: 'journal' });
  });

  it('moves to the journal within the deadline when the database hangs', async () => {
    const inbox = await writer();
    proxy.hang();
    const startedMs = performance.now();
    // More than the streams hold at once: those who wait must not wait for the time-outs of those before them.
    expect(new Set(await appendMany(inbox, 'hung', 900))).toEqual(new Set(['journal']));
    expect(performance.now() - startedMs).toBeLessThan(3_500); // intake answers 503 at 3.6 s: this is a deadline
    await drainJournal();
    expect(new Set(await inboxIds()).size).toBe(900);
  });

  it('never writes again to a stream whose commit got no answer', async () => {
    const inbox = await writer({ streams: 1 });
    await inbox.append(entryOf('w1'));
    proxy.hangAnswers();
    expect(await inbox.append(entryOf('w2'))).toEqual({ durable: 'journal' });
    await until(() => inbox.health().database === 'up');
    expect(await inbox.append(entryOf('w3'))).toEqual({ durable: 'database' });
    // w2 had committed although nobody heard of it; w3 is in a stream of its own, not behind it.
    const rows = await db.database.rows<{ stream_id: number; seq: string }>(
      'select stream_id, seq from pipeline.inbox_segment order by stream_id, seq',
    );
    expect(rows.map(({ seq }) => seq)).toEqual(['1', '2', '1']);
    expect(rows[2]?.stream_id).not.toBe(rows[0]?.stream_id);
  });

  it('loses nothing when connections break under load', async () => {
    const inbox = await writer();
    const appends = [appendMany(inbox, 'a', 300)];
    proxy.cut();
    appends.push(appendMany(inbox, 'b', 300));
    await until(() => inbox.health().database === 'up');
    appends.push(appendMany(inbox, 'c', 300));
    proxy.cut();
    await Promise.all(appends);
    await drainJournal();
    expect(new Set(await inboxIds()).size).toBe(900);
  });

  it('refuses when neither the database nor the journal takes it, naming both', async () => {
    proxy.refuse();
    const inbox = await writer({ journal: fullDisk });
    const refusal = await inbox.append(entryOf('w1')).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(IntakeRefused);
    expect(String(refusal)).toMatch(/neither the database \(.+\) nor the journal \(ENOSPC/);
    expect(inbox.health()).toMatchObject({ waiting: 0, waitingBytes: 0 });
  });

  it('bounds what waits, by number and by bytes', async () => {
    proxy.refuse();
    let release = (): void => undefined;
    const slow = { append: () => new Promise<number>((resolve) => (release = () => resolve(1))) };
    const byNumber = await writer({ journal: slow, queueEntriesMax: 2 });
    const taken = [byNumber.append(entryOf('w1')), byNumber.append(entryOf('w2'))];
    await expect(byNumber.append(entryOf('w3'))).rejects.toThrow(/already wait/);
    await until(() => byNumber.health().waiting === 2);
    await new Promise((resolve) => setImmediate(resolve));
    release();
    await Promise.all(taken);
    expect(byNumber.health().waiting).toBe(0);

    const byBytes = await writer({ journal: fullDisk, queueBytesMax: 1_000 });
    await expect(byBytes.append(entryOf('big', { body: Buffer.alloc(1_000) }))).rejects.toThrow(/already wait/);
  });

  it('refuses what cannot be encoded, and goes on as if it had never come', async () => {
    const inbox = await writer();
    const unfit = Object.assign(Buffer.from('{}'), {
      copy: () => {
        throw new RangeError('out of memory');
      },
    });
    for (const company of [0, 1]) {
      const taken = appendMany(inbox, `w${company}`, company);
      await expect(inbox.append(entryOf('unfit', { body: unfit }))).rejects.toThrow(IntakeRefused);
      await taken;
    }
    expect(await inbox.append(entryOf('next'))).toEqual({ durable: 'database' });
    expect(inbox.health()).toMatchObject({ waiting: 0, waitingBytes: 0 });
    await inbox.close();
    expect(await inboxIds()).toHaveLength(2);
  });

  it('refuses a batch whose way to the journal throws at once', async () => {
    proxy.refuse();
    const thrower = {
      append: () => {
        throw new Error('no journal at all');
      },
    };
    const inbox = await writer({ journal: thrower });
    await expect(inbox.append(entryOf('w1'))).rejects.toThrow(/no journal at all/);
    expect(inbox.health()).toMatchObject({ waiting: 0, waitingBytes: 0 });
  });

  it('settles everything it took before it closes, and takes nothing after', async () => {
    const inbox = await writer();
    const taken = appendMany(inbox, 'w', 50);
    await inbox.close();
    expect(await taken).toHaveLength(50);
    await expect(inbox.append(entryOf('late'))).rejects.toBeInstanceOf(IntakeRefused);
    expect(await inboxIds()).toHaveLength(50);
  });
});
