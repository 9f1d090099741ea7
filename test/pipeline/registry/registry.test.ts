import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DataSource } from 'typeorm';
import { ManualClock } from '../../../src/kernel/clock.js';
import { createDataSource } from '../../../src/kernel/data-source.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { SeededRandom } from '../../../src/kernel/random.js';
import { SecretBox } from '../../../src/kernel/secrets.js';
import { destinationSchema, shopSchema } from '../../../src/pipeline/config.js';
import type { DestinationKind, Written } from '../../../src/pipeline/contract.js';
import type { Declared } from '../../../src/pipeline/registry/declared.js';
import { Registry, REGISTRY_ENTITIES } from '../../../src/pipeline/registry/registry.js';
import type { AdapterFacts } from '../../../src/pipeline/registry/stored-settings.js';
import { testDatabase, type TestDatabase } from '../../support/test-database.js';
import { until } from '../../support/until.js';

const SECRET_KEYS: Record<DestinationKind, string[]> = {
  ga4: ['apiSecret'],
  segment: ['writeKey'],
  postgres: ['url'],
  webhook: ['secret'],
};
const ADAPTERS: AdapterFacts = new Map(
  (Object.keys(SECRET_KEYS) as DestinationKind[]).map((kind) => [
    kind,
    {
      secretKeys: SECRET_KEYS[kind],
      checkSettings: (own: Readonly<Record<string, unknown>>) =>
        own['measurementId'] === 'G-refused' ? [{ key: 'measurementId', message: 'is refused' }] : [],
    },
  ]),
);
const BOX = new SecretBox([Buffer.alloc(32, 7)]);

let db: TestDatabase;
let source: DataSource;
let registry: Registry;

beforeAll(async () => {
  db = await testDatabase();
  source = await createDataSource(db.url, REGISTRY_ENTITIES).initialize();
});
afterAll(() => source.destroy());
beforeEach(async () => {
  await db.database.query('truncate pipeline.shop, pipeline.destination, pipeline.shop_destination, kernel.audit');
  registry = create();
  await registry.refresh();
});

function create(): Registry {
  return new Registry({
    source,
    secrets: BOX,
    clock: new ManualClock(Date.UTC(2026, 10, 23, 12)),
    ids: new SeededRandom(Math.trunc(performance.now() * 1e6)),
    log: silentLogger,
    adapters: ADAPTERS,
  });
}

function declared(shops: unknown[], destinations: unknown[]): Declared {
  return {
    shops: shops.map((shop) => shopSchema.parse(shop)),
    destinations: destinations.map((destination) => destinationSchema.parse(destination)),
  };
}

const GA4 = { name: 'acme-ga4', kind: 'ga4', measurementId: 'G-1', apiSecret: 'ga-secret' };
const LAKE = { name: 'acme-lake', kind: 'postgres', url: 'postgres://u:lake-secret@lake/db' };
const ACME = { domain: 'acme.myshopify.com', accessToken: 'shpat_secret', destinations: ['acme-ga4', 'acme-lake'] };

async function audit(): Promise<string[]> {
  const rows = await db.database.rows<{ line: string }>(
    `select action || ' ' || subject as line from kernel.audit order by id`,
  );
  return rows.map(({ line }) => line);
}

function must<View>(written: Written<View>): View {
  if (!written.ok) throw new Error(`${written.refusal}: ${JSON.stringify(written.faults)}`);
  return written.value;
}

