import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import { Database, KEYED } from '../../../src/kernel/database.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { STATE_CODES, stateOf, type ObligationKey, type State } from '../../../src/pipeline/contract.js';
import { Lane } from '../../../src/pipeline/delivery/lane.js';
import { claimDue } from '../../../src/pipeline/delivery/queue.js';
import { planObligations } from '../../../src/pipeline/ledger/ledger.js';
import { settle, type Settlement } from '../../../src/pipeline/ledger/settlement.js';
import { readStandings } from '../../../src/pipeline/ledger/standings.js';
import { Verdicts } from '../../../src/pipeline/ledger/verdicts.js';
import { foldObligations } from '../../../src/pipeline/router/plan.js';
import { obligation, purchaseEvent } from '../../support/events.js';
import { insertLedgerRows } from '../../support/ledger-rows.js';
import { testDatabase } from '../../support/test-database.js';
import { until } from '../../support/until.js';

const { database, url } = await testDatabase();
const keyed = new Database({ url, log: silentLogger, settings: KEYED });
afterAll(() => keyed.end());
const NOW = new Date('2026-11-23T10:00:02Z');
const LATER = new Date('2026-11-23T12:00:00Z');
const verdicts = new Verdicts(keyed, new ManualClock(LATER.getTime()));

beforeEach(() => database.query('truncate pipeline.ledger, pipeline.ledger_fact, pipeline.delivery'));

const key = (subjectId: string): ObligationKey => ({
  shopId: '1',
  subjectId,
  kind: 'purchase',
  destinationId: 1,
  ledgerDay: '2026-11-23',
});
const lost = (subjectId: string) => ({ ...key(subjectId), reason: 'not-at-destination', detail: 'read back at noon' });
const found = (subjectId: string) => ({ ...key(subjectId), detail: 'transaction 71' });

const insert = (subjectId: string, state: State) =>
  insertLedgerRows(database, [
    { ...key(subjectId), state, acceptedAt: NOW.toISOString(), updatedAt: NOW.toISOString() },
  ]);

async function rows() {
  const all = await database.rows<{
    subject_id: string;
    state: number;
    reason: string | null;
    accepted_at: Date | null;
    confirmed_at: Date | null;
  }>('select subject_id, state, reason, accepted_at, confirmed_at from pipeline.ledger order by subject_id');
  return all.map((row) => ({ ...row, state: stateOf(row.state) }));
}

async function facts() {
  const all = await database.rows<{ state: number; reason: string | null; detail: string | null; at: Date }>(
    'select state, reason, detail, at from pipeline.ledger_fact order by at',
  );
  return all.map((fact) => ({ ...fact, state: stateOf(fact.state) }));
}

const STATES = Object.keys(STATE_CODES) as State[];

describe('what was read back', () => {
  it.each(STATES)('from %s', async (state) => {
    await insert('71', state);
    const may = state === 'accepted' || state === 'missing';
    expect(await verdicts.confirm([found('71'), found('72')])).toBe(may ? 1 : 0);
    expect((await rows()).map((row) => row.state)).toEqual([may ? 'confirmed' : state]);
    expect(await facts()).toEqual(
      may ? [{ state: 'confirmed', reason: null, detail: 'transaction 71', at: LATER }] : [],
    );
    if (may) expect(await rows()).toMatchObject([{ accepted_at: NOW, confirmed_at: LATER, reason: null }]);
  });
});

describe('what did not arrive', () => {
  it.each(STATES)('from %s', async (state) => {
    await insert('71', state);
    const may = state === 'accepted' || state === 'confirmed' || state === 'queued';
    expect(await verdicts.markMissing([lost('71'), lost('72')])).toBe(may ? 1 : 0);
    expect((await rows()).map((row) => row.state)).toEqual([may ? 'missing' : state]);
    expect(await facts()).toEqual(
      may ? [{ state: 'missing', reason: 'not-at-destination', detail: 'read back at noon', at: LATER }] : [],
    );
    if (may) expect(await rows()).toMatchObject([{ confirmed_at: null, reason: 'not-at-destination' }]);
  });

  it('is not missing while a delivery waits', async () => {
    await planObligations(database, [obligation()], NOW);
    expect(await verdicts.markMissing([lost('6123456789001')])).toBe(0);
    await database.query('delete from pipeline.delivery');
    expect(await verdicts.markMissing([lost('6123456789001')])).toBe(1);
  });

  it('starts again for reconciliation alone, and is queued once', async () => {
    await insert('71', 'accepted');
    await verdicts.markMissing([lost('71')]);
    const again = obligation({ event: purchaseEvent({ subjectId: '71' }) });
    expect(await planObligations(database, [again], NOW)).toHaveLength(0);
    expect(await planObligations(database, [again], NOW, true)).toHaveLength(1);
    expect(await planObligations(database, [again], NOW, true)).toHaveLength(0);
    expect((await database.rows('select from pipeline.delivery')).length).toBe(1);
  });
});

