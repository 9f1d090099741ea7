import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BulkListing } from '../../../src/monitoring/reconciliation/bulk-listing.js';
import { ChosenListing, behindTheWall, chooseWay } from '../../../src/monitoring/reconciliation/choose-listing.js';
import type { ListingPosition, ListingStep, ListingWindow } from '../../../src/monitoring/reconciliation/listing.js';
import { PageListing } from '../../../src/monitoring/reconciliation/page-listing.js';
import type { AdminAnswer, ShopifyAdmin } from '../../../src/pipeline/contract.js';
import { SandboxShop } from '../../support/sandbox-shop.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const never = new AbortController().signal;

describe('the way a window is listed', () => {
  it.each([
    ['pages', 2 * DAY_MS, { count: 9_999, isExact: true }],
    ['pages', 59 * DAY_MS, { count: 0, isExact: true }],
    ['bulk', 2 * DAY_MS, { count: 10_000, isExact: true }],
    ['bulk', 4 * HOUR_MS, { count: 10_000, isExact: false }],
    ['bulk', 4 * HOUR_MS, { count: 25_001, isExact: false }],
    ['pages', 2 * DAY_MS, null],
    ['bulk', 2 * DAY_MS + 1, null],
  ])('is %s for %i ms with %o', (way, widthMs, count) => {
    expect(chooseWay(widthMs, count).by).toBe(way);
  });
});

describe('the 60-day wall', () => {
  const wallMs = Date.parse('2026-09-28T14:00:00Z');
  const from = (text: string): ListingWindow => ({ fromAt: new Date(text), toAt: new Date('2026-11-27T14:00:00Z') });

  it.each([
    ['inside it', '2026-09-28T14:00:00Z', new Set<string>(), null],
    ['behind it', '2026-09-28T13:59:59Z', new Set(['read_orders']), 'orders made before 2026-09-28'],
    ['behind it with the scope', '2025-01-01T00:00:00Z', new Set(['read_all_orders']), null],
    ['behind it when nobody tells the scopes', '2025-01-01T00:00:00Z', null, 'read_all_orders'],
  ])('for a window that begins %s', (_where, fromText, scopes, words) => {
    const told = behindTheWall(from(fromText), wallMs, scopes);
    if (words === null) expect(told).toBeNull();
    else expect(told).toContain(words);
  });
});

