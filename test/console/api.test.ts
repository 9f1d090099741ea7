import { Validator } from '@seriousme/openapi-schema-validator';
import request from 'supertest';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TokenRole } from '../../src/kernel/auth.js';
import { API_CONTROLLERS } from '../../src/console/console.module.js';
import { endpointsOf } from '../../src/console/endpoint.js';
import type { EndpointSpec } from '../../src/console/endpoint-spec.js';
import { INBOUND_EMAIL_PATHS } from '../../src/console/inbound-email.js';
import { INBOUND_PAGERDUTY_PATH } from '../../src/console/inbound-pagerduty.js';
import { problemSchema } from '../../src/console/problem.js';
import { ConsoleApp, NOON_MS } from './console-app.js';
import { addDeadLetter, addObligation } from './order-rows.js';

const ACME = 'acme.myshopify.com';
const SPECS = endpointsOf(API_CONTROLLERS);
const FIVE_BEFORE = new Date(NOON_MS - 300_000);

let app: ConsoleApp;
/** Every answer's text of this file: at the end no secret may stand in any of them. */
const answers: string[] = [];

beforeAll(async () => {
  app = await ConsoleApp.open();
});
afterAll(() => app.close());
beforeEach(async () => {
  await app.db.database.query(
    `truncate pipeline.shop, pipeline.destination, pipeline.shop_destination, pipeline.ledger, pipeline.ledger_fact,
              pipeline.delivery, pipeline.lane, pipeline.dead_letter, pipeline.held, pipeline.webhook, kernel.audit`,
  );
  app.health = [{ name: 'database', state: 'ok', ageMs: 40, detail: null }];
  app.ready = true;
  app.replays.length = 0;
});

/** Asks, and holds a success against the shape that the document promises. */
async function ask(
  method: EndpointSpec['method'],
  path: string,
  options: { as?: TokenRole | null; body?: object } = {},
): Promise<request.Response> {
  const { as = 'admin', body } = options;
  const verb = method.toLowerCase() as 'get' | 'post' | 'patch' | 'delete';
  let call = request(app.url)[verb](path);
  if (as !== null) call = call.set('authorization', `Bearer ${app.token(as)}`);
  const response = await (body ? call.send(body) : call);
  answers.push(response.text);
  if (response.status < 300) {
    const spec = SPECS.find((each) => each.method === method && matches(each.path, path.split('?')[0] ?? ''));
    expect(spec?.answer.safeParse(response.body).error?.issues ?? []).toEqual([]);
  }
  return response;
}

function matches(pattern: string, path: string): boolean {
  return new RegExp(`^${pattern.replace(/:\w+/g, '[^/]+')}$`).test(path);
}

async function connectAcme(): Promise<void> {
  await ask('POST', '/api/v1/destinations', {
    body: { name: 'acme-ga4', kind: 'ga4', measurementId: 'G-1', apiSecret: 'SECRET-ga4' },
  });
  await ask('POST', '/api/v1/destinations', {
    body: { name: 'acme-lake', kind: 'postgres', url: 'postgres://u:SECRET-lake@lake/db' },
  });
  const shop = await ask('POST', '/api/v1/shops', {
    body: { domain: ACME, accessToken: 'SECRET-shpat', destinations: ['acme-ga4', 'acme-lake'] },
  });
  expect(shop.status).toBe(201);
}

