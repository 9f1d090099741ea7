import { beforeEach, describe, expect, it } from 'vitest';
import { STATE_CODES, stateOf, type State } from '../../../src/pipeline/contract.js';
import { Lane } from '../../../src/pipeline/delivery/lane.js';
import { claimDue, findLanes, release, type Claim } from '../../../src/pipeline/delivery/queue.js';
import { planObligations } from '../../../src/pipeline/ledger/ledger.js';
import { settle, type Settlement } from '../../../src/pipeline/ledger/settlement.js';
import { foldObligations, type Obligation } from '../../../src/pipeline/router/plan.js';
import { obligation, purchaseEvent } from '../../support/events.js';
import { testDatabase } from '../../support/test-database.js';

const { database } = await testDatabase();
const NOW = new Date('2026-11-23T10:00:02Z');

beforeEach(async () => {
  await database.query('truncate pipeline.ledger, pipeline.ledger_fact, pipeline.delivery');
});

const plan = (obligations: Obligation[], requeue = false) =>
  planObligations(database, foldObligations(obligations), NOW, requeue);

async function states(): Promise<[string, State, string | null][]> {
  const rows = await database.rows<{ subject_id: string; state: number; reason: string | null }>(
    'select subject_id, state, reason from pipeline.ledger order by subject_id, kind, destination_id',
  );
  return rows.map((row) => [row.subject_id, stateOf(row.state), row.reason]);
}

async function facts(): Promise<(string | null)[][]> {
  const rows = await database.rows<{ state: number; reason: string | null }>(
    'select state, reason from pipeline.ledger_fact order by at, state, reason',
  );
  return rows.map((row) => [stateOf(row.state), row.reason]);
}

const deliveries = () =>
  database.rows<{ subject_id: string; version: string; lease: string | null; due_at: Date; attempts: number }>(
    'select subject_id, version, lease, due_at, attempts from pipeline.delivery order by subject_id',
  );

async function claimAll(nowMs = NOW.getTime()): Promise<Claim[]> {
  const lanes = await findLanes(database, NOW.getTime());
  return claimDue(
    database,
    lanes.map((key) => ({ lane: new Lane(key), most: 100 })),
    nowMs,
  );
}

function settlement(claim: Claim, overrides: Partial<Settlement> = {}): Settlement {
  return {
    shopId: claim.shopId,
    subjectId: claim.subjectId,
    kind: claim.kind,
    destinationId: claim.destinationId,
    ledgerDay: claim.ledgerDay,
    orderId: claim.orderId,
    version: claim.version,
    lease: claim.lease,
    atRow: claim.atRow,
    state: 'accepted',
    reason: null,
    detail: null,
    attempt: claim.attempts + 1,
    durationMs: 12,
    at: new Date(NOW.getTime() + 1_000),
    dueAt: null,
    segmentDay: claim.segmentDay,
    streamId: claim.streamId,
    segmentSeq: claim.segmentSeq,
    entry: claim.entry,
    queuedAt: claim.queuedAt,
    ...overrides,
  };
}

const update = (version: string, entry = 0) =>
  obligation({
    event: purchaseEvent({ kind: 'order-updated', version }),
    pointer: { segmentDay: '2026-11-23', streamId: 1, segmentSeq: '1', entry },
  });

