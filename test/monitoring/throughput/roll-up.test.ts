import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import type { Database } from '../../../src/kernel/database.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { HOUR_MS } from '../../../src/monitoring/throughput/hour-row.js';
import { OVERLAP_MS, ThroughputRollUp } from '../../../src/monitoring/throughput/roll-up.js';
import { Watermark } from '../../../src/monitoring/watermark.js';
import { ThroughputQuery } from '../../../src/monitoring/throughput/throughput-query.js';
import type { Shop, State } from '../../../src/pipeline/contract.js';
import { testDatabase } from '../../support/test-database.js';
import { GA4, HOOK, LAKE, OrderBooks, readBack, registryOf, shopOf } from './order-books.js';

const TEN = Date.UTC(2026, 10, 27, 10);
const MINUTE = 60_000;
const at = (ms: number): Date => new Date(TEN + ms);
const never = new AbortController().signal;

let database: Database;
let clock: ManualClock;
let books: OrderBooks;
let shops: Shop[];

beforeEach(async () => {
  ({ database } = await testDatabase());
  clock = new ManualClock(TEN);
  books = new OrderBooks();
  shops = [shopOf('1'), shopOf('2')];
  await beginAt(TEN - HOUR_MS);
});

/** As if the passes had come as far as this. */
async function beginAt(ms: number): Promise<void> {
  await new Watermark(database, 'throughput').move(new Date(ms));
}

function rollUp(): ThroughputRollUp {
  return new ThroughputRollUp({
    database,
    clock,
    log: silentLogger,
    registry: registryOf(shops),
    ledger: books.ledgerReader,
    readBack,
    sold: books.soldCounts,
  });
}

/** Passes until everything there is has been looked at. What is written at an instant is for a pass after it. */
async function catchUp(one = rollUp()): Promise<ThroughputRollUp> {
  clock.advance(1);
  while (!(await one.pass(never)));
  return one;
}

function query(): ThroughputQuery {
  return new ThroughputQuery({ database, clock, registry: registryOf(shops), sold: books.soldCounts });
}

async function item(destination: string, granularity: 'hour' | 'day' = 'hour') {
  const { items } = await query().items(
    { from: at(0), to: at(HOUR_MS), granularity, shop: 'shop-1.myshopify.com', destination },
    { limit: 10 },
  );
  return items[0];
}

/** An order sold at ten past ten, as the ledger has it. */
function order(orderId: string, destinationId: number, state: State, overrides: { acceptedAt?: Date } = {}): void {
  const accepted = state === 'accepted' || state === 'confirmed' || state === 'missing';
  books.write({
    shopId: '1',
    orderId,
    destinationId,
    soldAt: at(10 * MINUTE),
    dueAt: state === 'expected' ? null : at(10 * MINUTE),
    acceptedAt: accepted ? (overrides.acceptedAt ?? at(11 * MINUTE)) : null,
    state,
    updatedAt: clock.now(),
  });
}

function listed(orderId: string, due = true): void {
  books.list({ shopId: '1', orderId, soldAt: at(10 * MINUTE), due, updatedAt: clock.now() });
}

