import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import { INCIDENT_STATES, type IncidentView, type Severity } from '../alerting/contract.js';
import type { Caller } from '../kernel/auth.js';
import type { Page } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { By, Endpoint, Input, type InputOf } from './endpoint.js';
import { Problem } from './problem.js';
import { domain, given, id, idPaging, instant, instantOrNull, listOf, world } from './shapes.js';

const severity = z.literal([1, 2, 3, 4], 'expected 1 to 4; 1 is the worst').meta({ description: '1 is the worst.' });
const state = z.enum(INCIDENT_STATES, `expected ${INCIDENT_STATES.join(', ')}`);
const component = z
  .union([
    z.enum(['intake', 'processing', 'reconciliation', 'status']),
    z.templateLiteral(['delivery:', z.string().regex(/^[a-z0-9-]{1,40}$/)]),
  ])
  .meta({ description: 'intake, processing, delivery:<kind of destination>, reconciliation or status' });
const incidentId = z.string().regex(/^[a-z0-9]{12}$/, 'expected the id of an incident: 12 letters and digits');
const words = z.string().trim().min(1, 'expected some words').max(4_000, 'expected at most 4,000 characters');

const incidentFields = {
  id: incidentId,
  world,
  title: z.string().meta({ description: 'For the public: names no shop.' }),
  cause: z.string().meta({ description: 'What it is put down to: removal, destination:<kind>, orders, declared …' }),
  severity,
  severityReason: z.string(),
  state,
  components: z.array(component),
  shops: z.array(z.string()),
  touchesOrders: z.boolean().meta({ description: 'Then only a proof ends it.' }),
  public: z.boolean().meta({ description: 'Whether the public is told.' }),
  ordersLost: z.int().meta({ description: 'Not where they belong now.' }),
  ordersUnrecoverable: z.int().meta({ description: 'Of these, those that nobody can bring back.' }),
  ordersLate: z.int().meta({ description: 'Over 15 minutes.' }),
  ordersRecovered: z.int(),
  ordersQueued: z.int().meta({ description: 'Held for a destination that does not take them.' }),
  alertsOpen: z.int(),
  startedAt: instant.meta({ description: 'When the trouble began, as far as is known.' }),
  declaredAt: instant,
  mitigatedAt: instantOrNull.meta({ description: 'When the last of its alerts closed; null = it goes on.' }),
  resolvedAt: instantOrNull,
  gate: z.array(z.string()).meta({ description: 'What stands between it and resolved; empty = nothing.' }),
  proofs: z.array(id).meta({ description: 'The reconciliations that prove it.' }),
  nextUpdateAt: instantOrNull.meta({ description: 'When the public was promised to hear of it again.' }),
};
export const incidentShape = z.strictObject(incidentFields);

export const openedIncidentShape = z.strictObject({
  ...incidentFields,
  alerts: z
    .array(
      z.strictObject({
        id,
        name: z.string(),
        dedupeKey: z.string(),
        severity,
        summary: z.string(),
        evidence: z.string(),
        runbook: z.string(),
        shop: z.string().nullable(),
        destination: z.string().nullable(),
        acknowledgedBy: z.string().nullable(),
        joinedAt: instant,
        closedAt: instantOrNull,
      }),
    )
    .meta({ description: 'Open ones first; at most 200.' }),
  timeline: z
    .array(
      z.strictObject({
        id,
        at: instant,
        kind: z.string(),
        actor: z.string().nullable().meta({ description: 'null = Plumbline itself.' }),
        text: z.string(),
        evidence: z.string().nullable(),
      }),
    )
    .meta({ description: 'Oldest first.' }),
  updates: z
    .array(
      z.strictObject({
        id,
        at: instant,
        state,
        body: z.string(),
        actor: z.string().nullable(),
        nextUpdateAt: instantOrNull,
      }),
    )
    .meta({ description: 'What the public was told, newest first.' }),
});

const LIST = {
  method: 'GET',
  path: '/api/v1/incidents',
  summary: 'Incidents, newest first',
  role: 'viewer',
  query: z.strictObject({
    state: z
      .enum([...INCIDENT_STATES, 'open', 'all'], `expected open, all, ${INCIDENT_STATES.join(', ')}`)
      .default('all'),
    world: world.optional(),
    ...idPaging,
  }),
  answer: listOf(incidentShape),
} satisfies EndpointSpec;

const params = z.strictObject({ id: incidentId });
const THERE_IS_NONE = { 404: 'There is no such incident.' };

const GET = {
  method: 'GET',
  path: '/api/v1/incidents/:id',
  summary: 'One incident with its alerts, its timeline, what the public was told, and what stands before its end',
  role: 'viewer',
  params,
  answer: openedIncidentShape,
  problems: THERE_IS_NONE,
} satisfies EndpointSpec;

