import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SystemClock } from '../../../src/kernel/clock.js';
import { silentLogger } from '../../../src/kernel/log.js';
import type { Destination } from '../../../src/pipeline/contract.js';
import type { DeliveryItem, Outcome } from '../../../src/pipeline/destinations/adapter.js';
import { PostgresAdapter } from '../../../src/pipeline/destinations/postgres.js';
import { testDatabase } from '../../support/test-database.js';
import { until } from '../../support/until.js';
import { postgresFarSide } from './far-sides.js';
import { destinationOf, itemOf, toSend } from './items.js';

type Warehouse = Awaited<ReturnType<typeof postgresFarSide>>;

let far: Warehouse;
beforeEach(async () => {
  far = await postgresFarSide((await testDatabase()).url);
});
afterEach(async () => {
  await far.close();
});

async function load(
  items: readonly DeliveryItem[],
  over: { adapter?: PostgresAdapter; own?: object } = {},
): Promise<Outcome[]> {
  const { adapter = far.adapter, own = {} } = over;
  const destination: Destination = destinationOf('postgres', { ...far.destination.settings.own, ...own });
  const formatted = items.map((item) => {
    const result = adapter.format(item, destination);
    if (!result.ok) throw new Error(result.detail);
    return toSend(item, result);
  });
  return adapter.send(formatted, destination, AbortSignal.timeout(10_000));
}

async function rows(table = 'plumbline_events'): Promise<Record<string, unknown>[]> {
  const found = await far.pool.query<Record<string, unknown>>(`select * from ${table} order by subject_id, kind`);
  return found.rows;
}

function update(updatedAt: string, note: string): DeliveryItem {
  return itemOf('order-updated', 7, { updated_at: updatedAt, note });
}

async function keptNote(): Promise<unknown> {
  const [row] = await rows();
  return (row?.['payload'] as { shopify: { note: string } }).shopify.note;
}

