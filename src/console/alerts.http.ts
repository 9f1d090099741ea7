import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import { ALERT_CLASSES, ALERT_STATES, ROUTES, SEVERITIES, type AlertView } from '../alerting/contract.js';
import type { Caller } from '../kernel/auth.js';
import type { Page } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { By, Endpoint, Input, type InputOf } from './endpoint.js';
import { notificationShape } from './notifications.http.js';
import { instantAhead } from './instant-ahead.js';
import { Problem } from './problem.js';
import { domain, given, givenInstant, id, instant, instantOrNull, listOf, paging, world } from './shapes.js';

/** Whoever takes an alert on for longer has forgotten it. */
const LOOK_WITHIN_MS = 24 * 3_600_000;
const HISTORY_MAX = 200;
const SIGNALS_MAX = 50;

export const alertShape = z.strictObject({
  id,
  name: z.string().meta({ description: 'Of the catalogue.' }),
  dedupeKey: z.string().meta({ description: 'The identity of its cause; the pager has the same.' }),
  world,
  class: z.enum(ALERT_CLASSES),
  severity: z.literal([...SEVERITIES]).meta({ description: '1 is the worst.' }),
  state: z.enum(ALERT_STATES),
  route: z.enum(ROUTES),
  summary: z.string(),
  facts: z.record(z.string(), z.unknown()),
  evidence: z.string().meta({ description: 'Where to look: a path of this API.' }),
  runbook: z.string().meta({ description: 'Name of the page that says what to do.' }),
  shop: z.string().nullable(),
  destination: z.string().nullable(),
  signals: z.int().meta({ description: 'How many signals are open in it.' }),
  shops: z.int(),
  count: z.int().meta({ description: 'How often any of them was opened or updated.' }),
  firstSeenAt: instant,
  lastSeenAt: instant,
  openedAt: instantOrNull,
  closedAt: instantOrNull,
  acknowledged: z
    .strictObject({ by: z.string(), at: instant, note: z.string().nullable(), nextLookAt: instant })
    .nullable(),
  foldedInto: id.nullable().meta({ description: 'The alert of many shops that speaks for it.' }),
  inhibitedBy: id.nullable().meta({ description: 'The alert that makes it no news.' }),
  silencedBy: id.nullable(),
  unwatchedSince: instantOrNull.meta({ description: 'Nobody has looked since whether it is still so.' }),
});

export const alertDetailShape = z.strictObject({
  alert: alertShape,
  signals: z
    .array(
      z.strictObject({
        id,
        shop: z.string().nullable(),
        severity: z.literal([...SEVERITIES]),
        facts: z.record(z.string(), z.unknown()),
      }),
    )
    .meta({ description: 'Those that are open in it, the worst first; 50 at most.' }),
  changes: z.array(
    z.strictObject({
      seq: id,
      at: instant,
      change: z.string(),
      actor: z.string().nullable(),
      detail: z.string().nullable(),
    }),
  ),
  notifications: z.array(notificationShape).meta({ description: 'What was said of it, newest first.' }),
});

const LIST = {
  method: 'GET',
  path: '/api/v1/alerts',
  summary: 'What people are told of: pages before tickets, the worst first',
  role: 'viewer',
  query: z.strictObject({
    name: z.string().max(100).optional(),
    shop: domain.optional(),
    class: z.enum(ALERT_CLASSES, 'expected page, ticket or log').optional(),
    state: z.enum([...ALERT_STATES, 'live', 'all'], 'expected pending, open, closed, live or all').default('live'),
    ...paging,
    cursor: z
      .string()
      .regex(/^\d{1,3}-\d{1,18}$/, 'expected nextCursor of the page before')
      .optional(),
  }),
  answer: listOf(alertShape),
} satisfies EndpointSpec;

const SHOW = {
  method: 'GET',
  path: '/api/v1/alerts/:id',
  summary: 'One alert, with its signals, what happened to it, and what was said of it',
  role: 'viewer',
  params: z.strictObject({ id }),
  answer: alertDetailShape,
  problems: { 404: 'There is no such alert.' },
} satisfies EndpointSpec;

const ACKNOWLEDGE = {
  method: 'POST',
  path: '/api/v1/alerts/:id/acknowledge',
  summary: 'Take an alert on; when your next look is due and it is still open, people are told again',
  role: 'responder',
  params: z.strictObject({ id }),
  body: z.strictObject({
    note: z.string().max(1_000).optional(),
    nextLookAt: givenInstant.optional().meta({ description: 'Within 24 hours. This or inMinutes.' }),
    inMinutes: z.int().min(1).max(1_440).optional().meta({ description: 'When your next look is due, from now.' }),
  }),
  answer: alertShape,
  problems: { 404: 'There is no such alert, or it is closed.' },
} satisfies EndpointSpec;

const UNACKNOWLEDGE = {
  method: 'DELETE',
  path: '/api/v1/alerts/:id/acknowledge',
  summary: 'Give an alert back',
  role: 'responder',
  params: z.strictObject({ id }),
  answer: alertShape,
  problems: { 404: 'There is no such alert, or it is closed.' },
} satisfies EndpointSpec;

@Controller()
export class AlertsController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(LIST)
  list(@Input() { query }: InputOf<typeof LIST>): Promise<Page<AlertView>> {
    const { limit, cursor, ...filter } = query;
    return this.deps.alerts.alerts(given(filter), given({ limit, cursor }));
  }

  @Endpoint(SHOW)
  async show(@Input() { params }: InputOf<typeof SHOW>): Promise<unknown> {
    const { alerts, notifications } = this.deps;
    const alert = await alerts.alert(params.id);
    if (!alert) throw new Problem(404, `There is no alert ${params.id}.`);
    const changes = await alerts.history(params.id, HISTORY_MAX);
    const said = await notifications.notifications({ alert: params.id }, { limit: HISTORY_MAX });
    return {
      alert,
      signals: await alerts.signalsOf(params.id, SIGNALS_MAX),
      changes: changes.map(({ seq, at, change, actor, detail }) => ({ seq, at, change, actor, detail })),
      notifications: said.items,
    };
  }

  @Endpoint(ACKNOWLEDGE)
  async acknowledge(@Input() { params, body }: InputOf<typeof ACKNOWLEDGE>, @By() caller: Caller): Promise<AlertView> {
    const { alerts, clock } = this.deps;
    const nextLookAt = instantAhead(
      clock.nowMs(),
      body.nextLookAt,
      minutesMs(body.inMinutes),
      'nextLookAt',
      LOOK_WITHIN_MS,
    );
    return found(await alerts.acknowledge(params.id, caller.name, body.note ?? null, nextLookAt), params.id);
  }

  @Endpoint(UNACKNOWLEDGE)
  async unacknowledge(@Input() { params }: InputOf<typeof UNACKNOWLEDGE>, @By() caller: Caller): Promise<AlertView> {
    return found(await this.deps.alerts.unacknowledge(params.id, caller.name), params.id);
  }
}

const minutesMs = (minutes: number | undefined): number | undefined =>
  minutes === undefined ? undefined : minutes * 60_000;

/** What only an alert that is not closed can take. */
function found(alert: AlertView | null, id: string): AlertView {
  if (!alert) throw new Problem(404, `There is no alert ${id} that is not closed.`);
  return alert;
}