const DECLARE = {
  method: 'POST',
  path: '/api/v1/incidents',
  summary: 'Declare an incident that no alert has opened',
  role: 'responder',
  body: z.strictObject({
    title: z
      .string()
      .trim()
      .min(1, 'expected a title')
      .max(200, 'expected at most 200 characters')
      .meta({ description: 'What a customer notices; the public may read it, so name no shop.' }),
    severity,
    components: z.array(component).default([]),
    shops: z.array(domain).default([]).meta({ description: 'Empty, and orders are touched: every shop.' }),
    touchesOrders: z
      .boolean()
      .meta({ description: 'Whether orders may be missing or late: then only a proof ends it.' }),
    world: world.default('real'),
  }),
  answer: incidentShape,
  status: 201,
} satisfies EndpointSpec;

const NOTE = {
  method: 'POST',
  path: '/api/v1/incidents/:id/notes',
  summary: 'Add a line to the timeline; the public does not see it',
  role: 'responder',
  params,
  body: z.strictObject({ text: words }),
  answer: incidentShape,
  problems: THERE_IS_NONE,
} satisfies EndpointSpec;

const UPDATE = {
  method: 'POST',
  path: '/api/v1/incidents/:id/updates',
  summary: 'Tell the public',
  role: 'responder',
  params,
  body: z.strictObject({ state, body: words }),
  answer: incidentShape,
  problems: { ...THERE_IS_NONE, 409: 'It would look better than it is: alerts are open, or it is not resolved.' },
} satisfies EndpointSpec;

const RAISE = {
  method: 'POST',
  path: '/api/v1/incidents/:id/raise',
  summary: 'Raise the severity; it is never lowered',
  role: 'responder',
  params,
  body: z.strictObject({ severity, reason: words }),
  answer: incidentShape,
  problems: { ...THERE_IS_NONE, 409: 'It is as bad already, or resolved.' },
} satisfies EndpointSpec;

const RESOLVE = {
  method: 'POST',
  path: '/api/v1/incidents/:id/resolve',
  summary: 'Resolve an incident whose gate is open; Plumbline does it by itself when it is proved',
  role: 'responder',
  params,
  answer: incidentShape,
  problems: { ...THERE_IS_NONE, 409: 'The gate is closed; the detail says what is missing.' },
} satisfies EndpointSpec;

@Controller()
export class IncidentsController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(LIST)
  list(@Input() { query }: InputOf<typeof LIST>): Promise<Page<IncidentView>> {
    const { limit, cursor, state: wanted, world: of } = query;
    return this.deps.incidents.incidents(given({ state: wanted, world: of }), given({ limit, cursor }));
  }

  @Endpoint(GET)
  async incident(@Input() { params: { id: which } }: InputOf<typeof GET>) {
    const { incidents } = this.deps;
    const found = await incidents.incident(which);
    if (!found) throw new Problem(404, `There is no incident ${which}.`);
    const [alerts, timeline, updates] = await Promise.all([
      incidents.alertsOf(which),
      incidents.timeline(which),
      incidents.updates(which),
    ]);
    return { ...found, alerts, timeline, updates };
  }

  @Endpoint(DECLARE)
  async declare(@Input() { body }: InputOf<typeof DECLARE>, @By() caller: Caller): Promise<IncidentView> {
    const declared = await this.deps.incidents.declare({ ...body, actor: caller.name });
    if ('unknownShops' in declared) {
      const message = `not registered in the ${body.world} world: ${declared.unknownShops.join(', ')}`;
      throw new Problem(400, undefined, { errors: [{ in: 'body', key: 'shops', message }] });
    }
    return declared.incident;
  }

  @Endpoint(NOTE)
  async note(@Input() { params: { id: which }, body }: InputOf<typeof NOTE>, @By() caller: Caller) {
    const noted = await this.deps.incidents.note(which, body.text, caller.name);
    return changed(noted && { incident: noted }, which);
  }

  @Endpoint(UPDATE)
  async update(@Input() { params: { id: which }, body }: InputOf<typeof UPDATE>, @By() caller: Caller) {
    return changed(await this.deps.incidents.update(which, body.state, body.body, caller.name), which);
  }

  @Endpoint(RAISE)
  async raise(@Input() { params: { id: which }, body }: InputOf<typeof RAISE>, @By() caller: Caller) {
    const wanted: Severity = body.severity;
    return changed(await this.deps.incidents.raise(which, wanted, body.reason, caller.name), which);
  }

  @Endpoint(RESOLVE)
  async resolve(@Input() { params: { id: which } }: InputOf<typeof RESOLVE>, @By() caller: Caller) {
    return changed(await this.deps.incidents.resolve(which, caller.name), which);
  }
}

/** @throws Problem 404 or 409 */
function changed(result: { incident: IncidentView } | { refused: string } | null, which: string): IncidentView {
  if (result === null) throw new Problem(404, `There is no incident ${which}.`);
  if ('refused' in result) throw new Problem(409, `Incident ${which}: ${result.refused}.`);
  return result.incident;
}