describe('a verdict', () => {
  it('is passed once, however often it is given', async () => {
    await insert('71', 'accepted');
    const given = await Promise.all([1, 2, 3].map(() => verdicts.markMissing([lost('71')])));
    expect(given.reduce((sum, changed) => sum + changed)).toBe(1);
    expect(await facts()).toHaveLength(1);
  });

  it('is about the standing that was judged: one that has changed since stays as it is', async () => {
    await insert('71', 'accepted');
    const [standing] = await readStandings(database, [key('71')]);
    const judged = { ...lost('71'), ...(standing ? { updatedAt: standing.updatedAt } : {}) };
    expect(await verdicts.confirm([found('71')])).toBe(1);
    expect(await verdicts.markMissing([judged])).toBe(0);
    expect((await rows())[0]?.state).toBe('confirmed');
  });

  it('waits for a router that brings a newer version, and then leaves it alone', async () => {
    await insert('71', 'accepted');
    const router = await database.pool.connect();
    await router.query('begin');
    await planObligations(router, [obligation({ event: purchaseEvent({ subjectId: '71', version: '5' }) })], NOW);
    const passed = verdicts.markMissing([lost('71')]);
    await untilWaiting(1);
    await router.query('commit');
    router.release();
    expect(await passed).toBe(0);
    expect((await rows())[0]?.state).toBe('queued');
  });

  it('does not call missing what is just being accepted', async () => {
    await planObligations(database, [obligation()], NOW);
    const worker = await database.pool.connect();
    await worker.query('begin');
    await settle(worker, [await accepted('6123456789001')]);
    expect(await verdicts.markMissing([lost('6123456789001')])).toBe(0);
    await worker.query('commit');
    worker.release();
    expect((await rows())[0]?.state).toBe('accepted');
  });

  it('locks rows in the order in which settlements lock them: neither is thrown out', async () => {
    const [first, second, third] = ['6123456789001', '6123456789002', '6123456789003'];
    const events = [first, second, third].map((subjectId) => obligation({ event: purchaseEvent({ subjectId }) }));
    await planObligations(database, foldObligations(events), NOW);
    const settlements = [await accepted(first), await accepted(third)];
    await database.query(`update pipeline.ledger set state = ${STATE_CODES.accepted}`);
    const holder = await database.pool.connect();
    await holder.query('begin');
    await holder.query('select from pipeline.ledger where subject_id = $1 for update', [second]);
    // Holds the first row and waits for the second; given in the opposite order.
    const passed = verdicts.confirm([found(third), found(second), found(first)]);
    await untilWaiting(1);
    const settled = settle(database, settlements);
    await untilWaiting(2);
    await holder.query('commit');
    holder.release();
    await expect(Promise.all([passed, settled])).resolves.toHaveLength(2);
  });
});

async function untilWaiting(count: number): Promise<void> {
  await until(async () => {
    const waiting = await database.rows(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return waiting.length >= count;
  });
}

async function accepted(subjectId: string): Promise<Settlement> {
  const lanes = [{ lane: new Lane({ shopId: '1', destinationId: 1 }), most: 10 }];
  claims.push(...(await claimDue(database, lanes, NOW.getTime())));
  const claim = claims.find((one) => one.subjectId === subjectId);
  if (!claim) throw new Error('nothing claimed');
  return { ...claim, state: 'accepted', reason: null, detail: null, attempt: 1, durationMs: 1, at: NOW, dueAt: null };
}
const claims: Awaited<ReturnType<typeof claimDue>> = [];

describe('what is sent again', () => {
  const waiting = () =>
    database.rows('select subject_id, ledger_day::text as day, attempts, due_at, lease from pipeline.delivery');

  it.each(STATES)('from %s', async (state) => {
    await insert('71', state);
    const may = state === 'missing';
    expect(await verdicts.restart([key('71'), key('72')])).toBe(may ? 1 : 0);
    expect((await rows()).map((row) => row.state)).toEqual([may ? 'queued' : state]);
    expect(await waiting()).toEqual(
      may ? [{ subject_id: '71', day: '2026-11-23', attempts: 0, due_at: LATER, lease: null }] : [],
    );
    expect(await facts()).toEqual(may ? [{ state: 'queued', reason: 'sent-again', detail: null, at: LATER }] : []);
  });

  it('goes once, however many ask for it at the same time', async () => {
    await insert('71', 'missing');
    const changed = await Promise.all(Array.from({ length: 4 }, () => verdicts.restart([key('71')])));
    expect(changed.reduce((sum, each) => sum + each, 0)).toBe(1);
    expect(await waiting()).toHaveLength(1);
    expect(await facts()).toHaveLength(1);
  });
});
