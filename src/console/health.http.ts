import { Controller, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { readHealth, type HealthReport, type HealthState } from '../kernel/health.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { Endpoint } from './endpoint.js';
import { instant } from './shapes.js';

const state = z.enum(['ok', 'degraded', 'failing', 'dead', 'unknown']);

const LIVEZ = {
  method: 'GET',
  path: '/livez',
  summary: 'Whether the process is alive',
  role: 'public',
  answer: z.strictObject({ status: z.literal('alive') }),
} satisfies EndpointSpec;
const READYZ = {
  method: 'GET',
  path: '/readyz',
  summary: 'Whether the process wants traffic',
  role: 'public',
  answer: z.strictObject({ status: z.enum(['ready', 'not ready']), reason: z.string().nullable() }),
  problems: { 503: 'Not ready; the body has the same shape.' },
} satisfies EndpointSpec;
export const healthShape = z.strictObject({
  status: state.meta({ description: 'The worst of all services.' }),
  at: instant,
  version: z.string(),
  services: z.array(
    z.strictObject({
      name: z.string(),
      state,
      ageMs: z.number().nullable().meta({ description: 'Since it was last seen working.' }),
      detail: z.string().nullable(),
    }),
  ),
});

const HEALTHZ = {
  method: 'GET',
  path: '/healthz',
  summary: 'Every internal service with its state and age; no data of a shop',
  role: 'public',
  answer: healthShape,
  problems: { 503: 'A service is dead; the body has the same shape.' },
} satisfies EndpointSpec;

/** From best to worst. Unknown is worse than degraded: green must be proved (invariant 10). */
const ORDER: readonly HealthState[] = ['ok', 'degraded', 'unknown', 'failing', 'dead'];

function worstOf(reports: readonly HealthReport[]): HealthState {
  return reports.reduce<HealthState>(
    (worst, { state: each }) => (ORDER.indexOf(each) > ORDER.indexOf(worst) ? each : worst),
    'ok',
  );
}

@Controller()
export class HealthController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(LIVEZ)
  livez(): z.output<typeof LIVEZ.answer> {
    return { status: 'alive' };
  }

  @Endpoint(READYZ)
  readyz(@Res({ passthrough: true }) reply: FastifyReply): z.output<typeof READYZ.answer> {
    const { ready, reason } = this.deps.ready();
    if (!ready) reply.status(503);
    return { status: ready ? 'ready' : 'not ready', reason };
  }

  @Endpoint(HEALTHZ)
  async healthz(@Res({ passthrough: true }) reply: FastifyReply): Promise<z.output<typeof HEALTHZ.answer>> {
    const services = await readHealth(this.deps.health);
    const status = worstOf(services);
    if (status === 'dead') reply.status(503);
    return { status, at: this.deps.clock.now().toISOString(), version: this.deps.version, services };
  }
}
