import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Database } from '../../src/kernel/database.js';
import { silentLogger } from '../../src/kernel/log.js';
import { testDatabase } from '../support/test-database.js';
import {
  DAY_MS,
  destination,
  DOMAINS,
  HOUR_MS,
  incident,
  MINUTE_MS,
  NOON_MS,
  PageRig,
  shop,
  type RigOptions,
} from './page-rig.js';

interface Summary {
  status: { indicator: string; description: string };
  components: { name: string; status: string; description: string }[];
  incidents: { name: string; status: string }[];
}

const rigs: PageRig[] = [];
async function open(options: RigOptions = {}): Promise<PageRig> {
  const rig = await PageRig.open(options);
  rigs.push(rig);
  return rig;
}
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
});

/** What the public is told of each component, as programs read it. */
async function told(rig: PageRig): Promise<string[]> {
  const { components } = await rig.json<Summary>('summary.json');
  return components.map(({ name, status }) => `${name}: ${status}`);
}
const banner = async (rig: PageRig): Promise<string> =>
  /<h1>.*?<\/svg>\s*<span>(.*?)<\/span>/s.exec(await (await rig.get()).text())?.[1] ?? '';
const indicator = async (rig: PageRig): Promise<string> => (await rig.json<Summary>('status.json')).status.indicator;

