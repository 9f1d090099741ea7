import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BulkTrouble } from '../../../sandbox/shopify/bulk-operations.js';
import { BulkListing } from '../../../src/monitoring/reconciliation/bulk-listing.js';
import type { ListedOrder } from '../../../src/monitoring/reconciliation/listed-order.js';
import type {
  Listing,
  ListingPosition,
  ListingStep,
  ListingWindow,
} from '../../../src/monitoring/reconciliation/listing.js';
import { PageListing } from '../../../src/monitoring/reconciliation/page-listing.js';
import type { AdminAnswer, ShopifyAdmin } from '../../../src/pipeline/contract.js';
import { SandboxShop } from '../../support/sandbox-shop.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const never = new AbortController().signal;

let sandbox: SandboxShop;
let opened: BulkListing[];
beforeEach(async () => {
  sandbox = await SandboxShop.open();
  opened = [];
});
afterEach(async () => {
  for (const listing of opened) listing.close();
  await sandbox.close();
});

/** As a process that has just started. */
function bulk(over: { batch?: number; admin?: ShopifyAdmin } = {}): BulkListing {
  const { admin, files, clock } = sandbox;
  const listing = new BulkListing({ admin, files, clock, batch: 7, ...over });
  opened.push(listing);
  return listing;
}

const trouble = (mode: BulkTrouble): void => sandbox.world.make({ kind: 'bulk', mode });
const started = (): number => sandbox.asked.filter((name) => name === 'PlumblineBulkRun').length;

/** Everything until now. */
function windowUntilNow(fromAt = new Date('2026-11-27T14:00:00Z')): ListingWindow {
  return { fromAt, toAt: new Date(sandbox.clock.nowMs() + 1_000) };
}

/** The position as the database gives it back. */
const kept = (position: ListingPosition): ListingPosition => JSON.parse(JSON.stringify(position)) as ListingPosition;

interface Told {
  orders: ListedOrder[];
  steps: ListingStep[];
  last: ListingStep;
}

/** Steps until it is complete or blind, letting the time pass that it asks for. */
async function list(
  listing: Listing | (() => Listing),
  window: ListingWindow,
  position: ListingPosition = null,
): Promise<Told> {
  const orders: ListedOrder[] = [];
  const steps: ListingStep[] = [];
  for (let count = 0; count < 2_000; count++) {
    const current = typeof listing === 'function' ? listing() : listing;
    const step = await current.step(sandbox.shop, window, kept(position), never);
    steps.push(step);
    if (step.outcome === 'blind') return { orders, steps, last: step };
    if (step.outcome === 'later') sandbox.time.advance(step.retryAfterMs);
    else orders.push(...step.orders);
    if (step.outcome === 'orders' && step.complete) return { orders, steps, last: step };
    ({ position } = step);
  }
  throw new Error('it never ended');
}

/** Steps until one is as wanted. */
async function until(
  listing: Listing,
  window: ListingWindow,
  wanted: (step: ListingStep) => boolean,
  position: ListingPosition = null,
): Promise<ListingStep> {
  for (let count = 0; count < 2_000; count++) {
    const step = await listing.step(sandbox.shop, window, kept(position), never);
    if (wanted(step)) return step;
    if (step.outcome === 'blind') throw new Error(step.detail);
    if (step.outcome === 'later') sandbox.time.advance(step.retryAfterMs);
    ({ position } = step);
  }
  throw new Error('it never came');
}

const stateOf = (step: ListingStep): unknown => (step.outcome === 'blind' ? undefined : step.position?.['state']);
const idsOf = (orders: readonly ListedOrder[]): string[] => orders.map(({ orderId }) => orderId);
const byId = (orders: readonly ListedOrder[]): ListedOrder[] =>
  [...orders].sort((one, other) => one.orderId.localeCompare(other.orderId));
const detailsOf = (steps: readonly ListingStep[]): string[] =>
  steps.flatMap((step) => (step.outcome === 'orders' ? [] : [step.detail]));

