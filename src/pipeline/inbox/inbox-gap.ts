import type { Queryable } from '../../kernel/database.js';
import type { InboxGapView } from '../contract.js';

/** Numbers of a stream that nobody can read any more: below a segment that is there, and in no row. */
export interface InboxGap {
  streamId: number;
  firstSeq: bigint;
  lastSeq: bigint;
  /** When the segment behind it was appended. */
  beforeAt: Date;
}

/**
 * Writes gaps down. They had been appended after the segment before them, or, where that is gone too, after their
 * stream was opened. Index: the segments' primary key, a probe a day.
 */
const RECORD = `
insert into pipeline.inbox_gap (stream_id, first_seq, last_seq, noticed_at, after_at, before_at)
select gap.stream_id, gap.first_seq, gap.last_seq, $5,
       coalesce((select max(segment.appended_at) from pipeline.inbox_segment segment
                  where segment.stream_id = gap.stream_id and segment.seq < gap.first_seq), stream.opened_at),
       gap.before_at
  from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::timestamptz[])
         as gap (stream_id, first_seq, last_seq, before_at)
  join pipeline.inbox_stream stream on stream.id = gap.stream_id`;

/** @param client in the transaction that moves the cursor past them, so that each is written once */
export async function recordGaps(client: Queryable, gaps: readonly InboxGap[], noticedAt: Date): Promise<void> {
  if (gaps.length === 0) return;
  await client.query(RECORD, [
    gaps.map(({ streamId }) => streamId),
    gaps.map(({ firstSeq }) => String(firstSeq)),
    gaps.map(({ lastSeq }) => String(lastSeq)),
    gaps.map(({ beforeAt }) => beforeAt),
    noticedAt,
  ]);
}

/** Index: inbox_gap_by_notice. */
const GAPS = `
select stream_id as "streamId", first_seq::text as "firstSeq", last_seq::text as "lastSeq",
       (last_seq - first_seq + 1)::integer as segments, noticed_at as "noticedAt", after_at as "afterAt",
       before_at as "beforeAt"
  from pipeline.inbox_gap where noticed_at >= $1 order by noticed_at, stream_id, first_seq limit 1000`;

export async function readInboxGaps(database: Queryable, sinceAt: Date): Promise<InboxGapView[]> {
  return (await database.query<InboxGapView & Record<string, unknown>>(GAPS, [sinceAt])).rows;
}