describe('an hour', () => {
  it('does not know what was sold before a complete reconciliation covers it', async () => {
    clock.set(TEN + 30 * MINUTE);
    order('a', LAKE, 'confirmed');
    listed('a');
    books.prove('1', at(-HOUR_MS), at(59 * MINUTE));
    await catchUp();
    expect(await item('acme-lake')).toMatchObject({
      sold: null,
      logged: 1,
      accepted: 1,
      missing: null,
      throughput: null,
      settledAt: null,
    });
  });

  it('is known as soon as a proof covers it, although no order of it has changed', async () => {
    clock.set(TEN + 30 * MINUTE);
    order('a', LAKE, 'confirmed');
    listed('a');
    const one = await catchUp();
    clock.set(TEN + 3 * HOUR_MS);
    await catchUp(one);
    expect(await item('acme-lake')).toMatchObject({ sold: null });
    books.prove('1', at(-HOUR_MS), at(HOUR_MS));
    await catchUp(one);
    expect(await item('acme-lake')).toMatchObject({ sold: 1, missing: 0, throughput: 1, settledThroughput: 1 });
    // What is known now is not looked at again.
    books.asked = [];
    clock.advance(MINUTE);
    await catchUp(one);
    expect(books.asked).toEqual([]);
  });

  it('counts an order that Shopify sold and nobody logged, at the stage where it was lost', async () => {
    clock.set(TEN + 2 * HOUR_MS);
    order('a', LAKE, 'confirmed');
    listed('a');
    listed('b');
    books.prove('1', at(-HOUR_MS), at(HOUR_MS));
    const gap = { shopId: '1', orderId: 'b', destinationId: LAKE, soldAt: at(10 * MINUTE), stage: 'logged' } as const;
    books.find({ ...gap, state: 'missing', updatedAt: clock.now() });
    const one = await catchUp();
    expect(await item('acme-lake')).toMatchObject({ sold: 2, logged: 1, missing: 1, recovered: 0, throughput: 0.5 });
    // Recovered, it is no loss any more, and the hour says that it was one.
    clock.advance(10 * MINUTE);
    order('b', LAKE, 'confirmed', { acceptedAt: clock.now() });
    books.find({ ...gap, state: 'recovered', updatedAt: clock.now() });
    clock.advance(MINUTE);
    await catchUp(one);
    expect(await item('acme-lake')).toMatchObject({
      sold: 2,
      logged: 2,
      missing: 0,
      recovered: 1,
      late: 1,
      throughput: 1,
    });
  });

  it('waits for payment where the destination counts paid orders, and not where it counts created ones', async () => {
    clock.set(TEN + 3 * HOUR_MS);
    order('a', LAKE, 'expected');
    order('a', HOOK, 'accepted');
    listed('a', false);
    books.prove('1', at(-HOUR_MS), at(HOUR_MS));
    await catchUp();
    expect(await item('acme-lake')).toMatchObject({ sold: 0, logged: 1, processed: 0, throughput: null });
    expect(await item('acme-hook')).toMatchObject({ sold: 1, processed: 1, throughput: 1 });
  });

  it('does not count against a destination what it ignores, paid or not', async () => {
    clock.set(TEN + 3 * HOUR_MS);
    order('a', LAKE, 'confirmed');
    order('test', LAKE, 'ignored');
    order('unpaid-test', LAKE, 'ignored');
    listed('a');
    listed('test');
    listed('unpaid-test', false);
    books.prove('1', at(-HOUR_MS), at(HOUR_MS));
    await catchUp();
    expect(await item('acme-lake')).toMatchObject({ ignored: 2, throughput: 1 });
  });

  it('lets no ignored order stand in for one that was lost', async () => {
    clock.set(TEN + 3 * HOUR_MS);
    order('a', LAKE, 'confirmed');
    order('unpaid-test', LAKE, 'ignored');
    listed('a');
    listed('lost');
    listed('unpaid-test', false);
    books.find({
      shopId: '1',
      orderId: 'lost',
      destinationId: LAKE,
      soldAt: at(10 * MINUTE),
      stage: 'logged',
      state: 'missing',
      updatedAt: clock.now(),
    });
    books.prove('1', at(-HOUR_MS), at(HOUR_MS));
    await catchUp();
    expect(await item('acme-lake')).toMatchObject({ missing: 1, throughput: 0.5 });
  });

  it('is not owed to a destination that was linked later', async () => {
    shops = [
      shopOf('1', {
        links: [
          { destinationId: LAKE, linkedAt: null },
          { destinationId: GA4, linkedAt: at(5 * HOUR_MS) },
        ],
      }),
    ];
    clock.set(TEN + 6 * HOUR_MS);
    listed('a');
    books.prove('1', at(-HOUR_MS), at(5 * HOUR_MS));
    await catchUp();
    const { items } = await query().items({ from: at(0), to: at(HOUR_MS), granularity: 'hour' }, { limit: 10 });
    expect(items.map(({ destination, sold }) => [destination, sold])).toEqual([['acme-lake', 1]]);
  });

  it('counts an order as late when it waits past a quarter of an hour, without any new fact', async () => {
    clock.set(TEN + 11 * MINUTE);
    order('a', LAKE, 'queued');
    const one = await catchUp();
    expect(await item('acme-lake')).toMatchObject({ late: 0 });
    clock.set(TEN + 27 * MINUTE);
    await catchUp(one);
    expect(await item('acme-lake')).toMatchObject({ late: 1, accepted: 0 });
    clock.advance(HOUR_MS);
    await catchUp(one);
    books.asked = [];
    clock.advance(HOUR_MS);
    await catchUp(one);
    expect(books.asked).toEqual([]);
  });
});

