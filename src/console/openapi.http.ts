import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import type { EndpointSpec } from './endpoint-spec.js';
import { Endpoint } from './endpoint.js';

/** Injection token of the document, built once from the route table. */
export const OPENAPI = Symbol('OpenAPI');

const GET = {
  method: 'GET',
  path: '/api/openapi.json',
  summary: 'This document (OpenAPI 3.1)',
  role: 'public',
  answer: z.record(z.string(), z.unknown()),
} satisfies EndpointSpec;

@Controller()
export class OpenApiController {
  constructor(@Inject(OPENAPI) private readonly document: Record<string, unknown>) {}

  @Endpoint(GET)
  get(): Record<string, unknown> {
    return this.document;
  }
}
