import type { PartitionedTable } from '../kernel/partitions.js';

/** True while an open stream's cursor has not passed every segment of the day `$1`. */
const UNREAD_SEGMENTS = `
  exists (select 1 from pipeline.inbox_segment segment
            join pipeline.inbox_stream stream on stream.id = segment.stream_id
           where segment.day = $1::date and stream.closed_at is null
             and segment.day >= stream.cursor_day and segment.seq > stream.cursor_seq)`;

/** True while a delivery still needs a payload of the day `$1`, and the day is not past `lastDay`. */
function undelivered(lastDay: string): string {
  return `($1::date > '${lastDay}'::date and exists (select 1 from pipeline.delivery where segment_day = $1::date))`;
}

const DAY_MS = 86_400_000;

/**
 * Shopify's compliance webhooks leave 30 days to erase personal data; nothing keeps a payload longer than this.
 * Source: shopify.dev/docs/apps/build/compliance/privacy-law-compliance (read 2026-11)
 */
export const PAYLOAD_DAYS_MAX = 28;

/** How long raw webhooks are kept by default: well inside the 30 days the law gives for erasure. */
export const PAYLOAD_DAYS = 14;

/**
 * What is undelivered after `payloadDays` (parked, or behind a long outage) keeps its payload up to PAYLOAD_DAYS_MAX;
 * past that the delivery is buried as `payload-expired`.
 *
 * @param nowMs milliseconds since the epoch; only dropping asks for it
 */
export function pipelinePartitions(nowMs = 0, payloadDays = PAYLOAD_DAYS): PartitionedTable[] {
  const lastDay = new Date(nowMs - PAYLOAD_DAYS_MAX * DAY_MS).toISOString().slice(0, 10);
  const neededSql = `${UNREAD_SEGMENTS} or ${undelivered(lastDay)}`;
  return [
    { table: 'pipeline.inbox_segment', every: 'day', keepDays: payloadDays, neededSql },
    // Shopify repeats a webhook for 4 hours and EventBridge for a day; three weeks also cover a long replay.
    { table: 'pipeline.webhook', every: 'week', keepDays: 21 },
    { table: 'pipeline.ledger', every: 'day', keepDays: null },
    { table: 'pipeline.ledger_fact', every: 'day', keepDays: null },
  ];
}
