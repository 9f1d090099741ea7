import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { STATE_CODES, type ListedFact, type ListedKind, type State } from '../../../src/pipeline/contract.js';
import { compareSlice, compareWithLedger, slicesOf, type Owed } from '../../../src/pipeline/ledger/comparison.js';
import { planObligations } from '../../../src/pipeline/ledger/ledger.js';
import { obligation, purchaseEvent } from '../../support/events.js';
import { insertLedgerRows, ledgerDays, type LedgerRow } from '../../support/ledger-rows.js';
import { testDatabase } from '../../support/test-database.js';

const { database } = await testDatabase();
const DAYS = ['2026-11-22', '2026-11-23'];
await ledgerDays(database, DAYS);

beforeEach(() => database.query('truncate pipeline.ledger, pipeline.ledger_fact, pipeline.delivery'));

const KINDS: readonly ListedKind[] = ['purchase', 'order-cancelled', 'refund'];
const STATES = Object.keys(STATE_CODES) as State[];
const AT_REST: readonly (State | null)[] = ['accepted', 'confirmed', 'ignored'];

function fact(subjectId: string, overrides: Partial<ListedFact> = {}): ListedFact {
  return { shopId: '1', subjectId, orderId: subjectId, kind: 'purchase', ledgerDay: '2026-11-23', ...overrides };
}

function row(subjectId: string, state: State, overrides: Partial<LedgerRow> = {}): LedgerRow {
  return { shopId: '1', subjectId, kind: 'purchase', destinationId: 1, ledgerDay: '2026-11-23', state, ...overrides };
}

const TO_ONE: Owed[] = [{ shopId: '1', destinationId: 1, kind: 'purchase' }];

/** What a comparison must come to, told without any cleverness. */
function byHand(facts: readonly ListedFact[], owed: readonly Owed[], rows: readonly LedgerRow[]) {
  const counts: Record<string, number> = {};
  const exceptions: string[] = [];
  for (const one of facts) {
    for (const { destinationId } of owed.filter((o) => o.shopId === one.shopId && o.kind === one.kind)) {
      const found = rows.find(
        (r) =>
          r.shopId === one.shopId &&
          r.subjectId === one.subjectId &&
          r.kind === one.kind &&
          r.ledgerDay === one.ledgerDay &&
          r.destinationId === destinationId,
      );
      const state = found?.state ?? null;
      const key = `${one.shopId}/${destinationId}/${one.kind}/${state}`;
      counts[key] = (counts[key] ?? 0) + 1;
      if (!AT_REST.includes(state)) exceptions.push(`${key}/${one.subjectId}`);
    }
  }
  return { counts, exceptions: exceptions.sort() };
}

async function compare(facts: readonly ListedFact[], owed: readonly Owed[]) {
  const { counts, exceptions } = await compareWithLedger(database, facts, owed);
  return {
    counts: Object.fromEntries(counts.map((c) => [`${c.shopId}/${c.destinationId}/${c.kind}/${c.state}`, c.count])),
    exceptions: exceptions
      .map((e) => {
        const state = e.standing?.state ?? null;
        return `${e.fact.shopId}/${e.destinationId}/${e.fact.kind}/${state}/${e.fact.subjectId}`;
      })
      .sort(),
  };
}

const pick = <T>(values: readonly T[]) => fc.constantFrom(...values);
const keys = fc.uniqueArray(
  fc.record({
    shopId: pick(['1', '2', '30']),
    // Mostly of one length, so that worlds are walked as well as looked up.
    subjectId: fc.oneof(
      { weight: 30, arbitrary: fc.integer({ min: 100, max: 109 }).map(String) },
      { weight: 1, arbitrary: fc.constantFrom('99', 'gid-7') },
    ),
    kind: pick(KINDS),
    ledgerDay: pick([...DAYS, '2026-01-05']),
  }),
  { maxLength: 40, selector: (k) => `${k.shopId}/${k.subjectId}/${k.kind}` },
);
const world = fc.record({
  facts: keys.map((all) => all.map((key): ListedFact => ({ ...key, orderId: key.subjectId }))),
  owed: fc.uniqueArray(
    fc.record({ shopId: pick(['1', '2', '30']), destinationId: pick([1, 2, 3]), kind: pick(KINDS) }),
    { selector: (o) => `${o.shopId}/${o.destinationId}/${o.kind}` },
  ),
  rows: fc.array(fc.record({ destinationId: pick([1, 2, 3]), state: pick(STATES) }), { minLength: 40, maxLength: 40 }),
  present: fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
  strangers: keys,
});