describe('settling', () => {
  it('takes what was accepted for received until the destination could have been read back, and then no more', async () => {
    clock.set(TEN + 2 * HOUR_MS);
    order('a', GA4, 'confirmed');
    order('b', GA4, 'accepted');
    listed('a');
    listed('b');
    books.prove('1', at(-HOUR_MS), at(HOUR_MS));
    const one = await catchUp();
    expect(await item('acme-ga4')).toMatchObject({ throughput: 1, settledAt: null, settledThroughput: null });
    clock.set(TEN + 25 * HOUR_MS);
    await catchUp(one);
    expect(await item('acme-ga4')).toMatchObject({
      accepted: 2,
      confirmed: 1,
      throughput: 0.5,
      settledAt: clock.now(),
      settledThroughput: 0.5,
      confirmation: 'confirmable',
    });
  });

  it('keeps the instant at which it settled when a late fact corrects it', async () => {
    clock.set(TEN + 30 * HOUR_MS);
    order('a', GA4, 'accepted');
    listed('a');
    books.prove('1', at(-HOUR_MS), at(HOUR_MS));
    const one = await catchUp();
    const settledAt = clock.now();
    expect(await item('acme-ga4')).toMatchObject({ settledAt, settledThroughput: 0 });
    clock.advance(HOUR_MS);
    order('a', GA4, 'confirmed');
    clock.advance(MINUTE);
    await catchUp(one);
    expect(await item('acme-ga4')).toMatchObject({ settledAt, settledThroughput: 1 });
  });

  it('is provisional again for an order that is paid days later, so that waiting for its read-back is no loss', async () => {
    clock.set(TEN + 30 * HOUR_MS);
    order('a', GA4, 'confirmed');
    order('b', GA4, 'expected');
    listed('a');
    listed('b', false);
    books.prove('1', at(-HOUR_MS), at(HOUR_MS));
    const one = await catchUp();
    expect(await item('acme-ga4')).toMatchObject({ sold: 1, settledThroughput: 1 });
    clock.set(TEN + 72 * HOUR_MS);
    order('b', GA4, 'accepted', { acceptedAt: clock.now() });
    listed('b');
    clock.advance(MINUTE);
    await catchUp(one);
    expect(await item('acme-ga4')).toMatchObject({ sold: 2, throughput: 1, settledAt: null });
    clock.advance(24 * HOUR_MS);
    await catchUp(one);
    expect(await item('acme-ga4')).toMatchObject({ confirmed: 1, settledThroughput: 0.5 });
  });

  it('says unconfirmable of a destination that cannot be read back, and settles on what it accepted', async () => {
    clock.set(TEN + 3 * HOUR_MS);
    order('a', HOOK, 'accepted');
    listed('a');
    books.prove('1', at(-HOUR_MS), at(HOUR_MS));
    await catchUp();
    expect(await item('acme-hook')).toMatchObject({
      confirmed: null,
      confirmation: 'unconfirmable',
      settledThroughput: 1,
    });
  });

  it('does not know how much is confirmed before anything was read back', async () => {
    clock.set(TEN + 20 * MINUTE);
    order('a', GA4, 'accepted');
    await catchUp();
    expect(await item('acme-ga4')).toMatchObject({ accepted: 1, confirmed: null });
  });
});

describe('a day', () => {
  it('is the sum of its hours, and known only when every hour of it is proved', async () => {
    clock.set(TEN + 3 * HOUR_MS);
    order('a', LAKE, 'confirmed');
    listed('a');
    books.prove('1', at(-10 * HOUR_MS), at(2 * HOUR_MS));
    const one = await catchUp();
    expect(await item('acme-lake', 'day')).toMatchObject({ start: at(-10 * HOUR_MS), sold: null, logged: 1 });
    clock.set(TEN + 20 * HOUR_MS);
    books.prove('1', at(-10 * HOUR_MS), at(14 * HOUR_MS));
    await catchUp(one);
    expect(await item('acme-lake', 'day')).toMatchObject({ sold: 1, logged: 1, throughput: 1, settledThroughput: 1 });
  });
});

