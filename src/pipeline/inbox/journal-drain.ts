import { open, unlink, writeFile, type FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Database } from '../../kernel/database.js';
import type { Logger } from '../../kernel/log.js';
import type { Round } from '../../kernel/loop.js';
import { PlumblineError, hasCode, invariant, messageOf } from '../../kernel/errors.js';
import type { SecretBox } from '../../kernel/secrets.js';
import type { InboxEntry } from '../contract.js';
import { scanRecords, type FoundRecord, type Scan } from './journal-record.js';
import { JOURNAL_PURPOSE, isOwnerRecord, syncDirectory, type Journal } from './journal.js';
import { OpenSegment, SegmentDraft } from './segment.js';
import type { InboxStream } from './stream.js';

const DRAINED_BYTES = 'select drained_bytes::text as bytes from pipeline.journal_drain where journal_id = $1';
const FORGET_JOURNAL = 'delete from pipeline.journal_drain where journal_id = $1';

const READ_BYTES = 4 * 1024 * 1024;
const SEGMENT_ENTRIES = 100;
const SEGMENT_BYTES = 1024 * 1024;

export interface JournalDrainOptions {
  journal: Journal;
  database: Database;
  secrets: SecretBox;
  log: Logger;
  /** A stream of the drain's own; live webhooks keep theirs. */
  openStream: () => Promise<InboxStream>;
  /** While false the journal is left alone: it is in use, and cannot be drained. */
  databaseIsUp: () => boolean;
}

/** What draining has come to since the start. */
export interface DrainCounts {
  webhooks: number;
  files: number;
  /** Bytes of half-written records that a crash left; their webhooks were never acknowledged. */
  tornBytes: number;
  /** Pieces set aside in `.damaged` files, for a person to look at. */
  damagedPieces: number;
}

interface FileInHand {
  journalId: string;
  path: string;
  handle: FileHandle;
  size: number;
  readBytes: number;
  /** How far the database knows; behind `readBytes` where nothing was there to store. */
  storedBytes: number;
}

/**
 * Brings the journal home: sealed files, the eldest first, each record once.
 *
 * Invariant: how far a file is drained moves in the commit that stores its records. So a crash at any moment - between
 * the commit and the removal of the file as well - neither loses a record nor stores one twice.
 */
export class JournalDrain {
  readonly counts: DrainCounts = { webhooks: 0, files: 0, tornBytes: 0, damagedPieces: 0 };
  private stream: InboxStream | null = null;

  constructor(private readonly options: JournalDrainOptions) {}

  /** One round of the drain's loop: one file. */
  async round(signal?: AbortSignal): Promise<Round> {
    const { journal } = this.options;
    await journal.adopt();
    if (!this.options.databaseIsUp()) return 'idle';
    await journal.seal();
    const [path] = await journal.sealed();
    if (path === undefined) {
      await this.close(); // a connection for nothing
      return 'idle';
    }
    return (await this.drainFile(path, signal)) ? 'busy' : 'idle';
  }

  async close(): Promise<void> {
    const stream = this.stream;
    this.stream = null;
    await stream?.close();
  }

  /** @returns whether to look for the next file at once */
  private async drainFile(path: string, signal?: AbortSignal): Promise<boolean> {
    const handle = await openOrNull(path);
    if (!handle) return true; // another process has just removed it
    const journalId = basename(path).replace(/\.sealed$/, '');
    try {
      const { size } = await handle.stat();
      const storedBytes = await this.drainedBytes(journalId);
      const file: FileInHand = { journalId, path, handle, size, readBytes: storedBytes, storedBytes };
      while (file.readBytes < file.size) {
        if (signal?.aborted) return false;
        if (!(await this.drainPiece(file))) return true; // another drainer moved it: look again
        // Nobody writes to a sealed file, unless an owner was taken for dead and was not. Removing it would lose what
        // came since, so look once more.
        file.size = (await handle.stat()).size;
      }
    } finally {
      await handle.close();
    }
    // First the file, then its row: a row without a file is harmless, a file without its row would be drained again.
    await unlink(path).catch(ignoreMissing);
    await syncDirectory(this.options.journal.dir);
    await this.options.database.query(FORGET_JOURNAL, [journalId]);
    this.counts.files += 1;
    this.options.log.info({ journal: journalId }, 'journal drained');
    return true;
  }

