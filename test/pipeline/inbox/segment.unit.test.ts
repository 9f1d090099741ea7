import { describe, expect, it } from 'vitest';
import { SecretBox } from '../../../src/kernel/secrets.js';
import { SegmentDamaged, SegmentDraft, openSegment, sealSegment } from '../../../src/pipeline/inbox/segment.js';
import { entryOf } from './entries.js';

const plain = new SecretBox([]);
const sealed = new SecretBox([Buffer.alloc(32, 7)]);

describe('a segment', () => {
  it.each([
    ['without a key', plain],
    ['with a key', sealed],
  ])('gives back its entries unchanged, %s', (_, secrets) => {
    const entries = [
      entryOf('w1', { body: Buffer.alloc(0) }),
      entryOf('w2', { key: 'k', hmac: 'h', eventId: 'é👕', source: 'fetch', world: 'sandbox', destinationId: 3 }),
      entryOf('w3', { body: Buffer.from([0xff, 0, 0xfe]) }),
    ];
    const segment = openSegment(sealSegment(entries, secrets, 'p'), secrets, 'p');
    expect(Array.from({ length: segment.count }, (_, index) => segment.entry(index))).toEqual(entries);
  });

  it('compresses webhooks that resemble each other', () => {
    const entries = Array.from({ length: 50 }, (_, n) => entryOf(`w${n}`, { body: Buffer.alloc(8_000, 'order') }));
    expect(sealSegment(entries, plain, 'p').length).toBeLessThan(8_000);
  });

  it.each([
    ['cut', (blob: Buffer) => blob.subarray(0, blob.length - 5)],
    ['altered', (blob: Buffer) => Buffer.from(blob.map((byte, at) => (at === blob.length - 6 ? byte ^ 1 : byte)))],
    ['empty', () => Buffer.from([0])],
  ])('says so when its bytes were %s', (_, harm) => {
    const noise = Buffer.from(Array.from({ length: 300 }, (_, n) => (n * 7919) % 251));
    for (const secrets of [plain, sealed]) {
      const blob = harm(sealSegment([entryOf('w1', { body: noise })], secrets, 'segment:1:1'));
      expect(() => openSegment(blob, secrets, 'segment:1:1')).toThrow(/segment:1:1/);
    }
    expect(() => openSegment(Buffer.from([0, 1, 2]), plain, 'segment:1:1')).toThrow(SegmentDamaged);
  });

  it('cannot be passed off as another segment', () => {
    const blob = sealSegment([entryOf('w1')], sealed, 'segment:1:1');
    expect(() => openSegment(blob, sealed, 'segment:1:2')).toThrow(SegmentDamaged);
  });

  it('names an entry it does not have', () => {
    const segment = openSegment(sealSegment([entryOf('w1')], plain, 'p'), plain, 'p');
    expect(() => segment.entry(1)).toThrow(/no entry 1 among 1/);
  });
});

describe('a draft of a segment', () => {
  it('keeps what it was given, whatever becomes of the buffer it came in', () => {
    const body = Buffer.from('{"id":1}');
    const draft = SegmentDraft.of([entryOf('w1', { body })]);
    body.fill(0);
    expect(draft.entries()).toEqual([entryOf('w1', { body: Buffer.from('{"id":1}') })]);
  });

  it('grows with its entries and begins anew when cleared', () => {
    const draft = new SegmentDraft(16);
    const large = [1, 50_000, 3_000_000, 2_000_000].map((bytes) => entryOf('w', { body: Buffer.alloc(bytes, bytes) }));
    for (const entry of large) draft.add(entry);
    expect(openSegment(draft.seal(sealed, 'p'), sealed, 'p').count).toBe(4);
    expect(draft.entries()).toEqual(large);
    expect([draft.count, draft.bodyBytes]).toEqual([4, 5_050_001]);
    draft.clear();
    draft.add(entryOf('next'));
    const segment = openSegment(draft.seal(plain, 'p'), plain, 'p');
    expect([segment.count, segment.entry(0)]).toEqual([1, entryOf('next')]);
    expect([draft.count, draft.bodyBytes]).toEqual([1, entryOf('next').body.length]);
  });
});
