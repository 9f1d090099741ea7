import { describe, expect, it } from 'vitest';
import { retryAfterMs } from '../../src/kernel/retry-after.js';

const NOW_MS = Date.parse('2026-11-23T08:00:00Z');
const SIX_HOURS_MS = 21_600_000;

describe('retryAfterMs', () => {
  it.each([
    [{ 'retry-after': '30' }, 30_000],
    [{ 'retry-after': ' 1.5 ' }, 1_500],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': 'Mon, 23 Nov 2026 08:02:00 GMT' }, 120_000],
    [{ 'retry-after': 'Monday, 23-Nov-26 08:02:00 GMT' }, 120_000],
    [{ 'retry-after': 'Mon, 23 Nov 2026 07:00:00 GMT' }, 0],
    [{ 'retry-after': '99999999' }, SIX_HOURS_MS],
    [{ 'retry-after': 'Mon, 23 Nov 2099 08:00:00 GMT' }, SIX_HOURS_MS],
    [{ 'retry-after': '2', 'x-ratelimit-reset': '60' }, 2_000],
    [{ 'x-ratelimit-reset': '60' }, 60_000],
    [{ 'x-ratelimit-reset': String(NOW_MS / 1000 + 5) }, 5_000],
    [{ 'retry-after': 'soon', 'x-ratelimit-reset': '7' }, 7_000],
    [{ 'retry-after': 'soon' }, null],
    [{ 'retry-after': '-5' }, null],
    [{ 'retry-after': '2026' + '-11-23' }, null],
    [{ 'retry-after': '' }, null],
    [{}, null],
  ])('%j means %s ms', (headers, waitMs) => {
    expect(retryAfterMs(headers as Record<string, string>, NOW_MS)).toBe(waitMs);
  });
});