describe('what the file declares', () => {
  it('is in memory with its secrets opened, and sealed in the database', async () => {
    await registry.applyDeclared(declared([ACME], [GA4, LAKE]), 'real');
    const shop = registry.shopByDomain('real', 'acme.myshopify.com');
    expect(shop).toMatchObject({ world: 'real', accessToken: 'shpat_secret', adminUrl: null });
    expect(shop?.key).toMatch(/^[\w-]{22}$/);
    const destinations = (shop?.destinationIds ?? []).map((id) => registry.destinationById(id));
    expect(destinations.map((each) => each?.settings.own)).toEqual(
      expect.arrayContaining([
        { measurementId: 'G-1', apiSecret: 'ga-secret' },
        { url: 'postgres://u:lake-secret@lake/db', table: 'plumbline_events' },
      ]),
    );
    const stored = await db.database.rows<{ all: string }>(
      `select s::text || encode(coalesce(access_token, ''), 'escape') as all from pipeline.shop s
       union all select d::text || encode(secrets, 'escape') from pipeline.destination d`,
    );
    expect(JSON.stringify(stored)).not.toMatch(/shpat_secret|ga-secret|lake-secret/);
  });

  it('changes nothing when it is applied again: no version, no audit entry, the same shop key', async () => {
    await registry.applyDeclared(declared([ACME], [GA4, LAKE]), 'real');
    const { version } = registry.current;
    const key = registry.shopByDomain('real', 'acme.myshopify.com')?.key;
    const entries = await audit();
    expect(entries).toEqual([
      'destination.create acme-ga4',
      'destination.create acme-lake',
      'shop.create acme.myshopify.com',
      'shop.link acme.myshopify.com',
    ]);
    await registry.applyDeclared(declared([ACME], [GA4, LAKE]), 'real');
    expect(registry.current.version).toBe(version);
    expect(await audit()).toEqual(entries);
    expect(registry.shopByDomain('real', 'acme.myshopify.com')?.key).toBe(key);
  });

  it('unlinks and switches off what it declares no longer, and deletes nothing', async () => {
    await registry.applyDeclared(declared([ACME], [GA4, LAKE]), 'real');
    await registry.applyDeclared(declared([], [LAKE]), 'real');
    expect(registry.shopByDomain('real', 'acme.myshopify.com')?.destinationIds).toEqual([]);
    const views = await registry.desk.destinations();
    expect(views.map(({ name, enabled, disabledReason }) => [name, enabled, disabledReason])).toEqual([
      ['acme-ga4', false, 'no longer declared in the configuration file'],
      ['acme-lake', true, null],
    ]);
    await registry.applyDeclared(declared([ACME], [GA4, LAKE]), 'real');
    expect(registry.shopByDomain('real', 'acme.myshopify.com')?.destinationIds).toHaveLength(2);
    expect((await registry.desk.destinations()).every(({ enabled }) => enabled)).toBe(true);
  });

  it('owes a destination everything since the shop was connected, and one linked later what was sold since', async () => {
    const links = () =>
      (registry.shopByDomain('real', 'acme.myshopify.com')?.links ?? [])
        .map(({ destinationId, linkedAt }) => [registry.destinationById(destinationId)?.name, linkedAt])
        .sort();
    await registry.applyDeclared(declared([{ ...ACME, destinations: ['acme-ga4'] }], [GA4, LAKE]), 'real');
    expect(links()).toEqual([['acme-ga4', null]]);
    await registry.applyDeclared(declared([ACME], [GA4, LAKE]), 'real');
    expect(links()).toEqual([
      ['acme-ga4', null],
      ['acme-lake', new Date('2026-11-23T12:00:00Z')],
    ]);
  });

  it('does not switch on again what a person switched off', async () => {
    await registry.applyDeclared(declared([ACME], [GA4, LAKE]), 'real');
    must(await registry.desk.setDestinationEnabled('acme-ga4', false, 'kim'));
    await registry.applyDeclared(declared([ACME], [GA4, LAKE]), 'real');
    expect((await registry.desk.destinations())[0]).toMatchObject({
      enabled: false,
      disabledReason: 'disabled over the API by kim',
    });
    must(await registry.desk.setDestinationEnabled('acme-ga4', true, 'kim'));
    expect((await registry.desk.destinations())[0]).toMatchObject({ enabled: true, disabledReason: null });
  });

  it('refuses a name that now means another kind, and changes nothing at all', async () => {
    await registry.applyDeclared(declared([], [GA4]), 'real');
    const other = declared([ACME], [LAKE, { name: 'acme-ga4', kind: 'segment', writeKey: 'w' }]);
    await expect(registry.applyDeclared(other, 'real')).rejects.toThrow(/was a real destination of kind ga4/);
    expect((await registry.desk.destinations()).map(({ name }) => name)).toEqual(['acme-ga4']);
  });

  it('is refused when an adapter refuses it, naming destination and key', async () => {
    const refused = declared([], [{ ...GA4, measurementId: 'G-refused' }]);
    await expect(registry.applyDeclared(refused, 'real')).rejects.toThrow(/acme-ga4 {2}measurementId: is refused/);
    expect(await registry.desk.destinations()).toEqual([]);
  });

  it('keeps the sandbox and the real world apart', async () => {
    await registry.applyDeclared(declared([ACME], [GA4, LAKE]), 'sandbox');
    expect(registry.shopByDomain('real', 'acme.myshopify.com')).toBeUndefined();
    expect(registry.shopByDomain('sandbox', 'acme.myshopify.com')).toBeDefined();
    await expect(registry.applyDeclared(declared([ACME], []), 'real')).rejects.toThrow(/never mix/);
    // What the real world declares does not touch the sandbox's.
    await registry.applyDeclared(declared([], []), 'real');
    expect(registry.shopByDomain('sandbox', 'acme.myshopify.com')?.destinationIds).toHaveLength(2);
  });

  it('is read-only over the API, except for switching a destination off', async () => {
    await registry.applyDeclared(declared([ACME], [GA4, LAKE]), 'real');
    const { desk } = registry;
    expect(await desk.updateShop('acme.myshopify.com', { destinations: [] }, 'kim')).toMatchObject({
      ok: false,
      refusal: 'read-only',
    });
    expect(await desk.updateDestination('acme-ga4', { measurementId: 'G-2' }, 'kim')).toMatchObject({
      refusal: 'read-only',
    });
    await registry.applyDeclared(declared([ACME], [{ ...GA4, enabled: false }, LAKE]), 'real');
    expect(await desk.setDestinationEnabled('acme-ga4', true, 'kim')).toMatchObject({ refusal: 'read-only' });
  });
});