  /** Some megabytes. @returns false when somebody else has drained what we were about to */
  private async drainPiece(file: FileInHand): Promise<boolean> {
    const at = file.readBytes;
    const scan = await scanFrom(file);
    for (const { from, to } of scan.damaged) await this.setAside(file, at + from, at + to, 'not a record');
    const batch = new SegmentDraft();
    for (const record of scan.records) {
      const entry = await this.entryOf(file, record, at);
      if (!entry) continue;
      batch.add(entry);
      if (batch.count < SEGMENT_ENTRIES && batch.bodyBytes < SEGMENT_BYTES) continue;
      if (!(await this.store(file, batch, at + record.end))) return false;
      batch.clear();
    }
    if (batch.count > 0 && !(await this.store(file, batch, at + scan.consumed))) return false;
    if (scan.tornBytes > 0) {
      this.counts.tornBytes += scan.tornBytes;
      this.options.log.warn(
        { journal: file.journalId, bytes: scan.tornBytes },
        'the journal ends in a half-written record, which was never acknowledged; cut off',
      );
    }
    file.readBytes = at + scan.consumed;
    return true;
  }

  private async store(file: FileInHand, batch: SegmentDraft, toBytes: number): Promise<boolean> {
    const { journalId, storedBytes: fromBytes } = file;
    const stored = await (await this.openStream()).append(batch, { journalId, fromBytes, toBytes });
    if (stored === null) return false;
    file.storedBytes = toBytes;
    this.counts.webhooks += batch.count;
    return true;
  }

  // A missing key is ours to mend: it stops the drain, and the file stays. Anything else would stop it for ever.
  private async entryOf(file: FileInHand, record: FoundRecord, at: number): Promise<InboxEntry | null> {
    if (isOwnerRecord(record.payload)) return null;
    try {
      return new OpenSegment(this.options.secrets.open(record.payload, JOURNAL_PURPOSE), file.journalId).entry(0);
    } catch (error) {
      if (error instanceof PlumblineError) throw error;
      await this.setAside(file, at + record.from, at + record.end, messageOf(error));
      return null;
    }
  }

  // Named by its place, so that draining the same piece again after a crash writes the same file again.
  private async setAside(file: FileInHand, from: number, to: number, why: string): Promise<void> {
    const piece = `${file.path.replace(/\.sealed$/, '')}.${from}.damaged`;
    const { buffer, bytesRead } = await file.handle.read(Buffer.alloc(to - from), 0, to - from, from);
    await writeFile(piece, buffer.subarray(0, bytesRead), { mode: 0o600, flush: true });
    await syncDirectory(this.options.journal.dir);
    this.counts.damagedPieces += 1;
    this.options.log.error(
      { piece, bytes: bytesRead, why },
      'a damaged piece of the journal was set aside: look at it, and at the orders of its time',
    );
  }

  private async drainedBytes(journalId: string): Promise<number> {
    const [row] = await this.options.database.rows<{ bytes: string }>(DRAINED_BYTES, [journalId]);
    return Number(row?.bytes ?? 0);
  }

  private async openStream(): Promise<InboxStream> {
    if (!this.stream || this.stream.lost) this.stream = await this.options.openStream();
    return this.stream;
  }
}

/** Reads on until at least one record is understood, or all there is. */
async function scanFrom({ handle, readBytes, size }: FileInHand): Promise<Scan> {
  for (let want = READ_BYTES; ; want *= 4) {
    const bytes = Math.min(want, size - readBytes);
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(bytes), 0, bytes, readBytes);
    invariant(bytesRead === bytes, 'a sealed journal became shorter', { readBytes, bytes, bytesRead });
    const scan = scanRecords(buffer, readBytes + bytes === size);
    if (scan.consumed > 0) return scan;
  }
}

async function openOrNull(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, 'r');
  } catch (error) {
    ignoreMissing(error);
    return null;
  }
}

function ignoreMissing(error: unknown): void {
  if (!hasCode(error, 'ENOENT')) throw error;
}
