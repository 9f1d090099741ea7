import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import type { Database } from '../../../src/kernel/database.js';
import { silentLogger } from '../../../src/kernel/log.js';
import type { Finding, SignalFilter } from '../../../src/monitoring/contract.js';
import { SignalBook } from '../../../src/monitoring/signals/signal-book.js';
import { testDatabase } from '../../support/test-database.js';

const NOON = Date.UTC(2026, 10, 27, 12);
const NAMES = {
  shops: () => [{ id: '1', domain: 'acme.myshopify.com' }],
  shopById: (id: string) => (id === '1' ? { domain: 'acme.myshopify.com', world: 'real' as const } : undefined),
  destinations: () => [{ id: 7, world: 'real' as const }],
  destinationById: (id: number) => (id === 7 ? { name: 'acme-ga4', world: 'real' as const } : undefined),
};

let database: Database;
let clock: ManualClock;
let book: SignalBook;
beforeEach(async () => {
  ({ database } = await testDatabase());
  clock = new ManualClock(NOON);
  book = new SignalBook({ database, clock, log: silentLogger, names: NAMES });
});

function missing(orders: number, subject = 'acme.myshopify.com/acme-ga4'): Finding {
  return { kind: 'order-missing', subject, shopId: '1', destinationId: 7, facts: { orders }, evidence: '/api/v1/gaps' };
}

const open = async () => (await book.signals({}, { limit: 50 })).items;
const told = async () => (await book.changes('0', 100)).map(({ change, signal }) => [change, signal.facts['orders']]);

describe('a signal', () => {
  it('is opened once, however often the same is found', async () => {
    await book.report(missing(2));
    clock.advance(60_000);
    await book.report(missing(2));
    expect(await open()).toMatchObject([
      {
        kind: 'order-missing',
        shop: 'acme.myshopify.com',
        destination: 'acme-ga4',
        state: 'open',
        openedAt: new Date(NOON),
        updates: 0,
      },
    ]);
    expect(await told()).toEqual([['opened', 2]]);
  });

  it('is updated when its facts change, and each change keeps the facts of its time', async () => {
    await book.report(missing(2));
    await book.report(missing(3));
    await book.close('order-missing', 'acme.myshopify.com/acme-ga4', { recovered: 3 });
    expect(await told()).toEqual([
      ['opened', 2],
      ['updated', 3],
      ['closed', 3],
    ]);
    expect(await open()).toEqual([]);
    expect((await book.signals({ state: 'closed' }, { limit: 5 })).items).toMatchObject([
      { facts: { orders: 3, recovered: 3 }, updates: 1 },
    ]);
  });

  it('is another one when it comes back after it was closed', async () => {
    await book.report(missing(2));
    await book.close('order-missing', 'acme.myshopify.com/acme-ga4');
    await book.report(missing(2));
    expect((await book.signals({ state: 'all' }, { limit: 5 })).items).toHaveLength(2);
    expect(await told()).toHaveLength(3);
  });

  it('is found by its kind and its world, whoever says which that is', async () => {
    const plain = { facts: {}, evidence: '/' };
    await book.report(missing(2));
    await book.report({ ...plain, kind: 'destination-refusing', subject: 'acme-ga4', destinationId: 7 });
    await book.report({ ...plain, kind: 'queue-old', subject: 'sandbox', world: 'sandbox' });
    await book.report({ ...plain, kind: 'inbox-gap', subject: 'inbox' });
    const found = async (filter: SignalFilter) =>
      (await book.signals(filter, { limit: 9 })).items.map(({ kind }) => kind);
    expect(await found({ world: 'real' })).toEqual(['inbox-gap', 'destination-refusing', 'order-missing']);
    expect(await found({ world: 'sandbox' })).toEqual(['inbox-gap', 'queue-old']);
    expect(await found({ world: 'real', kinds: ['queue-old', 'order-missing'] })).toEqual(['order-missing']);
    expect(await found({ kinds: [] })).toEqual([]);
  });

  it('takes instants and the order of keys for what they are', async () => {
    const at = new Date(NOON);
    await book.report({ ...missing(1), facts: { at, orders: 1, last: { a: 1, b: [at] } } });
    await book.report({ ...missing(1), facts: { last: { b: [at], a: 1 }, orders: 1, at } });
    expect(await told()).toHaveLength(1);
  });
});

it('closes what is no longer among all findings of its scope, and leaves other scopes alone', async () => {
  await book.report(missing(1, 'acme.myshopify.com/one'));
  await book.report(missing(1, 'acme.myshopify.com/two'));
  await book.report(missing(1, 'other.myshopify.com/one'));
  await book.replace('order-missing', 'acme.myshopify.com/', [missing(4, 'acme.myshopify.com/two')]);
  expect((await open()).map(({ subject, facts }) => [subject, facts['orders']])).toEqual([
    ['other.myshopify.com/one', 1],
    ['acme.myshopify.com/two', 4],
  ]);
});

it('opens one signal for many processes that find the same at the same time', async () => {
  const books = Array.from({ length: 6 }, () => new SignalBook({ database, clock, log: silentLogger, names: NAMES }));
  await Promise.all(books.map((each) => each.report(missing(2))));
  expect(await open()).toHaveLength(1);
  expect(await told()).toEqual([['opened', 2]]);
});

it('gives changes in pages that miss nothing', async () => {
  for (let orders = 1; orders <= 5; orders++) await book.report(missing(orders));
  const first = await book.changes('0', 2);
  const rest = await book.changes(first.at(-1)?.seq ?? '', 10);
  expect([...first, ...rest].map(({ signal }) => signal.facts['orders'])).toEqual([1, 2, 3, 4, 5]);
});