describe('a window listed in bulk', () => {
  it('is the same as by pages: every order with its payment, cancellation and refunds', async () => {
    const [paid = '', cancelled = '', refunded = ''] = [sandbox.sell(), sandbox.sell(), sandbox.sell()];
    sandbox.sell({ free: true });
    sandbox.sell({ test: true });
    sandbox.sell({ unpaid: true });
    sandbox.sell({ channel: 'pos' });
    for (let count = 0; count < 290; count++) sandbox.sell();
    for (const order of [paid, cancelled, refunded]) sandbox.step(order, 'pay');
    sandbox.time.advance(1_000);
    sandbox.step(cancelled, 'cancel');
    sandbox.step(refunded, 'refund-part');
    const window = windowUntilNow();
    const pages = await list(new PageListing(sandbox.admin), window);
    const inBulk = await list(bulk({ batch: 100 }), window);
    expect(inBulk.last).toMatchObject({ outcome: 'orders', complete: true, notCovered: null });
    expect(inBulk.orders).toHaveLength(297);
    expect(byId(inBulk.orders)).toEqual(byId(pages.orders));
    expect(inBulk.orders.flatMap(({ refunds }) => refunds).length).toBeGreaterThanOrEqual(2);
  });

  it('holds what changed within its bounds, the first instant included and the last excluded', async () => {
    const all = [sandbox.sell(), sandbox.sell(), sandbox.sell(), sandbox.sell()];
    const at = (index: number): Date => new Date(Date.parse('2026-11-27T14:00:00Z') + index * 1_000);
    const { orders } = await list(bulk(), { fromAt: at(1), toAt: at(3) });
    expect(idsOf(orders)).toEqual(all.slice(1, 3));
  });

  it('of nothing is complete at once, without a file', async () => {
    const told = await list(bulk(), windowUntilNow());
    expect(told.last).toMatchObject({ complete: true, orders: [], position: null });
    expect(sandbox.world.admin.bulk.downloads).toBe(0);
  });

  it('comes in steps of so many orders, read from one download', async () => {
    for (let count = 0; count < 20; count++) sandbox.sell();
    const { steps, orders } = await list(bulk({ batch: 6 }), windowUntilNow());
    const sizes = steps.flatMap((step) => (step.outcome === 'orders' ? [step.orders.length] : []));
    expect(sizes).toEqual([0, 6, 6, 6, 2]);
    expect(new Set(idsOf(orders)).size).toBe(20);
    expect(sandbox.world.admin.bulk.downloads).toBe(1);
  });

  it('waits while the operation runs, less often the longer it takes, and says that it is under way', async () => {
    for (let count = 0; count < 10; count++) sandbox.sell();
    trouble('stall');
    const waits: number[] = [];
    const window = windowUntilNow();
    await until(bulk(), window, (step) => {
      if (step.outcome === 'later') waits.push(step.retryAfterMs);
      if (step.outcome === 'later') expect(step.underWay).toBe(true);
      return waits.length > 80;
    });
    expect(waits[0]).toBe(1_000);
    expect(waits.at(-1)).toBe(MINUTE_MS);
  });
});

