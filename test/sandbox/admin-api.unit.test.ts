import { CUSTOMER_QUERY, ORDER_QUERY, REFUND_QUERY } from '../../src/pipeline/shopify/webhook-shape.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ControlServer } from '../../sandbox/control/server.js';
import type { World } from '../../sandbox/world.js';
import type { ManualClock } from './support/manual-clock.js';
import { COFFEE, KUMO, smallWorld, TEXTIL, TOKEN } from './support/small-world.js';

interface Reply {
  data?: Record<string, unknown>;
  errors?: { message: string; extensions?: Record<string, unknown> }[];
  extensions?: {
    cost: {
      requestedQueryCost: number;
      actualQueryCost: number | null;
      throttleStatus: { maximumAvailable: number; currentlyAvailable: number; restoreRate: number };
    };
    search?: { path: string[]; parsed: unknown; warnings?: unknown[] }[];
  };
}

let world: World;
let clock: ManualClock;
let server: ControlServer;
let base: string;

beforeEach(async () => {
  ({ world, clock } = smallWorld());
  server = new ControlServer(world, 'http://127.0.0.1:1');
  base = await server.start(0);
});

afterEach(async () => {
  world.stop();
  await server.stop();
});

async function post(
  query: string,
  variables: object = {},
  { domain = COFFEE, token = TOKEN, version = '2026-10' } = {},
) {
  return fetch(`${base}/shops/${domain}/admin/api/${version}/graphql.json`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Shopify-Access-Token': token },
    body: JSON.stringify({ query, variables }),
  });
}

async function ask(query: string, variables: object = {}, domain = COFFEE): Promise<Reply> {
  return (await (await post(query, variables, { domain })).json()) as Reply;
}

/** Sells `count` orders, one a minute. */
function sell(count: number, domain = COFFEE): string[] {
  return Array.from({ length: count }, () => {
    const { orderId } = world.sellOne(domain, { quiet: true, channel: 'web', free: false, test: false });
    clock.advance(60_000);
    return orderId;
  });
}

const LIST = `query Sold($q: String!, $after: String, $first: Int = 2) {
  orders(first: $first, after: $after, query: $q, sortKey: CREATED_AT) {
    nodes { legacyResourceId createdAt }
    pageInfo { hasNextPage endCursor }
  }
}`;

interface Listed {
  nodes: { legacyResourceId: string; createdAt: string }[];
  pageInfo: { hasNextPage: boolean; endCursor: string };
}