describe('comparing what Shopify lists with the ledger', () => {
  it('finds exactly what is absent or not at rest, in any world', async () => {
    await fc.assert(
      fc.asyncProperty(world, async ({ facts, owed, rows, present, strangers }) => {
        await database.query('truncate pipeline.ledger');
        const ofFacts = facts.flatMap((f, i) => (present[i] ? [{ ...f, ...rows[i] } as LedgerRow] : []));
        const others = strangers
          .filter((s) => !facts.some((f) => f.shopId === s.shopId && f.subjectId === s.subjectId && f.kind === s.kind))
          .map((s, i) => ({ ...s, ...rows[i] }) as LedgerRow);
        await insertLedgerRows(database, [...ofFacts, ...others]);
        expect(await compare(facts, owed)).toEqual(byHand(facts, owed, [...ofFacts, ...others]));
      }),
      { numRuns: 60 },
    );
  });

  it('looks a few ids up one by one that lie far apart among many, and finds the same', async () => {
    const many = Array.from({ length: 5_000 }, (_, i) => row(String(6_000_000_000_000 + i * 7), 'accepted'));
    await insertLedgerRows(database, many);
    await database.query('analyze pipeline.ledger');
    const facts = [0, 2_500, 4_999].map((i) => fact(String(6_000_000_000_000 + i * 7)));
    const absent = fact('6000000000001');
    expect(await compare([...facts, absent], TO_ONE)).toEqual({
      counts: { '1/1/purchase/accepted': 3, '1/1/purchase/null': 1 },
      exceptions: ['1/1/purchase/null/6000000000001'],
    });
  });

  it('tells of each exception what the ledger knows, and whether a delivery waits', async () => {
    await planObligations(database, [obligation({ event: purchaseEvent({ subjectId: '71' }) })], new Date());
    await insertLedgerRows(database, [
      row('72', 'queued', { queuedAt: '2026-11-23T10:00:00Z', reason: 'unreachable' }),
    ]);
    const { exceptions } = await compareWithLedger(database, [fact('71'), fact('72'), fact('73')], TO_ONE);
    expect(exceptions.map(({ fact: { subjectId }, standing }) => [subjectId, standing])).toEqual([
      ['71', expect.objectContaining({ state: 'queued', inQueue: true, dueAt: new Date('2026-11-23T10:00:00.500Z') })],
      [
        '72',
        expect.objectContaining({
          state: 'queued',
          inQueue: false,
          reason: 'unreachable',
          dueAt: new Date('2026-11-23T10:00:00Z'), // from before the ledger kept it
        }),
      ],
      ['73', null],
    ]);
  });

  it('counts nothing for a destination that is owed nothing of the kind', async () => {
    expect(await compare([fact('71', { kind: 'refund' }), fact('72', { shopId: '2' })], TO_ONE)).toEqual({
      counts: {},
      exceptions: [],
    });
  });
});

describe('slices of a day', () => {
  it('hold every fact once, neighbours together, and no more than they may unless ids are one', () => {
    const ids = fc.array(fc.oneof(fc.bigInt(1n, 2n ** 63n).map(String), fc.constantFrom('gid-7', 'x')), {
      maxLength: 200,
    });
    fc.assert(
      fc.property(ids, fc.integer({ min: 1, max: 50 }), (all, size) => {
        const facts = all.map((id) => fact(id));
        const slices = slicesOf(facts, size);
        expect(
          slices
            .flat()
            .map((f) => f.subjectId)
            .sort(),
        ).toEqual([...all].sort());
        const numbers = slices.map((slice) => slice.map((f) => Number(f.subjectId)).filter((n) => !Number.isNaN(n)));
        for (const [i, slice] of numbers.entries()) {
          const next = numbers[i + 1];
          if (next?.length && slice.length) expect(Math.max(...slice)).toBeLessThanOrEqual(Math.min(...next));
        }
      }),
    );
  });
});

describe('comparing one slice', () => {
  it('holds a state of one destination against no other', () => {
    const sets = [{ shopId: '1', destinationId: 2, kind: 'purchase', state: 'accepted', subjectIds: ['71'] }] as const;
    expect(
      compareSlice(
        [fact('71')],
        sets,
        Map.groupBy(TO_ONE, (o) => `${o.shopId}/${o.kind}`),
      ),
    ).toEqual({
      counts: [{ shopId: '1', destinationId: 1, kind: 'purchase', state: null, count: 1 }],
      exceptions: [{ fact: fact('71'), destinationId: 1, state: null }],
    });
  });
});
