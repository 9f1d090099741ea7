import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { PlumblineError, messageOf } from '../../kernel/errors.js';
import type { SecretBox } from '../../kernel/secrets.js';
import type { InboxEntry } from '../contract.js';
import { decodeHeader, encodeHeader } from './segment-header.js';

/*
 * A segment is what one commit of the inbox stores: a few webhooks in one compressed, sealed blob.
 *
 *   blob    = SecretBox.seal(zstd(plain), purpose)
 *   plain   = u32 count, then count entries
 *   entry   = u32 header length, header (JSON), u32 body length, body (the exact bytes that came in)
 *
 * Numbers are big-endian. Level 1: higher levels cost more CPU than the disk they save.
 */
const ZSTD_PARAMS = {
  [constants.ZSTD_c_compressionLevel]: 1,
  // 256 KB, half of what the level takes by itself, stay in the processor's cache: a tenth cheaper, and 2 % larger.
  [constants.ZSTD_c_windowLog]: 18,
  // Without a secret key nothing else would notice a flipped bit in stored bytes.
  [constants.ZSTD_c_checksumFlag]: 1,
};

// Node hands zstd's output out in pieces of 16 KB unless told better, and joining them costs more than unpacking.
const CHUNK_BYTES_MIN = 16 * 1024;
const CHUNK_BYTES_MAX = 2 * 1024 * 1024;

// A batch is cut at about 1.5 MB and one body at 8 MiB; more than this is damage or an attack, not a segment.
const PLAIN_BYTES_MAX = 64 * 1024 * 1024;

/** Where a segment lies. It is sealed to its place, so that one cannot be passed off as another. */
export function segmentPurpose(streamId: number, seq: number | string): string {
  return `segment:${streamId}:${seq}`;
}

/** Stored bytes that cannot be read: cut, altered, or not a segment at all. */
export class SegmentDamaged extends Error {
  constructor(
    readonly place: string,
    detail: string,
    options?: { cause?: unknown },
  ) {
    super(`${place} is damaged: ${detail}`, options);
    this.name = 'SegmentDamaged';
  }
}

/** Bytes that an entry adds to a segment before compression, near enough to bound batches and queues. */
export function entryWeight(entry: InboxEntry): number {
  return entry.body.length + 512;
}

function chunkBytes(expected: number): number {
  return Math.min(Math.max(Math.ceil(expected), CHUNK_BYTES_MIN), CHUNK_BYTES_MAX);
}

const COUNT_BYTES = 4;
const DRAFT_BYTES_MIN = 64 * 1024;
const DRAFT_BYTES_KEPT = 4 * 1024 * 1024;

/**
 * A segment in the making. Entries are encoded as they come: what has just been verified is still in the processor's
 * caches, and its buffer is free for the collector at once.
 */
export class SegmentDraft {
  /** Entries, and the bytes of their bodies. */
  count = 0;
  bodyBytes = 0;
  private end = COUNT_BYTES;
  private memory: Buffer;

  constructor(bytes = DRAFT_BYTES_MIN) {
    this.memory = Buffer.allocUnsafeSlow(bytes);
  }

  static of(entries: readonly InboxEntry[]): SegmentDraft {
    const draft = new SegmentDraft(entries.reduce((bytes, entry) => bytes + entryWeight(entry), COUNT_BYTES));
    for (const entry of entries) draft.add(entry);
    return draft;
  }

  add(entry: InboxEntry): void {
    const header = encodeHeader(entry);
    this.reserve(8 + Buffer.byteLength(header) + entry.body.length);
    const { memory, end } = this;
    const headerLength = memory.write(header, end + 4);
    memory.writeUInt32BE(headerLength, end);
    const bodyAt = memory.writeUInt32BE(entry.body.length, end + 4 + headerLength);
    this.end = bodyAt + entry.body.copy(memory, bodyAt);
    this.count += 1;
    this.bodyBytes += entry.body.length;
  }

  /** The draft's own memory: good until the next `add` or `clear`. */
  encoded(): Buffer {
    this.memory.writeUInt32BE(this.count, 0);
    return this.memory.subarray(0, this.end);
  }

