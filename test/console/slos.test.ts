import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../../src/console/cli/program.js';
import { listOf } from '../../src/console/shapes.js';
import { sloShape } from '../../src/console/slos.http.js';
import { insertLedgerRows, ledgerDays } from '../support/ledger-rows.js';
import { ConsoleApp } from './console-app.js';

const ACME = 'acme.myshopify.com';
let app: ConsoleApp;
let cwd: string;

beforeAll(async () => {
  app = await ConsoleApp.open();
  cwd = mkdtempSync(join(tmpdir(), 'plumbline-slos-'));
  mkdirSync(join(cwd, '.plumbline'));
  writeFileSync(join(cwd, '.plumbline/admin-token'), `${app.token('admin')}\n`);
});
afterAll(async () => {
  await app.close();
  rmSync(cwd, { recursive: true });
});

async function slos(query = ''): Promise<{ name: string; state: string; world: string }[]> {
  const answer = await fetch(`${app.url}/api/v1/slos${query}`, {
    headers: { authorization: `Bearer ${app.token('viewer')}` },
  });
  expect(answer.status).toBe(200);
  return listOf(sloShape).parse(await answer.json()).items;
}

async function plumbline(line: string): Promise<string> {
  let out = '';
  const code = await runCli(line.split(' '), {
    env: { PLUMBLINE_URL: app.url },
    cwd,
    width: 100,
    out: (text) => (out += text),
    error: (text) => (out += text),
    checkConfig: () => Promise.resolve(78),
  });
  return `${code}\n${out}`;
}

it('promises nothing before there is a shop, and says unknown before there is an order', async () => {
  expect(await slos()).toEqual([]);
  expect(await plumbline('slos')).toBe('0\nNo shop yet, so nothing is promised.\n');
  const { desk } = app.registry;
  const hook = {
    name: 'acme-hook',
    kind: 'webhook',
    url: 'https://example.com/in',
    secret: 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
  };
  expect(await desk.createDestination(hook, 'test')).toMatchObject({ ok: true });
  expect(await desk.createShop({ domain: ACME, destinations: ['acme-hook'] }, 'test')).toMatchObject({ ok: true });
  await app.registry.refresh();
  expect((await slos()).map(({ name, state, world }) => `${world} ${name} ${state}`)).toEqual([
    'real order-throughput unknown',
    'real orders-on-time unknown',
  ]);
  expect(await slos('?world=sandbox')).toEqual([]);
});

it('answers the budget in orders, and the command line says it in words', async () => {
  const [ids] = await app.db.database.rows<{ shop: string; destination: number }>(
    `select s.id::text as shop, d.id as destination from pipeline.shop s, pipeline.destination d`,
  );
  app.clock.advance(60 * 60_000);
  const ago = (minutes: number): string => new Date(app.clock.nowMs() - minutes * 60_000).toISOString();
  await ledgerDays(app.db.database, ['2026-11-23']);
  await insertLedgerRows(
    app.db.database,
    Array.from({ length: 60 }, (_, n) => ({
      shopId: ids?.shop ?? '',
      subjectId: String(n),
      kind: 'purchase' as const,
      destinationId: ids?.destination ?? 0,
      ledgerDay: '2026-11-23',
      state: 'accepted' as const,
      dueAt: ago(n < 4 ? 40 : 4),
      acceptedAt: ago(3),
    })),
  );
  while ((await app.slos.look()) === 'busy');
  const items = await slos();
  expect(items[0]).toMatchObject({ state: 'ok', provisional: { total: 60, bad: 0, achieved: 1 } });
  expect(items[1]).toMatchObject({ state: 'burning', provisional: { total: 60, bad: 4 } });
  const said = await plumbline('slos --world real');
  expect(said).toContain('order-throughput (real): ok');
  expect(said).toContain('promised 99.990 % of 28 days within 1 d');
  expect(said).toContain('orders-on-time (real): burning');
  expect(said).toContain('so far   93.333 %: 4 bad of 60');
  expect(said).toContain('budget   -3.9 of 0.06 orders left');
  expect(said).toMatch(/1 h \+ 5 min +66\.67 \+ 66\.67 +13\.44 +4 +burning: page/);
  expect(await plumbline('slos --json')).toContain('"arrivedWithinMinutes": 1440');
});

it('shows the processes and the duties, by the API and in words', async () => {
  expect(await plumbline('duties')).toBe('0\nNo duty has been done yet.\n');
  await app.processes.beat();
  await app.heartbeats.beat('slo');
  expect(await plumbline('processes')).toMatch(/4711 +web,worker .+ 4 ms +50 % +-/);
  expect(await plumbline('duties')).toMatch(/slo +2026-11-23 13:00:00Z/);
  app.clock.advance(61_000);
  expect(await plumbline('processes')).toContain('silent since 2026-11-23 13:00:00Z');
});
