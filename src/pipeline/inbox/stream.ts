import { Socket } from 'node:net';
import pg from 'pg';
import type { Clock } from '../../kernel/clock.js';
import { clientConfig, readDurability, refuseWeakDurability } from '../../kernel/database.js';
import type { SecretBox } from '../../kernel/secrets.js';
import { segmentPurpose, type SegmentDraft } from './segment.js';

/**
 * First key of the advisory lock that a stream's connection holds as long as its server process lives; the second is
 * the stream's id. Readers that get this lock know that nothing more can commit in the stream.
 */
export const STREAM_LOCK_CLASS = 0x504c0001;

// Intake answers within 4 s. A segment commits in milliseconds; a second and a half is a database in trouble, and the
// rest of the time belongs to the journal. The client's deadline is for a server that does not even say no.
const STATEMENT_TIMEOUT_MS = 1_500;
const CLIENT_TIMEOUT_MS = 1_800;
const CONNECT_TIMEOUT_MS = 2_000;

// One statement, so that the row is never visible without its lock: a reader would take it for an orphan and close it.
const OPEN_STREAM = `
  with opened as (
    insert into pipeline.inbox_stream (writer, opened_at, cursor_day) values ($1, $2, $3) returning id
  )
  select id, pg_advisory_lock($4, id) from opened`;

const APPEND_SEGMENT = `
  insert into pipeline.inbox_segment (day, stream_id, seq, appended_at, entries, raw_bytes, body)
  values ($1, $2, $3, $4, $5, $6, $7)`;

// Invariant: a journal's bytes are appended once. The row is the guard: whoever finds it elsewhere than expected (a
// second drainer, or our own attempt whose answer was lost and which did commit) appends nothing.
const APPEND_DRAINED_SEGMENT = `
  with advanced as (
    insert into pipeline.journal_drain as drain (journal_id, drained_bytes, drained_at) values ($8, $10, $4)
    on conflict (journal_id) do update set drained_bytes = excluded.drained_bytes, drained_at = excluded.drained_at
      where drain.drained_bytes = $9
    returning 1
  )
  insert into pipeline.inbox_segment (day, stream_id, seq, appended_at, entries, raw_bytes, body)
  select $1::date, $2::integer, $3::bigint, $4::timestamptz, $5::integer, $6::integer, $7::bytea from advanced`;

const NO_PARTITION = '23514'; // "no partition of relation found for row"

export interface InboxStreamOptions {
  databaseUrl: string;
  /** Names the process for people who look at the table. */
  writer: string;
  secrets: SecretBox;
  clock: Clock;
  /** Creates the partition of the day when it is not there. */
  ensurePartitions: () => Promise<unknown>;
  /** The connection is gone; called once, also when nothing was in flight. */
  onLost?: (error: Error) => void;
}

/** How far a journal has been drained, moved together with the segment its records became. */
export interface DrainStep {
  journalId: string;
  fromBytes: number;
  toBytes: number;
}

/**
 * One append-only stream of segments: a connection of its own that commits one segment after the other.
 *
 * Invariant: within a stream the order of (day, seq) is the order of commits. So after any failure whose outcome is
 * not known the stream is never used again - the next attempt opens another - and a cursor that moves along a stream
 * cannot pass an append that has yet to commit.
 */
export class InboxStream {
  private seq = 0;
  private lastDay: string;
  private busy = false;
  private lostError: Error | null = null;

  private constructor(
    readonly id: number,
    private readonly client: pg.Client,
    private readonly socket: Socket,
    openedDay: string,
    private readonly options: InboxStreamOptions,
  ) {
    this.lastDay = openedDay;
  }

