import { mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SystemClock } from '../../../src/kernel/clock.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { ensurePartitions } from '../../../src/kernel/partitions.js';
import { processWorld } from '../../../src/kernel/process-identity.js';
import { SecretBox } from '../../../src/kernel/secrets.js';
import { InboxReader } from '../../../src/pipeline/inbox/inbox-reader.js';
import { JournalDrain } from '../../../src/pipeline/inbox/journal-drain.js';
import { Journal, type JournalOptions } from '../../../src/pipeline/inbox/journal.js';
import { InboxStream } from '../../../src/pipeline/inbox/stream.js';
import { pipelinePartitions } from '../../../src/pipeline/partitions.js';
import { PgProxy } from '../../../simulation/pg-proxy.js';
import { testDatabase, type TestDatabase } from '../../support/test-database.js';
import { entryOf } from './entries.js';

const clock = new SystemClock();
const plain = new SecretBox([]);
const deadOwner = { pid: 1, startedAs: 'long ago', host: hostname(), ...processWorld() };
let db: TestDatabase;
let dir: string;
let ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  db = await testDatabase();
  await ensurePartitions(db.database, clock, pipelinePartitions());
});
beforeEach(async () => {
  dir = join(mkdtempSync(join(tmpdir(), 'plumbline-journal-')), 'journal');
  await db.database.query('truncate pipeline.inbox_segment, pipeline.inbox_stream, pipeline.journal_drain');
});
afterEach(async () => {
  for (const end of ends) await end();
  ends = [];
  rmSync(join(dir, '..'), { recursive: true, force: true });
});

async function journal(options: Partial<JournalOptions> = {}): Promise<Journal> {
  const opened = await Journal.open({ dir, secrets: plain, clock, log: silentLogger, ...options });
  ends.push(() => opened.close());
  return opened;
}

function openStream(secrets = plain, databaseUrl = db.url): Promise<InboxStream> {
  return InboxStream.open({ databaseUrl, writer: 'drain', secrets, clock, ensurePartitions: () => Promise.resolve() });
}

function drainOf(of: Journal, secrets = plain, open = () => openStream(secrets)): JournalDrain {
  const drain = new JournalDrain({
    journal: of,
    database: db.database,
    secrets,
    log: silentLogger,
    databaseIsUp: () => true,
    openStream: open,
  });
  ends.push(() => drain.close());
  return drain;
}

async function drainAll(drain: JournalDrain): Promise<void> {
  while ((await drain.round()) === 'busy');
}

async function inboxIds(secrets = plain): Promise<string[]> {
  const reader = new InboxReader({ secrets, clock });
  return db.database.transaction(async (client) => {
    const batch = await reader.readBatch(client, { segments: 1000, streams: 100 });
    return batch.entries.map(({ entry }) => entry.webhookId);
  });
}

/** What a killed process leaves: a file that nobody sealed. */
async function leftBehind(ids: string[]): Promise<string> {
  const killed = await journal({ owner: deadOwner });
  ends.pop();
  for (const id of ids) await killed.append([entryOf(id)]);
  return join(dir, readdirSync(dir).find((name) => name.endsWith('.open')) ?? 'none');
}

