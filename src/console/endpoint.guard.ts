import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { z } from 'zod';
import { ApiTokens, mayAct, type Caller, type TokenRole } from '../kernel/auth.js';
import { issuesToFaults, keyOf } from '../kernel/config-faults.js';
import { FailedAttempts } from './failed-attempts.js';
import { ENDPOINT, type EndpointSpec } from './endpoint-spec.js';
import type { CheckedRequest } from './endpoint.js';
import { Problem, type RequestFault } from './problem.js';

const CHALLENGE = { 'www-authenticate': 'Bearer realm="plumbline"' };

/** Who asks, may they, and is what they ask well formed: checked in this order, so that faults tell strangers nothing. */
@Injectable()
export class EndpointGuard implements CanActivate {
  constructor(
    @Inject(ApiTokens) private readonly tokens: ApiTokens,
    @Inject(FailedAttempts) private readonly failedAttempts: FailedAttempts,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const spec = Reflect.getMetadata(ENDPOINT, context.getHandler()) as EndpointSpec;
    const request = context.switchToHttp().getRequest<CheckedRequest>();
    if (spec.role !== 'public') request.caller = await this.authenticate(request, spec.role);
    request.checked = check(spec, request);
    return true;
  }

  private async authenticate(request: CheckedRequest, needed: TokenRole): Promise<Caller> {
    const waitSeconds = this.failedAttempts.blockedSeconds(request.ip);
    if (waitSeconds > 0) {
      throw new Problem(429, `Wait ${waitSeconds} s before you try another token.`, {
        headers: { 'retry-after': String(waitSeconds) },
      });
    }
    const [, token] = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? [];
    if (token === undefined) {
      throw new Problem(401, 'Send the header Authorization: Bearer <token>.', { headers: CHALLENGE });
    }
    const caller = await this.tokens.verify(token);
    if (!caller) {
      this.failedAttempts.note(request.ip);
      throw new Problem(401, 'The token is unknown or was revoked.', { headers: CHALLENGE });
    }
    if (!mayAct(caller.role, needed)) {
      throw new Problem(403, `This needs the role ${needed}; the token ${caller.name} has ${caller.role}.`);
    }
    return caller;
  }
}

/** @throws Problem 400 with every fault of path, query and body */
function check(spec: EndpointSpec, request: CheckedRequest): NonNullable<CheckedRequest['checked']> {
  const faults: RequestFault[] = [];
  const read = (place: RequestFault['in'], schema: z.ZodType | undefined, value: unknown): unknown => {
    if (!schema) return undefined;
    const result = schema.safeParse(value ?? {});
    if (result.success) return result.data;
    const jsonSchema = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
    for (const { path, message } of issuesToFaults(result.error.issues, jsonSchema, value)) {
      faults.push({ in: place, key: keyOf(path), message });
    }
    return undefined;
  };
  const checked = {
    params: read('path', spec.params, request.params),
    query: read('query', spec.query, request.query),
    body: read('body', spec.body, request.body),
  };
  if (faults.length > 0) throw new Problem(400, 'See errors for each fault.', { errors: faults });
  return checked;
}
