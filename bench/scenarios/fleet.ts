import type { FleetAdminApi } from '../children/fleet-admin.js';
import type { FleetReconcilerApi } from '../children/fleet-reconciler.js';
import type { FleetSeederApi } from '../children/fleet-seeder.js';
import { ordersOf, type Fleet } from '../fleet.js';
import type { Lab } from '../lab.js';
import { residentBytes } from '../machine.js';
import type { Child } from '../rpc.js';
import { sampleOf, type Sample, type Scenario, type Settings } from '../scenario.js';

export const FLEET_SHOPS = 5_000;
const QUICK_SHOPS = 500;
/** Of the fleet, how many are measured with an Admin API that takes its time: the rest would only repeat them. */
const SLOW_PART = 10;
/** What Shopify takes for a page of orders, or a little more. */
const SLOW_ANSWER_MS = 300;
const GAP_EVERY_SHOPS = 97;
const HOUR_MS = 3_600_000;
/** The hour ends longer ago than a run's lag, so that all of it is judged. */
const ENDED_BEFORE_MS = 6 * 60_000;
const MB = 2 ** 20;
const SAMPLE_EVERY_MS = 100;

interface Filled {
  databaseUrl: string;
  admin: Child<FleetAdminApi>;
  fleet: Fleet;
  missing: ReadonlySet<string>;
}

/** One hourly turn of the first `shops` of the fleet, by a process of its own: memory of an earlier one would count. */
async function turn(
  lab: Lab,
  { databaseUrl, admin, fleet, missing }: Filled,
  shops: number,
  answerMs: number,
): Promise<Sample> {
  const reconciler = lab.child<FleetReconcilerApi>('fleet-reconciler');
  const rss: number[] = [];
  let watch: NodeJS.Timeout | undefined;
  try {
    await reconciler.call('open', { databaseUrl, dataDir: lab.directory(`fleet-${reconciler.pid}`) });
    // A turn before the measured one: a young process takes memory until its heap has the size it is told to begin with
    // (scripts/node-flags.json), which would pass for growth. The highest is that of both.
    await admin.call('pace', { answerMs: 0 });
    await reconciler.call('prepare', { shops, comparedUntilMs: fleet.fromMs });
    check(fleet, shops, missing, await reconciler.call('turn', { shops, withinMs: HOUR_MS }));
    await reconciler.call('prepare', { shops, comparedUntilMs: fleet.fromMs });
    await admin.call('pace', { answerMs });
    watch = setInterval(() => rss.push(residentBytes(reconciler.pid, 'VmRSS')), SAMPLE_EVERY_MS);
    const { result, cost } = await lab.cost([reconciler.pid], () =>
      reconciler.call('turn', { shops, withinMs: HOUR_MS }),
    );
    check(fleet, shops, missing, result);
    const { queries, ordersListed } = await admin.call('asked', null);
    if (ordersListed < result.ordersListed) throw new Error('more was listed than the Admin API has told');
    const quarter = (number: number): number =>
      Math.max(...rss.slice(Math.floor((rss.length * number) / 4), Math.ceil((rss.length * (number + 1)) / 4)));
    return sampleOf(result.ordersListed, result.seconds, cost, {
      shops,
      seconds: result.seconds,
      queries,
      gapsFound: result.missing.length,
      rssMaxMb: residentBytes(reconciler.pid, 'VmHWM') / MB,
      rssGrowth: quarter(3) / quarter(1),
    });
  } finally {
    clearInterval(watch);
    await reconciler.kill();
  }
}

/** Every order was listed once, and what was planted was found, and nothing else. */
function check(
  fleet: Fleet,
  shops: number,
  planted: ReadonlySet<string>,
  result: { ordersListed: number; missing: readonly string[] },
): void {
  const sold = new Set<string>();
  for (let shop = 0; shop < shops; shop++) for (const { id } of ordersOf(fleet, shop)) sold.add(id);
  if (result.ordersListed !== sold.size) throw new Error(`${sold.size} were sold and ${result.ordersListed} listed`);
  const expected = [...planted].filter((id) => sold.has(id)).sort();
  if (expected.length === 0 || expected.join() !== [...result.missing].sort().join()) {
    throw new Error(`${expected.length} orders are missing, and these were found: ${result.missing.join(', ')}`);
  }
}

export const fleet: Scenario = {
  name: 'fleet',
  title:
    'one hourly turn of 5,000 shops (500 with --quick) that all come due at once, compared with a ledger that lacks a few of their orders; 417,000 orders with --full, else a tenth',
  async prepare(lab, { full, quick }: Settings) {
    const shops = quick ? QUICK_SHOPS : FLEET_SHOPS;
    const fleet: Fleet = { shops, scale: full ? 1 : 0.1, fromMs: Date.now() - ENDED_BEFORE_MS - HOUR_MS };
    const databaseUrl = await lab.database();
    const admin = lab.child<FleetAdminApi>('fleet-admin');
    const { url: adminUrl } = await admin.call('open', { fleet });
    const seeder = lab.child<FleetSeederApi>('fleet-seeder');
    const { missing } = await seeder.call('fill', {
      databaseUrl,
      dataDir: lab.directory('fleet-seeder'),
      adminUrl,
      fleet,
      gapEveryShops: GAP_EVERY_SHOPS,
    });
    await seeder.kill();
    const filled: Filled = { databaseUrl, admin, fleet, missing: new Set(missing) };
    return {
      contenders: [
        { name: 'at-once', measure: () => turn(lab, filled, shops, 0) },
        { name: 'slow-shopify', measure: () => turn(lab, filled, shops / SLOW_PART, SLOW_ANSWER_MS) },
      ],
      base: 'at-once',
      roundsMax: 2,
      close: () => admin.kill(),
    };
  },
};
