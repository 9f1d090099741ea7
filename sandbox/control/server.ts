import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Basket } from '../shopify/order-body.js';
import type { Step } from '../shopify/lifecycle.js';
import type { Wish } from '../shopify/orders.js';
import { BadRequest, parseTrouble } from '../trouble.js';
import type { World } from '../world.js';
import { ICON, SCRIPT, STYLE } from './assets.js';
import { page } from './page.js';
import { pagesOf } from './told.js';
import { stateOf } from './view.js';

const BODY_MAX_BYTES = 64_000;
const MISSING_SHOWN = 100;
const CHANNELS: readonly Basket['channel'][] = ['web', 'pos', 'shopify_draft_order'];
const STEPS: readonly Step[] = ['pay', 'edit', 'cancel', 'refund-part', 'refund-all'];
/** What whoever is on call can do with an incident. */
const INCIDENT_CHANGES = ['acknowledged', 'unacknowledged', 'resolved'] as const;
const SECURITY_HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
};

/** Serves the control page, its API, and the stores' Admin API, all on one loopback port. */
export class ControlServer {
  private readonly server: Server;

  constructor(
    private readonly world: World,
    private readonly serviceUrl: string,
  ) {
    this.server = createServer((request, response) => {
      this.serve(request, response).catch((error: unknown) => {
        if (response.headersSent) response.destroy();
        else if (error instanceof BadRequest) json(response, 400, { error: error.message });
        else json(response, 500, { error: error instanceof Error ? error.message : String(error) });
      });
    });
  }

  /** @param port 0 = any free one @returns the base URL */
  async start(port: number): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, '127.0.0.1', resolve);
    });
    const { port: bound } = this.server.address() as AddressInfo; // a TCP server's address is never text
    return `http://127.0.0.1:${bound}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (await this.world.admin.serve(request, response)) return;
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    // A page of somebody else's that resolves its name to loopback must not steer the sandbox.
    const host = request.headers.host ?? '';
    if (!/^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?$/.test(host))
      return json(response, 421, { error: 'loopback only' });
    const path = (request.url ?? '/').split('?')[0] ?? '/';
    // A check is called by its address alone, as healthchecks.io's are.
    const ping = path.startsWith('/ping/') ? await this.ping(path, request) : null;
    if (ping !== null) return text(response, 'text/plain', ping.body, ping.status);
    if (request.method === 'POST') return this.write(path, request, response);
    if (request.method !== 'GET' && request.method !== 'HEAD') return json(response, 405, { error: 'GET or POST' });
    return this.read(path, new URL(request.url ?? '/', 'http://sandbox').searchParams, response);
  }

  private async ping(path: string, request: IncomingMessage): Promise<{ status: number; body: string } | null> {
    const { check } = this.world.responders ?? {};
    return check?.take(path, await readBody(request)) ?? null;
  }

  private read(path: string, query: URLSearchParams, response: ServerResponse): void {
    switch (path) {
      case '/':
        return text(response, 'text/html', page(stateOf(this.world), this.serviceUrl));
      case '/page.css':
        return text(response, 'text/css', STYLE);
      case '/page.js':
        return text(response, 'text/javascript', SCRIPT);
      case '/icon.svg':
        return text(response, 'image/svg+xml', ICON);
      case '/control/state':
        return json(response, 200, stateOf(this.world));
      case '/control/mails':
        return json(response, 200, { items: this.world.sender.mails });
      case '/control/pages':
        return json(response, 200, pagesOf(this.world));
      case '/control/missing': {
        this.world.readArrivals();
        const items = this.world.truth.missing(query.get('destination') ?? '', this.world.nowMs, MISSING_SHOWN);
        return json(response, 200, { items: items.map((order) => ({ ...order, id: String(order.id) })) });
      }
    }
    const order = /^\/control\/orders\/(\d+)$/.exec(path)?.[1];
    this.world.readArrivals();
    const truth = order === undefined ? undefined : this.world.truth.of(Number(order));
    return truth === undefined
      ? json(response, 404, { error: 'not found' })
      : json(response, 200, { ...truth, id: String(truth.id) });
  }

  private async write(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { origin, host } = request.headers;
    if (origin !== undefined && origin !== `http://${host ?? ''}`)
      return json(response, 403, { error: 'another origin' });
    const { fields, isForm } = await readFields(request);
    const answer = this.act(path, fields);
    if (answer === null) return json(response, 404, { error: 'not found' });
    if (!isForm) return json(response, 200, answer);
    response.writeHead(303, { Location: '/' }).end();
  }

  private act(path: string, fields: Readonly<Record<string, unknown>>): object | null {
    const { world } = this;
    switch (path) {
      case '/control/start':
        world.start(readKeys(fields.callbacks));
        return { isSelling: true };
      case '/control/stop':
        world.stopSelling();
        return { isSelling: false };
      case '/control/trouble': {
        const trouble = parseTrouble(pressed(fields));
        world.make(trouble);
        return { made: trouble };
      }
      case '/control/incident': {
        const [change, id = ''] = readText(fields, 'press').split(' ');
        const known = INCIDENT_CHANGES.find((one) => one === change);
        if (known === undefined) throw new BadRequest(`press must begin with ${INCIDENT_CHANGES.join(' or ')}`);
        return { changed: world.responders?.pager.act(id, known) ?? false };
      }
      case '/control/order':
        return world.sellOne(readText(fields, 'store'), readWish(fields));
      case '/control/step': {
        const step = STEPS.find((known) => known === fields.step);
        if (step === undefined) throw new BadRequest(`step must be one of ${STEPS.join(', ')}`);
        return { happened: world.step(readText(fields, 'store'), Number(readText(fields, 'orderId')), step) };
      }
      default:
        return null;
    }
  }
}