describe('the fleet', () => {
  it('adds up by kind and in all, apart by what has settled, may change and is not known, and says where orders were lost', async () => {
    clock.set(TEN + 3 * HOUR_MS);
    order('a', LAKE, 'confirmed');
    order('a', GA4, 'accepted');
    listed('a');
    listed('b');
    books.prove('1', at(-HOUR_MS), at(HOUR_MS));
    for (const destinationId of [LAKE, GA4]) {
      books.find({
        shopId: '1',
        orderId: 'b',
        destinationId,
        soldAt: at(10 * MINUTE),
        stage: 'logged',
        state: 'missing',
        updatedAt: clock.now(),
      });
    }
    books.write({
      shopId: '2',
      orderId: 'c',
      destinationId: LAKE,
      soldAt: at(5 * MINUTE),
      dueAt: at(5 * MINUTE),
      acceptedAt: at(6 * MINUTE),
      state: 'confirmed',
      updatedAt: clock.now(),
    });
    await catchUp();
    const filter = { from: at(0), to: at(HOUR_MS), granularity: 'hour', world: 'real' } as const;
    const { items, nextCursor } = await query().fleet(filter, { limit: 10 });
    expect(nextCursor).toBeNull();
    expect(items.map(({ kind }) => kind)).toEqual([null, 'ga4', 'postgres', 'webhook']);
    expect(items[0]).toMatchObject({
      start: at(0),
      shops: 2,
      shopsProved: 1,
      settled: { sold: 4, accepted: 1, confirmed: 1, missing: 1 },
      provisional: { sold: 2, accepted: 1, confirmed: null, throughput: 0.5 },
      unproved: { sold: null, accepted: 1, throughput: null },
      lost: [
        { stage: 'logged', orders: 2 },
        { stage: 'processed', orders: 0 },
        { stage: 'accepted', orders: 0 },
        { stage: 'received', orders: 0 },
      ],
    });
    expect(items[2]).toMatchObject({
      kind: 'postgres',
      settled: { sold: 2, throughput: 0.5 },
      unproved: { accepted: 1 },
    });
    expect((await query().fleet({ ...filter, world: 'sandbox' }, { limit: 10 })).items).toEqual([]);
  });

  it('comes in pages of hours', async () => {
    order('a', LAKE, 'confirmed');
    clock.set(TEN + HOUR_MS);
    await catchUp();
    const filter = { from: at(-2 * HOUR_MS), to: at(2 * HOUR_MS), granularity: 'hour', world: 'real' } as const;
    const first = await query().fleet(filter, { limit: 2 });
    expect(first).toMatchObject({ items: [], nextCursor: String(TEN) });
    const rest = await query().fleet(filter, { limit: 2, cursor: first.nextCursor ?? '' });
    expect(rest.items.map(({ kind }) => kind)).toEqual([null, 'postgres']);
    expect(rest.nextCursor).toBeNull();
  });
});

describe('pages', () => {
  it.each(['hour', 'day'] as const)('of each %s miss nothing and repeat nothing', async (granularity) => {
    for (let hour = 0; hour < 5; hour++) {
      for (const shopId of ['1', '2']) {
        for (const destinationId of [LAKE, GA4]) {
          const soldAt = at(hour * 8 * HOUR_MS);
          const times = { soldAt, dueAt: soldAt, acceptedAt: null, updatedAt: at(0) };
          books.write({ shopId, orderId: `${hour}`, destinationId, state: 'queued', ...times });
        }
      }
    }
    clock.set(TEN + 40 * HOUR_MS);
    await catchUp();
    const filter = { from: at(0), to: at(40 * HOUR_MS), granularity };
    const whole = await query().items(filter, { limit: 200 });
    expect(whole.items).toHaveLength(granularity === 'hour' ? 20 : 8);
    const paged = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: Awaited<ReturnType<ThroughputQuery['items']>> = await query().items(filter, {
        limit: 3,
        ...(cursor === '' ? {} : { cursor }),
      });
      paged.push(...page.items);
      cursor = page.nextCursor;
    }
    expect(paged).toEqual(whole.items);
  });
});

