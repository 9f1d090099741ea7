import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import request from 'supertest';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../src/console/cli/program.js';
import { auditShape, subscriptionShape } from '../../src/console/subscriptions.http.js';
import { listOf } from '../../src/console/shapes.js';
import type { AdminAnswer } from '../../src/pipeline/contract.js';
import { ConsoleApp } from './console-app.js';

const ACME = 'acme.myshopify.com';
const BETA = 'beta.myshopify.com';
let app: ConsoleApp;
let cwd: string;
/** What Shopify has, by shop: `ORDERS_PAID`. */
let there: Record<string, string[]>;

beforeAll(async () => {
  app = await ConsoleApp.open();
  cwd = mkdtempSync(join(tmpdir(), 'plumbline-subscriptions-'));
  mkdirSync(join(cwd, '.plumbline'));
  writeFileSync(join(cwd, '.plumbline/admin-token'), `${app.token('admin')}\n`);
  const post = (path: string, body: object) =>
    request(app.url)
      .post(path)
      .set('authorization', `Bearer ${app.token('admin')}`)
      .send(body);
  await post('/api/v1/destinations', {
    name: 'hook',
    kind: 'webhook',
    url: 'https://x.example/',
    secret: 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
  });
  for (const domain of [ACME, BETA]) {
    await post('/api/v1/shops', { domain, accessToken: 'SECRET-shpat', destinations: ['hook'] }).expect(201);
  }
});
afterAll(async () => {
  await app.close();
  rmSync(cwd, { recursive: true });
});
beforeEach(async () => {
  await app.db.database.query(
    'truncate monitoring.subscription, monitoring.subscription_audit, monitoring.signal, monitoring.signal_change, kernel.audit',
  );
  there = { [ACME]: ['ORDERS_CREATE', 'ORDERS_PAID'], [BETA]: ['ORDERS_CREATE', 'ORDERS_PAID'] };
  app.admin = (shop, query) => Promise.resolve(shopify(shop.domain, shop.key, query));
});

/** Lists what is there and refuses every change. */
function shopify(domain: string, key: string, query: string): AdminAnswer {
  if (query.startsWith('mutation')) return { outcome: 'denied', detail: 'access denied' };
  const nodes = (there[domain] ?? []).map((topic, index) => ({
    id: `gid://shopify/WebhookSubscription/${index}`,
    topic,
    uri: `https://hooks.example.com/webhooks/shopify/${key}`,
    filter: null,
    format: 'JSON',
    includeFields: [],
    apiVersion: { handle: '2026-10' },
    createdAt: '2026-11-01T00:00:00Z',
  }));
  const page = { nodes, pageInfo: { hasNextPage: false, endCursor: null } };
  return { outcome: 'data', data: { webhookSubscriptions: page }, extensions: {} };
}

const round = () => app.subscriptions.round(new AbortController().signal);
const get = async (path: string) => {
  const response = await request(app.url)
    .get(path)
    .set('authorization', `Bearer ${app.token('viewer')}`)
    .expect(200);
  return listOf(subscriptionShape).parse(response.body);
};

async function plumbline(line: string): Promise<{ code: number; out: string; error: string }> {
  const ran = { code: -1, out: '', error: '' };
  ran.code = await runCli(line.split(' '), {
    env: { PLUMBLINE_URL: app.url },
    cwd,
    width: 0,
    out: (text) => (ran.out += text),
    error: (text) => (ran.error += text),
    checkConfig: () => Promise.resolve(78),
  });
  return ran;
}

