import { Socket } from 'node:net';
import { sharedNowMs } from '../machine.js';
import { TOPIC, giveId, makeOrders, sign, type Order } from '../orders.js';
import { answer } from '../rpc.js';
import { quantile } from '../statistics.js';

/** What the generator sends, and how. */
export interface Load {
  ports: readonly number[];
  connections: number;
  /** `null` = closed loop: each connection sends again as soon as it is answered. */
  perSecond: number | null;
}

export interface LoadResult {
  seconds: number;
  answered: number;
  /** Answers other than 200, and connections lost. */
  failed: number;
  p50Ms: number;
  p99Ms: number;
  /** Order id and the instant it was meant to be sent at (`sharedNowMs`), since the mark. */
  sent: { ids: Float64Array; atMs: Float64Array };
}

export type LoadApi = {
  /** Makes and signs what will be sent. */
  prepare: { takes: { seed: number; orders: number }; gives: { bodyBytes: number } };
  /** New ids for all orders, so that no measurement sends an order that another has sent. */
  renew: { takes: { firstId: number }; gives: void };
  begin: { takes: Load; gives: void };
  /** Forgets what was counted so far: the warm-up is over. */
  mark: { takes: null; gives: void };
  /** Stops sending and waits for the answers. */
  end: { takes: null; gives: LoadResult };
};

const WEBHOOK_ID_PREFIX = 'b3a7c9d1-0000-4000-8000-'; // and twelve digits that count
const HMAC_LENGTH = 44;
const BACKLOG_MAX = 200_000;

interface Request {
  order: Order;
  /** Head and body; the body is the order's own memory. */
  bytes: Buffer;
  hmacAt: number;
  webhookIdAt: number;
}

function makeRequest(order: Order): Request {
  const marks = { hmac: '~'.repeat(HMAC_LENGTH), webhookId: '^'.repeat(12) };
  const head =
    `POST /webhooks/shopify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n` +
    `Accept: */*\r\nAccept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\r\nUser-Agent: Shopify-Captain-Hook\r\n` +
    `X-Shopify-Topic: ${TOPIC}\r\nX-Shopify-Shop-Domain: ${order.shop}\r\nX-Shopify-API-Version: 2026-10\r\n` +
    `X-Shopify-Hmac-Sha256: ${marks.hmac}\r\nX-Shopify-Webhook-Id: ${WEBHOOK_ID_PREFIX}${marks.webhookId}\r\n` +
    `X-Shopify-Triggered-At: ${new Date().toISOString()}\r\nX-Shopify-Event-Id: ${WEBHOOK_ID_PREFIX}000000000000\r\n` +
    `Content-Length: ${order.body.length}\r\n\r\n`;
  const bytes = Buffer.concat([Buffer.from(head), order.body]);
  order.body = bytes.subarray(head.length);
  return { order, bytes, hmacAt: head.indexOf(marks.hmac), webhookIdAt: head.indexOf(marks.webhookId) };
}

let requests: Request[] = [];
let nextRequest = 0;
let webhooks = 0;

/** The next order, under a webhook id that was never used: what two requests have in common is at most their order. */
function takeRequest(): Request {
  const request = requests[nextRequest++ % requests.length];
  if (!request) throw new Error('prepare first');
  request.bytes.write(String(++webhooks).padStart(12, '0'), request.webhookIdAt, 'latin1');
  return request;
}

/** One keep-alive connection that has one request under way at a time. */
class Connection {
  private readonly socket = new Socket();
  private pending = '';
  private meantAtMs = 0;
  busy = false;

  constructor(
    port: number,
    private readonly run: Run,
  ) {
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk) => this.hear(chunk));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => this.run.lost(this));
    this.socket.connect(port, '127.0.0.1', () => this.run.free(this));
  }

  send(meantAtMs: number): void {
    const request = takeRequest();
    this.busy = true;
    this.meantAtMs = meantAtMs;
    this.run.note(request.order.id, meantAtMs);
    this.socket.write(request.bytes);
  }

  close(): void {
    this.socket.destroy();
  }

  private hear(chunk: Buffer): void {
    const text = this.pending + chunk.toString('latin1');
    const headEnd = text.indexOf('\r\n\r\n');
    const length = headEnd === -1 ? null : /\r\ncontent-length: *(\d+)/i.exec(text);
    if (!length || text.length < headEnd + 4 + Number(length[1])) {
      this.pending = text;
      return;
    }
    this.pending = '';
    this.busy = false;
    this.run.answered(this, text.startsWith('HTTP/1.1 200'), sharedNowMs() - this.meantAtMs);
  }
}