describe('a listing that is stopped and goes on', () => {
  /** Every operation that Shopify knows of. */
  async function operations(): Promise<number> {
    const answer = await sandbox.admin.query(sandbox.shop, '{ bulkOperations(first: 50) { nodes { id } } }', {});
    return answer.outcome === 'data' ? (answer.data['bulkOperations'] as { nodes: unknown[] }).nodes.length : NaN;
  }

  it('gives each order at least once and misses none, wherever it is stopped, whatever is cut', async () => {
    const sold = Array.from({ length: 40 }, () => sandbox.sell());
    const window = windowUntilNow();
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          batch: fc.integer({ min: 1, max: 50 }),
          // What happens after a step: nothing, a new process, a new process that never heard of the step.
          fates: fc.array(fc.constantFrom('on', 'on', 'restart', 'forgotten'), { maxLength: 40 }),
          cut: fc.boolean(),
        }),
        async ({ batch, fates, cut }) => {
          trouble(cut ? 'cut' : 'none');
          const before = started();
          let listing = bulk({ batch });
          let position: ListingPosition = null;
          const listed: string[] = [];
          for (let count = 0; ; count++) {
            if (count > 500) throw new Error('it never ended');
            const step = await listing.step(sandbox.shop, window, kept(position), never);
            const fate = fates[count] ?? 'on';
            if (step.outcome === 'blind') throw new Error(step.detail);
            if (step.outcome === 'later') sandbox.time.advance(step.retryAfterMs);
            else listed.push(...idsOf(step.orders));
            if (fate !== 'on') {
              listing.close();
              listing = bulk({ batch });
            }
            if (fate === 'forgotten') continue;
            if (step.outcome === 'orders' && step.complete) break;
            ({ position } = step);
          }
          listing.close();
          expect([...new Set(listed)].sort()).toEqual([...sold].sort());
          // Whoever forgot that it had begun found the operation again.
          expect(started() - before).toBe(1);
        },
      ),
      { numRuns: 40 },
    );
  }, 120_000);

  it('begins no second operation when the first answer got lost', async () => {
    sandbox.sell();
    const window = windowUntilNow();
    const { admin } = sandbox;
    let lost = 0;
    const losing: ShopifyAdmin = {
      async query(shop, query, variables, signal): Promise<AdminAnswer> {
        const answer = await admin.query(shop, query, variables, signal);
        if (!query.includes('PlumblineBulkRun') || lost++ > 0) return answer;
        return { outcome: 'unavailable', detail: 'the connection was cut' };
      },
    };
    const { orders, steps } = await list(() => bulk({ admin: losing }), window);
    expect(orders).toHaveLength(1);
    expect(detailsOf(steps)[0]).toContain('the connection was cut');
    expect([started(), await operations()]).toEqual([1, 1]);
  });

  it('begins anew from a position that is none of its own', async () => {
    sandbox.sell();
    const window = windowUntilNow();
    for (const position of [{ after: 'x' }, { state: 'reading', mark: 'm', restarts: 0, operationId: 'x', byte: -1 }]) {
      expect((await list(bulk(), window, position)).orders).toHaveLength(1);
    }
  });

  it('goes on from the byte in its position, and keeps no address', async () => {
    for (let count = 0; count < 20; count++) sandbox.sell();
    const window = windowUntilNow();
    const step = await until(bulk({ batch: 5 }), window, (one) => stateOf(one) === 'reading');
    expect(step).toMatchObject({ orders: { length: 5 }, position: { orders: 5, expected: 20 } });
    expect(JSON.stringify(step)).not.toContain('http');
    const rest = await list(bulk({ batch: 50 }), window, step.outcome === 'orders' ? step.position : null);
    expect(rest.orders).toHaveLength(15);
  });
});

