import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import type { RecipientHealth } from '../alerting/contract.js';
import type { Page, World } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { Endpoint } from './endpoint.js';
import { instantOrNull, listOf } from './shapes.js';

const CHANNELS = ['pagerduty', 'second', 'alertmanager'] as const;

const recipientShape = z.strictObject({
  world: z.enum(['real', 'sandbox']),
  channel: z.enum(CHANNELS),
  recipient: z.string(),
  state: z.enum(['ok', 'failing', 'unknown']).meta({ description: 'unknown = it has taken nothing yet.' }),
  takenAt: instantOrNull,
  failingSince: instantOrNull,
  lastError: z.string().nullable(),
  waiting: z.int(),
  oldestWaitingAt: instantOrNull,
});

export const worldChannelsShape = z.strictObject({
  world: z.enum(['real', 'sandbox']),
  confirmation: z.enum(['webhooks', 'look-ups', 'webhooks and look-ups', 'taken', 'no pager']).meta({
    description:
      'What counts as proof that somebody is paged. taken = only that PagerDuty has the event, which it says before it has looked at it: configure alerting.pagerduty.webhookSecrets or token.',
  }),
  recipients: z.array(recipientShape),
});

const LIST = {
  method: 'GET',
  path: '/api/v1/channels',
  summary: 'How people are told in each world, and whether it works',
  role: 'viewer',
  answer: listOf(worldChannelsShape),
} satisfies EndpointSpec;

@Controller()
export class ChannelsController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(LIST)
  async channels(): Promise<Page<{ world: World; confirmation: string; recipients: RecipientHealth[] }>> {
    return { items: await this.deps.notifier.channels(), nextCursor: null };
  }
}