describe('who may', () => {
  const guarded = SPECS.filter((spec) => spec.role !== 'public').map((spec) => [spec.method, spec.path, spec] as const);

  it.each(guarded)('%s %s answers 401 without a token and 403 to a role below', async (method, path, spec) => {
    const at = path.replace(':id', '1').replace(':domain', ACME).replace(':shop', ACME).replace(/:\w+/g, '1');
    const nobody = await ask(method, at, { as: null });
    expect(nobody.status).toBe(401);
    expect(nobody.headers['www-authenticate']).toMatch(/^Bearer/);
    const below: TokenRole | null = spec.role === 'admin' ? 'responder' : spec.role === 'responder' ? 'viewer' : null;
    if (below) expect((await ask(method, at, { as: below })).status).toBe(403);
  });

  it('knows no revoked token', async () => {
    const { token, view } = await app.tokens.create('short-lived', 'viewer', 'test');
    const get = () => request(app.url).get('/api/v1/shops').set('authorization', `Bearer ${token}`);
    expect((await get()).status).toBe(200);
    expect((await ask('DELETE', `/api/v1/tokens/${view.id}`)).body).toMatchObject({ name: 'short-lived' });
    expect((await get()).status).toBe(401);
  });

  it('answers 429 after twenty bad tokens in a minute, and forgets after it', async () => {
    const bad = () => request(app.url).get('/api/v1/shops').set('authorization', 'Bearer plb_wrong');
    app.clock.advance(61_000);
    for (let tries = 0; tries < 20; tries++) expect((await bad()).status).toBe(401);
    const blocked = await bad();
    expect(blocked.status).toBe(429);
    expect(Number(blocked.headers['retry-after'])).toBeGreaterThan(0);
    app.clock.advance(61_000);
    expect((await bad()).status).toBe(401);
    app.clock.advance(61_000);
  });
});

describe('errors', () => {
  it.each<[string, () => Promise<request.Response>, number]>([
    ['an unknown path', () => ask('GET', '/api/v1/nothing'), 404],
    ['a fault in the query', () => ask('GET', '/api/v1/dead-letters?lane=mine'), 400],
    ['an unknown shop', () => ask('GET', '/api/v1/shops/nobody.myshopify.com'), 404],
    [
      'broken JSON',
      async () =>
        request(app.url)
          .post('/api/v1/shops')
          .set('authorization', `Bearer ${app.token('admin')}`)
          .set('content-type', 'application/json')
          .send('{"domain":'),
      400,
    ],
    ['a body over 1 MB', () => ask('POST', '/api/v1/shops', { body: { domain: 'x'.repeat(1_100_000) } }), 413],
  ])('are problems (RFC 9457): %s', async (_, call, status) => {
    const response = await call();
    expect(response.status).toBe(status);
    expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(problemSchema.parse(response.body)).toMatchObject({ status });
  });

  it('name every fault of a request at once, with its place and key', async () => {
    const response = await ask('GET', '/api/v1/dead-letters?lane=mine&limit=0&laen=ours&from=yesterday');
    expect((response.body as { errors: unknown }).errors).toEqual(
      expect.arrayContaining([
        { in: 'query', key: 'lane', message: 'expected ours or theirs' },
        { in: 'query', key: 'limit', message: 'expected 1 to 200' },
        { in: 'query', key: 'laen', message: 'unknown key; did you mean lane?' },
        { in: 'query', key: 'from', message: 'expected an RFC 3339 instant like 2026-11-23T00:00:00Z' },
      ]),
    );
  });
});

