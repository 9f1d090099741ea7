import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import { STAGES, type SloView } from '../monitoring/contract.js';
import type { Page } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { Endpoint, Input, type InputOf } from './endpoint.js';
import { given, id, instantOrNull, listOf, world } from './shapes.js';

const count = z.int();
const share = z.number().max(1).nullable();
const burn = z.number().nullable();

export const sloShape = z.strictObject({
  name: z.string(),
  world,
  objective: z.number().meta({ description: 'The share of orders that is promised.' }),
  windowDays: z.int().meta({ description: 'The promise is about the last so many days.' }),
  arrivedWithinMinutes: z.int().meta({ description: 'In time = taken by the destination so soon after it was due.' }),
  state: z.enum(['ok', 'burning', 'spent', 'unknown']).meta({
    description: 'unknown = nobody has measured for five minutes, or there was no order: no data is not good data.',
  }),
  provisional: z
    .strictObject({
      from: instantOrNull,
      until: instantOrNull,
      total: count.meta({ description: 'Arrived or bad; an order counts once for each destination that is owed it.' }),
      bad: count.meta({ description: 'Late beyond the limit, waiting beyond it, or lost and not recovered.' }),
      achieved: share,
      budget: z.strictObject({ orders: z.number(), spent: z.number(), left: z.number() }).meta({
        description: 'In orders: how many may be bad of those that there were, how many are, how many may still be.',
      }),
    })
    .meta({ description: 'As known minute by minute.' }),
  settled: z
    .strictObject({
      from: instantOrNull,
      until: instantOrNull,
      owed: count,
      good: count,
      achieved: share,
      unproved: count.meta({ description: 'Logged in hours of which nobody knows what was sold.' }),
    })
    .nullable()
    .meta({ description: 'From the hourly roll-ups that have settled; null = they do not know this limit.' }),
  windows: z.array(
    z.strictObject({
      longMinutes: z.int(),
      shortMinutes: z.int(),
      budgetShare: z.number(),
      class: z.enum(['page', 'ticket']),
      severity: z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4)]),
      limit: z.number().meta({ description: 'Both burns at or above it, with three bad orders, are told.' }),
      longBurn: burn.meta({ description: 'How many times faster than the budget allows; null = there was no order.' }),
      shortBurn: burn,
      longBad: count,
      longTotal: count,
      shortBad: count,
      burning: z.boolean(),
    }),
  ),
  lost: z
    .array(z.strictObject({ stage: z.enum(STAGES), orders: count }))
    .meta({ description: 'The bad orders of the whole time, by the stage that they did not reach in time.' }),
  unrecovered: z
    .array(z.strictObject({ shop: z.string(), destination: z.string(), orders: count, signal: id }))
    .meta({ description: 'By the count rule: any order that is missing and not recovered, whatever the shares say.' }),
});

const LIST = {
  method: 'GET',
  path: '/api/v1/slos',
  summary: 'What is promised of orders, what was achieved, and how many orders of budget are left',
  role: 'viewer',
  query: z.strictObject({ world: world.optional() }),
  answer: listOf(sloShape),
} satisfies EndpointSpec;

@Controller()
export class SlosController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(LIST)
  async slos(@Input() { query }: InputOf<typeof LIST>): Promise<Page<SloView>> {
    return { items: await this.deps.slos.slos(given({ world: query.world })), nextCursor: null };
  }
}
