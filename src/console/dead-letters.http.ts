import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import { recordAudit } from '../kernel/audit.js';
import type { Caller } from '../kernel/auth.js';
import { mayAct } from '../kernel/auth.js';
import type { DeadLetterView, Page, ReplayReport } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { By, Endpoint, Input, type InputOf } from './endpoint.js';
import { Problem } from './problem.js';
import { deadLetter, destinationName, domain, givenInstant, id, idPaging, lane, listOf } from './shapes.js';

const filter = {
  shop: domain.optional(),
  destination: destinationName.optional(),
  lane: lane.optional(),
  reason: z.string().max(100).optional(),
  from: givenInstant.optional().meta({ description: 'Buried at or after.' }),
  to: givenInstant.optional().meta({ description: 'Buried before.' }),
};

const LIST = {
  method: 'GET',
  path: '/api/v1/dead-letters',
  summary: 'What could not be delivered, newest first',
  role: 'viewer',
  query: z.strictObject({
    ...filter,
    state: z.enum(['open', 'replayed', 'all'], 'expected open, replayed or all').default('open'),
    ...idPaging,
  }),
  answer: listOf(deadLetter),
} satisfies EndpointSpec;

const payload = z.strictObject({
  topic: z.string(),
  webhookId: z.string(),
  apiVersion: z.string().nullable(),
  body: z.string().meta({ description: 'The exact bytes Shopify sent, as text.' }),
});

export const openedLetterShape = z.strictObject({ ...deadLetter.shape, payload: payload.nullable() });

const GET = {
  method: 'GET',
  path: '/api/v1/dead-letters/:id',
  summary: 'One dead letter; with its payload for responders and admins, and every such look is audited',
  role: 'viewer',
  params: z.strictObject({ id }),
  answer: openedLetterShape,
  problems: { 404: 'There is no such dead letter.' },
} satisfies EndpointSpec;

export const replayShape = z.strictObject({
  matched: z.int(),
  replayed: z.int().meta({ description: 'So far: a slow replay goes on after the answer.' }),
  items: z.array(z.strictObject({ id, shop: z.string(), destination: z.string().nullable(), reason: z.string() })),
});

const REPLAY = {
  method: 'POST',
  path: '/api/v1/dead-letters/replay',
  summary: 'Send dead letters through the pipeline again; the same event id, so nothing counts twice',
  role: 'responder',
  body: z
    .strictObject({
      ids: z.array(id).min(1, 'name at least one').max(1000, 'at most 1000 at once').optional(),
      query: z.strictObject(filter).optional(),
      dryRun: z.boolean('expected true or false').default(false).meta({ description: 'Only say what would go.' }),
      ratePerSecond: z.number('expected a number').min(0.1).max(1000).optional(),
    })
    .refine((body) => (body.ids === undefined) !== (body.query === undefined), 'give either ids or query'),
  answer: replayShape,
} satisfies EndpointSpec;

type Payload = z.output<typeof payload>;

@Controller()
export class DeadLettersController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(LIST)
  list(@Input() { query }: InputOf<typeof LIST>): Promise<Page<DeadLetterView>> {
    const { limit, cursor, ...filters } = query;
    return this.deps.pipeline.deadLetters(filters, { limit, ...(cursor === undefined ? {} : { cursor }) });
  }

  @Endpoint(GET)
  async get(
    @Input() { params }: InputOf<typeof GET>,
    @By() caller: Caller,
  ): Promise<DeadLetterView & { payload: Payload | null }> {
    const letter = await this.deps.pipeline.deadLetter(params.id);
    if (!letter) throw new Problem(404, `There is no dead letter ${params.id}.`);
    if (!mayAct(caller.role, 'responder')) return { ...letter, payload: null };
    // The entry first: a look that could not be recorded does not happen.
    await recordAudit(this.deps.database, this.deps.clock, {
      actor: caller.name,
      action: 'payload.view',
      subject: `dead-letter ${params.id}`,
      detail: { shop: letter.shop },
    });
    const entry = await this.deps.pipeline.deadLetterPayload(params.id);
    return {
      ...letter,
      payload: entry && {
        topic: entry.topic,
        webhookId: entry.webhookId,
        apiVersion: entry.apiVersion ?? null,
        body: entry.body.toString('utf8'),
      },
    };
  }

  @Endpoint(REPLAY)
  async replay(@Input() { body }: InputOf<typeof REPLAY>, @By() caller: Caller): Promise<ReplayReport> {
    if (!body.dryRun) {
      await recordAudit(this.deps.database, this.deps.clock, {
        actor: caller.name,
        action: 'dead-letter.replay',
        subject: body.ids ? `${body.ids.length} by id` : 'by query',
        detail: { ...(body.ids ? { ids: body.ids } : { query: body.query }) },
      });
    }
    return this.deps.replay.replay({ ...body, actor: caller.name });
  }
}