describe('shops and destinations', () => {
  it('are connected, changed and shown, and no secret is ever among what is shown', async () => {
    await connectAcme();
    const shops = await ask('GET', '/api/v1/shops', { as: 'viewer' });
    expect(shops.body).toMatchObject({
      items: [{ domain: ACME, accessTokenSet: true, origin: 'api', destinations: ['acme-ga4', 'acme-lake'] }],
      nextCursor: null,
    });
    const changed = await ask('PATCH', '/api/v1/destinations/acme-ga4', { body: { purchaseOn: 'created' } });
    expect(changed.body).toMatchObject({ settings: { purchaseOn: 'created' }, secretsSet: { apiSecret: true } });
    const gone = await ask('DELETE', `/api/v1/shops/${ACME}`);
    expect(gone.body).toMatchObject({ accessTokenSet: false, uninstalledAt: app.clock.now().toISOString() });
  });

  it('refuse faults with the keys of the configuration file, and repeat no value', async () => {
    const response = await ask('POST', '/api/v1/destinations', {
      body: { name: 'x', kind: 'postgres', url: 'SECRET-not-a-url', tabel: 'a' },
    });
    expect(response.status).toBe(400);
    expect(response.body).toMatchObject({
      errors: [
        { in: 'body', key: 'url' },
        { in: 'body', key: 'tabel', message: 'unknown key; did you mean table?' },
      ],
    });
    expect((await ask('PATCH', '/api/v1/destinations/none', { body: {} })).status).toBe(404);
  });

  it('answer 409 for a second one', async () => {
    await connectAcme();
    expect((await ask('POST', '/api/v1/shops', { body: { domain: ACME } })).status).toBe(409);
  });

  it('show what waits for a destination, and for how long', async () => {
    await connectAcme();
    await addObligation(app.db.database, {
      shop: ACME,
      destination: 'acme-ga4',
      subjectId: '1001',
      kind: 'purchase',
      state: 'queued',
      at: FIVE_BEFORE,
      webhookId: 'w-1',
      facts: [{ state: 'queued' }],
      waiting: true,
    });
    app.clock.set(NOON_MS);
    const response = await ask('GET', '/api/v1/destinations/acme-ga4', { as: 'viewer' });
    expect(response.body).toMatchObject({
      backlog: 1,
      backlogAgeSeconds: 300,
      lanes: [{ shop: ACME, state: 'closed', backlog: 1 }],
    });
  });

  it('let a responder park a destination and let it flow again, with the name of who did it', async () => {
    await connectAcme();
    const parked = await ask('POST', '/api/v1/destinations/acme-ga4/disable', { as: 'responder' });
    expect(parked.body).toMatchObject({ enabled: false, disabledReason: 'disabled over the API by the-responder' });
    const flowing = await ask('POST', '/api/v1/destinations/acme-ga4/enable', { as: 'responder' });
    expect(flowing.body).toMatchObject({ enabled: true, disabledReason: null });
    const audit = await ask('GET', '/api/v1/audit?limit=2');
    expect(audit.body).toMatchObject({
      items: [
        { actor: 'the-responder', action: 'destination.enable', subject: 'acme-ga4' },
        { actor: 'the-responder', action: 'destination.disable' },
      ],
    });
  });

  it('come page by page', async () => {
    await connectAcme();
    const first = await ask('GET', '/api/v1/destinations?limit=1');
    expect(first.body).toMatchObject({ items: [{ name: 'acme-ga4' }], nextCursor: 'acme-ga4' });
    const second = await ask('GET', '/api/v1/destinations?limit=1&cursor=acme-ga4');
    expect(second.body).toMatchObject({ items: [{ name: 'acme-lake' }], nextCursor: null });
  });
});

