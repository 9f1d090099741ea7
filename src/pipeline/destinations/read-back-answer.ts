import type { HttpResult } from '../../kernel/http-out.js';
import { retryAfterMs } from '../../kernel/retry-after.js';
import type { ReadBackLater } from '../contract.js';
import { describeAnswer, withoutSecrets } from './outcome.js';

/**
 * Why an answer, or its absence, says nothing of what was received.
 *
 * @param secrets values that the far side might echo; they are taken out of the detail
 */
export function unreadable(
  result: HttpResult,
  { nowMs, secrets }: { nowMs: number; secrets: readonly string[] },
): ReadBackLater {
  if (result.kind !== 'answer') {
    return { outcome: 'later', detail: withoutSecrets(result.detail, secrets), retryAfterMs: null };
  }
  return {
    outcome: 'later',
    detail: sayingOf(result, secrets),
    retryAfterMs: retryAfterMs(result.headers, nowMs),
  };
}

function sayingOf(result: Extract<HttpResult, { kind: 'answer' }>, secrets: readonly string[]): string {
  const { status, complete } = result;
  // What was meant as a good answer may hold a token or an order: its body is not quoted.
  if (status >= 200 && status < 300)
    return `answered ${status}, and the body ${complete ? 'cannot be read' : 'was cut'}`;
  const refused = status === 401 || status === 403 ? 'credentials rejected: ' : '';
  return `${refused}${describeAnswer(result, secrets)}`;
}
