import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ControlServer } from '../../sandbox/control/server.js';
import type { State } from '../../sandbox/control/view.js';
import { destinations } from '../../sandbox/destinations.js';
import type { Destination } from '../../sandbox/destination.js';
import type { World } from '../../sandbox/world.js';
import type { ManualClock } from './support/manual-clock.js';
import { COFFEE, smallWorld, TOKEN } from './support/small-world.js';

let world: World;
let clock: ManualClock;
let server: ControlServer;
let base: string;
let far: Destination[];

beforeEach(async () => {
  far = destinations(1);
  await Promise.all(far.map((destination) => destination.start()));
  ({ world, clock } = smallWorld({ destinations: far, removal: 'delivery' }));
  server = new ControlServer(world, 'http://127.0.0.1:8080');
  base = await server.start(0);
});

afterEach(async () => {
  world.stop();
  await server.stop();
  await Promise.all(far.map((destination) => destination.stop()));
});

const state = async () => (await (await fetch(`${base}/control/state`)).json()) as State;
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(base + path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
const sellPaid = async () => {
  const wish = { store: COFFEE, quiet: true, channel: 'pos', free: false, test: false };
  return (await (await post('/control/order', wish)).json()) as { orderId: string };
};
const farUrl = (name: string) => far.find((destination) => destination.name === name)?.url ?? '';

describe('the page', () => {
  it('is whole without its script, allows nothing inline, and shows no secret', async () => {
    const response = await fetch(base);
    const html = await response.text();
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(html).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/i);
    expect(html).toContain('Nothing here is real');
    expect(html).toContain(COFFEE);
    expect(html).not.toContain(TOKEN);
    expect(html).not.toContain('whsec_');
    for (const asset of ['/page.css', '/page.js', '/icon.svg']) expect((await fetch(base + asset)).status).toBe(200);
  });

  it('has a label for every choice and a described effect for every trouble', async () => {
    const html = await (await fetch(base)).text();
    const ids = new Set([...html.matchAll(/\bid="([^"]+)"/g)].map(([, id]) => id));
    const selects = [...html.matchAll(/<select\s+id="([^"]+)"/g)].map(([, id]) => id);
    const labelled = new Set([...html.matchAll(/<label\s+for="([^"]+)"/g)].map(([, id]) => id));
    expect(selects.length).toBeGreaterThan(3);
    expect(selects.filter((id) => !labelled.has(id))).toEqual([]);
    const described = [...html.matchAll(/aria-describedby="([^"]+)"/g)].map(([, id]) => id);
    expect(described.length).toBeGreaterThan(15);
    expect(described.filter((id) => !ids.has(id))).toEqual([]);
  });

  it('makes trouble with every one of its buttons, as a plain form', async () => {
    const html = await (await fetch(base)).text();
    const presses = [...html.matchAll(/name="press" value="([^"]+)"/g)].map(([, press]) => press ?? '');
    expect(presses.length).toBeGreaterThan(20);
    for (const press of presses) {
      const response = await fetch(`${base}/control/trouble`, {
        method: 'POST',
        body: new URLSearchParams({ press, store: 'all', topic: 'all', destination: 'all' }),
        redirect: 'manual',
      });
      expect([press, response.status, response.headers.get('location')]).toEqual([press, 303, '/']);
    }
    expect((await state()).log.length).toBeGreaterThanOrEqual(presses.length);
  });

  it('fills every place of the page from the state', async () => {
    const html = await (await fetch(base)).text();
    const { view } = await state();
    const texts = [...html.matchAll(/data-text="([^"]+)"/g)].map(([, key]) => key ?? '');
    const lists = [...html.matchAll(/data-list="([^"]+)"/g)].map(([, key]) => key ?? '');
    expect(texts.filter((key) => view.texts[key] === undefined)).toEqual([]);
    expect(lists.filter((key) => view.lists[key] === undefined)).toEqual([]);
  });
});

describe('the control API', () => {
  it('subscribes each store at its own address when told the keys, and sells', async () => {
    expect((await post('/control/start', { callbacks: { [COFFEE]: 'key-1' } })).status).toBe(200);
    clock.advance(20_000);
    const { stores, isSelling, sold } = await state();
    expect(isSelling).toBe(true);
    expect(sold).toBeGreaterThan(10);
    expect(stores[0]).toMatchObject({ domain: COFFEE, hasKey: true, missingTopics: [] });
    expect(stores[1]).toMatchObject({ hasKey: false, subscriptions: [] });
    expect(world.subscriptions.of(COFFEE)[0]?.uri).toBe('http://127.0.0.1:1/webhooks/shopify/key-1');
    await post('/control/stop', {});
    expect((await state()).isSelling).toBe(false);
  });

  it('sells one order on request and lets it be refunded', async () => {
    const { orderId } = await sellPaid();
    const step = (await (await post('/control/step', { store: COFFEE, orderId, step: 'refund-all' })).json()) as object;
    expect(step).toEqual({ happened: true });
    expect(world.shops.get(COFFEE)?.book.get(Number(orderId))?.financial_status).toBe('refunded');
    const truth = (await (await fetch(`${base}/control/orders/${orderId}`)).json()) as object;
    expect(truth).toMatchObject({ id: orderId, domain: COFFEE });
  });

  it('counts what each destination received, its repeats, and the orders that have arrived', async () => {
    const { orderId } = await sellPaid();
    const purchase = { name: 'purchase', params: { transaction_id: orderId, event_id: 'e1' } };
    const ga4 = { method: 'POST', body: JSON.stringify({ client_id: '1.2', events: [purchase] }) };
    await fetch(`${farUrl('ga4')}/mp/collect?measurement_id=G-1`, ga4);
    await fetch(`${farUrl('ga4')}/mp/collect?measurement_id=G-1`, ga4);
    const message = {
      type: 'track',
      event: 'Order Completed',
      messageId: 'm1',
      userId: 'u',
      properties: { order_id: orderId },
    };
    await fetch(`${farUrl('segment')}/v1/batch`, { method: 'POST', body: JSON.stringify({ batch: [message] }) });
    const { destinations: seen } = await state();
    expect(seen).toMatchObject([
      { name: 'ga4', received: 2, distinct: 1, repeats: 1, arrived: 1 },
      { name: 'segment', received: 1, distinct: 1, repeats: 0, arrived: 1 },
      { name: 'webhook', received: 0, arrived: 0, young: 1 },
    ]);
    clock.advance(10_000);
    const missing = (await (await fetch(`${base}/control/missing?destination=webhook`)).json()) as { items: object[] };
    expect(missing.items).toMatchObject([{ id: orderId }]);
  });

  it('makes a destination misbehave: down, throttling, losing, and keeping without an answer', async () => {
    const { orderId } = await sellPaid();
    const body = JSON.stringify({
      client_id: '1.2',
      events: [{ name: 'purchase', params: { transaction_id: orderId, event_id: 'e1' } }],
    });
    const send = () => fetch(`${farUrl('ga4')}/mp/collect?measurement_id=G-1`, { method: 'POST', body });
    const be = (value: string) => post('/control/trouble', { kind: 'destination', destination: 'ga4', value });
    await be('down');
    expect((await send()).status).toBe(503);
    await be('throttling');
    const throttled = await send();
    expect([throttled.status, throttled.headers.get('retry-after')]).toEqual([429, '5']);
    await be('losing');
    expect((await send()).status).toBe(204);
    expect((await state()).destinations[0]).toMatchObject({ received: 0, lost: 1, arrived: 0, mode: 'losing' });
    await be('cutting');
    await expect(send()).rejects.toThrow();
    expect((await state()).destinations[0]).toMatchObject({ received: 1, lost: 1, arrived: 1 });
  });

  it('takes the reports of a destination down and out of quota, while the destination goes on', async () => {
    const be = (value: string, destination = 'ga4') =>
      post('/control/trouble', { kind: 'reports', destination, value });
    const account = String(far[0]?.reports?.access['serviceAccount']);
    const { token_uri: tokenUri } = JSON.parse(account) as { token_uri: string };
    const status = async () => (await fetch(tokenUri, { method: 'POST', body: 'x=y' })).status;
    expect(await status()).toBe(400);
    await be('down');
    expect(await status()).toBe(503);
    expect((await state()).active).toEqual(['Reports of ga4 are down (503)']);
    await be('quota', 'all');
    expect((await state()).destinations).toMatchObject([
      { name: 'ga4', mode: 'calm', reports: { mode: 'quota', shown: 0 } },
      { name: 'segment', reports: { mode: 'quota' } },
      { name: 'webhook', reports: null },
    ]);
    const overview = await fetch(`${farUrl('segment')}/delivery-overview/successfully-received`);
    expect([overview.status, overview.headers.get('retry-after')]).toEqual([429, '30']);
    expect((await be('down', 'webhook')).status).toBe(400);
    await post('/control/trouble', { kind: 'calm' });
    expect((await state()).active).toEqual([]);
    expect(await status()).toBe(400);
  });

  it('refuses what it does not understand, with a sentence', async () => {
    const refusals = [
      await post('/control/trouble', { kind: 'drop', value: 3 }),
      await post('/control/trouble', { kind: 'flood', store: 'nobody.myshopify.com', value: 3 }),
      await post('/control/order', { store: 'nobody.myshopify.com' }),
      await post('/control/start', { callbacks: { [COFFEE]: '../../x' } }),
      await post('/control/step', { store: COFFEE, orderId: '1', step: 'burn' }),
      await fetch(`${base}/control/trouble`, { method: 'POST', body: '{' }),
    ];
    for (const refusal of refusals) {
      expect(refusal.status).toBe(400);
      expect(((await refusal.json()) as { error: string }).error.length).toBeGreaterThan(10);
    }
  });

  it('refuses pages of others: another origin, and another name for loopback', async () => {
    expect((await post('/control/trouble', { kind: 'calm' }, { Origin: 'https://evil.test' })).status).toBe(403);
    const status = await new Promise((resolve, reject) => {
      request(`${base}/control/state`, { headers: { Host: 'evil.test' } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(421);
  });
});
