import { stopwatch } from '../../kernel/clock.js';
import type { Clock } from '../../kernel/clock.js';
import type { Queryable } from '../../kernel/database.js';
import { messageOf } from '../../kernel/errors.js';
import type { SecretBox } from '../../kernel/secrets.js';
import type { InboxEntry, PayloadPointer } from '../contract.js';
import { recordGaps, type InboxGap } from './inbox-gap.js';
import { SegmentCache } from './segment-cache.js';
import { openSegment, segmentPurpose, type OpenSegment } from './segment.js';
import { STREAM_LOCK_CLASS } from './stream.js';

/** Streams with something unread, the longest unread first. Locks their rows; what another reader holds is left out. */
const PICK_STREAMS = `
  select stream.id, stream.cursor_day::text as cursor_day, stream.cursor_seq::text as cursor_seq
    from pipeline.inbox_stream stream
   cross join lateral (
     select segment.appended_at from pipeline.inbox_segment segment
      where segment.stream_id = stream.id and segment.day >= stream.cursor_day and segment.seq > stream.cursor_seq
      order by segment.day, segment.seq limit 1
   ) unread
   where stream.closed_at is null and stream.id <> all ($2::integer[])
   order by unread.appended_at
   limit $1
     for update of stream skip locked`;

// base64 costs half of what pg's own hex form costs to decode (measured, 3 µs a webhook); pg has no binary results.
const READ_SEGMENTS = `
  select segment.stream_id, segment.day::text as day, segment.seq::text as seq, segment.entries, segment.appended_at,
         encode(segment.body, 'base64') as body
    from unnest($1::integer[], $2::date[], $3::bigint[]) as cursor (stream_id, day, seq)
   cross join lateral (
     select * from (
       select stream_id, day, seq, entries, body, appended_at, raw_bytes, sum(raw_bytes) over (order by day, seq) as bytes_so_far
         from pipeline.inbox_segment
        where stream_id = cursor.stream_id and day >= cursor.day and seq > cursor.seq
        order by day, seq limit $4
     ) next
      where next.bytes_so_far - next.raw_bytes < $5
   ) segment
   order by segment.stream_id, segment.day, segment.seq`;

const MOVE_CURSORS = `
  update pipeline.inbox_stream stream set cursor_day = read.day, cursor_seq = read.seq
    from unnest($1::integer[], $2::date[], $3::bigint[]) as read (stream_id, day, seq)
   where stream.id = read.stream_id`;

const UNREAD = `
  exists (select 1 from pipeline.inbox_segment segment
           where segment.stream_id = stream.id and segment.day >= stream.cursor_day and segment.seq > stream.cursor_seq)`;

const PICK_READ_STREAMS = `
  select id from pipeline.inbox_stream stream
   where closed_at is null and not ${UNREAD} order by id for update skip locked`;

const LOCK_DEAD_WRITERS = `
  select id from unnest($2::integer[]) as id where pg_try_advisory_xact_lock($1, id)`;

const CLOSE_STREAMS = `
  update pipeline.inbox_stream stream set closed_at = $2 where id = any ($1) and not ${UNREAD}`;

const FORGET_STREAMS = `delete from pipeline.inbox_stream where closed_at < $1`;

const BACKLOG = `
  select coalesce(sum(segment.entries), 0)::text as entries, min(segment.appended_at) as oldest
    from pipeline.inbox_stream stream
    join pipeline.inbox_segment segment
      on segment.stream_id = stream.id and segment.day >= stream.cursor_day and segment.seq > stream.cursor_seq
   where stream.closed_at is null`;

const LOAD_SEGMENTS = `
  select segment.stream_id, segment.day::text as day, segment.seq::text as seq, segment.entries,
         encode(segment.body, 'base64') as body
    from unnest($1::date[], $2::integer[], $3::bigint[]) as wanted (day, stream_id, seq)
    join pipeline.inbox_segment segment using (day, stream_id, seq)`;

interface SegmentRow {
  stream_id: number;
  day: string;
  seq: string;
  entries: number;
  body: string;
}

type UnreadRow = SegmentRow & { appended_at: Date };

export interface ReadEntry {
  pointer: PayloadPointer;
  entry: InboxEntry;
}

