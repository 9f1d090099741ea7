import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffMs, freeSlots, PAGER_PACE, SECOND_PACE, take, type Pace } from '../../../src/alerting/notify/pace.js';
import { SeededRandom } from '../../../src/kernel/random.js';

/** As many as may go, at each instant. @returns when each went */
function greedy(pace: Pace, instants: readonly number[]): number[] {
  let pacedUntilMs = 0;
  return instants.flatMap((nowMs) => {
    const count = freeSlots(pace, pacedUntilMs, nowMs);
    pacedUntilMs = take(pace, pacedUntilMs, nowMs, count);
    return Array.from({ length: count }, () => nowMs);
  });
}

describe('pace', () => {
  it('sends the pager at most 110 of one key in any minute, whenever it is asked', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20_000 }), { maxLength: 200 }), (pauses) => {
        let nowMs = 0;
        const sentAt = greedy(
          PAGER_PACE,
          pauses.map((pause) => (nowMs += pause)),
        );
        for (const startMs of sentAt) {
          expect(sentAt.filter((at) => at >= startMs && at < startMs + 60_000).length).toBeLessThanOrEqual(111);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('lets ten messages go to people at once, and then one every six seconds', () => {
    expect(greedy(SECOND_PACE, [0, 0, 5_999, 6_000, 12_000, 12_001])).toHaveLength(12);
  });

  it('is whole again after a rest', () => {
    const usedUp = take(PAGER_PACE, 0, 0, 30);
    expect(freeSlots(PAGER_PACE, usedUp, 0)).toBe(0);
    expect(freeSlots(PAGER_PACE, usedUp, 30 * 750)).toBe(30);
  });
});

describe('back-off', () => {
  it('is jittered in full, grows, and never ends beyond half a minute', () => {
    const random = new SeededRandom(3);
    const mean = (failures: number): number =>
      Array.from({ length: 500 }, () => backoffMs(failures, random)).reduce((sum, one) => sum + one, 0) / 500;
    expect(mean(1)).toBeLessThan(mean(3));
    expect(mean(3)).toBeLessThan(mean(6));
    for (const failures of [1, 5, 50, 5_000, Number.MAX_SAFE_INTEGER]) {
      expect(backoffMs(failures, random)).toBeGreaterThanOrEqual(250);
      expect(backoffMs(failures, random)).toBeLessThanOrEqual(30_000);
    }
  });
});
