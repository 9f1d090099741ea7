import { randomBytes, randomUUID } from 'node:crypto';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { WebhookReceiver } from '../../sandbox/receivers/webhook.js';
import { BuiltService } from '../support/built-service.js';
import { nextId, orderBody } from '../support/orders.js';
import { PgProxy } from '../../simulation/pg-proxy.js';
import { post, signedWebhook } from '../support/shopify-webhook.js';
import { emptyDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

const SECRET = 'shpss_service_test_secret';
const HOOK_SECRET = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
const SHOP = 'acme.myshopify.com';

const running: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop()));
});

async function start(env: Record<string, string> = {}, files: Record<string, string> = {}): Promise<BuiltService> {
  const service = await BuiltService.start(env, files);
  running.push(service);
  return service;
}

async function receiver(): Promise<WebhookReceiver> {
  const hook = new WebhookReceiver(HOOK_SECRET);
  await hook.start();
  running.push(hook);
  return hook;
}

function configuration(hookUrl: string): string {
  return `shopify: {clientSecrets: ["\${CLIENT_SECRET}"]}
shops: [{domain: ${SHOP}, destinations: [hook]}]
destinations: [{name: hook, kind: webhook, url: "${hookUrl}/in", secret: ${HOOK_SECRET}}]
security: {allowPrivateAddresses: ["127.0.0.0/8"]}
`;
}

const sendOrder = (service: BuiltService, id: string, webhookId: string = randomUUID()) =>
  post(
    signedWebhook({
      service: service.url,
      secret: SECRET,
      topic: 'orders/paid',
      shop: SHOP,
      body: orderBody({ id }),
      webhookId,
    }),
  );

interface Health {
  status: string;
  services: { name: string; state: string }[];
}
const health = async (service: BuiltService) =>
  (await (await fetch(`${service.url}/healthz`, { signal: AbortSignal.timeout(3_000) })).json()) as Health;

describe('a first run', () => {
  it('shows a newcomer orders that flow and arrive everywhere, oversize ones included', async () => {
    const service = await (await start({ PLUMBLINE_SANDBOX: 'on' })).untilReady();
    const control = /Sandbox\s+(http:\S+)/.exec(service.stdout)?.[1] ?? '';
    expect(control).not.toBe('');
    const trouble = (body: object) =>
      fetch(`${control}/control/trouble`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    expect((await trouble({ kind: 'rate', value: 20 })).status).toBe(200);
    expect((await trouble({ kind: 'oversize', value: 0.5 })).status).toBe(200);

    const token = (await readFile(join(service.dataDir, 'admin-token'), 'utf8')).trim();
    expect((await stat(join(service.dataDir, 'admin-token'))).mode & 0o777).toBe(0o600);
    const api = async (path: string) =>
      (await (
        await fetch(`${service.url}/api/v1${path}`, { headers: { authorization: `Bearer ${token}` } })
      ).json()) as {
        items: { name: string; shops: string[]; settings: object; secretsSet: object }[];
      };
    const { items } = await api('/destinations');
    expect(items.map(({ name }) => name).sort()).toEqual([
      'sandbox-ga4',
      'sandbox-segment',
      'sandbox-warehouse',
      'sandbox-webhook',
    ]);

    // Its GA4 and Segment can be asked what they received, and the keys to that are shown to nobody.
    expect(items.find(({ name }) => name === 'sandbox-ga4')).toMatchObject({
      settings: { propertyId: expect.any(String), dataEndpoint: expect.any(String) },
      secretsSet: { serviceAccount: true },
    });
    expect(items.find(({ name }) => name === 'sandbox-segment')).toMatchObject({
      settings: { sourceId: expect.any(String) },
      secretsSet: { publicToken: true },
    });
    expect(JSON.stringify(items)).not.toMatch(/PRIVATE KEY|sandbox-public-token/);

    // The sandbox counts by itself what it sold and what has arrived.
    interface State {
      destinations: { name: string; arrived: number; missing: number }[];
    }
    const state = async () => (await (await fetch(`${control}/control/state`)).json()) as State;
    await until(async () => (await state()).destinations.every((each) => each.arrived >= 30), {
      timeoutMs: 60_000,
      everyMs: 200,
      what: 'thirty orders have arrived at each far side',
    });
    // Everything fetched: nothing is left waiting for its body.
    expect((await trouble({ kind: 'oversize', value: 0 })).status).toBe(200);
    expect((await trouble({ kind: 'rate', value: 0 })).status).toBe(200);
    await until(
      async () => {
        const held = (await (
          await fetch(`${service.url}/api/v1/held`, { headers: { authorization: `Bearer ${token}` } })
        ).json()) as { items: unknown[] };
        return held.items.length === 0;
      },
      { timeoutMs: 30_000, what: 'no webhook is held' },
    );
    const letters = (await (
      await fetch(`${service.url}/api/v1/dead-letters`, { headers: { authorization: `Bearer ${token}` } })
    ).json()) as { items: unknown[] };
    expect(letters.items).toEqual([]);

    const { status, services } = await health(service);
    expect(services.filter((each) => each.state !== 'ok')).toEqual([]);
    expect(status).toBe('ok');
    // It says of itself that it is there, that its duties are done, and what it has achieved.
    const measured = async () => (await api('/slos?world=sandbox')) as unknown as { items: { state: string }[] };
    await until(async () => (await measured()).items.some(({ state }) => state === 'ok'), {
      timeoutMs: 45_000,
      everyMs: 500,
      what: 'an objective is measured',
    });
    expect(await api('/processes')).toMatchObject({
      items: [{ roles: ['intake', 'watch', 'web', 'worker'], silent: false, stuck: [] }],
    });
    expect((await api('/duties')).items.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['reconciliation', 'slo', 'process-watch']),
    );
    const page = await (await fetch(`${service.url}/`)).text();
    expect(page).toContain(control);

    const exit = await service.stop();
    expect(exit).toEqual({ code: 0, signal: null });
    // The pretended world ends with the service.
    await until(
      async () =>
        !(await fetch(control).then(
          () => true,
          () => false,
        )),
    );
  }, 150_000);
});

