import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto';
import type { World } from '../contract.js';

/** A client secret of the app, and whose webhooks it signs. */
export interface SigningSecret {
  secret: string;
  world: World;
}

const DIGEST_BYTES = 32;
// 32 bytes in base64: 43 digits and one '='. The last digit carries four bits of the digest, so its low two are zero.
const BASE64_DIGEST = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/**
 * Checks `X-Shopify-Hmac-Sha256`: base64(HMAC-SHA256(client secret, raw body bytes)).
 *
 * Several secrets are accepted, because after a rotation it can take an hour until Shopify signs with the new one.
 * Which secret matched tells the world the webhook belongs to. Trying stops at the first that matches: a forger fails
 * all of them and learns nothing from the time, and an honest sender costs one digest.
 * Source: shopify.dev/docs/apps/build/webhooks/verify-deliveries (read 2026-09-11)
 */
export class SignatureCheck {
  private readonly keys: { key: KeyObject; world: World }[];

  /** @param secrets newest first */
  constructor(secrets: readonly SigningSecret[]) {
    this.keys = secrets.map(({ secret, world }) => ({ key: createSecretKey(secret, 'utf8'), world }));
  }

  /** @returns `null` when no secret signed these bytes, or the header is missing or malformed */
  verify(body: Buffer, header: string | undefined): { world: World } | null {
    if (header === undefined || !BASE64_DIGEST.test(header)) return null;
    const claimed = Buffer.from(header, 'base64');
    if (claimed.length !== DIGEST_BYTES) return null;
    for (const { key, world } of this.keys) {
      if (timingSafeEqual(createHmac('sha256', key).update(body).digest(), claimed)) return { world };
    }
    return null;
  }
}