describe('an order', () => {
  it('shows every stage at every destination, its refunds, attempts, reasons and dead letters', async () => {
    await connectAcme();
    const { database } = app.db;
    const common = { shop: ACME, at: FIVE_BEFORE, webhookId: 'w-1' };
    await addObligation(database, {
      ...common,
      destination: 'acme-ga4',
      subjectId: '820982911946154508',
      kind: 'purchase',
      state: 'accepted',
      facts: [
        { state: 'queued' },
        { state: 'queued', reason: 'timeout', attempt: 1 },
        { state: 'accepted', attempt: 2 },
      ],
    });
    await addObligation(database, {
      ...common,
      destination: 'acme-lake',
      subjectId: '820982911946154508',
      kind: 'purchase',
      state: 'ignored',
      reason: 'test-order',
      facts: [{ state: 'ignored', reason: 'test-order' }],
    });
    await addObligation(database, {
      ...common,
      destination: 'acme-ga4',
      subjectId: '509562969',
      orderId: '820982911946154508',
      kind: 'refund',
      state: 'queued',
      webhookId: 'w-2',
      facts: [{ state: 'queued' }],
    });
    await addDeadLetter(database, app.secrets, {
      shop: ACME,
      body: '{}',
      lane: 'theirs',
      reason: 'bad-credentials',
      buriedAt: FIVE_BEFORE,
      orderId: '820982911946154508',
    });
    const { body } = await ask('GET', `/api/v1/orders/${ACME}/820982911946154508`, { as: 'viewer' });
    const { obligations, webhooks, deadLetters } = body as Record<string, Record<string, unknown>[]>;
    expect(obligations?.map(({ kind, destination, state, reason }) => [kind, destination, state, reason])).toEqual([
      ['purchase', 'acme-ga4', 'accepted', null],
      ['purchase', 'acme-lake', 'ignored', 'test-order'],
      ['refund', 'acme-ga4', 'queued', null],
    ]);
    expect(obligations?.[0]?.['facts']).toMatchObject([
      { state: 'queued', webhookId: 'w-1' },
      { state: 'queued', reason: 'timeout', attempt: 1, durationMs: 12 },
      { state: 'accepted', attempt: 2 },
    ]);
    expect(webhooks?.map(({ webhookId }) => webhookId)).toEqual(['w-1', 'w-2']);
    expect(deadLetters).toMatchObject([{ reason: 'bad-credentials', lane: 'theirs', destination: 'acme-ga4' }]);
  });

  it('is tried next when it is due, and never while its destination is parked', async () => {
    await connectAcme();
    await addObligation(app.db.database, {
      shop: ACME,
      destination: 'acme-ga4',
      subjectId: '1001',
      kind: 'purchase',
      state: 'queued',
      at: FIVE_BEFORE,
      webhookId: 'w-1',
      facts: [{ state: 'queued' }],
      waiting: true,
    });
    const nextTry = async (): Promise<unknown> =>
      ((await ask('GET', `/api/v1/orders/${ACME}/1001`)).body as { obligations: { nextTryAt: unknown }[] })
        .obligations[0]?.nextTryAt;
    expect(await nextTry()).toBe(new Date(FIVE_BEFORE.getTime() + 60_000).toISOString());
    await ask('POST', '/api/v1/destinations/acme-ga4/disable');
    expect(await nextTry()).toBeNull();
  });

  it('answers 404 with where to look when nothing is known, of the order or of the shop', async () => {
    await connectAcme();
    const order = await ask('GET', `/api/v1/orders/${ACME}/1`);
    expect(order.status).toBe(404);
    expect((order.body as { detail: string }).detail).toContain(`/api/v1/webhooks/outcomes?shop=${ACME}`);
    const shop = await ask('GET', '/api/v1/orders/nobody.myshopify.com/1');
    expect((shop.body as { detail: string }).detail).toContain('/api/v1/held?shop=nobody.myshopify.com');
  });
});

