import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/kernel/clock.js';
import { dropExpired, ensurePartitions, partitionStart } from '../../src/kernel/partitions.js';
import { pipelinePartitions } from '../../src/pipeline/partitions.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

const NOW_MS = Date.parse('2026-11-23T12:00:00Z'); // a Monday
const DAY_MS = 86_400_000;
const tables = pipelinePartitions();
let db: TestDatabase;
let clock: ManualClock;

beforeEach(async () => {
  clock = new ManualClock(NOW_MS);
  db = await testDatabase();
});

async function partitionsOf(table: string): Promise<string[]> {
  const rows = await db.database.rows<{ name: string }>(
    `select relname as name from pg_inherits join pg_class on oid = inhrelid where inhparent = $1::regclass order by 1`,
    [table],
  );
  return rows.map(({ name }) => name);
}

const SEGMENT = `
  insert into pipeline.inbox_segment (day, stream_id, seq, appended_at, entries, raw_bytes, body)
  values ($1, $2, 1, now(), 1, 1, '\\x00')`;

describe('partitions', () => {
  it('exist from yesterday to the day after tomorrow, and weeks from last Monday', async () => {
    await ensurePartitions(db.database, clock, tables);
    expect(await partitionsOf('pipeline.inbox_segment')).toEqual([
      'inbox_segment_20261122',
      'inbox_segment_20261123',
      'inbox_segment_20261124',
      'inbox_segment_20261125',
    ]);
    expect(await partitionsOf('pipeline.webhook')).toEqual(['webhook_20261116', 'webhook_20261123']);
    expect(await partitionsOf('pipeline.ledger')).toContain('ledger_20261125');
    expect(await ensurePartitions(db.database, clock, tables)).toEqual([]);
  });

  it('are made once when several processes make them at the same time', async () => {
    const made = await Promise.all(Array.from({ length: 4 }, () => ensurePartitions(db.database, clock, tables)));
    expect(made.flat()).toHaveLength(4 + 2 + 4 + 4);
    expect(new Set(made.flat()).size).toBe(4 + 2 + 4 + 4);
  });

  it('keep the keys, indexes and storage of their table', async () => {
    await ensurePartitions(db.database, clock, tables);
    await db.database.query(SEGMENT, ['2026-11-23', 1]);
    await expect(db.database.query(SEGMENT, ['2026-11-23', 1])).rejects.toThrow(/duplicate key/);
    const [row] = await db.database.rows<{ storage: string }>(
      `select attstorage as storage from pg_attribute
        where attrelid = 'pipeline.inbox_segment_20261123'::regclass and attname = 'body'`,
    );
    expect(row?.storage).toBe('e'); // external: compressed by us already
    const [{ count } = { count: '' }] = await db.database.rows<{ count: string }>(
      `select count(*)::text as count from pg_index where indrelid = 'pipeline.ledger_fact_20261123'::regclass`,
    );
    expect(count).toBe('2');
  });

  it('leave days to the default partition when it already holds some of them, and make the others', async () => {
    await db.database.query(
      `insert into pipeline.ledger (shop_id, subject_id, kind, destination_id, day, order_id, version, state,
         occurred_at, logged_at, updated_at, segment_day, stream_id, segment_seq, entry)
       values (1, '1', 1, 1, '2026-11-22', '1', 0, 1, now(), now(), now(), '2026-11-22', 1, 1, 0)`,
    );
    const made = await ensurePartitions(db.database, clock, tables);
    expect(made).not.toContain('ledger_20261122');
    expect(made).toContain('ledger_20261123');
  });

  it('are dropped past their retention, but never with a segment that has not been read', async () => {
    await ensurePartitions(db.database, clock, tables);
    await db.database.query(
      `insert into pipeline.inbox_stream (writer, opened_at, cursor_day) values ('test', now(), '2026-11-22')`,
    );
    await db.database.query(SEGMENT, ['2026-11-23', 1]);
    clock.advance(15 * DAY_MS);
    expect(await dropExpired(db.database, clock, tables)).toEqual(['inbox_segment_20261122']);
    await db.database.query(`update pipeline.inbox_stream set cursor_day = '2026-11-23', cursor_seq = 1`);
    expect(await dropExpired(db.database, clock, tables)).toEqual(['inbox_segment_20261123']);
    clock.advance(30 * DAY_MS);
    await dropExpired(db.database, clock, tables);
    expect(await partitionsOf('pipeline.inbox_segment')).toEqual([]);
    expect(await partitionsOf('pipeline.webhook')).toEqual([]);
    expect(await partitionsOf('pipeline.ledger')).toContain('ledger_20261123'); // kept
  });

  it('of weeks begin on Monday', () => {
    for (let day = 0; day < 7; day++) {
      expect(partitionStart('week', NOW_MS + day * DAY_MS)).toBe('2026-11-23');
    }
    expect(partitionStart('week', NOW_MS - DAY_MS)).toBe('2026-11-16');
    expect(partitionStart('day', NOW_MS)).toBe('2026-11-23');
  });
});
