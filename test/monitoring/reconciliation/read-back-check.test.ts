import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { SecretBox } from '../../../src/kernel/secrets.js';
import { GapStore } from '../../../src/monitoring/reconciliation/gap-store.js';
import { ReadBackCheck } from '../../../src/monitoring/reconciliation/read-back-check.js';
import { ReadBackStore } from '../../../src/monitoring/reconciliation/read-back-store.js';
import { STATE_CODES, type ObligationKey } from '../../../src/pipeline/contract.js';
import { PipelineQueries } from '../../../src/pipeline/queries.js';
import { nextId, orderBody } from '../../support/orders.js';
import { until } from '../../support/until.js';
import { WholeLine } from '../../support/whole-line.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let clock: ManualClock;
let line: WholeLine;
let check: ReadBackCheck;
beforeEach(async () => {
  clock = new ManualClock(Math.floor(Date.now() / HOUR_MS) * HOUR_MS);
  line = await WholeLine.start({ clock, destinations: { ga4: { settlingHours: 1 } } });
  const { database, pipeline } = line;
  check = new ReadBackCheck({
    database,
    clock,
    log: silentLogger,
    store: new ReadBackStore(database, clock),
    gaps: new GapStore(database, clock),
    ...pipeline.ports(new PipelineQueries(database, new SecretBox([]), clock)),
  });
  await check.round(new AbortController().signal); // each destination has its turn from now on
});
afterEach(() => line.stop());

async function sell(): Promise<string> {
  const id = nextId();
  const body = orderBody({ id, createdAt: clock.now().toISOString() });
  expect(await line.send({ topic: 'orders/paid', body })).toBe(200);
  await line.untilSettled();
  return id;
}

/** All that is missing, as recovery does. */
async function sendAgain(): Promise<void> {
  const { database, pipeline } = line;
  const { verdicts } = pipeline.ports(new PipelineQueries(database, new SecretBox([]), clock));
  const rows = await database.rows<Omit<ObligationKey, 'kind'>>(
    `select shop_id::text as "shopId", subject_id as "subjectId", destination_id as "destinationId",
            day::text as "ledgerDay" from pipeline.ledger where state = ${STATE_CODES.missing}`,
  );
  expect(await verdicts.restart(rows.map((row) => ({ ...row, kind: 'purchase' })))).toBe(rows.length);
  pipeline.worker.rediscover();
  await line.untilSettled();
}

/** Looks again and again, as its duty does. */
async function live(ms: number, stepMs = 10 * MINUTE_MS): Promise<void> {
  for (const untilMs = clock.nowMs() + ms; clock.nowMs() < untilMs; clock.advance(stepMs)) {
    await check.round(new AbortController().signal);
  }
}

async function states(destination: string, ...ids: string[]): Promise<string[]> {
  const all = await line.obligations({ destination });
  return ids.map((id) => all.find(({ subjectId }) => subjectId === id)?.state ?? 'unknown');
}

const gaps = (): Promise<unknown[]> => line.database.rows('select subject_id from monitoring.gap');

describe('reading back, after days in which nobody looked', () => {
  it('leaves as accepted what Segment can no longer count, and goes on with what it can', async () => {
    const old = await sell();
    clock.advance(72 * HOUR_MS);
    const fresh = await sell();
    await live(6 * HOUR_MS, 2 * MINUTE_MS);
    expect(await states('segment', old, fresh)).toEqual(['accepted', 'confirmed']);
    expect(await states('ga4', old, fresh)).toEqual(['confirmed', 'confirmed']);
    expect(await gaps()).toEqual([]);
  });
});

describe('reading back from a GA4 that folds transactions into "(other)"', () => {
  it('confirms those it shows, concludes nothing of the others, and goes on', async () => {
    const [folded, shown] = [await sell(), await sell()];
    line.ga4.reports.folded.add(folded);
    await live(3 * HOUR_MS);
    const later = await sell();
    await live(3 * HOUR_MS);
    expect(await states('ga4', folded, shown, later)).toEqual(['accepted', 'confirmed', 'confirmed']);
    expect(await gaps()).toEqual([]);
  });
});

describe('reading back from Segment, which counts', () => {
  it('does not call lost what it took at a try whose answer was cut', async () => {
    await live(10 * MINUTE_MS, MINUTE_MS);
    line.segment.misbehave({ mode: 'apply-then-cut' });
    const id = nextId();
    const body = orderBody({ id, createdAt: clock.now().toISOString() });
    expect(await line.send({ topic: 'orders/paid', body })).toBe(200);
    await until(() => line.segment.messageIds.names.length > 0);
    await live(30 * MINUTE_MS, MINUTE_MS);
    line.segment.misbehave({ mode: 'ok' });
    // A try that was cut is put off from the moment it is written down: written later, it would be due after the clock's last move.
    await until(async () => {
      line.pipeline.worker.rediscover();
      return (await line.database.rows('select from pipeline.delivery where lease is not null')).length === 0;
    });
    clock.advance(16 * MINUTE_MS); // past the longest pause before a try
    line.pipeline.worker.rediscover();
    await line.untilSettled();
    expect(await states('segment', id)).toEqual(['accepted']);
    await live(30 * MINUTE_MS, MINUTE_MS);
    expect(await gaps()).toEqual([]);
    expect(await states('segment', id)).toEqual(['confirmed']);
  });

  it('finds that one of several is lost, and when they were sent again proves them all', async () => {
    await live(10 * MINUTE_MS, MINUTE_MS);
    const ids = [await sell(), await sell()];
    line.segment.acceptThenLoseShare = 1;
    ids.push(await sell());
    line.segment.acceptThenLoseShare = 0;
    ids.push(await sell());
    await live(20 * MINUTE_MS, MINUTE_MS);
    expect(await states('segment', ...ids)).toEqual(['missing', 'missing', 'missing', 'missing']);
    await sendAgain(); // Segment drops the three that it has
    expect(line.segment.messages.size).toBe(4);
    await live(20 * MINUTE_MS, MINUTE_MS);
    expect(await states('segment', ...ids)).toEqual(['confirmed', 'confirmed', 'confirmed', 'confirmed']);
    const fresh = await sell();
    await live(20 * MINUTE_MS, MINUTE_MS);
    expect(await states('segment', fresh)).toEqual(['confirmed']);
  });
});
