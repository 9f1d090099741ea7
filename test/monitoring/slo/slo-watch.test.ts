import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import type { Database } from '../../../src/kernel/database.js';
import { silentLogger } from '../../../src/kernel/log.js';
import type { Slo, SloView } from '../../../src/monitoring/contract.js';
import { SignalBook } from '../../../src/monitoring/signals/signal-book.js';
import { DEFAULT_SLOS } from '../../../src/monitoring/slo/objective.js';
import { SloWatch } from '../../../src/monitoring/slo/slo-watch.js';
import type { Shop, State } from '../../../src/pipeline/contract.js';
import { PipelineFlow } from '../../../src/pipeline/flow.js';
import { insertLedgerRows, ledgerDays } from '../../support/ledger-rows.js';
import { testDatabase } from '../../support/test-database.js';
import { GA4, LAKE, registryOf, shopOf } from '../throughput/order-books.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOON = Date.UTC(2026, 10, 27, 12);
const THROUGHPUT = DEFAULT_SLOS[0] as Slo;

let database: Database;
let clock: ManualClock;
let signals: SignalBook;
let shops: Shop[];
let order = 0;

beforeEach(async () => {
  ({ database } = await testDatabase());
  await ledgerDays(database, ['2026-11-26', '2026-11-27', '2026-11-28']);
  clock = new ManualClock(NOON);
  shops = [shopOf('1', { connectedAt: new Date(NOON - 4 * HOUR) })];
  signals = new SignalBook({ database, clock, log: silentLogger, names: registryOf(shops) });
  await database.query(
    `insert into pipeline.destination (name, kind, origin, created_at, updated_at)
     values ('acme-ga4', 'ga4', 'api', $1, $1), ('acme-lake', 'postgres', 'api', $1, $1)`,
    [new Date(NOON - 4 * HOUR)],
  );
});

function newWatch(slos: readonly Slo[] = DEFAULT_SLOS): SloWatch {
  return new SloWatch(slos, {
    database,
    clock,
    registry: registryOf(shops),
    flow: new PipelineFlow(database),
    signals,
  });
}

/** Looks until nothing is left to count. */
async function look(watch: SloWatch): Promise<void> {
  while ((await watch.look()) === 'busy');
}

/** Purchases that were due `dueMs` before noon, and taken `tookMs` later; `null` = not taken. */
async function orders(
  count: number,
  dueMs: number,
  tookMs: number | null,
  more: { state?: State; destinationId?: number } = {},
): Promise<void> {
  const dueAt = new Date(NOON - dueMs).toISOString();
  await insertLedgerRows(
    database,
    Array.from({ length: count }, () => ({
      shopId: '1',
      subjectId: String(++order),
      kind: 'purchase' as const,
      destinationId: more.destinationId ?? LAKE,
      ledgerDay: dueAt.slice(0, 10),
      state: more.state ?? (tookMs === null ? 'queued' : 'accepted'),
      dueAt,
      soldAt: dueAt,
      queuedAt: dueAt,
      acceptedAt: tookMs === null ? null : new Date(NOON - dueMs + tookMs).toISOString(),
    })),
  );
}

async function deadLetters(count: number, buriedMs: number): Promise<void> {
  await database.query(
    `insert into pipeline.dead_letter (shop_id, shop_domain, destination_id, kind, subject_id, topic, webhook_id, lane,
       reason, received_at, buried_at, payload)
     select 1, 'shop-1.myshopify.com', $3, 1, 'dead-' || n, 'orders/paid', n, 'ours', 'http-400', $2, $2, ''
       from generate_series(1, $1::integer) as n`,
    [count, new Date(NOON - buriedMs), LAKE],
  );
}

