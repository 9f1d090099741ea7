import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { contentType, type Prepared, type ServedPage } from './served-page.js';

const ROOT = '/status';

/** No script, inline or other; its own style sheet and nothing else. */
const PAGE_POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** Everybody may read everything here from anywhere: it is public, and set no cookie. */
const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': PAGE_POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'cross-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'etag',
  vary: 'accept-encoding',
};

/** A crowd asks its cache; whoever asks later than that is told anew. A state is never told longer than so after its end. */
const FRESH = 'public, max-age=10, must-revalidate';
/** The style sheet's address changes with it. */
const FOR_EVER = 'public, max-age=31536000, immutable';

type Encoding = 'br' | 'gzip' | null;

type Handler = (req: IncomingMessage, res: ServerResponse) => void;
/** What `fastify({ serverFactory })` takes. */
export type ServerFactory = (handler: Handler) => Server;

/**
 * Answers everything below `/status`, below the framework: a status page is asked most when everything else is in trouble
 * (docs/adr/0007-intake-below-the-framework.md has what the framework costs).
 */
export class StatusDoor {
  /** What clients send in Accept-Encoding is one of a few lines. */
  private readonly encodings = new Map<string, Encoding>();

  constructor(private readonly page: Pick<ServedPage, 'at'>) {}

  handle(req: IncomingMessage, res: ServerResponse): void {
    const method = req.method ?? 'GET';
    if (method === 'OPTIONS') {
      res.writeHead(204, {
        ...HEADERS,
        'access-control-allow-methods': 'GET, HEAD, OPTIONS',
        'access-control-allow-headers': req.headers['access-control-request-headers'] ?? '*',
        'access-control-max-age': '86400',
      });
      res.end();
      return;
    }
    if (method !== 'GET' && method !== 'HEAD') {
      req.resume();
      return refuse(res, 405, 'This page is only read: GET or HEAD.', { allow: 'GET, HEAD, OPTIONS' });
    }
    const path = pathOf(req.url ?? '');
    const found = this.page.at(path);
    if (found === null) return refuse(res, 404, 'There is no such thing on this status page.', {});
    const encoding = this.encodingOf(req.headers['accept-encoding']);
    const body = bodyIn(found, encoding);
    const headers: Record<string, string | number> = {
      ...HEADERS,
      'content-type': contentType(found),
      'cache-control': path === 'status.css' && (req.url ?? '').includes('?v=') ? FOR_EVER : FRESH,
      etag: found.etag,
    };
    if (matches(req.headers['if-none-match'], found.etag)) {
      res.writeHead(304, headers);
      res.end();
      return;
    }
    if (body !== found.plain && encoding !== null) headers['content-encoding'] = encoding;
    headers['content-length'] = body.length;
    res.writeHead(200, headers);
    res.end(method === 'HEAD' ? undefined : body);
  }

  private encodingOf(accepted: string | string[] | undefined): Encoding {
    const text = Array.isArray(accepted) ? accepted.join(',') : (accepted ?? '');
    const known = this.encodings.get(text);
    if (known !== undefined) return known;
    const encoding = bestEncoding(text);
    if (this.encodings.size < 100) this.encodings.set(text, encoding);
    return encoding;
  }
}

/** A server that answers `/status` itself and hands everything else on. */
export function statusServerFactory(
  door: Pick<StatusDoor, 'handle'>,
  below: ServerFactory = (handler) => createServer(handler),
): ServerFactory {
  return (handler) =>
    below((req, res) => {
      if (isStatusPath(req.url ?? '')) door.handle(req, res);
      else handler(req, res);
    });
}

/** Whether an address is the status page's to answer. */
export function isStatusPath(url: string): boolean {
  return url.startsWith(ROOT) && (url.length === ROOT.length || url[ROOT.length] === '/' || url[ROOT.length] === '?');
}

/** Pure. The best of what is accepted; a coding with q=0 is not (RFC 9110, 12.5.3). */
export function bestEncoding(accepted: string): Encoding {
  const takes = (coding: string): boolean =>
    accepted
      .toLowerCase()
      .split(',')
      .some((part) => {
        const [name, ...parameters] = part.split(';').map((each) => each.trim());
        return name === coding && !parameters.some((each) => /^q=0(?:\.0*)?$/.test(each));
      });
  return takes('br') ? 'br' : takes('gzip') ? 'gzip' : null;
}

function pathOf(url: string): string {
  const end = url.indexOf('?');
  return (end < 0 ? url : url.slice(0, end)).slice(ROOT.length + 1).replace(/\/+$/, '');
}

function bodyIn({ plain, gzip, brotli }: Prepared, encoding: Encoding): Buffer {
  return (encoding === 'br' ? brotli : encoding === 'gzip' ? gzip : null) ?? plain;
}

function matches(asked: string | undefined, etag: string): boolean {
  if (asked === undefined) return false;
  const bare = etag.replace(/^W\//, '');
  return asked === '*' || asked.split(',').some((each) => each.trim().replace(/^W\//, '') === bare);
}

function refuse(res: ServerResponse, status: number, words: string, more: Record<string, string>): void {
  const body = `${words}\n`;
  res.writeHead(status, {
    ...HEADERS,
    ...more,
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': FRESH,
    'content-length': body.length,
  });
  res.end(res.req.method === 'HEAD' ? undefined : body);
}
