import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/kernel/clock.js';
import type { Queryable } from '../../src/kernel/database.js';
import { silentLogger } from '../../src/kernel/log.js';
import type { PipelineEvent, Shop } from '../../src/pipeline/contract.js';
import { Enricher, type Found, type ProductSource } from '../../src/pipeline/enrichment.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { itemOf } from './destinations/items.js';

const HOUR_MS = 3_600_000;

const shop: Shop = {
  id: '1',
  domain: 'acme.myshopify.com',
  key: 'k',
  world: 'real',
  adminUrl: null,
  accessToken: 't',
  settings: {},
  destinationIds: [],
  links: [],
  subscriptions: 'shop',
  connectedAt: new Date(0),
  uninstalledAt: null,
};

/** An Admin API that answers what it is told to, when it is told to, and counts. */
class FakeSource implements ProductSource {
  readonly asked: { productIds: readonly string[]; customerId: string | null }[] = [];
  answer: (productIds: readonly string[]) => Promise<Found> = async (productIds) => ({
    products: new Map(productIds.map((id) => [id, { productType: `type ${id}`, vendor: `vendor ${id}` }])),
    ordersCount: 3,
  });

  lookup(_shop: Shop, productIds: readonly string[], customerId: string | null): Promise<Found> {
    this.asked.push({ productIds, customerId });
    return this.answer(productIds);
  }
}

let db: TestDatabase;
let clock: ManualClock;
let source: FakeSource;
beforeEach(async () => {
  db = await testDatabase();
  clock = new ManualClock(Date.parse('2026-11-23T08:00:00Z'));
  source = new FakeSource();
});

const enricher = (deadlineMs?: number): Enricher => new Enricher(db.database, source, clock, silentLogger, deadlineMs);
const purchase = (id = 1): PipelineEvent => itemOf('purchase', id).event;
/** The database, with the number of statements it was asked. */
class CountingDatabase implements Queryable {
  statements = 0;
  query: Queryable['query'] = (statement, values) => {
    this.statements += 1;
    return db.database.query(statement, values);
  };
}
const types = (event: PipelineEvent): (string | null)[] => event.lines.map((line) => line.productType);