async function gap(foundMs: number, state = 'open', stage = 'logged'): Promise<void> {
  order += 1;
  await database.query(
    `insert into monitoring.gap (shop_id, subject_id, kind, destination_id, order_id, ledger_day, sold_at, stage, cause,
       state, found_at, next_look_at, closed_at, changed_at)
     values (1, $1, 1, $2, $1, '2026-11-27', $3, $4, 'not-received', $5, $3, $3, $6, $3)`,
    [String(order), LAKE, new Date(NOON - foundMs), stage, state, state === 'open' ? null : new Date(NOON)],
  );
}

async function delivery(count: number, queuedMs: number): Promise<void> {
  await database.query(
    `insert into pipeline.delivery (shop_id, destination_id, kind, subject_id, order_id, ledger_day, version,
       segment_day, stream_id, segment_seq, entry, queued_at, due_at)
     select 1, $3, 1, 'waiting-' || n, n, '2026-11-27', 0, '2026-11-27', 1, 1, 0, $2, $2
       from generate_series(1, $1::integer) as n`,
    [count, new Date(NOON - queuedMs), LAKE],
  );
}

async function slo(watch: SloWatch, name: string): Promise<SloView> {
  return (await watch.slos({})).find((each) => each.name === name) as SloView;
}

async function open(): Promise<string[]> {
  const { items } = await signals.signals({}, { limit: 50 });
  return items.map(({ kind, subject }) => `${kind} ${subject}`).sort();
}