describe('planning', () => {
  it('writes ledger, delivery and fact together', async () => {
    expect(await plan([obligation()])).toHaveLength(1);
    expect(await states()).toEqual([['6123456789001', 'queued', null]]);
    expect(await deliveries()).toHaveLength(1);
    expect(await facts()).toEqual([['queued', null]]);
  });

  it('has one effect however often the same fact arrives', async () => {
    await plan([obligation()]);
    expect(await plan([obligation({ webhookId: 'w-2' })])).toEqual([]);
    expect(await deliveries()).toHaveLength(1);
    expect(await facts()).toHaveLength(1);
  });

  it('queues a purchase that was only expected once it is paid', async () => {
    await plan([obligation({ plan: { state: 'expected', reason: 'awaiting-payment' } })]);
    expect(await deliveries()).toEqual([]);
    await plan([obligation()]);
    expect(await states()).toEqual([['6123456789001', 'queued', null]]);
    expect(await deliveries()).toHaveLength(1);
  });

  it('never lets "expected" take back what was queued', async () => {
    await plan([obligation()]);
    await plan([obligation({ plan: { state: 'expected', reason: 'awaiting-payment' } })]);
    expect((await states())[0]?.[1]).toBe('queued');
  });

  it('puts a newer version in the place of an older one that is still waiting, and records that', async () => {
    await plan([update('100', 1)]);
    await plan([update('200', 2)]);
    expect((await deliveries()).map((d) => d.version)).toEqual(['200']);
    expect(await facts()).toEqual(
      expect.arrayContaining([
        ['ignored', 'superseded'],
        ['queued', null],
      ]),
    );
  });

  it('gives a newer version its own time to be tried in, whatever the older one used up', async () => {
    await plan([update('100', 1)]);
    const later = new Date(NOW.getTime() + 71 * 3_600_000);
    await planObligations(database, [update('200', 2)], later);
    const [claim] = await claimAll(later.getTime());
    expect(claim).toMatchObject({ version: '200', queuedAt: later });
  });

  it('never lets an older version overwrite a newer one', async () => {
    await plan([update('200')]);
    expect(await plan([update('100')])).toEqual([]);
    expect((await deliveries()).map((d) => d.version)).toEqual(['200']);
  });

  it('starts a failed obligation again only for a replay', async () => {
    await plan([obligation()]);
    const [claim] = await claimAll();
    await settle(database, [settlement(claim as Claim, { state: 'failed', reason: 'refused' })]);
    expect(await plan([obligation()])).toEqual([]);
    expect(await plan([obligation()], true)).toHaveLength(1);
    expect(await states()).toEqual([['6123456789001', 'queued', null]]);
    expect(await deliveries()).toHaveLength(1);
  });

  it('does not send again what a replay finds already accepted', async () => {
    await plan([obligation()]);
    const [claim] = await claimAll();
    await settle(database, [settlement(claim as Claim)]);
    expect(await plan([obligation()], true)).toEqual([]);
    expect(await deliveries()).toEqual([]);
  });

  it('gives two routers that meet the same batch one effect', async () => {
    const batch = Array.from({ length: 200 }, (_, i) =>
      obligation({ event: purchaseEvent({ subjectId: String(7_000_000_000_000 + i) }) }),
    );
    const effects = await Promise.all([plan(batch), plan([...batch].reverse()), plan(batch)]);
    expect(effects.map((effect) => effect.length).reduce((a, b) => a + b)).toBe(200);
    expect(await deliveries()).toHaveLength(200);
  });
});

