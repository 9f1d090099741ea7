import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/**
 * The outbound call would have reached inside. Says the name that was asked for and where it led, no more.
 */
export class AddressRefused extends Error {
  readonly code = 'ADDRESS_REFUSED';
}

/**
 * Keeps outbound calls to URLs that users give away from private, loopback, link-local, metadata, shared (CGNAT) and
 * reserved addresses, except where configuration allows a range.
 *
 * Invariant: the address that was checked is the address that is connected to. `lookup` does the resolving for the
 * socket itself, so a name that answers differently the second time (DNS rebinding) gains nothing.
 */
export class AddressGuard {
  private readonly allowed: readonly (readonly [Address, number])[];

  /**
   * @param allowedRanges CIDR ranges (`security.allowPrivateAddresses`); a single address counts as a range of one
   * @throws TypeError naming the range that cannot be read
   */
  constructor(
    allowedRanges: readonly string[],
    private readonly resolve: typeof systemLookup = systemLookup,
  ) {
    this.allowed = allowedRanges.map((range) => {
      const fault = rangeFault(range);
      if (fault !== null) throw new TypeError(fault);
      return parseRange(range);
    });
  }

  /** @param address a literal IPv4 or IPv6 address */
  permits(address: string): boolean {
    if (!ipaddr.isValid(address)) return false;
    const parsed = innermost(ipaddr.parse(address.split('%', 1)[0] ?? address));
    if (isPublic(parsed)) return true;
    return this.allowed.some(([network, bits]) => network.kind() === parsed.kind() && parsed.match(network, bits));
  }

  /**
   * For hosts that are literal addresses, which no lookup is asked for.
   *
   * @throws AddressRefused
   */
  checkHost(host: string): void {
    const bare = host.startsWith('[') ? host.slice(1, -1) : host;
    if (isIP(bare) !== 0 && !this.permits(bare)) throw new AddressRefused(`${bare} is a private address`);
  }

  /** Resolves for a socket; answers only addresses that are permitted. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    const answer = callback as (error: Error | null, address?: string | LookupAddress[], family?: number) => void;
    this.resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return answer(error);
      const permitted = addresses.filter(({ address }) => this.permits(address));
      const [first] = permitted;
      if (first === undefined) {
        const led = addresses.map(({ address }) => address).join(', ') || 'nowhere';
        return answer(new AddressRefused(`${hostname} leads to ${led}, a private address`));
      }
      return options.all === true ? answer(null, permitted) : answer(null, first.address, first.family);
    });
  };
}

/** @returns what is wrong with a range of `security.allowPrivateAddresses`; `null` = nothing */
export function rangeFault(range: string): string | null {
  try {
    parseRange(range);
    return null;
  } catch {
    return `${JSON.stringify(range)} is no IP address and no CIDR range such as 10.0.0.0/8`;
  }
}

function parseRange(range: string): [Address, number] {
  if (range.includes('/')) return ipaddr.parseCIDR(range);
  const address = ipaddr.parse(range);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}

/** Of IPv6, only 2000::/3 has been given out; the rest holds deprecated and local forms (site-local, IPv4-compatible). */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');

function isPublic(address: Address): boolean {
  if (address.range() !== 'unicast') return false;
  return address.kind() === 'ipv4' || (address as ipaddr.IPv6).match(GLOBAL_IPV6);
}

const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');
const SIX_TO_FOUR = ipaddr.IPv6.parseCIDR('2002::/16');

/** An IPv6 address that wraps an IPv4 one (mapped, NAT64, 6to4) leads to that IPv4 address: judge what is inside. */
function innermost(address: Address): Address {
  if (address.kind() === 'ipv4') return address;
  const outer = address as ipaddr.IPv6;
  if (outer.isIPv4MappedAddress()) return outer.toIPv4Address();
  const bytes = outer.toByteArray();
  if (outer.match(NAT64)) return new ipaddr.IPv4(bytes.slice(12));
  if (outer.match(SIX_TO_FOUR)) return new ipaddr.IPv4(bytes.slice(2, 6));
  return outer;
}