describe('the journal', () => {
  it('is drained in order, once, and leaves nothing behind', async () => {
    const spill = await journal({ fileBytesMax: 2_000 });
    const ids = Array.from({ length: 60 }, (_, n) => `w${String(n).padStart(2, '0')}`);
    for (const id of ids) await spill.append([entryOf(id)]);
    expect((await spill.sealed()).length).toBeGreaterThan(1); // it rotates

    await drainAll(drainOf(spill));
    expect(await inboxIds()).toEqual(ids);
    expect(readdirSync(dir)).toEqual([]);
    expect(await db.database.rows('select 1 from pipeline.journal_drain')).toEqual([]);
  });

  it('stores what many append at once, in few flushes', async () => {
    const spill = await journal();
    await Promise.all(Array.from({ length: 200 }, (_, n) => spill.append([entryOf(`w${n}`)])));
    expect(spill.unsealed).toBe(200);
    await drainAll(drainOf(spill));
    expect(new Set(await inboxIds()).size).toBe(200);
  });

  it('takes over the file of a dead process and leaves that of a live one alone', async () => {
    await leftBehind(['dead']);
    const live = await journal();
    await live.append([entryOf('live')]);
    const other = await journal();
    await drainAll(drainOf(other));
    expect(await inboxIds()).toEqual(['dead']);
    expect(readdirSync(dir).filter((name) => name.endsWith('.open'))).toHaveLength(1);
  });

  it('takes over the file of an owner out of sight, but not while its heart beats', async () => {
    const elsewhere = { ...deadOwner, host: 'another machine', boot: 'another', pidNamespace: 'another' };
    const far = await journal({ owner: elsewhere });
    await far.append([entryOf('w1')]);
    await (await journal()).adopt();
    expect(readdirSync(dir).filter((name) => name.endsWith('.open'))).toHaveLength(1);
    expect(readdirSync(dir)).toHaveLength(1); // asking for the time leaves nothing behind
  });

  it('stores nothing twice when it was killed between the commit and the removal of the file', async () => {
    const file = await leftBehind(['w1', 'w2']);
    const bytes = readFileSync(file);
    await drainAll(drainOf(await journal()));
    // The same file again, with the row that the commit wrote: as if the process had died before removing either.
    const name = file.split('/').pop()?.replace('.open', '') ?? '';
    writeFileSync(join(dir, `${name}.sealed`), bytes);
    await db.database.query('insert into pipeline.journal_drain values ($1, $2, now())', [name, bytes.length]);
    await drainAll(drainOf(await journal()));
    expect(await inboxIds()).toEqual(['w1', 'w2']);
    expect(readdirSync(dir)).toEqual([]);
  });

  it('stores nothing twice when the answer to its commit was lost', async () => {
    await leftBehind(['w1', 'w2']);
    const proxy = await PgProxy.to(db.url);
    ends.push(() => proxy.close());
    const through = await openStream(plain, proxy.url);
    const opened = [through];
    const drain = drainOf(await journal(), plain, () => Promise.resolve(opened.pop() ?? openStream()));
    proxy.hangAnswers();
    await expect(drain.round()).rejects.toThrow(/timeout/i);
    expect(await inboxIds()).toEqual(['w1', 'w2']); // it had committed
    await drainAll(drain);
    expect(await inboxIds()).toEqual(['w1', 'w2']);
    expect(readdirSync(dir)).toEqual([]);
  });

  it('cuts a half-written record at the end and counts it', async () => {
    const file = await leftBehind(['w1', 'w2', 'w3']);
    truncateSync(file, readFileSync(file).length - 7);
    const drain = drainOf(await journal());
    await drainAll(drain);
    expect(await inboxIds()).toEqual(['w1', 'w2']);
    expect(drain.counts).toMatchObject({ webhooks: 2, files: 1, damagedPieces: 0 });
    expect(drain.counts.tornBytes).toBeGreaterThan(0);
  });

  it('sets a damaged record aside and drains the rest', async () => {
    const file = await leftBehind(['w1', 'w2', 'w3']);
    const bytes = readFileSync(file);
    const at = bytes.indexOf('order w2');
    bytes[at] = 0;
    writeFileSync(file, bytes);
    const spill = await journal();
    const drain = drainOf(spill);
    await drainAll(drain);
    expect(await inboxIds()).toEqual(['w1', 'w3']);
    expect(drain.counts.damagedPieces).toBe(1);
    const pieces = readdirSync(dir);
    expect(pieces).toHaveLength(1);
    expect(readFileSync(join(dir, pieces[0] ?? ''), 'latin1')).toContain('rder w2');
    expect(await spill.state()).toMatchObject({ files: 0, damagedPieces: 1 });
  });

  it('waits while the database is away', async () => {
    const spill = await journal();
    await spill.append([entryOf('w1')]);
    const away = new JournalDrain({
      journal: spill,
      database: db.database,
      secrets: plain,
      log: silentLogger,
      databaseIsUp: () => false,
      openStream: () => Promise.reject(new Error('away')),
    });
    expect(await away.round()).toBe('idle');
    expect(await spill.sealed()).toEqual([]);
  });

  it('seals webhooks at rest when there is a key, and stops rather than lose them without it', async () => {
    const secrets = new SecretBox([Buffer.alloc(32, 9)]);
    const spill = await journal({ secrets });
    await spill.append([entryOf('w1', { body: Buffer.from('{"email":"jane@example.com"}') })]);
    const [name = ''] = readdirSync(dir);
    const stored = readFileSync(join(dir, name), 'latin1');
    expect(stored).not.toContain('jane');
    expect(stored).not.toContain('acme');
    await expect(drainOf(spill).round()).rejects.toThrow(/PLUMBLINE_SECRET_KEY/);
    await drainAll(drainOf(spill, secrets));
    expect(await inboxIds(secrets)).toEqual(['w1']);
  });

  it('refuses when its directory is gone, and takes again when it is back', async () => {
    const spill = await journal();
    rmSync(dir, { recursive: true });
    await expect(spill.append([entryOf('w1')])).rejects.toThrow(/ENOENT/);
    await journal();
    expect(await spill.append([entryOf('w2')])).toBeGreaterThan(0);
  });

  it('never writes again to a file that failed: what reached it is drained, the rest starts another', async () => {
    const spill = await journal();
    await spill.append([entryOf('w1')]);
    const current = (spill as unknown as { current: { handle: { close(): Promise<void> } } }).current;
    await current.handle.close(); // the next write fails as on a disk that went away
    await expect(spill.append([entryOf('w2')])).rejects.toThrow();
    await spill.append([entryOf('w3')]);
    await drainAll(drainOf(spill));
    expect(await inboxIds()).toEqual(['w1', 'w3']);
  });
});
