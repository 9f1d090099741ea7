import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { PlumblineError, messageOf } from '../../kernel/errors.js';
import type { SecretBox } from '../../kernel/secrets.js';
import type { InboxEntry, Source, World } from '../contract.js';

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
  // Without a secret key nothing else would notice a flipped bit in stored bytes.
  [constants.ZSTD_c_checksumFlag]: 1,
};

// Node hands zstd's output out in pieces of 16 KB unless told better, and joining them costs more than unpacking.
const CHUNK_BYTES_MIN = 16 * 1024;
const CHUNK_BYTES_MAX = 2 * 1024 * 1024;

// A batch is cut at about 1 MB and one body at 8 MiB; more than this is damage or an attack, not a segment.
const PLAIN_BYTES_MAX = 64 * 1024 * 1024;

const SOURCES = ['http', 'fetch', 'replay', 'reconciliation'] as const satisfies readonly Source[];
const WORLDS = ['real', 'sandbox'] as const satisfies readonly World[];

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

/** Entries as one blob for storage. @param purpose opens it again; see `segmentPurpose` */
export function sealSegment(entries: readonly InboxEntry[], secrets: SecretBox, purpose: string): Buffer {
  const plain = encodeEntries(entries, scratchOf);
  const packed = zstdCompressSync(plain, {
    params: ZSTD_PARAMS,
    pledgedSrcSize: plain.length, // lets the reader allocate no more than it needs
    chunkSize: chunkBytes(plain.length / 7), // orders shrink to an eighth and better; a second piece is copied once more
  });
  return secrets.seal(packed, purpose);
}

function chunkBytes(expected: number): number {
  return Math.min(Math.max(Math.ceil(expected), CHUNK_BYTES_MIN), CHUNK_BYTES_MAX);
}

// Packing is synchronous, so one piece of memory serves every segment: a fresh one each time would double what a
// webhook costs the garbage collector.
let scratch = Buffer.allocUnsafe(0);
const SCRATCH_BYTES_MAX = 4 * 1024 * 1024;

function scratchOf(bytes: number): Buffer {
  if (bytes > SCRATCH_BYTES_MAX) return Buffer.allocUnsafe(bytes);
  if (bytes > scratch.length) scratch = Buffer.allocUnsafeSlow(Math.min(2 * bytes, SCRATCH_BYTES_MAX));
  return scratch.subarray(0, bytes);
}

/** @param allocate gives the memory; fresh by default */
export function encodeEntries(
  entries: readonly InboxEntry[],
  allocate: (bytes: number) => Buffer = (bytes) => Buffer.allocUnsafe(bytes),
): Buffer {
  const headers = entries.map(encodeHeader);
  let size = 4;
  entries.forEach((entry, index) => (size += 8 + Buffer.byteLength(headers[index] ?? '') + entry.body.length));
  const plain = allocate(size);
  let offset = plain.writeUInt32BE(entries.length, 0);
  entries.forEach((entry, index) => {
    const headerLength = plain.write(headers[index] ?? '', offset + 4);
    plain.writeUInt32BE(headerLength, offset);
    offset = plain.writeUInt32BE(entry.body.length, offset + 4 + headerLength);
    offset += entry.body.copy(plain, offset);
  });
  return plain;
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
    return decodeHeader(
      this.plain.subarray(offset + 4, bodyAt),
      this.plain.subarray(bodyAt + 4, this.skipBlock(bodyAt)),
      this.place,
    );
  }

  private skipBlock(offset: number): number {
    const end = offset + 4 <= this.plain.length ? offset + 4 + this.plain.readUInt32BE(offset) : Infinity;
    if (end > this.plain.length)
      throw new SegmentDamaged(this.place, `an entry reaches past the end at byte ${offset}`);
    return end;
  }
}

// Short keys: the header is stored a few hundred million times a month. A new optional key is compatible both ways.
interface Header {
  s: number;
  w: number;
  i: string;
  t: string;
  d: string;
  r: number;
  k?: string;
  v?: string;
  e?: string;
  a?: string;
  h?: string;
  x?: number;
}

function encodeHeader(entry: InboxEntry): string {
  const header: Header = {
    s: SOURCES.indexOf(entry.source),
    w: WORLDS.indexOf(entry.world),
    i: entry.webhookId,
    t: entry.topic,
    d: entry.shopDomain,
    r: entry.receivedAtMs,
  };
  if (entry.key !== undefined) header.k = entry.key;
  if (entry.apiVersion !== undefined) header.v = entry.apiVersion;
  if (entry.eventId !== undefined) header.e = entry.eventId;
  if (entry.triggeredAt !== undefined) header.a = entry.triggeredAt;
  if (entry.hmac !== undefined) header.h = entry.hmac;
  if (entry.destinationId !== undefined) header.x = entry.destinationId;
  return JSON.stringify(header);
}

function decodeHeader(bytes: Buffer, body: Buffer, place: string): InboxEntry {
  const header = readHeader(bytes, place);
  const source = SOURCES[header.s];
  const world = WORLDS[header.w];
  if (source === undefined || world === undefined)
    throw new SegmentDamaged(place, 'an entry of unknown source or world');
  const entry: InboxEntry = {
    source,
    world,
    webhookId: header.i,
    topic: header.t,
    shopDomain: header.d,
    receivedAtMs: header.r,
    body,
  };
  if (header.k !== undefined) entry.key = header.k;
  if (header.v !== undefined) entry.apiVersion = header.v;
  if (header.e !== undefined) entry.eventId = header.e;
  if (header.a !== undefined) entry.triggeredAt = header.a;
  if (header.h !== undefined) entry.hmac = header.h;
  if (header.x !== undefined) entry.destinationId = header.x;
  return entry;
}

// The cast is safe for what `encodeHeader` wrote: zstd's and the seal's own checks stand before it.
function readHeader(bytes: Buffer, place: string): Header {
  try {
    return JSON.parse(bytes.toString('utf8')) as Header;
  } catch (error) {
    throw new SegmentDamaged(place, 'an entry header is not JSON', { cause: error });
  }
}
