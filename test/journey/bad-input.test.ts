import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nextId, orderBody, refundBody } from '../support/orders.js';
import { until } from '../support/until.js';
import { WholeLine } from '../support/whole-line.js';

let line: WholeLine;
beforeAll(async () => {
  line = await WholeLine.start({ shops: [{}, { domain: 'tokenless.myshopify.com' }] });
});
afterAll(() => line.stop());

async function deadLetters(webhookId: string) {
  return line.database.rows<{ reason: string; lane: string; payload: Buffer; detail: string }>(
    'select reason, lane, payload, detail from pipeline.dead_letter where webhook_id = $1',
    [webhookId],
  );
}

describe('what is signed but cannot be understood', () => {
  const cases: { name: string; topic: string; body: string | Buffer; reason: string }[] = [
    { name: 'a body that is no JSON', topic: 'orders/create', body: 'not json {', reason: 'not-json' },
    {
      name: 'bytes that are no UTF-8',
      topic: 'orders/paid',
      body: Buffer.from([0xff, 0xfe, 0x7b, 0x22]),
      reason: 'not-json',
    },
    { name: 'an empty object', topic: 'orders/create', body: '{}', reason: 'no-id' },
    { name: 'a list', topic: 'orders/create', body: '[]', reason: 'not-an-object' },
    {
      name: 'lines that are no list',
      topic: 'orders/paid',
      body: JSON.stringify({ id: 5, created_at: '2026-11-23T10:00:00Z', line_items: 'three' }),
      reason: 'wrong-type:line_items',
    },
  ];
  it.each(cases)('stores $name, answers 200, and keeps it as a dead letter with its reason', async (given) => {
    const webhookId = randomUUID();
    expect(await line.send({ topic: given.topic, body: given.body, webhookId })).toBe(200);
    const [letter] = await until(async () => {
      const found = await deadLetters(webhookId);
      return found.length > 0 && found;
    });
    expect(letter?.reason).toBe(given.reason);
    expect(letter?.lane).toBe('ours');
    expect(letter?.payload.length).toBeGreaterThan(0);
  });

  it('stores an unknown topic and counts it', async () => {
    expect(await line.send({ topic: 'teapots/boiled', body: '{"id":1}' })).toBe(200);
    await line.untilRouted();
    expect(await line.webhookOutcomes()).toContainEqual({
      topic: 'teapots/boiled',
      outcome: 'unknown-topic',
      reason: null,
      repeats: 0,
    });
  });
});

describe('what is large or odd but right', () => {
  const odd: { name: string; body: (id: string) => string }[] = [
    { name: 'an order of 300 lines', body: (id) => orderBody({ id, lines: 300 }) },
    { name: 'an order of 1 MB', body: (id) => orderBody({ id, note: 'x'.repeat(1024 * 1024) }) },
    { name: 'emoji and control characters', body: (id) => orderBody({ id, note: 'tea ☕️\u0000\u0007\n"quoted" \\' }) },
    { name: 'an order of a point-of-sale without a customer', body: (id) => orderBody({ id, source: 'pos' }) },
  ];
  it.each(odd)('delivers $name everywhere, once', async ({ body }) => {
    const id = nextId();
    expect(await line.send({ topic: 'orders/paid', body: body(id) })).toBe(200);
    await line.untilSettled();
    const states = (await line.obligations({ subjectId: id })).map((o) => [o.destination, o.state]);
    expect(states).toEqual([
      ['ga4', 'accepted'],
      ['hook', 'accepted'],
      ['lake', 'confirmed'],
      ['segment', 'accepted'],
    ]);
  });

  it('keeps every digit of an id beyond 2^53', async () => {
    const id = '9007199254740993007';
    expect(await line.send({ topic: 'orders/paid', body: orderBody({ id }) })).toBe(200);
    await line.untilSettled();
    expect((await line.warehouseRows()).filter((row) => row.order_id === id)).toHaveLength(1);
    expect([...line.ga4.purchases.counts.keys()].some((key) => key.startsWith(`${id} `))).toBe(true);
  });
});

