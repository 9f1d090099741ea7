import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../src/console/cli/program.js';
import { ConsoleApp, NOON_MS } from './console-app.js';
import { addDeadLetter, addObligation } from './order-rows.js';

const ACME = 'acme.myshopify.com';
let app: ConsoleApp;
let cwd: string;

beforeAll(async () => {
  app = await ConsoleApp.open();
  cwd = mkdtempSync(join(tmpdir(), 'plumbline-cli-'));
  mkdirSync(join(cwd, '.plumbline'));
  writeFileSync(join(cwd, '.plumbline/admin-token'), `${app.token('admin')}\n`);
});
afterAll(async () => {
  await app.close();
  rmSync(cwd, { recursive: true });
});
beforeEach(async () => {
  await app.db.database.query(
    `truncate pipeline.shop, pipeline.destination, pipeline.shop_destination, pipeline.ledger, pipeline.ledger_fact,
              pipeline.delivery, pipeline.dead_letter, pipeline.held, pipeline.webhook`,
  );
  app.replayReport = { matched: 0, replayed: 0, items: [] };
});

interface Ran {
  code: number;
  out: string;
  error: string;
}

async function plumbline(line: string, env: Record<string, string> = {}): Promise<Ran> {
  const ran: Ran = { code: -1, out: '', error: '' };
  ran.code = await runCli(line.split(' '), {
    env: { PLUMBLINE_URL: app.url, ...env },
    cwd,
    width: 0,
    out: (text) => (ran.out += text),
    error: (text) => (ran.error += text),
    checkConfig: (json) => {
      ran.out += json ? '{"valid":false}' : 'not valid';
      return Promise.resolve(78);
    },
  });
  return ran;
}

async function connectAcme(): Promise<void> {
  const destination = await plumbline(
    'destination add acme-ga4 --kind ga4 --set measurementId=G-1 --set-env apiSecret=GA',
    {
      GA: 'SECRET-ga4',
    },
  );
  expect(destination).toMatchObject({ code: 0, out: 'Added acme-ga4 (ga4).\n' });
  const shop = await plumbline(`shop add ${ACME} --destination acme-ga4 --access-token-env TOKEN`, {
    TOKEN: 'SECRET-shpat',
  });
  expect(shop).toMatchObject({ code: 0, out: expect.stringContaining(`Connected ${ACME}`) as string });
}

function widest(text: string): number {
  return Math.max(...text.split('\n').map((line) => line.length));
}