export interface InboxBatch {
  /** In the order of each stream; bodies are slices of their segment. */
  entries: readonly ReadEntry[];
  segments: number;
  /** Moves the cursors past `entries` and past what is gone, in the transaction that made them safe. */
  commitCursor(client: Queryable): Promise<void>;
}

/** A stored segment that cannot be opened. Its stream waits; the message says which it is and what to do. */
export class SegmentUnreadable extends Error {
  constructor(
    readonly streamId: number,
    readonly seq: string,
    readonly day: string,
    cause: unknown,
  ) {
    super(
      `inbox segment ${seq} of stream ${streamId} (${day}) cannot be opened, and the webhooks behind it wait: ` +
        messageOf(cause),
      { cause },
    );
    this.name = 'SegmentUnreadable';
  }
}

export interface InboxReaderOptions {
  secrets: SecretBox;
  clock: Clock;
  /** Opened segments kept for those who read the same webhooks a moment later, bytes. */
  cacheBytesMax?: number;
}

const RETRY_UNREADABLE_AFTER_MS = 10_000; // a missing key comes with a restart; until then do not read it all day
const CLOSE_EVERY_MS = 5_000;
const BATCH_BYTES = 16 * 1024 * 1024;
const SEGMENTS_AT_ONCE = 16; // of up to about 1 MB each: bounds what one load holds in memory

/**
 * Reads the inbox behind its cursors and, later, single payloads by their pointer.
 *
 * Invariant: a cursor moves along one stream only, in commit order, so it never passes an append that has not
 * committed yet. The caller's transaction must be READ COMMITTED (PostgreSQL's default): each statement here must see
 * what committed before it.
 */
export class InboxReader {
  private readonly cache: SegmentCache;
  private readonly elapsedMs = stopwatch();
  /** Segments that are being loaded: lanes that work side by side want the same ones at the same time. */
  private readonly loading = new Map<string, Promise<OpenSegment | null>>();
  private readonly unreadableStreams = new Map<number, { error: SegmentUnreadable; retryAtMs: number }>();
  private nextCloseMs = 0;

  constructor(private readonly options: InboxReaderOptions) {
    this.cache = new SegmentCache(options.cacheBytesMax ?? 32 * 1024 * 1024);
  }

  /**
   * The next webhooks, in the caller's transaction. Streams read here are locked until it ends.
   *
   * @param want `segments`: about how many; `streams`: at most so many, so that several readers share the work;
   *   `bytes`: about so many of bodies, 16 MiB by default. Many small segments at once cost a third of few
   * @returns `entries` is empty when there is nothing to read
   * @throws SegmentUnreadable when nothing is left to read but what cannot be opened
   */
  async readBatch(
    client: Queryable,
    want: { segments: number; streams?: number; bytes?: number },
  ): Promise<InboxBatch> {
    const waiting = this.stillUnreadable();
    const streams = await client.query<{ id: number; cursor_day: string; cursor_seq: string }>(PICK_STREAMS, [
      want.streams ?? 4,
      [...waiting.keys()],
    ]);
    if (streams.rows.length === 0) {
      const [unreadable] = waiting.values();
      if (unreadable) throw unreadable.error;
      await this.closeNowAndThen(client);
      return this.batch([], [], []);
    }
    const share = (amount: number): number => Math.max(1, Math.ceil(amount / streams.rows.length));
    const { rows } = await client.query<UnreadRow>(READ_SEGMENTS, [
      streams.rows.map((stream) => stream.id),
      streams.rows.map((stream) => stream.cursor_day),
      streams.rows.map((stream) => stream.cursor_seq),
      share(want.segments),
      share(want.bytes ?? BATCH_BYTES),
    ]);
    const cursors = new Map(streams.rows.map((stream) => [stream.id, stream.cursor_seq]));
    return this.open(rows, cursors);
  }

  /** Streams that stand still before a segment that cannot be opened, for health. */
  unreadable(): SegmentUnreadable[] {
    return [...this.unreadableStreams.values()].map(({ error }) => error);
  }

  /**
   * One payload by its pointer; see `loadPayloads`.
   *
   * @returns `null` when its partition has been dropped
   */
  async loadPayload(database: Queryable, pointer: PayloadPointer): Promise<InboxEntry | null> {
    return (await this.loadPayloads(database, [pointer]))[0] ?? null;
  }