describe('a configuration with faults', () => {
  it('is refused with one report of everything wrong, and exit code 78', async () => {
    const service = await BuiltService.start(
      { PORT: 'eighty', PLUMBLINE_SECRET_KEY: 'c2hvcnQ=', PLUMBLINE_CONFIG: 'bad.yaml' },
      {
        'bad.yaml':
          'shops:\n  - domain: acme.example.com\n    destinatons: [x]\ndestinations:\n  - {name: hook, kind: webhook, url: "not a url", secret: "${NOWHERE}"}\n',
      },
    );
    expect(await service.exit).toEqual({ code: 78, signal: null });
    for (const fault of ['PORT', 'PLUMBLINE_SECRET_KEY', 'destinatons', 'NOWHERE', 'url', 'bad.yaml:']) {
      expect(service.stderr).toContain(fault);
    }
    expect(service.stderr).not.toContain('c2hvcnQ=');
  });
});

describe('a service with one shop and one destination', () => {
  it('takes no sandbox, delivers, ends well on SIGTERM, and puts no secret into its log', async () => {
    const hook = await receiver();
    const secretKey = randomBytes(32).toString('base64');
    const service = await (
      await start(
        { PLUMBLINE_SANDBOX: 'auto', PLUMBLINE_SECRET_KEY: secretKey, CLIENT_SECRET: SECRET, LOG_LEVEL: 'debug' },
        { 'plumbline.yaml': configuration(hook.url) },
      )
    ).untilReady();
    expect(service.stdout).not.toContain('Sandbox');
    const id = nextId();
    expect(await sendOrder(service, id)).toBe(200);
    await until(() => hook.webhookIds.names.length === 1);
    const exit = await service.stop();
    expect(exit).toEqual({ code: 0, signal: null });
    const token = (await readFile(join(service.dataDir, 'admin-token'), 'utf8')).trim();
    for (const secret of [SECRET, HOOK_SECRET, secretKey, token]) {
      expect(service.stdout + service.stderr).not.toContain(secret);
    }
  }, 90_000);

  it('refuses a second service on its data directory', async () => {
    const service = await (await start()).untilReady();
    const second = await BuiltService.start({ PLUMBLINE_DATA_DIR: service.dataDir });
    expect(await second.exit).toEqual({ code: 75, signal: null });
    expect(second.stderr).toContain('DATA_DIRECTORY_IN_USE');
  }, 90_000);

  it('answers from its journal when the database is away at the start, and delivers when it comes', async () => {
    const hook = await receiver();
    const proxy = await PgProxy.to(await emptyDatabase());
    proxy.refuse();
    const service = await start(
      { DATABASE_URL: proxy.url, CLIENT_SECRET: SECRET },
      { 'plumbline.yaml': configuration(hook.url) },
    );
    const id = nextId();
    await until(async () => (await sendOrder(service, id, 'first-webhook')) === 200, { timeoutMs: 30_000 });
    expect((await readdir(join(service.dataDir, 'journal'))).some((name) => /\.(open|sealed)$/.test(name))).toBe(true);
    expect((await health(service)).status).not.toBe('ok');
    proxy.pass();
    await until(() => hook.webhookIds.names.length === 1, { timeoutMs: 60_000, what: 'the order arrived' });
    await until(async () => (await health(service)).status === 'ok', { timeoutMs: 30_000 });
    expect(hook.webhookIds.repeats).toBe(0);
    await service.stop();
    await proxy.close();
  }, 120_000);
});
