import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ShopifySubscriptions } from '../../../src/monitoring/subscriptions/shopify-subscriptions.js';
import type { Shop } from '../../../src/pipeline/contract.js';
import { judgeAnswer } from '../../../src/pipeline/shopify/admin-api.js';

const besideRoot = join(dirname(fileURLToPath(import.meta.url)), '../../../../shared/data/shopify/graphql');

const shop = {} as Shop; // the answer is given: nobody asks whose it is

/** A client whose Shopify answers so, whatever it is asked. */
function answering(...bodies: unknown[]): { shopify: ShopifySubscriptions; asked: Record<string, unknown>[] } {
  const asked: Record<string, unknown>[] = [];
  const query = (_shop: Shop, _query: string, variables: Record<string, unknown>) => {
    asked.push(variables);
    return Promise.resolve(judgeAnswer(200, JSON.stringify(bodies[asked.length - 1])));
  };
  return { shopify: new ShopifySubscriptions({ query }), asked };
}

const node = (id: number) => ({
  id: `gid://shopify/WebhookSubscription/${id}`,
  topic: 'ORDERS_PAID',
  uri: `https://a.example/${id}`,
  filter: null,
  format: 'JSON',
  includeFields: [],
  apiVersion: { handle: '2026-10' },
  createdAt: '2026-10-01T12:00:00Z',
});
const page = (nodes: unknown[], endCursor: string | null) => ({
  data: { webhookSubscriptions: { nodes, pageInfo: { hasNextPage: endCursor !== null, endCursor } } },
});

describe('a list', () => {
  it('is read to its last page, each from where the one before ended', async () => {
    const { shopify, asked } = answering(page([node(1)], 'one'), page([node(2)], 'two'), page([], null));
    const listing = await shopify.list(shop);
    expect(listing).toMatchObject({
      outcome: 'listed',
      items: [{ uri: 'https://a.example/1' }, { topic: 'ORDERS_PAID' }],
    });
    expect(asked).toEqual([{ after: null }, { after: 'one' }, { after: 'two' }]);
  });

  it.each<[string, unknown]>([
    ['a field that is missing', page([{ ...node(1), uri: undefined }], null)],
    ['no connection at all', { data: { webhookSubscriptions: null } }],
    ['an instant that is none', page([{ ...node(1), createdAt: 'yesterday' }], null)],
  ])('that is not as documented is no list: %s', async (_what, body) => {
    expect(await answering(body).shopify.list(shop)).toMatchObject({ outcome: 'no-answer', why: 'refused' });
  });

  it('without an end is none', async () => {
    const pages = Array.from({ length: 60 }, (_, index) => page([node(index)], String(index)));
    expect(await answering(...pages).shopify.list(shop)).toMatchObject({ outcome: 'no-answer', why: 'refused' });
  });
});

describe('a change', () => {
  const create = { act: 'create', uri: 'https://a.example/' } as const;

  it('that says neither what was made nor why not is no answer', async () => {
    const body = { data: { webhookSubscriptionCreate: { webhookSubscription: null, userErrors: [] } } };
    expect(await answering(body).shopify.carryOut(shop, 'orders/paid', create)).toMatchObject({ outcome: 'no-answer' });
  });

  it('that is refused is quoted, every error of it', async () => {
    const userErrors = [
      { field: ['webhookSubscription', 'uri'], message: 'is not https' },
      { field: null, message: 'and more' },
    ];
    const body = { data: { webhookSubscriptionCreate: { webhookSubscription: null, userErrors } } };
    expect(await answering(body).shopify.carryOut(shop, 'orders/paid', create)).toEqual({
      outcome: 'refused',
      detail: 'webhookSubscription.uri: is not https; and more',
    });
  });
});

describe.skipIf(!existsSync(besideRoot))('Shopify’s samples', () => {
  const sample = (name: string) =>
    (JSON.parse(readFileSync(join(besideRoot, `${name}.json`), 'utf8')) as { response: unknown }).response;
  /** The sample's query did not ask for the format. */
  const withFormat = (body: unknown) =>
    JSON.parse(JSON.stringify(body).replaceAll('"includeFields"', '"format":"JSON","includeFields"')) as unknown;

  it('of a list are read', async () => {
    const all = await answering(withFormat(sample('webhookSubscriptions_all_present'))).shopify.list(shop);
    const removed = await answering(withFormat(sample('webhookSubscriptions_orders_create_removed'))).shopify.list(
      shop,
    );
    const topics = (listing: typeof all) =>
      listing.outcome === 'listed' ? listing.items.map(({ topic }) => topic) : [];
    expect(topics(all)).toContain('ORDERS_CREATE');
    expect(topics(removed)).toEqual(topics(all).filter((topic) => topic !== 'ORDERS_CREATE'));
  });

  it('of changes are read', async () => {
    const create = { act: 'create', uri: 'https://pipeline.example.com/webhooks/shopify' } as const;
    const made = answering(sample('webhookSubscriptionCreate_uri'));
    expect(await made.shopify.carryOut(shop, 'orders/create', create)).toEqual({
      outcome: 'done',
      id: 'gid://shopify/WebhookSubscription/8589934640',
    });
    expect(made.asked).toEqual([{ topic: 'ORDERS_CREATE', subscription: { uri: create.uri, format: 'JSON' } }]);
    const twice = answering(sample('webhookSubscriptionCreate_userError_duplicate'));
    expect(await twice.shopify.carryOut(shop, 'orders/create', create)).toEqual({
      outcome: 'refused',
      detail: 'webhookSubscription.callbackUrl: Address for this topic has already been taken',
    });
    const id = 'gid://shopify/WebhookSubscription/525699895';
    const gone = answering(sample('webhookSubscriptionDelete_docs'));
    expect(await gone.shopify.carryOut(shop, 'orders/create', { act: 'delete', id })).toEqual({ outcome: 'done', id });
  });

  it('of a throttled query are no evidence of anything', async () => {
    const listing = await answering(sample('throttled')).shopify.list(shop);
    expect(listing).toMatchObject({ outcome: 'no-answer', why: 'throttled' });
  });
});
