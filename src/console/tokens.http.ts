import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import { readAudit, type AuditRecord } from '../kernel/audit.js';
import { TOKEN_ROLES, type Caller, type TokenView } from '../kernel/auth.js';
import type { Page } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { By, Endpoint, Input, type InputOf } from './endpoint.js';
import { Problem } from './problem.js';
import { id, idPaging, instant, instantOrNull, listOf } from './shapes.js';

const role = z.enum(TOKEN_ROLES, 'expected viewer, responder or admin');
export const tokenShape = z.strictObject({
  id,
  name: z.string(),
  role,
  createdAt: instant,
  lastUsedAt: instantOrNull.meta({ description: 'To the minute.' }),
  revokedAt: instantOrNull,
});

/** The only answer that shows a token. */
export const newTokenShape = z.strictObject({ ...tokenShape.shape, token: z.string() });

const LIST = {
  method: 'GET',
  path: '/api/v1/tokens',
  summary: 'The API tokens, without the tokens themselves',
  role: 'admin',
  answer: listOf(tokenShape),
} satisfies EndpointSpec;
const CREATE = {
  method: 'POST',
  path: '/api/v1/tokens',
  summary: 'Make a token; the answer shows it, and nothing ever does again',
  role: 'admin',
  body: z.strictObject({
    name: z.string('expected text').regex(/^[\w.@ -]{1,80}$/, 'expected 1 to 80 letters, digits, spaces or . @ _ -'),
    role,
  }),
  answer: newTokenShape,
  status: 201,
} satisfies EndpointSpec;
const REVOKE = {
  method: 'DELETE',
  path: '/api/v1/tokens/:id',
  summary: 'Revoke a token',
  role: 'admin',
  params: z.strictObject({ id }),
  answer: tokenShape,
  problems: { 404: 'There is no such token.' },
} satisfies EndpointSpec;
const AUDIT = {
  method: 'GET',
  path: '/api/v1/audit',
  summary: 'Every write and every look at a payload, newest first',
  role: 'admin',
  query: z.strictObject(idPaging),
  answer: listOf(
    z.strictObject({
      id,
      at: instant,
      actor: z.string(),
      action: z.string(),
      subject: z.string(),
      detail: z.record(z.string(), z.unknown()),
    }),
  ),
} satisfies EndpointSpec;

@Controller()
export class TokensController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(LIST)
  async list(): Promise<Page<TokenView>> {
    return { items: await this.deps.tokens.list(), nextCursor: null };
  }

  @Endpoint(CREATE)
  async create(
    @Input() { body }: InputOf<typeof CREATE>,
    @By() caller: Caller,
  ): Promise<TokenView & { token: string }> {
    const created = await this.deps.tokens.create(body.name, body.role, caller.name);
    return { ...created.view, token: created.token };
  }

  @Endpoint(REVOKE)
  async revoke(@Input() { params }: InputOf<typeof REVOKE>, @By() caller: Caller): Promise<TokenView> {
    const revoked = await this.deps.tokens.revoke(params.id, caller.name);
    if (!revoked) throw new Problem(404, `There is no token ${params.id}.`);
    return revoked;
  }

  @Endpoint(AUDIT)
  audit(@Input() { query }: InputOf<typeof AUDIT>): Promise<Page<AuditRecord>> {
    return readAudit(this.deps.database, query);
  }
}
