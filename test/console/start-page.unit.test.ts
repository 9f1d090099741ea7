import { describe, expect, it } from 'vitest';
import { START_PAGE_STYLE } from '../../src/console/start-page-style.js';
import { age, renderStartPage, verdictOf, type StartPageView } from '../../src/console/start-page.js';

const CALM: StartPageView = {
  version: '1.2.3',
  at: new Date('2026-11-23T12:00:03Z'),
  services: [{ name: 'router', state: 'ok', ageMs: 12, detail: null }],
  totals: {
    webhooksStored: 12_840,
    orders: [{ destinationKind: 'postgres', accepted: 3_198, confirmed: 3_197 }],
    waiting: 7,
    deadLetters: { ours: 0, theirs: 3 },
    held: 1,
  },
  facts: {
    metricsUrl: 'http://127.0.0.1:9464/metrics',
    sandboxUrl: null,
    adminTokenPath: '/data/admin-token',
    database: 'embedded',
    durability: [{ name: 'fsync', value: 'on', durable: true }],
  },
};

const withServices = (...states: StartPageView['services'][number]['state'][]): StartPageView => ({
  ...CALM,
  services: states.map((state, index) => ({ name: `s${index}`, state, ageMs: 1, detail: null })),
});

describe('the headline', () => {
  it.each<[string, StartPageView]>([
    ['Everything runs.', CALM],
    ['It runs; not everything is proved yet.', withServices('ok', 'unknown')],
    ['Trouble with s1; it is tried again.', withServices('ok', 'failing', 'unknown')],
    ['One service has stopped.', withServices('dead', 'failing')],
    ['2 services have stopped.', withServices('dead', 'dead')],
    ['The database is away.', { ...withServices('dead'), totals: null }],
    [
      'It runs, but a power cut would lose orders.',
      { ...CALM, facts: { ...CALM.facts, durability: [{ name: 'fsync', value: 'off', durable: false }] } },
    ],
  ])('%s', (headline, view) => {
    expect(verdictOf(view).headline).toBe(headline);
    expect(renderStartPage(view)).toContain(`<h1>${headline}</h1>`);
  });

  it('comes with a notice for weak durability that names the setting, and for unknown durability', () => {
    const weak = { ...CALM.facts, durability: [{ name: 'fsync', value: 'off', durable: false }] };
    expect(verdictOf({ ...CALM, facts: weak }).notices.join()).toMatch(/fsync = off.*database-not-durable/);
    expect(verdictOf({ ...CALM, facts: { ...CALM.facts, durability: null } }).notices).toHaveLength(1);
    expect(verdictOf(CALM).notices).toEqual([]);
  });
});

describe('the page', () => {
  it('says where everything is', () => {
    const page = renderStartPage(CALM);
    for (const place of ['/healthz', '/api/openapi.json', 'http://127.0.0.1:9464/metrics', '/data/admin-token']) {
      expect(page).toContain(place);
    }
    expect(page).toMatch(/12,840/);
    expect(page).toMatch(/3,198<\/td>\s*<td class="number">3,197/);
  });

  it('says where signals, proofs and reconciliations are to be seen', () => {
    const page = renderStartPage(CALM);
    for (const noun of ['signals', 'proofs', 'reconciliations']) expect(page).toContain(`npx plumbline ${noun}`);
  });

  it('reads itself again only while the sandbox runs, and links its control page then', () => {
    expect(renderStartPage(CALM)).not.toContain('http-equiv="refresh"');
    const sandbox = renderStartPage({ ...CALM, facts: { ...CALM.facts, sandboxUrl: 'http://127.0.0.1:8090' } });
    expect(sandbox).toMatch(/<meta http-equiv="refresh" content="5" \/>/);
    expect(sandbox).toContain('href="http://127.0.0.1:8090"');
  });

  it('says that nothing is known while the database is away, instead of zeros', () => {
    const page = renderStartPage({ ...CALM, totals: null });
    expect(page).toContain('Unknown while the database is away.');
    expect(page).not.toContain('Webhooks stored');
  });

  it('calls an order accepted and not read back "not proved"', () => {
    const orders = [{ destinationKind: 'ga4' as const, accepted: 5, confirmed: 0 }];
    expect(renderStartPage({ ...CALM, totals: { ...CALM.totals!, orders } })).toContain('not proved');
  });

  it('escapes what it shows', () => {
    const services = [{ name: '<script>alert(1)</script>', state: 'ok' as const, ageMs: null, detail: '"\'&' }];
    const page = renderStartPage({ ...CALM, services });
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(page).toContain('&quot;&#39;&amp;');
  });

  it('needs nothing that its policy forbids: no script, no inline style, no image', () => {
    const page = renderStartPage(withServices('ok', 'dead', 'failing', 'unknown', 'degraded'));
    expect(page).not.toMatch(/<script|<style|<img|\sstyle=|\son\w+=/i);
  });

  it('tells states by word and sign, not by colour alone', () => {
    const page = renderStartPage(withServices('ok', 'dead'));
    expect(page).toMatch(/● *<\/span>\s*runs/);
    expect(page).toMatch(/■ *<\/span>\s*dead/);
  });
});

/** Source: WCAG 2.2, 1.4.3: relative luminance, and 4.5:1 for text. */
function contrast(a: string, b: string): number {
  const luminance = (hex: string): number => {
    const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
      const value = parseInt(hex.slice(at, at + 2), 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [light = 0, dark = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

it('has text of at least 4.5:1 in light and dark', () => {
  const schemes = [...START_PAGE_STYLE.matchAll(/--paper: (#\w+);[^}]*/g)].map(([block]) => ({
    paper: /--paper: (#\w+)/.exec(block)?.[1] ?? '',
    texts: ['ink', 'quiet', 'accent', 'broken'].map((name) => new RegExp(`--${name}: (#\\w+)`).exec(block)?.[1] ?? ''),
  }));
  expect(schemes).toHaveLength(2);
  for (const { paper, texts } of schemes) {
    for (const text of texts) expect(contrast(paper, text)).toBeGreaterThanOrEqual(4.5);
  }
});

it.each([
  [300, 'now'],
  [5_000, '5 s ago'],
  [600_000, '10 min ago'],
  [36_000_000, '10 h ago'],
])('%i ms is %s', (ms, text) => {
  expect(age(ms)).toBe(text);
});
