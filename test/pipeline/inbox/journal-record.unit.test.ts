import { describe, expect, it } from 'vitest';
import { encodeRecord, scanRecords } from '../../../src/pipeline/inbox/journal-record.js';

const records = ['first', 'second', 'third'].map((text) => encodeRecord(Buffer.from(text)));
const whole = Buffer.concat(records);
const payloads = (buffer: Buffer, reachesEnd = true) =>
  scanRecords(buffer, reachesEnd).records.map(({ payload }) => payload.toString());
const firstEnd = records[0]?.length ?? 0;

function flipped(at: number): Buffer {
  const copy = Buffer.from(whole);
  copy[at] = (copy[at] ?? 0) ^ 0x40;
  return copy;
}

describe('reading a journal', () => {
  it('gives every record in order', () => {
    expect(payloads(whole)).toEqual(['first', 'second', 'third']);
    expect(scanRecords(whole, true)).toMatchObject({ damaged: [], tornBytes: 0, consumed: whole.length });
  });

  it('cuts a half-written record at the end, wherever the crash fell', () => {
    const two = whole.length - (records[2]?.length ?? 0);
    for (let length = two + 1; length < whole.length; length++) {
      const scan = scanRecords(whole.subarray(0, length), true);
      expect(scan.records).toHaveLength(2);
      expect(scan).toMatchObject({ tornBytes: length - two, damaged: [], consumed: length });
    }
  });

  it('cuts zeros behind the last record: a file grown by a write that never came', () => {
    const scan = scanRecords(Buffer.concat([whole, Buffer.alloc(4096)]), true);
    expect(scan).toMatchObject({ tornBytes: 4096, damaged: [] });
    expect(scan.records).toHaveLength(3);
  });

  it('reports damage anywhere in the middle record and goes on behind it', () => {
    const secondEnd = firstEnd + (records[1]?.length ?? 0);
    for (let at = firstEnd; at < secondEnd; at++) {
      const scan = scanRecords(flipped(at), true);
      expect(scan.records.map(({ payload }) => payload.toString())).toEqual(['first', 'third']);
      expect(scan.damaged).toEqual([{ from: firstEnd, to: secondEnd }]);
      expect(scan.tornBytes).toBe(0);
    }
  });

  it('reports a whole last record with wrong bytes as damage: it may have been acknowledged', () => {
    const scan = scanRecords(flipped(whole.length - 1), true);
    expect(scan.damaged).toEqual([{ from: whole.length - (records[2]?.length ?? 0), to: whole.length }]);
  });

  it('judges nothing before it has seen the end', () => {
    expect(scanRecords(whole.subarray(0, whole.length - 1), false)).toMatchObject({ damaged: [], tornBytes: 0 });
    expect(scanRecords(flipped(firstEnd), false)).toMatchObject({ damaged: [], consumed: firstEnd });
  });
});