/**
 * Sends as asked until it is told to stop.
 *
 * An open loop sends by the clock, whatever the answers do: a request that finds no free connection waits in line, and
 * its time counts from the instant it was meant to go (no coordinated omission).
 */
class Run {
  private readonly connections: Connection[];
  private readonly line: number[] = [];
  private readonly idle: Connection[] = [];
  private timer: NodeJS.Timeout | null = null;
  private latencies: number[] = [];
  private ids: number[] = [];
  private idsAtMs: number[] = [];
  private failed = 0;
  private markedMs = sharedNowMs();
  private lastAnswerMs = this.markedMs;
  private stopping = false;
  private onQuiet: (() => void) | null = null;

  constructor(private readonly load: Load) {
    this.connections = Array.from(
      { length: load.connections },
      (_, index) => new Connection(load.ports[index % load.ports.length] as number, this),
    );
    if (load.perSecond !== null) this.tick(load.perSecond);
  }

  note(id: number, atMs: number): void {
    if (this.load.perSecond === null) return;
    this.ids.push(id);
    this.idsAtMs.push(atMs);
  }

  free(connection: Connection): void {
    const meantAtMs = this.line.shift();
    // Who stands in line was meant to go before the end, so it still goes.
    if (meantAtMs !== undefined) connection.send(meantAtMs);
    else if (this.stopping) this.quiet();
    else if (this.load.perSecond === null) connection.send(sharedNowMs());
    else this.idle.push(connection);
  }

  answered(connection: Connection, ok: boolean, latencyMs: number): void {
    if (ok) this.latencies.push(latencyMs);
    else this.failed += 1;
    this.lastAnswerMs = sharedNowMs();
    this.free(connection);
  }

  lost(connection: Connection): void {
    if (connection.busy) this.failed += 1;
    connection.busy = false;
    if (this.stopping) this.quiet();
  }

  mark(): void {
    this.latencies = [];
    this.ids = [];
    this.idsAtMs = [];
    this.failed = 0;
    this.markedMs = sharedNowMs();
  }

  async end(): Promise<LoadResult> {
    this.stopping = true;
    if (this.timer) clearInterval(this.timer);
    if (this.connections.some((connection) => connection.busy)) {
      await Promise.race([
        new Promise<void>((resolve) => (this.onQuiet = resolve)),
        new Promise((resolve) => setTimeout(resolve, 6_000)), // past Shopify's own patience nobody waits
      ]);
    }
    for (const connection of this.connections) connection.close();
    return {
      seconds: (this.lastAnswerMs - this.markedMs) / 1000,
      answered: this.latencies.length,
      failed: this.failed + this.line.length,
      p50Ms: quantile(this.latencies, 0.5),
      p99Ms: quantile(this.latencies, 0.99),
      sent: { ids: Float64Array.from(this.ids), atMs: Float64Array.from(this.idsAtMs) },
    };
  }

  private tick(perSecond: number): void {
    const stepMs = 1000 / perSecond;
    let dueMs = sharedNowMs() + 50; // the connections are being made
    this.timer = setInterval(() => {
      for (const nowMs = sharedNowMs(); dueMs <= nowMs; dueMs += stepMs) {
        const connection = this.idle.shift();
        if (connection) connection.send(dueMs);
        else if (this.line.length < BACKLOG_MAX) this.line.push(dueMs);
      }
    }, 1);
  }

  private quiet(): void {
    if (this.onQuiet && this.connections.every((connection) => !connection.busy)) this.onQuiet();
  }
}

let run: Run | null = null;

function current(): Run {
  if (!run) throw new Error('begin first');
  return run;
}

answer<LoadApi>({
  prepare({ seed, orders }) {
    requests = makeOrders(orders, seed).map(makeRequest);
    return { bodyBytes: requests.reduce((sum, { order }) => sum + order.body.length, 0) / requests.length };
  },
  renew({ firstId }) {
    requests.forEach(({ order, bytes, hmacAt }, index) => {
      giveId(order, firstId + index);
      bytes.write(sign(order.body), hmacAt, 'latin1');
    });
    nextRequest = 0;
  },
  begin(load) {
    if (requests.length < load.connections) throw new Error('too few orders for the connections');
    run = new Run(load);
  },
  mark: () => current().mark(),
  async end() {
    const result = await current().end();
    run = null;
    return result;
  },
});
