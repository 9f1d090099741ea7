import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import { recordAudit } from '../kernel/audit.js';
import type { Caller } from '../kernel/auth.js';
import { SUBSCRIPTION_FINDINGS, SUBSCRIPTION_STATES, type SubscriptionView } from '../monitoring/contract.js';
import type { Page } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { By, Endpoint, Input, type InputOf } from './endpoint.js';
import { Problem } from './problem.js';
import { domain, instant, instantOrNull, listOf, paging } from './shapes.js';

export const subscriptionShape = z.strictObject({
  shop: z.string(),
  topic: z.string().meta({ description: 'As configured; where it is not wanted, as Shopify spells it.' }),
  wanted: z.boolean(),
  state: z.enum(SUBSCRIPTION_STATES),
  since: instantOrNull.meta({ description: 'Of the state.' }),
  reason: z.string().nullable().meta({ description: 'Why nothing can be said, or what Shopify said to the last try.' }),
  findings: z.array(z.strictObject({ kind: z.enum(SUBSCRIPTION_FINDINGS), detail: z.string() })),
  wantedUri: z.string().nullable(),
  uri: z.string().nullable().meta({ description: 'Where it sends; null = there is none, or it cannot be listed.' }),
  lastSeenAt: instantOrNull,
  goneSince: instantOrNull,
  recreatedAt: instantOrNull,
  recreatedBy: z.string().nullable(),
  reconciliation: z.string().nullable().meta({ description: 'The run that is to prove that nothing was lost.' }),
  lastAuditedAt: instantOrNull.meta({ description: 'The last good look.' }),
  lastTriedAt: instantOrNull.meta({ description: 'The last look, good or not.' }),
});

export const auditShape = z.strictObject({ shops: z.array(z.string()), requestedAt: instant });

const LIST = {
  method: 'GET',
  path: '/api/v1/subscriptions',
  summary: 'What is wanted of Shopify and what is there, a line a shop and topic',
  role: 'viewer',
  query: z.strictObject({ shop: domain.optional(), ...paging }),
  answer: listOf(subscriptionShape),
} satisfies EndpointSpec;

const AUDIT = {
  method: 'POST',
  path: '/api/v1/subscriptions/audit',
  summary: 'Look at the subscriptions now; done when lastTriedAt has passed requestedAt',
  role: 'responder',
  body: z.strictObject({ shop: domain.optional() }),
  answer: auditShape,
  status: 202,
  problems: { 404: 'There is no such shop.' },
} satisfies EndpointSpec;

@Controller()
export class SubscriptionsController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(LIST)
  list(@Input() { query }: InputOf<typeof LIST>): Promise<Page<SubscriptionView>> {
    const { shop, limit, cursor } = query;
    return this.deps.subscriptions.subscriptions(shop === undefined ? {} : { shop }, {
      limit,
      ...(cursor === undefined ? {} : { cursor }),
    });
  }

  @Endpoint(AUDIT)
  async audit(
    @Input() { body }: InputOf<typeof AUDIT>,
    @By() caller: Caller,
  ): Promise<{ shops: string[]; requestedAt: Date }> {
    const asked = await this.deps.subscriptions.requestAudit(body.shop, `asked for by ${caller.name}`);
    if (asked === null) throw new Problem(404, `There is no shop ${body.shop ?? ''}.`);
    await recordAudit(this.deps.database, this.deps.clock, {
      actor: caller.name,
      action: 'subscription.audit',
      subject: body.shop ?? 'every shop',
    });
    return asked;
  }
}
