import type { InboxEntry, Source, World } from '../contract.js';

const SOURCES = ['http', 'fetch', 'replay', 'reconciliation'] as const satisfies readonly Source[];
const WORLDS = ['real', 'sandbox'] as const satisfies readonly World[];

// Short keys: the header is stored a few hundred million times a month. A new optional key is compatible both ways.
interface Header {
  s: number;
  w: number;
  i: string;
  t: string;
  d: string;
  r: number;
  k?: string;
  v?: string;
  e?: string;
  a?: string;
  h?: string;
  x?: number;
}

/** What a segment keeps of an entry besides its body, as JSON. */
export function encodeHeader(entry: InboxEntry): string {
  const header: Header = {
    s: SOURCES.indexOf(entry.source),
    w: WORLDS.indexOf(entry.world),
    i: entry.webhookId,
    t: entry.topic,
    d: entry.shopDomain,
    r: entry.receivedAtMs,
  };
  if (entry.key !== undefined) header.k = entry.key;
  if (entry.apiVersion !== undefined) header.v = entry.apiVersion;
  if (entry.eventId !== undefined) header.e = entry.eventId;
  if (entry.triggeredAt !== undefined) header.a = entry.triggeredAt;
  if (entry.hmac !== undefined) header.h = entry.hmac;
  if (entry.destinationId !== undefined) header.x = entry.destinationId;
  return JSON.stringify(header);
}

/** @throws Error when the bytes are no header of ours */
export function decodeHeader(bytes: Buffer, body: Buffer): InboxEntry {
  const header = readHeader(bytes);
  const source = SOURCES[header.s];
  const world = WORLDS[header.w];
  if (source === undefined || world === undefined) throw new Error('an entry of unknown source or world');
  const entry: InboxEntry = {
    source,
    world,
    webhookId: header.i,
    topic: header.t,
    shopDomain: header.d,
    receivedAtMs: header.r,
    body,
  };
  if (header.k !== undefined) entry.key = header.k;
  if (header.v !== undefined) entry.apiVersion = header.v;
  if (header.e !== undefined) entry.eventId = header.e;
  if (header.a !== undefined) entry.triggeredAt = header.a;
  if (header.h !== undefined) entry.hmac = header.h;
  if (header.x !== undefined) entry.destinationId = header.x;
  return entry;
}

// The cast is safe for what `encodeHeader` wrote: zstd's and the seal's own checks stand before it.
function readHeader(bytes: Buffer): Header {
  try {
    return JSON.parse(bytes.toString('utf8')) as Header;
  } catch (error) {
    throw new Error('an entry header is not JSON', { cause: error });
  }
}
