import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import { NOTIFICATION_REASONS, SEVERITIES, type NotificationView } from '../alerting/contract.js';
import type { Page } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { Endpoint, Input, type InputOf } from './endpoint.js';
import { given, id, idPaging, instant, instantOrNull, listOf } from './shapes.js';

const STATES = ['waiting', 'taken', 'confirmed', 'refused', 'overtaken'] as const;

export const notificationShape = z.strictObject({
  id,
  alertId: id.nullable(),
  dedupeKey: z.string(),
  channel: z.enum(['pagerduty', 'second', 'alertmanager']),
  recipient: z.string().meta({ description: 'A route of the pager, an address, a host.' }),
  action: z.enum(['trigger', 'acknowledge', 'resolve']),
  reason: z.enum(NOTIFICATION_REASONS),
  severity: z.literal([...SEVERITIES]),
  summary: z.string(),
  state: z.enum(STATES),
  attempts: z.int(),
  createdAt: instant,
  takenAt: instantOrNull.meta({ description: 'When the far side said that it has it.' }),
  confirmedAt: instantOrNull.meta({ description: 'When it was seen that somebody is paged.' }),
  lastError: z.string().nullable(),
});

const LIST = {
  method: 'GET',
  path: '/api/v1/notifications',
  summary: 'What was said to whom, when and why, newest first',
  role: 'viewer',
  query: z.strictObject({
    alert: id.optional(),
    state: z.enum(STATES, `expected ${STATES.join(', ')}`).optional(),
    ...idPaging,
  }),
  answer: listOf(notificationShape),
} satisfies EndpointSpec;

@Controller()
export class NotificationsController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(LIST)
  list(@Input() { query }: InputOf<typeof LIST>): Promise<Page<NotificationView>> {
    const { limit, cursor, ...filter } = query;
    return this.deps.notifications.notifications(given(filter), given({ limit, cursor }));
  }
}