describe('orders', () => {
  it('are listed page by page, each once, within the window asked for', async () => {
    const ids = sell(6);
    const seen: string[] = [];
    let after: string | null = null;
    for (;;) {
      const q = "created_at:>='2026-11-27T14:01:00Z' AND created_at:<'2026-11-27T14:06:00Z'";
      const reply = await ask(LIST, { q, after });
      const { nodes, pageInfo } = reply.data?.orders as Listed;
      expect(nodes.length).toBeLessThanOrEqual(2);
      seen.push(...nodes.map(({ legacyResourceId }) => legacyResourceId));
      if (!pageInfo.hasNextPage) break;
      after = pageInfo.endCursor;
    }
    expect(seen).toEqual(ids.slice(1));
  });

  it('of another store are not among them', async () => {
    sell(2, TEXTIL);
    const [id] = sell(1);
    const reply = await ask(LIST, { q: '' });
    expect((reply.data?.orders as Listed).nodes.map(({ legacyResourceId }) => legacyResourceId)).toEqual([id]);
  });

  it('sorted by update come back when they change', async () => {
    const [first = '', second = ''] = sell(2);
    clock.advance(600_000);
    world.step(COFFEE, Number(first), 'edit');
    const query = `{ orders(first: 10, sortKey: UPDATED_AT, reverse: true, query: "updated_at:>2026-11-27T14:10:00Z") { nodes { legacyResourceId } } }`;
    const reply = await ask(query);
    const ids = (reply.data?.orders as Listed).nodes.map(({ legacyResourceId }) => legacyResourceId);
    expect(ids).toEqual([first]);
    expect(ids).not.toContain(second);
  });

  it('hold exactly what was asked, under the names asked for', async () => {
    const [id] = sell(1);
    const query = `query One($id: ID!) {
      it: order(id: $id) {
        id ...Head
        ... on Order { totalPriceSet { shopMoney { amount currencyCode } } }
        lineItems(first: 1) { nodes { title product { legacyResourceId productType vendor } } }
      }
    }
    fragment Head on Order { name test displayFinancialStatus sourceName customAttributes { key value } }`;
    const reply = await ask(query, { id: `gid://shopify/Order/${id}` });
    expect(reply.errors).toBeUndefined();
    expect(Object.keys(reply.data ?? {})).toEqual(['it']);
    const order = reply.data?.it as Record<string, unknown>;
    expect(Object.keys(order)).toEqual([
      'id',
      'name',
      'test',
      'displayFinancialStatus',
      'sourceName',
      'customAttributes',
      'totalPriceSet',
      'lineItems',
    ]);
    expect(order).toMatchObject({
      id: `gid://shopify/Order/${id}`,
      name: '#1001',
      test: false,
      sourceName: 'web',
      totalPriceSet: { shopMoney: { currencyCode: 'USD' } },
      lineItems: { nodes: [{ product: { productType: expect.any(String) as string } }] },
    });
  });

  it('answer every field the service asks for', async () => {
    const [id] = sell(1);
    const set = '{ shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }';
    const query = `{ order(id: "gid://shopify/Order/${id}") {
      id legacyResourceId name createdAt updatedAt processedAt cancelledAt test displayFinancialStatus sourceName
      currencyCode presentmentCurrencyCode totalPriceSet ${set} subtotalPriceSet ${set} totalShippingPriceSet ${set}
      totalTaxSet ${set} totalDiscountsSet ${set} discountCodes customAttributes { key value } landingPageUrl
      customer { id legacyResourceId email firstName lastName phone numberOfOrders }
      lineItems(first: 50) { nodes { id name title variantTitle quantity sku vendor
        product { id legacyResourceId productType vendor } variant { id legacyResourceId }
        originalUnitPriceSet ${set} totalDiscountSet ${set} } }
      refunds { id createdAt totalRefundedSet ${set} refundLineItems(first: 50) { nodes { quantity subtotalSet ${set} lineItem { id } } } }
    } }`;
    world.step(COFFEE, Number(id), 'pay');
    world.step(COFFEE, Number(id), 'refund-all');
    const reply = await ask(query);
    expect(reply.errors).toBeUndefined();
    expect(reply.data?.order).toMatchObject({
      displayFinancialStatus: 'REFUNDED',
      customer: { numberOfOrders: '1' },
      refunds: [{ refundLineItems: { nodes: [{ lineItem: { id: expect.stringContaining('gid://') as string } }] } }],
    });
  });

  it('with their refunds and customers answer the very queries of the service', async () => {
    const [id] = sell(1);
    world.step(COFFEE, Number(id), 'pay');
    world.step(COFFEE, Number(id), 'refund-part');
    const order = world.shops.get(COFFEE)?.book.get(Number(id));
    const of = (type: string, number: unknown) => ({ id: `gid://shopify/${type}/${String(number)}` });
    const replies = [
      await ask(ORDER_QUERY, of('Order', id)),
      await ask(REFUND_QUERY, of('Refund', order?.refunds[0]?.id)),
      await ask(CUSTOMER_QUERY, of('Customer', order?.customer?.id)),
    ];
    expect(replies.map(({ errors }) => errors)).toEqual([undefined, undefined, undefined]);
    expect(replies[0]?.data).toMatchObject({
      order: { legacyResourceId: id, displayFinancialStatus: 'PARTIALLY_REFUNDED' },
    });
    expect(replies[1]?.data).toMatchObject({
      refund: { order: { legacyResourceId: id }, refundLineItems: { nodes: [{ quantity: 1 }] } },
    });
    expect(replies[2]?.data).toMatchObject({ customer: { email: order?.customer?.email, numberOfOrders: '1' } });
  });

  it('unknown to the shop are null, and a field that does not exist is an error', async () => {
    expect((await ask('{ order(id: "gid://shopify/Order/1") { id } }')).data).toEqual({ order: null });
    const [id] = sell(1);
    const reply = await ask(`{ order(id: "gid://shopify/Order/${id}") { grandTotal } }`);
    expect(reply.data).toBeUndefined();
    expect(reply.errors?.[0]).toMatchObject({ extensions: { code: 'undefinedField', fieldName: 'grandTotal' } });
  });
});

