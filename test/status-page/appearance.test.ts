import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { AxeResults } from 'axe-core';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { requireTool, toolPath } from '../support/requires.js';
import { DAY_MS, DOMAINS, HOUR_MS, incident, MINUTE_MS, NOON_MS, PageRig } from './page-rig.js';

const QUIET = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
// Set to keep pictures of what the tests looked at.
const PICTURES = process.env['PLUMBLINE_PICTURES'];

const past = incident({
  id: 'inc000000001',
  title: 'Orders arrived late at Google Analytics 4',
  state: 'resolved',
  severity: 1,
  components: ['delivery:ga4'],
  ordersLate: 1_204,
  startedAt: new Date(NOON_MS - 21 * DAY_MS),
  declaredAt: new Date(NOON_MS - 21 * DAY_MS + 4 * MINUTE_MS),
  mitigatedAt: new Date(NOON_MS - 21 * DAY_MS + HOUR_MS),
  resolvedAt: new Date(NOON_MS - 21 * DAY_MS + 3 * HOUR_MS),
});

/** Each is a state that the public may see, made on a page that is proved and has a past. */
const STATES: Record<string, (rig: PageRig) => Promise<void>> = {
  proved: () => Promise.resolve(),
  degraded: async (rig) => {
    await rig.signals.report({ kind: 'dead-letters-growing', subject: 'a', facts: { lane: 'ours' }, evidence: '/' });
    const until = new Date(NOON_MS + 3 * HOUR_MS);
    await rig.page.publish();
    await rig.page.desk.say({
      component: 'intake',
      worsen: null,
      note: 'We move to a larger machine at 18:00 UTC.',
      from: null,
      until,
      actor: 'ann',
    });
    const from = new Date(NOON_MS + 6 * HOUR_MS);
    await rig.page.desk.say({
      component: 'intake',
      worsen: 'under_maintenance',
      note: 'A larger machine. Orders are taken in throughout.',
      from,
      until: new Date(from.getTime() + HOUR_MS),
      actor: 'ann',
    });
  },
  major: async (rig) => {
    for (const [index, domain] of DOMAINS.entries()) {
      await rig.signals.report({
        kind: 'subscription-removed',
        subject: `${domain}/orders/paid`,
        shopId: String(index + 1),
        facts: { recreatedAt: null },
        evidence: '/',
      });
    }
    rig.incidents = [
      incident({
        id: 'inc000000002',
        severity: 1,
        shops: DOMAINS,
        title: 'Shopify has stopped sending orders of all stores',
        startedAt: new Date(NOON_MS - 9 * MINUTE_MS),
        declaredAt: new Date(NOON_MS - 8 * MINUTE_MS),
        ordersLost: 318,
        nextUpdateAt: new Date(NOON_MS + 18 * MINUTE_MS),
        components: ['intake', 'delivery:ga4'],
      }),
      ...rig.incidents,
    ];
    rig.updates.set('inc000000002', [
      {
        id: '2',
        at: new Date(NOON_MS - 2 * MINUTE_MS),
        state: 'identified',
        body: 'The subscriptions were removed after failed deliveries. They are being made again, and every order sold meanwhile will be brought in.',
        actor: null,
        nextUpdateAt: null,
      },
      {
        id: '1',
        at: new Date(NOON_MS - 8 * MINUTE_MS),
        state: 'investigating',
        body: 'No orders arrive. We are looking into it.',
        actor: null,
        nextUpdateAt: null,
      },
    ]);
    rig.incidents = rig.incidents.map((each) =>
      each.id === 'inc000000002' ? { ...each, state: 'identified' as const } : each,
    );
  },
  unknown: async (rig) => {
    await rig.page.publish();
    rig.clock.advance(7 * MINUTE_MS);
  },
  sandbox: (rig) => {
    rig.shops = rig.shops.map((each) => ({ ...each, world: 'sandbox' }));
    rig.destinations = rig.destinations.map((each) => ({ ...each, world: 'sandbox' }));
    rig.incidents = [];
    return Promise.resolve();
  },
};

