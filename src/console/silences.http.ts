import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import type { Silence } from '../alerting/contract.js';
import type { Caller } from '../kernel/auth.js';
import type { Page } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { By, Endpoint, Input, type InputOf } from './endpoint.js';
import { instantAhead } from './instant-ahead.js';
import { Problem } from './problem.js';
import {
  destinationName,
  domain,
  given,
  givenInstant,
  id,
  idPaging,
  instant,
  instantOrNull,
  listOf,
} from './shapes.js';

const HOUR_MS = 3_600_000;
const LONGEST_MS = 720 * HOUR_MS;

export const silenceShape = z.strictObject({
  id,
  match: z
    .strictObject({ name: z.string().optional(), shop: z.string().optional(), destination: z.string().optional() })
    .meta({ description: 'Which alerts: all that is given must be the same.' }),
  owner: z.string(),
  reason: z.string(),
  startsAt: instant,
  endsAt: instant,
  endedAt: instantOrNull.meta({ description: 'Ended by hand, before its end.' }),
  endedBy: z.string().nullable(),
});

const LIST = {
  method: 'GET',
  path: '/api/v1/silences',
  summary: 'What is kept quiet, by whom, why, and until when; newest first',
  role: 'viewer',
  query: z.strictObject({
    state: z.enum(['active', 'ended', 'all'], 'expected active, ended or all').default('active'),
    ...idPaging,
  }),
  answer: listOf(silenceShape),
} satisfies EndpointSpec;

const CREATE = {
  method: 'POST',
  path: '/api/v1/silences',
  summary: 'Keep alerts quiet until an instant; never removals, and never orders that are missing',
  role: 'responder',
  body: z.strictObject({
    name: z.string().max(100).optional().meta({ description: 'Of the alert, as the catalogue has it.' }),
    shop: domain.optional(),
    destination: destinationName.optional(),
    reason: z.string().trim().min(3, 'say why').max(500),
    endsAt: givenInstant.optional().meta({ description: 'Within 30 days. This or hours.' }),
    hours: z.number().positive().max(720).optional().meta({ description: 'How long it lasts, from now.' }),
  }),
  answer: silenceShape,
  status: 201,
  problems: { 409: 'What it asks for is never silenced, or cannot be.' },
} satisfies EndpointSpec;

const END = {
  method: 'DELETE',
  path: '/api/v1/silences/:id',
  summary: 'End a silence; what is still open is told after a quarter of a minute or more',
  role: 'responder',
  params: z.strictObject({ id }),
  answer: silenceShape,
  problems: { 404: 'There is no such silence.' },
} satisfies EndpointSpec;

@Controller()
export class SilencesController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(LIST)
  list(@Input() { query }: InputOf<typeof LIST>): Promise<Page<Silence>> {
    const { limit, cursor, state } = query;
    return this.deps.silences.silences({ state }, given({ limit, cursor }));
  }

  @Endpoint(CREATE)
  async create(@Input() { body }: InputOf<typeof CREATE>, @By() caller: Caller): Promise<Silence> {
    const { reason, endsAt: at, hours, ...match } = body;
    const inMs = hours === undefined ? undefined : hours * HOUR_MS;
    const endsAt = instantAhead(this.deps.clock.nowMs(), at, inMs, 'endsAt', LONGEST_MS);
    const made = await this.deps.silences.silence(given(match), caller.name, reason, endsAt);
    if ('refused' in made) throw new Problem(409, `Refused: ${made.refused}.`);
    return made.silence;
  }

  @Endpoint(END)
  async end(@Input() { params }: InputOf<typeof END>, @By() caller: Caller): Promise<Silence> {
    const ended = await this.deps.silences.endSilence(params.id, caller.name);
    if (!ended) throw new Problem(404, `There is no silence ${params.id}.`);
    return ended;
  }
}