describe('search', () => {
  it('reads a time without zone in the zone of the shop and says so', async () => {
    const reply = await ask(LIST, { q: 'created_at:>=2026-11-27T23:00:00' }, KUMO);
    expect(reply.extensions?.search).toMatchObject([
      { path: ['orders'], parsed: { field: 'created_at', range_gte: '2026-11-27T23:00:00+09:00' } },
    ]);
  });

  it('matches everything for a field it does not know, and warns', async () => {
    const ids = sell(2);
    const reply = await ask(LIST, { q: 'changed_at:>2030-01-01' });
    expect((reply.data?.orders as Listed).nodes).toHaveLength(ids.length);
    expect(reply.extensions?.search?.[0]?.warnings).toMatchObject([{ field: 'changed_at' }]);
  });

  it('refuses what it would have to guess', async () => {
    const reply = await ask(LIST, { q: 'test:true OR test:false' });
    expect(reply.errors?.[0]?.message).toContain('OR');
  });
});

describe('nodes', () => {
  it('are products with type and vendor and customers with their number of orders', async () => {
    const { orderId } = world.sellOne(COFFEE, { quiet: true, channel: 'web' });
    const order = world.shops.get(COFFEE)?.book.get(Number(orderId));
    const ids = [
      `gid://shopify/Product/${order?.line_items[0]?.product_id}`,
      `gid://shopify/Customer/${order?.customer?.id}`,
      'gid://shopify/Product/5',
    ];
    const query = `query($ids: [ID!]!) { nodes(ids: $ids) { __typename ... on Product { id productType vendor } ... on Customer { id numberOfOrders } } }`;
    const reply = await ask(query.replace('__typename ', ''), { ids });
    expect(reply.data?.nodes).toEqual([
      { id: ids[0], productType: expect.any(String) as string, vendor: order?.line_items[0]?.vendor },
      { id: ids[1], numberOfOrders: '1' },
      null,
    ]);
    const typed = await ask(query, { ids });
    expect(typed.data?.nodes).toMatchObject([{ __typename: 'Product' }, { __typename: 'Customer' }, null]);
  });
});

describe('the shop', () => {
  it('tells its currency and its zone', async () => {
    const reply = await ask('{ shop { currencyCode ianaTimezone } }', {}, KUMO);
    expect(reply.data).toEqual({ shop: { currencyCode: 'JPY', ianaTimezone: 'Asia/Tokyo' } });
  });
});

describe('webhook subscriptions', () => {
  const CREATE = `mutation($topic: WebhookSubscriptionTopic!, $input: WebhookSubscriptionInput!) {
    webhookSubscriptionCreate(topic: $topic, webhookSubscription: $input) {
      userErrors { field message } webhookSubscription { id topic uri }
    }
  }`;
  const ALL = '{ webhookSubscriptions(first: 100) { nodes { id topic uri apiVersion { handle } } } }';

  it('made here are listed, those of the app are hidden, the same address is refused twice', async () => {
    world.subscriptions.add(
      { domain: COFFEE, topic: 'orders/paid', uri: 'https://app.test/toml', owner: 'app', name: null },
      0,
    );
    const input = { topic: 'ORDERS_CREATE', input: { uri: 'https://app.test/hook', format: 'JSON' } };
    const made = await ask(CREATE, input);
    expect(made.data).toMatchObject({
      webhookSubscriptionCreate: {
        userErrors: [],
        webhookSubscription: { topic: 'ORDERS_CREATE', uri: 'https://app.test/hook' },
      },
    });
    expect((await ask(ALL)).data).toMatchObject({
      webhookSubscriptions: { nodes: [{ topic: 'ORDERS_CREATE', apiVersion: { handle: '2026-10' } }] },
    });
    const twice = await ask(CREATE, input);
    expect(twice.data).toMatchObject({
      webhookSubscriptionCreate: {
        webhookSubscription: null,
        userErrors: [{ message: expect.stringContaining('taken') as string }],
      },
    });
    expect((await ask(ALL, {}, TEXTIL)).data).toEqual({ webhookSubscriptions: { nodes: [] } });
  });

  it('can be re-pointed and deleted, but only by their own shop', async () => {
    world.start({ [COFFEE]: 'key-1' });
    world.stopSelling();
    const { nodes } = (await ask(ALL)).data?.webhookSubscriptions as { nodes: { id: string }[] };
    expect(nodes).toHaveLength(8);
    const id = nodes[0]?.id;
    const update = `mutation { webhookSubscriptionUpdate(id: "${id}", webhookSubscription: {uri: "https://two.test/"}) { userErrors { message } webhookSubscription { uri } } }`;
    expect((await ask(update)).data).toMatchObject({
      webhookSubscriptionUpdate: { webhookSubscription: { uri: 'https://two.test/' } },
    });
    const remove = `mutation { webhookSubscriptionDelete(id: "${id}") { deletedWebhookSubscriptionId userErrors { message } } }`;
    const foreign = await ask(remove, {}, TEXTIL);
    expect(foreign.data).toMatchObject({
      webhookSubscriptionDelete: { deletedWebhookSubscriptionId: null, userErrors: [{}] },
    });
    expect((await ask(remove)).data).toEqual({
      webhookSubscriptionDelete: { deletedWebhookSubscriptionId: id, userErrors: [] },
    });
    expect(world.subscriptions.of(COFFEE)).toHaveLength(7);
  });
});