/** A button of the page sends kind and value as one: `press=drop 0.1`. */
function pressed(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (typeof fields.press !== 'string') return fields;
  const [kind, value] = fields.press.split(' ');
  return { ...fields, kind, value };
}

function readKeys(callbacks: unknown): Record<string, string> {
  if (callbacks === undefined) return {};
  const entries = typeof callbacks === 'object' && callbacks !== null ? Object.entries(callbacks) : null;
  const isRight = entries?.every((entry): entry is [string, string] => /^[\w-]{1,128}$/.test(String(entry[1])));
  if (entries === null || isRight !== true) throw new BadRequest('callbacks must be {domain: key}');
  return Object.fromEntries(entries.map(([domain, key]) => [domain, String(key)]));
}

function readWish(fields: Readonly<Record<string, unknown>>): Wish & { quiet?: boolean } {
  const wish: Wish & { quiet?: boolean } = {};
  for (const flag of ['free', 'test', 'unpaid', 'discount', 'foreign', 'quiet'] as const) {
    if (typeof fields[flag] === 'boolean') wish[flag] = fields[flag];
  }
  const channel = CHANNELS.find((known) => known === fields.channel);
  if (channel !== undefined) wish.channel = channel;
  const { lines } = fields;
  if (typeof lines === 'number' && Number.isInteger(lines) && lines >= 1 && lines <= 2_000) wish.lines = lines;
  return wish;
}

function readText(fields: Readonly<Record<string, unknown>>, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string' || value === '') throw new BadRequest(`${name} is missing`);
  return value;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_MAX_BYTES) throw new BadRequest('body too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

async function readFields(request: IncomingMessage): Promise<{ fields: Record<string, unknown>; isForm: boolean }> {
  const body = await readBody(request);
  const type = request.headers['content-type'] ?? '';
  // FormData of the script comes as multipart only when asked for; the page always sends the plain form type.
  if (type.startsWith('application/x-www-form-urlencoded')) {
    return { fields: Object.fromEntries(new URLSearchParams(body)), isForm: true };
  }
  if (body === '') return { fields: {}, isForm: false };
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === 'object' && parsed !== null) return { fields: { ...parsed }, isForm: false };
  } catch {
    // answered below
  }
  throw new BadRequest('the body must be a JSON object');
}

function text(response: ServerResponse, type: string, body: string, status = 200): void {
  response.writeHead(status, { 'Content-Type': `${type}; charset=utf-8` });
  response.end(body);
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify(body));
}
