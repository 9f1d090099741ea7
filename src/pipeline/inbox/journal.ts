import { chmod, mkdir, open, readdir, rename, stat, unlink, writeFile, type FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import type { Clock } from '../../kernel/clock.js';
import { hasCode } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import { identifyProcess, processWorld } from '../../kernel/process-identity.js';
import type { SecretBox } from '../../kernel/secrets.js';
import { judgeOwner, parseOwner, type LockOwner } from '../../kernel/service-lock.js';
import type { InboxEntry } from '../contract.js';
import type { Spill } from './inbox-writer.js';
import { encodeRecord, scanRecords } from './journal-record.js';
import { SegmentDraft } from './segment.js';

export const JOURNAL_PURPOSE = 'journal';

const OPEN = '.open';
const SEALED = '.sealed';
const FILE_BYTES_MAX = 64 * 1024 * 1024;
const FILE_MODE = 0o600;
const BEAT_EVERY_MS = 3_000;
// Five missed beats. Only owners in another container or machine are judged by them; a pid we can see is surer.
const BEAT_STALE_MS = 15_000;

export interface JournalOptions {
  /** `<dataDir>/journal` */
  dir: string;
  secrets: SecretBox;
  clock: Clock;
  log: Logger;
  fileBytesMax?: number;
  /** The process that writes here; this one by default. */
  owner?: LockOwner;
}

interface Write {
  records: Buffer[];
  bytes: number;
  resolve: (bytes: number) => void;
  reject: (error: unknown) => void;
}

interface CurrentFile {
  path: string;
  handle: FileHandle;
  bytes: number;
  webhooks: number;
}

/**
 * The spill journal: where webhooks go while the database is out of reach. Append-only files on the local disk.
 *
 * Invariant: `append` resolves only after fdatasync, and the file's name was made durable before its first record. A
 * file that ever failed a write or a sync is never written again: what the disk holds of it is not known any more.
 *
 * A file is `.open` while its owner writes and `.sealed` when nobody will; only sealed files are drained. Its first
 * record names its owner, so that the files of a killed process can be told from those of a live one.
 */
export class Journal implements Spill {
  private current: CurrentFile | null = null;
  private waiting: Write[] = [];
  private turn: Promise<unknown> = Promise.resolve();
  private files = 0;
  private readonly owner: LockOwner;
  private readonly fileBytesMax: number;
  private beat: NodeJS.Timeout | null = null;

  private constructor(private readonly options: JournalOptions) {
    this.owner = options.owner ?? thisProcess();
    this.fileBytesMax = options.fileBytesMax ?? FILE_BYTES_MAX;
  }

  /** Makes the directory and seals what dead processes left open. */
  static async open(options: JournalOptions): Promise<Journal> {
    await mkdir(options.dir, { recursive: true, mode: 0o700 });
    await syncDirectory(dirname(options.dir));
    const journal = new Journal(options);
    await journal.adopt();
    journal.beat = setInterval(() => void journal.touch(), BEAT_EVERY_MS);
    journal.beat.unref();
    return journal;
  }

  get dir(): string {
    return this.options.dir;
  }

  /** Webhooks in the file that is being written. */
  get unsealed(): number {
    return this.current?.webhooks ?? 0;
  }

  /**
   * Appends, together with whoever else waits: one write, one flush.
   *
   * @returns bytes written, once they are on stable storage
   * @throws what the disk said; the entries do not count as stored then
   */
  append(entries: readonly InboxEntry[]): Promise<number> {
    const records = entries.map((entry) =>
      encodeRecord(this.options.secrets.seal(SegmentDraft.of([entry]).encoded(), JOURNAL_PURPOSE)),
    );
    const bytes = records.reduce((sum, record) => sum + record.length, 0);
    return new Promise((resolve, reject) => {
      this.waiting.push({ records, bytes, resolve, reject });
      // Those who arrive while the disk is busy wait for one common turn.
      if (this.waiting.length === 1) void this.inTurn(() => this.writeWaiting());
    });
  }

  /** Ends the current file, when it holds anything, so that it can be drained. */
  async seal(): Promise<void> {
    await this.inTurn(() => this.sealCurrent());
  }

  /** Paths of the files that wait for draining, the eldest first. */
  async sealed(): Promise<string[]> {
    const names = await readdir(this.options.dir);
    return names
      .filter((name) => name.endsWith(SEALED))
      .sort()
      .map((name) => join(this.options.dir, name));
  }

  /** Files and bytes that are not drained yet, and the damaged pieces that wait for a person. */
  async state(): Promise<{ files: number; bytes: number; damagedPieces: number }> {
    const state = { files: 0, bytes: 0, damagedPieces: 0 };
    for (const name of await readdir(this.options.dir)) {
      if (name.endsWith('.damaged')) state.damagedPieces += 1;
      if (!name.endsWith(OPEN) && !name.endsWith(SEALED)) continue;
      const found = await stat(join(this.options.dir, name)).catch(() => null); // drained meanwhile
      if (!found) continue;
      state.files += 1;
      state.bytes += found.size;
    }
    return state;
  }

  /** Seals the files of owners that are dead. Cheap when there are none; called before every drain. */
  async adopt(): Promise<void> {
    for (const name of await readdir(this.options.dir)) {
      const path = join(this.options.dir, name);
      if (!name.endsWith(OPEN) || path === this.current?.path) continue;
      if (!(await this.isAbandoned(path))) continue;
      this.options.log.warn({ journal: name }, 'a process ended without sealing its journal; it will be drained');
      await this.rename(path);
    }
  }

  /** Seals what was written; resolves when nothing is under way any more. */
  async close(): Promise<void> {
    if (this.beat) clearInterval(this.beat);
    await this.seal();
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.turn.then(work);
    this.turn = result.catch(() => undefined);
    return result;
  }

  private async writeWaiting(): Promise<void> {
    const writes = this.waiting.splice(0);
    try {
      const file = (this.current ??= await this.create());
      const records = writes.flatMap((write) => write.records);
      await writeAll(file.handle, Buffer.concat(records), file.bytes);
      await file.handle.datasync();
      file.bytes += writes.reduce((sum, write) => sum + write.bytes, 0);
      file.webhooks += records.length;
      for (const write of writes) write.resolve(write.bytes);
    } catch (error) {
      for (const write of writes) write.reject(error);
      await this.abandon(error);
      return;
    }
    if (this.current && this.current.bytes >= this.fileBytesMax) {
      await this.sealCurrent().catch((error: unknown) => this.abandon(error));
    }
  }

  private async create(): Promise<CurrentFile> {
    this.files += 1;
    const { pid, host, startedAs } = this.owner;
    // Names sort by age, and no two processes anywhere make the same one: the database remembers journals by name.
    const age = String(Math.trunc(this.options.clock.nowMs())).padStart(15, '0');
    const parts = [age, plainName(host), pid, plainName(startedAs), String(this.files).padStart(6, '0')];
    const path = join(this.options.dir, `${parts.join('-')}${OPEN}`);
    const handle = await open(path, 'wx', FILE_MODE);
    try {
      const owner = encodeRecord(Buffer.from(JSON.stringify(this.owner)));
      await writeAll(handle, owner, 0);
      await handle.datasync();
      await syncDirectory(this.options.dir);
      return { path, handle, bytes: owner.length, webhooks: 0 };
    } catch (error) {
      await handle.close().catch(() => undefined);
      await unlink(path).catch(() => undefined); // holds no webhook
      throw error;
    }
  }

  private async sealCurrent(): Promise<void> {
    const file = this.current;
    if (!file || file.webhooks === 0) return;
    this.current = null;
    await file.handle.close();
    await this.rename(file.path);
  }

  // What reached the disk before the failure is drained; a half-written record at its end is cut there.
  private async abandon(error: unknown): Promise<void> {
    const file = this.current;
    this.current = null;
    this.options.log.error({ err: error, dir: this.options.dir }, 'the journal could not be written');
    if (!file) return;
    try {
      await file.handle.close();
      if (file.webhooks === 0) await unlink(file.path);
      else await this.rename(file.path);
    } catch (closeError) {
      this.options.log.error({ err: closeError, journal: file.path }, 'a failed journal file could not be sealed');
    }
  }

  private async rename(path: string): Promise<void> {
    try {
      await rename(path, path.slice(0, -OPEN.length) + SEALED);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return; // another process sealed it
      throw error;
    }
    await syncDirectory(this.options.dir);
  }

  private async isAbandoned(path: string): Promise<boolean> {
    const owner = await readOwner(path);
    const here = { ...processWorld(), host: hostname() };
    const verdict = owner === null ? 'out-of-sight' : judgeOwner(owner, identifyProcess(owner.pid), here);
    if (verdict !== 'out-of-sight') return verdict === 'dead';
    const found = await stat(path).catch(() => null);
    return found !== null && (await this.fileSystemNowMs()) - found.ctimeMs > BEAT_STALE_MS;
  }

  // A beat changes nothing but the file's change time, which the file system sets by its own clock. Ours may differ
  // from it, and from that of the machine which wrote the file.
  private async touch(): Promise<void> {
    if (!this.current) return;
    // A disk that cannot be touched cannot be written either, and says so there.
    await chmod(this.current.path, FILE_MODE).catch(() => undefined);
  }

  private async fileSystemNowMs(): Promise<number> {
    const probe = join(this.options.dir, `now-${this.owner.pid}`);
    await writeFile(probe, '', { mode: FILE_MODE });
    const { ctimeMs } = await stat(probe);
    await unlink(probe).catch(() => undefined);
    return ctimeMs;
  }
}

/** The first record of a file is its owner's JSON; a webhook's payload begins with the seal's mark, 0x00 or 0x01. */
export function isOwnerRecord(payload: Buffer): boolean {
  return payload[0] === 0x7b; // '{'
}

function thisProcess(): LockOwner {
  const { pid } = process;
  return { pid, startedAs: identifyProcess(pid)?.startedAs ?? '', host: hostname(), ...processWorld() };
}

async function readOwner(path: string): Promise<LockOwner | null> {
  const handle = await open(path, 'r').catch(() => null);
  if (!handle) return null;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4096), 0, 4096, 0);
    const first = scanRecords(buffer.subarray(0, bytesRead), false).records[0];
    return first ? parseOwner(first.payload.toString('utf8')) : null;
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const result = await handle.write(bytes, written, bytes.length - written, position + written);
    written += result.bytesWritten;
  }
}

/** A new or renamed file survives a power cut only when its directory is flushed too. */
export async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function plainName(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9]/g, '');
}
