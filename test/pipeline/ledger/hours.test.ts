import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { STATE_CODES, type State } from '../../../src/pipeline/contract.js';
import { readHourCounts, readOrdersSeen, readTouchedHours } from '../../../src/pipeline/ledger/hours.js';
import { insertLedgerRows, ledgerDays, type LedgerRow } from '../../support/ledger-rows.js';
import { testDatabase } from '../../support/test-database.js';

const { database } = await testDatabase();
await ledgerDays(database, ['2026-11-22', '2026-11-23']);

beforeEach(() => database.query('truncate pipeline.ledger'));

const MINUTE_MS = 60_000;
const NOW = new Date('2026-11-23T12:00:00Z');
const LATE = { lateAfterMs: 15 * MINUTE_MS, nowAt: NOW };
const hour = (text: string) => new Date(`2026-11-${text}:00:00Z`);

let lastId = 100;
const row = (soldAt: string, overrides: Partial<LedgerRow> = {}): LedgerRow => ({
  shopId: '1',
  subjectId: String(++lastId),
  kind: 'purchase',
  destinationId: 1,
  ledgerDay: soldAt.slice(0, 10),
  state: 'accepted',
  soldAt,
  dueAt: soldAt,
  ...overrides,
});

describe('hours of which something changed', () => {
  it('are those in which the orders were sold, however long ago, each once', async () => {
    await insertLedgerRows(database, [
      row('2026-11-23T10:10:00Z', { updatedAt: '2026-11-23T11:00:00Z' }),
      row('2026-11-23T10:50:00Z', { updatedAt: '2026-11-23T11:01:00Z', destinationId: 2 }),
      row('2026-11-22T23:59:59Z', { updatedAt: '2026-11-23T11:00:00Z', shopId: '2' }),
      row('2026-10-01T08:30:00Z', { updatedAt: '2026-11-23T11:30:00Z' }),
      row('2026-11-23T09:00:00Z', { updatedAt: '2026-11-23T12:00:00Z' }),
      row('2026-11-23T08:00:00Z', { updatedAt: '2026-11-23T10:59:59.999Z' }),
      row('2026-11-23T07:00:00Z', { updatedAt: '2026-11-23T11:00:00Z', kind: 'refund' }),
    ]);
    const touched = await readTouchedHours(database, new Date('2026-11-23T11:00:00Z'), NOW);
    expect(touched).toHaveLength(3);
    expect(touched).toEqual(
      expect.arrayContaining([
        { shopId: '1', hourAt: hour('23T10') },
        { shopId: '2', hourAt: hour('22T23') },
        { shopId: '1', hourAt: new Date('2026-10-01T08:00:00Z') },
      ]),
    );
  });

  it("are hours of the order's own day where the row is older than the column, so that they are found again", async () => {
    const old = { soldAt: null, updatedAt: '2026-11-23T11:00:00Z' };
    await insertLedgerRows(database, [
      row('2026-11-23', { ...old, ledgerDay: '2026-11-23', occurredAt: '2026-11-23T08:15:00Z' }),
      row('2026-11-23', { ...old, ledgerDay: '2026-11-23', occurredAt: '2026-11-01T08:15:00Z' }), // back-dated
      row('2026-11-22', { ...old, ledgerDay: '2026-11-22', occurredAt: '2026-11-23T08:15:00Z' }),
    ]);
    const touched = await readTouchedHours(database, hour('23T11'), NOW);
    const hours = [hour('22T23'), hour('23T00'), hour('23T08')];
    expect(touched.map(({ hourAt }) => hourAt).sort((a, b) => a.getTime() - b.getTime())).toEqual(hours);
    const counts = await readHourCounts(database, touched, LATE);
    expect(counts.map(({ logged }) => logged)).toEqual([1, 1, 1]);
  });
});

