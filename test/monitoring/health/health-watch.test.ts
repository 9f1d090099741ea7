import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import type { Database } from '../../../src/kernel/database.js';
import { silentLogger } from '../../../src/kernel/log.js';
import type { LoopHealth } from '../../../src/kernel/loop.js';
import { VitalSigns } from '../../../src/kernel/vitals.js';
import { HealthWatch } from '../../../src/monitoring/health/health-watch.js';
import { Heartbeats, stalledDuties } from '../../../src/monitoring/health/heartbeats.js';
import { ProcessBook } from '../../../src/monitoring/health/process-book.js';
import { SignalBook } from '../../../src/monitoring/signals/signal-book.js';
import { PipelineFlow } from '../../../src/pipeline/flow.js';
import { AnswerMinutes, TOOK_BOUNDS_MS } from '../../../src/pipeline/intake/answer-minutes.js';
import { testDatabase } from '../../support/test-database.js';
import { registryOf, shopOf } from '../throughput/order-books.js';

const NOON = Date.UTC(2026, 10, 27, 12);
const MINUTE = 60_000;

let database: Database;
let clock: ManualClock;
let signals: SignalBook;
let intake: AnswerMinutes;
let watch: HealthWatch;
let vitals: { eventLoopDelayP99Ms: number; heapUsedBytes: number };
let loops: LoopHealth[];

beforeEach(async () => {
  ({ database } = await testDatabase());
  clock = new ManualClock(NOON);
  const registry = registryOf([shopOf('1')]);
  signals = new SignalBook({ database, clock, log: silentLogger, names: registry });
  intake = new AnswerMinutes({ database, clock, process: 'one' });
  vitals = { eventLoopDelayP99Ms: 3, heapUsedBytes: 10 };
  loops = [];
  watch = new HealthWatch({
    clock,
    registry,
    flow: new PipelineFlow(database),
    intake: { tookBoundsMs: TOOK_BOUNDS_MS, minutes: (sinceAt) => intake.minutes(sinceAt) },
    processes: bookOf('watching', ['watch']),
    signals,
  });
});

function bookOf(id: string, roles: string[]): ProcessBook {
  return new ProcessBook({
    database,
    clock,
    id,
    name: `process ${id}`,
    roles,
    vitals: () => ({ ...vitals, heapLimitBytes: 100, residentBytes: 50 }),
    loops: () => loops,
  });
}

async function open(): Promise<string[]> {
  const { items } = await signals.signals({}, { limit: 50 });
  return items.map(({ kind, subject }) => `${kind} ${subject}`).sort();
}

