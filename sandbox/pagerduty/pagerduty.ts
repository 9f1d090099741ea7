import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.js';
import { Incidents, type Incident, type IncidentChange, type PagerEvent } from './incidents.js';
import { selfSigned } from './self-signed.js';
import { WebhookPost } from './webhook-post.js';

/**
 * How it misbehaves. `down` refuses connections, `hanging` takes them and never answers, `unheard` answers 202 and makes no
 * incident of it, `garbled` answers as a proxy in its place would, `losing` takes it and cuts the answer off.
 */
export const PAGER_MODES = [
  'calm',
  'down',
  'hanging',
  'throttling',
  'failing',
  'garbled',
  'unheard',
  'losing',
] as const;
export type PagerMode = (typeof PAGER_MODES)[number];

/** Source: PagerDuty developer docs, "Events API v2", "Rate limits": about 120 a minute and key. */
const EVENTS_PER_MINUTE = 120;
const MINUTE_MS = 60_000;
const EVENT_BYTES_MAX = 524_288;
const RETRY_AFTER_SECONDS = 5;
const RECEIVED_KEPT = 20_000;
const ROUTES = ['removed', 'orders', 'routine'] as const;
const POLICY = 'PSANDBOX';
/** Who is on call, while anybody is. */
export const ON_CALL: readonly string[] = ['Robin On-Call'];

/** An event that came in whole, whatever it was answered. */
export interface Received {
  atMs: number;
  status: number;
  event: PagerEvent;
}

export interface PagerDutyOptions {
  clock: Clock;
  /** Where it posts its webhooks; `null` = nobody has subscribed. */
  webhookUrl?: () => string | null;
  webhookSecrets?: readonly string[];
  /** When its certificate is made; by its clock, unless that is not the one of whoever checks it. */
  certifiedAtMs?: number;
}

/** PagerDuty as its documents describe it, over TLS as its client demands: Events API v2, some of REST, V3 webhooks. */
export class PagerDutySide {
  readonly routingKeys: Readonly<Record<(typeof ROUTES)[number], string>>;
  readonly token = 'sandbox-rest-token';
  readonly escalationPolicy = POLICY;
  readonly webhookSecrets: readonly string[];
  readonly received: Received[] = [];
  readonly incidents: Incidents;
  readonly webhooks: WebhookPost;
  /** Who is on call; nobody is possible. */
  onCall: string[] = [...ON_CALL];
  private current: PagerMode = 'calm';
  private readonly identity: { certificate: string; privateKey: string };
  private readonly sockets = new Set<Duplex>();
  private server: Server | null = null;
  private port = 0;

  constructor(private readonly options: PagerDutyOptions) {
    const { clock } = options;
    this.identity = selfSigned(options.certifiedAtMs ?? clock.now());
    const keyOf = (route: string): string =>
      Buffer.from(`sandbox-${route}`).toString('hex').padEnd(32, '0').slice(0, 32);
    this.routingKeys = { removed: keyOf('removed'), orders: keyOf('orders'), routine: keyOf('routine') };
    this.webhookSecrets = options.webhookSecrets ?? ['sandbox-webhook-secret'];
    this.webhooks = new WebhookPost({
      url: () => options.webhookUrl?.() ?? null,
      secrets: this.webhookSecrets,
      services: Object.fromEntries(ROUTES.map((route) => [this.routingKeys[route], `Plumbline ${route}`])),
      clock,
    });
    this.incidents = new Incidents((change, incident) => this.webhooks.tell(change, incident));
  }

  /** PEM; trust it to trust this side. */
  get ca(): string {
    return this.identity.certificate;
  }

  /** `host:port`, for events and REST alike. */
  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  get mode(): PagerMode {
    return this.current;
  }

  /** Waits until the port is closed or open again, so that what follows meets the new mode. */
  async become(mode: PagerMode): Promise<void> {
    this.current = mode;
    if (mode === 'down') await this.close();
    else if (this.server === null) await this.listen(this.port);
    // Who hangs already is cut off: a new mode is a new beginning.
    else for (const socket of this.sockets) socket.destroy();
  }

  async start(): Promise<void> {
    await this.listen(0);
  }

