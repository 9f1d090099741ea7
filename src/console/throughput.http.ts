import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import {
  STAGES,
  type FleetItem,
  type Granularity,
  type ThroughputFilter,
  type ThroughputItem,
} from '../monitoring/contract.js';
import type { Page } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { Endpoint, Input, type InputOf } from './endpoint.js';
import { Problem } from './problem.js';
import {
  destinationKind,
  destinationName,
  domain,
  given,
  givenInstant,
  instant,
  instantOrNull,
  listOf,
  paging,
  world,
} from './shapes.js';

const DAY_MS = 86_400_000;
/** What is looked at when nobody says from when. */
const DEFAULT_MS = { hour: DAY_MS, day: 7 * DAY_MS };
/** Longer than this is asked for in parts. */
const LONGEST_MS = { hour: 31 * DAY_MS, day: 400 * DAY_MS };

const count = z.int();
const countOrNull = z.int().nullable();
const ratio = z.number().min(0).max(1).nullable();

const counts = {
  sold: countOrNull.meta({ description: 'Says Shopify. null = no complete reconciliation covers it yet.' }),
  logged: count.meta({ description: 'In the ledger; those that wait for payment among them.' }),
  processed: count.meta({ description: 'Routed, and waiting for nothing but the destination.' }),
  accepted: count.meta({ description: 'Taken by the destination, and not found absent since.' }),
  confirmed: countOrNull.meta({ description: 'Read back. null = cannot be, or has not been yet.' }),
  ignored: count,
  failed: count.meta({ description: 'Dead letters.' }),
  missing: countOrNull.meta({ description: 'Found absent by reconciliation, and not recovered yet.' }),
  recovered: countOrNull.meta({ description: 'Found absent once, and brought in since.' }),
  late: count.meta({ description: 'Over 15 minutes end to end.' }),
  throughput: ratio.meta({
    description:
      'Received of sold less ignored; received = confirmed once settled where the destination can be read back, else accepted.',
  }),
};

export const throughputShape = z.strictObject({
  shop: z.string(),
  destination: z.string(),
  start: instant,
  ...counts,
  confirmation: z.enum(['confirmable', 'unconfirmable']),
  settledAt: instantOrNull.meta({ description: 'null = provisional.' }),
  settledThroughput: ratio.meta({ description: 'throughput, once settled.' }),
});

export const fleetShape = z.strictObject({
  start: instant,
  kind: destinationKind.nullable().meta({ description: 'null = all kinds together.' }),
  shops: count.meta({ description: 'Connected shops.' }),
  shopsProved: count.meta({ description: 'Of these, the ones of which all that was sold in this time is known.' }),
  settled: z.strictObject(counts),
  provisional: z.strictObject(counts),
  unproved: z.strictObject(counts).meta({ description: 'Hours of which nobody knows what was sold.' }),
  lost: z
    .array(z.strictObject({ stage: z.enum(STAGES), orders: count }))
    .meta({ description: 'Orders that did not reach a stage, in the order of the line.' }),
});

const window = {
  from: givenInstant.optional().meta({
    description: 'The hour or day that holds it is the first. Default: a day before to, by the day a week.',
  }),
  to: givenInstant.optional().meta({ description: 'Exclusive. Default now.' }),
  granularity: z.enum(['hour', 'day'], 'expected hour or day').default('hour'),
};

const ITEMS = {
  method: 'GET',
  path: '/api/v1/throughput',
  summary: 'What was sold and what arrived, by shop, destination and hour or day of the sale, oldest first',
  role: 'viewer',
  query: z.strictObject({ ...window, shop: domain.optional(), destination: destinationName.optional(), ...paging }),
  answer: listOf(throughputShape),
} satisfies EndpointSpec;

const FLEET = {
  method: 'GET',
  path: '/api/v1/throughput/fleet',
  summary: 'All shops together, by kind of destination and in all, and where on the way orders were lost',
  role: 'viewer',
  query: z.strictObject({
    ...window,
    world: world.default('real'),
    ...paging,
    limit: paging.limit.meta({ description: 'Hours or days a page; at most 24 hours or 7 days are given.' }),
    cursor: z
      .string()
      .regex(/^\d{1,15}$/, 'expected the nextCursor of the page before')
      .optional(),
  }),
  answer: listOf(fleetShape),
} satisfies EndpointSpec;

@Controller()
export class ThroughputController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(ITEMS)
  items(@Input() { query }: InputOf<typeof ITEMS>): Promise<Page<ThroughputItem>> {
    const { limit, cursor, shop, destination } = query;
    const filter = { ...this.windowOf(query), ...given({ shop, destination }) };
    return this.deps.throughput.items(filter, given({ limit, cursor }));
  }

  @Endpoint(FLEET)
  fleet(@Input() { query }: InputOf<typeof FLEET>): Promise<Page<FleetItem>> {
    const { limit, cursor } = query;
    return this.deps.throughput.fleet({ ...this.windowOf(query), world: query.world }, given({ limit, cursor }));
  }

  private windowOf(query: {
    from?: Date | undefined;
    to?: Date | undefined;
    granularity: Granularity;
  }): ThroughputFilter {
    const { granularity } = query;
    const to = query.to ?? this.deps.clock.now();
    const from = query.from ?? new Date(to.getTime() - DEFAULT_MS[granularity]);
    if (from >= to) throw faultOfFrom('must be before to');
    if (to.getTime() - from.getTime() > LONGEST_MS[granularity]) {
      throw faultOfFrom('at most 31 days by the hour and 400 by the day');
    }
    return { from, to, granularity };
  }
}

function faultOfFrom(message: string): Problem {
  return new Problem(400, undefined, { errors: [{ in: 'query', key: 'from', message }] });
}