describe('the times of an obligation', () => {
  const times = async () =>
    (
      await database.rows<{ due_at: Date | null; sold_at: Date | null; seen_at: Date | null }>(
        'select due_at, sold_at, seen_at from pipeline.ledger',
      )
    )[0];
  const paidAt = '2026-11-23T10:00:00.500Z';

  it('keeps when it was sold, since when it is due, and when the first webhook told of it', async () => {
    await plan([obligation()]);
    expect(await times()).toEqual({
      sold_at: new Date('2026-11-23T10:00:00Z'),
      due_at: new Date(paidAt),
      seen_at: new Date('2026-11-23T10:00:01Z'),
    });
  });

  it('calls nothing due that only is expected, and what is paid later due since then', async () => {
    await plan([obligation({ plan: { state: 'expected', reason: 'awaiting-payment' } })]);
    expect(await times()).toMatchObject({ due_at: null });
    await plan([obligation({ event: purchaseEvent({ dueAt: '2026-11-23T12:00:00Z' }), seenAtMs: NOW.getTime() })]);
    expect(await times()).toMatchObject({
      due_at: new Date('2026-11-23T12:00:00Z'),
      seen_at: new Date('2026-11-23T10:00:01Z'),
    });
  });

  it('has been due since it first was when it starts again, and anew when a newer version comes', async () => {
    await plan([obligation()]);
    const [claim] = await claimAll();
    await settle(database, [settlement(claim as Claim, { state: 'failed', reason: 'refused' })]);
    await plan([obligation({ event: purchaseEvent({ dueAt: '2026-11-23T11:00:00Z' }) })], true);
    expect(await times()).toMatchObject({ due_at: new Date(paidAt) });
    await plan([obligation({ event: purchaseEvent({ version: '1', dueAt: '2026-11-23T12:00:00Z' }) })]);
    expect(await times()).toMatchObject({ due_at: new Date('2026-11-23T12:00:00Z') });
  });

  it('was seen in no webhook when only reconciliation found it', async () => {
    await plan([obligation({ seenAtMs: null })], true);
    expect(await times()).toMatchObject({ seen_at: null, due_at: new Date(paidAt) });
  });

  it('costs an update no index entry: its times are in a BRIN index, and it stays HOT', async () => {
    await plan([obligation()]);
    const [claim] = await claimAll();
    await database.transaction(async (client) => {
      const updates = async () => {
        const { rows } = await client.query<{ all: number; hot: number }>(
          `select sum(n_tup_upd)::integer as all, sum(n_tup_hot_upd)::integer as hot
             from pg_stat_xact_all_tables where relname like 'ledger%'`,
        );
        return rows[0];
      };
      const before = await updates();
      await settle(client, [settlement(claim as Claim)]);
      const after = await updates();
      expect([(after?.all ?? 0) - (before?.all ?? 0), (after?.hot ?? 0) - (before?.hot ?? 0)]).toEqual([1, 1]);
    });
  });
});

describe('claiming', () => {
  const many = (count: number, destinationId = 1) =>
    Array.from({ length: count }, (_, i) =>
      obligation({ destinationId, event: purchaseEvent({ subjectId: String(8_000_000_000_000 + i) }) }),
    );

  it('gives each row to one of many workers', async () => {
    await plan(many(300));
    const [lane] = await findLanes(database, NOW.getTime());
    expect(lane).toBeDefined();
    const claims = await Promise.all(
      Array.from({ length: 6 }, () => claimDue(database, [{ lane: new Lane(lane!), most: 100 }], NOW.getTime())),
    );
    const subjects = claims.flat().map((claim) => claim.subjectId);
    expect(new Set(subjects).size).toBe(subjects.length);
    const rest = await claimAll();
    expect(new Set([...subjects, ...rest.map((claim) => claim.subjectId)]).size).toBe(300);
  });

  it('takes no more of each lane than it may', async () => {
    await plan([...many(50, 1), ...many(50, 2)]);
    const lanes = await findLanes(database, NOW.getTime());
    const claims = await claimDue(
      database,
      lanes.map((key) => ({ lane: new Lane(key), most: key.destinationId === 1 ? 5 : 7 })),
      NOW.getTime(),
    );
    expect(claims.filter((claim) => claim.destinationId === 1)).toHaveLength(5);
    expect(claims.filter((claim) => claim.destinationId === 2)).toHaveLength(7);
  });

  it("finds every lane, and each one's earliest due time", async () => {
    await plan([...many(20, 1), ...many(20, 2), ...many(3, 9)]);
    expect((await findLanes(database, NOW.getTime())).map((lane) => lane.destinationId)).toEqual([1, 2, 9]);
  });

  it('finds a claim again when its lease has run out, and says that it may have been sent', async () => {
    await plan([obligation()]);
    const [first] = await claimAll();
    expect(first?.orphaned).toBe(false);
    expect(await claimAll()).toEqual([]);
    const [again] = await claimAll(NOW.getTime() + 60_000);
    expect(again?.orphaned).toBe(true);
    expect(again?.losses).toBe(1);
    expect((await claimAll(NOW.getTime() + 120_000))[0]?.losses).toBe(2);
    expect(again?.lease).not.toBe(first?.lease);
  });

  it('gives back what was not tried, at its old place and without doubt', async () => {
    await plan([obligation()]);
    const claims = await claimAll();
    await release(database, claims);
    const [again] = await claimAll();
    expect(again?.orphaned).toBe(false);
    expect(again?.dueAt).toEqual(NOW);
  });
});

