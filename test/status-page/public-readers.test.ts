import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RelaxNGValidator, XmlDocument } from 'libxml2-wasm';
import RssParser from 'rss-parser';
import { Statuspage } from 'statuspage.io';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DAY_MS, HOUR_MS, incident, MINUTE_MS, NOON_MS, PageRig } from './page-rig.js';

const HERE = dirname(fileURLToPath(import.meta.url));
// Bodies in Statuspage's own shape that may lie beside the project; read in place, never copied.
const BESIDE = join(HERE, '../../../shared/data/statuspage');

const DOCUMENTS = [
  'summary',
  'status',
  'components',
  'incidents',
  'incidents/unresolved',
  'scheduled-maintenances',
  'scheduled-maintenances/upcoming',
  'scheduled-maintenances/active',
];

/** One incident open and one over, one maintenance under way and one to come. */
async function publishEverything(rig: PageRig): Promise<void> {
  rig.proveAll();
  rig.sell();
  const open = incident({ id: 'inc000000002', title: 'Orders of acme.myshopify.com & others <late>' });
  const over = incident({
    id: 'inc000000001',
    state: 'resolved',
    severity: 1,
    components: ['delivery:ga4'],
    startedAt: new Date(NOON_MS - 21 * DAY_MS),
    declaredAt: new Date(NOON_MS - 21 * DAY_MS + MINUTE_MS),
    mitigatedAt: new Date(NOON_MS - 21 * DAY_MS + HOUR_MS),
    resolvedAt: new Date(NOON_MS - 21 * DAY_MS + 2 * HOUR_MS),
  });
  rig.incidents = [open, over];
  rig.updates.set('inc000000001', [
    {
      id: '3',
      at: new Date(NOON_MS - 21 * DAY_MS + 2 * HOUR_MS),
      state: 'resolved',
      body: 'No order was lost.',
      actor: null,
      nextUpdateAt: null,
    },
    {
      id: '2',
      at: new Date(NOON_MS - 21 * DAY_MS + HOUR_MS),
      state: 'monitoring',
      body: 'It takes orders again.',
      actor: null,
      nextUpdateAt: null,
    },
    {
      id: '1',
      at: new Date(NOON_MS - 21 * DAY_MS + MINUTE_MS),
      state: 'investigating',
      body: 'Deliveries are held.',
      actor: null,
      nextUpdateAt: null,
    },
  ]);
  await rig.page.publish();
  for (const [from, hours] of [
    [new Date(NOON_MS), 1],
    [new Date(NOON_MS + DAY_MS), 2],
  ] as const) {
    const until = new Date(from.getTime() + hours * HOUR_MS);
    const said = await rig.page.desk.say({
      component: 'status',
      worsen: 'under_maintenance',
      note: 'A larger disk.',
      from,
      until,
      actor: 'ann',
    });
    expect(said).toHaveProperty('entry');
  }
  rig.clock.advance(MINUTE_MS);
  rig.say('inc000000002', 'identified', 'Shopify had stopped sending them.');
  await rig.page.publish();
}

