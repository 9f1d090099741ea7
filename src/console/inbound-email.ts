import { STATUS_CODES } from 'node:http';
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { InboundMail } from '../monitoring/contract.js';
import type { FailedAttempts } from './failed-attempts.js';
import { Problem } from './problem.js';

/** Mailgun posts the whole mail, instead of what it has read of it, to an address that ends in `mime`. */
export const INBOUND_EMAIL_PATHS = ['/inbound/email/:provider/:secret', '/inbound/email/:provider/:secret/mime'];

// Shopify's mails are a few KB. With all that providers put around them, and an attachment of somebody's, still below.
const BODY_BYTES_MAX = 4 * 1024 * 1024;
const BODY_WITHIN_MS = 10_000;
const RETRY_AFTER_SECONDS = '60';

interface Address {
  Params: { provider: string; secret: string };
}

/**
 * Where mail providers hand mails in. It is beside the API, not of it: no token, every content type, raw bytes, and the
 * secret of the address is looked at before any of the body is read.
 */
export function addInboundEmail(server: FastifyInstance, mails: InboundMail, failedAttempts: FailedAttempts): void {
  void server.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request: FastifyRequest, body: Readable, parsed) => {
      readBody(body, parsed);
    });
    scope.setErrorHandler((error: unknown, _request, reply) => {
      const problem = error instanceof Problem ? error : new Problem(statusOf(error));
      return sendProblem(reply, problem);
    });
    for (const url of INBOUND_EMAIL_PATHS) {
      scope.route<Address>({
        method: 'POST',
        url,
        bodyLimit: BODY_BYTES_MAX,
        onRequest: (request, _reply, next) => next(refusal(request, mails, failedAttempts) ?? undefined),
        handler: async (request, reply) => {
          const { provider, secret } = request.params;
          const contentType = request.headers['content-type'] ?? '';
          const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
          const { status, detail } = await mails.take({ provider, secret, contentType, body });
          if (status !== 200) return sendProblem(reply, new Problem(status, detail));
          return reply.status(200).type('text/plain').send(`${detail}\n`);
        },
      });
    }
    done();
  });
}

/** The right address is never held up by others' wrong ones: a proxy may stand between, with one address for all. */
function refusal(
  { params, ip }: FastifyRequest<Address>,
  mails: InboundMail,
  failedAttempts: FailedAttempts,
): Problem | null {
  if (mails.admits(params.secret)) {
    return mails.providers.includes(params.provider)
      ? null
      : new Problem(404, `No such provider; there are ${mails.providers.join(', ')}.`);
  }
  const waitSeconds = failedAttempts.blockedSeconds(ip);
  if (waitSeconds > 0) {
    return new Problem(429, `Wait ${waitSeconds} s before you try another address.`, {
      headers: { 'retry-after': String(waitSeconds) },
    });
  }
  failedAttempts.note(ip);
  return new Problem(401, 'The address does not hold notices.secretPath.');
}

function readBody(body: Readable, done: (error: Error | null, bytes?: Buffer) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let isOver = false;
  const end = (error: Error | null, result?: Buffer): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    body.resume(); // what is still to come is read and dropped, so that the sender hears the answer
    done(error, result);
  };
  const timer = setTimeout(
    () => end(new Problem(408, 'The body did not arrive in time; send it again.')),
    BODY_WITHIN_MS,
  );
  body.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) return end(new Problem(413, `The body is larger than ${BODY_BYTES_MAX} bytes.`));
    if (!isOver) chunks.push(chunk);
  });
  body.once('end', () => end(null, Buffer.concat(chunks, bytes)));
  body.once('error', () => end(new Problem(400, 'The body was cut.')));
  body.once('close', () => end(new Problem(400, 'The body was cut.')));
}

function statusOf(error: unknown): number {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500;
}

function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  for (const [name, value] of Object.entries(problem.options.headers ?? {})) reply.header(name, value);
  if (problem.status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS);
  // After a refusal in mid-body the connection has no next request.
  if (problem.status === 408 || problem.status === 413) reply.header('connection', 'close');
  return (
    reply
      .header('content-type', 'application/problem+json')
      .status(problem.status)
      // The API's titles speak of tokens; here there are none.
      .send(JSON.stringify({ ...problem.body(), title: STATUS_CODES[problem.status] ?? 'Refused' }))
  );
}
