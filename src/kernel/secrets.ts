import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { PlumblineError } from './errors.js';

const MAGIC_PLAIN = 0x00;
const MAGIC_SEALED = 0x01;
const KEY_ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

interface Key {
  id: Buffer;
  key: Buffer;
}

/**
 * Seals credentials and payloads at rest (AES-256-GCM). Several keys allow rotation: the first seals, all open.
 * Without a key the bytes are stored as they are, marked so, and opened again later even when a key has come.
 *
 * Sealed form: 0x01, key id (first 4 bytes of SHA-256 of the key), nonce (12), ciphertext, tag (16).
 * Plain form: 0x00, bytes.
 */
export class SecretBox {
  private readonly keys: Key[];

  /** @param keys 32-byte keys, newest first; none = store plain */
  constructor(keys: readonly Buffer[]) {
    this.keys = keys.map((key) => {
      if (key.length !== 32) throw new PlumblineError('CONFIGURATION_INVALID', 'a secret key must be 32 bytes');
      return { key, id: createHash('sha256').update(key).digest().subarray(0, KEY_ID_BYTES) };
    });
  }

  get sealing(): boolean {
    return this.keys.length > 0;
  }

  /** @param purpose binds the bytes to their place, so that one row's secret cannot be moved to another */
  seal(plain: Uint8Array, purpose: string): Buffer {
    const current = this.keys[0];
    if (!current) return Buffer.concat([Buffer.of(MAGIC_PLAIN), plain]);
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', current.key, nonce);
    cipher.setAAD(Buffer.from(purpose));
    const body = cipher.update(plain);
    cipher.final();
    return Buffer.concat([Buffer.of(MAGIC_SEALED), current.id, nonce, body, cipher.getAuthTag()]);
  }

  /** @throws PlumblineError SECRET_KEY_MISSING when no configured key opens it */
  open(stored: Buffer, purpose: string): Buffer {
    if (stored[0] === MAGIC_PLAIN) return stored.subarray(1);
    const id = stored.subarray(1, 1 + KEY_ID_BYTES);
    const found = this.keys.find((key) => key.id.equals(id));
    if (stored[0] !== MAGIC_SEALED || !found) {
      throw new PlumblineError(
        'SECRET_KEY_MISSING',
        `stored bytes (${purpose}) were sealed with key ${id.toString('hex')}, which PLUMBLINE_SECRET_KEY does not hold; add the old key behind the new one`,
      );
    }
    const nonce = stored.subarray(1 + KEY_ID_BYTES, 1 + KEY_ID_BYTES + NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', found.key, nonce);
    decipher.setAAD(Buffer.from(purpose));
    decipher.setAuthTag(stored.subarray(stored.length - TAG_BYTES));
    const body = decipher.update(stored.subarray(1 + KEY_ID_BYTES + NONCE_BYTES, stored.length - TAG_BYTES));
    return Buffer.concat([body, decipher.final()]);
  }

  sealJson(value: unknown, purpose: string): Buffer {
    return this.seal(Buffer.from(JSON.stringify(value)), purpose);
  }

  openJson(stored: Buffer, purpose: string): unknown {
    return JSON.parse(this.open(stored, purpose).toString('utf8'));
  }
}

/** Reads `PLUMBLINE_SECRET_KEY`: one or more 32-byte base64 keys, newest first, separated by commas. */
export function parseSecretKeys(value: string | undefined): Buffer[] {
  if (value === undefined || value.trim() === '') return [];
  return value.split(',').map((part) => Buffer.from(part.trim(), 'base64'));
}
