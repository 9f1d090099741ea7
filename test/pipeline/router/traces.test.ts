import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ListedFact } from '../../../src/pipeline/contract.js';
import { readLastWebhookAt, readTraces } from '../../../src/pipeline/router/traces.js';
import { orderBody, refundBody } from '../../support/orders.js';
import { WholeLine } from '../../support/whole-line.js';
import { until } from '../../support/until.js';

const TODAY = new Date().toISOString().slice(0, 10);
const BARE = 'bare.myshopify.com';
let line: WholeLine;

beforeAll(async () => {
  line = await WholeLine.start({ shops: [{}, { domain: BARE, destinations: [] }] });
});
afterAll(() => line.stop());

function fact(domain: string, subjectId: string, kind: ListedFact['kind'] = 'purchase'): ListedFact {
  const shop = line.pipeline.registry.shopByDomain('real', domain);
  return { shopId: shop?.id ?? '', subjectId, orderId: subjectId, kind, ledgerDay: TODAY };
}

const traces = async (domain: string, ...subjects: string[]) =>
  (
    await readTraces(
      line.database,
      subjects.map((id) => fact(domain, id)),
    )
  ).map(({ subjectId, place, reason }) => `${subjectId} ${place} ${reason}`);

it('tells of webhooks that came to no obligation where they are, and why', async () => {
  const createdAt = new Date().toISOString();
  await line.send({ topic: 'orders/paid', shop: BARE, body: orderBody({ id: '7001', createdAt }) });
  await line.send({ topic: 'orders/paid', body: '{"id": 7002}' });
  await line.send({ topic: 'orders/paid', body: orderBody({ id: '7003', createdAt, extra: { line_items: 'none' } }) });
  await line.send({ topic: 'refunds/create', shop: BARE, body: refundBody('7001', '7004') });
  await line.send({
    topic: 'customers/create',
    shop: BARE,
    body: '{"id": 7005, "created_at": "2026-11-23T10:00:00Z"}',
  });
  await line.untilRouted();
  // A body that is only an id waits for a token that the shop does not have.
  await until(async () => (await traces('acme.myshopify.com', '7002')).includes('7002 held no-token'));

  expect(await traces(BARE, '7001', '7004', '7005', '7999')).toEqual(['7001 webhook planned', '7004 webhook planned']);
  expect(await traces('acme.myshopify.com', '7001', '7003')).toEqual(['7003 dead-letter wrong-type:line_items']);
});

it('knows when the last webhook of a topic came', async () => {
  const shopId = fact(BARE, '').shopId;
  expect(await readLastWebhookAt(line.database, shopId, 'app/uninstalled')).toBeNull();
  await line.send({ topic: 'app/uninstalled', shop: BARE, body: '{"id": 1, "name": "Bare"}' });
  await line.untilRouted();
  const at = await readLastWebhookAt(line.database, shopId, 'app/uninstalled');
  expect(Math.abs((at?.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
  expect(await readLastWebhookAt(line.database, shopId, "app/'uninstalled")).toBeNull();
});
