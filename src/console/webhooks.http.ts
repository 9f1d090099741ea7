import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import type { HeldView, Page, WebhookOutcomeView } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { Endpoint, Input, type InputOf } from './endpoint.js';
import { domain, givenInstant, id, idPaging, instant, instantOrNull, listOf } from './shapes.js';

const DAY_MS = 86_400_000;

export const heldShape = z.strictObject({
  id,
  shop: z.string(),
  topic: z.string(),
  webhookId: z.string(),
  reason: z.string(),
  detail: z.string().nullable(),
  receivedAt: instant,
  heldAt: instant,
  nextTryAt: instantOrNull.meta({ description: 'null = when what it waits for is there.' }),
  tries: z.int(),
  repeats: z.int(),
});

const HELD = {
  method: 'GET',
  path: '/api/v1/held',
  summary: 'Webhooks that cannot go on yet: an unknown shop, a missing token, a body that is still to be fetched',
  role: 'viewer',
  query: z.strictObject({ shop: domain.optional(), reason: z.string().max(100).optional(), ...idPaging }),
  answer: listOf(heldShape),
} satisfies EndpointSpec;

const OUTCOMES = {
  method: 'GET',
  path: '/api/v1/webhooks/outcomes',
  summary: 'What became of webhooks, counted by shop, topic and outcome; unknown topics and unknown shops included',
  role: 'viewer',
  query: z.strictObject({
    shop: domain.optional(),
    from: givenInstant.optional().meta({ description: 'Received at or after; default a day before to.' }),
    to: givenInstant.optional().meta({ description: 'Received before; default now.' }),
  }),
  answer: listOf(
    z.strictObject({
      shop: z.string(),
      shopKnown: z.boolean(),
      topic: z.string(),
      outcome: z.string(),
      reason: z.string().nullable(),
      count: z.int(),
      repeats: z.int().meta({ description: 'How often the same webhook ids arrived again.' }),
      lastAt: instant,
    }),
  ),
} satisfies EndpointSpec;

@Controller()
export class WebhooksController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(HELD)
  held(@Input() { query }: InputOf<typeof HELD>): Promise<Page<HeldView>> {
    const { limit, cursor, ...filters } = query;
    return this.deps.pipeline.held(filters, { limit, ...(cursor === undefined ? {} : { cursor }) });
  }

  @Endpoint(OUTCOMES)
  async outcomes(@Input() { query }: InputOf<typeof OUTCOMES>): Promise<Page<WebhookOutcomeView>> {
    const to = query.to ?? new Date(this.deps.clock.nowMs() + 1);
    const from = query.from ?? new Date(to.getTime() - DAY_MS);
    const items = await this.deps.pipeline.webhookOutcomes({ ...(query.shop ? { shop: query.shop } : {}), from, to });
    return { items, nextCursor: null };
  }
}
