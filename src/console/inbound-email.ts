import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { InboundMail } from '../monitoring/contract.js';
import type { FailedAttempts } from './failed-attempts.js';
import { Problem } from './problem.js';
import { sendInboundProblem, takeRawBodies } from './raw-body.js';

/** Mailgun posts the whole mail, instead of what it has read of it, to an address that ends in `mime`. */
export const INBOUND_EMAIL_PATHS = ['/inbound/email/:provider/:secret', '/inbound/email/:provider/:secret/mime'];

// Shopify's mails are a few KB. With all that providers put around them, and an attachment of somebody's, still below.
const BODY_BYTES_MAX = 4 * 1024 * 1024;

interface Address {
  Params: { provider: string; secret: string };
}

/**
 * Where mail providers hand mails in. It is beside the API, not of it: no token, every content type, raw bytes, and the
 * secret of the address is looked at before any of the body is read.
 */
export function addInboundEmail(server: FastifyInstance, mails: InboundMail, failedAttempts: FailedAttempts): void {
  void server.register((scope, _options, done) => {
    takeRawBodies(scope, BODY_BYTES_MAX);
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
          if (status !== 200) return sendInboundProblem(reply, new Problem(status, detail));
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
