import { afterEach, describe, expect, it } from 'vitest';
import { SystemClock } from '../../../src/kernel/clock.js';
import { silentLogger } from '../../../src/kernel/log.js';
import type { Shop } from '../../../src/pipeline/contract.js';
import type { Claim } from '../../../src/pipeline/delivery/queue.js';
import type { Route, Sender } from '../../../src/pipeline/delivery/sender.js';
import { DeliveryWorker } from '../../../src/pipeline/delivery/worker.js';
import { planObligations } from '../../../src/pipeline/ledger/ledger.js';
import { foldObligations } from '../../../src/pipeline/router/plan.js';
import { destination, obligation, purchaseEvent } from '../../support/events.js';
import { testDatabase } from '../../support/test-database.js';
import { until } from '../../support/until.js';

const { database } = await testDatabase();
const clock = new SystemClock();
const SLOW = 1;
const QUICK = 2;
const BATCH = 200;

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function queue(destinationId: number, shopId: string, count: number): Promise<void> {
  const many = Array.from({ length: count }, (_, i) =>
    obligation({ shopId, destinationId, event: purchaseEvent({ subjectId: String(9_000_000_000_000 + i) }) }),
  );
  await planObligations(database, foldObligations(many), clock.now());
}

/** A worker whose sender keeps everything for SLOW under way until the test ends. */
function start(): { taken: Claim[] } {
  const taken: Claim[] = [];
  let answer: () => void = () => undefined;
  const answered = new Promise<void>((resolve) => (answer = resolve));
  const sender: Pick<Sender, 'deliver' | 'giveBack'> = {
    deliver: (_lane, claims, route: Route, progress) => {
      taken.push(...claims);
      progress.turned(claims.length);
      return route.destination.id === SLOW ? answered : Promise.resolve();
    },
    giveBack: () => Promise.resolve(),
  };
  const worker = new DeliveryWorker({
    database,
    shops: {
      shopById: (id) => ({ id }) as Shop,
      destinationById: (id) => destination({ id }),
    },
    adapters: () => ({ batch: { items: BATCH, bytes: 1_000_000 } }) as ReturnType<DeliveryWorkerAdapters>,
    sender: sender as Sender,
    clock,
    log: silentLogger,
  });
  stops.push(async () => {
    answer();
    await worker.stop();
  });
  worker.start();
  return { taken };
}
type DeliveryWorkerAdapters = ConstructorParameters<typeof DeliveryWorker>[0]['adapters'];

describe('a destination that is slow for many shops', () => {
  it('leaves room for the others, however much waits for it', async () => {
    for (const shopId of ['1', '2', '3', '4', '5']) await queue(SLOW, shopId, 4 * BATCH);
    const { taken } = start();
    // It has got all it will get: two looks later nothing has been added.
    let before = -1;
    await until(
      () => {
        const same = taken.length > 0 && taken.length === before;
        before = taken.length;
        return Promise.resolve(same);
      },
      { everyMs: 1_200, what: 'the slow destination has got its share' },
    );
    await queue(QUICK, '9', 1);
    await until(() => Promise.resolve(taken.some((claim) => claim.destinationId === QUICK)));
    expect(taken.filter((claim) => claim.destinationId === SLOW).length).toBeLessThan(5 * 4 * BATCH);
  });
});
