import '@shopify/shopify-api/adapters/node';
import { ApiVersion, shopifyApi } from '@shopify/shopify-api';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Numbers } from '../../sandbox/shopify/numbers.js';
import { Postman, SHOPIFY_LIMITS, type Answer } from '../../sandbox/shopify/post.js';
import { Subscriptions, type Owner, type Subscription } from '../../sandbox/shopify/subscriptions.js';
import { RETRY_MINUTES, WebhookSender, type SenderOptions } from '../../sandbox/shopify/webhook-sender.js';
import { until } from '../support/until.js';
import { Callback } from './support/callback.js';
import { ManualClock } from './support/manual-clock.js';

const SECRET = 'test_secret_key';
const BODY = Buffer.from('{"id":6123456789012,"note":"Grüße \\u0026 \\/ 雲"}');
const DOMAIN = 'acme.myshopify.com';

let callback: Callback;
let clock: ManualClock;
let subscriptions: Subscriptions;
let sender: WebhookSender;
let attempts: { isOk: boolean; isLast: boolean; answer: Answer }[];

beforeEach(async () => {
  callback = await new Callback().start();
  open();
});

afterEach(async () => {
  sender.stop();
  await callback.stop();
});

function open(options: Partial<SenderOptions> = {}): void {
  clock = new ManualClock();
  const numbers = new Numbers(3, clock.now());
  subscriptions = new Subscriptions(numbers);
  attempts = [];
  sender = new WebhookSender({
    clock,
    numbers,
    subscriptions,
    secret: SECRET,
    apiVersion: '2026-10',
    timeScale: 1,
    removal: 'subscription',
    concurrency: 4,
    onAttempt: (_delivery, answer, isOk, isLast) => attempts.push({ answer, isOk, isLast }),
    ...options,
  });
}

function subscribe(owner: Owner = 'shop', name: string | null = null, path = '/hook'): Subscription {
  const made = subscriptions.add(
    { domain: DOMAIN, topic: 'orders/create', uri: callback.url + path, owner, name },
    clock.now(),
  );
  if (made === null) throw new Error('taken');
  return made;
}

const announce = (eventId = 'event-1') =>
  sender.announce({
    domain: DOMAIN,
    topic: 'orders/create',
    body: BODY,
    eventId,
    triggeredAtMs: clock.now(),
    orderId: 1,
  });

async function attempted(count: number): Promise<void> {
  await until(() => attempts.length >= count);
}

/** Lives through all retries of one failing delivery. */
async function failThrough(): Promise<void> {
  announce();
  await attempted(1);
  for (const [index, minutes] of RETRY_MINUTES.entries()) {
    clock.advance(minutes * 60_000);
    await attempted(index + 2);
  }
}

