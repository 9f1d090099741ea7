import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import { SIGNAL_KINDS, type SignalChange, type SignalView } from '../monitoring/contract.js';
import type { Page } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { Endpoint, Input, type InputOf } from './endpoint.js';
import { domain, id, idPaging, instant, instantOrNull, listOf, paging } from './shapes.js';

export const signalShape = z.strictObject({
  id,
  kind: z.enum(SIGNAL_KINDS),
  subject: z.string().meta({ description: 'What it is about, within its kind.' }),
  shop: z.string().nullable(),
  destination: z.string().nullable(),
  world: z.enum(['real', 'sandbox']).nullable().meta({ description: 'null = about the service itself.' }),
  state: z.enum(['open', 'closed']),
  facts: z.record(z.string(), z.unknown()),
  evidence: z.string().meta({ description: 'Where to look: a path of this API.' }),
  openedAt: instant,
  updatedAt: instant,
  closedAt: instantOrNull,
  updates: z.int().meta({ description: 'How often its facts have changed since it was opened.' }),
});

const LIST = {
  method: 'GET',
  path: '/api/v1/signals',
  summary: 'What is not as it should be, newest first',
  role: 'viewer',
  query: z.strictObject({
    kind: z.enum(SIGNAL_KINDS).optional(),
    shop: domain.optional(),
    state: z.enum(['open', 'closed', 'all'], 'expected open, closed or all').default('open'),
    ...idPaging,
  }),
  answer: listOf(signalShape),
} satisfies EndpointSpec;

const CHANGES = {
  method: 'GET',
  path: '/api/v1/signals/changes',
  summary: 'Every opening, update and closing in order; pass the last seq you have seen as cursor',
  role: 'viewer',
  query: z.strictObject({ ...paging, cursor: id.optional() }),
  answer: listOf(
    z.strictObject({
      seq: id,
      at: instant,
      change: z.enum(['opened', 'updated', 'closed']),
      signal: signalShape,
    }),
  ),
} satisfies EndpointSpec;

@Controller()
export class SignalsController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(LIST)
  signals(@Input() { query }: InputOf<typeof LIST>): Promise<Page<SignalView>> {
    const { limit, cursor, kind, shop, state } = query;
    return this.deps.signals.signals(
      { state, ...(kind === undefined ? {} : { kind }), ...(shop === undefined ? {} : { shop }) },
      { limit, ...(cursor === undefined ? {} : { cursor }) },
    );
  }

  @Endpoint(CHANGES)
  async changes(@Input() { query }: InputOf<typeof CHANGES>): Promise<Page<SignalChange>> {
    const items = await this.deps.signals.changes(query.cursor ?? '0', query.limit);
    return { items, nextCursor: items.length === query.limit ? (items.at(-1)?.seq ?? null) : null };
  }
}
