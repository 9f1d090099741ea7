import type { Database } from '../kernel/database.js';
import {
  kindOf,
  KIND_CODES,
  stateOf,
  type DestinationKind,
  type FactView,
  type ObligationView,
  type OrderView,
  type WebhookView,
} from './contract.js';
import { DEAD_LETTER_COLUMNS, deadLetterOf, type DeadLetterRow } from './dead-letter-row.js';

const ORDER_KINDS = [
  KIND_CODES.purchase,
  KIND_CODES['order-updated'],
  KIND_CODES['order-cancelled'],
  KIND_CODES.refund,
];

const SHOP_ID = `select id::text from pipeline.shop where domain = $1`;

/** Index: the primary key's prefix for the order itself, ledger_by_order for its refunds. */
const OBLIGATIONS = `
with keys as (
  select shop_id, subject_id, kind, destination_id, day from pipeline.ledger where shop_id = $1 and subject_id = $2
  union
  select shop_id, subject_id, kind, destination_id, day from pipeline.ledger
   where shop_id = $1 and order_id = $2 and order_id <> subject_id
)
select l.kind, l.subject_id, l.destination_id, t.name as destination, t.kind as destination_kind, l.state, l.reason,
       l.version::text as version, l.attempts, l.occurred_at, l.logged_at, l.queued_at, l.accepted_at, l.confirmed_at,
       case when t.enabled then d.due_at end as next_try_at -- a disabled destination parks: nothing is tried
  from keys
  join pipeline.ledger l using (shop_id, subject_id, kind, destination_id, day)
  join pipeline.destination t on t.id = l.destination_id
  left join pipeline.delivery d
    on d.shop_id = l.shop_id and d.destination_id = l.destination_id and d.kind = l.kind and d.subject_id = l.subject_id
 where l.kind = any ($3::smallint[])
 order by l.occurred_at, l.kind, t.name`;

/** Index: ledger_fact_by_subject. */
const FACTS = `
select subject_id, kind, destination_id, at, version::text as version, state, reason, detail, attempt, duration_ms,
       webhook_id
  from pipeline.ledger_fact
 where shop_id = $1 and subject_id = any ($2) and kind = any ($3::smallint[])
 order by at, attempt nulls first
 limit 5000`;

/** Index: the primary key's prefix. */
const WEBHOOKS = `
select webhook_id as "webhookId", topic, received_at as "receivedAt", outcome, reason, repeats
  from pipeline.webhook where shop_id = $1 and webhook_id = any ($2) order by received_at`;

const DEAD_LETTERS_OF_ORDER = `${DEAD_LETTER_COLUMNS}
 where d.shop_id = $1 and (d.order_id = $2 or d.subject_id = $2) order by d.id limit 200`;

interface ObligationRow extends Record<string, unknown> {
  kind: number;
  subject_id: string;
  destination_id: number;
  destination: string;
  destination_kind: DestinationKind;
  state: number;
  reason: string | null;
  version: string;
  attempts: number;
  occurred_at: Date;
  logged_at: Date;
  queued_at: Date | null;
  accepted_at: Date | null;
  confirmed_at: Date | null;
  next_try_at: Date | null;
}

interface FactRow extends Record<string, unknown> {
  subject_id: string;
  kind: number;
  destination_id: number;
  at: Date;
  version: string;
  state: number;
  reason: string | null;
  detail: string | null;
  attempt: number | null;
  duration_ms: number | null;
  webhook_id: string | null;
}

/** Everything known of one order and its refunds. @returns `null` when nothing is */
export async function readOrder(database: Database, shopDomain: string, orderId: string): Promise<OrderView | null> {
  const shopId = (await database.rows<{ id: string }>(SHOP_ID, [shopDomain]))[0]?.id;
  if (shopId === undefined) return null;
  const rows = await database.rows<ObligationRow>(OBLIGATIONS, [shopId, orderId, ORDER_KINDS]);
  const letters = await database.rows<DeadLetterRow>(DEAD_LETTERS_OF_ORDER, [shopId, orderId]);
  if (rows.length === 0 && letters.length === 0) return null;
  const subjects = [...new Set(rows.map((row) => row.subject_id))];
  const facts = await database.rows<FactRow>(FACTS, [shopId, subjects, ORDER_KINDS]);
  const webhookIds = [...facts.map((fact) => fact.webhook_id), ...letters.map((letter) => letter.webhook_id)];
  const webhooks = await database.rows<WebhookView & Record<string, unknown>>(WEBHOOKS, [
    shopId,
    [...new Set(webhookIds.filter((id) => id !== null))],
  ]);
  return {
    shop: shopDomain,
    orderId,
    obligations: rows.map((row) => obligationOf(row, facts)),
    webhooks,
    deadLetters: letters.map(deadLetterOf),
  };
}

function obligationOf(row: ObligationRow, facts: readonly FactRow[]): ObligationView {
  return {
    kind: kindOf(row.kind),
    subjectId: row.subject_id,
    destination: row.destination,
    destinationKind: row.destination_kind,
    state: stateOf(row.state),
    reason: row.reason,
    version: row.version,
    attempts: row.attempts,
    occurredAt: row.occurred_at,
    loggedAt: row.logged_at,
    queuedAt: row.queued_at,
    acceptedAt: row.accepted_at,
    confirmedAt: row.confirmed_at,
    nextTryAt: row.next_try_at,
    facts: facts
      .filter(
        (fact) =>
          fact.subject_id === row.subject_id && fact.kind === row.kind && fact.destination_id === row.destination_id,
      )
      .map(factOf),
  };
}

function factOf(fact: FactRow): FactView {
  return {
    at: fact.at,
    state: stateOf(fact.state),
    version: fact.version,
    reason: fact.reason,
    detail: fact.detail,
    attempt: fact.attempt,
    durationMs: fact.duration_ms,
    webhookId: fact.webhook_id,
  };
}
