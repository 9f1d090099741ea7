import type { HttpResult } from '../../kernel/http-out.js';
import { redactText } from '../../kernel/log.js';
import { retryAfterMs } from '../../kernel/retry-after.js';
import type { Outcome } from './adapter.js';

const DETAIL_MAX_CHARS = 300;

/** The far side was busy or in doubt, and says so: 408 Request Timeout, 425 Too Early, 429 Too Many Requests. */
const BUSY_STATUSES: ReadonlySet<number> = new Set([408, 425, 429]);

/**
 * What an HTTP answer, or its absence, means for one event.
 *
 * 401 and 403 are the destination's state and not the event's fault: a key that was rotated must not bury thousands of
 * orders. They stay queued (`unreachable`, the detail says credentials), drain by themselves once the key is mended,
 * and are buried in *theirs* when the 72 hours are over. Redirects are treated alike: an address to be mended.
 *
 * @param idempotent whether a repeat with the same event id has one effect; if not, a 5xx may hide an effect and is
 *   ambiguous
 * @param secrets values that the far side might echo; they are taken out of the detail
 */
export function outcomeOf(
  result: HttpResult,
  { nowMs, idempotent, secrets }: { nowMs: number; idempotent: boolean; secrets: readonly string[] },
): Outcome {
  if (result.kind === 'no-effect') {
    return { outcome: 'unreachable', retryAfterMs: null, detail: withoutSecrets(result.detail, secrets) };
  }
  if (result.kind === 'ambiguous') return { outcome: 'ambiguous', detail: withoutSecrets(result.detail, secrets) };

  const { status, headers } = result;
  if (status >= 200 && status < 300) return { outcome: 'accepted', confirmed: false, status };
  const detail = describeAnswer(result, secrets);
  const waitMs = retryAfterMs(headers, nowMs);
  if (BUSY_STATUSES.has(status)) return { outcome: 'throttled', retryAfterMs: waitMs, status, detail };
  if (status === 401 || status === 403) {
    return { outcome: 'unreachable', retryAfterMs: waitMs, status, detail: `credentials rejected: ${detail}` };
  }
  if (status >= 300 && status < 400) {
    return { outcome: 'unreachable', retryAfterMs: waitMs, status, detail: `redirect not followed: ${detail}` };
  }
  if (status >= 400 && status < 500) {
    return { outcome: 'rejected', lane: 'theirs', reason: `http-${status}`, status, detail };
  }
  if (!idempotent) return { outcome: 'ambiguous', status, detail };
  if (waitMs !== null) return { outcome: 'throttled', retryAfterMs: waitMs, status, detail };
  return { outcome: 'unreachable', retryAfterMs: null, status, detail };
}

export function describeAnswer(result: Extract<HttpResult, { kind: 'answer' }>, secrets: readonly string[]): string {
  // Cut after the secrets are out: a cut in the middle of one would leave a half that is no longer recognised.
  const said = withoutSecrets(result.body.replace(/\s+/g, ' ').trim(), secrets).slice(0, DETAIL_MAX_CHARS);
  return said === '' ? `answered ${result.status}` : `answered ${result.status}: ${said}`;
}

export function withoutSecrets(text: string, secrets: readonly string[]): string {
  const known = secrets.filter((secret) => secret.length >= 4);
  return known.reduce((redacted, secret) => redacted.replaceAll(secret, '[redacted]'), redactText(text));
}

/** An adapter answers for every item, whatever happens; a fault of our own leaves the event queued, not lost. */
export function faultOutcome(detail: string): Outcome {
  return { outcome: 'unreachable', retryAfterMs: null, detail: redactText(detail) };
}