describe('the counts of an hour', () => {
  it('count each order once in each column', async () => {
    const at = '2026-11-23T10:10:00Z';
    await insertLedgerRows(
      database,
      (Object.keys(STATE_CODES) as State[]).map((state) => row(at, { state, dueAt: state === 'expected' ? null : at })),
    );
    expect(await readHourCounts(database, [{ shopId: '1', hourAt: hour('23T10') }], LATE)).toEqual([
      {
        shopId: '1',
        hourAt: hour('23T10'),
        destinationId: 1,
        logged: 8,
        processed: 7,
        accepted: 2,
        confirmed: 1,
        ignored: 1,
        failed: 2,
        missing: 1,
        late: 1, // the one that waits: due at 10:10, and it is 12:00
        unconfirmedAcceptedAt: null,
      },
    ]);
  });

  const minutes = (n: number) => new Date(Date.parse('2026-11-23T10:00:00Z') + n * MINUTE_MS).toISOString();
  it.each<[string, Partial<LedgerRow>, number]>([
    ['accepted within the time', { dueAt: minutes(5), acceptedAt: minutes(20) }, 0],
    ['accepted after it', { dueAt: minutes(5), acceptedAt: minutes(21) }, 1],
    ['confirmed, and accepted after it', { state: 'confirmed', dueAt: minutes(5), acceptedAt: minutes(21) }, 1],
    ['waiting, not long', { state: 'queued', dueAt: '2026-11-23T11:50:00Z' }, 0],
    ['waiting, too long', { state: 'queued', dueAt: minutes(5) }, 1],
    ['not due yet', { state: 'expected', dueAt: null }, 0],
    ['left out', { state: 'ignored', dueAt: minutes(5) }, 0],
    ['paid late, and then quick', { dueAt: '2026-11-23T11:30:00Z', acceptedAt: '2026-11-23T11:31:00Z' }, 0],
    ['from before it was kept: since it was queued', { dueAt: null, queuedAt: minutes(5), acceptedAt: minutes(21) }, 1],
  ])('late: %s', async (_name, order, late) => {
    await insertLedgerRows(database, [row('2026-11-23T10:00:00Z', order)]);
    expect(await readHourCounts(database, [{ shopId: '1', hourAt: hour('23T10') }], LATE)).toMatchObject([{ late }]);
  });

  it('say until when an acceptance is not confirmed', async () => {
    await insertLedgerRows(database, [
      row('2026-11-23T10:00:00Z', { acceptedAt: '2026-11-23T10:01:00Z' }),
      row('2026-11-23T10:00:00Z', { acceptedAt: '2026-11-23T10:03:00Z' }),
      row('2026-11-23T10:00:00Z', { acceptedAt: '2026-11-23T10:09:00Z', state: 'confirmed' }),
    ]);
    expect(await readHourCounts(database, [{ shopId: '1', hourAt: hour('23T10') }], LATE)).toMatchObject([
      { unconfirmedAcceptedAt: new Date('2026-11-23T10:03:00Z') },
    ]);
  });

  it('are those of the hours asked for and of no other', async () => {
    const hours = fc.constantFrom('22T22', '22T23', '23T00', '23T10');
    const shops = fc.constantFrom('1', '2', '10');
    const rows = fc.array(
      fc.record({
        shopId: shops,
        at: hours,
        minute: fc.integer({ min: 0, max: 59 }),
        destinationId: fc.constantFrom(1, 2),
      }),
      { maxLength: 30 },
    );
    const asked = fc.uniqueArray(fc.record({ shopId: shops, at: hours }), { selector: (h) => `${h.shopId}/${h.at}` });
    await fc.assert(
      fc.asyncProperty(rows, asked, async (sold, wanted) => {
        await database.query('truncate pipeline.ledger');
        await insertLedgerRows(
          database,
          sold.map(({ shopId, at, minute, destinationId }) =>
            row(new Date(hour(at).getTime() + minute * MINUTE_MS).toISOString(), { shopId, destinationId }),
          ),
        );
        const counts = await readHourCounts(
          database,
          wanted.map(({ shopId, at }) => ({ shopId, hourAt: hour(at) })),
          LATE,
        );
        const found = counts.map((c) => `${c.shopId}/${c.hourAt.toISOString()}/${c.destinationId}: ${c.logged}`).sort();
        const byHand = Map.groupBy(
          sold.filter((s) => wanted.some((w) => w.shopId === s.shopId && w.at === s.at)),
          (s) => `${s.shopId}/${hour(s.at).toISOString()}/${s.destinationId}`,
        );
        expect(found).toEqual([...byHand].map(([key, some]) => `${key}: ${some.length}`).sort());
      }),
      { numRuns: 40 },
    );
  });
});

describe('orders seen', () => {
  it('are counted by when their first webhook came, once however many destinations they have', async () => {
    const order = (id: string, seenAt: string | null, destinationId: number, shopId = '1') =>
      row('2026-11-22T20:00:00Z', { subjectId: id, seenAt, destinationId, shopId });
    await insertLedgerRows(database, [
      ...[1, 2, 3].map((destination) => order('71', '2026-11-23T10:05:00Z', destination)),
      ...[1, 2, 3].map((destination) => order('72', '2026-11-23T10:59:59Z', destination)),
      ...[1, 2, 3].map((destination) => order('73', '2026-11-23T11:00:00Z', destination)),
      order('74', '2026-11-23T10:30:00Z', 1, '2'),
      order('75', null, 1), // brought back by reconciliation
      order('76', '2026-11-23T09:59:59Z', 1),
      { ...order('77', '2026-11-23T10:30:00Z', 1), kind: 'order-updated' },
    ]);
    const seen = await readOrdersSeen(database, hour('23T10'), hour('23T12'));
    expect(seen).toHaveLength(3);
    expect(seen).toEqual(
      expect.arrayContaining([
        { shopId: '1', hourAt: hour('23T10'), orders: 2, lastAt: new Date('2026-11-23T10:59:59Z') },
        { shopId: '1', hourAt: hour('23T11'), orders: 1, lastAt: new Date('2026-11-23T11:00:00Z') },
        { shopId: '2', hourAt: hour('23T10'), orders: 1, lastAt: new Date('2026-11-23T10:30:00Z') },
      ]),
    );
  });
});