describe('intake', () => {
  it('is told slow, failing and unsigned by what all its processes answered, and well again after a calm', async () => {
    const other = new AnswerMinutes({ database, clock, process: 'two' });
    for (const each of [intake, other]) {
      for (let n = 0; n < 50; n++) each.answered(200, n < 48 ? 5 : 3_200);
      for (let n = 0; n < 2; n++) each.answered(503, 4_000);
      for (let n = 0; n < 12; n++) each.answered(401, 1);
      await each.round();
    }
    await watch.lookAtIntake();
    expect(await open()).toEqual(['intake-failing intake', 'intake-slow near-limit', 'signature-failures intake']);
    clock.advance(8 * MINUTE);
    await watch.lookAtIntake();
    expect(await open()).toEqual([]);
  });

  it('counts an answer once, however often a minute is carried to the table, and into the minute of its carrying', async () => {
    intake.answered(200, 7);
    await intake.round();
    intake.answered(200, 80);
    intake.answered(0, 5_100);
    await intake.round();
    await intake.round();
    clock.advance(MINUTE);
    intake.answered(400, 9_999);
    await intake.round();
    const minutes = await intake.minutes(new Date(NOON - MINUTE));
    expect(minutes.map(({ answers }) => answers)).toEqual([3, 1]);
    expect(minutes[0]?.took).toEqual([1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    // How long a refusal took is its sender's doing.
    expect(minutes[1]?.took.every((count) => count === 0)).toBe(true);
  });

  it('keeps what it could not carry, and carries it when the database is back', async () => {
    intake.answered(503, 1);
    await database.query('alter table pipeline.intake_minute rename to away');
    await expect(intake.round()).rejects.toThrow('intake_minute');
    clock.advance(2 * MINUTE);
    await database.query('alter table pipeline.away rename to intake_minute');
    await intake.round();
    expect(await intake.minutes(new Date(NOON))).toMatchObject([{ minuteAt: new Date(NOON), answers: 1, failed: 1 }]);
  });

  it('forgets what is older than a day', async () => {
    intake.answered(200, 1);
    await intake.round();
    clock.advance(25 * 60 * MINUTE);
    await intake.round();
    expect(await intake.minutes(new Date(0))).toEqual([]);
  });
});

describe('queues', () => {
  beforeEach(async () => {
    await database.query('create table pipeline.inbox_segment_any partition of pipeline.inbox_segment default');
    await database.query(
      `insert into pipeline.destination (name, kind, origin, created_at, updated_at, enabled)
       values ('ga4', 'ga4', 'api', $1, $1, true), ('lake', 'postgres', 'api', $1, $1, true),
              ('hook', 'webhook', 'api', $1, $1, true)`,
      [new Date(NOON - 60 * MINUTE)],
    );
  });

  async function waiting(destinationId: number, dueAgo: number): Promise<void> {
    await database.query(
      `insert into pipeline.delivery (shop_id, destination_id, kind, subject_id, order_id, ledger_day, version,
         segment_day, stream_id, segment_seq, entry, queued_at, due_at)
       values (1, $1, 1, '7', '7', '2026-11-27', 0, '2026-11-27', 1, 1, 0, $2, $2)`,
      [destinationId, new Date(NOON - dueAgo * MINUTE)],
    );
  }

  async function lane(destinationId: number, state: 'open' | 'closed', sinceAgo: number): Promise<void> {
    await database.query(
      `insert into pipeline.lane (shop_id, destination_id, state, since) values (1, $1, $2, $3)
       on conflict (shop_id, destination_id) do update set state = excluded.state, since = excluded.since`,
      [destinationId, state, new Date(NOON - sinceAgo * MINUTE)],
    );
  }

  it('are old when deliveries are due and nothing but us holds them up', async () => {
    await waiting(1, 6);
    await watch.lookAtQueues();
    expect(await open()).toEqual(['queue-old real/deliveries']);
  });

  it('are not old because a breaker is open, has just closed, or a destination is or was disabled', async () => {
    await waiting(1, 90);
    await lane(1, 'open', 80);
    await waiting(2, 90);
    await lane(2, 'closed', 1);
    await waiting(3, 50);
    await database.query(`update pipeline.destination set enabled = false where name = 'hook'`);
    await watch.lookAtQueues();
    expect(await open()).toEqual([]);
    await lane(2, 'closed', 6);
    await database.query(`update pipeline.destination set enabled = true, updated_at = $1 where name = 'hook'`, [
      clock.now(),
    ]);
    await watch.lookAtQueues();
    const { items } = await signals.signals({ kind: 'queue-old' }, { limit: 5 });
    expect(items).toMatchObject([{ world: 'real', facts: { destinationsAtLeast: 1, minutesAtLeast: 6 } }]);
  });

  it('are old when stored webhooks are not routed', async () => {
    await database.query(
      `insert into pipeline.inbox_stream (writer, opened_at, cursor_day, cursor_seq) values ('a', $1, '2026-11-27', 0)`,
      [clock.now()],
    );
    await database.query(
      `insert into pipeline.inbox_segment (day, stream_id, seq, appended_at, entries, raw_bytes, body)
       values ('2026-11-27', 1, 1, $1, 30, 1, '')`,
      [new Date(NOON - 7 * MINUTE)],
    );
    await watch.lookAtQueues();
    expect(await open()).toEqual(['queue-old inbox']);
    await database.query('update pipeline.inbox_stream set cursor_seq = 1');
    clock.advance(MINUTE);
    await watch.lookAtQueues();
    expect(await open()).toEqual([]);
  });
});

describe('processes', () => {
  it('that were killed are missed within a minute, and those that stopped gracefully are not', async () => {
    const [killed, stopped, third] = ['a', 'b', 'c'].map((id) => bookOf(id, ['worker']));
    for (const each of [killed, stopped, third]) await each?.beat();
    await stopped?.leave();
    clock.advance(50_000);
    await third?.beat();
    await watch.lookAtProcesses();
    expect(await open()).toEqual([]);
    clock.advance(20_000);
    await third?.beat();
    await watch.lookAtProcesses();
    expect(await open()).toEqual(['workers-missing worker']);
    const successor = bookOf('d', ['worker']);
    await successor.beat();
    await watch.lookAtProcesses();
    expect(await open()).toEqual([]);
  });

  it('are sick only when it lasts: one slow moment in between begins anew', async () => {
    const book = bookOf('a', ['intake']);
    const pass = async (minutes: number): Promise<void> => {
      for (let n = 0; n < minutes * 6; n++) {
        clock.advance(10_000);
        await book.beat();
      }
      await watch.lookAtProcesses();
    };
    vitals.eventLoopDelayP99Ms = 800;
    await pass(4);
    vitals.eventLoopDelayP99Ms = 20;
    await pass(1);
    vitals.eventLoopDelayP99Ms = 800;
    await pass(4);
    expect(await open()).toEqual([]);
    await pass(2);
    expect(await open()).toEqual(['process-sick a']);
    vitals.eventLoopDelayP99Ms = 20;
    vitals.heapUsedBytes = 90;
    await pass(1);
    expect(await open()).toEqual([]);
    await pass(10);
    expect(await open()).toEqual(['process-sick a']);
  });

  it('tell of their loops that hang', async () => {
    const loop: LoopHealth = {
      name: 'router',
      state: 'running',
      lastBeatAt: null,
      ageMs: 31_000,
      staleAfterMs: 30_000,
      consecutiveFailures: 0,
      lastError: null,
    };
    loops = [loop, { ...loop, name: 'never-started', state: 'waiting' }];
    await bookOf('a', ['worker']).beat();
    await watch.lookAtProcesses();
    expect(await open()).toEqual(['workers-missing loop/router']);
  });

  it('measure themselves', async () => {
    const own = new VitalSigns();
    own.start();
    const until = process.hrtime.bigint() + 120_000_000n;
    await new Promise((resolve) => setTimeout(resolve, 30));
    while (process.hrtime.bigint() < until) Math.sqrt(2);
    await new Promise((resolve) => setTimeout(resolve, 30));
    const read = own.read();
    own.stop();
    expect(read.eventLoopDelayP99Ms).toBeGreaterThan(30);
    expect(read.heapUsedBytes).toBeLessThan(read.heapLimitBytes);
    expect(read.residentBytes).toBeGreaterThan(1_000_000);
  });
});

describe('heartbeats', () => {
  it('are written at most every ten seconds, never backwards, and say when nobody does a duty any more', async () => {
    const [leader, formerLeader] = [new Heartbeats({ database, clock }), new Heartbeats({ database, clock })];
    await leader.beat('slo');
    clock.advance(9_000);
    await leader.beat('slo');
    expect(await leader.heartbeats()).toEqual([{ name: 'slo', beatAt: new Date(NOON) }]);
    clock.advance(MINUTE);
    await leader.beat('slo');
    clock.advance(-30_000);
    await formerLeader.beat('slo');
    clock.advance(30_000);
    expect(await leader.heartbeats()).toEqual([{ name: 'slo', beatAt: clock.now() }]);
    clock.advance(6 * MINUTE);
    const judged = stalledDuties([{ name: 'slo' }], await leader.heartbeats(), NOON, clock.nowMs());
    await signals.replace('watch-stalled', null, judged);
    expect(await open()).toEqual(['watch-stalled slo']);
  });
});