  /**
   * Payloads in the order of the pointers, each a copy that keeps no segment alive: the webhooks of one lane may lie
   * one in each segment.
   *
   * @returns `null` in the place of those whose partition has been dropped
   * @throws SegmentUnreadable
   */
  async loadPayloads(database: Queryable, pointers: readonly PayloadPointer[]): Promise<(InboxEntry | null)[]> {
    const loaded = new Array<InboxEntry | null>(pointers.length).fill(null);
    const missing = new Map<string, { segment: PayloadPointer; indexes: number[] }>();
    for (const [index, pointer] of pointers.entries()) {
      const key = keyOf(pointer.streamId, pointer.segmentSeq);
      const segment = this.cache.get(key);
      const wanted = missing.get(key);
      if (segment) loaded[index] = copyOf(segment.entry(pointer.entry));
      else if (wanted) wanted.indexes.push(index);
      else missing.set(key, { segment: pointer, indexes: [index] });
    }
    const groups = [...missing.values()];
    for (let at = 0; at < groups.length; at += SEGMENTS_AT_ONCE) {
      const some = groups.slice(at, at + SEGMENTS_AT_ONCE);
      const segments = await this.segments(
        database,
        some.map(({ segment }) => segment),
      );
      for (const [place, { indexes }] of some.entries()) {
        const segment = segments[place];
        if (!segment) continue;
        for (const index of indexes) loaded[index] = copyOf(segment.entry(pointers[index]?.entry ?? 0));
      }
    }
    return loaded;
  }

  /** What waits to be read: entries, and when the eldest was appended. */
  async backlog(database: Queryable): Promise<{ entries: number; oldestAppendedAt: Date | null }> {
    const { rows } = await database.query<{ entries: string; oldest: Date | null }>(BACKLOG);
    return { entries: Number(rows[0]?.entries ?? 0), oldestAppendedAt: rows[0]?.oldest ?? null };
  }

  /**
   * Closes streams that are read to their end and whose writer is gone.
   *
   * Invariant: nothing can commit in a stream after it is closed. First the writer's lock: who gets it knows that the
   * writer's server process has ended, so all it ever committed is visible to the next statement. Then, in that next
   * statement, a second look for what was committed last.
   */
  async closeFinished(client: Queryable): Promise<number> {
    const read = await client.query<{ id: number }>(PICK_READ_STREAMS);
    if (read.rows.length === 0) return 0;
    const dead = await client.query<{ id: number }>(LOCK_DEAD_WRITERS, [
      STREAM_LOCK_CLASS,
      read.rows.map((stream) => stream.id),
    ]);
    if (dead.rows.length === 0) return 0;
    const closed = await client.query(CLOSE_STREAMS, [dead.rows.map((stream) => stream.id), this.options.clock.now()]);
    return closed.rowCount ?? 0;
  }

  /** Forgets streams that were closed before the retention of their segments. @returns how many */
  async forgetClosed(database: Queryable, closedBefore: Date): Promise<number> {
    const forgotten = await database.query(FORGET_STREAMS, [closedBefore]);
    return forgotten.rowCount ?? 0;
  }

  private async closeNowAndThen(client: Queryable): Promise<void> {
    const nowMs = this.elapsedMs();
    if (nowMs < this.nextCloseMs) return;
    this.nextCloseMs = nowMs + CLOSE_EVERY_MS;
    await this.closeFinished(client);
  }

  private stillUnreadable(): Map<number, { error: SegmentUnreadable; retryAtMs: number }> {
    const nowMs = this.elapsedMs();
    return new Map([...this.unreadableStreams].filter(([, { retryAtMs }]) => retryAtMs > nowMs));
  }

