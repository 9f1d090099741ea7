import { createHash } from 'node:crypto';

/** What is kept of a token that died with an installation: enough to know it again. Tokens are random, so no salt. */
export function tokenHash(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
