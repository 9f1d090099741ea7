import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ControlServer } from '../../sandbox/control/server.js';
import type { World } from '../../sandbox/world.js';
import type { ManualClock } from './support/manual-clock.js';
import { COFFEE, smallWorld, TEXTIL, TOKEN } from './support/small-world.js';

const DAY_MS = 86_400_000;
const ORDERS = `{ orders(query: "created_at:>='2026-11-27T14:00:00Z'") { edges { node { id updatedAt } } } }`;
const WITH_LINES = '{ orders { edges { node { id lineItems { edges { node { id sku } } } } } } }';
const RUN = `mutation($query: String!, $grouped: Boolean = false) {
  bulkOperationRunQuery(query: $query, groupObjects: $grouped) {
    bulkOperation { id status } userErrors { field message code } } }`;
const POLL = `query($id: ID!) { node(id: $id) { ... on BulkOperation {
  id status errorCode createdAt completedAt objectCount rootObjectCount fileSize url partialDataUrl type query } } }`;

interface Polled {
  id: string;
  status: string;
  errorCode: string | null;
  objectCount: string;
  rootObjectCount: string;
  fileSize: string | null;
  url: string | null;
  partialDataUrl: string | null;
}
interface Begun {
  bulkOperation: { id: string; status: string } | null;
  userErrors: { code: string; message: string }[];
}

let world: World;
let clock: ManualClock;
let server: ControlServer;
let base: string;

async function open(given: Parameters<typeof smallWorld>[0] = {}): Promise<void> {
  ({ world, clock } = smallWorld(given));
  server = new ControlServer(world, 'http://127.0.0.1:1');
  base = await server.start(0);
}

async function close(): Promise<void> {
  world.stop();
  await server.stop();
}

beforeEach(() => open());
afterEach(close);

async function ask(query: string, variables: object = {}, domain = COFFEE) {
  const response = await fetch(`${base}/shops/${domain}/admin/api/2026-10/graphql.json`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Shopify-Access-Token': TOKEN },
    body: JSON.stringify({ query, variables }),
  });
  return (await response.json()) as {
    data?: Record<string, unknown>;
    errors?: { message: string; extensions?: Record<string, unknown> }[];
  };
}

async function run(query: string, grouped = false, domain = COFFEE): Promise<Begun> {
  return (await ask(RUN, { query, grouped }, domain)).data?.bulkOperationRunQuery as Begun;
}

async function poll(id: string | undefined, domain = COFFEE): Promise<Polled> {
  return (await ask(POLL, { id }, domain)).data?.node as Polled;
}

/** Begins one, and lets its time pass. */
async function finished(query: string, grouped = false): Promise<Polled> {
  const { bulkOperation, userErrors } = await run(query, grouped);
  expect(userErrors).toEqual([]);
  clock.advance(60_000);
  for (;;) {
    const polled = await poll(bulkOperation?.id);
    if (polled.status !== 'RUNNING') return polled;
  }
}

