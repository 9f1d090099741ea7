import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import type { Database } from '../../../src/kernel/database.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { SignalBook } from '../../../src/monitoring/signals/signal-book.js';
import { SilenceQuery } from '../../../src/monitoring/silence/silence-query.js';
import { SilenceWatch } from '../../../src/monitoring/silence/silence-watch.js';
import type { LedgerReader, SeenHour, Shop } from '../../../src/pipeline/contract.js';
import { testDatabase } from '../../support/test-database.js';
import { registryOf, shopOf } from '../throughput/order-books.js';
import { HOUR_MS } from './pretended-shop.js';

const MINUTE = 60_000;
const NOON = Date.UTC(2026, 10, 27, 12);
const WEEK_MS = 168 * HOUR_MS;
const never = new AbortController().signal;

/** Orders as their first webhooks came, by shop: evenly, from one instant to another. */
class Arrivals implements Pick<LedgerReader, 'ordersSeen'> {
  private readonly at = new Map<string, number[]>();

  sell(shopId: string, everyMs: number, fromMs: number, untilMs: number): void {
    const known = this.at.get(shopId) ?? [];
    for (let ms = fromMs; ms < untilMs; ms += everyMs) known.push(ms);
    this.at.set(shopId, known);
  }

  ordersSeen(fromAt: Date, toAt: Date): Promise<SeenHour[]> {
    return Promise.resolve(
      [...this.at].flatMap(([shopId, all]) => {
        const within = all.filter((ms) => ms >= fromAt.getTime() && ms < toAt.getTime());
        return [...Map.groupBy(within, (ms) => Math.floor(ms / HOUR_MS))].map(([hour, ofHour]) => ({
          shopId,
          hourAt: new Date(hour * HOUR_MS),
          orders: ofHour.length,
          lastAt: new Date(Math.max(...ofHour)),
        }));
      }),
    );
  }
}

let database: Database;
let clock: ManualClock;
let arrivals: Arrivals;
let shops: Shop[];
let signals: SignalBook;
let hints: string[];

beforeEach(async () => {
  ({ database } = await testDatabase());
  clock = new ManualClock(NOON);
  arrivals = new Arrivals();
  shops = [shopOf('1'), shopOf('2'), shopOf('3'), shopOf('4')];
  signals = new SignalBook({ database, clock, log: silentLogger, names: registryOf(shops) });
  hints = [];
});

function newWatch(): SilenceWatch {
  return new SilenceWatch({
    database,
    clock,
    registry: { shops: () => shops },
    ledger: arrivals,
    signals,
    hints: {
      hint: (shopId, why) => {
        hints.push(`${shopId} ${why}`);
        return Promise.resolve();
      },
    },
  });
}

async function look(watch: SilenceWatch): Promise<void> {
  while ((await watch.round(never)) === 'busy');
}

async function open(): Promise<[string, Record<string, unknown>][]> {
  const { items } = await signals.signals({ kind: 'store-silent' }, { limit: 200 });
  return items
    .map(({ subject, facts }): [string, Record<string, unknown>] => [subject, facts])
    .sort(([one], [other]) => (one < other ? -1 : 1));
}

