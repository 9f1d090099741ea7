import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BuiltService } from '../support/built-service.js';
import { requireTool, toolPath } from '../support/requires.js';
import { until } from '../support/until.js';

const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
// Set to keep pictures of what the tests looked at, for the README or for a look of one's own.
const PICTURES = process.env['PLUMBLINE_PICTURES'];

requireTool('chromium')('what a newcomer sees', () => {
  let service: BuiltService;
  let browser: Browser;
  const urls: Record<string, string> = {};

  beforeAll(async () => {
    service = await (await BuiltService.start({ PLUMBLINE_SANDBOX: 'on' })).untilReady();
    urls['start-page'] = `${service.url}/`;
    urls['runbook'] = `${service.url}/runbooks/order-missing`;
    urls['runbooks'] = `${service.url}/runbooks`;
    urls['status-page'] = `${service.url}/status`;
    urls['sandbox'] = /Sandbox\s+(http:\S+)/.exec(service.stdout)?.[1] ?? '';
    browser = await chromium.launch({ executablePath: toolPath('chromium') ?? '', args: QUIET });
    // Something has been sold and has arrived, so that the pages show what they are for.
    await until(
      async () => {
        const state = (await (await fetch(`${urls['sandbox']}/control/state`)).json()) as {
          destinations: { arrived: number }[];
        };
        return state.destinations.every(({ arrived }) => arrived >= 8);
      },
      { timeoutMs: 40_000, everyMs: 250 },
    );
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await service?.stop();
  });

  async function visit(
    name: string,
    width: number,
    colorScheme: 'light' | 'dark',
  ): Promise<{ page: Page; complaints: string[] }> {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    const complaints: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    const response = await page.goto(urls[name] ?? '', { waitUntil: 'load' });
    expect(response?.status()).toBe(200);
    if (PICTURES) {
      await mkdir(PICTURES, { recursive: true });
      await page.screenshot({ path: join(PICTURES, `${name}-${width}-${colorScheme}.png`), fullPage: true });
    }
    return { page, complaints };
  }

  for (const name of ['start-page', 'status-page', 'sandbox', 'runbook', 'runbooks']) {
    for (const width of [360, 1280]) {
      for (const scheme of ['light', 'dark'] as const) {
        it(`shows ${name} at ${width} px, ${scheme}, without scrolling sideways and without a complaint of the browser`, async () => {
          const { page, complaints } = await visit(name, width, scheme);
          const overflow = await page.evaluate(
            'document.documentElement.scrollWidth - document.documentElement.clientWidth',
          );
          expect(overflow).toBeLessThanOrEqual(0);
          expect(complaints).toEqual([]);
          await page.close();
        });
      }
    }

    it(`names every control and landmark of ${name} for those who do not see it`, async () => {
      const { page } = await visit(name, 1280, 'light');
      const nameless = await page.evaluate(`[...document.querySelectorAll('button, a[href], input, select, textarea')]
        .filter((element) => !(element.textContent.trim() || element.getAttribute('aria-label') ||
          element.labels?.length || element.getAttribute('aria-labelledby')))
        .map((element) => element.outerHTML.slice(0, 120))`);
      expect(nameless).toEqual([]);
      expect(await page.evaluate('document.documentElement.lang')).toBeTruthy();
      expect(await page.evaluate("document.querySelectorAll('main').length")).toBe(1);
      expect(await page.evaluate("document.querySelectorAll('h1').length")).toBe(1);
      expect(await page.title()).not.toBe('');
      await page.close();
    });
  }

  it('tells the public that the sandbox’s orders arrive only once a reconciliation has proved it', async () => {
    const status = async (): Promise<string> => (await fetch(urls['status-page'] ?? '')).text();
    const page = await until(
      async () => {
        const text = await status();
        return /<h1>.*?Orders are arriving, and it is proved/s.test(text) && text;
      },
      { timeoutMs: 90_000, everyMs: 500, what: 'the public page is green' },
    );
    expect(page).toMatch(
      /Proved at\s+<time datetime="[^"]+">\d\d:\d\d UTC<\/time>\s+by reconciliation of (\d+) of \1 stores with\s+Shopify/,
    );
    expect(page).toContain('Sandbox.');
    expect(page).not.toContain('myshopify');
  }, 120_000);
});
