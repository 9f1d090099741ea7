import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable, pipeline } from 'node:stream';
import { answer } from '../rpc.js';

export type BulkStorageApi = {
  /** @prop url of a result; `?orders=N` says how many it holds */
  open: { takes: null; gives: { url: string } };
};

const CHUNK_ORDERS = 200;

/** A bulk result of any size, made while it is sent: no two lines alike, one order in fifty refunded. */
function* result(orders: number): Generator<string> {
  for (let first = 0; first < orders; first += CHUNK_ORDERS) {
    let text = '';
    for (let at = first; at < Math.min(orders, first + CHUNK_ORDERS); at++) text += `${line(at)}\n`;
    yield text;
  }
}

function line(at: number): string {
  const id = 6_000_000_000_000 + at * 3;
  const createdAt = new Date(1_790_000_000_000 + at * 2_000).toISOString();
  const updatedAt = new Date(1_790_000_060_000 + at * 2_000).toISOString();
  const isRefunded = at % 50 === 0;
  const refund = { id: `gid://shopify/Refund/${id + 1}`, legacyResourceId: String(id + 1), createdAt: updatedAt };
  return JSON.stringify({
    id: `gid://shopify/Order/${id}`,
    legacyResourceId: String(id),
    createdAt,
    updatedAt,
    cancelledAt: at % 70 === 0 ? updatedAt : null,
    test: false,
    displayFinancialStatus: isRefunded ? 'REFUNDED' : 'PAID',
    sourceName: at % 7 === 0 ? 'pos' : 'web',
    totalPriceSet: { shopMoney: { amount: `${at % 900}.${10 + (at % 90)}` } },
    refunds: isRefunded ? [refund] : [],
  });
}

const server = createServer((request, response) => {
  const orders = Number(new URL(request.url ?? '/', 'http://storage').searchParams.get('orders'));
  response.writeHead(200, { 'content-type': 'application/jsonl' });
  pipeline(Readable.from(result(orders), { objectMode: true, highWaterMark: 4 }), response, () => undefined);
});

answer<BulkStorageApi>({
  async open() {
    if (!server.listening) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/result.jsonl` };
  },
});