  async stop(): Promise<void> {
    this.webhooks.stop();
    await this.close();
  }

  routeOf({ routingKey }: Pick<Incident, 'routingKey'>): string {
    return ROUTES.find((route) => this.routingKeys[route] === routingKey) ?? 'unknown';
  }

  /** What whoever is on call does in the app. */
  act(id: string, change: IncidentChange): boolean {
    return this.incidents.act(id, change, this.onCall[0] ?? 'Somebody', this.options.clock.now());
  }

  private async listen(port: number): Promise<void> {
    const server = createServer(
      { cert: this.identity.certificate, key: this.identity.privateKey },
      (request, response) => {
        this.serve(request, response).catch(() => response.destroy());
      },
    );
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    // A client that hangs up during the handshake is its own affair.
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    this.server = server;
    this.port = (server.address() as AddressInfo).port; // a TCP server's address is never text
  }

  private async close(): Promise<void> {
    const { server } = this;
    this.server = null;
    for (const socket of this.sockets) socket.destroy();
    if (server !== null) await new Promise((resolve) => server.close(resolve));
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    if (this.current === 'hanging') return;
    if (this.current === 'failing')
      return json(response, 500, { error: { message: 'Internal Server Error', code: 2000 } });
    if (this.current === 'garbled') {
      response.writeHead(502, { 'Content-Type': 'text/html' }).end('<html><h1>502 Bad Gateway</h1></html>');
      return;
    }
    const url = new URL(request.url ?? '/', 'https://sandbox');
    if (request.method === 'POST' && url.pathname === '/v2/enqueue') {
      return this.enqueue(Buffer.concat(chunks), response);
    }
    return this.rest(request, url, response);
  }

  private enqueue(body: Buffer, response: ServerResponse): void {
    const nowMs = this.options.clock.now();
    const read = readEvent(body, Object.values(this.routingKeys));
    if ('error' in read) {
      return json(response, 400, { status: 'invalid event', message: 'Event object is invalid', errors: [read.error] });
    }
    const { event } = read;
    const status = this.current === 'throttling' || this.isTooMuch(event.routingKey, nowMs) ? 429 : 202;
    this.received.push({ atMs: nowMs, status, event });
    if (this.received.length > RECEIVED_KEPT) this.received.shift();
    if (status === 429) {
      response.setHeader('Retry-After', String(RETRY_AFTER_SECONDS));
      return json(response, 429, {
        status: 'throttle exceeded',
        message: 'Requests for this service are arriving too quickly.',
      });
    }
    if (this.current !== 'unheard') this.incidents.take(event, nowMs);
    if (this.current === 'losing') {
      response.destroy();
      return;
    }
    return json(response, 202, { status: 'success', message: 'Event processed', dedup_key: event.dedupKey ?? '' });
  }

  private isTooMuch(routingKey: string, nowMs: number): boolean {
    let count = 0;
    for (let index = this.received.length - 1; index >= 0; index--) {
      const { atMs, status, event } = this.received[index] as Received;
      if (atMs <= nowMs - MINUTE_MS) break;
      if (status === 202 && event.routingKey === routingKey) count += 1;
    }
    return count >= EVENTS_PER_MINUTE;
  }

