import { STATUS_CODES, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { stopwatch, type Clock } from '../../kernel/clock.js';
import type { InboxEntry } from '../contract.js';
import { Arrivals } from './arrivals.js';
import { BODY_BYTES_MAX, announcesTooMuch, hasNoBody, readBody, type BodyEnd } from './body.js';
import { readHeaders, readSignature } from './header-profile.js';
import type { SignatureCheck } from './signature.js';

export interface IntakeRecorder {
  /** Every request once: the status answered (0 = the sender left first) and milliseconds since its headers. */
  answered(status: number, ms: number): void;
}

export interface IntakeOptions {
  signature: SignatureCheck;
  /** Resolves once the webhook is durable; rejects when nothing durable could be reached. */
  append: (entry: InboxEntry) => Promise<unknown>;
  clock: Clock;
  recorder?: IntakeRecorder;
  /** Counts our failures in a row. Called with every answer, so it must cost nothing while all is well. */
  tally?: { answered(status: number, headers: IncomingHttpHeaders): void };
}

interface InFlight {
  req: IncomingMessage;
  res: ServerResponse;
  key: string | undefined;
  sinceMs: number;
  bytes: number;
  bodyComplete: boolean;
  answered: boolean;
  earlier: InFlight | null;
  later: InFlight | null;
}

const PATH = '/webhooks/shopify';
const KEY = /^[A-Za-z0-9_-]{1,128}$/;

// Shopify gives up at 5 s and counts a failure. The sweep runs every 200 ms, so everybody is answered within 4 s.
const ANSWER_WITHIN_MS = 3_600;
const SWEEP_EVERY_MS = 200;
// How long a sender whose body is refused may go on sending, so that it reads the answer instead of a reset.
const LINGER_MS = 1_000;
const RETRY_AFTER_SECONDS = '5';
// All bodies on their way in together. Past it a new one is asked to come back; a flood must not eat the process.
const BODIES_BYTES_MAX = 256 * 1024 * 1024;

const STORED = 'ok\n';
const STORED_HEADERS = ['content-type', 'text/plain', 'content-length', String(STORED.length)];

/** Whether a URL is intake's; query strings are allowed, deeper paths are not. */
export function isIntakePath(url: string): boolean {
  return url.startsWith(PATH) && keyOf(url) !== null;
}

/** @returns the key of `/webhooks/shopify/:key`, '' without one, `null` for another path */
function keyOf(url: string): string | null {
  const query = url.indexOf('?');
  const path = query === -1 ? url : url.slice(0, query);
  if (path.length === PATH.length) return '';
  if (path.charCodeAt(PATH.length) !== 0x2f) return null;
  const key = path.slice(PATH.length + 1);
  return key.includes('/') ? null : key;
}

/**
 * Takes webhooks in: verify the signature over the raw bytes, append, answer. Plain node:http, below the framework.
 *
 * Invariant: 200 leaves only after the append resolved, which means stable storage. Nothing is parsed and nothing is
 * looked up here, so no slow neighbour can hold an answer up; and whatever hangs, every request is answered in 4 s.
 */
export class Intake {
  private readonly elapsedMs = stopwatch();
  // In the order of arrival, so that the sweep looks at the eldest only.
  private readonly inFlight = new Arrivals<InFlight>();
  private readonly sweep: NodeJS.Timeout;
  private bodyBytes = 0;
  private draining = false;
  private onIdle: (() => void) | null = null;

  constructor(private readonly options: IntakeOptions) {
    this.sweep = setInterval(() => this.answerLate(), SWEEP_EVERY_MS);
    this.sweep.unref();
  }

  /** Answers one request on an intake path. Never throws. */
  handle(req: IncomingMessage, res: ServerResponse): void {
    this.begin(req, res, false);
  }

  /** As `handle`, for a sender that waits for `100 Continue` before its body. */
  handleExpecting(req: IncomingMessage, res: ServerResponse): void {
    this.begin(req, res, true);
  }

  /** Takes nothing more (503, so that Shopify repeats) and resolves when everything taken has been answered. */
  async drain(): Promise<void> {
    this.draining = true;
    if (this.inFlight.size > 0) await new Promise<void>((resolve) => (this.onIdle = resolve));
    clearInterval(this.sweep);
  }

  private begin(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean): void {
    const key = keyOf(req.url ?? '');
    const request: InFlight = {
      req,
      res,
      // A key of another shape was not made by us: the shop's domain says enough, and refusing would lose the order.
      key: key !== null && KEY.test(key) ? key : undefined,
      sinceMs: this.elapsedMs(),
      bytes: 0,
      bodyComplete: false,
      answered: false,
      earlier: null,
      later: null,
    };
    this.inFlight.add(request);
    if (req.method !== 'POST') {
      res.setHeader('allow', 'POST');
      return this.refuse(request, 405, 'Webhooks are sent with POST.');
    }
    if (this.draining) return this.refuse(request, 503, 'The service is stopping; send it again.');
    if (announcesTooMuch(req)) return this.refuseTooLarge(request);
    if (this.bodyBytes > BODIES_BYTES_MAX) {
      return this.refuse(request, 503, 'Too many webhooks are arriving at once; send it again.');
    }
    if (expectsContinue) res.writeContinue();
    const keep = (bytes: number): boolean => {
      if (request.answered) return false;
      request.bytes += bytes;
      this.bodyBytes += bytes;
      return true;
    };
    readBody(req, keep, (end) => this.take(request, end));
  }

  private take(request: InFlight, end: BodyEnd): void {
    if (request.answered) return;
    if (end.end === 'aborted') return this.finish(request, 0);
    if (end.end === 'too-large') return this.refuseTooLarge(request);
    request.bodyComplete = true;
    const { body } = end;
    const { headers } = request.req;
    if (body.length === 0) return this.refuse(request, 400, 'The request has no body.');
    const hmac = readSignature(headers);
    const signed = this.options.signature.verify(body, hmac);
    if (!signed) return this.refuse(request, 401, signatureFault(hmac));
    const said = readHeaders(headers);
    if ('fault' in said) return this.refuse(request, 400, said.fault);
    const entry: InboxEntry = {
      source: 'http',
      world: signed.world,
      webhookId: said.webhookId,
      topic: said.topic,
      shopDomain: said.shopDomain,
      receivedAtMs: this.options.clock.nowMs(),
      body,
    };
    if (request.key !== undefined) entry.key = request.key;
    if (said.apiVersion !== undefined) entry.apiVersion = said.apiVersion;
    if (said.eventId !== undefined) entry.eventId = said.eventId;
    if (said.triggeredAt !== undefined) entry.triggeredAt = said.triggeredAt;
    if (hmac !== undefined) entry.hmac = hmac;
    this.options.append(entry).then(
      () => this.answerStored(request),
      () => this.refuse(request, 503, 'The webhook could not be stored durably; send it again.'),
    );
  }

  private answerStored(request: InFlight): void {
    if (request.answered) return;
    request.res.writeHead(200, STORED_HEADERS);
    request.res.end(STORED);
    this.finish(request, 200);
  }

  // RFC 9457. The body of a refused request may still be on its way: then the connection ends after the answer.
  private refuse(request: InFlight, status: number, detail: string): void {
    if (request.answered) return;
    const { req, res } = request;
    const problem = JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail });
    res.setHeader('content-type', 'application/problem+json');
    res.setHeader('content-length', Buffer.byteLength(problem));
    if (status === 503) res.setHeader('retry-after', RETRY_AFTER_SECONDS);
    if (req.complete || hasNoBody(req)) {
      res.writeHead(status).end(problem);
    } else {
      res.setHeader('connection', 'close');
      res.writeHead(status).write(problem);
      endPolitely(req, res);
    }
    this.finish(request, status);
  }

  private refuseTooLarge(request: InFlight): void {
    this.refuse(request, 413, `The body is larger than ${BODY_BYTES_MAX} bytes.`);
  }

  // A body that did not come in time is the sender's (408); an append that did not is ours (503). Shopify repeats both.
  private answerLate(): void {
    const latestMs = this.elapsedMs() - ANSWER_WITHIN_MS;
    for (;;) {
      const request = this.inFlight.eldest;
      if (!request || request.sinceMs > latestMs) return;
      if (request.bodyComplete) this.refuse(request, 503, 'Storing took too long; send it again.');
      else this.refuse(request, 408, 'The body did not arrive in time; send it again.');
    }
  }

  private finish(request: InFlight, status: number): void {
    request.answered = true;
    this.inFlight.remove(request);
    this.bodyBytes -= request.bytes;
    request.bytes = 0;
    this.options.recorder?.answered(status, this.elapsedMs() - request.sinceMs);
    this.options.tally?.answered(status, request.req.headers);
    if (this.inFlight.size > 0 || !this.onIdle) return;
    this.onIdle();
    this.onIdle = null;
  }
}

function signatureFault(hmac: string | undefined): string {
  if (hmac === undefined || hmac === '') return 'X-Shopify-Hmac-Sha256 is missing.';
  return 'X-Shopify-Hmac-Sha256 is not the signature of this body.';
}

/**
 * Ends the answer once the sender has stopped sending, or after a second. Ending at once would reset the connection
 * under a sender that is still busy writing, and it would never read why it was refused. The answer itself is already
 * complete for the sender: its length was announced.
 */
function endPolitely(req: IncomingMessage, res: ServerResponse): void {
  const timer = setTimeout(end, LINGER_MS);
  timer.unref();
  function end(): void {
    clearTimeout(timer);
    res.end();
  }
  req.on('error', end);
  req.once('end', end);
  req.once('close', end);
  req.resume();
}
