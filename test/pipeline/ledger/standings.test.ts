import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { Database, KEYED } from '../../../src/kernel/database.js';
import { silentLogger } from '../../../src/kernel/log.js';
import type { Kind, State } from '../../../src/pipeline/contract.js';
import { planObligations } from '../../../src/pipeline/ledger/ledger.js';
import { readAcceptedBetween, readStandings } from '../../../src/pipeline/ledger/standings.js';
import { obligation, purchaseEvent } from '../../support/events.js';
import { insertLedgerRows, ledgerDays, type LedgerRow } from '../../support/ledger-rows.js';
import { testDatabase } from '../../support/test-database.js';

const { database, url } = await testDatabase();
const keyed = new Database({ url, log: silentLogger, settings: KEYED, poolSize: 2 });
afterAll(() => keyed.end());
await ledgerDays(database, ['2026-11-23']);

beforeEach(() => database.query('truncate pipeline.ledger, pipeline.ledger_fact, pipeline.delivery'));

const row = (subjectId: string, overrides: Partial<LedgerRow> = {}): LedgerRow => ({
  shopId: '1',
  subjectId,
  kind: 'purchase',
  destinationId: 1,
  ledgerDay: '2026-11-23',
  state: 'accepted',
  ...overrides,
});

describe('standings', () => {
  it('tell where facts stand at every destination, on any day of the ledger', async () => {
    await insertLedgerRows(database, [
      row('71', { destinationId: 1, acceptedAt: '2026-11-23T10:00:01Z', dueAt: '2026-11-23T10:00:00Z' }),
      row('71', { destinationId: 2, state: 'expected' }),
      row('72', { ledgerDay: '2025-06-01', state: 'ignored', reason: 'test-order' }),
      row('71', { kind: 'order-updated' }),
      row('71', { shopId: '2' }),
    ]);
    const standings = await readStandings(keyed, [
      { shopId: '1', subjectId: '71', kind: 'purchase', ledgerDay: '2026-11-23' },
      { shopId: '1', subjectId: '72', kind: 'purchase', ledgerDay: '2025-06-01' },
      { shopId: '1', subjectId: '73', kind: 'purchase', ledgerDay: '2026-11-23' },
    ]);
    expect(standings).toHaveLength(3);
    expect(standings).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          subjectId: '71',
          destinationId: 1,
          state: 'accepted',
          acceptedAt: new Date('2026-11-23T10:00:01Z'),
          dueAt: new Date('2026-11-23T10:00:00Z'),
          inQueue: false,
        }),
        expect.objectContaining({ subjectId: '71', destinationId: 2, state: 'expected', dueAt: null }),
        expect.objectContaining({ subjectId: '72', ledgerDay: '2025-06-01', state: 'ignored', reason: 'test-order' }),
      ]),
    );
  });

  it('say whether a delivery waits', async () => {
    await planObligations(database, [obligation({ event: purchaseEvent({ subjectId: '71' }) })], new Date());
    const fact = { shopId: '1', subjectId: '71', kind: 'purchase', ledgerDay: '2026-11-23' } as const;
    expect(await readStandings(keyed, [fact])).toMatchObject([{ state: 'queued', inQueue: true }]);
    await database.query('delete from pipeline.delivery');
    expect(await readStandings(keyed, [fact])).toMatchObject([{ state: 'queued', inQueue: false }]);
  });
});

describe('what was accepted in a window', () => {
  const FROM = new Date('2026-11-23T10:00:00Z');
  const TO = new Date('2026-11-24T10:00:00Z');
  const options = { states: ['accepted'] as State[], kinds: ['purchase'] as Kind[] };

  it('comes page by page in the order of acceptance, each once, ties and gaps of hours included', async () => {
    const accepted = Array.from({ length: 25 }, (_, i) =>
      row(String(100 + i), {
        shopId: String(1 + (i % 3)),
        // Five at a time in one millisecond; hours lie between.
        acceptedAt: new Date(FROM.getTime() + Math.floor(i / 5) * 5 * 3_600_000 + 7).toISOString(),
      }),
    );
    await insertLedgerRows(database, [
      ...accepted,
      row('1', { acceptedAt: '2026-11-23T09:59:59.999Z' }),
      row('2', { acceptedAt: '2026-11-24T10:00:00Z' }),
      row('3', { acceptedAt: '2026-11-23T11:00:00Z', destinationId: 2 }),
      row('4', { acceptedAt: '2026-11-23T11:00:00Z', state: 'confirmed' }),
      row('5', { acceptedAt: '2026-11-23T11:00:00Z', kind: 'refund' }),
    ]);
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await readAcceptedBetween(keyed, 1, FROM, TO, { ...options, limit: 4, ...(after ? { after } : {}) });
      expect(page.items.length).toBeLessThanOrEqual(4);
      seen.push(...page.items.map(({ subjectId }) => subjectId));
      after = page.next ?? undefined;
    } while (after !== undefined);
    expect([...seen].sort()).toEqual(accepted.map(({ subjectId }) => subjectId).sort());
    const at = new Map(accepted.map(({ subjectId, acceptedAt }) => [subjectId, acceptedAt]));
    expect(seen.map((id) => at.get(id))).toEqual(seen.map((id) => at.get(id)).sort());
  });

  it('can be one shop alone, and all states that are asked for', async () => {
    await insertLedgerRows(database, [
      row('71', { acceptedAt: '2026-11-23T11:00:00Z' }),
      row('72', { acceptedAt: '2026-11-23T12:00:00Z', state: 'confirmed' }),
      row('73', { acceptedAt: '2026-11-23T12:00:00Z', shopId: '2' }),
    ]);
    const page = await readAcceptedBetween(keyed, 1, FROM, TO, {
      states: ['accepted', 'confirmed'],
      kinds: ['purchase'],
      shopId: '1',
      limit: 10,
    });
    expect(page.items.map(({ subjectId }) => subjectId)).toEqual(['71', '72']);
    expect(page.next).toBeNull();
  });
});
