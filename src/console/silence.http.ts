import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import type { SilenceView } from '../monitoring/contract.js';
import type { Page } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { Endpoint, Input, type InputOf } from './endpoint.js';
import { domain, given, instantOrNull, listOf, paging } from './shapes.js';

const numberOrNull = z.number().nullable();

export const silenceShape = z.strictObject({
  shop: z.string(),
  state: z.enum(['selling', 'silent', 'quiet', 'learning']).meta({
    description: 'learning = known for less than a week; quiet = sells too rarely for silence to say anything',
  }),
  lastOrderAt: instantOrNull.meta({ description: 'When the last order was first told of by a webhook.' }),
  silentSince: instantOrNull.meta({ description: 'When it was found silent; null = it is not.' }),
  expected: numberOrNull.meta({ description: 'Orders of the last 24 whole hours, as usual.' }),
  seen: z.int().meta({ description: 'Orders of the last 24 whole hours, as they came.' }),
  expectedSinceLast: numberOrNull.meta({ description: 'Orders that would usually have come since the last one.' }),
  probability: numberOrNull.meta({ description: 'That none came by chance; silent when below limit.' }),
  limit: numberOrNull,
  weeksKnown: z.number(),
  ordersPerWeek: numberOrNull,
});

const LIST = {
  method: 'GET',
  path: '/api/v1/silence',
  summary: 'How each shop sells against how it usually does',
  role: 'viewer',
  query: z.strictObject({ shop: domain.optional(), ...paging }),
  answer: listOf(silenceShape),
} satisfies EndpointSpec;

@Controller()
export class SilenceController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(LIST)
  silence(@Input() { query }: InputOf<typeof LIST>): Promise<Page<SilenceView>> {
    const { limit, cursor, shop } = query;
    return this.deps.silence.silence(given({ shop }), given({ limit, cursor }));
  }
}
