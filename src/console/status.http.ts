import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import type { Caller } from '../kernel/auth.js';
import type { Page } from '../pipeline/contract.js';
import { PUBLIC_STATES, WORSENINGS, type StatusEntry, type StatusView } from '../status-page/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { By, Endpoint, Input, type InputOf } from './endpoint.js';
import { Problem } from './problem.js';
import { givenInstant, idPaging, instant, instantOrNull, listOf, world } from './shapes.js';

const component = z
  .string()
  .regex(/^[a-z]+(?::[a-z0-9-]+)?$/, 'expected a component like intake or delivery:ga4')
  .max(60);
const entryId = z.string().regex(/^[0-9a-z]{12}$/, 'expected an id: 12 letters and digits');
const publicState = z.enum(PUBLIC_STATES);

export const statusShape = z.strictObject({
  world: world.meta({ description: 'Whose orders the page is about.' }),
  state: publicState.meta({ description: 'The worst of the components.' }),
  headline: z.string(),
  confirmedAt: instantOrNull.meta({ description: 'When this was last found to be so; null = never published.' }),
  components: z.array(
    z.strictObject({
      id: z.string(),
      name: z.string(),
      state: publicState,
      why: z.array(z.string()).meta({ description: 'Why it is not operational, in the words of the page.' }),
      proof: z
        .strictObject({ at: instant, until: instant.meta({ description: 'Older it proves nothing.' }), by: z.string() })
        .nullable(),
      changedAt: instant,
    }),
  ),
});

export const statusEntryShape = z.strictObject({
  id: entryId,
  component: z.string(),
  worsen: z.enum(WORSENINGS).nullable().meta({ description: 'null = only a note.' }),
  note: z.string(),
  from: instant,
  until: instant,
  actor: z.string(),
  createdAt: instant,
  endedAt: instantOrNull,
  endedBy: z.string().nullable(),
});

const STATUS = {
  method: 'GET',
  path: '/api/v1/status',
  summary: 'What the public status page says now, and why',
  role: 'viewer',
  answer: statusShape,
} satisfies EndpointSpec;

const ENTRIES = {
  method: 'GET',
  path: '/api/v1/status/entries',
  summary: 'What people said of components, newest first',
  role: 'viewer',
  query: z.strictObject({ state: z.enum(['live', 'all'], 'expected live or all').default('live'), ...idPaging }),
  answer: listOf(statusEntryShape),
} satisfies EndpointSpec;

const SAY = {
  method: 'POST',
  path: '/api/v1/status/components/:id',
  summary: 'Make the page say something worse of a component, or add a note; never something better',
  role: 'responder',
  params: z.strictObject({ id: component }),
  body: z.strictObject({
    worsen: z
      .enum(
        WORSENINGS,
        `expected one of ${WORSENINGS.join(', ')}: people may worsen what the page says, never improve it`,
      )
      .nullable()
      .default(null),
    note: z.string('expected text').trim().min(1, 'must not be empty').max(500, 'expected at most 500 characters'),
    from: givenInstant.optional().meta({ description: 'Default now. Later = announced: maintenance.' }),
    until: givenInstant.meta({ description: 'At most 14 days after from.' }),
  }),
  answer: statusEntryShape,
  status: 201,
  problems: { 404: 'There is no such component.', 409: 'It would make the page say something better.' },
} satisfies EndpointSpec;

const END = {
  method: 'POST',
  path: '/api/v1/status/entries/:id/end',
  summary: 'Take back what a person said; what is measured shows again',
  role: 'responder',
  params: z.strictObject({ id: entryId }),
  answer: statusEntryShape,
  problems: { 404: 'There is no such entry.' },
} satisfies EndpointSpec;

@Controller()
export class StatusController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(STATUS)
  status(): StatusView {
    return this.deps.statusPage.status();
  }

  @Endpoint(ENTRIES)
  entries(@Input() { query }: InputOf<typeof ENTRIES>): Promise<Page<StatusEntry>> {
    const { limit, cursor, state } = query;
    return this.deps.statusPage.entries({ state }, { limit, ...(cursor === undefined ? {} : { cursor }) });
  }

  @Endpoint(SAY)
  async say(@Input() { params, body }: InputOf<typeof SAY>, @By() caller: Caller): Promise<StatusEntry> {
    const said = await this.deps.statusPage.say({
      component: params.id,
      worsen: body.worsen,
      note: body.note,
      from: body.from ?? null,
      until: body.until,
      actor: caller.name,
    });
    if (said === null) throw new Problem(404, `There is no component ${params.id}.`);
    if ('refused' in said) throw new Problem(409, said.refused);
    return said.entry;
  }

  @Endpoint(END)
  async end(@Input() { params }: InputOf<typeof END>, @By() caller: Caller): Promise<StatusEntry> {
    const ended = await this.deps.statusPage.end(params.id, caller.name);
    if (ended === null) throw new Problem(404, `There is no entry ${params.id}.`);
    return ended;
  }
}