describe('settling', () => {
  it('ends an accepted delivery: the row leaves, the ledger and the facts say so', async () => {
    await plan([obligation()]);
    const [claim] = await claimAll();
    await settle(database, [settlement(claim as Claim)]);
    expect(await deliveries()).toEqual([]);
    expect(await states()).toEqual([['6123456789001', 'accepted', null]]);
    expect(await facts()).toEqual([
      ['queued', null],
      ['accepted', null],
    ]);
  });

  it('keeps a failed try in the queue with its next time and its reason', async () => {
    await plan([obligation()]);
    const [claim] = await claimAll();
    const dueAt = new Date(NOW.getTime() + 5_000);
    await settle(database, [settlement(claim as Claim, { state: 'queued', reason: 'unreachable', dueAt })]);
    expect(await deliveries()).toMatchObject([{ lease: null, due_at: dueAt, attempts: 1 }]);
    expect(await states()).toEqual([['6123456789001', 'queued', 'unreachable']]);
  });

  it('leaves the row for a newer version that came while the older one was under way', async () => {
    await plan([update('100')]);
    const [claim] = await claimAll();
    await plan([update('200')]);
    await settle(database, [settlement(claim as Claim)]);
    expect(await deliveries()).toMatchObject([{ version: '200', lease: null, attempts: 0 }]);
    expect((await states())[0]?.[1]).toBe('queued');
    const [next] = await claimAll(NOW.getTime() + 2_000);
    expect(next?.version).toBe('200');
    await settle(database, [settlement(next as Claim)]);
    expect((await states())[0]?.[1]).toBe('accepted');
  });

  it('leaves a row alone that another worker holds by now, and still believes the 2xx', async () => {
    await plan([obligation()]);
    const [slow] = await claimAll();
    const [other] = await claimAll(NOW.getTime() + 60_000);
    await settle(database, [settlement(slow as Claim)]);
    expect(await deliveries()).toMatchObject([{ lease: other?.lease }]);
    expect((await states())[0]?.[1]).toBe('accepted');
  });

  it('never says "queued" for a row that has been buried meanwhile, so that a replay can start it again', async () => {
    await plan([obligation()]);
    const [slow] = await claimAll();
    const [other] = await claimAll(NOW.getTime() + 60_000);
    await settle(database, [settlement(other as Claim, { state: 'failed', reason: 'http-422' })]);
    const dueAt = new Date(NOW.getTime() + 90_000);
    await settle(database, [settlement(slow as Claim, { state: 'queued', reason: 'unreachable', dueAt })]);
    expect(await deliveries()).toEqual([]);
    expect(await states()).toEqual([['6123456789001', 'failed', 'http-422']]);
    expect(await plan([obligation()], true)).toHaveLength(1);
    expect(await deliveries()).toHaveLength(1);
  });

  it('never turns accepted back into failed', async () => {
    await plan([obligation()]);
    const [claim] = await claimAll();
    await settle(database, [settlement(claim as Claim)]);
    await settle(database, [settlement(claim as Claim, { state: 'failed', reason: 'late' })]);
    expect((await states())[0]?.[1]).toBe('accepted');
  });

  it('stores every state under the code the contract names', () => {
    for (const [name, code] of Object.entries(STATE_CODES)) expect(stateOf(code)).toBe(name);
  });
});