describe('who reads the page by program', () => {
  let rig: PageRig;

  beforeAll(async () => {
    rig = await PageRig.open();
    await publishEverything(rig);
  });
  afterAll(() => rig.close());

  it('npm’s statuspage.io finds components, the open incident and maintenance', async () => {
    const client = new Statuspage('any');
    client.setApiUrl(rig.url);
    const { page, status } = await client.api.getStatus();
    expect(page.name).toBe('Acme Pipeline');
    expect(status.indicator).toBe('major');
    // Its own type of a summary says that no such thing can be.
    const { components } = (await client.api.getSummary()) as { components: { name: string; status: string }[] };
    expect(components.map((each) => [each.name, each.status])).toEqual([
      ['Intake', 'partial_outage'],
      ['Processing', 'operational'],
      ['Delivery to Google Analytics 4', 'operational'],
      ['Delivery to data warehouses', 'operational'],
      ['Reconciliation', 'operational'],
      ['This page', 'under_maintenance'],
    ]);
    expect((await client.api.getComponents()).components).toHaveLength(6);
    expect((await client.api.incidents.getAll()).incidents.map(({ status: state }) => state)).toEqual([
      'identified',
      'resolved',
    ]);
    expect((await client.api.incidents.getUnresolved()).incidents).toMatchObject([
      { name: 'Orders of a store & others <late>', impact: 'major', incident_updates: [{ status: 'identified' }] },
    ]);
    expect((await client.api.scheduledMaintenances.getUpcoming()).scheduled_maintenances).toMatchObject([
      { status: 'scheduled' },
    ]);
  });

  it('rss-parser reads both feeds, with one item an incident under the same id', async () => {
    const parser = new RssParser();
    const [atom, rss] = await Promise.all([
      parser.parseURL(`${rig.url}/history.atom`),
      parser.parseURL(`${rig.url}/history.rss`),
    ]);
    const ids = [
      'tag:status.example.com,2005:Incident/inc000000002',
      'tag:status.example.com,2005:Incident/inc000000001',
    ];
    expect(atom.items.map((item) => (item as { id?: string }).id)).toEqual(ids);
    expect(rss.items.map(({ guid }) => guid)).toEqual(ids);
    expect(atom.items[0]?.title).toBe('Orders of a store & others <late>');
    expect(rss.items[0]?.title).toBe('Orders of a store & others <late>');
    expect(atom.items[1]?.content).toContain('<strong>Resolved</strong> - No order was lost.');
    expect(atom.items[1]?.link).toBe('https://status.example.com/incidents/inc000000001');
    // When it was published, not when it last changed: readers would show it as new with every update.
    expect(new Date(rss.items[1]?.pubDate ?? '').getTime()).toBe(NOON_MS - 21 * DAY_MS + MINUTE_MS);
  });

  it('history.atom is Atom by the schema of RFC 4287', async () => {
    const feed = XmlDocument.fromString(await (await rig.get('/history.atom')).text());
    const grammar = XmlDocument.fromString(await readFile(join(HERE, 'atom.rng'), 'utf8'));
    const validator = RelaxNGValidator.fromDoc(grammar);
    expect(() => validator.validate(feed)).not.toThrow();
    const broken = XmlDocument.fromString(
      (await (await rig.get('/history.atom')).text()).replace(/<updated>.*?<\/updated>/, ''),
    );
    expect(() => validator.validate(broken)).toThrow();
    for (const each of [feed, broken, grammar, validator]) each.dispose();
  });

  it('an incident changes in place: the same ids, a later updated', async () => {
    const updatedOf = async (): Promise<string[]> =>
      (await (await rig.get('/history.atom')).text()).match(/<updated>.*?<|<id>.*?</g) ?? [];
    const before = await updatedOf();
    rig.clock.advance(10 * MINUTE_MS);
    rig.say('inc000000002', 'monitoring', 'They arrive again.');
    await rig.page.publish();
    const after = await updatedOf();
    expect(after.filter((each) => each.startsWith('<id>'))).toEqual(before.filter((each) => each.startsWith('<id>')));
    expect(after[1]).toBe('<updated>2026-11-23T12:11:00Z<');
    expect(after.slice(-1)).toEqual(before.slice(-1));
  });

  it('ids are 12 lower-case letters and digits, instants RFC 3339 with milliseconds, and no key is left out', async () => {
    for (const name of DOCUMENTS) {
      const body = await rig.json<Record<string, unknown>>(`${name}.json`);
      walk(body, (key, value) => {
        if (/(?:^|_)id$|^code$/.test(key) && value !== null && key !== 'group_id' && key !== 'tweet_id') {
          expect([name, key, value]).toEqual([name, key, expect.stringMatching(/^[0-9a-z]{12}$/)]);
        }
        if (/_at$|^scheduled_/.test(key) && typeof value === 'string') {
          expect(value).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        }
      });
    }
  });

  describe.skipIf(!existsSync(BESIDE))('beside bodies of Statuspage’s own shape', () => {
    it.each(DOCUMENTS)('%s.json has the same keys in the same order', async (name) => {
      const theirs = JSON.parse(readFileSync(join(BESIDE, `${name.replaceAll('/', '-')}.json`), 'utf8')) as unknown;
      const ours = await rig.json<unknown>(`${name}.json`);
      const [known, found] = [new Map<string, string>(), new Map<string, string>()];
      shapeOf(theirs, '', known);
      shapeOf(ours, '', found);
      expect(found.size).toBeGreaterThan(1);
      for (const [path, keys] of found) expect([path, keys]).toEqual([path, known.get(path)]);
    });
  });
});

function walk(value: unknown, look: (key: string, value: unknown) => void): void {
  if (Array.isArray(value)) return value.forEach((each) => walk(each, look));
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    look(key, inner);
    walk(inner, look);
  }
}

/** The keys of every object, in their order, by where it stands. Groups of components, which we have none of, aside. */
function shapeOf(value: unknown, path: string, into: Map<string, string>): void {
  if (Array.isArray(value)) return value.forEach((each) => shapeOf(each, `${path}[]`, into));
  if (typeof value !== 'object' || value === null) return;
  if (!('group' in value && value.group === true)) into.set(path, Object.keys(value).join());
  for (const [key, inner] of Object.entries(value)) shapeOf(inner, `${path}.${key}`, into);
}