describe('what a subscription says', () => {
  const ALL_OF_IT =
    '{ webhookSubscriptions(first: 10) { nodes { topic uri format filter includeFields name apiVersion { handle } createdAt updatedAt } } }';
  const create = (topic: string, input: object) =>
    ask(
      `mutation M($topic: WebhookSubscriptionTopic!, $input: WebhookSubscriptionInput!) {
        webhookSubscriptionCreate(topic: $topic, webhookSubscription: $input) { userErrors { field message } webhookSubscription { id } }
      }`,
      { topic, input },
    );
  const nodes = async () =>
    ((await ask(ALL_OF_IT)).data?.webhookSubscriptions as { nodes: Record<string, unknown>[] }).nodes;
  const idOf = ({ data }: Reply) =>
    (data?.webhookSubscriptionCreate as { webhookSubscription: { id: string } }).webhookSubscription.id;

  it('is kept as it was given, changed in place, and says when', async () => {
    const made = await create('ORDERS_PAID', { uri: 'https://app.test/a', filter: 'total_price:>10', name: 'a' });
    expect(await nodes()).toEqual([
      {
        topic: 'ORDERS_PAID',
        uri: 'https://app.test/a',
        format: 'JSON',
        filter: 'total_price:>10',
        includeFields: [],
        name: 'a',
        apiVersion: { handle: '2026-10' },
        createdAt: '2026-11-27T14:00:00Z',
        updatedAt: '2026-11-27T14:00:00Z',
      },
    ]);
    clock.advance(60_000);
    await ask(
      'mutation M($id: ID!) { webhookSubscriptionUpdate(id: $id, webhookSubscription: {uri: "https://app.test/b", includeFields: ["id"]}) { userErrors { message } } }',
      { id: idOf(made) },
    );
    expect(await nodes()).toMatchObject([
      {
        uri: 'https://app.test/b',
        includeFields: ['id'],
        filter: 'total_price:>10',
        updatedAt: '2026-11-27T14:01:00Z',
      },
    ]);
  });

  it('cannot be moved to an address that another has', async () => {
    await create('ORDERS_PAID', { uri: 'https://app.test/a' });
    const other = idOf(await create('ORDERS_PAID', { uri: 'https://app.test/b' }));
    const moved = await ask(
      'mutation M($id: ID!) { webhookSubscriptionUpdate(id: $id, webhookSubscription: {uri: "https://app.test/a"}) { userErrors { message } } }',
      { id: other },
    );
    expect(moved.data).toMatchObject({
      webhookSubscriptionUpdate: { userErrors: [{ message: expect.stringContaining('taken') as string }] },
    });
  });

  it('is sent nothing while it has a filter', async () => {
    world.subscriptions.add(
      { domain: COFFEE, topic: 'orders/create', uri: 'http://127.0.0.1:1/', owner: 'shop', name: null, filter: 'x:1' },
      0,
    );
    const { orderId } = world.sellOne(COFFEE, { quiet: true, channel: 'web' });
    expect(world.truth.of(Number(orderId))).toMatchObject({ sent: 0 });
  });

  it('is not made for a compliance topic: those come from the TOML alone', async () => {
    expect((await create('CUSTOMERS_REDACT', { uri: 'https://app.test/a' })).errors).toMatchObject([
      { message: expect.stringContaining('invalid value') as string },
    ]);
  });

  it('is neither made, changed nor deleted while changes are refused, and is listed all the same', async () => {
    const id = idOf(await create('ORDERS_PAID', { uri: 'https://app.test/a' }));
    world.make({ kind: 'admin', mode: 'refusing-writes' });
    const refused = { userErrors: [{ field: ['webhookSubscription', 'base'] }] };
    expect((await create('ORDERS_CREATE', { uri: 'https://app.test/a' })).data).toMatchObject({
      webhookSubscriptionCreate: refused,
    });
    const remove = `mutation { webhookSubscriptionDelete(id: "${id}") { userErrors { field } } }`;
    expect((await ask(remove)).data).toMatchObject({ webhookSubscriptionDelete: refused });
    expect(await nodes()).toHaveLength(1);
  });

  it('is gone with the app, and so is the token, until it is installed again', async () => {
    world.start({ [COFFEE]: 'key-1' });
    world.stopSelling();
    world.make({ kind: 'uninstall', store: COFFEE });
    expect((await post('{ shop { name } }')).status).toBe(401);
    expect((await post('{ shop { name } }', {}, { domain: TEXTIL })).status).toBe(200);
    world.make({ kind: 'reinstall', store: COFFEE });
    expect(await nodes()).toEqual([]);
  });
});

