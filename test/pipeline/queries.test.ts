import { beforeAll, expect, it } from 'vitest';
import { ManualClock } from '../../src/kernel/clock.js';
import { SecretBox } from '../../src/kernel/secrets.js';
import { PipelineQueries } from '../../src/pipeline/queries.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

const NOON_MS = Date.UTC(2026, 10, 23, 12);
const before = (seconds: number): Date => new Date(NOON_MS - seconds * 1000);

let db: TestDatabase;
let queries: PipelineQueries;

beforeAll(async () => {
  db = await testDatabase();
  queries = new PipelineQueries(db.database, new SecretBox([]), new ManualClock(NOON_MS));
  const run = (text: string, values: unknown[] = []) => db.database.query(text, values);
  await run('create table pipeline.inbox_segment_any partition of pipeline.inbox_segment default');
  await run(
    `insert into pipeline.shop (domain, key, origin, created_at, updated_at) values ('a.myshopify.com', 'k', 'api', $1, $1)`,
    [before(0)],
  );
  await run(
    `insert into pipeline.destination (name, kind, origin, created_at, updated_at)
     values ('ga4', 'ga4', 'api', $1, $1), ('lake', 'postgres', 'api', $1, $1)`,
    [before(0)],
  );
  // Stream 1 has read its first segment; the closed stream 2 has nothing unread by definition.
  await run(
    `insert into pipeline.inbox_stream (writer, opened_at, closed_at, cursor_day, cursor_seq)
     values ('a', $1, null, '2026-11-23', 1), ('b', $1, $1, '2026-11-23', 0)`,
    [before(9000)],
  );
  for (const [stream, seq, entries, at] of [
    [1, 1, 100, before(5000)],
    [1, 2, 30, before(600)],
    [1, 3, 5, before(10)],
    [2, 1, 1000, before(7000)],
  ] as const) {
    await run(
      `insert into pipeline.inbox_segment (day, stream_id, seq, appended_at, entries, raw_bytes, body)
       values ('2026-11-23', $1, $2, $3, $4, 1, '')`,
      [stream, seq, at, entries],
    );
  }
  for (const [subject, destination, at] of [
    ['1', 1, before(50)],
    ['2', 1, before(20)],
  ] as const) {
    await run(
      `insert into pipeline.delivery (shop_id, destination_id, kind, subject_id, order_id, ledger_day, version,
         segment_day, stream_id, segment_seq, entry, queued_at, due_at)
       values (1, $2, 1, $1, $1, '2026-11-23', 0, '2026-11-23', 1, 1, 0, $3, $3)`,
      [subject, destination, at],
    );
  }
  await run(
    `insert into pipeline.lane (shop_id, destination_id, state, since, retry_at, failures, last_error)
     values (1, 2, 'open', $1, $2, 3, 'refused')`,
    [before(60), before(-30)],
  );
  for (const [lane, replayed] of [
    ['ours', null],
    ['theirs', null],
    ['theirs', before(1)],
  ] as const) {
    await run(
      `insert into pipeline.dead_letter (shop_id, shop_domain, topic, webhook_id, lane, reason, received_at, buried_at,
         replayed_at, payload) values (1, 'a.myshopify.com', 't', 'w', $1, 'r', $2, $2, $3, '')`,
      [lane, before(5), replayed],
    );
  }
  await run(
    `insert into pipeline.held (shop_domain, webhook_id, sandbox, topic, reason, received_at, held_at, released_at, payload)
     values ('x', 'w1', false, 't', 'unknown-shop', $1, $1, null, ''), ('x', 'w2', false, 't', 'no-token', $1, $1, $1, '')`,
    [before(5)],
  );
  // The same order accepted and then confirmed at the lake; accepted twice (two versions) at GA4; one too long ago.
  for (const [subject, destination, state, at] of [
    ['1', 2, 3, before(100)],
    ['1', 2, 4, before(90)],
    ['1', 1, 3, before(100)],
    ['1', 1, 3, before(95)],
    ['9', 1, 3, before(4000)],
  ] as const) {
    await run(
      `insert into pipeline.ledger_fact (shop_id, subject_id, kind, destination_id, day, at, version, state)
       values (1, $1, 1, $2, '2026-11-23', $4, 0, $3)`,
      [subject, destination, state, at],
    );
  }
});

it('measures what waits: unread webhooks, each destination, open dead letters by lane, held by reason', async () => {
  expect(await queries.gauges()).toEqual({
    inbox: { backlogEntries: 35, lagSeconds: 600 },
    deliveries: [
      { destination: 'ga4', backlog: 2, ageSeconds: 50 },
      { destination: 'lake', backlog: 0, ageSeconds: 0 },
    ],
    deadLetters: [
      { lane: 'ours', open: 1 },
      { lane: 'theirs', open: 1 },
    ],
    held: [{ reason: 'unknown-shop', open: 1 }],
  });
});

it('counts the last hour, each order once a destination, however often it was sent', async () => {
  expect(await queries.totals()).toEqual({
    webhooksStored: 35,
    orders: [
      { destinationKind: 'ga4', accepted: 1, confirmed: 0 },
      { destinationKind: 'postgres', accepted: 1, confirmed: 1 },
    ],
    waiting: 2,
    deadLetters: { ours: 1, theirs: 1 },
    held: 1,
  });
});

it('shows a lane that waits, and one whose breaker is open though nothing waits behind it', async () => {
  expect(await queries.lanes()).toMatchObject([
    { destination: 'ga4', shop: 'a.myshopify.com', state: 'closed', backlog: 2, oldestQueuedAt: before(50) },
    { destination: 'lake', state: 'open', failures: 3, lastError: 'refused', backlog: 0, oldestQueuedAt: null },
  ]);
  expect(await queries.lanes('lake')).toHaveLength(1);
});