async function lines(url: string | null, headers: Record<string, string> = {}): Promise<Record<string, unknown>[]> {
  const text = await (await fetch(url ?? '', { headers })).text();
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Sells `count` orders, one a second. */
function sell(count: number, lineCount = 1): string[] {
  return Array.from({ length: count }, () => {
    const { orderId } = world.sellOne(COFFEE, { quiet: true, channel: 'web', lines: lineCount });
    clock.advance(1_000);
    return orderId;
  });
}

const gid = (id: string) => `gid://shopify/Order/${id}`;

describe('a bulk operation', () => {
  it('runs for a while, then tells where its lines are', async () => {
    const ids = sell(3);
    const { bulkOperation } = await run(ORDERS);
    expect(bulkOperation?.status).toBe('CREATED');
    clock.advance(1_000);
    expect(await poll(bulkOperation?.id)).toMatchObject({ status: 'RUNNING', url: null, fileSize: null });
    clock.advance(10_000);
    const done = await poll(bulkOperation?.id);
    expect(done).toMatchObject({
      status: 'COMPLETED',
      errorCode: null,
      objectCount: '3',
      rootObjectCount: '3',
      partialDataUrl: null,
      type: 'QUERY',
      query: ORDERS,
    });
    expect((await lines(done.url)).map(({ id }) => id)).toEqual(ids.map(gid));
    const text = await (await fetch(done.url ?? '')).text();
    expect(String(text.length)).toBe(done.fileSize);
  });

  it('of nothing completes without an address', async () => {
    expect(await finished(ORDERS)).toMatchObject({ status: 'COMPLETED', objectCount: '0', url: null });
  });

  it('writes more than a slice, between other work', async () => {
    await close();
    await open({ ordersMax: 3_000 });
    const ids = sell(650);
    const done = await finished(ORDERS);
    expect(done).toMatchObject({ status: 'COMPLETED', objectCount: '650' });
    expect(await lines(done.url)).toHaveLength(ids.length);
  });

  it('names the parent of nested objects, which come right behind it when grouped', async () => {
    const [first = '', second = ''] = sell(2, 2);
    const kinds = async (grouped: boolean) => {
      const done = await finished(WITH_LINES, grouped);
      expect(done).toMatchObject({ objectCount: '6', rootObjectCount: '2' });
      return (await lines(done.url)).map((line) => line.__parentId ?? `root ${String(line.id)}`);
    };
    const [one, other] = [gid(first), gid(second)];
    expect(await kinds(true)).toEqual([`root ${one}`, one, one, `root ${other}`, other, other]);
    expect(await kinds(false)).toEqual([`root ${one}`, `root ${other}`, one, one, other, other]);
  });

  it('gives every line of an order, however many', async () => {
    sell(1, 300);
    const done = await finished(WITH_LINES);
    expect(done.objectCount).toBe('301');
  });

  it.each([
    ['no connection', '{ shop { name } }', 'at least one connection'],
    ['two top-level fields', `{ a: orders { nodes { id } } b: orders { nodes { id } } }`, 'one top-level field'],
    ['two queries', 'query A { orders { nodes { id } } } query B { orders { nodes { id } } }', 'exactly one query'],
    [
      'more than five connections',
      `{ orders { nodes { id ${[1, 2, 3, 4, 5].map((n) => `l${n}: lineItems { nodes { id } }`).join(' ')} } } }`,
      'more than 5',
    ],
    [
      'nesting deeper than two',
      '{ orders { nodes { a { nodes { b { nodes { c { nodes { id } } } } } } } } }',
      'deeper than 2',
    ],
    ['something that is no GraphQL', '{ orders {', 'unexpected end'],
  ])('is refused for %s', async (_what, query, words) => {
    const begun = await run(query);
    expect(begun.bulkOperation).toBeNull();
    expect(begun.userErrors).toMatchObject([{ code: 'INVALID', message: expect.stringContaining(words) }]);
  });

  it('is refused while five of the shop are under way, and taken when one has ended', async () => {
    const begun = [];
    for (let count = 0; count < 5; count++) begun.push(await run(ORDERS));
    expect((await run(ORDERS)).userErrors).toMatchObject([{ code: 'LIMIT_REACHED' }]);
    expect((await run(ORDERS, false, TEXTIL)).userErrors).toEqual([]);
    const cancel = `mutation { bulkOperationCancel(id: "${begun[0]?.bulkOperation?.id}") { bulkOperation { status } userErrors { message } } }`;
    expect((await ask(cancel)).data).toMatchObject({ bulkOperationCancel: { bulkOperation: { status: 'CANCELED' } } });
    expect((await run(ORDERS)).userErrors).toEqual([]);
  });

  it('is listed newest first with its query, by status, and for its own shop only', async () => {
    sell(1);
    const done = await finished(ORDERS);
    const running = await run(WITH_LINES);
    const list = (query: string) => `{ bulkOperations(first: 10, query: "${query}") { nodes { id query } } }`;
    expect((await ask(list(''))).data).toEqual({
      bulkOperations: {
        nodes: [
          { id: running.bulkOperation?.id, query: WITH_LINES },
          { id: done.id, query: ORDERS },
        ],
      },
    });
    clock.advance(1_000);
    expect((await ask(list('status:running'))).data).toMatchObject({
      bulkOperations: { nodes: [{ id: running.bulkOperation?.id }] },
    });
    expect((await ask(list(''), {}, TEXTIL)).data).toEqual({ bulkOperations: { nodes: [] } });
    expect(await poll(done.id, TEXTIL)).toBeNull();
    const byId = `{ bulkOperation(id: "${done.id}") { id status } }`;
    expect((await ask(byId)).data).toEqual({ bulkOperation: { id: done.id, status: 'COMPLETED' } });
  });

  it('expires after seven days, and its file with it', async () => {
    sell(1);
    const done = await finished(ORDERS);
    clock.advance(7 * DAY_MS);
    expect(await poll(done.id)).toMatchObject({ status: 'EXPIRED', url: null });
    expect((await fetch(done.url ?? '')).status).toBe(403);
  });
});

describe('the file of a result', () => {
  it('is served compressed, or from a byte on', async () => {
    const ids = sell(3);
    const { url, fileSize } = await finished(ORDERS);
    const whole = await fetch(url ?? '', { headers: { 'Accept-Encoding': 'gzip' } });
    expect(whole.headers.get('content-encoding')).toBe('gzip');
    const text = await whole.text();
    expect(text.split('\n')).toHaveLength(ids.length + 1);
    const from = text.indexOf('\n') + 1;
    const rest = await fetch(url ?? '', { headers: { Range: `bytes=${from}-` } });
    expect(rest.status).toBe(206);
    expect(rest.headers.get('content-range')).toBe(`bytes ${from}-${Number(fileSize) - 1}/${fileSize}`);
    expect(await rest.text()).toBe(text.slice(from));
    expect((await fetch(url ?? '', { headers: { Range: `bytes=${fileSize}-` } })).status).toBe(416);
  });

  it('is refused to who sends a token of the shop, or guesses the address', async () => {
    sell(1);
    const { url } = await finished(ORDERS);
    expect((await fetch(url ?? '', { headers: { 'X-Shopify-Access-Token': TOKEN } })).status).toBe(400);
    expect((await fetch((url ?? '').replace(/[\w-]+\.jsonl/, 'guess.jsonl'))).status).toBe(403);
  });
});

describe('trouble with bulk operations', () => {
  it('fails half-way with what there was, or for lack of a scope with nothing', async () => {
    sell(4);
    world.make({ kind: 'bulk', mode: 'fail' });
    const failed = await finished(ORDERS);
    expect(failed).toMatchObject({ status: 'FAILED', errorCode: 'INTERNAL_SERVER_ERROR', url: null, objectCount: '2' });
    expect(await lines(failed.partialDataUrl)).toHaveLength(2);
    world.make({ kind: 'bulk', mode: 'deny' });
    expect(await finished(ORDERS)).toMatchObject({
      status: 'FAILED',
      errorCode: 'ACCESS_DENIED',
      partialDataUrl: null,
    });
  });

  it('stalls without progress, until it is cancelled', async () => {
    sell(2);
    world.make({ kind: 'bulk', mode: 'stall' });
    const { bulkOperation } = await run(ORDERS);
    clock.advance(DAY_MS);
    expect(await poll(bulkOperation?.id)).toMatchObject({ status: 'RUNNING', objectCount: '0' });
  });

  it('cuts every other download half-way', async () => {
    sell(20);
    const { url } = await finished(ORDERS);
    world.make({ kind: 'bulk', mode: 'cut' });
    await expect(lines(url)).rejects.toThrow();
    expect(await lines(url)).toHaveLength(20);
  });

  it('loses results, and ends with calm', async () => {
    sell(1);
    const { id } = await finished(ORDERS);
    world.make({ kind: 'bulk', mode: 'expire' });
    expect(await poll(id)).toMatchObject({ status: 'EXPIRED', url: null });
    world.make({ kind: 'calm' });
    expect(await poll(id)).toMatchObject({ status: 'COMPLETED' });
  });
});

describe('the walls of the Admin API', () => {
  const COUNT = 'query($limit: Int) { ordersCount(limit: $limit) { count precision } }';
  const SCOPES = '{ currentAppInstallation { accessScopes { handle } } }';

  it('hide orders older than 60 days, wherever they are asked for, without read_all_orders', async () => {
    const [old = ''] = sell(1);
    clock.advance(60 * DAY_MS);
    const [young = ''] = sell(1);
    world.step(COFFEE, Number(old), 'edit');
    const listed = async () => (await ask('{ orders(first: 10) { nodes { legacyResourceId } } }')).data?.orders;
    const one = `{ order(id: "${gid(old)}") { legacyResourceId } }`;
    expect(await listed()).toEqual({ nodes: [{ legacyResourceId: young }] });
    expect((await ask(one)).data).toEqual({ order: null });
    expect((await ask(COUNT)).data).toEqual({ ordersCount: { count: 1, precision: 'EXACT' } });
    expect((await finished('{ orders { nodes { id } } }')).objectCount).toBe('1');
    expect(JSON.stringify(await ask(SCOPES))).not.toContain('read_all_orders');
    await close();
    await open({ readAllOrders: true });
    sell(1);
    clock.advance(61 * DAY_MS);
    expect((await ask(COUNT)).data).toEqual({ ordersCount: { count: 1, precision: 'EXACT' } });
    expect(JSON.stringify(await ask(SCOPES))).toContain('read_all_orders');
  });

  it('count to a limit, and say when there are more', async () => {
    sell(3);
    expect((await ask(COUNT, { limit: 2 })).data).toEqual({ ordersCount: { count: 2, precision: 'AT_LEAST' } });
    expect((await ask(COUNT, { limit: null })).data).toEqual({ ordersCount: { count: 3, precision: 'EXACT' } });
  });

  it('end paging after so many objects with an error, and give no page over 250', async () => {
    await close();
    await open({ pagedMax: 4 });
    sell(6);
    const page = 'query($after: String) { orders(first: 2, after: $after) { nodes { id } pageInfo { endCursor } } }';
    let after: string | null = null;
    for (let pages = 0; pages < 2; pages++) {
      const { data } = await ask(page, { after });
      after = (data?.orders as { pageInfo: { endCursor: string } }).pageInfo.endCursor;
    }
    expect((await ask(page, { after })).errors?.[0]?.extensions).toMatchObject({ code: 'PAGINATION_LIMIT_EXCEEDED' });
    expect((await ask('{ orders(first: 251) { nodes { id } } }')).errors?.[0]?.message).toContain('250');
  });
});
