import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/kernel/random.js';
import { Lane } from '../../../src/pipeline/delivery/lane.js';
import { isSpent, retryDelayMs } from '../../../src/pipeline/delivery/retry.js';

const KEY = { shopId: '1', destinationId: 1 };

function laneAfterFailures(count: number, nowMs = 1_000): Lane {
  const lane = new Lane(KEY);
  for (let i = 0; i < count; i++) lane.failed(nowMs, 'HTTP 503', null, new SeededRandom(1));
  return lane;
}

describe('a lane', () => {
  it('takes one failure for a blink and three in a row for an outage', () => {
    expect(laneAfterFailures(1).state).toBe('closed');
    expect(laneAfterFailures(2).state).toBe('closed');
    expect(laneAfterFailures(3).state).toBe('open');
  });

  it('forgets failures once something succeeds between them', () => {
    const lane = laneAfterFailures(2);
    lane.succeeded();
    expect(lane.failed(1_000, 'HTTP 503', null, new SeededRandom(1))).toBe(false);
    expect(lane.state).toBe('closed');
  });

  it('lets nothing pass while it is blocked, then one probe at a time', () => {
    const lane = laneAfterFailures(3);
    const retryAtMs = lane.retryAt?.getTime() ?? 0;
    expect(retryAtMs).toBeGreaterThan(1_000);
    expect(lane.room(retryAtMs - 1)).toBe(0);
    expect(lane.room(retryAtMs)).toBe(1);
    lane.sending = 1;
    expect(lane.room(retryAtMs)).toBe(0);
  });

  it('takes what fails beside the failure that opened it for the same trouble, and probes a second later', () => {
    const lane = laneAfterFailures(32);
    expect(lane.retryAt?.getTime()).toBeLessThanOrEqual(2_000);
  });

  it('probes at growing pauses that never pass half a minute', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = new SeededRandom(seed);
        const lane = laneAfterFailures(3);
        let nowMs = lane.retryAt?.getTime() ?? 0;
        for (let probe = 0; probe < 20; probe++) {
          lane.failed(nowMs, 'HTTP 503', null, random);
          const pauseMs = (lane.retryAt?.getTime() ?? 0) - nowMs;
          expect(pauseMs).toBeGreaterThanOrEqual(500);
          expect(pauseMs).toBeLessThanOrEqual(30_000);
          nowMs += pauseMs;
        }
      }),
    );
  });

  it('obeys the pause the destination asks for, even before it counts as blocked', () => {
    const lane = new Lane(KEY);
    lane.failed(1_000, 'HTTP 429', 7_000, new SeededRandom(1));
    expect(lane.state).toBe('closed');
    expect(lane.room(7_999)).toBe(0);
    expect(lane.room(8_000)).toBeGreaterThan(0);
  });

  it('says when it has come back, and begins gently', () => {
    const lane = laneAfterFailures(3);
    expect(lane.succeeded()).toBe(true);
    expect(lane.state).toBe('closed');
    expect(lane.room(0)).toBe(1);
    expect(lane.succeeded()).toBe(false);
    expect(lane.room(0)).toBe(2);
  });

  it('speeds up with success, slows down with trouble, and stays between 1 and 32', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 3_000 }), (successes) => {
        const lane = new Lane(KEY);
        for (const success of successes) {
          if (success) lane.succeeded();
          else lane.failed(0, 'x', null, new SeededRandom(1));
          if (lane.state === 'closed') {
            expect(lane.room(Number.MAX_SAFE_INTEGER)).toBeGreaterThanOrEqual(1);
            expect(lane.room(Number.MAX_SAFE_INTEGER)).toBeLessThanOrEqual(32);
          }
        }
      }),
    );
    const lane = new Lane(KEY);
    for (let i = 0; i < 2_000; i++) lane.succeeded();
    expect(lane.room(0)).toBe(32);
    lane.failed(0, 'x', null, new SeededRandom(1));
    expect(lane.room(0)).toBe(16);
  });

  it('takes over what another process knows of an outage', () => {
    const lane = new Lane(KEY);
    lane.restoreOpen(500, 9_000, 'HTTP 503');
    expect(lane.state).toBe('open');
    expect(lane.room(8_999)).toBe(0);
    expect(lane.openSince?.getTime()).toBe(500);
  });
});

describe('retrying', () => {
  it('waits at random up to a ceiling that doubles, and no longer than 15 minutes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.integer(), (attempt, seed) => {
        const delayMs = retryDelayMs(attempt, null, new SeededRandom(seed));
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(Math.min(900_000, 1_000 * 2 ** Math.min(attempt - 1, 30)));
      }),
    );
  });

  it('never comes back before Retry-After', () => {
    expect(retryDelayMs(1, 30_000, { next: () => 0 })).toBe(30_000);
    expect(retryDelayMs(1, 30_000, { next: () => 0.999 })).toBe(30_000);
  });

  it('gives up after 72 hours and not before', () => {
    expect(isSpent(0, 72 * 3_600_000)).toBe(false);
    expect(isSpent(0, 72 * 3_600_000 + 1)).toBe(true);
  });
});
