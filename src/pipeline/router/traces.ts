import pg from 'pg';
import type { Queryable } from '../../kernel/database.js';
import type { ListedFact, Trace } from '../contract.js';
import { weekOf } from './webhook-record.js';

/**
 * What webhooks said of subjects, whatever came of it. The shop's rows of the weeks since the oldest subject are walked,
 * because an index by subject would cost every webhook and serve the few that came to nothing. Index: the primary key's
 * prefix. Webhook ids are kept for three weeks; of what is older nothing is told.
 */
const TRACES = `
select w.subject_id, w.received_at as at,
       case when w.outcome = 'dead' then 'dead-letter' when h.id is not null then 'held' else 'webhook' end as place,
       coalesce(h.reason, w.reason, w.outcome) as reason
  from pipeline.webhook w
  join pipeline.shop s on s.id = w.shop_id
  left join pipeline.held h
    on w.outcome = 'held' and h.shop_domain = s.domain and h.webhook_id = w.webhook_id and h.sandbox = s.sandbox
   and h.released_at is null
 where w.shop_id = $1 and w.week >= $2 and w.subject_id = any ($3::text[])
   and (w.topic like 'orders/%' or w.topic like 'refunds/%')
union all
select d.subject_id, d.buried_at, 'dead-letter', d.reason
  from pipeline.dead_letter d
 where d.shop_id = $1 and d.subject_id = any ($3::text[]) and d.replayed_at is null
 order by at`;

/** A day of routing may lie in the week before the subject's day only where clocks disagree; a day of grace is plenty. */
const GRACE_MS = 86_400_000;

/** What is known of subjects beside the ledger, oldest first within a shop. */
export async function readTraces(database: Queryable, facts: readonly ListedFact[]): Promise<Trace[]> {
  const traces: Trace[] = [];
  for (const [shopId, ofShop] of Map.groupBy(facts, (fact) => fact.shopId)) {
    const oldestMs = Math.min(...ofShop.map(({ ledgerDay }) => Date.parse(ledgerDay)));
    const { rows } = await database.query<{
      subject_id: string;
      at: Date;
      place: Trace['place'];
      reason: string | null;
    }>(TRACES, [shopId, weekOf(new Date(oldestMs - GRACE_MS)), ofShop.map(({ subjectId }) => subjectId)]);
    traces.push(
      ...rows.map(({ subject_id: subjectId, place, reason, at }): Trace => ({ shopId, subjectId, place, reason, at })),
    );
  }
  return traces;
}

/**
 * When a shop's last webhook of a topic came, within the three weeks that ids are kept. `null` = none did.
 *
 * The topic is a literal, so that `app/uninstalled` finds its partial index (webhook_uninstalled).
 */
export async function readLastWebhookAt(database: Queryable, shopId: string, topic: string): Promise<Date | null> {
  const { rows } = await database.query<{ at: Date | null }>(
    `select max(received_at) as at from pipeline.webhook where shop_id = $1 and topic = ${pg.escapeLiteral(topic)}`,
    [shopId],
  );
  return rows[0]?.at ?? null;
}
