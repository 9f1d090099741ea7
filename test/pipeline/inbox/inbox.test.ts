import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock, SystemClock } from '../../../src/kernel/clock.js';
import { clientConfig, type Queryable } from '../../../src/kernel/database.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { dropExpired, ensurePartitions } from '../../../src/kernel/partitions.js';
import { SecretBox } from '../../../src/kernel/secrets.js';
import { readInboxGaps } from '../../../src/pipeline/inbox/inbox-gap.js';
import { InboxReader, SegmentUnreadable, type InboxBatch } from '../../../src/pipeline/inbox/inbox-reader.js';
import { InboxWriter, type InboxWriterOptions } from '../../../src/pipeline/inbox/inbox-writer.js';
import { InboxStream, dayOf } from '../../../src/pipeline/inbox/stream.js';
import { SegmentDraft, sealSegment, segmentPurpose } from '../../../src/pipeline/inbox/segment.js';
import { pipelinePartitions } from '../../../src/pipeline/partitions.js';
import { testDatabase, type TestDatabase } from '../../support/test-database.js';
import { until } from '../../support/until.js';
import { entryOf } from './entries.js';

const clock = new SystemClock();
const plain = new SecretBox([]);
const noJournal = { append: () => Promise.reject(new Error('this test has no journal')) };
let db: TestDatabase;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  db = await testDatabase();
  await ensurePartitions(db.database, clock, pipelinePartitions());
});
beforeEach(async () => {
  for (const it of open.splice(0)) await it.close();
  await db.database.query('truncate pipeline.inbox_segment, pipeline.inbox_stream, pipeline.inbox_gap');
});
afterAll(async () => {
  for (const it of open.splice(0)) await it.close();
});

async function writer(options: Partial<InboxWriterOptions> = {}): Promise<InboxWriter> {
  const started = await new InboxWriter({
    databaseUrl: db.url,
    writer: 'test',
    secrets: plain,
    clock,
    log: silentLogger,
    journal: noJournal,
    ensurePartitions: () => ensurePartitions(db.database, clock, pipelinePartitions()),
    ...options,
  }).start();
  open.push(started);
  return started;
}

async function stream(): Promise<InboxStream> {
  const opened = await InboxStream.open({
    databaseUrl: db.url,
    writer: 'test',
    secrets: plain,
    clock,
    ensurePartitions: () => ensurePartitions(db.database, clock, pipelinePartitions()),
  });
  open.push(opened);
  return opened;
}

function reader(secrets = plain): InboxReader {
  return new InboxReader({ secrets, clock });
}

/** Reads one batch and moves the cursors, as the router does. */
async function read(
  from: InboxReader,
  want: { segments: number; streams?: number; bytes?: number } = { segments: 100, streams: 100 },
): Promise<InboxBatch> {
  return db.database.transaction(async (client) => {
    const batch = await from.readBatch(client, want);
    await batch.commitCursor(client);
    return batch;
  });
}

function idsOf(batch: InboxBatch): string[] {
  return batch.entries.map(({ entry }) => entry.webhookId);
}