describe('an objective', () => {
  it('is known minute by minute: what arrived in time is good, what came late or is lost is bad', async () => {
    await orders(100, 30 * MINUTE, 2 * MINUTE);
    await orders(2, 40 * MINUTE, 20 * MINUTE);
    await deadLetters(1, 10 * MINUTE);
    await gap(20 * MINUTE);
    const watch = newWatch();
    await look(watch);
    expect(await slo(watch, 'order-throughput')).toMatchObject({
      world: 'real',
      provisional: { total: 104, bad: 2, from: new Date(NOON - 4 * HOUR), until: new Date(NOON - MINUTE) },
    });
    expect(await slo(watch, 'orders-on-time')).toMatchObject({ provisional: { total: 104, bad: 4 } });
  });

  it('counts an order that is recovered in time as good, and one that is recovered too late as bad', async () => {
    await orders(99, 2 * HOUR, MINUTE);
    await gap(HOUR);
    const watch = newWatch();
    await look(watch);
    expect(await slo(watch, 'order-throughput')).toMatchObject({ provisional: { total: 100, bad: 1 } });
    // Recovered: the gap closes, and the order is accepted an hour and a half after it was due.
    await database.query(`update monitoring.gap set state = 'recovered', closed_at = now()`);
    await orders(1, 1.5 * HOUR, 1.5 * HOUR - MINUTE);
    await look(watch);
    expect(await slo(watch, 'order-throughput')).toMatchObject({ provisional: { total: 100, bad: 0 } });
    expect(await slo(watch, 'orders-on-time')).toMatchObject({ provisional: { total: 100, bad: 1 } });
    const strict = newWatch([{ ...THROUGHPUT, arrivedWithinMinutes: 60 }]);
    await look(strict);
    expect(await slo(strict, 'order-throughput')).toMatchObject({ provisional: { total: 100, bad: 1 } });
  });

  it('does not count what is left out, nor what was sold before its shop was connected', async () => {
    await orders(10, HOUR, MINUTE);
    await orders(5, HOUR, null, { state: 'ignored' });
    await gap(HOUR, 'excluded');
    shops[0] = shopOf('1', { connectedAt: new Date(NOON - 2 * HOUR) });
    await gap(3 * HOUR);
    const watch = newWatch();
    await look(watch);
    expect(await slo(watch, 'order-throughput')).toMatchObject({ provisional: { total: 10, bad: 0 } });
  });

  it('counts what waits for longer than it may as bad, and what waits for less not at all', async () => {
    await orders(10, HOUR, MINUTE);
    await delivery(4, 20 * MINUTE);
    const watch = newWatch();
    await look(watch);
    expect(await slo(watch, 'orders-on-time')).toMatchObject({
      provisional: { total: 14, bad: 4 },
      lost: expect.arrayContaining([{ stage: 'accepted', orders: 4 }]),
    });
    expect(await slo(watch, 'order-throughput')).toMatchObject({ provisional: { total: 10, bad: 0 } });
  });

  it('counts a dead letter no more once it has been replayed', async () => {
    await orders(10, HOUR, MINUTE);
    await deadLetters(3, HOUR);
    const watch = newWatch();
    await look(watch);
    expect(await slo(watch, 'order-throughput')).toMatchObject({ provisional: { total: 13, bad: 3 } });
    await database.query('update pipeline.dead_letter set replayed_at = now()');
    expect(await slo(watch, 'order-throughput')).toMatchObject({ provisional: { total: 10, bad: 0 } });
  });

  it('is unknown without an order, and from five minutes on after nobody has measured: never green', async () => {
    const watch = newWatch();
    await look(watch);
    expect(await slo(watch, 'order-throughput')).toMatchObject({
      state: 'unknown',
      provisional: { total: 0, achieved: null },
    });
    await orders(10, 5 * MINUTE, MINUTE);
    await look(watch);
    expect(await slo(watch, 'order-throughput')).toMatchObject({ state: 'ok', provisional: { achieved: 1 } });
    clock.advance(6 * MINUTE);
    expect(await slo(watch, 'order-throughput')).toMatchObject({ state: 'unknown' });
  });

  it('is spent when more orders were bad than it has, also after it has stopped burning', async () => {
    await orders(100, 2 * HOUR, MINUTE);
    await gap(HOUR, 'dead');
    const watch = newWatch();
    await look(watch);
    const { state, provisional } = await slo(watch, 'order-throughput');
    expect(state).toBe('spent');
    expect(provisional.budget.orders).toBeCloseTo(0.0101, 6);
    expect(provisional.budget).toMatchObject({ spent: 1 });
  });

  it('is of one world: the orders of another are not among its own', async () => {
    shops.push(shopOf('2', { world: 'sandbox', connectedAt: new Date(NOON - HOUR) }));
    await orders(10, HOUR, MINUTE);
    const watch = newWatch();
    await look(watch);
    const views = await watch.slos({});
    expect(views.map(({ world, name, provisional: { total } }) => `${world} ${name} ${total}`)).toEqual([
      'real order-throughput 10',
      'real orders-on-time 10',
      'sandbox order-throughput 0',
      'sandbox orders-on-time 0',
    ]);
    expect(await watch.slos({ world: 'sandbox' })).toHaveLength(2);
  });

  it('shows what the roll-ups have settled, by the day', async () => {
    const row = (hour: number, sold: number | null, arrived: number, settled: boolean, late = 0) =>
      database.query(
        `insert into monitoring.throughput (shop_id, day, hour, destination_id, sold, logged, processed, accepted,
           confirmed, ignored, failed, missing, recovered, late, lost_logged, lost_processed, lost_accepted,
           lost_received, confirmable, settled_at, computed_at)
         values (1, '2026-11-27', $1, $2, $3::integer, $4, $4, $4, $4, 0, 0, 0, 0, $6,
                 coalesce($3::integer - $4, 0), 0, 0, 0, true, case when $5 then now() end, now())`,
        [hour, LAKE, sold, arrived, settled, late],
      );
    await row(8, 100, 99, true, 4);
    await row(9, 50, 50, false);
    await row(10, null, 20, false);
    const watch = newWatch();
    await look(watch);
    await watch.addUpDays();
    await watch.addUpDays();
    expect((await slo(watch, 'order-throughput')).settled).toEqual({
      from: new Date('2026-11-27'),
      until: new Date('2026-11-27'),
      owed: 100,
      good: 99,
      achieved: 0.99,
      unproved: 20,
    });
    expect((await slo(watch, 'orders-on-time')).settled).toMatchObject({ owed: 100, good: 95 });
  });
});