requireTool('chromium')('how the status page looks', () => {
  const rigs: Record<string, PageRig> = {};
  let browser: Browser;

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: toolPath('chromium') ?? '', args: QUIET });
    for (const [name, make] of Object.entries(STATES)) {
      const rig = await PageRig.open({ settings: { contact: 'mailto:help@example.com' } });
      rigs[name] = rig;
      rig.proveAll();
      rig.sell();
      rig.incidents = [past];
      await make(rig);
      if (name !== 'unknown') await rig.page.publish();
    }
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    for (const rig of Object.values(rigs)) await rig.close();
  });

  const PAGES: [string, string, string][] = [
    ...Object.keys(STATES).map((name): [string, string, string] => [name, name, '']),
    ['history', 'proved', '/history#2026-11-02'],
    ['incident', 'major', '/incidents/inc000000002'],
  ];
  for (const [name, state, path] of PAGES) {
    it(`${name}: axe-core finds nothing, nothing scrolls sideways and the browser does not complain, at 360 and 1280 px, light and dark`, async () => {
      for (const width of [360, 1280]) {
        for (const colorScheme of ['light', 'dark'] as const) {
          const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
          const complaints: string[] = [];
          page.on('console', (message) => {
            if (message.type() === 'error') complaints.push(message.text());
          });
          await page.goto(`${rigs[state]?.url}${path}`, { waitUntil: 'load' });
          if (PICTURES) await picture(page, `${name}-${width}-${colorScheme}`);
          // Closed, the days of a component are no target for anybody; opened, each must be one.
          await page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))");
          if (PICTURES && name === 'proved') await picture(page, `${name}-open-${width}-${colorScheme}`);
          expect(
            await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth'),
          ).toBeLessThanOrEqual(0);
          expect(complaints).toEqual([]);
          expect([width, colorScheme, await violations(page)]).toEqual([width, colorScheme, []]);
          await page.close();
        }
      }
    }, 120_000);
  }

  it('needs no pointer: every day is reached by keyboard, and tells its name when it is', async () => {
    const page = await browser.newPage({ viewport: { width: 360, height: 900 } });
    await page.goto(rigs['proved']?.url ?? '', { waitUntil: 'load' });
    await page.focus('details summary');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    const focused = (): Promise<string> => page.evaluate('document.activeElement.querySelector(".tip").textContent');
    expect(await focused()).toBe('26 Aug 2026: no data');
    for (let index = 0; index < 89; index++) await page.keyboard.press('Tab');
    expect(await focused()).toBe('23 Nov 2026: 100 %, not final');
    const shown = await page.evaluate('getComputedStyle(document.activeElement.querySelector(".tip")).clipPath');
    expect(shown).toBe('none');
    await page.close();
  });
});

async function picture(page: Page, name: string): Promise<void> {
  await mkdir(PICTURES ?? '', { recursive: true });
  await page.screenshot({ path: join(PICTURES ?? '', `status-${name}.png`), fullPage: true });
}

/** Every rule of WCAG up to 2.2 AA and axe's own good practice. */
async function violations(page: Page): Promise<string[]> {
  // The page's own policy allows no script, so the checker comes in past it.
  const client = await page.context().newCDPSession(page);
  await client.send('Page.setBypassCSP', { enabled: true });
  await page.reload({ waitUntil: 'load' });
  await page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))");
  await page.addScriptTag({ path: AXE });
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const results: AxeResults = await page.evaluate(
    `axe.run(document, { runOnly: { type: 'tag', values: ${JSON.stringify(tags)} } })`,
  );
  // A checker that has looked at nothing finds nothing.
  expect(results.passes.length).toBeGreaterThan(20);
  return results.violations.map(
    ({ id, nodes }) => `${id}: ${nodes.length} × ${nodes[0]?.html.slice(0, 160)} ${nodes[0]?.failureSummary}`,
  );
}
