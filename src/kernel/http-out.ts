import type { Socket } from 'node:net';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import { AddressRefused, type AddressGuard } from './address-guard.js';
import { messageOf } from './errors.js';
import { HttpBody } from './http-body.js';
import { redactText } from './log.js';

const CONNECT_TIMEOUT_MS = 3_000; // far below the deadline, so that a dead host is told apart from a slow one
const DEADLINE_MS = 10_000; // an answer that takes longer is no answer: others wait for the connection
const BODY_MAX_BYTES = 64 * 1024; // answers are read for their reason only
const BODY_PATIENCE_MS = 2_000; // the status has come: a body that stalls must not hold the lane until the deadline
const IDLE_MS = 30_000; // between two pieces of a long body; storage that is well sends within a second
const CONNECTIONS_PER_ORIGIN = 16;

/** Why a request certainly had no effect: no byte of it was sent. */
export type NoEffectCode = 'url' | 'address-refused' | 'dns' | 'refused' | 'connect-timeout' | 'tls' | 'not-sent';

export type HttpResult =
  /** A status line came. `complete` is false when the body was cut, too long, or stalled: the status still counts. */
  | { kind: 'answer'; status: number; headers: Readonly<Record<string, string>>; body: string; complete: boolean }
  /** Nothing was sent, so nothing happened; safe to repeat. */
  | { kind: 'no-effect'; code: NoEffectCode; detail: string }
  /** Bytes went out and no status came back: time-out, cut, or garbage. It may have taken effect. */
  | { kind: 'ambiguous'; detail: string };

export interface HttpRequest {
  method: 'GET' | 'POST';
  url: string;
  headers: Readonly<Record<string, string>>;
  body?: string | Buffer;
  /** Ends the request early; the deadline holds besides. */
  signal?: AbortSignal;
  deadlineMs?: number;
  /** Most of the answer's body that is kept; 64 KB by default, enough for a reason. */
  bodyBytesMax?: number;
}

export interface HttpOpenRequest {
  url: string;
  headers: Readonly<Record<string, string>>;
  /** Ends the opening early; the body has its own `close`. */
  signal?: AbortSignal;
  /** Until the answer's headers. */
  deadlineMs?: number;
  /** Longest wait for the next piece of the body. */
  idleMs?: number;
}

export type HttpOpened =
  /** A status line came, whatever it says. Close the body, or read it to its end. */
  | { kind: 'open'; status: number; headers: Readonly<Record<string, string>>; body: HttpBody }
  /** @prop code why nothing was sent; `null` = it was, and no answer came that can be read */
  | { kind: 'no-answer'; code: NoEffectCode | null; detail: string };

/** A failure before the connection stood: marks the line between "no effect" and "ambiguous". */
class ConnectFailed extends Error {
  constructor(override readonly cause: Error) {
    super(messageOf(cause));
  }
}

/**
 * Outbound HTTP for one purpose (one kind of destination, the pager …), with connections of its own so that a slow
 * neighbour uses up nobody else's. Follows no redirect, retries nothing: the caller's queue does that.
 *
 * Invariant: what the world does is a value. `request` does not throw, and no detail it gives holds a credential.
 */
export class HttpOut {
  private readonly agent: Agent;

  /** @param guard which addresses may be reached; `null` only where no user can influence the URL */
  constructor(guard: AddressGuard | null, options: { connectTimeoutMs?: number; ca?: string } = {}) {
    const connect = buildConnector({
      timeout: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      allowH2: false,
      ...(options.ca === undefined ? {} : { ca: options.ca }),
      ...(guard === null ? {} : { lookup: guard.lookup }),
    });
    this.agent = new Agent({
      connections: CONNECTIONS_PER_ORIGIN,
      pipelining: 1,
      // Shorter than the idle time-out of common servers (5 s and more): a socket reused in the moment the far side
      // closes it makes an ambiguous failure out of nothing.
      keepAliveTimeout: 4_000,
      keepAliveMaxTimeout: 30_000,
      keepAliveTimeoutThreshold: 1_000,
      headersTimeout: 0, // the deadline covers both
      bodyTimeout: 0,
      connect: (target, callback) => {
        try {
          guard?.checkHost(target.hostname);
        } catch (error) {
          callback(new ConnectFailed(error as AddressRefused), null);
          return;
        }
        connect(target, (...[error, socket]: [Error | null, Socket | null]) => {
          if (error !== null) callback(new ConnectFailed(error), null);
          else if (socket !== null) callback(null, socket);
        });
      },
    });
  }

  async request(request: HttpRequest): Promise<HttpResult> {
    const url = httpUrl(request.url);
    if (url === null) return { kind: 'no-effect', code: 'url', detail: NO_URL };
    return new Promise((resolve) => {
      const exchange = new Exchange(request, resolve);
      try {
        this.agent.dispatch(
          {
            origin: url.origin,
            path: url.pathname + url.search,
            method: request.method,
            headers: request.headers,
            body: request.body ?? null,
            idempotent: false, // undici repeats idempotent requests on a cut connection by itself
          },
          exchange,
        );
      } catch (error) {
        exchange.onResponseError(null, error instanceof Error ? error : new Error(messageOf(error)));
      }
    });
  }

