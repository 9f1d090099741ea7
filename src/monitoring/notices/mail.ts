import PostalMime, { addressParser } from 'postal-mime';

export type HeaderField = readonly [name: string, value: string];

/** A received mail as far as it is looked at. */
export interface Mail {
  /** Every address that any From header names. An honest mail has one. */
  from: readonly string[];
  subject: string;
  text: string | null;
  html: string | null;
  /** As they came, in order; the receiver's own stand first. */
  headers: readonly HeaderField[];
}

// Far above what Shopify sends, far below what would be work to parse.
const NESTING_MAX = 20;
const HEADER_BYTES_MAX = 256 * 1024;

/**
 * Reads a mail in MIME (RFC 5322, 2045 and following). Never throws: what cannot be parsed is a mail by nobody, with
 * its bytes for a text, so that it is still looked at.
 */
export async function readMime(raw: Buffer): Promise<Mail> {
  try {
    const parsed = await PostalMime.parse(raw, {
      maxNestingDepth: NESTING_MAX,
      maxRfc822NestingDepth: NESTING_MAX / 4,
      maxHeadersSize: HEADER_BYTES_MAX,
    });
    const headers = parsed.headers.map(({ originalKey, value }): HeaderField => [originalKey, value]);
    return {
      from: valuesOf(headers, 'from').flatMap(addressesIn),
      subject: parsed.subject ?? '',
      text: parsed.text ?? null,
      html: parsed.html ?? null,
      headers,
    };
  } catch {
    return { from: [], subject: '', text: raw.toString('utf8'), html: null, headers: [] };
  }
}

/** The addresses of a header such as From. Never throws. */
export function addressesIn(value: string): string[] {
  try {
    return addressParser(value, { flatten: true }).flatMap(({ address }) => (address ? [address] : []));
  } catch {
    return [];
  }
}

/** Every value of a header, in order. @param name in lower case */
export function valuesOf(headers: readonly HeaderField[], name: string): string[] {
  return headers.flatMap(([key, value]) => (key.toLowerCase() === name ? [value] : []));
}

/** @returns the domain of an address in lower case; `null` = it has none */
export function domainOf(address: string): string | null {
  const domain = address
    .slice(address.lastIndexOf('@') + 1)
    .toLowerCase()
    .replace(/\.$/, '');
  return address.includes('@') && domain !== '' ? domain : null;
}

/** Headers in one text, as they stand at the head of a mail (RFC 5322), unfolded. */
export function readHeaderBlock(block: string): HeaderField[] {
  return block
    .replace(/\r?\n(?=[ \t])/g, '')
    .split(/\r?\n/)
    .flatMap((line): HeaderField[] => {
      const colon = line.indexOf(':');
      return colon < 1 ? [] : [[line.slice(0, colon).trim(), line.slice(colon + 1).trim()]];
    });
}
