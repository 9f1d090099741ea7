import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * Whether a V3 webhook of PagerDuty comes from whom it says: `X-PagerDuty-Signature: v1=<hex>,v1=<hex>`, HMAC-SHA256 over
 * the raw body. Every signature is held against every secret, so that both sides may rotate at their own time.
 *
 * @returns the first secret that it is signed with; `null` = none
 * Source: PagerDuty developer docs, "Webhooks", "Signatures"
 */
export function signedWith<Secret extends { secret: string }>(
  header: string,
  body: Buffer,
  secrets: readonly Secret[],
): Secret | null {
  const given = header
    .split(',')
    .map((part) => part.trim())
    .filter((part) => /^v1=[0-9a-f]{64}$/i.test(part))
    .map((part) => Buffer.from(part.slice(3), 'hex'));
  let found: Secret | null = null;
  for (const each of secrets) {
    const expected = createHmac('sha256', each.secret).update(body).digest();
    for (const one of given) if (timingSafeEqual(one, expected)) found ??= each;
  }
  return found;
}
