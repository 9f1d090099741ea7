import { expect, it } from 'vitest';
import { SecretBox } from '../../../src/kernel/secrets.js';
import { SegmentCache } from '../../../src/pipeline/inbox/segment-cache.js';
import { openSegment, sealSegment, type OpenSegment } from '../../../src/pipeline/inbox/segment.js';
import { entryOf } from './entries.js';

const secrets = new SecretBox([]);

function segmentOf(bodyBytes: number): OpenSegment {
  return openSegment(sealSegment([entryOf('w1', { body: Buffer.alloc(bodyBytes) })], secrets, 'p'), secrets, 'p');
}

it('keeps the segments used last within its bytes, and drops the others', () => {
  const cache = new SegmentCache(35_000);
  for (const key of ['a', 'b', 'c']) cache.set(key, segmentOf(10_000));
  cache.get('a'); // used again: b is now the eldest
  cache.set('d', segmentOf(10_000));
  expect(['a', 'b', 'c', 'd'].map((key) => cache.get(key) !== undefined)).toEqual([true, false, true, true]);
  cache.set('a', segmentOf(100)); // a smaller one in its place leaves room
  cache.set('e', segmentOf(9_000));
  expect(['a', 'c', 'd', 'e'].map((key) => cache.get(key) !== undefined)).toEqual([true, true, true, true]);
});

it('does not keep what is larger than all its room', () => {
  const cache = new SegmentCache(1_000);
  cache.set('a', segmentOf(10_000));
  expect(cache.get('a')).toBeUndefined();
});