describe('Enricher', () => {
  it('fills in what the webhook leaves out, in one call, and leaves what the webhook said', async () => {
    const event = await enricher().enrich(shop, purchase());
    expect(event.lines.map(({ productType, vendor }) => [productType, vendor])).toEqual([
      ['type 632910392', 'Acme'],
      ['type 921728736', 'vendor 921728736'],
    ]);
    expect(event.customer?.returning).toBe(true);
    expect(source.asked).toEqual([{ productIds: ['632910392', '921728736'], customerId: '706405506930370' }]);
  });

  it('asks once for a product, however many events, destinations and processes want it', async () => {
    const first = enricher();
    await Promise.all([first.enrich(shop, purchase()), first.enrich(shop, purchase())]);
    await first.enrich(shop, purchase());
    await enricher().enrich(shop, purchase(2));
    expect(source.asked.filter(({ productIds }) => productIds.length > 0)).toHaveLength(1);
  });

  it('asks again when what it knows is a day old', async () => {
    const one = enricher();
    await one.enrich(shop, purchase());
    clock.advance(25 * HOUR_MS);
    await one.enrich(shop, purchase(2));
    expect(source.asked.filter(({ productIds }) => productIds.length > 0)).toHaveLength(2);
  });

  it('lets the event go without at the deadline, and uses a late answer for the next', async () => {
    let late = (_found: Found): void => {};
    const answer = source.answer;
    source.answer = (ids) => new Promise((resolve) => (late = () => resolve(answer(ids))));
    const one = enricher(50);
    const event = await one.enrich(shop, purchase());
    expect(types(event)).toEqual([null, null]);
    expect(event.customer?.returning).toBeNull();
    late({ products: new Map(), ordersCount: null });
    await until(async () => types(await one.enrich(shop, purchase()))[0] === 'type 632910392');
  });

  it('never fails an event, and leaves a shop alone after three failures, for a minute', async () => {
    source.answer = async () => {
      throw new Error('502 from https://acme.myshopify.com?access_token=s3cret');
    };
    const one = enricher();
    for (let time = 0; time < 5; time++) expect(types(await one.enrich(shop, purchase()))).toEqual([null, null]);
    expect(source.asked).toHaveLength(3);
    await one.enrich({ ...shop, id: '2' }, purchase());
    expect(source.asked).toHaveLength(4);
    clock.advance(61_000);
    for (let time = 0; time < 3; time++) await one.enrich(shop, purchase());
    expect(source.asked).toHaveLength(5);
  });

  it('remembers that Shopify does not know a product', async () => {
    source.answer = async () => ({ products: new Map(), ordersCount: 1 });
    const one = enricher();
    const event = await one.enrich(shop, purchase());
    expect(types(event)).toEqual([null, null]);
    expect(event.customer?.returning).toBe(false);
    await one.enrich(shop, purchase());
    expect(source.asked).toHaveLength(1);
  });

  it('asks nothing without a token, and nothing for an event that lacks nothing', async () => {
    await enricher().enrich({ ...shop, accessToken: null }, purchase());
    await enricher().enrich(shop, itemOf('customer-created', 5).event);
    await new Enricher(db.database, null, clock, silentLogger).enrich(shop, purchase());
    expect(source.asked).toEqual([]);
  });

  it('asks nobody, not even the database, for a shop without a token', async () => {
    const database = new CountingDatabase();
    const events = [purchase(1), purchase(2)];
    const one = new Enricher(database, source, clock, silentLogger);
    expect(await one.enrichAll({ ...shop, accessToken: null }, events)).toEqual(events);
    expect(database.statements).toBe(0);
    await one.enrichAll(shop, events);
    expect(database.statements).toBeGreaterThan(0);
  });

  it('fills in a whole batch, in its order, with one look into the database', async () => {
    await enricher().enrich(shop, purchase());
    const database = new CountingDatabase();
    source.answer = async () => ({ products: new Map(), ordersCount: null });
    const one = new Enricher(database, source, clock, silentLogger);
    const batch = [itemOf('customer-created', 5).event, purchase(2), purchase(3)];
    const enriched = await one.enrichAll(shop, batch);
    expect(enriched.map(({ subjectId }) => subjectId)).toEqual(batch.map(({ subjectId }) => subjectId));
    expect(enriched.map(types)).toEqual([[], ...Array(2).fill(['type 632910392', 'type 921728736'])]);
    expect(database.statements).toBe(1);
  });

  it('reads again what nobody knew a minute ago: another process may have learnt it', async () => {
    const answer502 = async (): Promise<Found> => {
      throw new Error('502');
    };
    source.answer = answer502;
    const one = enricher();
    for (let time = 0; time < 3; time++) await one.enrich(shop, purchase());
    source.answer = async (ids) => ({
      products: new Map(ids.map((id) => [id, { productType: 'learnt elsewhere', vendor: null }])),
      ordersCount: null,
    });
    await enricher().enrich(shop, purchase(2));
    source.answer = answer502;
    expect(types(await one.enrich(shop, purchase()))).toEqual([null, null]);
    clock.advance(60_001);
    expect(types(await one.enrich(shop, purchase()))).toEqual(['learnt elsewhere', 'learnt elsewhere']);
  });

  it('lets the event go when the database is gone', async () => {
    await db.drop();
    expect(types(await enricher().enrich(shop, purchase()))).toEqual([null, null]);
  });

  it('keeps what one shop’s products are from another shop’s events', async () => {
    const one = enricher();
    await one.enrich(shop, purchase());
    source.answer = async () => ({ products: new Map(), ordersCount: null });
    expect(types(await one.enrich({ ...shop, id: '2' }, purchase()))).toEqual([null, null]);
  });
});
