import type { FastifyInstance } from 'fastify';
import type { InboundPager } from '../alerting/contract.js';
import { Problem } from './problem.js';
import { sendInboundProblem, takeRawBodies } from './raw-body.js';

export const INBOUND_PAGERDUTY_PATH = '/inbound/pagerduty';

/** PagerDuty drops webhooks that are larger itself ("Webhooks", "Behavior"). */
const BODY_BYTES_MAX = 256 * 1024;

/**
 * Where PagerDuty tells what people did. Beside the API: no token, but a signature over the raw body. PagerDuty expects an
 * answer within 5 s, repeats after 5xx and 429, and switches a subscription off for a day after three other refusals.
 */
export function addInboundPagerDuty(server: FastifyInstance, pager: InboundPager): void {
  void server.register((scope, _options, done) => {
    takeRawBodies(scope, BODY_BYTES_MAX);
    scope.post(INBOUND_PAGERDUTY_PATH, { bodyLimit: BODY_BYTES_MAX }, async (request, reply) => {
      const header = (name: string): string => String(request.headers[name] ?? '');
      const { status, detail } = await pager.take({
        signature: header('x-pagerduty-signature'),
        body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
      });
      if (status !== 200) return sendInboundProblem(reply, new Problem(status, detail));
      return reply.status(200).type('text/plain').send(`${detail}\n`);
    });
    done();
  });
}