describe('dead letters', () => {
  async function bury(reasons: string[]): Promise<string[]> {
    await connectAcme();
    const ids: string[] = [];
    for (const [index, reason] of reasons.entries()) {
      ids.push(
        await addDeadLetter(app.db.database, app.secrets, {
          shop: ACME,
          body: `{"note":"PRIVATE-${reason}"}`,
          lane: index % 2 === 0 ? 'ours' : 'theirs',
          reason,
          buriedAt: new Date(NOON_MS - 1_000 * index),
        }),
      );
    }
    return ids;
  }

  it('are listed newest first, filtered, page by page, without their payloads', async () => {
    const ids = await bury(['a', 'b', 'c']);
    const first = await ask('GET', '/api/v1/dead-letters?limit=2', { as: 'viewer' });
    expect(first.body).toMatchObject({ items: [{ id: ids[2] }, { id: ids[1] }], nextCursor: ids[1] });
    const second = await ask('GET', `/api/v1/dead-letters?limit=2&cursor=${ids[1]}`);
    expect(second.body).toMatchObject({ items: [{ id: ids[0] }], nextCursor: null });
    const count = async (query: string): Promise<number> =>
      ((await ask('GET', `/api/v1/dead-letters?${query}`)).body as { items: unknown[] }).items.length;
    expect(await count('lane=theirs')).toBe(1);
    expect(await count('reason=a')).toBe(1);
    expect(await count('shop=other.myshopify.com')).toBe(0);
    expect(await count('from=2026-11-23T12:00:00Z')).toBe(1);
    expect(await count('to=2026-11-23T12:00:00Z')).toBe(2);
    await app.db.database.query('update pipeline.dead_letter set replayed_at = now() where id = $1', [ids[0]]);
    expect([await count(''), await count('state=replayed'), await count('state=all')]).toEqual([2, 1, 3]);
    expect(first.text).not.toContain('PRIVATE');
  });

  it('show their payload to a responder, who is audited, and not to a viewer', async () => {
    const [letter] = await bury(['a']);
    const viewed = await ask('GET', `/api/v1/dead-letters/${letter}`, { as: 'viewer' });
    expect(viewed.body).toMatchObject({ id: letter, payload: null });
    expect(viewed.text).not.toContain('PRIVATE');
    const opened = await ask('GET', `/api/v1/dead-letters/${letter}`, { as: 'responder' });
    expect(opened.body).toMatchObject({ payload: { topic: 'orders/paid', body: '{"note":"PRIVATE-a"}' } });
    const audit = await ask('GET', '/api/v1/audit');
    const looks = (audit.body as { items: { action: string; actor: string; subject: string }[] }).items.filter(
      ({ action }) => action === 'payload.view',
    );
    expect(looks).toMatchObject([{ actor: 'the-responder', subject: `dead-letter ${letter}` }]);
  });

  it('are replayed by id or by query, never by both or neither, and a dry run is no write', async () => {
    app.replayReport = { matched: 1, replayed: 1, items: [{ id: '1', shop: ACME, destination: null, reason: 'a' }] };
    const byId = await ask('POST', '/api/v1/dead-letters/replay', { as: 'responder', body: { ids: ['1'] } });
    expect(byId.body).toEqual(app.replayReport);
    await ask('POST', '/api/v1/dead-letters/replay', {
      as: 'responder',
      body: { query: { lane: 'ours', from: '2026-11-23T00:00:00Z' }, dryRun: true, ratePerSecond: 5 },
    });
    expect(app.replays).toEqual([
      { ids: ['1'], dryRun: false, actor: 'the-responder' },
      {
        query: { lane: 'ours', from: new Date('2026-11-23T00:00:00Z') },
        dryRun: true,
        ratePerSecond: 5,
        actor: 'the-responder',
      },
    ]);
    expect((await ask('POST', '/api/v1/dead-letters/replay', { body: {} })).status).toBe(400);
    expect((await ask('POST', '/api/v1/dead-letters/replay', { body: { ids: ['1'], query: {} } })).status).toBe(400);
    const audit = await app.db.database.rows<{ action: string }>('select action from kernel.audit');
    expect(audit).toEqual([{ action: 'dead-letter.replay' }]);
  });
});

it('counts what became of webhooks, unknown topics and unknown shops included', async () => {
  await connectAcme();
  const [shop] = await app.db.database.rows<{ id: string }>('select id from pipeline.shop');
  const add = (shopId: string, webhookId: string, topic: string, outcome: string, reason: string | null) =>
    app.db.database.query(
      `insert into pipeline.webhook (shop_id, webhook_id, week, topic, received_at, outcome, reason, repeats,
         segment_day, stream_id, segment_seq, entry)
       values ($1, $2, '2026-11-23', $3, $4, $5, $6, 1, '2026-11-23', 1, 1, 0)`,
      [shopId, webhookId, topic, FIVE_BEFORE, outcome, reason],
    );
  await add(shop?.id ?? '', 'w-1', 'orders/paid', 'planned', null);
  await add(shop?.id ?? '', 'w-2', 'orders/paid', 'planned', null);
  await add(shop?.id ?? '', 'w-3', 'fulfilments/odd', 'unknown-topic', null);
  await add('0', 'real/stranger.myshopify.com/w-4', 'orders/paid', 'held', 'unknown-shop');
  app.clock.set(NOON_MS);
  const { body } = await ask('GET', '/api/v1/webhooks/outcomes', { as: 'viewer' });
  expect(body).toMatchObject({
    items: [
      { shop: ACME, shopKnown: true, topic: 'fulfilments/odd', outcome: 'unknown-topic', count: 1, repeats: 1 },
      { shop: ACME, shopKnown: true, topic: 'orders/paid', outcome: 'planned', count: 2, repeats: 2 },
      { shop: 'stranger.myshopify.com', shopKnown: false, outcome: 'held', reason: 'unknown-shop', count: 1 },
    ],
  });
});