describe('the price of a query', () => {
  it('is told, taken from the bucket, and leaks back', async () => {
    sell(3);
    const first = await ask(LIST, { q: '', first: 250 });
    const cost = first.extensions?.cost;
    expect(cost?.actualQueryCost).toBeGreaterThan(0);
    expect(cost?.actualQueryCost).toBeLessThanOrEqual(cost?.requestedQueryCost ?? 0);
    expect(cost?.throttleStatus).toEqual({
      maximumAvailable: 2_000,
      currentlyAvailable: 2_000 - (cost?.actualQueryCost ?? 0),
      restoreRate: 100,
    });
    clock.advance(1_000);
    const second = await ask('{ shop { name } }');
    expect(second.extensions?.cost.throttleStatus.currentlyAvailable).toBe(1_999);
  });

  it('throttles when the bucket is empty, and answers again when it has filled', async () => {
    const query = `mutation { ${Array.from({ length: 190 }, (_, index) => `m${index}: webhookSubscriptionDelete(id: "x") { userErrors { message } }`).join(' ')} }`;
    let reply = await ask(query);
    for (let round = 0; round < 60 && reply.errors === undefined; round++) reply = await ask(query);
    expect(reply).toMatchObject({
      errors: [{ message: 'Throttled', extensions: { code: 'THROTTLED' } }],
      extensions: { cost: { actualQueryCost: null } },
    });
    expect(reply.data).toBeUndefined();
    clock.advance(20_000);
    expect((await ask(query)).errors).toBeUndefined();
  });
});

describe('refusals', () => {
  it('are 401 for a wrong token, 404 for no such shop, and the oldest version for an unknown one', async () => {
    expect((await post('{ shop { name } }', {}, { token: 'wrong' })).status).toBe(401);
    expect((await post('{ shop { name } }', {}, { domain: 'nobody.myshopify.com' })).status).toBe(404);
    const old = await post('{ shop { name } }', {}, { version: '2023-01' });
    expect(old.headers.get('x-shopify-api-version')).toBe('2026-01');
  });

  it.each([
    ['unavailable', 503],
    ['frozen', 402],
    ['none', 200],
  ] as const)('in trouble %s answer %i', async (mode, status) => {
    world.make({ kind: 'admin', mode });
    expect((await post('{ shop { name } }')).status).toBe(status);
  });

  it('name what is wrong with a query', async () => {
    expect((await ask('{ shop { name }')).errors?.[0]?.message).toContain('unexpected end');
    expect((await ask('{ shop }')).errors?.[0]?.message).toContain('must have selections');
    expect((await ask('{ shop { name @skip(if: true) } }')).errors?.[0]?.message).toContain('directives');
  });
});
