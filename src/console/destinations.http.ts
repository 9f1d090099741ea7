import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import type { Caller } from '../kernel/auth.js';
import type { DestinationView, LaneView } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { By, Endpoint, Input, type InputOf } from './endpoint.js';
import { Problem } from './problem.js';
import { written } from './refusal.js';
import {
  destinationKind,
  destinationName,
  instant,
  instantOrNull,
  listOf,
  origin,
  pageByName,
  paging,
  world,
} from './shapes.js';

const laneShape = z.strictObject({
  shop: z.string(),
  state: z.enum(['closed', 'open']).meta({ description: 'A breaker: open = nothing passes but a probe.' }),
  since: instantOrNull,
  retryAt: instantOrNull,
  failures: z.int(),
  lastError: z.string().nullable(),
  backlog: z.int(),
  oldestQueuedAt: instantOrNull,
});

export const destinationShape = z.strictObject({
  name: z.string(),
  kind: destinationKind,
  world,
  origin: origin.meta({ description: 'file = declared in the configuration file, read-only here.' }),
  enabled: z.boolean(),
  disabledReason: z.string().nullable(),
  settings: z.record(z.string(), z.unknown()),
  secretsSet: z.record(z.string(), z.boolean()).meta({ description: 'Which secrets are set; never their values.' }),
  shops: z.array(z.string()),
  backlog: z.int().meta({ description: 'Events waiting.' }),
  backlogAgeSeconds: z.number().nullable().meta({ description: 'Age of the longest waiting; null = nothing waits.' }),
  lanes: z.array(laneShape).meta({ description: 'What waits or is held up, a line a shop.' }),
  createdAt: instant,
  updatedAt: instant,
});

const params = z.strictObject({ name: destinationName });
// The registry and the kind's adapter check the keys, with the rules of the configuration file.
const body = z
  .record(z.string(), z.unknown())
  .meta({ description: 'Keys as in the configuration file under destinations.' });
const NO_DESTINATION = { 404: 'There is no such destination.' };
const READ_ONLY = { ...NO_DESTINATION, 409: 'The configuration file declares it.' };

const LIST = {
  method: 'GET',
  path: '/api/v1/destinations',
  summary: 'The destinations, with what waits for each',
  role: 'viewer',
  query: z.strictObject(paging),
  answer: listOf(destinationShape),
} satisfies EndpointSpec;
const GET = {
  method: 'GET',
  path: '/api/v1/destinations/:name',
  summary: 'One destination',
  role: 'viewer',
  params,
  answer: destinationShape,
  problems: NO_DESTINATION,
} satisfies EndpointSpec;
const CREATE = {
  method: 'POST',
  path: '/api/v1/destinations',
  summary: 'Add a destination',
  role: 'admin',
  body,
  answer: destinationShape,
  status: 201,
  problems: { 409: 'There is one of this name.' },
} satisfies EndpointSpec;
const UPDATE = {
  method: 'PATCH',
  path: '/api/v1/destinations/:name',
  summary: 'Change a destination; what is left out stays, null takes a value away',
  role: 'admin',
  params,
  body,
  answer: destinationShape,
  problems: READ_ONLY,
} satisfies EndpointSpec;
const ENABLE = {
  method: 'POST',
  path: '/api/v1/destinations/:name/enable',
  summary: 'Let parked events flow',
  role: 'responder',
  params,
  answer: destinationShape,
  problems: READ_ONLY,
} satisfies EndpointSpec;
const DISABLE = {
  method: 'POST',
  path: '/api/v1/destinations/:name/disable',
  summary: 'Park its events; allowed for what the file declares too',
  role: 'responder',
  params,
  answer: destinationShape,
  problems: NO_DESTINATION,
} satisfies EndpointSpec;

interface Shown extends DestinationView {
  backlog: number;
  backlogAgeSeconds: number | null;
  lanes: Omit<LaneView, 'destination'>[];
}

@Controller()
export class DestinationsController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(LIST)
  async list(@Input() { query }: InputOf<typeof LIST>): Promise<{ items: Shown[]; nextCursor: string | null }> {
    const lanes = await this.deps.pipeline.lanes();
    const page = pageByName(await this.deps.registry.destinations(), ({ name }) => name, query);
    return { ...page, items: page.items.map((view) => this.shown(view, lanes)) };
  }

  @Endpoint(GET)
  async get(@Input() { params }: InputOf<typeof GET>): Promise<Shown> {
    const found = (await this.deps.registry.destinations()).find(({ name }) => name === params.name);
    if (!found) throw new Problem(404, `There is no destination ${params.name}.`);
    return this.withLanes(found);
  }

  @Endpoint(CREATE)
  async create(@Input() { body }: InputOf<typeof CREATE>, @By() caller: Caller): Promise<Shown> {
    return this.withLanes(written(await this.deps.registry.createDestination(body, caller.name), 'such destination'));
  }

  @Endpoint(UPDATE)
  async update(@Input() { params, body }: InputOf<typeof UPDATE>, @By() caller: Caller): Promise<Shown> {
    const result = await this.deps.registry.updateDestination(params.name, body, caller.name);
    return this.withLanes(written(result, `destination ${params.name}`));
  }

  @Endpoint(ENABLE)
  enable(@Input() { params }: InputOf<typeof ENABLE>, @By() caller: Caller): Promise<Shown> {
    return this.setEnabled(params.name, true, caller);
  }

  @Endpoint(DISABLE)
  disable(@Input() { params }: InputOf<typeof DISABLE>, @By() caller: Caller): Promise<Shown> {
    return this.setEnabled(params.name, false, caller);
  }

  private async setEnabled(name: string, enabled: boolean, caller: Caller): Promise<Shown> {
    const result = await this.deps.registry.setDestinationEnabled(name, enabled, caller.name);
    return this.withLanes(written(result, `destination ${name}`));
  }

  private async withLanes(view: DestinationView): Promise<Shown> {
    return this.shown(view, await this.deps.pipeline.lanes(view.name));
  }

  private shown(view: DestinationView, allLanes: readonly LaneView[]): Shown {
    const lanes = allLanes.filter(({ destination: name }) => name === view.name);
    const oldestMs = Math.min(...lanes.map(({ oldestQueuedAt }) => oldestQueuedAt?.getTime() ?? Infinity));
    return {
      ...view,
      backlog: lanes.reduce((sum, { backlog }) => sum + backlog, 0),
      backlogAgeSeconds: Number.isFinite(oldestMs) ? Math.max(0, (this.deps.clock.nowMs() - oldestMs) / 1000) : null,
      lanes: lanes.map(({ destination: _, ...lane }) => lane),
    };
  }
}
