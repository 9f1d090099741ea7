import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BurnWindow, Slo } from '../../../src/monitoring/contract.js';
import { badShare, budgetOf, burnOf, burnRate, type Stretch } from '../../../src/monitoring/slo/burn.js';
import { burnFindings, lateFindings, spanOf } from '../../../src/monitoring/slo/findings.js';
import { DEFAULT_SLOS, DEFAULT_WINDOWS, burnLimit } from '../../../src/monitoring/slo/objective.js';
import type { SloMeasure } from '../../../src/monitoring/slo/measures.js';

const THROUGHPUT = DEFAULT_SLOS[0] as Slo;
const [FAST, SLOW, DAY, DAYS] = DEFAULT_WINDOWS as [BurnWindow, BurnWindow, BurnWindow, BurnWindow];

describe('the limits', () => {
  it.each<[BurnWindow, number]>([
    [FAST, 13.44],
    [SLOW, 5.6],
    [DAY, 2.8],
    [DAYS, 0.9333],
  ])('of %o over 28 days are %d times the budget', (window, limit) => {
    expect(burnLimit({ windowDays: 28 }, window)).toBeCloseTo(limit, 4);
  });

  const table = join('..', 'shared', 'data', 'openslo', 'burn-rates.json');
  it.skipIf(!existsSync(table))(
    `are those of burn-rates.json for 7, 28 and 30 days (skipped where ${table} is not there)`,
    () => {
      const known = JSON.parse(readFileSync(table, 'utf8')) as Record<
        string,
        { budget: number; long: string; short: string; burn_rate: number }[]
      >;
      for (const days of [7, 28, 30]) {
        const ours = DEFAULT_WINDOWS.map((window) => ({
          budget: window.budgetShare,
          long: spanOf(window.longMinutes),
          short: spanOf(window.shortMinutes),
          burn_rate: Number(burnLimit({ windowDays: days }, window).toFixed(4)),
        }));
        expect(ours).toEqual(
          (known[`${days}d`] ?? []).map(({ budget, long, short, burn_rate }) => ({ budget, long, short, burn_rate })),
        );
      }
      const budgets = known as unknown as { budget_examples: Record<string, number> };
      for (const [words, orders] of Object.entries(budgets.budget_examples)) {
        const [, percent = '', sold = ''] = /^([\d.]+) % of ([\d,]+) orders/.exec(words) ?? [];
        const total = Number(sold.replace(',', ''));
        expect(budgetOf({ total, bad: 0 }, Number(percent) / 100).orders).toBeCloseTo(orders, 6);
      }
    },
  );
});

describe('a pair of windows', () => {
  const at = (bad: number, total: number) => ({ bad, total });
  it.each<[string, [number, number], [number, number], boolean]>([
    // A limit of 13.44 times 0.0001 is 1,344 bad of a million.
    ['burns when both windows are at the limit', [1344, 1_000_000], [134, 99_000], true],
    ['does not burn just below it', [1343, 1_000_000], [134, 99_000], false],
    ['does not burn on after the short window is calm again', [1344, 1_000_000], [0, 90_000], false],
    ['does not burn by the short window alone', [10, 1_000_000], [10, 90], false],
    ['does not burn by fewer than three bad orders, whatever their share', [2, 60], [2, 5], false],
    ['burns by three of sixty', [3, 60], [3, 5], true],
    ['does not burn when there was no order: nothing can be said', [0, 0], [0, 0], false],
    ['burns when everything stops and nothing arrives any more', [40, 60], [40, 40], true],
  ])('%s', (_, long, short, burning) => {
    expect(burnOf(THROUGHPUT, FAST, at(...long), at(...short)).burning).toBe(burning);
  });

  it('says nothing rather than zero where there was no order', () => {
    expect(burnOf(THROUGHPUT, FAST, at(0, 0), at(0, 0))).toMatchObject({ longBurn: null, shortBurn: null });
    expect(badShare(at(0, 0))).toBeNull();
  });

  const stretch = fc.nat({ max: 1_000_000 }).chain((total) => fc.nat({ max: total }).map((bad) => ({ total, bad })));

  it('never stops burning when more orders are bad, nor begins when fewer are', () => {
    fc.assert(
      fc.property(stretch, stretch, fc.nat({ max: 1_000 }), (long, short, more) => {
        const one = burnOf(THROUGHPUT, FAST, long, short);
        const worse = burnOf(
          THROUGHPUT,
          FAST,
          { total: long.total + more, bad: long.bad + more },
          { total: short.total + more, bad: short.bad + more },
        );
        expect(!one.burning || worse.burning).toBe(true);
      }),
    );
  });

  it('burns exactly when both shares are at the limit and three orders are bad', () => {
    fc.assert(
      fc.property(stretch, stretch, fc.constantFrom(...DEFAULT_WINDOWS), (long, short, window) => {
        const limit = burnLimit(THROUGHPUT, window) * (1 - THROUGHPUT.objective);
        const over = ({ total, bad }: typeof long): boolean => total > 0 && bad >= limit * total * (1 - 1e-9);
        expect(burnOf(THROUGHPUT, window, long, short).burning).toBe(over(long) && over(short) && long.bad >= 3);
      }),
    );
  });
});

