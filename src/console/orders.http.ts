import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import type { OrderView } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { Endpoint, Input, type InputOf } from './endpoint.js';
import { Problem } from './problem.js';
import { deadLetter, destinationKind, domain, fact, instant, instantOrNull, kind, state } from './shapes.js';

const obligation = z.strictObject({
  kind,
  subjectId: z.string().meta({ description: "The order's id, or the refund's." }),
  destination: z.string(),
  destinationKind,
  state,
  reason: z.string().nullable(),
  version: z.string(),
  attempts: z.int(),
  occurredAt: instant,
  loggedAt: instant.meta({ description: 'When its webhook was stored.' }),
  queuedAt: instantOrNull,
  acceptedAt: instantOrNull.meta({ description: 'When the destination answered 2xx, which proves nothing yet.' }),
  confirmedAt: instantOrNull.meta({ description: 'When it was read back at the destination.' }),
  nextTryAt: instantOrNull,
  facts: z.array(fact).meta({ description: 'Every stage, attempt and reason, oldest first.' }),
});

/** What an answer looks like. */
export const orderShape = z.strictObject({
  shop: z.string(),
  orderId: z.string(),
  obligations: z.array(obligation),
  webhooks: z.array(
    z.strictObject({
      webhookId: z.string(),
      topic: z.string(),
      receivedAt: instant,
      outcome: z.string(),
      reason: z.string().nullable(),
      repeats: z.int(),
    }),
  ),
  deadLetters: z.array(deadLetter),
});

const GET = {
  method: 'GET',
  path: '/api/v1/orders/:shop/:orderId',
  summary: 'Every stage of one order and its refunds at every destination, with attempts and reasons',
  role: 'viewer',
  params: z.strictObject({
    shop: domain,
    orderId: z.string().regex(/^\d{1,20}$/, "expected Shopify's decimal order id"),
  }),
  answer: orderShape,
  problems: { 404: 'Nothing is known of this order; detail says where to look.' },
} satisfies EndpointSpec;

@Controller()
export class OrdersController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(GET)
  async get(@Input() { params }: InputOf<typeof GET>): Promise<OrderView> {
    const order = await this.deps.pipeline.order(params.shop, params.orderId);
    if (order) return order;
    const shops = await this.deps.registry.shops();
    if (!shops.some((shop) => shop.domain === params.shop)) {
      throw new Problem(
        404,
        `There is no shop ${params.shop}. What it sent meanwhile is held: GET /api/v1/held?shop=${params.shop}. ` +
          'Connect it, and that goes on.',
      );
    }
    throw new Problem(
      404,
      `No webhook of order ${params.orderId} has reached ${params.shop}. Was it taken in less than a second ago? Else see ` +
        `GET /api/v1/webhooks/outcomes?shop=${params.shop} for what arrived and GET /api/v1/held?shop=${params.shop} ` +
        'for what waits.',
    );
  }
}
