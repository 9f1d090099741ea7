import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';

const PREFIX = 'whsec_';

/**
 * A secret ready for signing: making it so costs twice what signing 10 KB does.
 *
 * @param secret `whsec_` and base64, or any text, which is then the key as it stands
 */
export function signingKey(secret: string): KeyObject {
  const encoded = secret.startsWith(PREFIX);
  return createSecretKey(encoded ? Buffer.from(secret.slice(PREFIX.length), 'base64') : Buffer.from(secret));
}

/**
 * Standard Webhooks 1.0.0: `v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`.
 *
 * @param timestampSeconds Unix time of this attempt (not of the event): receivers refuse more than five minutes' skew
 * Source: standard-webhooks/standard-webhooks spec/standard-webhooks.md (read 2026-11)
 */
export function signStandardWebhook(key: KeyObject, id: string, timestampSeconds: number, body: string): string {
  const signature = createHmac('sha256', key).update(`${id}.${timestampSeconds}.${body}`).digest('base64');
  return `v1,${signature}`;
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** @returns what is wrong with a secret; `null` = nothing */
export function secretFault(secret: string): string | null {
  if (!secret.startsWith(PREFIX)) return secret.length >= 8 ? null : 'must have at least 8 characters';
  const encoded = secret.slice(PREFIX.length);
  const bytes = Buffer.from(encoded, 'base64').length;
  return BASE64.test(encoded) && bytes >= 24 && bytes <= 64 ? null : 'must be whsec_ and the base64 of 24 to 64 bytes';
}