describe('what cannot go on yet', () => {
  it('holds a webhook of an unknown shop, and delivers it when the shop is connected', async () => {
    const id = nextId();
    const shop = 'newcomer.myshopify.com';
    expect(await line.send({ topic: 'orders/paid', body: orderBody({ id }), shop })).toBe(200);
    await line.untilRouted();
    expect(await line.database.rows('select reason from pipeline.held where shop_domain = $1', [shop])).toEqual([
      { reason: 'unknown-shop' },
    ]);
    await line.pipeline.registry.desk.createShop({ domain: shop, destinations: ['hook'] }, 'test');
    await until(
      async () => (await line.obligations({ shop, subjectId: id, destination: 'hook' }))[0]?.state === 'accepted',
    );
  });

  it('holds a body that is only an id while the shop has no token, and says so', async () => {
    const webhookId = randomUUID();
    const shop = 'tokenless.myshopify.com';
    expect(await line.send({ topic: 'orders/paid', body: '{"id": 6123456789099}', shop, webhookId })).toBe(200);
    await until(async () => {
      const [row] = await line.database.rows<{ reason: string }>(
        'select reason from pipeline.held where webhook_id = $1 and released_at is null',
        [webhookId],
      );
      return row?.reason === 'no-token';
    });
  });
});

describe('what arrives more than once', () => {
  it('gives 50 identical webhooks in parallel one effect, and counts the repeats', async () => {
    const id = nextId();
    const webhookId = randomUUID();
    const body = orderBody({ id });
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => line.send({ topic: 'orders/paid', body, webhookId })),
    );
    expect(new Set(answers)).toEqual(new Set([200]));
    await line.untilSettled();
    expect((await line.warehouseRows()).filter((row) => row.order_id === id)).toHaveLength(1);
    const arrivals = [...line.hook.events.values()].filter((event) => event['order_id'] === id);
    expect(arrivals).toHaveLength(1);
    const [row] = await line.database.rows<{ repeats: number }>(
      'select repeats from pipeline.webhook where webhook_id = $1',
      [webhookId],
    );
    expect(row?.repeats).toBe(49);
  });

  it('gives the same fact by another webhook id, and by another topic, one effect', async () => {
    const id = nextId();
    const body = orderBody({ id });
    for (const topic of ['orders/create', 'orders/paid', 'orders/paid']) {
      expect(await line.send({ topic, body })).toBe(200);
    }
    await line.untilSettled();
    expect([...line.hook.events.values()].filter((event) => event['order_id'] === id)).toHaveLength(1);
    expect(await line.obligations({ subjectId: id, kind: 'purchase' })).toHaveLength(4);
  });

  it('never lets an older state overwrite a newer one, whatever the order of arrival', async () => {
    const id = nextId();
    const at = (minute: number, note: string) =>
      orderBody({ id, note, updatedAt: `2026-11-23T10:0${minute}:00Z`, status: 'pending' });
    expect(await line.send({ topic: 'orders/updated', body: at(5, 'newer') })).toBe(200);
    await line.untilSettled();
    expect(await line.send({ topic: 'orders/updated', body: at(1, 'older') })).toBe(200);
    await line.untilSettled();
    const [row] = await line.warehouse.rows<{ occurred_at: Date; payload: unknown }>(
      "select occurred_at, payload from plumbline_events where subject_id = $1 and kind = 'order-updated'",
      [id],
    );
    expect(row?.occurred_at).toEqual(new Date('2026-11-23T10:05:00Z'));
    expect(JSON.stringify(row?.payload)).toContain('newer');
    const outcomes = (await line.webhookOutcomes()).filter((o) => o.topic === 'orders/updated').map((o) => o.outcome);
    expect(outcomes).toContain('duplicate');
  });
});

describe('what is left out, and why', () => {
  it('waits for payment, then sends once', async () => {
    const id = nextId();
    expect(await line.send({ topic: 'orders/create', body: orderBody({ id, status: 'pending' }) })).toBe(200);
    await line.untilSettled();
    expect((await line.obligations({ subjectId: id, destination: 'hook' }))[0]).toMatchObject({
      state: 'expected',
      reason: 'awaiting-payment',
    });
    expect(await line.send({ topic: 'orders/paid', body: orderBody({ id }) })).toBe(200);
    await line.untilSettled();
    expect((await line.obligations({ subjectId: id, destination: 'hook' }))[0]?.state).toBe('accepted');
  });

  it('counts a test order as ignored, and its refund with it', async () => {
    const id = nextId();
    const refundId = nextId();
    expect(await line.send({ topic: 'orders/paid', body: orderBody({ id, test: true }) })).toBe(200);
    expect(await line.send({ topic: 'refunds/create', body: refundBody(id, refundId) })).toBe(200);
    await line.untilSettled();
    expect((await line.obligations({ subjectId: id })).map((o) => [o.state, o.reason])).toEqual(
      Array(4).fill(['ignored', 'test-order']),
    );
    expect((await line.obligations({ subjectId: refundId })).map((o) => [o.state, o.reason])).toEqual(
      Array(4).fill(['ignored', 'order-left-out:test-order']),
    );
  });
});