describe('a webhook', () => {
  it('is accepted by Shopify’s own library, and not when a byte of it changes', async () => {
    subscribe('shop', 'order-feed');
    announce();
    await attempted(1);
    const shopify = shopifyApi({
      apiKey: 'key',
      apiSecretKey: SECRET,
      apiVersion: ApiVersion.October26,
      hostName: 'app.test',
      isEmbeddedApp: false,
      logger: { log: () => undefined },
    });
    const call = callback.calls[0];
    if (call === undefined) throw new Error('nothing arrived');
    const verdict = (rawBody: string) =>
      shopify.webhooks.validate({ rawBody, rawRequest: { headers: call.headers, url: call.path, method: 'POST' } });
    expect(await verdict(call.body.toString())).toMatchObject({
      valid: true,
      domain: DOMAIN,
      topic: 'ORDERS_CREATE',
      apiVersion: '2026-10',
      webhookId: call.headers['x-shopify-webhook-id'],
    });
    expect(await verdict(call.body.toString().replace('6123', '6124'))).toMatchObject({ valid: false });
  });

  it('carries every documented header and a time with a varying number of digits', async () => {
    subscribe('shop', 'order-feed');
    for (let index = 0; index < 40; index++) announce(`event-${index}`);
    await attempted(40);
    const headers = callback.calls[0]?.headers;
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'x-shopify-topic': 'orders/create',
      'x-shopify-shop-domain': DOMAIN,
      'x-shopify-api-version': '2026-10',
      'x-shopify-name': 'order-feed',
      'x-shopify-event-id': 'event-0',
    });
    const times = callback.calls.map((call) => String(call.headers['x-shopify-triggered-at']));
    expect(times.every((time) => /^2026-11-27T14:00:00(?:\.\d{1,9})?Z$/.test(time))).toBe(true);
    expect(new Set(times.map((time) => time.length)).size).toBeGreaterThan(4);
    expect(new Set(callback.calls.map((call) => call.headers['x-shopify-webhook-id'])).size).toBe(40);
  });

  it('has another webhook id and the same event id for each subscription that listens', async () => {
    subscribe('shop', null, '/one');
    subscribe('app', null, '/two');
    announce();
    await attempted(2);
    const [one, two] = callback.calls.map((call) => call.headers);
    expect(one?.['x-shopify-event-id']).toBe(two?.['x-shopify-event-id']);
    expect(one?.['x-shopify-webhook-id']).not.toBe(two?.['x-shopify-webhook-id']);
  });

  it('fails on a redirect and does not follow it', async () => {
    callback.status = 302;
    subscribe();
    announce();
    await attempted(1);
    expect(attempts[0]).toMatchObject({ isOk: false, answer: { outcome: 'answered', status: 302 } });
    expect(callback.calls.map(({ path }) => path)).toEqual(['/hook']);
  });

  it('fails when the far side hangs up without an answer', async () => {
    const rude = createServer((socket) => {
      socket.once('data', () => socket.destroy());
    });
    await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve));
    const uri = `http://127.0.0.1:${(rude.address() as AddressInfo).port}/`;
    subscriptions.add({ domain: DOMAIN, topic: 'orders/create', uri, owner: 'shop', name: null }, clock.now());
    announce();
    await attempted(1);
    expect(attempts[0]).toMatchObject({ isOk: false, isLast: false, answer: { outcome: 'broken' } });
    await new Promise((resolve) => rude.close(resolve));
  });
});