  /** @throws whatever keeps the database from being reached or the stream from being opened */
  static async open(options: InboxStreamOptions): Promise<InboxStream> {
    // The socket is ours so that a server that hangs can be left at once: end() would wait for its goodbye.
    const socket = new Socket();
    const client = new pg.Client({
      ...clientConfig(options.databaseUrl, 'plumbline-inbox'),
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      query_timeout: CLIENT_TIMEOUT_MS,
      stream: () => socket,
    });
    let stream: InboxStream | null = null;
    let early: Error | null = null;
    const lose = (error: Error): void => {
      early ??= error;
      stream?.lose(error);
    };
    client.on('error', lose);
    client.on('end', () => lose(new Error('the database closed the connection')));
    try {
      await client.connect();
      // Here and not only at the start of the service: a commit on a weak database is no reason to answer 200.
      refuseWeakDurability(await readDurability(client));
      const now = options.clock.now();
      const day = dayOf(now);
      const { rows } = await client.query<{ id: number }>(OPEN_STREAM, [options.writer, now, day, STREAM_LOCK_CLASS]);
      const id = rows[0]?.id;
      if (id === undefined) throw new Error('the database opened no inbox stream');
      stream = new InboxStream(id, client, socket, day, options);
    } catch (error) {
      socket.destroy();
      throw error;
    }
    if (early) stream.lose(early);
    return stream;
  }

  get lost(): boolean {
    return this.lostError !== null;
  }

  /**
   * Appends one segment durably: resolves after its commit.
   *
   * @param drain moves a journal along in the same commit
   * @returns bytes stored; `null` when the journal stood elsewhere than `drain.fromBytes`, and nothing was appended
   * @throws when it is not known to be committed; the stream is lost then
   */
  async append(draft: SegmentDraft, drain?: DrainStep): Promise<number | null> {
    if (this.lostError) throw this.lostError;
    if (this.busy) throw new Error('a stream commits one segment at a time');
    this.busy = true;
    try {
      const seq = this.seq + 1;
      const body = draft.seal(this.options.secrets, segmentPurpose(this.id, seq));
      const rows = await this.insert(seq, draft, body, drain);
      if (rows === 0) return null;
      this.seq = seq;
      return body.length;
    } catch (error) {
      this.lose(error instanceof Error ? error : new Error(String(error)));
      throw error;
    } finally {
      this.busy = false;
    }
  }

  /** Leaves politely; the reader closes the stream's row once it is read to its end. */
  async close(): Promise<void> {
    if (this.lostError) return;
    this.lostError = new Error('the stream was closed');
    await this.client.end().catch(() => this.socket.destroy());
  }

  private async insert(seq: number, draft: SegmentDraft, body: Buffer, drain?: DrainStep): Promise<number> {
    const { count, bodyBytes } = draft;
    for (let attempt = 1; ; attempt++) {
      const now = this.options.clock.now();
      // The day never goes back within a stream, whatever the clock does: (day, seq) would no longer be commit order.
      const today = dayOf(now);
      const day = today > this.lastDay ? today : this.lastDay;
      const values: unknown[] = [day, this.id, seq, now, count, bodyBytes, body];
      if (drain) values.push(drain.journalId, drain.fromBytes, drain.toBytes);
      try {
        const result = await this.client.query(
          drain
            ? { name: 'append_drained', text: APPEND_DRAINED_SEGMENT, values }
            : { name: 'append', text: APPEND_SEGMENT, values },
        );
        this.lastDay = day;
        return result.rowCount ?? 0;
      } catch (error) {
        // The server refused the row, so for certain nothing was stored: the same number may be used again.
        if (attempt > 1 || !(error instanceof pg.DatabaseError) || error.code !== NO_PARTITION) throw error;
        await withinDeadline(this.options.ensurePartitions());
      }
    }
  }

  private lose(error: Error): void {
    if (this.lostError) return;
    this.lostError = error;
    this.socket.destroy();
    this.options.onLost?.(error);
  }
}

// Partitions are made over another connection, which has a longer patience than a waiting webhook.
async function withinDeadline(work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error('the partition of the day could not be made in time')),
      CLIENT_TIMEOUT_MS,
    );
  });
  try {
    await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** The UTC date of an instant, `YYYY-MM-DD`. */
export function dayOf(instant: Date): string {
  return instant.toISOString().slice(0, 10);
}