/** As a service would: rounds go on while somebody waits for them. */
async function whileWatching<Result>(work: () => Promise<Result>): Promise<Result> {
  let over = false;
  const watching = (async () => {
    while (!over) {
      await round();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  try {
    return await work();
  } finally {
    over = true;
    await watching;
  }
}

describe('GET /api/v1/subscriptions', () => {
  it('has a line for each shop and topic, before the first look as well', async () => {
    const before = await get('/api/v1/subscriptions');
    expect(before.items.map(({ shop, topic, state }) => [shop, topic, state])).toEqual([
      [ACME, 'orders/create', 'pending'],
      [ACME, 'orders/paid', 'pending'],
      [BETA, 'orders/create', 'pending'],
      [BETA, 'orders/paid', 'pending'],
    ]);
    await app.subscriptions.requestAudit(undefined, 'test');
    await round();
    const after = await get(`/api/v1/subscriptions?shop=${BETA}`);
    expect(after.items).toMatchObject([
      {
        shop: BETA,
        topic: 'orders/create',
        wanted: true,
        state: 'ok',
        findings: [],
        lastAuditedAt: app.clock.now().toISOString(),
      },
      { shop: BETA, topic: 'orders/paid', wanted: true, state: 'ok' },
    ]);
    expect(after.items[0]?.uri).toBe(after.items[0]?.wantedUri);
  });

  it('goes on after the last one seen', async () => {
    const seen: string[] = [];
    for (let cursor = ''; ;) {
      const page = await get(`/api/v1/subscriptions?limit=1${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
      seen.push(...page.items.map(({ shop, topic }) => `${shop} ${topic}`));
      expect(page.items.length).toBeLessThanOrEqual(1);
      if (page.nextCursor === null) break;
      cursor = page.nextCursor;
    }
    expect(seen).toEqual([ACME, BETA].flatMap((shop) => [`${shop} orders/create`, `${shop} orders/paid`]));
  });
});

describe('POST /api/v1/subscriptions/audit', () => {
  const audit = (body: object, role: 'viewer' | 'responder' = 'responder') =>
    request(app.url)
      .post('/api/v1/subscriptions/audit')
      .set('authorization', `Bearer ${app.token(role)}`)
      .send(body);

  it('has the shop looked at now, and is in the audit log', async () => {
    await app.subscriptions.requestAudit(undefined, 'test');
    await round();
    app.clock.advance(1_000);
    const { body } = await audit({ shop: ACME }).expect(202);
    expect(auditShape.parse(body)).toEqual({ shops: [ACME], requestedAt: app.clock.now().toISOString() });
    await round();
    const { items } = await get('/api/v1/subscriptions');
    const looked = items.filter(({ lastTriedAt }) => lastTriedAt === app.clock.now().toISOString());
    expect(new Set(looked.map(({ shop }) => shop))).toEqual(new Set([ACME]));
    expect(await app.db.database.rows('select actor, action, subject from kernel.audit')).toEqual([
      { actor: 'the-responder', action: 'subscription.audit', subject: ACME },
    ]);
    expect(app.log).toContain('asked for by the-responder');
  });

  it('is all shops when it names none, 404 for one that there is not, and not for viewers', async () => {
    expect((await audit({}).expect(202)).body).toMatchObject({ shops: [ACME, BETA] });
    await audit({ shop: 'nobody.myshopify.com' }).expect(404);
    await audit({}, 'viewer').expect(403);
  });
});

describe('plumbline', () => {
  it('audit ends with 0 when nothing is wrong', async () => {
    const { code, out } = await whileWatching(() => plumbline('audit'));
    expect([code, out]).toEqual([0, '4 subscriptions of 2 shops: nothing is wrong.\n']);
  });

  it('audit shows what is not as wanted, and ends with 1', async () => {
    await whileWatching(() => plumbline('audit'));
    there[BETA] = ['ORDERS_CREATE'];
    app.clock.advance(1_000);
    const { code, out } = await whileWatching(() => plumbline(`audit --shop ${BETA}`));
    expect(code).toBe(1);
    expect(out).toMatch(
      /^SHOP +TOPIC +STATE +SINCE +FINDINGS\nbeta\.myshopify\.com +orders\/paid +removed +\S+ \S+ +removed\n$/,
    );
    app.clock.advance(1_000);
    const json = await whileWatching(() => plumbline('audit --json'));
    expect(JSON.parse(json.out)).toMatchObject({ items: [{}, {}, {}, { state: 'removed', reason: 'access denied' }] });
  });

  it('audit ends with 1 for what cannot be seen, and for a shop that there is not', async () => {
    app.admin = () => Promise.resolve({ outcome: 'denied', detail: 'HTTP 401' });
    const { code, out } = await whileWatching(() => plumbline(`audit --shop ${ACME}`));
    expect([code, out]).toEqual([1, expect.stringContaining('HTTP 401')]);
    expect((await plumbline('audit --shop nobody.myshopify.com')).code).toBe(1);
  });

  it('subscriptions lists them', async () => {
    await whileWatching(() => plumbline('audit'));
    const { code, out } = await plumbline(`subscriptions --shop ${ACME}`);
    expect(code).toBe(0);
    expect(out.split('\n')).toHaveLength(4);
    expect(out).toMatch(/acme\.myshopify\.com +orders\/create +ok/);
  });
});