describe('a listing that chooses', () => {
  let sandbox: SandboxShop;
  beforeEach(async () => {
    sandbox = await SandboxShop.open();
  });
  afterEach(() => sandbox.close());

  /** An Admin API that counts as it is told; what else is asked, the sandbox answers. */
  function counting(
    count: number,
    precision = 'EXACT',
    other: Partial<Record<string, AdminAnswer>> = {},
  ): ShopifyAdmin {
    return {
      async query(shop, query, variables, signal) {
        const name = /(?:query|mutation) (\w+)/.exec(query)?.[1] ?? '';
        const answer = other[name] ?? (await sandbox.admin.query(shop, query, variables, signal));
        if (name !== 'PlumblineWindow' || answer.outcome !== 'data') return answer;
        return { ...answer, data: { ...answer.data, ordersCount: { count, precision } } };
      },
    };
  }

  function listing(admin: ShopifyAdmin): ChosenListing {
    const { files, clock } = sandbox;
    const bulk = new BulkListing({ admin, files, clock, batch: 2 });
    return new ChosenListing({ admin, clock, pages: new PageListing(admin), bulk });
  }

  const window = (widthMs: number): ListingWindow => {
    const toMs = sandbox.clock.nowMs() + 1_000;
    return { fromAt: new Date(toMs - widthMs), toAt: new Date(toMs) };
  };

  /** Each step by a process that has just started. */
  async function list(admin: ShopifyAdmin, wanted: ListingWindow) {
    let position: ListingPosition = null;
    const listed: string[] = [];
    const ways: unknown[] = [];
    for (;;) {
      const kept = JSON.parse(JSON.stringify(position)) as ListingPosition;
      const step: ListingStep = await listing(admin).step(sandbox.shop, wanted, kept, never);
      if (step.outcome === 'blind') return { listed, ways, last: step };
      if (step.outcome === 'later') sandbox.time.advance(step.retryAfterMs);
      else listed.push(...step.orders.map(({ orderId }) => orderId));
      if (step.outcome === 'orders' && step.complete) return { listed, ways, last: step };
      ({ position } = step);
      ways.push(position?.['by']);
    }
  }

  it('takes pages for a narrow window without asking how much there is', async () => {
    const sold = [sandbox.sell(), sandbox.sell()];
    const { listed } = await list(sandbox.admin, window(HOUR_MS));
    expect(listed).toEqual(sold);
    expect(sandbox.asked).toEqual(['PlumblineSold']);
  });

  it('takes a window that is open towards the future for as wide as what lies in the past of it', async () => {
    const sold = [sandbox.sell(), sandbox.sell()];
    const { fromAt, toAt } = window(HOUR_MS);
    const { listed } = await list(sandbox.admin, { fromAt, toAt: new Date(toAt.getTime() + DAY_MS) });
    expect(listed).toEqual(sold);
    expect(sandbox.asked).toEqual(['PlumblineSold']);
  });

  it('asks once for a wide one, and stays with what it chose', async () => {
    const sold = [1, 2, 3, 4, 5].map(() => sandbox.sell());
    const byPages = await list(sandbox.admin, window(2 * DAY_MS));
    expect(byPages.listed).toEqual(sold);
    expect(sandbox.asked).toEqual(['PlumblineWindow', 'PlumblineSold']);
    sandbox.asked.length = 0;
    const inBulk = await list(counting(10_000, 'AT_LEAST'), window(2 * DAY_MS));
    expect(inBulk.listed).toEqual(sold);
    expect(new Set(inBulk.ways)).toEqual(new Set(['bulk']));
    expect(inBulk.last).toMatchObject({ complete: true, position: null, notCovered: null });
    expect(sandbox.asked.filter((name) => name === 'PlumblineWindow')).toHaveLength(1);
  });

  it('says in every step what the wall hides', async () => {
    sandbox.sell();
    const wide = window(90 * DAY_MS);
    const first = await listing(counting(10_000)).step(sandbox.shop, wide, null, never);
    expect(first).toMatchObject({ outcome: 'orders', notCovered: expect.stringContaining('60 days') });
    expect((await list(counting(10_000), wide)).last).toMatchObject({ notCovered: expect.stringContaining('60 days') });
    expect((await list(counting(10), wide)).last).toMatchObject({ notCovered: expect.stringContaining('60 days') });
    const shop = sandbox.world.shops.get(sandbox.shop.domain);
    if (shop) shop.readAllOrders = true;
    expect((await list(counting(10), wide)).last).toMatchObject({ notCovered: null });
  });

  it.each([
    ['for lack of a scope', 'deny'],
    ['because they fail again and again', 'fail'],
  ] as const)('falls back to pages when bulk operations do not work %s', async (_why, mode) => {
    const sold = [1, 2, 3].map(() => sandbox.sell());
    sandbox.world.make({ kind: 'bulk', mode });
    const { listed, ways, last } = await list(counting(10_000), window(2 * DAY_MS));
    expect(new Set(listed)).toEqual(new Set(sold));
    expect([ways[0], ways.at(-1)]).toEqual(['bulk', 'pages']);
    expect(last).toMatchObject({ complete: true });
  });

  it('falls back to pages when bulk operations are refused outright', async () => {
    const sold = sandbox.sell();
    const denied: AdminAnswer = { outcome: 'denied', detail: 'Access denied for bulkOperationRunQuery field.' };
    const { listed } = await list(counting(10_000, 'EXACT', { PlumblineBulkRun: denied }), window(2 * DAY_MS));
    expect(listed).toEqual([sold]);
  });

  it('is blind when pages are, too', async () => {
    const revoked: AdminAnswer = { outcome: 'denied', detail: 'HTTP 401' };
    const admin = counting(0, 'EXACT', { PlumblineWindow: revoked, PlumblineSold: revoked });
    expect((await list(admin, window(2 * DAY_MS))).last).toEqual({
      outcome: 'blind',
      detail: 'the Admin API refuses us: HTTP 401',
    });
  });

  it('waits with its choice while the Admin API is away', async () => {
    sandbox.world.make({ kind: 'admin', mode: 'unavailable' });
    const step = await listing(sandbox.admin).step(sandbox.shop, window(2 * DAY_MS), null, never);
    expect(step).toMatchObject({ outcome: 'later', position: null });
  });

  it('is blind when the search was misread', async () => {
    const misread: AdminAnswer = {
      outcome: 'data',
      data: { ordersCount: { count: 1, precision: 'EXACT' } },
      extensions: {
        search: [{ warnings: [{ field: 'updated_at', message: 'Invalid search field for this query.' }] }],
      },
    };
    const admin = counting(1, 'EXACT', { PlumblineWindow: misread });
    expect((await list(admin, window(2 * DAY_MS))).last).toMatchObject({ outcome: 'blind' });
  });
});
