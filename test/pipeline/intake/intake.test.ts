import { Agent } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InboxEntry } from '../../../src/pipeline/contract.js';
import { IntakeRefused } from '../../../src/pipeline/inbox/inbox-writer.js';
import { until } from '../../support/until.js';
import {
  OLDER_SECRET,
  RawSender,
  SANDBOX_SECRET,
  send,
  serveIntake,
  shopifyHeaders,
  sign,
  type IntakeServer,
} from './intake-server.js';

const BODY = '{"id":820982911946154508,"note":"Größe M 👕"}\n';
const MIB = 1024 * 1024;

let stored: InboxEntry[];
let answers: number[];
let storing: (entry: InboxEntry) => Promise<unknown>;
let at: IntakeServer;

beforeEach(async () => {
  stored = [];
  answers = [];
  storing = (entry) => {
    stored.push(entry);
    return Promise.resolve();
  };
  at = await serveIntake((entry) => storing(entry), { answered: (status) => answers.push(status) });
});
afterEach(() => at.close());

describe('intake answers', () => {
  it('200 when the webhook is stored, exactly as it came', async () => {
    const answer = await send(at.port, BODY, { path: '/webhooks/shopify/key_of-acme' });
    expect(answer.status).toBe(200);
    expect(stored).toHaveLength(1);
    expect(stored[0]).toMatchObject({
      source: 'http',
      world: 'real',
      webhookId: 'b54557e4-bdd9-4b37-8a5f-bf7d70bcd043',
      topic: 'orders/create',
      shopDomain: 'acme.myshopify.com',
      key: 'key_of-acme',
      apiVersion: '2026-10',
      eventId: '98880550-7158-44d4-b7cd-2c97c8a091b5',
      triggeredAt: '2026-11-23T10:00:00.123456789Z',
      hmac: sign(BODY),
    });
    expect(stored[0]?.body.equals(Buffer.from(BODY))).toBe(true);
    expect(answers).toEqual([200]);
  });

  it('200 only after the append has resolved', async () => {
    let durable = (): void => undefined;
    storing = () => new Promise<void>((resolve) => (durable = resolve));
    let answered = false;
    const answer = send(at.port, BODY).finally(() => (answered = true));
    const other = await send(at.port, '', {}); // a whole round trip later …
    expect(other.status).toBe(400);
    expect(answered).toBe(false); // … the first still waits
    durable();
    expect((await answer).status).toBe(200);
  });

  it('200 to the header names of the Events preview', async () => {
    const headers = {
      'shopify-topic': 'Order',
      'shopify-hmac-sha256': sign(BODY),
      'shopify-shop-domain': 'ACME.myshopify.com',
      'shopify-webhook-id': 'w1',
    };
    expect((await send(at.port, BODY, { headers })).status).toBe(200);
    expect(stored[0]).toMatchObject({ topic: 'Order', shopDomain: 'acme.myshopify.com', webhookId: 'w1' });
    expect(stored[0]).not.toHaveProperty('eventId');
  });

  it('200 to an older secret, and marks what the sandbox signed', async () => {
    for (const secret of [OLDER_SECRET, SANDBOX_SECRET]) {
      const headers = shopifyHeaders(BODY, { 'X-Shopify-Hmac-Sha256': sign(BODY, secret) });
      expect((await send(at.port, BODY, { headers })).status).toBe(200);
    }
    expect(stored.map(({ world }) => world)).toEqual(['real', 'sandbox']);
  });

  it.each([
    ['a body that is not JSON', '<order/>'],
    ['an order of 300 lines', JSON.stringify({ line_items: Array.from({ length: 300 }, (_, id) => ({ id })) })],
    ['a body of 1 MB', `{"note":"${'x'.repeat(MIB)}"}`],
    ['a body of exactly 8 MiB', Buffer.alloc(8 * MIB, 'x')],
  ])('200 to %s', async (_, body) => {
    expect((await send(at.port, body)).status).toBe(200);
    expect(stored[0]?.body.equals(Buffer.from(body))).toBe(true);
  });

  it('200 to a body in chunks, without a length', async () => {
    const body = 'y'.repeat(50_000);
    expect((await send(at.port, body, { chunked: true })).status).toBe(200);
    expect(stored[0]?.body.toString()).toBe(body);
  });

  it('200 on the same connection again and again', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    let connections = 0;
    at.server.on('connection', () => (connections += 1));
    const bad = { headers: shopifyHeaders(BODY, { 'X-Shopify-Hmac-Sha256': 'bad' }) };
    for (const options of [{}, bad, {}]) await send(at.port, BODY, { agent, ...options });
    expect(stored).toHaveLength(2);
    expect(connections).toBe(1);
    agent.destroy();
  });

  it.each([
    ['of other bytes', sign(`${BODY} `)],
    ['by another secret', sign(BODY, 'not ours')],
    ['that is malformed', 'no base64!'],
    ['in hex', Buffer.from(sign(BODY), 'base64').toString('hex')],
    ['that is missing', undefined],
    ['that is empty', ''],
  ])('401 to a signature %s, and stores nothing', async (_, hmac) => {
    const answer = await send(at.port, BODY, { headers: shopifyHeaders(BODY, { 'X-Shopify-Hmac-Sha256': hmac }) });
    expect(answer.status).toBe(401);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(JSON.parse(answer.body)).toMatchObject({ status: 401, title: 'Unauthorized' });
    expect(answer.body).toContain('X-Shopify-Hmac-Sha256');
    expect(answer.body).not.toContain(sign(BODY)); // never teach a forger
    expect(stored).toEqual([]);
  });

  it.each([
    ['X-Shopify-Topic', undefined, 'X-Shopify-Topic is missing.'],
    ['X-Shopify-Webhook-Id', undefined, 'X-Shopify-Webhook-Id is missing.'],
    ['X-Shopify-Webhook-Id', '', 'X-Shopify-Webhook-Id is missing.'],
    ['X-Shopify-Webhook-Id', 'x'.repeat(201), 'X-Shopify-Webhook-Id is longer than 200 characters.'],
    ['X-Shopify-Shop-Domain', undefined, 'X-Shopify-Shop-Domain is missing.'],
    ['X-Shopify-Shop-Domain', 'not a domain', 'X-Shopify-Shop-Domain is not a domain name.'],
    ['X-Shopify-Shop-Domain', '../etc', 'X-Shopify-Shop-Domain is not a domain name.'],
    ['X-Shopify-Shop-Domain', 'localhost', 'X-Shopify-Shop-Domain is not a domain name.'],
  ])('400 when %s is %j, saying so', async (name, value, detail) => {
    const answer = await send(at.port, BODY, { headers: shopifyHeaders(BODY, { [name]: value }) });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toEqual({ type: 'about:blank', title: 'Bad Request', status: 400, detail });
    expect(stored).toEqual([]);
  });

  it('400 to a request without a body, even a signed one', async () => {
    const answer = await send(at.port, '');
    expect(answer.status).toBe(400);
    expect(answer.body).toContain('no body');
  });

  it('200 to an optional header that makes no sense, without it', async () => {
    const headers = shopifyHeaders(BODY, { 'X-Shopify-Event-Id': 'e'.repeat(500), 'X-Shopify-API-Version': '' });
    expect((await send(at.port, BODY, { headers })).status).toBe(200);
    expect(stored[0]).not.toHaveProperty('eventId');
    expect(stored[0]).not.toHaveProperty('apiVersion');
  });

  it('200 to a key that we did not make, without it', async () => {
    expect((await send(at.port, BODY, { path: '/webhooks/shopify/%2e%2e?x=1' })).status).toBe(200);
    expect(stored[0]).not.toHaveProperty('key');
  });

  it('413 to a length over 8 MiB before any of it is sent', async () => {
    const sender = await RawSender.connect(at.port);
    sender.head({ ...shopifyHeaders(BODY), 'Content-Length': String(8 * MIB + 1) });
    await until(() => sender.received.includes('"status":413'));
    expect(sender.received).toMatch(/^HTTP\/1\.1 413 [\s\S]*connection: close/i);
    await until(() => sender.closed);
    expect(stored).toEqual([]);
  });

  it('413 to 8 MiB and a byte in chunks, readable while the sender still sends', async () => {
    const sender = await RawSender.connect(at.port);
    sender.head({ ...shopifyHeaders(BODY), 'Transfer-Encoding': 'chunked' });
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    // Twice as much as allowed: everything is sent without an error, and the answer is there.
    for (let sent = 0; sent < 256; sent++) {
      if (!sender.socket.write(chunk)) await new Promise((resolve) => sender.socket.once('drain', resolve));
    }
    sender.socket.write('0\r\n\r\n');
    await until(() => sender.closed);
    expect(sender.received).toMatch(/^HTTP\/1\.1 413 /);
    expect(sender.received).toContain('"status":413');
    expect(stored).toEqual([]);
  });

  it('503 and when to come back, when nothing durable could be reached', async () => {
    storing = () => Promise.reject(new IntakeRefused('neither the database nor the journal took it'));
    const answer = await send(at.port, BODY);
    expect(answer.status).toBe(503);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(JSON.parse(answer.body)).toMatchObject({ status: 503 });
  });

  it('503 before Shopify gives up when storing hangs, and 408 when the body does not come', async () => {
    storing = () => new Promise(() => undefined);
    const startedMs = performance.now();
    const slow = await RawSender.connect(at.port);
    slow.head({ ...shopifyHeaders(BODY), 'Content-Length': '1000' });
    const drip = setInterval(() => slow.socket.write('x'), 100);
    expect((await send(at.port, BODY)).status).toBe(503);
    await until(() => slow.received.includes('"status":408'));
    expect(performance.now() - startedMs).toBeLessThan(5_000); // Shopify's limit
    await until(() => slow.closed);
    clearInterval(drip);
    expect(slow.received).toMatch(/connection: close/i);
  });

  it.each(['GET', 'PUT', 'DELETE', 'HEAD'])('405 to %s, naming POST', async (method) => {
    const answer = await send(at.port, '', { method, headers: {} });
    expect(answer.status).toBe(405);
    expect(answer.headers.allow).toBe('POST');
  });
});