  /** The entries again; their bodies are good until the next `clear`. */
  entries(): InboxEntry[] {
    const segment = new OpenSegment(this.encoded(), 'a draft');
    return Array.from({ length: segment.count }, (_, index) => segment.entry(index));
  }

  /** One blob for storage, in memory of its own. @param purpose opens it again; see `segmentPurpose` */
  seal(secrets: SecretBox, purpose: string): Buffer {
    const plain = this.encoded();
    const packed = zstdCompressSync(plain, {
      params: ZSTD_PARAMS,
      pledgedSrcSize: plain.length, // lets the reader allocate no more than it needs
      chunkSize: chunkBytes(plain.length / 7), // orders shrink to an eighth and better; a second piece is copied once more
    });
    return secrets.seal(packed, purpose);
  }

  /** Begins anew in the same memory, unless that has grown beyond what is worth keeping. */
  clear(): void {
    this.count = 0;
    this.bodyBytes = 0;
    this.end = COUNT_BYTES;
    if (this.memory.length > DRAFT_BYTES_KEPT) this.memory = Buffer.allocUnsafeSlow(DRAFT_BYTES_MIN);
  }

  private reserve(bytes: number): void {
    if (this.end + bytes <= this.memory.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.memory.length, this.end + bytes));
    this.memory.copy(larger, 0, 0, this.end);
    this.memory = larger;
  }
}

/** Entries as one blob for storage. @param purpose opens it again; see `segmentPurpose` */
export function sealSegment(entries: readonly InboxEntry[], secrets: SecretBox, purpose: string): Buffer {
  return SegmentDraft.of(entries).seal(secrets, purpose);
}

/**
 * Opens a stored blob.
 *
 * @param place names it in errors
 * @throws PlumblineError SECRET_KEY_MISSING, SegmentDamaged
 */
export function openSegment(blob: Buffer, secrets: SecretBox, purpose: string, place = purpose): OpenSegment {
  let plain: Buffer;
  try {
    plain = zstdDecompressSync(secrets.open(blob, purpose), {
      maxOutputLength: PLAIN_BYTES_MAX,
      chunkSize: chunkBytes(blob.length * 10), // orders shrink to about an eighth
    });
  } catch (error) {
    if (error instanceof PlumblineError) throw error;
    throw new SegmentDamaged(place, messageOf(error), { cause: error });
  }
  return new OpenSegment(plain, place);
}

/** A segment in memory. Headers are parsed when asked for; bodies are slices that keep the whole segment alive. */
export class OpenSegment {
  private readonly offsets: number[] = [];

  /** @throws SegmentDamaged when the lengths inside do not add up */
  constructor(
    private readonly plain: Buffer,
    private readonly place: string,
  ) {
    if (plain.length < 4) throw new SegmentDamaged(place, 'shorter than its count');
    const count = plain.readUInt32BE(0);
    let offset = 4;
    for (let index = 0; index < count; index++) {
      this.offsets.push(offset);
      offset = this.skipBlock(this.skipBlock(offset));
    }
    if (offset !== plain.length) throw new SegmentDamaged(place, `${plain.length - offset} bytes too many`);
  }

  get count(): number {
    return this.offsets.length;
  }

  /** Size in memory. */
  get bytes(): number {
    return this.plain.length;
  }

  /** @param index from 0 @throws SegmentDamaged when there is no such entry or its header cannot be read */
  entry(index: number): InboxEntry {
    const offset = this.offsets[index];
    if (offset === undefined) throw new SegmentDamaged(this.place, `no entry ${index} among ${this.count}`);
    const bodyAt = this.skipBlock(offset);
    const header = this.plain.subarray(offset + 4, bodyAt);
    try {
      return decodeHeader(header, this.plain.subarray(bodyAt + 4, this.skipBlock(bodyAt)));
    } catch (error) {
      throw new SegmentDamaged(this.place, messageOf(error), { cause: error });
    }
  }

  private skipBlock(offset: number): number {
    const end = offset + 4 <= this.plain.length ? offset + 4 + this.plain.readUInt32BE(offset) : Infinity;
    if (end > this.plain.length)
      throw new SegmentDamaged(this.place, `an entry reaches past the end at byte ${offset}`);
    return end;
  }
}
