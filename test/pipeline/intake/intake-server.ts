import { createHmac } from 'node:crypto';
import { request, type Agent, type IncomingMessage, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { fastify } from 'fastify';
import { SystemClock } from '../../../src/kernel/clock.js';
import type { InboxEntry } from '../../../src/pipeline/contract.js';
import { Intake, type IntakeOptions, type IntakeRecorder } from '../../../src/pipeline/intake/intake.js';
import { intakeServerFactory } from '../../../src/pipeline/intake/server-factory.js';
import { SignatureCheck } from '../../../src/pipeline/intake/signature.js';

export const SECRET = 'shpss_newest';
export const OLDER_SECRET = 'shpss_older';
export const SANDBOX_SECRET = 'shpss_sandbox';

export interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

export interface IntakeServer {
  intake: Intake;
  server: Server;
  port: number;
  close(): Promise<void>;
}

/** Intake in front of Fastify, as in production. */
export async function serveIntake(
  append: (entry: InboxEntry) => Promise<unknown>,
  recorder?: IntakeRecorder,
  tally?: IntakeOptions['tally'],
): Promise<IntakeServer> {
  const intake = new Intake({
    signature: new SignatureCheck([
      { secret: SECRET, world: 'real' },
      { secret: OLDER_SECRET, world: 'real' },
      { secret: SANDBOX_SECRET, world: 'sandbox' },
    ]),
    append,
    clock: new SystemClock(),
    ...(recorder ? { recorder } : {}),
    ...(tally ? { tally } : {}),
  });
  const app = fastify({ serverFactory: intakeServerFactory(intake) });
  app.get('/elsewhere', () => 'fastify');
  app.post('/elsewhere', (req) => req.body);
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  return {
    intake,
    server: app.server,
    port,
    close: async () => {
      app.server.closeAllConnections();
      await app.close();
      await intake.drain();
    },
  };
}

export function sign(body: Buffer | string, secret = SECRET): string {
  return createHmac('sha256', secret).update(body).digest('base64');
}

/** The headers Shopify sends. @param overrides `undefined` leaves one out */
export function shopifyHeaders(
  body: Buffer | string,
  overrides: Record<string, string | undefined> = {},
): Record<string, string> {
  const headers: Record<string, string | undefined> = {
    'Content-Type': 'application/json',
    'X-Shopify-Topic': 'orders/create',
    'X-Shopify-Hmac-Sha256': sign(body),
    'X-Shopify-Shop-Domain': 'acme.myshopify.com',
    'X-Shopify-API-Version': '2026-10',
    'X-Shopify-Webhook-Id': 'b54557e4-bdd9-4b37-8a5f-bf7d70bcd043',
    'X-Shopify-Event-Id': '98880550-7158-44d4-b7cd-2c97c8a091b5',
    'X-Shopify-Triggered-At': '2026-11-23T10:00:00.123456789Z',
    ...overrides,
  };
  return Object.fromEntries(Object.entries(headers).filter((pair): pair is [string, string] => pair[1] !== undefined));
}

export function send(
  port: number,
  body: Buffer | string,
  options: { headers?: Record<string, string>; path?: string; method?: string; agent?: Agent; chunked?: boolean } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const bytes = Buffer.from(body);
    const headers: Record<string, string> = { ...(options.headers ?? shopifyHeaders(bytes)) };
    if (!options.chunked) headers['Content-Length'] = String(bytes.length);
    const req = request({
      host: '127.0.0.1',
      port,
      path: options.path ?? '/webhooks/shopify',
      method: options.method ?? 'POST',
      headers,
      ...(options.agent ? { agent: options.agent } : {}),
    });
    req.on('response', (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () =>
        resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(chunks).toString() }),
      );
    });
    req.on('error', reject);
    if (options.chunked) for (let at = 0; at < bytes.length; at += 1_000) req.write(bytes.subarray(at, at + 1_000));
    req.end(options.chunked ? undefined : bytes);
  });
}

/** A connection driven by hand, for senders that misbehave. */
export class RawSender {
  received = '';
  closed = false;

  private constructor(readonly socket: Socket) {
    socket.on('data', (bytes: Buffer) => (this.received += bytes.toString('latin1')));
    socket.on('close', () => (this.closed = true));
    socket.on('error', () => undefined);
  }

  static async connect(port: number): Promise<RawSender> {
    const socket = connect(port, '127.0.0.1');
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new RawSender(socket);
  }

  /** The head of a POST; the caller sends the body. */
  head(headers: Record<string, string>, path = '/webhooks/shopify'): void {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    this.socket.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\n${lines.join('')}\r\n`);
  }
}
