import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ordersOf, type Fleet, type FleetOrder } from '../fleet.js';
import { answer } from '../rpc.js';

export type FleetAdminApi = {
  /** @prop url base of a shop's Admin API, to which `/<shop>` is added */
  open: { takes: { fleet: Fleet }; gives: { url: string } };
  /** How long each answer takes; and counts anew. */
  pace: { takes: { answerMs: number }; gives: void };
  asked: { takes: null; gives: { queries: number; ordersListed: number } };
};

interface Question {
  query: string;
  variables: { search: string; after?: string | null };
}

const PAGE = 250;

let fleet: Fleet = { shops: 0, scale: 1, fromMs: 0 };
let answerMs = 0;
let queries = 0;
let ordersListed = 0;

function nodeOf({ id, createdAt, updatedAt, refundId }: FleetOrder): unknown {
  const refund = { id: `gid://shopify/Refund/${refundId}`, legacyResourceId: refundId, createdAt };
  return {
    id: `gid://shopify/Order/${id}`,
    legacyResourceId: id,
    createdAt,
    updatedAt,
    cancelledAt: null,
    test: false,
    displayFinancialStatus: refundId === null ? 'PAID' : 'PARTIALLY_REFUNDED',
    sourceName: 'web',
    totalPriceSet: { shopMoney: { amount: '49.90' } },
    refunds: refundId === null ? [] : [refund],
  };
}

function found(shop: number, search: string): FleetOrder[] {
  const [, from, to] = /^updated_at:>='([^']+)' AND updated_at:<'([^']+)'$/.exec(search) ?? [];
  if (from === undefined || to === undefined) throw new Error(`a search of another shape: ${search}`);
  const [fromMs, toMs] = [Date.parse(from), Date.parse(to)];
  return ordersOf(fleet, shop).filter(({ updatedAt }) => updatedAt.getTime() >= fromMs && updatedAt.getTime() < toMs);
}

function dataFor(shop: number, { query, variables }: Question): unknown {
  const orders = found(shop, variables.search);
  if (query.includes('ordersCount')) {
    return {
      ordersCount: { count: orders.length, precision: 'EXACT' },
      currentAppInstallation: { accessScopes: [{ handle: 'read_orders' }] },
    };
  }
  const first = Number(variables.after ?? 0);
  const page = orders.slice(first, first + PAGE);
  ordersListed += page.length;
  const end = first + page.length;
  return {
    orders: { nodes: page.map(nodeOf), pageInfo: { hasNextPage: end < orders.length, endCursor: String(end) } },
  };
}

const cost = {
  requestedQueryCost: 60,
  actualQueryCost: 60,
  throttleStatus: { maximumAvailable: 2_000, currentlyAvailable: 1_900, restoreRate: 100 },
};

const server = createServer((request, response) => {
  const shop = Number((request.url ?? '').split('/')[1]);
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    queries += 1;
    const reply = (): void => {
      const data = dataFor(shop, JSON.parse(Buffer.concat(chunks).toString('utf8')) as Question);
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ data, extensions: { cost } }));
    };
    if (answerMs > 0) setTimeout(reply, answerMs);
    else reply();
  });
});

answer<FleetAdminApi>({
  async open(given) {
    fleet = given.fleet;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  },
  pace(given) {
    [answerMs, queries, ordersListed] = [given.answerMs, 0, 0];
  },
  asked: () => ({ queries, ordersListed }),
});