describe('roll-ups', () => {
  it('are written once by two processes that pass at the same time, and stay as they are', async () => {
    order('a', LAKE, 'confirmed');
    clock.set(TEN + HOUR_MS);
    await Promise.all([catchUp(), catchUp(), catchUp()]);
    const rows = await database.rows('select xmin::text, accepted from monitoring.throughput');
    expect(rows).toMatchObject([{ accepted: 1 }]);
    clock.advance(MINUTE);
    await catchUp();
    expect(await database.rows('select xmin::text, accepted from monitoring.throughput')).toEqual(rows);
  });

  it('go on where a pass was cut short', async () => {
    order('a', LAKE, 'confirmed');
    clock.set(TEN + HOUR_MS);
    const ended = new AbortController();
    ended.abort();
    expect(await rollUp().pass(ended.signal)).toBe(false);
    await catchUp();
    expect(await item('acme-lake')).toMatchObject({ accepted: 1 });
  });

  it('lose a row whose orders are gone', async () => {
    order('a', LAKE, 'confirmed');
    clock.set(TEN + HOUR_MS);
    const one = await catchUp();
    books.ledger.clear();
    books.find({
      shopId: '1',
      orderId: 'x',
      destinationId: GA4,
      soldAt: at(10 * MINUTE),
      stage: 'logged',
      state: 'recovered',
      updatedAt: clock.now(),
    });
    clock.advance(MINUTE);
    await catchUp(one);
    expect(await item('acme-lake')).toBeUndefined();
  });

  const STATES: readonly State[] = ['expected', 'queued', 'accepted', 'confirmed', 'missing', 'failed', 'ignored'];

  it('come out the same in whatever order facts arrive, however late they commit, and equal one count at the end', async () => {
    const one = fc.record({
      shop: fc.constantFrom('1', '2'),
      order: fc.integer({ min: 0, max: 5 }),
      destination: fc.constantFrom(GA4, LAKE, HOOK),
      what: fc.constantFrom('ledger', 'ledger', 'listed', 'gap', 'proof'),
      state: fc.constantFrom(...STATES),
      stage: fc.constantFrom('logged' as const, 'processed' as const, 'accepted' as const, 'received' as const),
      /** How long before its commit a fact says it happened. */
      lagMs: fc.integer({ min: 0, max: OVERLAP_MS - MINUTE }),
      waitMs: fc.integer({ min: 0, max: 2 * HOUR_MS }),
      pass: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(one, { maxLength: 40 }), async (facts) => {
        await database.query('truncate monitoring.throughput, monitoring.watermark');
        await beginAt(TEN - HOUR_MS);
        books = new OrderBooks();
        clock = new ManualClock(TEN);
        const roller = await catchUp();
        for (const fact of facts) {
          clock.advance(fact.waitMs);
          const orderId = `${fact.order}`;
          const soldAt = at(fact.order * 20 * MINUTE);
          const updatedAt = new Date(clock.nowMs() - fact.lagMs);
          const acceptedAt = ['accepted', 'confirmed', 'missing'].includes(fact.state) ? updatedAt : null;
          const key = { shopId: fact.shop, orderId, soldAt, updatedAt };
          switch (fact.what) {
            case 'ledger':
              books.write({
                ...key,
                destinationId: fact.destination,
                state: fact.state,
                dueAt: fact.state === 'expected' ? null : soldAt,
                acceptedAt,
              });
              break;
            case 'listed':
              books.list({ ...key, due: fact.state !== 'expected' });
              break;
            case 'gap':
              books.find({
                ...key,
                destinationId: fact.destination,
                stage: fact.stage,
                state: fact.pass ? 'missing' : 'recovered',
              });
              break;
            case 'proof':
              books.prove(fact.shop, at(-HOUR_MS), new Date(clock.nowMs() - 5 * MINUTE));
          }
          if (fact.pass) await catchUp(roller);
        }
        // By now every order that waits is late, which a pass learns by looking again.
        clock.advance(20 * MINUTE);
        await catchUp(roller);
        const rows = await rowsNow();
        await database.query('truncate monitoring.throughput, monitoring.watermark');
        await beginAt(TEN - HOUR_MS);
        await catchUp();
        expect(rows).toEqual(await rowsNow());
      }),
      { numRuns: 40 },
    );
  });
});

function rowsNow(): Promise<unknown[]> {
  return database.rows(
    `select shop_id, day::text, hour, destination_id, sold, logged, processed, accepted, confirmed, ignored, failed, missing,
            recovered, late, lost_logged, lost_processed, lost_accepted, lost_received, settles_at,
            settled_at is not null as settled
       from monitoring.throughput order by 1, 2, 3, 4`,
  );
}
