import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import type { Database } from '../../../src/kernel/database.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { GapStore } from '../../../src/monitoring/reconciliation/gap-store.js';
import type { ListingStep } from '../../../src/monitoring/reconciliation/listing.js';
import { Reconciler } from '../../../src/monitoring/reconciliation/reconciler.js';
import { RunStore } from '../../../src/monitoring/reconciliation/run-store.js';
import { SoldStore } from '../../../src/monitoring/reconciliation/sold-store.js';
import type { Shop } from '../../../src/pipeline/contract.js';
import { shopStub } from '../../support/shop-stub.js';
import { testDatabase } from '../../support/test-database.js';

const START = Date.UTC(2026, 10, 27, 12);
const HOUR_MS = 3_600_000;
const WINDOW = { fromAt: new Date(START - 2 * HOUR_MS), toAt: new Date(START - HOUR_MS) };
const ALL: ListingStep = { outcome: 'orders', orders: [], position: null, complete: true, notCovered: null };
const MORE: ListingStep = { ...ALL, position: { page: 2 }, complete: false };
const { signal } = new AbortController();

let database: Database;
let clock: ManualClock;
beforeAll(async () => {
  database = (await testDatabase()).database;
});
afterAll(() => database.end());
beforeEach(async () => {
  clock = new ManualClock(START);
  await database.query('truncate monitoring.shop_turn, monitoring.reconciliation');
});

function fleetOf(count: number): Shop[] {
  return Array.from({ length: count }, (_, at) => shopStub({ id: String(at + 1), domain: `s${at}.myshopify.com` }));
}

function reconcilerOf(shops: readonly Shop[], step: (shop: Shop) => Promise<ListingStep>, ofSchedule = shops) {
  const runs = new RunStore(database, clock);
  const reconciler = new Reconciler({
    database,
    clock,
    runs,
    log: silentLogger,
    sold: new SoldStore(database, clock),
    gaps: new GapStore(database, clock),
    listing: { step },
    ledger: { compare: async () => ({ counts: [], exceptions: [] }), traces: async () => [] },
    registry: {
      shops: () => ofSchedule,
      destinations: () => [],
      shopById: (id) => shops.find((shop) => shop.id === id),
      destinationById: () => undefined,
    },
    takes: () => new Set(),
  });
  return { runs, reconciler };
}

it('begins every turn of a fleet that is due once, and sets its next one within the hour', async () => {
  const shops = fleetOf(60);
  const gone = shopStub({ id: '61', domain: 'gone.myshopify.com', uninstalledAt: new Date(START - HOUR_MS) });
  const { runs, reconciler } = reconcilerOf([...shops, gone], async () => ALL);
  // What lies in the last minutes is not judged yet: first runs end before them, and are due at once.
  await reconciler.round(signal);
  await reconciler.round(signal);
  const listed = await runs.list({}, 100);
  expect(listed.map(({ shopId }) => shopId).sort()).toEqual(shops.map(({ id }) => id).sort());
  expect(listed.every(({ why, state }) => why === 'first' && state === 'complete')).toBe(true);
  const turns = await runs.turns();
  expect(turns).toHaveLength(61);
  for (const { nextRunAt } of turns) {
    expect(nextRunAt.getTime()).toBeGreaterThan(START);
    expect(nextRunAt.getTime()).toBeLessThanOrEqual(START + HOUR_MS);
  }
});

it('goes on with all other shops while one of them answers slowly', { timeout: 20_000 }, async () => {
  const shops = fleetOf(30);
  let waiting = shops.length - 1;
  let answerSlow: (step: ListingStep) => void = () => undefined;
  const slow = new Promise<ListingStep>((resolve) => (answerSlow = resolve));
  const { runs, reconciler } = reconcilerOf(
    shops,
    async ({ id }) => {
      if (id === '1') return slow;
      if (--waiting === 0) answerSlow(ALL); // not before everybody else has been asked
      return ALL;
    },
    [],
  );
  for (const { id } of shops) await reconciler.request(id, WINDOW, 'on-demand', 'test');
  await reconciler.round(signal);
  expect((await runs.list({ state: 'complete' }, 100)).length).toBe(30);
});

it('lets shops that wait go before those that have had their time, however much these still hold', async () => {
  const shops = fleetOf(5);
  const { runs, reconciler } = reconcilerOf(
    shops,
    async ({ id }) => {
      if (id === '5') return ALL;
      clock.advance(20_000);
      return MORE; // for ever
    },
    [],
  );
  for (const { id } of shops) {
    await reconciler.request(id, WINDOW, 'on-demand', 'test');
    clock.advance(1);
  }
  await reconciler.round(signal);
  await reconciler.round(signal);
  const [complete, ...more] = await runs.list({ state: 'complete' }, 10);
  expect([complete?.shopId, ...more]).toEqual(['5']);
});

it('ends a round only with all of its runs, whichever of them breaks', async () => {
  const shops = fleetOf(8);
  const { runs, reconciler } = reconcilerOf(shops, async () => ALL, []);
  for (const { id } of shops) await reconciler.request(id, WINDOW, 'on-demand', 'test');
  const started = runs.started.bind(runs);
  runs.started = (run) => (run.shopId === '2' ? Promise.reject(new Error('no connection')) : started(run));
  await expect(reconciler.round(signal)).rejects.toThrow('no connection');
  expect((await runs.list({ state: 'settling' }, 10)).map(({ shopId }) => shopId).sort()).toEqual([
    '1',
    '3',
    '4',
    '5',
    '6',
    '7',
    '8',
  ]);
});

it('asks for a run of every shop once, however often it is asked', async () => {
  const runs = new RunStore(database, clock);
  await runs.requestOnce(['1', '2'], WINDOW, 'inbox-gap 1/2-3');
  await runs.requestOnce(['1', '2', '3'], WINDOW, 'inbox-gap 1/2-3');
  await runs.requestOnce(['1'], WINDOW, 'inbox-gap 1/8-9');
  expect(await runs.progressOf('inbox-gap 1/2-3')).toEqual({ asked: 3, ended: 0 });
  expect(await runs.progressOf('inbox-gap 1/8-9')).toEqual({ asked: 1, ended: 0 });
});