it('lists what is held and why', async () => {
  await app.db.database.query(
    `insert into pipeline.held (shop_domain, webhook_id, sandbox, topic, reason, received_at, held_at, payload)
     values ('stranger.myshopify.com', 'w-4', false, 'orders/paid', 'unknown-shop', $1, $1, '')`,
    [FIVE_BEFORE],
  );
  const { body } = await ask('GET', '/api/v1/held?reason=unknown-shop', { as: 'viewer' });
  expect(body).toMatchObject({
    items: [{ shop: 'stranger.myshopify.com', receivedAt: FIVE_BEFORE.toISOString(), nextTryAt: null }],
    nextCursor: null,
  });
});

describe('health', () => {
  it('needs no token: alive, ready, and every service with its state and age', async () => {
    expect((await ask('GET', '/livez', { as: null })).status).toBe(200);
    expect((await ask('GET', '/readyz', { as: null })).body).toEqual({ status: 'ready', reason: null });
    expect((await ask('GET', '/healthz', { as: null })).body).toMatchObject({
      status: 'ok',
      version: '9.9.9',
      services: [{ name: 'database', state: 'ok', ageMs: 40, detail: null }],
    });
  });

  it('answers 503 when a service is dead, and when the process is not ready', async () => {
    app.health = [{ name: 'router', state: 'dead', ageMs: 90_000, detail: 'stopped' }];
    app.ready = false;
    expect((await ask('GET', '/healthz', { as: null })).status).toBe(503);
    const readyz = await ask('GET', '/readyz', { as: null });
    expect([readyz.status, readyz.body]).toEqual([503, { status: 'not ready', reason: 'starting' }]);
  });

  it('is not ok for what nobody can tell', async () => {
    app.health = [{ name: 'router', state: 'unknown', ageMs: null, detail: null }];
    const response = await ask('GET', '/healthz', { as: null });
    expect([response.status, (response.body as { status: string }).status]).toEqual([200, 'unknown']);
  });
});

describe('the document', () => {
  it('is valid OpenAPI 3.1', async () => {
    const { body } = await ask('GET', '/api/openapi.json', { as: null });
    const result = await new Validator().validate(body as Record<string, unknown>);
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
  });

  it('names every route that the server has, and no other', async () => {
    const { body } = await ask('GET', '/api/openapi.json', { as: null });
    const documented = Object.entries((body as { paths: Record<string, object> }).paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
    );
    const inbound = [...INBOUND_EMAIL_PATHS, INBOUND_PAGERDUTY_PATH].map((path) => `POST ${path}`);
    const beside = ['GET /', 'GET /start.css', ...inbound];
    const routes = app.routes.filter((route) => !beside.includes(route));
    expect(documented.sort()).toEqual(routes.sort());
  });

  it('has one operation id each', async () => {
    const { text } = await ask('GET', '/api/openapi.json', { as: null });
    const ids = [...text.matchAll(/"operationId":"(\w+)"/g)].map(([, id]) => id);
    expect(ids).toContain('getOrdersByShopByOrderId');
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBe(SPECS.length);
  });
});

it('puts security headers on every answer, errors included', async () => {
  for (const path of ['/', '/livez', '/api/v1/shops', '/nothing']) {
    const { headers } = await request(app.url).get(path);
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'/);
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
  }
});

it('says 503 when the database is away, and nothing of its insides', async () => {
  const other = await ConsoleApp.open({ databaseAway: true });
  const response = await request(other.url).get('/api/v1/held').set('authorization', 'Bearer plb_any');
  expect([response.status, response.headers['retry-after']]).toEqual([503, '5']);
  expect(response.text).not.toContain('ECONNREFUSED');
  const page = await request(other.url).get('/');
  expect([page.status, page.text]).toEqual([200, expect.stringContaining('The database is away.')]);
  await other.close();
});

it('has let no secret into an answer or the log of this whole file', () => {
  expect(answers.length).toBeGreaterThan(50);
  expect(answers.join('\n')).not.toContain('SECRET-');
  expect(app.log).not.toMatch(/SECRET-|PRIVATE-/);
  for (const token of app.byRole.values()) expect(app.log + answers.join('')).not.toContain(token);
});