  /** GETs an answer of any size. The same promises as `request`: no redirect, nothing repeated, nothing thrown. */
  async open(request: HttpOpenRequest): Promise<HttpOpened> {
    const { deadlineMs = DEADLINE_MS, idleMs = IDLE_MS, signal } = request;
    const url = httpUrl(request.url);
    if (url === null) return { kind: 'no-answer', code: 'url', detail: NO_URL };
    const end = new AbortController();
    const timer = setTimeout(() => end.abort(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs);
    const onAbort = (): void => end.abort(new Error('the caller gave up'));
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const { statusCode, headers, body } = await this.agent.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: 'GET',
        headers: request.headers,
        signal: end.signal,
        idempotent: false,
      });
      const encoding = String(headers['content-encoding'] ?? '').toLowerCase();
      if (!HttpBody.canDecode(encoding)) {
        body.on('error', () => undefined).destroy();
        return { kind: 'no-answer', code: null, detail: `the answer is encoded as ${encoding}` };
      }
      return {
        kind: 'open',
        status: statusCode,
        headers: plainHeaders(headers),
        body: new HttpBody(body, encoding, idleMs),
      };
    } catch (error) {
      const reason = redactText(messageOf(error));
      if (!(error instanceof ConnectFailed)) return { kind: 'no-answer', code: null, detail: reason };
      const { code, detail } = connectFailure(error.cause, reason);
      return { kind: 'no-answer', code, detail };
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async close(): Promise<void> {
    await this.agent.destroy();
  }
}

/** One request's life, from dispatch to the one result it settles with. */
class Exchange implements Dispatcher.DispatchHandler {
  private controller: Dispatcher.DispatchController | null = null;
  private answer: { status: number; headers: Record<string, string> } | null = null;
  private readonly chunks: Buffer[] = [];
  private bytes = 0;
  private settled = false;
  private timer: NodeJS.Timeout;
  private readonly onAbort = (): void => this.giveUp('the caller gave up');

  constructor(
    private readonly request: HttpRequest,
    private readonly resolve: (result: HttpResult) => void,
  ) {
    const deadlineMs = request.deadlineMs ?? DEADLINE_MS;
    this.timer = setTimeout(() => this.giveUp(`no answer within ${deadlineMs} ms`), deadlineMs);
    if (request.signal?.aborted) this.giveUp('the caller gave up');
    else request.signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  /** The last moment before bytes go out. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Given up while waiting for a connection: it was reported as not sent, so it must not be sent now.
    if (this.settled) controller.abort(new Error('given up before it was sent'));
    else this.controller = controller;
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return; // 100 Continue, 103 Early Hints: the answer is still to come
    this.answer = {
      status,
      headers: plainHeaders(headers),
    };
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.giveUp('the body stalled'), BODY_PATIENCE_MS);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const most = this.request.bodyBytesMax ?? BODY_MAX_BYTES;
    this.chunks.push(chunk.subarray(0, most - this.bytes));
    this.bytes += chunk.length;
    if (this.bytes > most) this.giveUp('the body is too long');
  }

  onResponseEnd(): void {
    this.settle(true, '');
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.settle(false, messageOf(error), error);
  }

  private giveUp(reason: string): void {
    this.settle(false, reason);
    this.controller?.abort(new Error(reason));
  }

  private settle(complete: boolean, reason: string, error?: Error): void {
    if (this.settled) return;
    this.settled = true;
    clearTimeout(this.timer);
    this.request.signal?.removeEventListener('abort', this.onAbort);
    this.resolve(this.result(complete, redactText(reason), error));
  }

  private result(complete: boolean, reason: string, error: Error | undefined): HttpResult {
    if (this.answer !== null) {
      const body = Buffer.concat(this.chunks).toString('utf8');
      return { kind: 'answer', ...this.answer, body, complete };
    }
    if (error instanceof ConnectFailed) return connectFailure(error.cause, reason);
    if (this.controller === null) return { kind: 'no-effect', code: 'not-sent', detail: `not sent: ${reason}` };
    return { kind: 'ambiguous', detail: reason || 'the connection was cut before an answer' };
  }
}

const NO_URL = 'the URL is not an http or https address';

function httpUrl(text: string): URL | null {
  const url = URL.parse(text);
  return url !== null && (url.protocol === 'https:' || url.protocol === 'http:') ? url : null;
}

function plainHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), [value ?? ''].flat().join(', ')]),
  );
}

type NoEffect = Extract<HttpResult, { kind: 'no-effect' }>;

function connectFailure(cause: Error & { code?: unknown }, reason: string): NoEffect {
  const detail = (what: string): string => `${what}: ${reason}`;
  const code = typeof cause.code === 'string' ? cause.code : '';
  if (cause instanceof AddressRefused) {
    return { kind: 'no-effect', code: 'address-refused', detail: detail('address refused') };
  }
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') {
    return { kind: 'no-effect', code: 'connect-timeout', detail: detail('connect time-out') };
  }
  if (code === 'ENOTFOUND' || code.startsWith('EAI_')) {
    return { kind: 'no-effect', code: 'dns', detail: detail('name not resolved') };
  }
  if (/^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_MISMATCH|EPROTO)/.test(code)) {
    return { kind: 'no-effect', code: 'tls', detail: detail('TLS failed') };
  }
  return { kind: 'no-effect', code: 'refused', detail: detail('no connection') };
}