describe('the public page', () => {
  it('says unknown before anything was published, and before anything is proved', async () => {
    const rig = await open();
    expect(await banner(rig)).toBe('Unknown: nothing is proved right now');
    expect(await rig.text()).toContain('Nothing has been published yet.');
    expect(await indicator(rig)).toBe('major');
    await rig.page.publish();
    expect(await told(rig)).toEqual([
      'Intake: partial_outage',
      'Processing: partial_outage',
      'Delivery to Google Analytics 4: partial_outage',
      'Delivery to data warehouses: partial_outage',
      'Reconciliation: partial_outage',
      'This page: operational',
    ]);
    expect((await rig.json<Summary>('summary.json')).components[0]?.description).toBe(
      'Unknown: Nothing proves yet that it works.',
    );
  });

  it('tells a removal from its start to its end, and is green again only when it is proved', async () => {
    const rig = await open();
    rig.proveAll();
    await rig.page.publish();
    expect(await banner(rig)).toBe('Orders are arriving, and it is proved');
    expect(await rig.text()).toContain(
      'Proved at 11:57 UTC by reconciliation of 4 of 4 stores with Shopify, 3 minutes ago.',
    );
    expect(await indicator(rig)).toBe('none');

    // Shopify removes the subscription of one store of four.
    rig.clock.advance(MINUTE_MS);
    const finding = {
      kind: 'subscription-removed' as const,
      subject: `${DOMAINS[0]}/orders/paid`,
      shopId: '1',
      facts: { topic: 'orders/paid', recreatedAt: null as string | null },
      evidence: '/api/v1/subscriptions',
    };
    await rig.signals.report(finding);
    await rig.page.publish();
    expect(await banner(rig)).toBe('Partial outage: Intake');
    expect(await rig.text()).toContain('Shopify does not send some events of 1 of 4 stores.');
    expect(await indicator(rig)).toBe('major');

    // An incident is declared; it names the store, the page does not.
    rig.incidents = [
      incident({
        title: `Orders of ${DOMAINS[0]} are not sent by Shopify`,
        declaredAt: rig.clock.now(),
        nextUpdateAt: new Date(NOON_MS + 31 * MINUTE_MS),
      }),
    ];
    rig.say('inc000000001', 'identified', 'The subscription was removed. It has been made again.');
    await rig.page.publish();
    const page = await rig.text();
    expect(page).toContain('Orders of a store are not sent by Shopify');
    expect(page).toContain('Next update by 12:31 UTC.');
    expect(page).not.toContain('acme');

    // It is there again. Nothing is proved of the time between.
    await rig.live(10 * MINUTE_MS);
    finding.facts.recreatedAt = rig.clock.now().toISOString();
    await rig.signals.report(finding);
    rig.incidents = [incident({ ...rig.incidents[0], state: 'monitoring', mitigatedAt: rig.clock.now() })];
    await rig.page.publish();
    expect(await banner(rig)).toBe('Degraded: Intake');
    expect(await indicator(rig)).toBe('minor');

    // A reconciliation has covered it.
    await rig.live(20 * MINUTE_MS);
    rig.proveAll();
    await rig.signals.close('subscription-removed', finding.subject);
    rig.incidents = [
      incident({ ...rig.incidents[0], state: 'resolved', resolvedAt: rig.clock.now(), ordersRecovered: 7 }),
    ];
    rig.say('inc000000001', 'resolved', '7 orders were brought in. None was lost.');
    await rig.page.publish();
    expect(await banner(rig)).toBe('Orders are arriving, and it is proved');
    expect(await rig.text()).toContain('Proved at 12:28 UTC');
    const past = await rig.text('/incidents/inc000000001');
    expect(past).toContain('Orders lost none');
    expect(past).toContain('Orders brought in since 7');
    expect(await rig.text('/history')).toContain('Orders of a store are not sent by Shopify');

    // What was told stands in the book, each change once.
    const changes = await rig.db.database.rows<{ at: Date; state: string }>(
      `select at, state from status_page.state_change where component = 'intake' order by seq`,
    );
    expect(changes.map(({ at, state }) => [(at.getTime() - NOON_MS) / MINUTE_MS, state])).toEqual([
      [0, 'operational'],
      [1, 'partial_outage'],
      [11, 'degraded_performance'],
      [31, 'operational'],
    ]);
  });

  it('tells an outage of a destination on that destination alone, as held and not lost', async () => {
    const rig = await open();
    rig.proveAll();
    await rig.signals.report({
      kind: 'destination-refusing',
      subject: 'acme-ga4',
      destinationId: 1,
      facts: {},
      evidence: '/',
    });
    await rig.page.publish();
    expect((await told(rig)).filter((each) => !each.endsWith('operational'))).toEqual([
      'Delivery to Google Analytics 4: major_outage',
    ]);
    expect(await rig.text()).toContain('Orders are held, not lost');
    expect(await rig.text()).not.toContain('acme-ga4');
  });

  it('turns unknown by itself when the proof is too old, although it is published every few seconds', async () => {
    const rig = await open();
    rig.proveAll();
    await rig.page.publish();
    rig.clock.advance(117 * MINUTE_MS);
    await rig.page.publish();
    expect(await indicator(rig)).toBe('none');
    rig.clock.advance(MINUTE_MS / 2);
    await rig.page.publish();
    expect(await banner(rig)).toBe('Unknown: Intake, Processing and 3 more');
    expect(await rig.text()).toContain('Last proved at 11:57 UTC');
    expect(await indicator(rig)).toBe('major');
  });

  it('turns unknown by itself when nobody publishes any more', async () => {
    const rig = await open();
    rig.proveAll();
    await rig.page.publish();
    rig.clock.advance(5 * MINUTE_MS);
    expect(await indicator(rig)).toBe('none');
    rig.clock.advance(1_000);
    expect(await banner(rig)).toBe('Unknown: nothing is proved right now');
    expect(await rig.text()).toContain('Nothing has been published since 12:00 UTC, 5 minutes ago.');
    expect(await indicator(rig)).toBe('major');
    // The history has the gap, although nobody was there to write it down.
    rig.clock.advance(HOUR_MS);
    await rig.page.publish();
    const changes = await rig.db.database.rows<{ at: Date; state: string }>(
      `select at, state from status_page.state_change where component = 'status' order by seq`,
    );
    expect(changes.map(({ at, state }) => [at.getTime() - NOON_MS, state])).toEqual([
      [0, 'operational'],
      [5 * MINUTE_MS + 1, 'unknown'],
      [HOUR_MS + 5 * MINUTE_MS + 1_000, 'operational'],
    ]);
  });

  it('turns a component unknown that nobody watches any more: no signal then means nothing', async () => {
    const rig = await open();
    rig.proveAll();
    rig.stalled.set('dead-letter-watch', new Date(NOON_MS - 7 * MINUTE_MS));
    await rig.page.publish();
    expect(await banner(rig)).toBe('Unknown: Processing');
    expect(await rig.text()).toContain('Nothing has watched it since 11:53 UTC.');
    rig.stalled.clear();
    await rig.page.publish();
    expect(await indicator(rig)).toBe('none');
  });

  it('shows what is open, however much of another kind or world has opened since', async () => {
    const rig = await open();
    rig.shops = [...rig.shops, shop(9, 'pretended.myshopify.com', 'sandbox', [9])];
    rig.proveAll();
    await rig.signals.report({ kind: 'inbox-gap', subject: 'inbox', facts: {}, evidence: '/' });
    const open2000 = (kind: string, shopId: string | null) =>
      rig.db.database.query(
        `insert into monitoring.signal (kind, subject, shop_id, facts, evidence, opened_at, updated_at)
         select $1, 'one/' || n, $2, '{}', '/', $3, $3 from generate_series(1, 2001) as n`,
        [kind, shopId, rig.clock.now()],
      );
    await open2000('notice-unclassified', null);
    await open2000('store-silent', '9');
    rig.incidents = [
      ...Array.from({ length: 100 }, (_, index) =>
        incident({ id: `over${index}`, state: 'resolved', resolvedAt: rig.clock.now(), title: `Gone ${index}` }),
      ),
      incident({ id: 'inc000000001', components: ['delivery:ga4'], title: 'Still at it' }),
    ];
    await rig.page.publish();
    expect((await told(rig)).filter((each) => !each.endsWith('operational'))).toEqual([
      'Intake: partial_outage',
      'Delivery to Google Analytics 4: partial_outage',
    ]);
    expect(await rig.text()).toContain('Still at it');
    // More than it reads: what it has not read may be about any component.
    await open2000('subscription-wrong', '1');
    await rig.page.publish();
    expect(await told(rig)).toContain('Processing: partial_outage');
    expect(await rig.text()).toContain('More is open than this page can read.');
  });

  it('hears people who say it is worse, and nobody who says it is better', async () => {
    const rig = await open();
    rig.proveAll();
    await rig.page.publish();
    const until = new Date(NOON_MS + HOUR_MS);
    const say = (worsen: 'partial_outage' | 'degraded_performance' | null, note: string) =>
      rig.page.desk.say({ component: 'intake', worsen, note, from: null, until, actor: 'ann' });
    const said = await say('partial_outage', 'We see errors at one provider.');
    await rig.page.publish();
    expect(await banner(rig)).toBe('Partial outage: Intake');
    expect(await rig.text()).toContain('We see errors at one provider.');
    expect(await say('degraded_performance', 'It is not that bad.')).toEqual({
      refused: expect.stringContaining('never improve it'),
    });
    await say(null, 'More at noon.');
    await rig.page.publish();
    expect(await rig.text()).toContain('More at noon.');
    // Taken back, what is measured shows again.
    await rig.page.desk.end(said !== null && 'entry' in said ? said.entry.id : '', 'bob');
    await rig.page.publish();
    expect(await indicator(rig)).toBe('none');
    expect(
      await rig.page.desk.say({ component: 'delivery:fax', worsen: null, note: 'x', from: null, until, actor: 'ann' }),
    ).toBeNull();
    expect((await rig.page.desk.entries({ state: 'all' }, { limit: 10 })).items).toHaveLength(2);
    const audit = await rig.db.database.rows<{ action: string; actor: string }>(
      'select action, actor from kernel.audit order by id',
    );
    expect(audit).toEqual([
      { action: 'status.worsen', actor: 'ann' },
      { action: 'status.annotate', actor: 'ann' },
      { action: 'status.end', actor: 'bob' },
    ]);
  });

  it('withholds stores and destinations from what people say of a component', async () => {
    const rig = await open();
    rig.proveAll();
    await rig.page.publish();
    const until = new Date(NOON_MS + HOUR_MS);
    const note = `Orders of ${DOMAINS[0]} wait for acme-lake.`;
    await rig.page.desk.say({ component: 'intake', worsen: null, note, from: null, until, actor: 'ann' });
    await rig.page.publish();
    expect(await rig.text()).toContain('Orders of a store wait for');
    expect(await rig.text()).not.toContain('acme');
  });

  it('publishes what is told of an incident after its end, the same in every process', async () => {
    const rig = await open();
    rig.proveAll();
    rig.incidents = [incident({ state: 'resolved', resolvedAt: rig.clock.now() })];
    rig.say('inc000000001', 'resolved', 'None was lost.');
    await rig.page.publish();
    rig.say('inc000000001', 'resolved', 'The report is out.');
    const other = await open({ db: rig.db });
    [other.incidents, other.shops] = [rig.incidents, rig.shops];
    other.proveAll();
    for (const [id, updates] of rig.updates) other.updates.set(id, updates);
    await rig.page.publish();
    expect(await rig.text('/incidents/inc000000001')).toContain('The report is out.');
    const versions = async () => (await rig.db.database.rows('select version from status_page.published'))[0];
    const before = await versions();
    await other.page.publish();
    await rig.page.publish();
    expect(await versions()).toEqual(before);
  });

  it('ends by itself what people said, at the time they said', async () => {
    const rig = await open();
    rig.proveAll();
    await rig.page.publish();
    await rig.page.desk.say({
      component: 'intake',
      worsen: 'major_outage',
      note: 'Down.',
      from: null,
      until: new Date(NOON_MS + 2 * MINUTE_MS),
      actor: 'ann',
    });
    await rig.page.publish();
    expect(await indicator(rig)).toBe('critical');
    rig.clock.advance(2 * MINUTE_MS);
    expect(await indicator(rig)).toBe('none');
  });

  it('shows the real world when there is one, and says so of the sandbox’s', async () => {
    const rig = await open();
    const real = rig.shops;
    rig.shops = [shop(9, 'pretended.myshopify.com', 'sandbox', [9])];
    rig.destinations = [destination(9, 'pretended-hook', 'webhook', 'sandbox')];
    rig.incidents = [incident({ id: 'inc00sandbox', world: 'sandbox', title: 'Pretended trouble' })];
    rig.proveAll();
    await rig.page.publish();
    expect(await rig.text()).toContain('Sandbox. The stores, the orders and the trouble on this page are pretended.');
    expect(await rig.text()).toContain('Pretended trouble');
    rig.shops = [...rig.shops, ...real];
    rig.destinations = [...rig.destinations, destination(1, 'acme-ga4', 'ga4')];
    rig.proveAll();
    await rig.page.publish();
    const page = await rig.text();
    expect(page).not.toContain('pretended');
    expect(page).not.toContain('Pretended trouble');
    expect(await told(rig)).not.toContain('Delivery to webhooks: operational');
    const worlds = await rig.db.database.rows<{ world: string }>(
      'select distinct world from status_page.state_change order by world',
    );
    expect(worlds).toEqual([{ world: 'real' }, { world: 'sandbox' }]);
  });

  it('tells nothing of incidents that no customer can notice until somebody has', async () => {
    const rig = await open();
    rig.proveAll();
    rig.incidents = [incident({ severity: 3, public: false, title: 'Slow for some' })];
    await rig.page.publish();
    expect(await rig.text()).not.toContain('Slow for some');
    rig.say('inc000000001', 'investigating', 'Some orders are slow.');
    await rig.page.publish();
    expect(await rig.text()).toContain('Slow for some');
  });

  it('counts 90 days in orders, prints the formula, and names every day', async () => {
    const rig = await open();
    rig.proveAll();
    rig.sell();
    await rig.page.publish();
    const page = await rig.text();
    expect(page).toContain("A day's figure: orders taken in ÷ orders sold.");
    expect(page).toContain('Yesterday not settled yet');
    expect(page).toMatch(/28 days 99\.99\d? % [\d,]+ of [\d,]+ orders, 27 of 28 days settled/);
    const source = await (await rig.get()).text();
    expect(source).toContain('<span class="tip">2 Nov 2026: 99.88 %</span>');
    expect(source.match(/<a[^>]*class="day [^"]*"/g)).toHaveLength(6 * 90);
    const history = await (await rig.get('/history')).text();
    const days = [...source.matchAll(/history#(\d{4}-\d\d-\d\d)/g)].map(([, day]) => day);
    expect(days.filter((day) => !history.includes(`<li id="${day}">`))).toEqual([]);
  });
});

describe('with several processes', () => {
  it('serves what another one has published, and keeps each change once', async () => {
    const one = await open();
    const other = await open({ db: one.db });
    for (const rig of [one, other]) rig.proveAll();
    await Promise.all([one.page.publish(), other.page.publish(), one.page.publish(), other.page.publish()]);
    const reader = await open({ db: one.db });
    expect(await indicator(reader)).toBe('major');
    await reader.page.hear();
    expect(await indicator(reader)).toBe('none');
    const [count] = await one.db.database.rows<{ changes: string }>(
      'select count(*) as changes from status_page.state_change',
    );
    expect(count?.changes).toBe('6');
  });

  it('an older look never overwrites a newer one', async () => {
    const one = await open();
    const other = await open({ db: one.db });
    one.proveAll();
    one.clock.advance(MINUTE_MS);
    await one.page.publish();
    await other.page.publish(); // its clock is a minute behind, and it knows of no proof
    await one.page.hear();
    expect(await indicator(one)).toBe('none');
  });
});

describe('when nobody publishes', () => {
  it('a process that watches tells people after five minutes, once, until somebody does', async () => {
    const rig = await open({ watch: true });
    const other = await open({ db: rig.db, watch: true });
    const stale = async () =>
      (await rig.signals.signals({ kind: 'status-page-stale' }, { limit: 9 })).items.map(({ facts }) => facts);
    const look = async () => {
      for (const each of [rig, other]) await each.page.lookWhetherPublished();
      return stale();
    };
    expect(await look()).toEqual([]);
    rig.clock.advance(5 * MINUTE_MS);
    other.clock.advance(5 * MINUTE_MS);
    expect(await look()).toEqual([]);
    rig.clock.advance(1);
    other.clock.advance(1);
    expect(await look()).toEqual([{ since: new Date(NOON_MS).toISOString() }]);
    await rig.page.publish();
    expect(await look()).toEqual([]);
    rig.clock.advance(6 * MINUTE_MS);
    other.clock.advance(6 * MINUTE_MS);
    expect(await look()).toHaveLength(1);
    expect((await rig.signals.changes('0', 9)).map(({ change }) => change)).toEqual(['opened', 'closed', 'opened']);
  });
});

describe('with a clock that is ahead', () => {
  it('says unknown, and the next publisher writes over what it has confirmed', async () => {
    const rig = await open();
    const ahead = await open({ db: rig.db });
    for (const each of [rig, ahead]) each.proveAll();
    ahead.clock.advance(HOUR_MS);
    ahead.proveAll();
    await ahead.page.publish();
    await rig.page.hear();
    expect(await banner(rig)).toBe('Unknown: nothing is proved right now');
    await rig.page.publish();
    expect(await banner(rig)).toBe('Orders are arriving, and it is proved');
  });
});

describe('while the database is away', () => {
  it('goes on serving the last snapshot, and says how old it is', async () => {
    const own = await testDatabase();
    const database = new Database({ url: own.url, log: silentLogger });
    const rig = await open({ db: { ...own, database } });
    rig.proveAll();
    await rig.page.publish();
    await rig.page.hear();
    await database.end();
    await expect(rig.page.publish()).rejects.toThrow();
    rig.clock.advance(4 * MINUTE_MS);
    expect(await rig.text()).toContain('As of 12:00 UTC, 4 minutes ago.');
    rig.clock.advance(2 * MINUTE_MS);
    expect(await rig.text()).toContain(
      'Nothing has been published since 12:00 UTC, 6 minutes ago: what follows was so then.',
    );
    expect(await indicator(rig)).toBe('major');
  });

  it('serves it also after a restart, from what was last heard', async () => {
    const own = await testDatabase();
    const database = new Database({ url: own.url, log: silentLogger });
    const db = { ...own, database };
    const rig = await open({ db });
    rig.proveAll();
    rig.incidents = [incident({})];
    await rig.page.publish();
    await rig.page.hear();
    await database.end();
    const again = await open({ db, dataDir: rig.dataDir });
    expect(await again.text('/incidents/inc000000001')).toContain('Orders of some stores are not taken in');
    expect(JSON.parse(await readFile(join(rig.dataDir, 'status-page.json'), 'utf8'))).toHaveProperty(
      'publication.version',
    );
    again.clock.advance(DAY_MS);
    expect(await banner(again)).toBe('Partial outage: Intake; not everything else is known');
    expect(await again.text()).toContain('Nothing has been published since 23 Nov 2026, 12:00 UTC, 24 hours ago.');
  });
});