describe('the inbox', () => {
  it('gives back every webhook once, byte for byte, with all that was said around it', async () => {
    const inbox = await writer();
    const full = entryOf('full', {
      source: 'replay',
      world: 'sandbox',
      key: 'k1',
      apiVersion: '2026-10',
      eventId: 'e1',
      triggeredAt: '2026-11-23T10:00:00.123456Z',
      hmac: 'aPydL7t/kh6M2y/FOUx5YYNjBRULF8TwJO+GznElKTc=',
      destinationId: 7,
      body: Buffer.from([0, 255, 1, 10, 13, 0xef, 0xbb, 0xbf]),
    });
    const entries = [full, ...Array.from({ length: 250 }, (_, n) => entryOf(`w${n}`))];
    const where = await Promise.all(entries.map((entry) => inbox.append(entry)));
    expect(where.every(({ durable }) => durable === 'database')).toBe(true);

    const from = reader();
    const batch = await read(from);
    expect(idsOf(batch).sort()).toEqual(entries.map(({ webhookId }) => webhookId).sort());
    expect(batch.entries.find(({ entry }) => entry.webhookId === 'full')?.entry).toEqual(full);
    expect(idsOf(await read(from))).toEqual([]);
  });

  it('stores webhooks that arrive together in few commits', async () => {
    const inbox = await writer();
    await Promise.all(Array.from({ length: 100 }, (_, n) => inbox.append(entryOf(`w${n}`))));
    expect((await read(reader())).segments).toBeLessThanOrEqual(8);
  });

  it('gives back every webhook byte for byte although batches follow each other in the same memory', async () => {
    const inbox = await writer({ entriesMax: 7 });
    const entries = Array.from({ length: 300 }, (_, n) =>
      entryOf(`w${n}`, { body: Buffer.from(`{"n":${n},"note":"${'x'.repeat((n * 577) % 9_000)}"}`) }),
    );
    for (let wave = 0; wave < 10; wave++) {
      await Promise.all(entries.slice(wave * 30, wave * 30 + 30).map((entry) => inbox.append(entry)));
    }
    const stored = await read(reader(), { segments: 500, streams: 10 });
    expect(new Map(stored.entries.map(({ entry }) => [entry.webhookId, entry]))).toEqual(
      new Map(entries.map((entry) => [entry.webhookId, entry])),
    );
  });

  it('never lets a cursor pass an append that has not committed yet', async () => {
    const [slow, quick] = [await stream(), await stream()];
    // The slow stream's first segment is inserted but held open, while the quick one commits on.
    const holder = new pg.Client(clientConfig(db.url, 'test-holder'));
    await holder.connect();
    await holder.query('begin');
    await holder.query(
      `insert into pipeline.inbox_segment (day, stream_id, seq, appended_at, entries, raw_bytes, body)
       values ($1, $2, 1, $3, 1, 10, $4)`,
      [dayOf(clock.now()), slow.id, clock.now(), sealSegment([entryOf('held')], plain, segmentPurpose(slow.id, 1))],
    );
    const from = reader();
    await quick.append(SegmentDraft.of([entryOf('q1')]));
    expect(idsOf(await read(from))).toEqual(['q1']);
    await quick.append(SegmentDraft.of([entryOf('q2')]));
    expect(idsOf(await read(from))).toEqual(['q2']);
    await db.database.transaction((client) => from.closeFinished(client));

    await holder.query('commit');
    await holder.end();
    expect(idsOf(await read(from))).toEqual(['held']);
  });

  it('reads again what a failed transaction had read', async () => {
    const one = await stream();
    await one.append(SegmentDraft.of([entryOf('w1')]));
    const from = reader();
    const failing = db.database.transaction(async (client) => {
      const batch = await from.readBatch(client, { segments: 10 });
      await batch.commitCursor(client);
      throw new Error(`the router failed on ${batch.entries.length}`);
    });
    await expect(failing).rejects.toThrow('the router failed on 1');
    expect(idsOf(await read(from))).toEqual(['w1']);
  });

  it('gives two readers different streams at the same time', async () => {
    const [a, b] = [await stream(), await stream()];
    await a.append(SegmentDraft.of([entryOf('a')]));
    await b.append(SegmentDraft.of([entryOf('b')]));
    const seen = await db.database.transaction(async (first) => {
      const one = await reader().readBatch(first, { segments: 1, streams: 1 });
      const two = await db.database.transaction((second) => reader().readBatch(second, { segments: 1, streams: 9 }));
      return [idsOf(one), idsOf(two)];
    });
    expect(seen).toEqual([['a'], ['b']]); // the longest unread first
  });

  it('keeps the order of a stream, some segments at a time', async () => {
    const one = await stream();
    for (let n = 1; n <= 5; n++) await one.append(SegmentDraft.of([entryOf(`w${n}`)]));
    const from = reader();
    expect(idsOf(await read(from, { segments: 2, streams: 4 }))).toEqual(['w1', 'w2']);
    expect(await from.backlog(db.database)).toMatchObject({ entries: 3 });
    expect(idsOf(await read(from, { segments: 9, streams: 4 }))).toEqual(['w3', 'w4', 'w5']);
    expect(await from.backlog(db.database)).toEqual({ entries: 0, oldestAppendedAt: null });
  });

  it('reads no more bytes at once than asked for, but always one segment', async () => {
    const one = await stream();
    for (const id of ['w1', 'w2', 'w3', 'w4'])
      await one.append(SegmentDraft.of([entryOf(id, { body: Buffer.alloc(1_000) })]));
    const from = reader();
    expect(idsOf(await read(from, { segments: 9, streams: 4, bytes: 1 }))).toEqual(['w1']);
    expect(idsOf(await read(from, { segments: 9, streams: 4, bytes: 1_500 }))).toEqual(['w2', 'w3']);
  });

  it('closes a stream when it is read and its writer is gone, not before', async () => {
    const one = await stream();
    await one.append(SegmentDraft.of([entryOf('w1')]));
    const from = reader();
    const close = () => db.database.transaction((client) => from.closeFinished(client));
    await read(from);
    expect(await close()).toBe(0); // its writer lives
    await one.append(SegmentDraft.of([entryOf('w2')]));
    await one.close();
    expect(await close()).toBe(0); // something is unread
    expect(idsOf(await read(from))).toEqual(['w2']);
    await until(async () => (await close()) === 1, { what: 'the stream is closed' });
  });

  it('loads single payloads by their pointers, with and without its cache, and null for dropped ones', async () => {
    const one = await stream();
    await one.append(SegmentDraft.of([entryOf('w1'), entryOf('w2')]));
    await one.append(SegmentDraft.of([entryOf('w3')]));
    const warm = reader();
    const pointers = (await read(warm)).entries.map(({ pointer }) => pointer).reverse();
    for (const from of [warm, reader()]) {
      const loaded = await from.loadPayloads(db.database, pointers);
      expect(loaded.map((entry) => entry?.webhookId)).toEqual(['w3', 'w2', 'w1']);
    }
    const gone = { segmentDay: '2020-01-01', streamId: one.id, segmentSeq: '99', entry: 0 };
    expect(await reader().loadPayload(db.database, gone)).toBeNull();
  });

  it('opens a segment once for all who want it at the same time', async () => {
    const one = await stream();
    await one.append(SegmentDraft.of([entryOf('w1'), entryOf('w2')]));
    const place = { segmentDay: dayOf(new Date()), streamId: one.id, segmentSeq: '1' };
    let statements = 0;
    const counting: Queryable = {
      query: (statement, values) => {
        statements += 1;
        return db.database.query(statement, values);
      },
    };
    const cold = reader();
    const [a, b] = await Promise.all([
      cold.loadPayload(counting, { ...place, entry: 0 }),
      cold.loadPayload(counting, { ...place, entry: 1 }),
    ]);
    expect([a?.webhookId, b?.webhookId]).toEqual(['w1', 'w2']);
    expect(statements).toBe(1);
  });

  it('seals webhooks at rest when there is a key, and opens them with an older key', async () => {
    const [older, newer] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
    const inbox = await writer({ secrets: new SecretBox([older]) });
    await inbox.append(entryOf('w1', { body: Buffer.from('{"email":"jane@example.com"}') }));
    const { rows } = await db.database.query<{ body: Buffer }>('select body from pipeline.inbox_segment');
    expect(rows[0]?.body.includes('jane')).toBe(false);
    // Sealed, not merely compressed: without the key the blob cannot be opened at all.
    await expect(read(reader())).rejects.toThrow(/PLUMBLINE_SECRET_KEY/);
    expect((await read(reader(new SecretBox([newer, older])))).entries[0]?.entry.body.toString()).toContain('jane');
  });

  it('names a segment that cannot be opened, holds its stream, and lets the others go on', async () => {
    const [bad, good] = [await stream(), await stream()];
    await bad.append(SegmentDraft.of([entryOf('lost')]));
    await bad.append(SegmentDraft.of([entryOf('behind')]));
    await db.database.query('update pipeline.inbox_segment set body = $1 where seq = 1', [Buffer.from([0, 1, 2, 3])]);
    const from = reader();
    await expect(read(from)).rejects.toThrow(new RegExp(`segment 1 of stream ${bad.id}`));
    await good.append(SegmentDraft.of([entryOf('g1')]));
    expect(idsOf(await read(from))).toEqual(['g1']);
    await expect(read(from)).rejects.toBeInstanceOf(SegmentUnreadable);
    expect(from.unreadable()).toHaveLength(1);
  });

  it('forgets closed streams after their time', async () => {
    const one = await stream();
    await one.close();
    const from = reader();
    await until(() => db.database.transaction((client) => from.closeFinished(client)));
    expect(await from.forgetClosed(db.database, new Date(clock.nowMs() - 60_000))).toBe(0);
    expect(await from.forgetClosed(db.database, new Date(clock.nowMs() + 60_000))).toBe(1);
  });

  it('creates the partition of the day when it is missing', async () => {
    const one = await stream();
    await db.database.query(`drop table pipeline.inbox_segment_${dayOf(clock.now()).replaceAll('-', '')}`);
    expect(await one.append(SegmentDraft.of([entryOf('w1')]))).toBeGreaterThan(0);
    expect(idsOf(await read(reader()))).toEqual(['w1']);
  });
});

