import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import type { Heartbeat, ProcessView } from '../monitoring/contract.js';
import type { Page } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { Endpoint } from './endpoint.js';
import { instant, listOf } from './shapes.js';

export const processShape = z.strictObject({
  id: z.string(),
  name: z.string().meta({ description: 'The process id of its machine.' }),
  roles: z.array(z.string()),
  startedAt: instant,
  beatAt: instant.meta({ description: 'Its last word. One that stopped gracefully is not listed.' }),
  silent: z.boolean().meta({ description: 'It has said nothing for a minute.' }),
  eventLoopDelayP99Ms: z.number(),
  heapUsedBytes: z.int(),
  heapLimitBytes: z.int().meta({ description: 'Past it the process ends.' }),
  residentBytes: z.int(),
  stuck: z.array(z.string()).meta({ description: 'Loops of it that hang.' }),
});

export const heartbeatShape = z.strictObject({ name: z.string(), beatAt: instant });

const PROCESSES = {
  method: 'GET',
  path: '/api/v1/processes',
  summary: 'Every process of the last hour, by its own word; the longest running first',
  role: 'viewer',
  answer: listOf(processShape),
} satisfies EndpointSpec;

const DUTIES = {
  method: 'GET',
  path: '/api/v1/duties',
  summary: 'When each duty of monitoring was last done, in any process; what it has found is as old as that',
  role: 'viewer',
  answer: listOf(heartbeatShape),
} satisfies EndpointSpec;

@Controller()
export class ProcessesController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(PROCESSES)
  async processes(): Promise<Page<ProcessView>> {
    return { items: await this.deps.processes.processes(), nextCursor: null };
  }

  @Endpoint(DUTIES)
  async duties(): Promise<Page<Heartbeat>> {
    return { items: await this.deps.heartbeats.heartbeats(), nextCursor: null };
  }
}
