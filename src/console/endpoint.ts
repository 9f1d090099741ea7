import {
  applyDecorators,
  createParamDecorator,
  RequestMapping,
  RequestMethod,
  SetMetadata,
  UseGuards,
} from '@nestjs/common';
import { HttpCode, type ExecutionContext, type Type } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { Caller } from '../kernel/auth.js';
import { EndpointGuard } from './endpoint.guard.js';
import { ENDPOINT } from './endpoint-spec.js';
import type { EndpointSpec } from './endpoint-spec.js';

/**
 * Makes a method answer what the spec says. The spec is the route, the check of role and input, and the OpenAPI entry
 * at once, so that the three cannot disagree.
 */
export function Endpoint(spec: EndpointSpec): MethodDecorator {
  return applyDecorators(
    RequestMapping({ path: spec.path, method: RequestMethod[spec.method] }),
    HttpCode(spec.status ?? 200),
    SetMetadata(ENDPOINT, spec),
    UseGuards(EndpointGuard),
  );
}

/** The specs of controllers, in the order they are declared. */
export function endpointsOf(controllers: readonly Type[]): EndpointSpec[] {
  return controllers.flatMap((controller) =>
    Object.values(Object.getOwnPropertyDescriptors(controller.prototype as object)).flatMap((property) => {
      const value: unknown = property.value;
      const spec =
        typeof value === 'function' ? (Reflect.getMetadata(ENDPOINT, value) as EndpointSpec | undefined) : undefined;
      return spec ? [spec] : [];
    }),
  );
}

/** What `Input` gives a handler of this spec. */
export interface InputOf<Spec extends EndpointSpec> {
  params: Spec['params'] extends z.ZodType ? z.output<Spec['params']> : undefined;
  query: Spec['query'] extends z.ZodType ? z.output<Spec['query']> : undefined;
  body: Spec['body'] extends z.ZodType ? z.output<Spec['body']> : undefined;
}

export interface CheckedRequest extends FastifyRequest {
  checked?: { params: unknown; query: unknown; body: unknown };
  caller?: Caller;
}

/** The request's input, checked by the guard against the spec. */
export const Input = createParamDecorator(
  (_: unknown, context: ExecutionContext): unknown => context.switchToHttp().getRequest<CheckedRequest>().checked,
);

/** Who asks; there is always somebody where the spec names a role. */
export const By = createParamDecorator(
  (_: unknown, context: ExecutionContext): Caller | undefined =>
    context.switchToHttp().getRequest<CheckedRequest>().caller,
);