describe('plumbline', () => {
  it('connects a shop to a destination, with secrets from the environment, and lists both', async () => {
    await connectAcme();
    const shops = await plumbline('shop list');
    expect(shops.out.split('\n')[1]).toMatch(/^acme\.myshopify\.com +real +api +set +acme-ga4/);
    const destinations = await plumbline('destination list');
    expect(destinations.out.split('\n')[1]).toMatch(/^acme-ga4 +ga4 +real +api +enabled +0/);
    expect(shops.out + destinations.out).not.toContain('SECRET');
    expect((await plumbline('destination disable acme-ga4')).out).toBe('acme-ga4 is disabled.\n');
    expect((await plumbline('destination list')).out).toContain('disabled');
    expect((await plumbline('destination enable acme-ga4')).code).toBe(0);
  });

  it('prints the answer of the API with --json', async () => {
    await connectAcme();
    const { out } = await plumbline('shop list --json');
    expect(JSON.parse(out)).toMatchObject({ items: [{ domain: ACME, accessTokenSet: true }], nextCursor: null });
  });

  it('tells the story of an order within 80 columns', async () => {
    await connectAcme();
    await addObligation(app.db.database, {
      shop: ACME,
      destination: 'acme-ga4',
      subjectId: '820982911946154508',
      kind: 'purchase',
      state: 'accepted',
      at: new Date(NOON_MS),
      webhookId: 'b54557e4-bdd9-4b37-8a5f-bf7d70bcd043',
      facts: [
        { state: 'queued' },
        { state: 'queued', reason: 'timeout', attempt: 1 },
        { state: 'accepted', attempt: 2 },
      ],
    });
    const { code, out } = await plumbline(`order ${ACME} 820982911946154508`);
    expect(code).toBe(0);
    expect(out).toMatch(/purchase +acme-ga4 +accepted/);
    expect(out).toMatch(/2026-11-23 12:00:01Z +queued +1 +12 +timeout/);
    expect(widest(out)).toBeLessThanOrEqual(80);
  });

  it('lists, shows and replays dead letters', async () => {
    await connectAcme();
    const id = await addDeadLetter(app.db.database, app.secrets, {
      shop: ACME,
      body: '{"id":1001}',
      lane: 'theirs',
      reason: 'bad-credentials',
      buriedAt: new Date(NOON_MS),
      orderId: '820982911946154508',
    });
    const list = await plumbline('dead-letters list --lane theirs');
    expect(list.out).toContain('bad-c');
    expect(widest(list.out)).toBeLessThanOrEqual(80);
    expect((await plumbline('dead-letters list --lane ours')).out).toBe('No dead letters.\n');
    expect((await plumbline(`dead-letters show ${id}`)).out).toContain('{"id":1001}');

    app.replayReport = { matched: 1, replayed: 0, items: [{ id, shop: ACME, destination: 'acme-ga4', reason: 'x' }] };
    const dry = await plumbline('replay --query lane=theirs,reason=bad-credentials --dry-run --rate 5');
    expect([dry.code, dry.out.split('\n')[0]]).toEqual([0, '1 matched, 0 replayed (dry run).']);
    expect(app.replays.at(-1)).toEqual({
      query: { lane: 'theirs', reason: 'bad-credentials' },
      dryRun: true,
      ratePerSecond: 5,
      actor: 'the-admin',
    });
    app.replayReport = { matched: 0, replayed: 0, items: [] };
    expect(await plumbline('replay --ids 4711')).toMatchObject({ code: 1, out: 'Nothing matched.\n' });
  });

  it('makes a token that works, and revokes it', async () => {
    const made = JSON.parse((await plumbline('token create ci --role viewer --json')).out) as {
      token: string;
      id: string;
    };
    expect((await plumbline('shop list', { PLUMBLINE_TOKEN: made.token })).code).toBe(0);
    expect(await plumbline('token list', { PLUMBLINE_TOKEN: made.token })).toMatchObject({ code: 77 });
    expect((await plumbline(`token revoke ${made.id}`)).out).toBe('Revoked ci.\n');
    expect((await plumbline('shop list', { PLUMBLINE_TOKEN: made.token })).code).toBe(77);
    const list = await plumbline('token list');
    expect(list.out).toMatch(/ci +viewer/);
    expect(list.out).not.toContain(made.token);
  });

  it('lists what is held', async () => {
    expect(await plumbline('held --reason unknown-shop')).toMatchObject({ code: 0, out: 'Nothing is held.\n' });
  });
});

describe('exit codes', () => {
  it('0 and 1 for health: whether everything is alive', async () => {
    app.health = [{ name: 'router', state: 'ok', ageMs: 100, detail: null }];
    expect(await plumbline('health')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/router +ok +0\.1 s ago/) as string,
    });
    app.health = [{ name: 'router', state: 'dead', ageMs: 90_000, detail: 'stopped' }];
    expect((await plumbline('health --json')).code).toBe(1);
  });

  it.each([
    [1, `order ${ACME} 1`, /Not found: There is no shop/],
    [2, 'order', /missing required argument/],
    [2, 'frobnicate', /unknown command/],
    [2, 'replay', /give --ids or --query/],
    [2, 'shop add not-a-domain', /domain: expected a domain like/],
    [2, `shop add ${ACME} --access-token-env NOT_SET`, /NOT_SET is not set/],
  ])('%i for %s', async (code, line, message) => {
    const ran = await plumbline(line);
    expect(ran.error).toMatch(message);
    expect([ran.code, ran.out]).toEqual([code, '']);
  });

  it('69 when the service is not there, with the address that was tried', async () => {
    const ran = await plumbline('shop list', { PLUMBLINE_URL: 'http://127.0.0.1:1' });
    expect([ran.code, ran.error]).toEqual([69, expect.stringContaining('http://127.0.0.1:1 cannot be reached')]);
  });

  it('77 without a token that may', async () => {
    expect(await plumbline('shop list', { PLUMBLINE_TOKEN: 'plb_wrong' })).toMatchObject({ code: 77 });
    const nobody = await plumbline('shop list', { PLUMBLINE_DATA_DIR: join(cwd, 'nowhere') });
    expect([nobody.code, nobody.error]).toEqual([77, expect.stringContaining('PLUMBLINE_TOKEN')]);
  });

  it('78 for a configuration with faults', async () => {
    expect(await plumbline('config check')).toMatchObject({ code: 78, out: 'not valid' });
    expect(await plumbline('config check --json')).toMatchObject({ code: 78, out: '{"valid":false}' });
  });

  it('0 for help, which names them all', async () => {
    const { code, out } = await plumbline('--help');
    expect(code).toBe(0);
    expect(out).toContain('0 ok, 1 the answer is no, 2 usage, 69 service unreachable, 77 not allowed, 78');
  });
});
