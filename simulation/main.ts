import { withOwnServer } from './databases.js';
import { Stage } from './stage.js';
const t0 = performance.now();
await withOwnServer(async (databases) => {
  console.log('server', performance.now() - t0);
  const startAtMs = Date.parse('2019-10-01T00:00:00Z');
  const t1 = performance.now();
  const stage = await Stage.start({
    databases,
    seed: 1,
    startAtMs,
    storeCount: 3,
    ordersPerSecond: 300 / 86400,
    removal: 'subscription',
    topics: ['orders/create', 'orders/paid', 'orders/cancelled', 'refunds/create', 'app/uninstalled'],
    farSides: ['ga4', 'segment', 'lake'],
  });
  console.log('stage', performance.now() - t1);
  stage.open();
  const t2 = performance.now();
  let busy = 0;
  let idleMs = 0;
  let busyMs = 0;
  for (let m = 1; m <= 1440; m++) {
    await stage.timeline.live(startAtMs + m * 60_000);
    const t = performance.now();
    const is = stage.post.waiting > 0;
    await stage.live(startAtMs + m * 60_000);
    if (is) {
      busy++;
      busyMs += performance.now() - t;
    } else idleMs += performance.now() - t;
  }
  console.log('day', performance.now() - t2, { busy, busyMs, idleMs, sold: stage.world.truth.sold });
  console.log(
    stage.farSides.ga4.purchases.counts.size,
    (await stage.farSides.warehouseRows()).length,
    await stage.product.pipeline.database.rows('select state, count(*) from pipeline.ledger group by 1'),
  );
  const t3 = performance.now();
  await stage.stop();
  console.log('stop', performance.now() - t3);
});