describe('what can go wrong with a bulk operation', () => {
  it('too many at a time: it waits for its place', async () => {
    sandbox.sell();
    const window = windowUntilNow();
    trouble('stall');
    const waiting = (step: ListingStep): boolean => stateOf(step) === 'waiting';
    for (let count = 0; count < 5; count++) {
      await until(bulk(), window, waiting);
      sandbox.time.advance(1);
    }
    const full = await until(bulk(), window, (step) => step.outcome === 'later');
    expect(full).toMatchObject({
      detail: expect.stringContaining('waits for its place'),
      position: { state: 'looking' },
    });
    const cancel = `mutation { bulkOperationCancel(id: "${await newest()}") { userErrors { message } } }`;
    await sandbox.admin.query(sandbox.shop, cancel, {});
    trouble('none');
    expect((await list(bulk(), window)).orders).toHaveLength(1);
  });

  async function newest(): Promise<string> {
    const answer = await sandbox.admin.query(sandbox.shop, '{ bulkOperations(first: 1) { nodes { id } } }', {});
    const { nodes } = (answer.outcome === 'data' ? answer.data['bulkOperations'] : { nodes: [] }) as {
      nodes: { id: string }[];
    };
    return nodes[0]?.id ?? '';
  }

  it('it fails half-way: another begins, and what it left is not taken for all', async () => {
    for (let count = 0; count < 10; count++) sandbox.sell();
    const window = windowUntilNow();
    trouble('fail');
    const failed = await until(bulk(), window, (step) => step.outcome === 'later' && step.detail.includes('failed'));
    expect(failed).toMatchObject({ retryAfterMs: MINUTE_MS, position: { state: 'looking', restarts: 1 } });
    expect(failed).not.toHaveProperty('underWay');
    trouble('none');
    const { orders, last } = await list(bulk(), window, failed.outcome === 'later' ? failed.position : null);
    expect([orders.length, last.outcome]).toEqual([10, 'orders']);
    expect(sandbox.world.admin.bulk.downloads).toBe(1);
  });

  it('it fails again and again: the third time it gives up, and says why', async () => {
    sandbox.sell();
    trouble('fail');
    const { last, orders } = await list(bulk(), windowUntilNow());
    expect(last).toMatchObject({ outcome: 'blind', detail: expect.stringContaining('INTERNAL_SERVER_ERROR') });
    expect([orders.length, started()]).toEqual([0, 3]);
  });

  it('it is cancelled by somebody: another begins', async () => {
    sandbox.sell();
    const window = windowUntilNow();
    const { position } = (await until(bulk(), window, (step) => stateOf(step) === 'waiting')) as {
      position: ListingPosition;
    };
    await sandbox.admin.query(
      sandbox.shop,
      `mutation { bulkOperationCancel(id: "${await newest()}") { userErrors { message } } }`,
      {},
    );
    const { steps, orders } = await list(bulk(), window, position);
    expect(detailsOf(steps)[0]).toContain('canceled');
    expect(orders).toHaveLength(1);
  });

  it('a scope is missing: it is blind, at once', async () => {
    sandbox.sell();
    trouble('deny');
    const { last } = await list(bulk(), windowUntilNow());
    expect(last).toMatchObject({ outcome: 'blind', detail: expect.stringContaining('scope') });
    expect(started()).toBe(1);
  });

  it('it stands still for an hour: that is told, and it goes on when the operation does', async () => {
    sandbox.sell();
    trouble('stall');
    const told = await until(bulk(), windowUntilNow(), (step) => step.outcome === 'later' && step.underWay !== true);
    expect(told).toMatchObject({
      detail: expect.stringContaining('no progress since 2026-11-27T14:00:01'),
      position: { state: 'waiting' },
    });
    expect(sandbox.clock.nowMs()).toBeGreaterThanOrEqual(Date.parse('2026-11-27T15:00:00Z'));
  });

  it('the result expires before it is read, or while: another operation begins', async () => {
    for (let count = 0; count < 10; count++) sandbox.sell();
    const window = windowUntilNow();
    const reading = await until(bulk(), window, (step) => stateOf(step) === 'reading');
    const position = reading.outcome === 'orders' ? reading.position : null;
    sandbox.time.advance(7 * DAY_MS);
    const { steps, orders } = await list(bulk(), window, position);
    expect(detailsOf(steps)[0]).toContain('gave no whole result');
    expect(orders).toHaveLength(10);
    expect(started()).toBe(2);
  });

  it('every other download is cut: it goes on from the byte', async () => {
    for (let count = 0; count < 40; count++) sandbox.sell();
    trouble('cut');
    const { orders } = await list(bulk({ batch: 1_000 }), windowUntilNow());
    expect(new Set(idsOf(orders)).size).toBe(40);
    expect(orders.length).toBeLessThan(45);
    expect(started()).toBe(1);
  });

  it('the storage is away, or refuses: it says so, and asks for the address anew', async () => {
    sandbox.sell();
    const window = windowUntilNow();
    const answers = [
      { outcome: 'later', detail: 'no connection' },
      { outcome: 'gone', detail: 'the storage answered HTTP 403' },
    ] as const;
    let asked = 0;
    const { admin, files, clock } = sandbox;
    const away = new BulkListing({
      admin,
      clock,
      files: { open: async (...wanted) => answers[asked++] ?? files.open(...wanted) },
    });
    opened.push(away);
    const { steps, orders } = await list(away, window);
    const hindered = steps.filter((step) => step.outcome === 'later' && step.underWay !== true);
    expect(detailsOf(hindered)).toEqual([
      expect.stringContaining('no connection'),
      expect.stringContaining('HTTP 403'),
    ]);
    expect(orders).toHaveLength(1);
    const forbidden = new BulkListing({
      admin,
      clock,
      files: { open: async () => ({ outcome: 'refused', detail: 'address refused' }) },
    });
    expect((await list(forbidden, window)).last).toMatchObject({ outcome: 'blind' });
  });

  it('the file holds fewer orders than Shopify found: the window is not called complete', async () => {
    for (let count = 0; count < 3; count++) sandbox.sell();
    const { admin, files, clock } = sandbox;
    const lying: ShopifyAdmin = {
      async query(shop, query, variables, signal) {
        const answer = await admin.query(shop, query, variables, signal);
        const node =
          answer.outcome === 'data' ? (answer.data['node'] as Record<string, unknown> | undefined) : undefined;
        if (node) node['rootObjectCount'] = '4';
        return answer;
      },
    };
    const listing = new BulkListing({ admin: lying, files, clock });
    const { last } = await list(listing, windowUntilNow());
    expect(last).toMatchObject({ outcome: 'blind', detail: expect.stringContaining('3 orders of 4') });
  });

  it.each(['unavailable', 'frozen', 'throttled'] as const)(
    'the Admin API is %s at any step: later, in the same place',
    async (mode) => {
      for (let count = 0; count < 10; count++) sandbox.sell();
      const window = windowUntilNow();
      let position: ListingPosition = null;
      const listed = new Set<string>();
      for (;;) {
        sandbox.world.make({ kind: 'admin', mode });
        const hindered = await bulk().step(sandbox.shop, window, kept(position), never);
        if (position !== null) {
          expect(hindered).toMatchObject({ outcome: 'later', position });
          expect(hindered).not.toHaveProperty('underWay');
        }
        sandbox.world.make({ kind: 'admin', mode: 'none' });
        sandbox.time.advance(HOUR_MS / 2);
        const step = await bulk().step(sandbox.shop, window, kept(position), never);
        if (step.outcome === 'blind') throw new Error(step.detail);
        if (step.outcome === 'orders') for (const id of idsOf(step.orders)) listed.add(id);
        if (step.outcome === 'orders' && step.complete) break;
        ({ position } = step);
      }
      expect([listed.size, started()]).toEqual([10, 1]);
    },
  );

  it('the search was misread: it is blind before anything begins', async () => {
    const { admin } = sandbox;
    const misread: ShopifyAdmin = {
      async query(shop, query, variables, signal) {
        const answer = await admin.query(shop, query, variables, signal);
        const warnings = [{ field: 'updated_at', message: 'Invalid search field for this query.' }];
        return answer.outcome === 'data' ? { ...answer, extensions: { search: [{ warnings }] } } : answer;
      },
    };
    expect((await list(bulk({ admin: misread }), windowUntilNow())).last).toMatchObject({ outcome: 'blind' });
    expect(started()).toBe(0);
  });

  it('the token is revoked: it is blind', async () => {
    const window = windowUntilNow();
    const { position } = (await until(bulk(), window, (step) => stateOf(step) === 'waiting')) as {
      position: ListingPosition;
    };
    const step = await bulk().step({ ...sandbox.shop, accessToken: 'revoked' }, window, position, never);
    expect(step).toMatchObject({ outcome: 'blind', detail: expect.stringContaining('401') });
  });

  it('the leader is told to stop: the download ends, and the position stays', async () => {
    for (let count = 0; count < 20; count++) sandbox.sell();
    const window = windowUntilNow();
    const stop = new AbortController();
    const { admin, files, clock } = sandbox;
    const listing = new BulkListing({
      admin,
      clock,
      files: {
        async open(...wanted) {
          const file = await files.open(...wanted);
          if (file.outcome !== 'open') return file;
          const { body } = file;
          const next = (): ReturnType<typeof body.next> => {
            stop.abort();
            return body.next();
          };
          return { outcome: 'open', body: { next, close: () => body.close() } };
        },
      },
    });
    const waiting = await until(listing, window, (step) => stateOf(step) === 'waiting');
    sandbox.time.advance(HOUR_MS / 2);
    const position = waiting.outcome === 'later' ? waiting.position : null;
    const stopped = await listing.step(sandbox.shop, window, kept(position), stop.signal);
    expect(stopped).toMatchObject({ outcome: 'later', position: { state: 'reading', byte: 0 } });
    const after = stopped.outcome === 'later' ? stopped.position : null;
    expect((await list(bulk(), window, after)).orders).toHaveLength(20);
  });
});
