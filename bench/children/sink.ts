import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sharedNowMs } from '../machine.js';
import { answer } from '../rpc.js';

/** `ok` answers 200; `refusing` answers 503; `hanging` takes the request and says nothing. */
export type SinkMood = 'ok' | 'refusing' | 'hanging';

/** What came in on one port since the last reset. */
export interface Arrivals {
  events: number;
  posts: number;
  firstMs: number;
  lastMs: number;
  /** Order ids with the instant (`sharedNowMs`) they were answered 2xx; only while tracing. */
  ids: Float64Array;
  atMs: Float64Array;
}

export type SinkApi = {
  /** One port a destination, as destinations have hosts of their own. */
  open: { takes: { ports: number }; gives: { ports: number[] } };
  /** @param only a port; `null` = all */
  mood: { takes: { only: number | null; mood: SinkMood }; gives: void };
  reset: { takes: { tracing: boolean }; gives: void };
  count: { takes: null; gives: number };
  arrivals: { takes: null; gives: Arrivals[] };
};

const MESSAGE = Buffer.from('"messageId":');
const ORDER_ID = Buffer.from('"order_id":"');

class Sink {
  mood: SinkMood = 'ok';
  private readonly hanging = new Set<ServerResponse>();
  private events = 0;
  private posts = 0;
  private firstMs = 0;
  private lastMs = 0;
  private ids: number[] = [];
  private atMs: number[] = [];

  private constructor(private readonly server: Server) {}

  static async open(tracing: () => boolean): Promise<Sink> {
    const server = createServer({ keepAliveTimeout: 60_000 });
    const sink = new Sink(server);
    server.on('request', (req, res) => {
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.on('end', () => sink.take(req.url ?? '', Buffer.concat(chunks), res, tracing()));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return sink;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get count(): number {
    return this.events;
  }

  setMood(mood: SinkMood): void {
    this.mood = mood;
    if (mood === 'hanging') return;
    for (const res of this.hanging) res.writeHead(503).end();
    this.hanging.clear();
  }

  reset(): void {
    this.events = this.posts = this.firstMs = this.lastMs = 0;
    this.ids = [];
    this.atMs = [];
  }

  arrivals(): Arrivals {
    const { events, posts, firstMs, lastMs } = this;
    return { events, posts, firstMs, lastMs, ids: Float64Array.from(this.ids), atMs: Float64Array.from(this.atMs) };
  }

  private take(url: string, body: Buffer, res: ServerResponse, tracing: boolean): void {
    if (this.mood === 'hanging') return void this.hanging.add(res);
    if (this.mood === 'refusing') return void res.writeHead(503).end();
    res.writeHead(200, ['content-type', 'application/json', 'content-length', '2']).end('{}');
    this.lastMs = sharedNowMs();
    if (this.events === 0) this.firstMs = this.lastMs;
    this.posts += 1;
    this.events += url.endsWith('/v1/batch') ? occurrences(body, MESSAGE) : 1;
    if (!tracing) return;
    const at = body.indexOf(ORDER_ID) + ORDER_ID.length;
    this.ids.push(Number(body.toString('latin1', at, at + 13)));
    this.atMs.push(this.lastMs);
  }
}

function occurrences(body: Buffer, mark: Buffer): number {
  let count = 0;
  for (let at = body.indexOf(mark); at !== -1; at = body.indexOf(mark, at + mark.length)) count += 1;
  return count;
}

const sinks: Sink[] = [];
let tracing = false;

answer<SinkApi>({
  async open({ ports }) {
    while (sinks.length < ports) sinks.push(await Sink.open(() => tracing));
    return { ports: sinks.map((sink) => sink.port) };
  },
  mood({ only, mood }) {
    for (const sink of sinks) if (only === null || sink.port === only) sink.setMood(mood);
  },
  reset(wanted) {
    ({ tracing } = wanted);
    for (const sink of sinks) sink.reset();
  },
  count: () => sinks.reduce((sum, sink) => sum + sink.count, 0),
  arrivals: () => sinks.map((sink) => sink.arrivals()),
});
