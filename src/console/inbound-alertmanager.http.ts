import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { Endpoint, Input, type InputOf } from './endpoint.js';

const words = z.record(z.string().max(200), z.string().max(20_000));
const rfc3339 = z.string().max(50);

/** What an Alertmanager posts; fields that newer versions add are passed over. */
const payload = z.object({
  version: z.literal('4', 'expected a webhook of version 4'),
  alerts: z
    .array(
      z.object({
        status: z.enum(['firing', 'resolved'], 'expected firing or resolved'),
        labels: words.refine((labels) => Object.keys(labels).length > 0, 'at least one label is needed'),
        annotations: words.default({}),
        startsAt: rfc3339,
        endsAt: rfc3339,
        generatorURL: z.string().max(4_000).optional(),
        fingerprint: z.string().regex(/^[0-9a-f]{16}$/, 'expected 16 hexadecimal digits'),
      }),
    )
    .max(1_000, 'at most 1000 alerts; set max_alerts of the receiver'),
  truncatedAlerts: z.int().min(0).default(0),
});

const TAKE = {
  method: 'POST',
  path: '/inbound/alertmanager',
  summary: 'The webhook receiver of an Alertmanager (version 4): its alerts become signals of kind external',
  role: 'responder',
  body: payload,
  answer: z.strictObject({
    firing: z.int(),
    resolved: z.int(),
    ours: z.int().meta({ description: 'Passed over: Plumbline had sent them out itself.' }),
  }),
} satisfies EndpointSpec;

/**
 * Alerts from outside. The way in is a token of the API, in the receiver's `http_config.authorization`: it can be taken
 * back by itself, and no secret stands in an address.
 */
@Controller()
export class InboundAlertmanagerController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(TAKE)
  take(@Input() { body }: InputOf<typeof TAKE>): Promise<{ firing: number; resolved: number; ours: number }> {
    return this.deps.inboundAlerts.take(body.alerts, body.truncatedAlerts);
  }
}
