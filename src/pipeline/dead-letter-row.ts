import { kindOf, type DeadLetterView } from './contract.js';

/** The columns of a dead letter without its payload; a condition follows. */
export const DEAD_LETTER_COLUMNS = `
select d.id::text as id, d.shop_domain, t.name as destination, d.kind, d.subject_id, d.order_id, d.topic,
       d.webhook_id, d.lane, d.reason, d.detail, d.attempts, d.received_at, d.buried_at, d.replayed_at
  from pipeline.dead_letter d left join pipeline.destination t on t.id = d.destination_id`;

export interface DeadLetterRow extends Record<string, unknown> {
  id: string;
  shop_domain: string;
  destination: string | null;
  kind: number | null;
  subject_id: string | null;
  order_id: string | null;
  topic: string;
  webhook_id: string;
  lane: 'ours' | 'theirs';
  reason: string;
  detail: string | null;
  attempts: number;
  received_at: Date;
  buried_at: Date;
  replayed_at: Date | null;
}

export function deadLetterOf(row: DeadLetterRow): DeadLetterView {
  return {
    id: row.id,
    shop: row.shop_domain,
    destination: row.destination,
    kind: row.kind === null ? null : kindOf(row.kind),
    subjectId: row.subject_id,
    orderId: row.order_id,
    topic: row.topic,
    webhookId: row.webhook_id,
    lane: row.lane,
    reason: row.reason,
    detail: row.detail,
    attempts: row.attempts,
    receivedAt: row.received_at,
    buriedAt: row.buried_at,
    replayedAt: row.replayed_at,
  };
}
