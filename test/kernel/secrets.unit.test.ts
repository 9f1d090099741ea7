import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { PlumblineError } from '../../src/kernel/errors.js';
import { SecretBox, parseSecretKeys } from '../../src/kernel/secrets.js';

const [old, fresh] = [randomBytes(32), randomBytes(32)];
const secret = Buffer.from('shpat_very_secret');

describe('what is sealed at rest', () => {
  it('cannot be read without the key, and is whole with it', () => {
    const sealed = new SecretBox([fresh]).seal(secret, 'shop:1');
    expect(sealed.includes(secret)).toBe(false);
    expect(new SecretBox([fresh]).open(sealed, 'shop:1')).toEqual(secret);
  });

  it('opens after a rotation, while the old key stays behind the new one', () => {
    const sealed = new SecretBox([old]).seal(secret, 'shop:1');
    expect(new SecretBox([fresh, old]).open(sealed, 'shop:1')).toEqual(secret);
    expect(new SecretBox([fresh, old]).seal(secret, 'shop:1').subarray(1, 5)).not.toEqual(sealed.subarray(1, 5));
  });

  it('names what is missing when the old key was taken away too early', () => {
    const sealed = new SecretBox([old]).seal(secret, 'shop:1');
    expect(() => new SecretBox([fresh]).open(sealed, 'shop:1')).toThrow(PlumblineError);
    expect(() => new SecretBox([]).open(sealed, 'shop:1')).toThrow(/PLUMBLINE_SECRET_KEY/);
  });

  it('cannot be moved to another place, and cannot be changed', () => {
    const box = new SecretBox([fresh]);
    const sealed = box.seal(secret, 'shop:1');
    expect(() => box.open(sealed, 'shop:2')).toThrow();
    const changed = Buffer.from(sealed);
    changed[20] = (changed[20] ?? 0) ^ 1;
    expect(() => box.open(changed, 'shop:1')).toThrow();
  });

  it('stays readable when it was stored before there was a key', () => {
    const plain = new SecretBox([]).seal(secret, 'shop:1');
    expect(new SecretBox([fresh]).open(plain, 'shop:1')).toEqual(secret);
  });

  it('takes keys of 32 bytes only', () => {
    expect(() => new SecretBox([randomBytes(16)])).toThrow(PlumblineError);
    expect(parseSecretKeys(`${fresh.toString('base64')}, ${old.toString('base64')}`)).toEqual([fresh, old]);
    expect(parseSecretKeys(undefined)).toEqual([]);
  });
});
