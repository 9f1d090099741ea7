import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SystemClock } from '../../../src/kernel/clock.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { SecretBox } from '../../../src/kernel/secrets.js';
import { EventCache } from '../../../src/pipeline/event-cache.js';
import { Router, type RouterDeps } from '../../../src/pipeline/router/router.js';
import { nextId, orderBody, refundBody } from '../../support/orders.js';
import { until } from '../../support/until.js';
import { WholeLine } from '../../support/whole-line.js';

// The routers are driven by hand, so that the test decides which process reads what.
let line: WholeLine;
beforeAll(async () => {
  line = await WholeLine.start({ destinations: { hook: { consentAttribute: 'analytics' } } });
  await line.pipeline.router.stop();
});
afterAll(() => line.stop());

/** A router of another process, with that process's knowledge of shops. */
function routerThatKnows(shops: RouterDeps['shops']): Router {
  return new Router({
    database: line.database,
    inbox: line.pipeline.reader,
    shops,
    adapters: () => ({ kinds: new Set(['purchase', 'refund', 'order-updated']) }) as never,
    cache: new EventCache(),
    secrets: new SecretBox([]),
    clock: new SystemClock(),
    log: silentLogger,
    queued: (lanes) => line.pipeline.worker.nudge(lanes),
    metrics: { routed: () => undefined },
  });
}

async function route(router: Router): Promise<void> {
  while ((await router.round()) === 'busy');
}

const held = (shop: string) =>
  line.database.rows<{ webhook_id: string; released: boolean; detail: string | null; tries: number }>(
    'select webhook_id, released_at is not null as released, detail, tries from pipeline.held where shop_domain = $1 order by id',
    [shop],
  );

const state = async (subjectId: string, destination: string) => {
  const [found] = await line.obligations({ subjectId, destination });
  return found && `${found.state}${found.reason === null ? '' : ` (${found.reason})`}`;
};

describe('a held webhook', () => {
  it('is not lost when it is released to a process that has not heard of its shop yet', async () => {
    const shop = 'late-news.myshopify.com';
    const id = nextId();
    const late = routerThatKnows({ shopByDomain: () => undefined, destinationById: () => undefined });
    expect(await line.send({ topic: 'orders/paid', body: orderBody({ id }), shop })).toBe(200);
    await route(late);
    expect(await held(shop)).toMatchObject([{ released: false }]);

    await line.pipeline.registry.desk.createShop({ domain: shop, destinations: ['lake'] }, 'test');
    await until(async () => (await held(shop)).every(({ released }) => released));
    await route(late);
    await until(async () => (await held(shop)).every(({ released }) => released));
    await route(routerThatKnows(line.pipeline.registry));
    await until(async () => (await state(id, 'lake')) === 'confirmed');
  });

  it('that cannot be opened says so, and lets those behind it go on', async () => {
    const shop = 'two-waiting.myshopify.com';
    const [damaged, whole] = [randomUUID(), randomUUID()];
    for (const webhookId of [damaged, whole]) {
      const body = orderBody({ id: nextId() });
      expect(await line.send({ topic: 'orders/paid', body, shop, webhookId })).toBe(200);
      await route(routerThatKnows(line.pipeline.registry));
    }
    await line.database.query(`update pipeline.held set payload = '\\x0000ff' where webhook_id = $1`, [damaged]);
    await line.pipeline.registry.desk.createShop({ domain: shop, destinations: ['lake'] }, 'test');
    await until(async () => (await held(shop)).find((row) => row.webhook_id === whole)?.released === true);
    const stuck = await until(async () =>
      (await held(shop)).find((row) => row.tries > 0 && row.webhook_id === damaged),
    );
    expect(stuck).toMatchObject({ released: false, detail: expect.stringContaining('damaged') as string });
  });
});

describe('a refund', () => {
  it('goes where its purchase went, whatever an update in the same batch would have left out', async () => {
    const [id, refundId] = [nextId(), nextId()];
    const router = routerThatKnows(line.pipeline.registry);
    const consent = (value: string) => ({ note_attributes: [{ name: 'analytics', value }] });
    expect(await line.send({ topic: 'orders/paid', body: orderBody({ id, extra: consent('yes') }) })).toBe(200);
    await route(router);
    await until(async () => (await state(id, 'hook')) === 'accepted');

    const updated = orderBody({ id, updatedAt: '2026-11-23T11:00:00Z', extra: consent('no') });
    expect(await line.send({ topic: 'orders/updated', body: updated })).toBe(200);
    expect(await line.send({ topic: 'refunds/create', body: refundBody(id, refundId) })).toBe(200);
    await route(router);
    await until(async () => (await state(refundId, 'lake')) === 'confirmed');
    await until(async () => (await state(refundId, 'hook')) === 'accepted');
  });
});
