import { describe, expect, it } from 'vitest';
import type { lookup } from 'node:dns';
import { AddressGuard, rangeFault } from '../../src/kernel/address-guard.js';

const strict = new AddressGuard([]);

describe('AddressGuard', () => {
  it.each([
    '127.0.0.1', '127.8.9.1', '10.1.2.3', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254', '0.0.0.0',
    '100.64.0.1', '192.0.0.1', '198.18.0.1', '203.0.113.5', '224.0.0.1', '240.0.0.1', '255.255.255.255',
    '::1', '::', 'fe80::1', 'fe80::1%eth0', 'fc00::1', 'fd12:3456::1', 'fec0::1', 'ff02::1', '2001:db8::1',
    '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:10.0.0.1', '::127.0.0.1', '64:ff9b::7f00:1', '64:ff9b::a00:1',
    '2002:7f00:1::', '2002:0a00:0001::1', '100::1', 'not an address', '',
  ])('refuses %s', (address) => {
    expect(strict.permits(address)).toBe(false);
  }); // prettier-ignore

  it.each(['93.184.216.34', '8.8.8.8', '2606:2800:220:1:248:1893:25c8:1946', '::ffff:8.8.8.8', '64:ff9b::808:808'])(
    'permits %s',
    (address) => {
      expect(strict.permits(address)).toBe(true);
    },
  );

  it('permits what configuration allows, and no neighbour of it', () => {
    const guard = new AddressGuard(['127.0.0.0/8', '10.0.0.5', 'fd00::/8']);
    expect(['127.0.0.1', '::ffff:127.0.0.1', '10.0.0.5', 'fd00::1'].every((a) => guard.permits(a))).toBe(true);
    expect(['10.0.0.6', '::1', 'fc00::1', '169.254.169.254'].some((a) => guard.permits(a))).toBe(false);
  });

  it('names a range that cannot be read', () => {
    expect(rangeFault('10.0.0.0/99')).toContain('10.0.0.0/99');
    expect(rangeFault('localhost')).toContain('localhost');
    expect(rangeFault('10.0.0.0/8')).toBeNull();
    expect(() => new AddressGuard(['x'])).toThrow('"x" is no IP address');
  });

  it('checks hosts that are literal addresses, brackets included, and leaves names to the lookup', () => {
    expect(() => strict.checkHost('[::1]')).toThrow('private');
    expect(() => strict.checkHost('169.254.169.254')).toThrow('private');
    expect(() => strict.checkHost('localhost')).not.toThrow();
  });

  const resolvingTo = (...addresses: string[]): typeof lookup =>
    ((_host: string, _options: object, callback: (error: null, found: object[]) => void) => {
      callback(null, addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
    }) as unknown as typeof lookup; // prettier-ignore

  it('gives a socket only the permitted addresses of a name', async () => {
    const guard = new AddressGuard([], resolvingTo('10.0.0.1', '8.8.8.8', '::1'));
    const found = await new Promise((resolve) => {
      guard.lookup('mixed.example', { all: true }, (_error, addresses) => resolve(addresses));
    });
    expect(found).toEqual([{ address: '8.8.8.8', family: 4 }]);
  });

  it('refuses a name that leads only inside, and says where it led', async () => {
    const guard = new AddressGuard([], resolvingTo('169.254.169.254'));
    const error = await new Promise<Error | null>((resolve) => guard.lookup('sly.example', {}, resolve));
    expect(error?.message).toBe('sly.example leads to 169.254.169.254, a private address');
  });
});
