import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../../src/kernel/errors.js';

type Truthy<T> = Exclude<T, false | 0 | '' | null | undefined>;

/**
 * Waits for a fact.
 *
 * @param fact asked again and again until its answer is truthy; what it throws counts as "not yet"
 * @returns the first truthy answer
 * @throws Error with the last answer or failure when the time is up
 */
export async function until<T>(
  fact: () => T | Promise<T>,
  options: { timeoutMs?: number; everyMs?: number; what?: string } = {},
): Promise<Truthy<T>> {
  const { timeoutMs = 10_000, everyMs = 10, what = fact.toString() } = options;
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    let last: { answer: T } | { failure: unknown };
    try {
      const answer = await fact();
      if (answer) return answer as Truthy<T>;
      last = { answer };
    } catch (failure) {
      last = { failure };
    }
    if (performance.now() > deadlineMs) {
      const seen =
        'failure' in last ? `it failed with: ${messageOf(last.failure)}` : `last answer: ${show(last.answer)}`;
      throw new Error(`not true within ${timeoutMs} ms: ${what}; ${seen}`, {
        cause: 'failure' in last ? last.failure : undefined,
      });
    }
    await pause(everyMs);
  }
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