  /**
   * Opens what was read. Invariant: a stream's numbers are committed in their order and none is left out, so a number
   * that is missing below one that is there can never come: its segment was deleted, and waiting for it would hold up
   * everything behind it for ever. It is written down instead, and passed.
   */
  private open(rows: readonly UnreadRow[], cursors: ReadonlyMap<number, string>): InboxBatch {
    const expected = new Map([...cursors].map(([id, seq]) => [id, BigInt(seq) + 1n]));
    const entries: ReadEntry[] = [];
    const read: SegmentRow[] = [];
    const gaps: InboxGap[] = [];
    const blocked = new Map<number, SegmentUnreadable>();
    for (const row of rows) {
      if (blocked.has(row.stream_id)) continue; // what lies behind an unreadable segment waits with it
      const next = expected.get(row.stream_id) ?? 0n;
      const seq = BigInt(row.seq);
      try {
        const segment = this.openRow(row);
        if (next < seq) {
          gaps.push({ streamId: row.stream_id, firstSeq: next, lastSeq: seq - 1n, beforeAt: row.appended_at });
        }
        expected.set(row.stream_id, seq + 1n);
        const pointer = { segmentDay: row.day, streamId: row.stream_id, segmentSeq: row.seq };
        for (let entry = 0; entry < segment.count; entry++) {
          entries.push({ pointer: { ...pointer, entry }, entry: segment.entry(entry) });
        }
        read.push(row);
        this.unreadableStreams.delete(row.stream_id);
      } catch (error) {
        blocked.set(row.stream_id, new SegmentUnreadable(row.stream_id, row.seq, row.day, error));
      }
    }
    for (const [streamId, error] of blocked) {
      this.unreadableStreams.set(streamId, { error, retryAtMs: this.elapsedMs() + RETRY_UNREADABLE_AFTER_MS });
    }
    const [first] = blocked.values();
    if (entries.length === 0 && first) throw first;
    return this.batch(entries, read, gaps);
  }

  private openRow(row: SegmentRow): OpenSegment {
    const purpose = segmentPurpose(row.stream_id, row.seq);
    const segment = openSegment(Buffer.from(row.body, 'base64'), this.options.secrets, purpose);
    this.cache.set(keyOf(row.stream_id, row.seq), segment);
    return segment;
  }

  private batch(entries: readonly ReadEntry[], read: readonly SegmentRow[], gaps: readonly InboxGap[]): InboxBatch {
    const last = new Map(read.map((row) => [row.stream_id, row])); // rows come in order: the last one wins
    return {
      entries,
      segments: read.length,
      commitCursor: async (client) => {
        if (last.size === 0) return;
        await recordGaps(client, gaps, this.options.clock.now());
        const moved = [...last.values()];
        await client.query(MOVE_CURSORS, [
          moved.map((row) => row.stream_id),
          moved.map((row) => row.day),
          moved.map((row) => row.seq),
        ]);
      },
    };
  }

  /** Opened segments in the order asked. What somebody is loading already is waited for; the rest is one statement. */
  private segments(database: Queryable, places: readonly SegmentPlace[]): Promise<(OpenSegment | null)[]> {
    const fresh = places.filter((place) => !this.loading.has(keyOf(place.streamId, place.segmentSeq)));
    if (fresh.length > 0) {
      const rows = this.loadRows(database, fresh);
      for (const { streamId, segmentSeq } of fresh) {
        const key = keyOf(streamId, segmentSeq);
        const opened = rows.then((found) => this.openLoaded(found.get(key))).finally(() => this.loading.delete(key));
        this.loading.set(key, opened);
      }
    }
    return Promise.all(
      places.map(({ streamId, segmentSeq }) => this.loading.get(keyOf(streamId, segmentSeq)) ?? Promise.resolve(null)),
    );
  }

  private async loadRows(database: Queryable, places: readonly SegmentPlace[]): Promise<Map<string, SegmentRow>> {
    const { rows } = await database.query<SegmentRow>(LOAD_SEGMENTS, [
      places.map(({ segmentDay }) => segmentDay),
      places.map(({ streamId }) => streamId),
      places.map(({ segmentSeq }) => segmentSeq),
    ]);
    return new Map(rows.map((row) => [keyOf(row.stream_id, row.seq), row]));
  }

  private openLoaded(row: SegmentRow | undefined): OpenSegment | null {
    if (!row) return null;
    try {
      return this.openRow(row);
    } catch (error) {
      throw new SegmentUnreadable(row.stream_id, row.seq, row.day, error);
    }
  }
}

type SegmentPlace = Omit<PayloadPointer, 'entry'>;

function keyOf(streamId: number, seq: string): string {
  return `${streamId}:${seq}`;
}

function copyOf(entry: InboxEntry): InboxEntry {
  entry.body = Buffer.from(entry.body);
  return entry;
}
