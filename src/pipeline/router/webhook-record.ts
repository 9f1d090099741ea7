import type { Queryable, Statement } from '../../kernel/database.js';
import { partitionStart } from '../../kernel/partitions.js';
import type { PayloadPointer } from '../contract.js';

/**
 * What became of a webhook:
 * - `planned`: it made or changed an obligation
 * - `duplicate`: another webhook had said the same, or something newer, before
 * - `no-effect`: a topic that no destination takes, by design
 * - `unknown-topic`: stored and counted; nothing here knows what it means
 * - `held`: waits for a shop, a token or a fetch
 * - `dead`: cannot be read; a dead letter holds it
 * - `repeat`: the same webhook id again; counted on the first one's row, never a row of its own
 */
export type WebhookOutcome = 'planned' | 'duplicate' | 'no-effect' | 'unknown-topic' | 'held' | 'dead' | 'repeat';

export interface WebhookRecord {
  /** '0' = no connected shop */
  shopId: string;
  webhookId: string;
  topic: string;
  receivedAtMs: number;
  outcome: WebhookOutcome;
  reason: string | null;
  subjectId: string | null;
  pointer: PayloadPointer;
}

/**
 * Writes the first arrival of each webhook id.
 *
 * Horizon: this week's and the two weeks' partitions before it, so at least 14 days; Shopify retries for 4 hours, and
 * what comes later still meets the ledger's own key. Two routers that meet one id in one week cannot both win: the
 * second's insert waits for the first's and then conflicts. In the seconds around Monday 00:00 they could, in two
 * partitions; the ledger's key then makes it one effect all the same.
 *
 * Locks: the new rows, in key order.
 */
const RECORD: Statement = {
  name: 'record-webhooks',
  text: `
with input as (
  select * from unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[],
                       $8::date[], $9::integer[], $10::bigint[], $11::integer[])
    with ordinality as i (shop_id, webhook_id, topic, received_at, outcome, reason, subject_id,
                          segment_day, stream_id, segment_seq, entry, ord)
)
insert into pipeline.webhook (
  shop_id, webhook_id, week, topic, received_at, outcome, reason, subject_id, segment_day, stream_id, segment_seq, entry)
select shop_id, webhook_id, $12::date, topic, received_at, outcome, reason, subject_id, segment_day, stream_id,
       segment_seq, entry
  from input i
 where not exists (
   select from pipeline.webhook w
    where w.shop_id = i.shop_id and w.webhook_id = i.webhook_id and w.week in ($12::date - 7, $12::date - 14))
 order by shop_id, webhook_id
on conflict (shop_id, webhook_id, week) do nothing
returning shop_id, webhook_id`,
};

const COUNT_REPEATS = `
update pipeline.webhook w set repeats = w.repeats + i.repeats, last_repeat_at = $5
  from unnest($1::bigint[], $2::text[], $3::integer[]) as i(shop_id, webhook_id, repeats)
 where w.shop_id = i.shop_id and w.webhook_id = i.webhook_id and w.week in ($4::date, $4::date - 7, $4::date - 14)`;

const MARK_DUPLICATES = `
update pipeline.webhook w set outcome = 'duplicate', reason = 'said before, or something newer is known'
  from unnest($1::bigint[], $2::text[]) as i(shop_id, webhook_id)
 where w.shop_id = i.shop_id and w.webhook_id = i.webhook_id and w.week = $3`;

/**
 * @param records may hold the same webhook id several times; the first counts
 * @returns indexes of the records that are here for the first time
 */
export async function recordWebhooks(
  client: Queryable,
  records: readonly WebhookRecord[],
  nowAt: Date,
): Promise<number[]> {
  const firstByKey = new Map<string, number>();
  const repeats = new Map<string, number>();
  records.forEach((record, index) => {
    const key = keyOf(record);
    if (firstByKey.has(key)) repeats.set(key, (repeats.get(key) ?? 0) + 1);
    else firstByKey.set(key, index);
  });
  const firsts = [...firstByKey.values()];
  const firstRecords = firsts.map((index) => records[index] as WebhookRecord);
  const week = weekOf(nowAt);
  const { rows } = await client.query<{ shop_id: string; webhook_id: string }>(RECORD, [
    firstRecords.map((r) => r.shopId),
    firstRecords.map((r) => r.webhookId),
    firstRecords.map((r) => r.topic),
    firstRecords.map((r) => new Date(r.receivedAtMs).toISOString()),
    firstRecords.map((r) => r.outcome),
    firstRecords.map((r) => r.reason),
    firstRecords.map((r) => r.subjectId),
    firstRecords.map((r) => r.pointer.segmentDay),
    firstRecords.map((r) => r.pointer.streamId),
    firstRecords.map((r) => r.pointer.segmentSeq),
    firstRecords.map((r) => r.pointer.entry),
    week,
  ]);
  const fresh = new Set(rows.map((row) => `${row.shop_id}\u0000${row.webhook_id}`));
  for (const [key, index] of firstByKey) {
    if (!fresh.has(keyOf(records[index] as WebhookRecord))) repeats.set(key, (repeats.get(key) ?? 0) + 1);
  }
  if (repeats.size > 0) await countRepeats(client, records, firstByKey, repeats, week, nowAt);
  return firsts.filter((index) => fresh.has(keyOf(records[index] as WebhookRecord)));
}

async function countRepeats(
  client: Queryable,
  records: readonly WebhookRecord[],
  firstByKey: ReadonlyMap<string, number>,
  repeats: ReadonlyMap<string, number>,
  week: string,
  nowAt: Date,
): Promise<void> {
  const keys = [...repeats.keys()].sort();
  const repeated = keys.map((key) => records[firstByKey.get(key) as number] as WebhookRecord);
  await client.query(COUNT_REPEATS, [
    repeated.map((r) => r.shopId),
    repeated.map((r) => r.webhookId),
    keys.map((key) => repeats.get(key)),
    week,
    nowAt,
  ]);
}

/** Webhooks that turned out to say nothing new. Just written by the same transaction, so the week is this one. */
export async function markDuplicates(client: Queryable, records: readonly WebhookRecord[], nowAt: Date): Promise<void> {
  if (records.length === 0) return;
  await client.query(MARK_DUPLICATES, [records.map((r) => r.shopId), records.map((r) => r.webhookId), weekOf(nowAt)]);
}

function keyOf(record: Pick<WebhookRecord, 'shopId' | 'webhookId'>): string {
  return `${record.shopId}\u0000${record.webhookId}`;
}

/** The Monday (UTC) of an instant's week: the partition. */
export function weekOf(at: Date): string {
  return partitionStart('week', at.getTime());
}