describe('segments that are gone before they were read', () => {
  const remove = (streamId: number, ...seqs: number[]) =>
    db.database.query('delete from pipeline.inbox_segment where stream_id = $1 and seq = any ($2)', [streamId, seqs]);
  const gaps = async () =>
    (await readInboxGaps(db.database, new Date(0))).map(({ streamId, firstSeq, lastSeq, segments }) => ({
      streamId,
      firstSeq,
      lastSeq,
      segments,
    }));

  async function streamOf(count: number): Promise<InboxStream> {
    const one = await stream();
    for (let n = 1; n <= count; n++) await one.append(SegmentDraft.of([entryOf(`w${n}`)]));
    return one;
  }

  it('are passed, and what lies behind them is read', async () => {
    const one = await streamOf(6);
    await remove(one.id, 2, 3, 5);
    expect(idsOf(await read(reader()))).toEqual(['w1', 'w4', 'w6']);
    expect(await gaps()).toEqual([
      { streamId: one.id, firstSeq: '2', lastSeq: '3', segments: 2 },
      { streamId: one.id, firstSeq: '5', lastSeq: '5', segments: 1 },
    ]);
  });

  it('are written down with the interval in which they had been appended', async () => {
    const openedMs = clock.nowMs();
    const one = await streamOf(4);
    await remove(one.id, 1, 3);
    const appended = await db.database.rows<{ seq: string; appended_at: Date }>(
      'select seq, appended_at from pipeline.inbox_segment order by seq',
    );
    await read(reader());
    const [first, second] = await readInboxGaps(db.database, new Date(0));
    expect(first?.beforeAt).toEqual(appended[0]?.appended_at);
    expect(Math.abs((first?.afterAt.getTime() ?? 0) - openedMs)).toBeLessThan(5_000); // when the stream was opened
    expect([second?.afterAt, second?.beforeAt]).toEqual(appended.map((row) => row.appended_at));
    expect(await readInboxGaps(db.database, new Date(clock.nowMs() + 60_000))).toEqual([]);
  });

  it('are noticed at the end of a stream as soon as it goes on', async () => {
    const one = await streamOf(3);
    const from = reader();
    expect(idsOf(await read(from, { segments: 1, streams: 1 }))).toEqual(['w1']);
    await remove(one.id, 2, 3);
    expect(idsOf(await read(from))).toEqual([]);
    await one.append(SegmentDraft.of([entryOf('w4')]));
    expect(idsOf(await read(from))).toEqual(['w4']);
    expect(await gaps()).toEqual([{ streamId: one.id, firstSeq: '2', lastSeq: '3', segments: 2 }]);
  });

  it('are written down once, with the transaction that passes them', async () => {
    const one = await streamOf(2);
    await remove(one.id, 1);
    const from = reader();
    const failing = db.database.transaction(async (client) => {
      const batch = await from.readBatch(client, { segments: 10 });
      await batch.commitCursor(client);
      throw new Error('the router failed');
    });
    await expect(failing).rejects.toThrow('the router failed');
    expect(await gaps()).toEqual([]);
    expect(idsOf(await read(from))).toEqual(['w2']);
    expect(idsOf(await read(from))).toEqual([]);
    expect(await gaps()).toHaveLength(1);
  });

  it('do not let a segment be passed that is there and cannot be opened', async () => {
    const one = await streamOf(3);
    await remove(one.id, 1);
    const [row] = await db.database.rows<{ body: Buffer }>('select body from pipeline.inbox_segment where seq = 2');
    await db.database.query('update pipeline.inbox_segment set body = $1 where seq = 2', [Buffer.from([0, 1])]);
    await expect(read(reader())).rejects.toBeInstanceOf(SegmentUnreadable);
    expect(await gaps()).toEqual([]);
    await db.database.query('update pipeline.inbox_segment set body = $1 where seq = 2', [row?.body]);
    expect(idsOf(await read(reader()))).toEqual(['w2', 'w3']);
    expect(await gaps()).toHaveLength(1);
  });

  it('are not those that were read and whose day retention has dropped', async () => {
    const one = await streamOf(2);
    const from = reader();
    await read(from);
    const later = new ManualClock(clock.nowMs() + 40 * 86_400_000);
    await dropExpired(db.database, later, pipelinePartitions(later.nowMs()));
    expect(await db.database.rows('select from pipeline.inbox_segment')).toEqual([]);
    await ensurePartitions(db.database, clock, pipelinePartitions());
    await one.append(SegmentDraft.of([entryOf('w3')]));
    expect(idsOf(await read(from))).toEqual(['w3']);
    expect(await gaps()).toEqual([]);
  });

  it('are never made by retention: a day with something unread stays', async () => {
    await streamOf(2);
    const later = new ManualClock(clock.nowMs() + 40 * 86_400_000);
    await dropExpired(db.database, later, pipelinePartitions(later.nowMs()));
    expect(idsOf(await read(reader()))).toEqual(['w1', 'w2']);
  });
});
