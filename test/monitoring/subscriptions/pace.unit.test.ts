import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  QUIET_EVERY_MS,
  SELLING_EVERY_MS,
  lookPauseMs,
  nextLookMs,
  nextTurnMs,
  tryPauseMs,
} from '../../../src/monitoring/subscriptions/pace.js';

const NOON = Date.UTC(2026, 10, 27, 12);

describe('the turn of a shop', () => {
  it('comes within the period, always at the same moment of it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e9 }).map(String),
        fc.integer({ min: 0, max: 1e9 }),
        fc.constantFrom(SELLING_EVERY_MS, QUIET_EVERY_MS),
        (id, laterMs, everyMs) => {
          const nowMs = NOON + laterMs;
          const turnMs = nextTurnMs(id, nowMs, everyMs);
          expect(turnMs).toBeGreaterThan(nowMs);
          expect(turnMs - nowMs).toBeLessThanOrEqual(everyMs);
          expect(nextTurnMs(id, turnMs, everyMs)).toBe(turnMs + everyMs);
          expect(nextTurnMs(id, turnMs - 1, everyMs)).toBe(turnMs);
        },
      ),
    );
  });

  it('is spread over the minute: of 5,000 shops no second has more than twice its share', () => {
    const perSecond = new Array<number>(60).fill(0);
    for (let id = 1; id <= 5_000; id++) {
      const second = Math.floor((nextTurnMs(String(id), NOON, SELLING_EVERY_MS) / 1_000) % 60);
      perSecond[second] = (perSecond[second] ?? 0) + 1;
    }
    expect(Math.max(...perSecond)).toBeLessThan((2 * 5_000) / 60);
  });

  it('comes sooner while a removal is not over', () => {
    const at = (openCase: boolean) => nextLookMs({ id: '1', selling: false, openCase }, NOON) - NOON;
    expect(at(true)).toBeLessThanOrEqual(15_000);
    expect(at(false)).toBeGreaterThan(15_000);
  });
});

describe('a pause', () => {
  it('grows, and stays below a quarter of an hour', () => {
    const pauses = [1, 2, 3, 4, 5, 6, 7, 8, 100].map(tryPauseMs);
    expect(pauses.slice(0, 4)).toEqual([15_000, 30_000, 60_000, 120_000]);
    expect(pauses.at(-1)).toBe(900_000);
  });

  it('after an outage is never long, because nobody says when it ends', () => {
    expect(lookPauseMs(50, 'unavailable', null)).toBe(120_000);
    expect(lookPauseMs(50, 'denied', null)).toBe(900_000);
    expect(lookPauseMs(1, 'throttled', 40_000)).toBe(40_000);
  });
});