describe('the budget', () => {
  it('is counted in orders, and what is spent and left of it are together all of it', () => {
    expect(budgetOf({ total: 50_000, bad: 2 }, 0.9999)).toMatchObject({ spent: 2 });
    expect(budgetOf({ total: 50_000, bad: 2 }, 0.9999).left).toBeCloseTo(3, 6);
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.double({ min: 0.5, max: 0.99999, noNaN: true }), (good, bad, objective) => {
        const { orders, spent, left } = budgetOf({ total: good + bad, bad }, objective);
        expect(spent + left).toBeCloseTo(orders, 3);
      }),
    );
  });

  it('that burns at exactly its own pace is burnt at a rate of 1', () => {
    expect(burnRate({ total: 10_000, bad: 1 }, 0.9999)).toBeCloseTo(1, 6);
  });
});

describe('what is told', () => {
  const measure = (bad: number, total: number): SloMeasure => ({
    slo: THROUGHPUT,
    stretches: new Map(
      [5, 30, 60, 120, 360, 1_440, 4_320, 28 * 1_440].map((minutes): [number, Stretch] => [
        minutes,
        { total, bad, lost: 0 },
      ]),
    ),
    lost: [
      { stage: 'logged', orders: 1 },
      { stage: 'processed', orders: 0 },
      { stage: 'accepted', orders: bad - 1 },
      { stage: 'received', orders: 0 },
    ],
    from: new Date(0),
    until: new Date(0),
  });

  it('is one finding a pair of windows, with the stage at which most was lost and the budget in orders', () => {
    const found = burnFindings('sandbox', [measure(40, 1_000)]);
    expect(found.map(({ subject }) => subject)).toEqual([
      'sandbox/order-throughput/1h+5m',
      'sandbox/order-throughput/6h+30m',
      'sandbox/order-throughput/1d+2h',
      'sandbox/order-throughput/3d+6h',
    ]);
    expect(found[0]).toMatchObject({
      world: 'sandbox',
      facts: {
        class: 'page',
        severity: 1,
        longBurnAtLeast: 200,
        badOrdersAtLeast: 20,
        budgetOrders: 0.1,
        budgetLeftPercentAtMost: 0,
        stage: 'accepted',
      },
    });
  });

  it('is no news while it only gets a little worse', () => {
    const facts = (bad: number) => JSON.stringify(burnFindings('real', [measure(bad, 1_000)])[0]?.facts);
    expect(facts(41)).toBe(facts(40));
    expect(facts(100)).not.toBe(facts(40));
  });

  it.each<[number, number, number, boolean]>([
    [3, 0, 100, true],
    [2, 0, 10, false],
    [10, 0, 1_000, false],
    [11, 0, 1_000, true],
    [0, 0, 0, false],
    [0, 20, 100, false],
  ])('of lateness: %d late and %d lost of %d is told: %s', (late, lost, total, told) => {
    expect(lateFindings('real', { bad: late + lost, lost, total })).toHaveLength(told ? 1 : 0);
  });
});
