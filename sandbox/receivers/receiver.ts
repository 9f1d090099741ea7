import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { seededChance, type Fault, type Faults } from './faults.js';

export interface Received {
  at: Date;
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Reply {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

/** A sandbox may run for days: only the latest requests and bodies are kept; counts by name are kept for good. */
export const KEPT_MAX = 5_000;

/**
 * A far side over HTTP that can misbehave on request. What a kind of destination does with a good request is in
 * `take`; everything else is the same for all.
 */
export abstract class Receiver {
  /** Every request that came in whole, faults included, oldest first. */
  readonly requests: Received[] = [];
  readonly faults: Faults = { fault: { mode: 'ok' }, times: null, share: 1 };
  /** The same for what it is asked about what it received: at real far sides that is a service of its own. */
  readonly reportFaults: Faults = { fault: { mode: 'ok' }, times: null, share: 1 };
  /** Time as this far side knows it, in milliseconds since the epoch; given, so that a test can live through its delays. */
  nowMs: () => number = Date.now;
  /** Questions being answered at this moment, and the most there ever were at once. */
  protected reportsUnderWay = 0;
  reportsAtOnceMax = 0;
  protected readonly chance: () => number;
  private server: Server | null = null;
  private readonly sockets = new Set<Socket>();
  private port = 0;

  constructor(seed = 1) {
    this.chance = seededChance(seed);
  }

  /** @returns the base URL */
  async start(port = 0): Promise<string> {
    const server = createServer((request, response) => void this.serve(request, response));
    server.keepAliveTimeout = 30_000;
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    this.server = server;
    this.port = (server.address() as AddressInfo).port;
    return this.url;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    const server = this.server;
    this.server = null;
    for (const socket of this.sockets) socket.destroy();
    if (server !== null) await new Promise((resolve) => server.close(resolve));
  }

  /** Connections are refused until `acceptAgain`. */
  async refuse(): Promise<void> {
    await this.stop();
  }

  async acceptAgain(): Promise<void> {
    if (this.server === null) await this.start(this.port);
  }

  /** The trouble from the next request on; `{ mode: 'ok' }` ends it. */
  misbehave(fault: Fault, { times = null, share = 1 }: { times?: number | null; share?: number } = {}): void {
    Object.assign(this.faults, { fault, times, share });
  }

  /** The same trouble for its reports alone. */
  misreport(fault: Fault, { times = null, share = 1 }: { times?: number | null; share?: number } = {}): void {
    Object.assign(this.reportFaults, { fault, times, share });
  }

  /** Whether a request asks what was received, rather than brings something. */
  protected isReport(_request: Received): boolean {
    return false;
  }

  /** What this far side does with a request it takes: keeps what it keeps, and answers. */
  protected abstract take(request: Received): Reply;

  private nextFault(faults: Faults): Fault {
    const { fault, times, share } = faults;
    if (fault.mode === 'ok' || times === 0 || (share < 1 && this.chance() >= share)) return { mode: 'ok' };
    if (times !== null) faults.times = times - 1;
    return fault;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return; // the sender went away in the middle
    }
    const url = new URL(request.url ?? '/', this.url);
    const received: Received = {
      at: new Date(this.nowMs()),
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: Buffer.concat(chunks).toString('utf8'),
    };
    this.requests.push(received);
    if (this.requests.length > KEPT_MAX) this.requests.shift();
    const isReport = this.isReport(received);
    if (isReport) this.countUnderWay(response);
    this.answer(received, response, this.nextFault(isReport ? this.reportFaults : this.faults));
  }

  private countUnderWay(response: ServerResponse): void {
    this.reportsUnderWay += 1;
    this.reportsAtOnceMax = Math.max(this.reportsAtOnceMax, this.reportsUnderWay);
    response.once('close', () => (this.reportsUnderWay -= 1));
  }

  private answer(received: Received, response: ServerResponse, fault: Fault): void {
    switch (fault.mode) {
      case 'ok':
        return send(response, this.take(received));
      case 'slow':
        setTimeout(() => send(response, this.take(received)), fault.ms).unref();
        return;
      case 'hang':
        return;
      case 'status':
        return send(response, { status: fault.code, headers: fault.headers, body: fault.body });
      case 'throttle':
        return send(response, { status: 429, headers: { 'retry-after': String(fault.retryAfterS) } });
      case 'apply-then-cut':
        this.take(received);
        response.socket?.destroy();
        return;
      case 'cut-before':
        response.socket?.destroy();
        return;
      case 'slow-body': {
        const { status, headers } = this.take(received);
        response.writeHead(status === 204 ? 200 : status, { ...headers, 'content-length': '1000' });
        response.write('{');
        return;
      }
      case 'garbage-body':
        this.take(received);
        return send(response, { status: 200, body: '\u0000<<garbage>>{{{' });
      case 'garbage-response':
        response.socket?.end('SSH-2.0-not-a-web-server\r\n');
    }
  }
}

function send(response: ServerResponse, { status, headers, body }: Reply): void {
  response.writeHead(status, headers).end(body);
}

export function jsonReply(status: number, body: unknown, headers: Record<string, string> = {}): Reply {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) };
}

/** Counts by name: what came, and what came again. */
export class Tally {
  readonly counts = new Map<string, number>();

  /** @returns how often it has come by now */
  add(name: string): number {
    const count = (this.counts.get(name) ?? 0) + 1;
    this.counts.set(name, count);
    return count;
  }

  get names(): string[] {
    return [...this.counts.keys()];
  }

  /** Arrivals beyond the first of each name. */
  get repeats(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count - 1, 0);
  }
}

/** Keeps the latest entries of a map. */
export function keepLatest<Value>(map: Map<string, Value>, name: string, value: Value, most = KEPT_MAX): void {
  map.set(name, value);
  const oldest = map.keys().next();
  if (map.size > most && oldest.done !== true) map.delete(oldest.value);
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

export function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
