import { expect, it } from 'vitest';
import { stopwatch } from '../../src/kernel/clock.js';
import { nextId, orderBody } from '../support/orders.js';
import { PgProxy } from '../../simulation/pg-proxy.js';
import { testDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { WholeLine } from '../support/whole-line.js';

it('stops within its time although a warehouse and a webhook hang, and keeps what was under way', async () => {
  const lake = await testDatabase();
  const proxy = await PgProxy.to(lake.url);
  const line = await WholeLine.start({ destinations: { lake: { url: proxy.url } } });
  const first = nextId();
  expect(await line.send({ topic: 'orders/paid', body: orderBody({ id: first }) })).toBe(200);
  await line.untilSettled();

  proxy.hang();
  line.hook.misbehave({ mode: 'hang' });
  const id = nextId();
  expect(await line.send({ topic: 'orders/paid', body: orderBody({ id }) })).toBe(200);
  await until(async () => {
    const rows = await line.database.rows('select 1 from pipeline.delivery where subject_id = $1 and lease > 0', [id]);
    return rows.length === 2;
  });
  await until(async () => (await line.obligations({ subjectId: id, destination: 'ga4' }))[0]?.state === 'accepted');
  const tookMs = stopwatch();
  await line.pipeline.stop();
  expect(tookMs()).toBeLessThan(8_500); // the service has 10 s, and its own database to end in them
  const waiting = await line.obligations({ subjectId: id });
  expect(waiting.filter(({ state }) => state === 'queued').map(({ destination }) => destination)).toEqual([
    'hook',
    'lake',
  ]);
  await proxy.close();
}, 60_000);
