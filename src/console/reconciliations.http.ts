import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import { recordAudit } from '../kernel/audit.js';
import type { Caller } from '../kernel/auth.js';
import {
  GAP_STATES,
  RECONCILIATION_STATES,
  STAGES,
  type GapView,
  type ProofView,
  type ReconciliationView,
} from '../monitoring/contract.js';
import { STATE_CODES, type Page, type State } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { By, Endpoint, Input, type InputOf } from './endpoint.js';
import { Problem } from './problem.js';
import { domain, given, givenInstant, id, idPaging, instant, instantOrNull, kind, listOf } from './shapes.js';

const YOUNG_MS = 3 * 60_000;
const DAY_MS = 86_400_000;

const stage = z.enum(STAGES).meta({ description: 'The stage it did not reach.' });
const gapState = z.enum(GAP_STATES);
const reconciliationState = z.enum(RECONCILIATION_STATES);
const obligationState = z
  .enum([...(Object.keys(STATE_CODES) as State[]), 'absent'])
  .meta({ description: 'absent = the ledger knew nothing of it.' });

export const reconciliationShape = z.strictObject({
  id,
  shop: z.string(),
  from: instant.meta({ description: 'Orders updated at or after.' }),
  to: instant.meta({ description: 'Orders updated before.' }),
  why: z.string(),
  requestedBy: z.string(),
  state: reconciliationState.meta({
    description:
      'partial, blind = could not look at everything, or anything, and tries again; settling = compared, not all recovered',
  }),
  detail: z.string().nullable(),
  notCovered: z.string().nullable().meta({ description: 'What of the window Shopify does not show.' }),
  counts: z.strictObject({
    sold: z.int().meta({ description: 'Orders that Shopify lists in the window.' }),
    obligations: z
      .array(z.strictObject({ destination: z.string(), kind, state: obligationState, count: z.int() }))
      .meta({ description: 'As they stood when compared, before anything was recovered.' }),
  }),
  gaps: z.array(
    z.strictObject({
      stage,
      cause: z.string(),
      destination: z.string(),
      state: gapState,
      reason: z.string().nullable(),
      count: z.int(),
      requeued: z.int(),
      sample: z.array(z.string()),
    }),
  ),
  requeued: z.int(),
  recovered: z.int(),
  open: z.int().meta({ description: 'Not recovered yet.' }),
  requestedAt: instant,
  startedAt: instantOrNull,
  listedAt: instantOrNull,
  finishedAt: instantOrNull,
});

export const gapShape = z.strictObject({
  id,
  shop: z.string(),
  destination: z.string(),
  orderId: z.string(),
  subjectId: z.string(),
  kind,
  stage,
  cause: z.string(),
  state: gapState,
  reason: z.string().nullable(),
  soldAt: instant,
  foundAt: instant,
  requeues: z.int(),
  closedAt: instantOrNull,
});

export const proofShape = z.strictObject({
  shop: z.string(),
  comparedFrom: instantOrNull,
  comparedUntil: instantOrNull.meta({ description: 'Orders updated before it were compared; null = none yet.' }),
  nextRunAt: instant,
  lastError: z.string().nullable(),
});

const REQUEST = {
  method: 'POST',
  path: '/api/v1/reconciliations',
  summary: 'Compare what a shop sold with what arrived, and bring back what did not',
  role: 'responder',
  body: z
    .strictObject({
      shop: domain,
      from: givenInstant
        .optional()
        .meta({ description: 'Orders updated at Shopify at or after; default a day before to.' }),
      to: givenInstant.optional().meta({
        description: 'Orders updated before; default three minutes ago. What is younger is waited for.',
      }),
    })
    .refine(({ from, to }) => !from || !to || from < to, { message: 'must be before to', path: ['from'] }),
  answer: z.strictObject({ id }),
  status: 202,
  problems: { 404: 'There is no such shop.' },
} satisfies EndpointSpec;

const GET = {
  method: 'GET',
  path: '/api/v1/reconciliations/:id',
  summary: 'One reconciliation: what was listed, how it stood, the gaps by stage and cause, and what came of them',
  role: 'viewer',
  params: z.strictObject({ id }),
  answer: reconciliationShape,
  problems: { 404: 'There is no such reconciliation.' },
} satisfies EndpointSpec;

const LIST = {
  method: 'GET',
  path: '/api/v1/reconciliations',
  summary: 'Reconciliations, newest first',
  role: 'viewer',
  query: z.strictObject({ shop: domain.optional(), state: reconciliationState.optional(), ...idPaging }),
  answer: listOf(reconciliationShape),
} satisfies EndpointSpec;

const GAPS = {
  method: 'GET',
  path: '/api/v1/gaps',
  summary: 'Orders that did not arrive, each with the stage where it was lost and what became of it, newest first',
  role: 'viewer',
  query: z.strictObject({
    shop: domain.optional(),
    state: z.enum([...GAP_STATES, 'unrecovered']).optional(),
    reconciliation: id.optional(),
    order: id.optional(),
    ...idPaging,
  }),
  answer: listOf(gapShape),
} satisfies EndpointSpec;

const PROOFS = {
  method: 'GET',
  path: '/api/v1/proofs',
  summary: 'How far each shop has been compared with Shopify',
  role: 'viewer',
  answer: listOf(proofShape),
} satisfies EndpointSpec;

@Controller()
export class ReconciliationsController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(REQUEST)
  async request(@Input() { body }: InputOf<typeof REQUEST>, @By() caller: Caller): Promise<{ id: string }> {
    const { shop } = body;
    const to = body.to ?? new Date(this.deps.clock.nowMs() - YOUNG_MS);
    const from = body.from ?? new Date(to.getTime() - DAY_MS);
    const requested = await this.deps.reconciliation.request(shop, from, to, caller.name);
    if (requested === null) throw new Problem(404, `shop ${shop} is not known`);
    await recordAudit(this.deps.database, this.deps.clock, {
      actor: caller.name,
      action: 'reconciliation.request',
      subject: shop,
      detail: { from: from.toISOString(), to: to.toISOString(), reconciliation: requested },
    });
    return { id: requested };
  }

  @Endpoint(LIST)
  list(@Input() { query }: InputOf<typeof LIST>): Promise<Page<ReconciliationView>> {
    const { limit, cursor, shop, state } = query;
    return this.deps.reconciliation.reconciliations(given({ shop, state }), given({ limit, cursor }));
  }

  @Endpoint(GET)
  async reconciliation(@Input() { params }: InputOf<typeof GET>): Promise<ReconciliationView> {
    const found = await this.deps.reconciliation.reconciliation(params.id);
    if (!found) throw new Problem(404, `there is no reconciliation ${params.id}`);
    return found;
  }

  @Endpoint(GAPS)
  gaps(@Input() { query }: InputOf<typeof GAPS>): Promise<Page<GapView>> {
    const { limit, cursor, shop, state, reconciliation, order } = query;
    return this.deps.reconciliation.gaps(given({ shop, state, reconciliation, order }), given({ limit, cursor }));
  }

  @Endpoint(PROOFS)
  async proofs(): Promise<Page<ProofView>> {
    return { items: await this.deps.reconciliation.proofs(), nextCursor: null };
  }
}
