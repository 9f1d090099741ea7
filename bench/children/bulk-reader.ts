import { get, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { AddressGuard } from '../../src/kernel/address-guard.js';
import { SystemClock } from '../../src/kernel/clock.js';
import { HttpOut } from '../../src/kernel/http-out.js';
import { BulkListing } from '../../src/monitoring/reconciliation/bulk-listing.js';
import type { ListingPosition } from '../../src/monitoring/reconciliation/listing.js';
import type { AdminAnswer, Shop, ShopifyAdmin } from '../../src/pipeline/contract.js';
import { ResultFiles } from '../../src/pipeline/shopify/result-files.js';
import { answer } from '../rpc.js';

export interface Reading {
  orders: number;
  refunds: number;
  seconds: number;
}

export type BulkReaderApi = {
  /** The product's own listing, each position through JSON as it is kept between two steps. */
  list: { takes: { url: string; orders: number }; gives: Reading };
  /** Node's own line reader and `JSON.parse`, and nothing made of it. */
  parse: { takes: { url: string; orders: number }; gives: Reading };
};

const SHOP: Shop = {
  id: '1',
  domain: 'bench.myshopify.com',
  key: 'bench',
  world: 'real',
  adminUrl: null,
  accessToken: 'none',
  settings: {},
  destinationIds: [],
  links: [],
  subscriptions: 'shop',
  connectedAt: new Date(0),
  uninstalledAt: null,
};
const WINDOW = { fromAt: new Date(1_780_000_000_000), toAt: new Date(1_800_000_000_000) };

/** An operation that is complete as soon as it is begun. */
function finishedAtOnce(url: string, orders: number): ShopifyAdmin {
  const count = String(orders);
  const operation = { id: 'gid://shopify/BulkOperation/1', status: 'COMPLETED', url, completedAt: null };
  const data = (fields: Record<string, unknown>): AdminAnswer => ({ outcome: 'data', data: fields, extensions: {} });
  return {
    query: async (_shop, query) => {
      if (query.includes('bulkOperationRunQuery')) {
        return data({ bulkOperationRunQuery: { bulkOperation: operation, userErrors: [] } });
      }
      if (query.includes('bulkOperations')) return data({ bulkOperations: { nodes: [] } });
      return data({ node: { ...operation, objectCount: count, rootObjectCount: count } });
    },
  };
}

async function list(url: string, orders: number): Promise<Reading> {
  const http = new HttpOut(new AddressGuard(['127.0.0.0/8']));
  const listing = new BulkListing({
    admin: finishedAtOnce(url, orders),
    files: new ResultFiles({ real: http, sandbox: http }),
    clock: new SystemClock(),
  });
  const { signal } = new AbortController();
  const read: Reading = { orders: 0, refunds: 0, seconds: 0 };
  let position: ListingPosition = null;
  for (;;) {
    const kept = JSON.parse(JSON.stringify(position)) as ListingPosition;
    const step = await listing.step(SHOP, WINDOW, kept, signal);
    if (step.outcome === 'blind') throw new Error(step.detail);
    if (step.outcome === 'orders') {
      read.orders += step.orders.length;
      for (const { refunds } of step.orders) read.refunds += refunds.length;
      if (step.complete) break;
    }
    ({ position } = step);
  }
  await http.close();
  return read;
}

async function parse(url: string): Promise<Reading> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => get(url, resolve).on('error', reject));
  const read: Reading = { orders: 0, refunds: 0, seconds: 0 };
  for await (const text of createInterface({ input: response })) {
    const { refunds } = JSON.parse(text) as { refunds: unknown[] };
    read.orders += 1;
    read.refunds += refunds.length;
  }
  return read;
}

async function timed(work: () => Promise<Reading>): Promise<Reading> {
  const startedMs = performance.now();
  return { ...(await work()), seconds: (performance.now() - startedMs) / 1000 };
}

answer<BulkReaderApi>({
  list: ({ url, orders }) => timed(() => list(`${url}?orders=${orders}`, orders)),
  parse: ({ url, orders }) => timed(() => parse(`${url}?orders=${orders}`)),
});