describe('a shop', () => {
  it('that sells every other minute and stops is signalled, its subscriptions are looked at, and the next order ends it', async () => {
    const lastMs = NOON - 2 * MINUTE;
    arrivals.sell('1', 2 * MINUTE, NOON - 8 * WEEK_MS, NOON);
    arrivals.sell('2', 2 * MINUTE, NOON - 8 * WEEK_MS, NOON + 2 * HOUR_MS);
    const watch = newWatch();
    await look(watch);
    expect(await open()).toEqual([]);
    clock.set(NOON + 10 * MINUTE);
    await look(watch);
    expect(await open()).toEqual([]);
    clock.set(NOON + 45 * MINUTE);
    await look(watch);
    expect(await open()).toEqual([
      ['shop-1.myshopify.com', { lastOrderAt: new Date(lastMs).toISOString(), expectedAtLeast: 20 }],
    ]);
    expect(hints).toEqual(['1 store-silent']);
    clock.advance(MINUTE);
    await look(watch);
    expect(hints).toHaveLength(1);
    arrivals.sell('1', MINUTE, clock.nowMs(), clock.nowMs() + 1);
    clock.advance(MINUTE);
    await look(watch);
    expect(await open()).toEqual([]);
    expect((await signals.changes('0', 10)).map(({ change }) => change)).toEqual(['opened', 'closed']);
  });

  it('is noticed by the process that takes over as well, once', async () => {
    arrivals.sell('1', 2 * MINUTE, NOON - 8 * WEEK_MS, NOON);
    arrivals.sell('2', 2 * MINUTE, NOON - 8 * WEEK_MS, NOON + 2 * HOUR_MS);
    clock.set(NOON + 45 * MINUTE);
    await look(newWatch());
    await look(newWatch());
    expect(await open()).toHaveLength(1);
    expect(hints).toHaveLength(1);
  });

  it('whose night is quiet is left alone', async () => {
    for (let day = 0; day < 56; day++) {
      arrivals.sell(
        '1',
        10 * MINUTE,
        NOON - 8 * WEEK_MS + day * 24 * HOUR_MS,
        NOON - 8 * WEEK_MS + day * 24 * HOUR_MS + 8 * HOUR_MS,
      );
    }
    const watch = newWatch();
    for (let hour = 0; hour < 24; hour++) {
      clock.advance(HOUR_MS);
      if (hour < 8) arrivals.sell('1', 10 * MINUTE, clock.nowMs() - HOUR_MS, clock.nowMs());
      await look(watch);
    }
    expect(await open()).toEqual([]);
  });

  it('that is new is learnt first', async () => {
    shops = [shopOf('1', { connectedAt: new Date(NOON - 5 * 24 * HOUR_MS) })];
    arrivals.sell('1', MINUTE, NOON - 5 * 24 * HOUR_MS, NOON);
    clock.set(NOON + 24 * HOUR_MS);
    await look(newWatch());
    expect(await open()).toEqual([]);
    const { items } = await new SilenceQuery({ database, clock, registry: { shops: () => shops } }).silence(
      {},
      { limit: 5 },
    );
    expect(items).toMatchObject([{ state: 'learning', lastOrderAt: new Date(NOON - MINUTE), expectedSinceLast: null }]);
  });

  it('that is uninstalled is silent by right', async () => {
    arrivals.sell('1', 2 * MINUTE, NOON - 8 * WEEK_MS, NOON);
    arrivals.sell('2', 2 * MINUTE, NOON - 8 * WEEK_MS, NOON + 4 * HOUR_MS);
    const watch = newWatch();
    clock.set(NOON + HOUR_MS);
    await look(watch);
    expect(await open()).toHaveLength(1);
    shops = shops.map((shop) => (shop.id === '1' ? { ...shop, uninstalledAt: clock.now() } : shop));
    clock.advance(MINUTE);
    await look(watch);
    expect(await open()).toEqual([]);
  });
});

describe('the fleet', () => {
  it('is signalled within minutes when nothing arrives at all, before any one shop would be', async () => {
    for (const shop of shops) arrivals.sell(shop.id, 8 * MINUTE, NOON - 8 * WEEK_MS + Number(shop.id) * MINUTE, NOON);
    const watch = newWatch();
    await look(watch);
    clock.set(NOON + 50 * MINUTE);
    await look(watch);
    expect(await open()).toMatchObject([['fleet', { nothingArrives: true, silentShopsAtLeast: 0, shops: 4 }]]);
    arrivals.sell('3', MINUTE, clock.nowMs(), clock.nowMs() + 1);
    clock.advance(MINUTE);
    await look(watch);
    expect(await open()).toEqual([]);
  });

  it('is signalled when most shops are silent although one still sells', async () => {
    for (const shop of shops) {
      arrivals.sell(shop.id, 2 * MINUTE, NOON - 8 * WEEK_MS, NOON + (shop.id === '4' ? 2 * HOUR_MS : 0));
    }
    const watch = newWatch();
    await look(watch);
    clock.set(NOON + HOUR_MS);
    await look(watch);
    expect((await open()).map(([subject]) => subject)).toEqual([
      'fleet',
      'shop-1.myshopify.com',
      'shop-2.myshopify.com',
      'shop-3.myshopify.com',
    ]);
    expect((await open())[0]?.[1]).toEqual({ nothingArrives: false, silentShopsAtLeast: 3, shops: 4 });
  });

  it('is not held to be alive by pretended shops', async () => {
    shops = [shopOf('1'), shopOf('2'), shopOf('3', { world: 'sandbox' })];
    for (const id of ['1', '2']) arrivals.sell(id, 2 * MINUTE, NOON - 8 * WEEK_MS, NOON);
    arrivals.sell('3', MINUTE, NOON - 8 * WEEK_MS, NOON + HOUR_MS);
    clock.set(NOON + 50 * MINUTE);
    await look(newWatch());
    expect((await open()).map(([subject]) => subject)).toContain('fleet');
  });
});