  private rest(request: IncomingMessage, url: URL, response: ServerResponse): void {
    if (this.current === 'throttling') {
      response.setHeader('ratelimit-reset', String(RETRY_AFTER_SECONDS));
      return json(response, 429, { error: { message: 'Rate Limit Exceeded', code: 2020 } });
    }
    if (request.headers.authorization !== `Token token=${this.token}`) {
      return json(response, 401, { error: { message: 'Requires Authentication', code: 2006 } });
    }
    const paging = { limit: 25, offset: 0, more: false, total: null };
    const user = (summary: string) => ({ id: 'PSANDBOXER', type: 'user_reference', summary });
    switch (url.pathname) {
      case '/incidents': {
        const key = url.searchParams.get('incident_key');
        const statuses = url.searchParams.getAll('statuses[]');
        const found = this.incidents.list
          .filter(
            (one) => (key === null || one.key === key) && (statuses.length === 0 || statuses.includes(one.status)),
          )
          .toReversed()
          .slice(0, paging.limit);
        return json(response, 200, { incidents: found.map(restIncident), ...paging });
      }
      case '/oncalls': {
        const policy = { id: POLICY, type: 'escalation_policy_reference', summary: 'Sandbox' };
        const asked = url.searchParams.getAll('escalation_policy_ids[]');
        const isAsked = asked.length === 0 || asked.includes(POLICY);
        const oncalls = (isAsked ? this.onCall : []).map((name) => ({
          user: user(name),
          schedule: null,
          escalation_policy: policy,
          escalation_level: 1,
          start: null,
          end: null,
        }));
        return json(response, 200, { oncalls, ...paging });
      }
      case '/webhook_subscriptions': {
        const subscription = {
          id: 'PSANDBOX',
          type: 'webhook_subscription',
          active: true,
          delivery_method: {
            id: 'PSANDBOX',
            type: 'http_delivery_method',
            url: this.options.webhookUrl?.() ?? null,
            secret: null,
            temporarily_disabled: this.webhooks.isDisabled,
          },
        };
        return json(response, 200, { webhook_subscriptions: [subscription], ...paging });
      }
      default:
        return json(response, 404, { error: { message: 'Not Found', code: 2100 } });
    }
  }
}

function restIncident(incident: Incident): object {
  return {
    id: incident.id,
    type: 'incident',
    incident_number: incident.number,
    title: incident.title,
    summary: `[#${incident.number}] ${incident.title}`,
    incident_key: incident.key,
    status: incident.status,
    created_at: new Date(incident.createdAtMs).toISOString(),
    updated_at: new Date(incident.changedAtMs).toISOString(),
    acknowledgements:
      incident.status === 'acknowledged'
        ? [
            {
              at: new Date(incident.changedAtMs).toISOString(),
              acknowledger: { id: 'PSANDBOXER', type: 'user_reference', summary: incident.by },
            },
          ]
        : [],
    urgency: 'high',
  };
}

/** Source: PagerDuty developer docs, "Events API v2", "Trigger events": field by field. */
function readEvent(body: Buffer, routingKeys: readonly string[]): { event: PagerEvent } | { error: string } {
  if (body.length > EVENT_BYTES_MAX) return { error: 'Event is larger than 512 KB' };
  const given = record(parse(body));
  if (given === null) return { error: 'JSON parse error' };
  const { routing_key: routingKey, event_action: action, dedup_key: dedupKey } = given;
  if (typeof routingKey !== 'string' || routingKey.length !== 32) {
    return { error: "Length of 'routing_key' is incorrect (should be 32 characters)" };
  }
  if (!routingKeys.includes(routingKey)) return { error: 'Invalid routing key' };
  if (action !== 'trigger' && action !== 'acknowledge' && action !== 'resolve') {
    return { error: "'event_action' is missing or invalid" };
  }
  if (dedupKey !== undefined && (typeof dedupKey !== 'string' || dedupKey.length > 255)) {
    return { error: "'dedup_key' is too long (maximum is 255 characters)" };
  }
  if (dedupKey === undefined && action !== 'trigger') return { error: "'dedup_key' is missing" };
  const payload = record(given.payload) ?? {};
  const { summary, severity, source } = payload;
  if (action === 'trigger') {
    if (typeof summary !== 'string' || summary === '') return { error: "'payload.summary' is missing or blank" };
    if (typeof source !== 'string' || source === '') return { error: "'payload.source' is missing or blank" };
    if (!['critical', 'error', 'warning', 'info'].includes(String(severity))) {
      return { error: "'payload.severity' is invalid (must be one of: critical, warning, error, info)" };
    }
  }
  const links = (Array.isArray(given.links) ? (given.links as unknown[]) : []).flatMap((link) => {
    const { href, text } = record(link) ?? {};
    return typeof href === 'string' ? [{ href, text: typeof text === 'string' ? text : href }] : [];
  });
  return {
    event: {
      routingKey,
      action,
      dedupKey: dedupKey ?? null,
      summary: typeof summary === 'string' ? [...summary].slice(0, 1_024).join('') : '',
      severity: typeof severity === 'string' ? severity : '',
      payload,
      links,
    },
  };
}

function record(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}
