import { crc32 } from 'node:zlib';

/*
 * The journal's records: mark (4 bytes), u32 length, u32 CRC-32 of the payload, payload. Numbers are big-endian. The
 * mark lets a reader find the next whole record behind a damaged one.
 */
const MARK = Buffer.from('PLJ1');
const HEAD_BYTES = 12;
const PAYLOAD_BYTES_MAX = 16 * 1024 * 1024; // a body of 8 MiB and its header fit twice

/** @returns the whole record */
export function encodeRecord(payload: Buffer): Buffer {
  const record = Buffer.allocUnsafe(HEAD_BYTES + payload.length);
  MARK.copy(record);
  record.writeUInt32BE(payload.length, 4);
  record.writeUInt32BE(crc32(payload), 8);
  payload.copy(record, HEAD_BYTES);
  return record;
}

/** A whole record; `from` and `end` count from the start of the buffer. */
export interface FoundRecord {
  payload: Buffer;
  from: number;
  end: number;
}

export interface Scan {
  records: FoundRecord[];
  /** Ranges that are no record although whole records, or the promised number of bytes, follow. */
  damaged: { from: number; to: number }[];
  /** Bytes at the end of the file that never became a whole record: a write that a crash cut, never acknowledged. */
  tornBytes: number;
  /** How far the buffer was understood. */
  consumed: number;
}

/**
 * Reads as many records as the buffer holds whole.
 *
 * @param reachesEnd the buffer's end is the file's end. Without it nothing is called damaged or torn: what cannot be
 *   judged yet is left unconsumed, to be read again with more behind it
 */
export function scanRecords(buffer: Buffer, reachesEnd: boolean): Scan {
  const scan: Scan = { records: [], damaged: [], tornBytes: 0, consumed: 0 };
  while (scan.consumed < buffer.length) {
    const at = scan.consumed;
    const found = recordAt(buffer, at);
    if (typeof found === 'object') {
      scan.records.push(found);
      scan.consumed = found.end;
      continue;
    }
    if (!reachesEnd) return scan;
    const next = nextRecord(buffer, at + 1);
    if (next !== null) {
      scan.damaged.push({ from: at, to: next });
      scan.consumed = next;
      continue;
    }
    // All the promised bytes are there but they are wrong: it may have been acknowledged, so it is not just cut off.
    if (found === 'wrong' && !isZero(buffer, at)) scan.damaged.push({ from: at, to: buffer.length });
    else scan.tornBytes = buffer.length - at;
    scan.consumed = buffer.length;
  }
  return scan;
}

function recordAt(buffer: Buffer, at: number): FoundRecord | 'short' | 'wrong' {
  const markBytes = Math.min(MARK.length, buffer.length - at);
  if (buffer.compare(MARK, 0, markBytes, at, at + markBytes) !== 0) return 'wrong';
  if (at + HEAD_BYTES > buffer.length) return 'short';
  const length = buffer.readUInt32BE(at + 4);
  if (length > PAYLOAD_BYTES_MAX) return 'wrong';
  const end = at + HEAD_BYTES + length;
  if (end > buffer.length) return 'short';
  const payload = buffer.subarray(at + HEAD_BYTES, end);
  return crc32(payload) === buffer.readUInt32BE(at + 8) ? { payload, from: at, end } : 'wrong';
}

function nextRecord(buffer: Buffer, from: number): number | null {
  for (let at = buffer.indexOf(MARK, from); at !== -1; at = buffer.indexOf(MARK, at + 1)) {
    if (typeof recordAt(buffer, at) === 'object') return at;
  }
  return null;
}

// A crash can leave a file longer than what was written into it; the rest reads as zeros.
function isZero(buffer: Buffer, from: number): boolean {
  for (let at = from; at < buffer.length; at++) if (buffer[at] !== 0) return false;
  return true;
}