describe('intake', () => {
  it('stores nothing of a sender that leaves in the middle, and goes on', async () => {
    const sender = await RawSender.connect(at.port);
    sender.head({ ...shopifyHeaders(BODY), 'Content-Length': '1000' });
    sender.socket.write('{"id":');
    sender.socket.resetAndDestroy();
    await until(() => answers.includes(0));
    expect(stored).toEqual([]);
    expect((await send(at.port, BODY)).status).toBe(200);
  });

  it('survives a sender that leaves before the answer', async () => {
    let durable = (): void => undefined;
    storing = (entry) => {
      stored.push(entry);
      return new Promise<void>((resolve) => (durable = resolve));
    };
    const sender = await RawSender.connect(at.port);
    sender.head({ ...shopifyHeaders(BODY), 'Content-Length': String(Buffer.byteLength(BODY)) });
    sender.socket.write(BODY);
    await until(() => stored.length === 1);
    sender.socket.resetAndDestroy();
    await until(() => sender.closed);
    durable();
    await until(() => answers.length === 1);
    storing = () => Promise.resolve();
    expect((await send(at.port, BODY)).status).toBe(200);
  });

  it('tells a sender that asks first to go on, or not to begin', async () => {
    const asking = await RawSender.connect(at.port);
    const length = String(Buffer.byteLength(BODY));
    asking.head({ ...shopifyHeaders(BODY), 'Content-Length': length, Expect: '100-continue' });
    await until(() => asking.received.startsWith('HTTP/1.1 100 Continue'));
    asking.socket.write(BODY);
    await until(() => asking.received.includes('HTTP/1.1 200 OK'));
    asking.socket.destroy();

    const tooMuch = await RawSender.connect(at.port);
    tooMuch.head({ ...shopifyHeaders(BODY), 'Content-Length': String(9 * MIB), Expect: '100-continue' });
    await until(() => tooMuch.received.includes('"status":413'));
    expect(tooMuch.received).not.toContain('100 Continue');
    tooMuch.socket.destroy();
  });

  it('takes every one of many identical webhooks at once', async () => {
    const all = await Promise.all(Array.from({ length: 50 }, () => send(at.port, BODY)));
    expect(all.map(({ status }) => status)).toEqual(Array<number>(50).fill(200));
    expect(stored).toHaveLength(50);
  });

  it('leaves every other path to the framework', async () => {
    expect(await send(at.port, '', { path: '/elsewhere', method: 'GET', headers: {} })).toMatchObject({
      status: 200,
      body: 'fastify',
    });
    const json = { 'Content-Type': 'application/json' };
    expect((await send(at.port, '{"a":1}', { path: '/elsewhere', headers: json })).body).toBe('{"a":1}');
    for (const path of ['/webhooks/shopify/a/b', '/webhooks/shopifyx', '/webhooks']) {
      expect((await send(at.port, BODY, { path })).status).toBe(404);
    }
    const asking = { ...json, Expect: '100-continue' };
    expect((await send(at.port, '{"a":2}', { path: '/elsewhere', headers: asking })).body).toBe('{"a":2}');
  });

  it('finishes what it took before it stops, and asks the others to come back', async () => {
    let durable = (): void => undefined;
    storing = (entry) => {
      stored.push(entry);
      return new Promise<void>((resolve) => (durable = resolve));
    };
    const taken = send(at.port, BODY);
    await until(() => stored.length === 1);
    let drained = false;
    const draining = at.intake.drain().then(() => (drained = true));
    const late = await send(at.port, BODY);
    expect(late.status).toBe(503);
    expect(late.headers).toMatchObject({ connection: 'close', 'retry-after': expect.any(String) as string });
    expect(drained).toBe(false);
    durable();
    expect((await taken).status).toBe(200);
    await draining;
    expect(stored).toHaveLength(1);
  });
});