describe('over the API', () => {
  it('creates, shows without secrets, changes, and audits who did it', async () => {
    const { desk } = registry;
    const created = must(await desk.createDestination(GA4, 'kim'));
    expect(created).toMatchObject({
      origin: 'api',
      settings: { measurementId: 'G-1', purchaseOn: 'paid' },
      secretsSet: { apiSecret: true },
    });
    must(await desk.createShop({ domain: 'Beta.myshopify.com', destinations: ['acme-ga4'] }, 'kim'));
    const changed = must(
      await desk.updateDestination('acme-ga4', { measurementId: 'G-2', purchaseOn: 'created' }, 'lee'),
    );
    expect(changed.settings).toMatchObject({ measurementId: 'G-2', purchaseOn: 'created' });
    expect(changed.shops).toEqual(['beta.myshopify.com']);
    const id = registry.shopByDomain('real', 'beta.myshopify.com')?.destinationIds[0];
    expect(registry.destinationById(id ?? 0)?.settings).toMatchObject({
      purchaseOn: 'created',
      own: { measurementId: 'G-2', apiSecret: 'ga-secret' },
    });
    expect(JSON.stringify([await desk.shops(), await desk.destinations()])).not.toContain('ga-secret');
    expect(await audit()).toEqual([
      'destination.create acme-ga4',
      'shop.create beta.myshopify.com',
      'shop.link beta.myshopify.com',
      'destination.update acme-ga4',
    ]);
  });

  it('sets and takes away a token, and marks a shop uninstalled without deleting it', async () => {
    const { desk } = registry;
    must(await desk.createShop({ domain: 'beta.myshopify.com', accessToken: 'shpat_x' }, 'kim'));
    expect(must(await desk.updateShop('beta.myshopify.com', { accessToken: null }, 'kim')).accessTokenSet).toBe(false);
    must(await desk.updateShop('beta.myshopify.com', { accessToken: 'shpat_y' }, 'kim'));
    const gone = must(await desk.uninstallShop('beta.myshopify.com', 'kim'));
    expect(gone).toMatchObject({ accessTokenSet: false, uninstalledAt: new Date(Date.UTC(2026, 10, 23, 12)) });
    expect(registry.shopByDomain('real', 'beta.myshopify.com')?.accessToken).toBeNull();
    const back = must(await desk.updateShop('beta.myshopify.com', { accessToken: 'shpat_z' }, 'kim'));
    expect(back).toMatchObject({ accessTokenSet: true, uninstalledAt: null });
  });

  it.each([
    [{ ...GA4, kind: 'ga5' }, 'kind'],
    [{ ...GA4, measurementId: undefined }, 'measurementId'],
    [{ ...GA4, measurmentId: 'x' }, 'measurmentId'],
    [{ ...GA4, measurementId: 'G-refused' }, 'measurementId'],
    [{ ...GA4, name: 'Not A Name' }, 'name'],
  ])('refuses %j and names the key %s', async (input, key) => {
    const written = await registry.desk.createDestination(input, 'kim');
    expect(written).toMatchObject({ ok: false, refusal: 'invalid' });
    expect(written.ok ? [] : written.faults.map((fault) => fault.key)).toEqual([key]);
    expect(await audit()).toEqual([]);
  });

  it('refuses a second one of the same name, an unknown destination, and a change of kind', async () => {
    const { desk } = registry;
    must(await desk.createDestination(GA4, 'kim'));
    expect(await desk.createDestination(GA4, 'kim')).toMatchObject({ refusal: 'exists' });
    expect(await desk.createShop({ ...ACME, destinations: ['acme-ga5'] }, 'kim')).toMatchObject({
      refusal: 'invalid',
      faults: [{ key: 'destinations[0]', message: expect.stringContaining('did you mean acme-ga4?') as string }],
    });
    expect(await desk.updateDestination('acme-ga4', { kind: 'segment' }, 'kim')).toMatchObject({ refusal: 'invalid' });
    expect(await desk.updateShop('nobody.myshopify.com', {}, 'kim')).toMatchObject({ refusal: 'not-found' });
  });

  it('bears many writers at once', async () => {
    const names = Array.from({ length: 8 }, (_, index) => `d-${index}`);
    await Promise.all(names.map((name) => registry.desk.createDestination({ ...GA4, name }, 'kim')));
    const twice = await Promise.all(
      ['a', 'b'].map(() => registry.desk.createShop({ ...ACME, destinations: names }, 'kim')),
    );
    expect(twice.map(({ ok }) => ok).sort()).toEqual([false, true]);
    expect(registry.shopByDomain('real', ACME.domain)?.destinationIds).toHaveLength(8);
  });
});

it('sees what another process wrote, and tells its listeners', async () => {
  const loop = registry.watch().start();
  try {
    const seen: string[] = [];
    registry.onChange((snapshot) => seen.push(snapshot.version));
    await create().applyDeclared(declared([ACME], [GA4, LAKE]), 'real');
    await until(() => registry.shopByDomain('real', 'acme.myshopify.com'));
    expect(seen).toEqual([registry.current.version]);
  } finally {
    await loop.stop();
  }
});

it('says which key is missing when what is stored was sealed with another', async () => {
  await registry.applyDeclared(declared([ACME], [GA4, LAKE]), 'real');
  const other = new Registry({
    source,
    secrets: new SecretBox([Buffer.alloc(32, 8)]),
    clock: new ManualClock(0),
    ids: new SeededRandom(1),
    log: silentLogger,
    adapters: ADAPTERS,
  });
  await expect(other.refresh()).rejects.toThrow(/PLUMBLINE_SECRET_KEY does not hold/);
});
