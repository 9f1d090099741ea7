import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { runCli } from '../../src/console/cli/program.js';
import { listOf } from '../../src/console/shapes.js';
import { silenceShape } from '../../src/console/silence.http.js';
import { fleetShape, throughputShape } from '../../src/console/throughput.http.js';
import { SeenOrders } from '../../src/monitoring/silence/seen-orders.js';
import { Watermark } from '../../src/monitoring/watermark.js';
import { ConsoleApp, NOON_MS } from './console-app.js';
import { NOTHING_LISTED } from '../support/nothing-listed.js';

const ACME = 'acme.myshopify.com';
const HOUR_MS = 3_600_000;
let app: ConsoleApp;
let cwd: string;

beforeAll(async () => {
  app = await ConsoleApp.open();
  cwd = mkdtempSync(join(tmpdir(), 'plumbline-throughput-'));
  mkdirSync(join(cwd, '.plumbline'));
  writeFileSync(join(cwd, '.plumbline/admin-token'), `${app.token('admin')}\n`);
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
});
afterAll(async () => {
  await app.close();
  rmSync(cwd, { recursive: true });
});
beforeEach(() => app.db.database.query('truncate monitoring.throughput, monitoring.seen_day, monitoring.silence'));

async function ask(path: string): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${app.url}${path}`, { headers: { authorization: `Bearer ${app.token('viewer')}` } });
  return { status: answer.status, body: await answer.json() };
}

async function plumbline(line: string): Promise<string> {
  let out = '';
  const code = await runCli(line.split(' '), {
    env: { PLUMBLINE_URL: app.url },
    cwd,
    width: 160,
    out: (text) => (out += text),
    error: (text) => (out += text),
    checkConfig: () => Promise.resolve(78),
  });
  return `${code}\n${out}`;
}

/** Ten orders sold in the hour that ended at eleven; one was lost before it was logged. */
async function addHour(sold: number | null): Promise<void> {
  await app.db.database.query(
    `insert into monitoring.throughput (shop_id, day, hour, destination_id, sold, logged, processed, accepted, confirmed,
       ignored, failed, missing, recovered, late, lost_logged, lost_processed, lost_accepted, lost_received, confirmable,
       settles_at, settled_at, recheck_at, computed_at)
     select s.id, '2026-11-23', 10, d.id, $1, 9, 9, 9, 0, 0, 0, $2, 0, 1, $2, 0, 0, 0, false, $3, $3, null, $4
       from pipeline.shop s, pipeline.destination d`,
    [sold, sold === null ? 0 : 1, sold === null ? null : new Date(NOON_MS), new Date(NOON_MS)],
  );
}

describe('GET /api/v1/throughput', () => {
  it('answers counts by the hour, with null for what is not known', async () => {
    await addHour(null);
    const { status, body } = await ask(`/api/v1/throughput?shop=${ACME}&granularity=hour`);
    expect(status).toBe(200);
    expect(listOf(throughputShape).parse(body).items).toEqual([
      {
        shop: ACME,
        destination: 'acme-hook',
        start: '2026-11-23T10:00:00.000Z',
        sold: null,
        logged: 9,
        processed: 9,
        accepted: 9,
        confirmed: null,
        ignored: 0,
        failed: 0,
        missing: null,
        recovered: null,
        late: 1,
        throughput: null,
        confirmation: 'unconfirmable',
        settledAt: null,
        settledThroughput: null,
      },
    ]);
  });

  it('adds up the fleet, and says where orders were lost', async () => {
    await addHour(10);
    app.sold = {
      ...NOTHING_LISTED,
      proved: () =>
        Promise.resolve([
          { shopId: '1', spans: [{ fromAt: new Date(NOON_MS - 9 * HOUR_MS), untilAt: new Date(NOON_MS) }] },
        ]),
    };
    const { body } = await ask('/api/v1/throughput/fleet?from=2026-11-23T10:00:00Z&to=2026-11-23T11:00:00Z');
    const { items } = listOf(fleetShape).parse(body);
    expect(items.map(({ kind }) => kind)).toEqual([null, 'webhook']);
    expect(items[0]).toMatchObject({ shops: 1, shopsProved: 1, settled: { sold: 10, throughput: 0.9 } });
    expect(items[0]?.lost[0]).toEqual({ stage: 'logged', orders: 1 });
  });

  it.each([
    ['from=2026-11-23T10:00:00Z&to=2026-11-23T10:00:00Z', 'from'],
    ['from=2026-01-01T00:00:00Z', 'from'],
    ['granularity=week', 'granularity'],
    ['from=yesterday', 'from'],
    ['destination=No%20Name', 'destination'],
  ])('answers 400 for %s', async (query, key) => {
    const { status, body } = await ask(`/api/v1/throughput?${query}`);
    expect(status).toBe(400);
    expect(z.looseObject({ errors: z.array(z.looseObject({ key: z.string() })) }).parse(body).errors[0]?.key).toBe(key);
  });

  it('is empty for a shop that nobody knows', async () => {
    await addHour(10);
    expect(await ask('/api/v1/throughput?shop=other.myshopify.com')).toMatchObject({ body: { items: [] } });
    expect(await ask('/api/v1/throughput?destination=other')).toMatchObject({ body: { items: [] } });
  });
});

describe('GET /api/v1/silence', () => {
  it('says what is known of a shop, and that nothing is expected before a week of it is', async () => {
    const { body } = await ask('/api/v1/silence');
    expect(listOf(silenceShape).parse(body).items).toEqual([
      {
        shop: ACME,
        state: 'learning',
        lastOrderAt: null,
        silentSince: null,
        expected: null,
        seen: 0,
        expectedSinceLast: null,
        probability: null,
        limit: null,
        weeksKnown: 0,
        ordersPerWeek: null,
      },
    ]);
  });

  it('tells what was expected, what was seen, and how likely the silence since the last order is', async () => {
    const { database } = app.db;
    const seen = new SeenOrders(database);
    await database.query(`update pipeline.shop_destination set linked_at = null`);
    await database.query(`update pipeline.shop set created_at = $1`, [new Date(NOON_MS - 60 * 24 * HOUR_MS)]);
    await database.query('update pipeline.registry_version set version = version + 1');
    await app.registry.refresh();
    const noon = NOON_MS / HOUR_MS;
    const hourAt = new Date(NOON_MS);
    for (let hour = noon - 8 * 168; hour < noon; hour++) {
      await seen.storeHour(hour, [{ shopId: '1', hourAt, orders: 30, lastAt: hourAt }]);
    }
    await seen.moveLast(new Map([['1', new Date(NOON_MS - 10 * 60_000)]]));
    await new Watermark(database, 'silence').move(new Date(NOON_MS));
    const { body } = await ask(`/api/v1/silence?shop=${ACME}`);
    const [item] = listOf(silenceShape).parse(body).items;
    expect(item).toMatchObject({ state: 'selling', seen: 720, weeksKnown: 8, lastOrderAt: '2026-11-23T11:50:00.000Z' });
    expect(item?.expected).toBeCloseTo(720);
    expect(item?.expectedSinceLast).toBeCloseTo(5);
    expect(item?.probability).toBeGreaterThan(item?.limit ?? 1);
    expect(await plumbline('silence')).toMatch(
      /acme\.myshopify\.com +selling +2026-11-23 11:50:00Z +720 +720\.0 +5\.0/,
    );
  });
});

describe('plumbline throughput', () => {
  it('shows an hour, and never rounds a loss away', async () => {
    await addHour(100_000_000);
    expect(await plumbline(`throughput --shop ${ACME}`)).toMatch(/acme-hook +100000000 +9 +9 +cannot +1 +1 +0\.000 %/);
    await app.db.database.query('update monitoring.throughput set accepted = 99999999');
    expect(await plumbline('throughput')).toContain('99.999 %');
    expect(await plumbline('throughput fleet')).toMatch(/all +\d of 1 shops +100000000 +99\.999 % +- +1 before logged/);
  });

  it('says that there is nothing', async () => {
    expect(await plumbline('throughput')).toBe('0\nNothing was sold in this time, as far as is known.\n');
  });
});