describe('the sender’s patience', () => {
  it('ends a request that is not answered in time', async () => {
    const silent = createServer((socket) => socket.on('error', () => undefined).resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const postman = new Postman(1, { connectMs: 1_000, totalMs: 50 });
    const answer = await postman.post(`http://127.0.0.1:${(silent.address() as AddressInfo).port}/`, {}, BODY);
    expect(answer).toMatchObject({ outcome: 'timeout' });
    postman.close();
    await new Promise((resolve) => silent.close(resolve));
  });

  it('is one second for the connection and five for everything', () => {
    expect(SHOPIFY_LIMITS).toEqual({ connectMs: 1_000, totalMs: 5_000 });
  });
});

describe('retries', () => {
  it('come eight times over four hours on the scaled clock, with the same id and body', async () => {
    open({ removal: 'delivery', timeScale: 60 });
    subscribe('app');
    callback.status = 500;
    announce();
    await attempted(1);
    const steps: number[] = [];
    for (let retry = 1; retry <= 8; retry++) {
      await until(() => clock.ahead.length === 1);
      const [stepMs = 0] = clock.ahead;
      steps.push(stepMs);
      clock.advance(stepMs);
      await attempted(retry + 1);
    }
    expect(steps).toEqual([1, 3, 6, 12, 24, 44, 65, 85].map((minutes) => minutes * 1_000));
    expect(steps.reduce((sum, step) => sum + step, 0)).toBe((4 * 3_600_000) / 60);
    expect(clock.ahead).toEqual([]);
    expect(attempts.map(({ isLast }) => isLast)).toEqual([...Array<boolean>(8).fill(false), true]);
    const first = callback.calls[0];
    for (const call of callback.calls) {
      expect(call.body.equals(BODY)).toBe(true);
      expect(call.headers['x-shopify-webhook-id']).toBe(first?.headers['x-shopify-webhook-id']);
      expect(call.headers['x-shopify-hmac-sha256']).toBe(first?.headers['x-shopify-hmac-sha256']);
    }
  });

  it('go to the address of the trigger, although the subscription points elsewhere by now', async () => {
    const subscription = subscribe();
    callback.status = 503;
    announce();
    await attempted(1);
    subscription.uri = `${callback.url}/new`;
    callback.status = 200;
    clock.advance(60_000);
    await attempted(2);
    expect(callback.calls.map(({ path }) => path)).toEqual(['/hook', '/hook']);
    expect(attempts[1]).toMatchObject({ isOk: true, isLast: true });
  });

  it('end with the subscription', async () => {
    const subscription = subscribe();
    callback.status = 500;
    announce();
    await attempted(1);
    subscriptions.remove(subscription.id, 'by hand', clock.now());
    callback.status = 200;
    clock.advance(4 * 3_600_000);
    announce('after');
    expect(sender.pending).toEqual({ ready: 0, underWay: 0, waiting: 0 });
    expect(callback.calls).toHaveLength(1);
  });
});

describe('removal', () => {
  it('comes after eight failed attempts of the subscription, over all its deliveries', async () => {
    subscribe();
    callback.status = 401;
    for (let index = 1; index <= 7; index++) announce(`event-${index}`);
    await attempted(7);
    expect(subscriptions.of(DOMAIN)).toHaveLength(1);
    announce('event-8');
    await attempted(8);
    expect(subscriptions.of(DOMAIN)).toEqual([]);
    expect(subscriptions.removals).toMatchObject([{ domain: DOMAIN, topic: 'orders/create', why: 'failures' }]);
  });

  it('starts to count anew with any 2xx', async () => {
    subscribe();
    callback.status = 401;
    for (let index = 1; index <= 7; index++) announce(`event-${index}`);
    await attempted(7);
    callback.status = 200;
    announce('good');
    await attempted(8);
    callback.status = 401;
    announce('event-8');
    await attempted(9);
    expect(subscriptions.of(DOMAIN)).toMatchObject([{ failuresInRow: 1 }]);
  });

  it('by the other reading comes only when all retries of one delivery failed', async () => {
    open({ removal: 'delivery' });
    subscribe();
    callback.status = 500;
    for (let index = 1; index <= 12; index++) announce(`event-${index}`);
    await attempted(12);
    expect(subscriptions.of(DOMAIN)).toHaveLength(1);
    sender.stop();
    open({ removal: 'delivery' });
    subscribe();
    await failThrough();
    expect(subscriptions.of(DOMAIN)).toEqual([]);
  });

  it.each(['subscription', 'delivery'] as const)('never happens to a subscription of the app (%s)', async (removal) => {
    open({ removal });
    subscribe('app');
    callback.status = 500;
    await failThrough();
    expect(subscriptions.of(DOMAIN)).toMatchObject([{ owner: 'app', failuresInRow: 9 }]);
    expect(subscriptions.removals).toEqual([]);
  });

  it('is mailed after warnings from the second attempt on, naming topic and address and no shop', async () => {
    open({ removal: 'delivery' });
    subscribe();
    callback.status = 500;
    await failThrough();
    expect(sender.mails.map(({ kind }) => kind)).toEqual([...Array<string>(8).fill('failing'), 'removed']);
    expect(sender.mails[0]).toMatchObject({
      subject: 'Your webhook is failing',
      body: expect.stringContaining(`for orders/create at ${callback.url}/hook is failing`) as string,
      attempts: 2,
    });
    expect(sender.mails.at(-1)?.body).toMatch(/has been removed on \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC because/);
    expect(sender.mails.some(({ body }) => body.includes(DOMAIN))).toBe(false);
  });
});