describe('a postgres destination', () => {
  it('has exactly the table of the contract', async () => {
    await load([itemOf('purchase')]);
    const { rows: columns } = await far.pool.query<{ column_name: string; data_type: string }>(
      `select column_name, data_type from information_schema.columns where table_name = 'plumbline_events' order by ordinal_position`,
    );
    expect(columns.map((column) => `${column.column_name} ${column.data_type}`)).toEqual([
      'shop_domain text',
      'subject_id text',
      'kind text',
      'event_id text',
      'order_id text',
      'occurred_at timestamp with time zone',
      'currency text',
      'value numeric',
      'payload jsonb',
      'loaded_at timestamp with time zone',
    ]);
    expect(await rows()).toMatchObject([
      { shop_domain: 'acme.myshopify.com', order_id: '450789469', value: '56.70', currency: 'CAD' },
    ]);
  });

  it('never overwrites a newer truth with an older one, in whatever order they come', async () => {
    await load([update('2026-11-23T08:00:00Z', 'newer')]);
    expect(await load([update('2026-11-23T07:00:00Z', 'older')])).toMatchObject([
      { outcome: 'accepted', confirmed: true },
    ]);
    expect(await keptNote()).toBe('newer');
    await load([update('2026-11-23T09:00:00Z', 'newest'), update('2026-11-23T08:30:00Z', 'between')]);
    expect(await keptNote()).toBe('newest');
    expect(await rows()).toHaveLength(1);
  });

  it('makes its table once however many loaders start at the same time', async () => {
    const loaders = Array.from({ length: 6 }, () => new PostgresAdapter(new SystemClock(), silentLogger));
    const own = { table: 'lake' };
    const outcomes = await Promise.all(
      loaders.map((adapter, index) => load([itemOf('purchase', index + 1)], { adapter, own })),
    );
    expect(outcomes.flat().every(({ outcome }) => outcome === 'accepted')).toBe(true);
    expect(await rows('lake')).toHaveLength(6);
    await Promise.all(loaders.map((adapter) => adapter.close()));
  });

  it('takes two loaders with overlapping batches, without a deadlock', async () => {
    const items = Array.from({ length: 60 }, (_, index) => itemOf('purchase', index + 1));
    const loads = Array.from({ length: 6 }, (_, index) => load(index % 2 === 0 ? items : [...items].reverse()));
    const outcomes = (await Promise.all(loads)).flat();
    expect(outcomes.every(({ outcome }) => outcome === 'accepted')).toBe(true);
    expect(await rows()).toHaveLength(60);
  });

  it('writes to a table in a schema, and waits for a schema that is missing', async () => {
    const own = { table: 'lake.orders' };
    expect(await load([itemOf('purchase')], { own })).toMatchObject([
      { outcome: 'unreachable', detail: expect.stringContaining('3F000') },
    ]);
    await far.pool.query('create schema lake');
    expect(await load([itemOf('purchase')], { own })).toMatchObject([{ outcome: 'accepted', confirmed: true }]);
    expect(await rows('lake.orders')).toHaveLength(1);
  });

  it('makes its table again when somebody drops it', async () => {
    await load([itemOf('purchase')]);
    await far.pool.query('drop table plumbline_events');
    expect(await load([itemOf('purchase')])).toMatchObject([
      { outcome: 'unreachable', detail: expect.stringContaining('42P01') },
    ]);
    expect(await load([itemOf('purchase')])).toMatchObject([{ outcome: 'accepted', confirmed: true }]);
  });

  it('stores control characters and broken surrogates visibly', async () => {
    expect(await load([itemOf('checkout-started', 'a\u0000b', { note: '\u0000\ud800\u0007👕' })])).toMatchObject([
      { outcome: 'accepted', confirmed: true },
    ]);
    const [row] = await rows();
    expect(row?.['subject_id']).toBe('ta\ufffdb');
    expect(row?.['payload']).toMatchObject({ shopify: { note: '\ufffd\ufffd\u0007👕' } });
  });

  it('keeps events queued when the credentials are refused, and says so', async () => {
    const own = { url: far.urlFor('nobody_here') };
    const [outcome] = await load([itemOf('purchase')], { own });
    expect(outcome).toMatchObject({ outcome: 'unreachable', detail: expect.stringContaining('credentials rejected') });
  });

  it('keeps events queued when a right is missing, and needs no right to create where the table is', async () => {
    await load([itemOf('purchase', 1)]);
    const role = `loader_${Math.floor(Math.random() * 1e9)}`;
    await far.pool.query(`create role ${role} login`);
    const own = { url: far.urlFor(role) };
    expect(await load([itemOf('purchase', 2)], { own })).toMatchObject([
      { outcome: 'unreachable', detail: expect.stringContaining('42501') },
    ]);
    await far.pool.query(`grant select, insert, update on plumbline_events to ${role}`);
    expect(await load([itemOf('purchase', 2)], { own })).toMatchObject([{ outcome: 'accepted', confirmed: true }]);
    await far.adapter.close();
    await far.pool.query(`drop owned by ${role}`);
    await far.pool.query(`drop role ${role}`);
  });

  it('blames a constraint of theirs on them, and buries only the row it refuses', async () => {
    await load([itemOf('purchase', 1)]);
    await far.pool.query('alter table plumbline_events add check (subject_id <> $$13$$)');
    const outcomes = await load([itemOf('purchase', 12), itemOf('purchase', 13), itemOf('purchase', 14)]);
    expect(outcomes).toMatchObject([
      { outcome: 'accepted' },
      { outcome: 'rejected', lane: 'theirs', reason: 'sql-23514' },
      { outcome: 'accepted' },
    ]);
  });

  it('does not confirm what a trigger of theirs swallowed', async () => {
    await load([itemOf('purchase', 1)]);
    await far.pool.query(`create function swallow() returns trigger language plpgsql as $$ begin return null; end $$;
      create trigger swallow before insert on plumbline_events for each row execute function swallow()`);
    expect(await load([itemOf('purchase', 2)])).toMatchObject([{ outcome: 'accepted', confirmed: false }]);
  });

  it('survives a server that ends its connection in the middle of a load', async () => {
    await load([itemOf('purchase', 1)]);
    await far.pool.query('begin; lock table plumbline_events');
    const loading = load([itemOf('purchase', 2)]);
    const waiting = `select pid from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'plumbline'`;
    const pid = await until(async () => (await far.pool.query<{ pid: number }>(waiting)).rows[0]?.pid);
    await far.pool.query('select pg_terminate_backend($1)', [pid]);
    expect(await loading).toMatchObject([{ outcome: 'unreachable', detail: expect.stringContaining('57P01') }]);
  });
});