describe('minutes', () => {
  it('are the same however often they are counted, and hold what committed late', async () => {
    const watch = newWatch();
    await orders(10, 5 * MINUTE, MINUTE);
    await look(watch);
    const count = async () =>
      (await database.rows('select world, within_minutes, minute, arrived, beyond from monitoring.slo_minute')).length;
    const minutes = await count();
    await orders(3, 4 * MINUTE, 1_000);
    await orders(1, 90_000, MINUTE);
    await look(watch);
    await look(newWatch());
    expect(await count()).toBe(minutes);
    expect(await slo(watch, 'order-throughput')).toMatchObject({ provisional: { total: 11 + 3 } });
  });

  it('are caught up after an absence, in steps', async () => {
    shops[0] = shopOf('1', { connectedAt: new Date(NOON - 20 * HOUR) });
    await orders(7, 19 * HOUR, MINUTE);
    await orders(5, HOUR, MINUTE, { destinationId: GA4 });
    const watch = newWatch();
    expect(await watch.look()).toBe('busy');
    await look(watch);
    expect(await slo(watch, 'order-throughput')).toMatchObject({ provisional: { total: 12 } });
  });
});

describe('burning', () => {
  it('is told a pair of windows at a time, and is over when the short window is calm', async () => {
    await orders(1_000, 2 * HOUR, MINUTE);
    const watch = newWatch([THROUGHPUT]);
    await look(watch);
    expect(await open()).toEqual([]);
    await deadLetters(2, 2 * MINUTE);
    await look(watch);
    expect(await open()).toEqual([]);
    await gap(MINUTE);
    await look(watch);
    expect(await open()).toEqual([
      'slo-burn real/order-throughput/1d+2h',
      'slo-burn real/order-throughput/1h+5m',
      'slo-burn real/order-throughput/3d+6h',
      'slo-burn real/order-throughput/6h+30m',
    ]);
    const { items } = await signals.signals({ kind: 'slo-burn' }, { limit: 9 });
    expect(items.find(({ subject }) => subject.endsWith('1h+5m'))).toMatchObject({
      world: 'real',
      shop: null,
      facts: { severity: 1, class: 'page', badOrdersAtLeast: 3, stage: 'accepted' },
    });
    expect(await slo(watch, 'order-throughput')).toMatchObject({ state: 'burning' });
    clock.advance(8 * MINUTE);
    await look(watch);
    expect(await open()).not.toContain('slo-burn real/order-throughput/1h+5m');
    expect(await open()).toContain('slo-burn real/order-throughput/6h+30m');
  });

  it('of a full stop is told by the orders that wait for longer than they may', async () => {
    await orders(50, HOUR, MINUTE);
    await delivery(3, 16 * MINUTE);
    const watch = newWatch();
    await look(watch);
    expect(await open()).toEqual(expect.arrayContaining(['orders-late real', 'slo-burn real/orders-on-time/1h+5m']));
    expect(await open()).not.toContain('slo-burn real/order-throughput/1h+5m');
  });

  it('of one order of sixty is not told, and the shop is in the view by the count rule', async () => {
    await orders(59, 30 * MINUTE, MINUTE);
    await gap(20 * MINUTE);
    await signals.report({
      kind: 'order-missing',
      subject: 'shop-1.myshopify.com/acme-lake',
      shopId: '1',
      destinationId: LAKE,
      facts: { orders: 1 },
      evidence: '/api/v1/gaps',
    });
    const watch = newWatch();
    await look(watch);
    expect(await open()).toEqual(['order-missing shop-1.myshopify.com/acme-lake']);
    expect((await slo(watch, 'order-throughput')).unrecovered).toEqual([
      { shop: 'shop-1.myshopify.com', destination: 'acme-lake', orders: 1, signal: '1' },
    ]);
  });
});
