import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Countdown } from '../../../src/monitoring/subscriptions/countdown.js';
import type { IntakeTally } from '../../../src/pipeline/contract.js';
import { COFFEE, TEXTIL } from '../../sandbox/support/small-world.js';
import { testDatabase, type TestDatabase } from '../../support/test-database.js';
import { WatchWorld } from './watch-world.js';

let db: TestDatabase;
let w: WatchWorld;
let tallies: IntakeTally[];
let hints: string[];
let countdown: Countdown;
beforeAll(async () => {
  db = await testDatabase();
});
beforeEach(async () => {
  w = await WatchWorld.open(db.database);
  tallies = [];
  hints = [];
  countdown = anew();
});
afterEach(() => w.stop());

function anew(): Countdown {
  return new Countdown({
    tallies: { failing: () => Promise.resolve(tallies) },
    registry: w.registry(),
    signals: w.signals,
    hint: (shopId, why) => {
      hints.push(`${shopId}: ${why}`);
      return Promise.resolve();
    },
    clock: w.clock,
  });
}

/** So many answers of ours in a row that were no 2xx. */
async function failures(count: number, change: Partial<IntakeTally> = {}): Promise<void> {
  const one = { shopDomain: COFFEE, topic: 'orders/paid', lastFailureAt: w.clock.now(), lastStatus: 503, ...change };
  tallies = count === 0 ? [] : [{ ...one, failuresInRow: count }];
  await countdown.round();
}

describe('the countdown', () => {
  it('is told from the second failure in a row on, with what is left and since when, and ends with a 2xx', async () => {
    const since = w.clock.now().toISOString();
    await failures(1);
    expect(await w.openSignals()).toEqual([]);
    await failures(2);
    w.pass(60_000);
    await failures(5);
    await failures(5);
    expect(await w.openSignals()).toMatchObject([
      {
        kind: 'subscription-countdown',
        subject: `${COFFEE}/orders/paid`,
        shop: COFFEE,
        updates: 1,
        facts: { topic: 'orders/paid', failuresInRow: 5, of: 8, left: 3, since, lastStatus: 503 },
      },
    ]);
    await failures(0);
    expect(await w.told('subscription-countdown')).toEqual([
      'opened orders/paid',
      'updated orders/paid',
      'closed orders/paid',
    ]);
  });

  it('threatens a subscription of the shop with removal, and one of the app with the loss of the event', async () => {
    await failures(3);
    expect((await w.openSignals())[0]?.facts['risk']).toContain('removes the subscription');
    w.change({ subscriptions: 'app' });
    await failures(3);
    expect((await w.openSignals())[0]?.facts['risk']).toContain('lose the event');
  });

  it('keeps its beginning over a restart', async () => {
    await failures(2);
    const since = (await w.openSignals())[0]?.facts['since'];
    w.pass(600_000);
    countdown = anew();
    await failures(6);
    expect((await w.openSignals())[0]?.facts).toMatchObject({ since, left: 2 });
  });

  it('at its end has the shop looked at, once for each further failure', async () => {
    await failures(7);
    expect(hints).toEqual([]);
    await failures(8);
    await failures(8);
    await failures(11);
    expect(hints).toEqual([
      `1: 8 failures in a row: ${COFFEE}/orders/paid`,
      `1: 11 failures in a row: ${COFFEE}/orders/paid`,
    ]);
    expect((await w.openSignals())[0]?.facts).toMatchObject({ failuresInRow: 11, left: 0 });
  });

  it('is none for a shop that nobody has connected, or that is uninstalled', async () => {
    await failures(6, { shopDomain: TEXTIL });
    expect(await w.openSignals()).toEqual([]);
    await failures(6);
    w.change({ uninstalledAt: w.clock.now() });
    await failures(7);
    expect(await w.openSignals()).toEqual([]);
  });
});
