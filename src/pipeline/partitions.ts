import type { PartitionedTable } from '../kernel/partitions.js';

/** True while an open stream's cursor has not passed every segment of the day `$1`. */
const UNREAD_SEGMENTS = `
  exists (select 1 from pipeline.inbox_segment segment
            join pipeline.inbox_stream stream on stream.id = segment.stream_id
           where segment.day = $1::date and stream.closed_at is null
             and segment.day >= stream.cursor_day and segment.seq > stream.cursor_seq)`;

/** @param payloadDays how long raw webhooks are kept: 14 by default, well inside the 30 days the law gives for erasure */
export function pipelinePartitions(payloadDays = 14): PartitionedTable[] {
  return [
    { table: 'pipeline.inbox_segment', every: 'day', keepDays: payloadDays, neededSql: UNREAD_SEGMENTS },
    // Shopify repeats a webhook for 4 hours and EventBridge for a day; three weeks also cover a long replay.
    { table: 'pipeline.webhook', every: 'week', keepDays: 21 },
    { table: 'pipeline.ledger', every: 'day', keepDays: null },
    { table: 'pipeline.ledger_fact', every: 'day', keepDays: null },
  ];
}
