import { afterAll, beforeAll, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import type { Database } from '../../../src/kernel/database.js';
import { silentLogger } from '../../../src/kernel/log.js';
import type { ListingPosition, ListingStep } from '../../../src/monitoring/reconciliation/listing.js';
import { GapStore } from '../../../src/monitoring/reconciliation/gap-store.js';
import { Reconciler } from '../../../src/monitoring/reconciliation/reconciler.js';
import { RunStore } from '../../../src/monitoring/reconciliation/run-store.js';
import { SoldStore } from '../../../src/monitoring/reconciliation/sold-store.js';
import { shopStub } from '../../support/shop-stub.js';
import { testDatabase } from '../../support/test-database.js';

const START = Date.UTC(2026, 10, 27, 12);
const SHOP = shopStub();
const clock = new ManualClock(START);
let database: Database;
beforeAll(async () => {
  database = (await testDatabase()).database;
});
afterAll(() => database.end());

it('waits for an operation that is under way without calling the run partial, and keeps its place', async () => {
  const steps: ListingStep[] = Array.from({ length: 50 }, (_, at) => ({
    outcome: 'later',
    detail: `bulk operation 7 runs, ${at} objects so far`,
    retryAfterMs: 60_000,
    position: { at },
    underWay: true,
  }));
  steps.push({ outcome: 'orders', orders: [], position: null, complete: true, notCovered: null });
  const places: ListingPosition[] = [];
  const runs = new RunStore(database, clock);
  const reconciler = new Reconciler({
    database,
    clock,
    runs,
    log: silentLogger,
    sold: new SoldStore(database),
    gaps: new GapStore(database, clock),
    listing: {
      async step(_shop, _window, position) {
        places.push(position);
        return steps[places.length - 1] ?? { outcome: 'blind', detail: 'asked too often' };
      },
    },
    ledger: { compare: async () => ({ counts: [], exceptions: [] }), traces: async () => [] },
    registry: {
      shops: () => [],
      destinations: () => [],
      shopById: (id) => (id === SHOP.id ? SHOP : undefined),
      destinationById: () => undefined,
    },
    takes: () => new Set(),
  });
  const window = { fromAt: new Date(START - 86_400_000), toAt: new Date(START - 3_600_000) };
  const id = await reconciler.request(SHOP.id, window, 'on-demand', 'test');
  for (let round = 0; round < 50; round++) {
    await reconciler.round(new AbortController().signal);
    expect(await runs.run(id)).toMatchObject({ state: 'running', tries: 0, position: { at: round } });
    expect((await runs.run(id))?.detail).toContain(`${round} objects`);
    clock.advance(60_000);
  }
  expect(await runs.hindered(clock.now())).toEqual([]);
  await reconciler.round(new AbortController().signal);
  expect(await runs.run(id)).toMatchObject({ state: 'complete', detail: null });
  expect(places).toEqual([null, ...Array.from({ length: 50 }, (_, at) => ({ at }))]);
});
