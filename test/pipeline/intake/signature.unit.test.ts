import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SignatureCheck } from '../../../src/pipeline/intake/signature.js';

const check = (...secrets: string[]) => new SignatureCheck(secrets.map((secret) => ({ secret, world: 'real' })));

// printf '%s' "$BODY" | openssl dgst -sha256 -hmac "$SECRET" -binary | base64
const OPENSSL = [
  { secret: 'hush', body: '{"id":820982911946154508}', hmac: 'qBvrsZF7RfB1iS6BX6IHqJTp5L911P7intnPeTPsH0I=' },
  { secret: 'hush', body: '{"note":"Größe M 👕"}\n', hmac: 'Rp3i1U/s7sjKm4234eb9L5/r2trVdzRwfNRCRh5cTlg=' },
] as const;

describe('a signature', () => {
  it.each(OPENSSL)('made by openssl over $body is accepted', ({ secret, body, hmac }) => {
    expect(check(secret).verify(Buffer.from(body), hmac)).toEqual({ world: 'real' });
    expect(check(secret).verify(Buffer.from(`${body} `), hmac)).toBeNull();
    expect(check('other').verify(Buffer.from(body), hmac)).toBeNull();
  });

  it('by an older secret stays accepted', () => {
    const [{ secret, body, hmac }] = OPENSSL;
    expect(check('newer', secret).verify(Buffer.from(body), hmac)).toEqual({ world: 'real' });
  });

  it('tells the world of the secret that made it', () => {
    const [{ secret, body, hmac }] = OPENSSL;
    const both = new SignatureCheck([
      { secret: 'of real shops', world: 'real' },
      { secret, world: 'sandbox' },
    ]);
    expect(both.verify(Buffer.from(body), hmac)).toEqual({ world: 'sandbox' });
  });

  const [{ secret, body, hmac }] = OPENSSL;
  it.each([
    ['missing', undefined],
    ['empty', ''],
    ['too short', 'AAAA'],
    ['hex', Buffer.from(hmac, 'base64').toString('hex')],
    ['without its padding', hmac.slice(0, -1)],
    ['padded twice', `${hmac}=`],
    ['with a blank around it', ` ${hmac}`],
    ['URL-safe base64', Buffer.from(hmac, 'base64').toString('base64url')],
    ['with bits set that base64 ignores', `${hmac.slice(0, 42)}${nextDigit(hmac[42] ?? 'A')}=`],
    ['sent twice', `${hmac}, ${hmac}`],
    ['64 digits that are no digest', 'A'.repeat(63) + '='],
  ])('that is %s is refused without throwing', (_, header) => {
    expect(check(secret).verify(Buffer.from(body), header)).toBeNull();
  });
});

// The digit after it differs only in the two bits that a decoder drops.
function nextDigit(digit: string): string {
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  return digits[digits.indexOf(digit) + 1] ?? 'A';
}

interface Vectors {
  positive: { name: string; secret: string; body_base64?: string; body_file?: string; hmac_sha256_base64: string }[];
  negative: { name: string; header: string | null; body_utf8: string }[];
}
const VECTORS = new URL('../../../../shared/data/shopify/hmac/vectors.json', import.meta.url);

describe.skipIf(!existsSync(VECTORS))('the collected vectors', () => {
  const vectors = existsSync(VECTORS)
    ? (JSON.parse(readFileSync(VECTORS, 'utf8')) as Vectors)
    : { positive: [], negative: [] };
  it.each(vectors.positive)('accepts $name', (vector) => {
    const bytes = vector.body_file
      ? readFileSync(new URL(`../${vector.body_file}`, VECTORS))
      : Buffer.from(vector.body_base64 ?? '', 'base64');
    expect(check('another', vector.secret).verify(bytes, vector.hmac_sha256_base64)).toEqual({ world: 'real' });
  });
  it.each(vectors.negative.filter(({ name }) => name !== 'empty-body'))('refuses $name', ({ header, body_utf8 }) => {
    const newest = check('shpss_1111new1111new1111new1111new1111');
    expect(newest.verify(Buffer.from(body_utf8), header ?? undefined)).toBeNull();
  });
});
