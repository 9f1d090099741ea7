import { describe, expect, it } from 'vitest';
import { EventCache, type ReadWebhook } from '../../src/pipeline/event-cache.js';

const BODY_BYTES = 6_000;
const ENTRY_BYTES = 10_000;

const pointer = (entry: number) => ({ segmentDay: '2026-11-23', streamId: 1, segmentSeq: '1', entry });
const webhook = (entry: number): ReadWebhook => ({
  events: [],
  receivedAtMs: 0,
  topic: 'orders/paid',
  webhookId: String(entry),
  shopDomain: 'acme.myshopify.com',
});

describe('EventCache', () => {
  let nowMs = 0;
  const cacheOf = (entries: number): EventCache => new EventCache(entries * ENTRY_BYTES, () => nowMs);
  const put = (cache: EventCache, ...entries: number[]): void => {
    for (const entry of entries) cache.set(pointer(entry), webhook(entry), BODY_BYTES);
  };
  const held = (cache: EventCache, ...entries: number[]): number[] =>
    entries.filter((entry) => cache.get(pointer(entry))?.webhookId === String(entry));

  it('gives an event back to each destination that asks', () => {
    const cache = cacheOf(2);
    put(cache, 1, 2);
    expect(held(cache, 1, 1, 2, 3)).toEqual([1, 1, 2]);
  });

  it('drops what has been asked for, oldest first, and not what still waits', () => {
    const cache = cacheOf(3);
    put(cache, 1, 2, 3);
    expect(held(cache, 2, 1)).toEqual([2, 1]);
    put(cache, 4);
    expect(held(cache, 1, 2, 3, 4)).toEqual([1, 3, 4]);
  });

  it('is full of what waits: the newest is not kept, for a minute', () => {
    const cache = cacheOf(2);
    put(cache, 1, 2);
    nowMs += 59_999;
    put(cache, 3);
    nowMs += 1;
    put(cache, 4);
    expect(held(cache, 1, 2, 3, 4)).toEqual([2, 4]);
  });

  it('counts an event that is put again once', () => {
    const cache = cacheOf(2);
    put(cache, 1, 1, 1, 2);
    expect(held(cache, 1, 2)).toEqual([1, 2]);
  });
});
