import { createHash } from 'node:crypto';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Clock } from '../kernel/clock.js';
import { lookAt, nothingPublished, type Look, type PageSettings } from './look.js';
import { CLOCK_SKEW_MS, nextChangesMs } from './shown.js';
import type { Publication } from './snapshot.js';
import { servedAt, TYPES, type Resource } from './site.js';

/** Ready to be written: every encoding made once. */
export interface Prepared {
  type: Resource['type'];
  etag: string;
  plain: Buffer;
  gzip: Buffer | null;
  brotli: Buffer | null;
}

/** Below that a packet is a packet. */
const COMPRESSED_FROM_BYTES = 1_024;
/** Level 5 takes 2 ms for a page, once; 11 would take a hundred. */
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } };
/** Ages are told in minutes. */
const MINUTE_MS = 60_000;

/**
 * The published page in memory, each part of it rendered and compressed once and then handed out.
 *
 * Invariant: what is handed out is true at the time it is asked for. A rendering ends with the minute (for the ages in
 * it) and at every instant at which a proof, a publication, an entry or a promise runs out, also when nobody publishes.
 */
export class ServedPage {
  private publication: Publication | null = null;
  private look: Look | null = null;
  private validUntilMs = -Infinity;
  private prepared = new Map<string, Prepared>();

  constructor(private readonly deps: { clock: Clock; settings: () => PageSettings }) {}

  /** What is published now, as far as this process has heard. */
  get current(): Publication | null {
    return this.publication;
  }

  /** Heard anew; an older one changes nothing. */
  take(publication: Publication): void {
    const known = this.publication;
    // One from a clock that is ahead gives way to any other.
    const isAhead = known !== null && known.confirmedAtMs - this.deps.clock.nowMs() > CLOCK_SKEW_MS;
    if (known !== null && !isAhead && known.confirmedAtMs > publication.confirmedAtMs) return;
    this.publication = publication;
    // The confirmation alone changes words only with the minute; while it is seconds old nobody can tell.
    const isSame =
      known?.version === publication.version && known.snapshot.changedAtMs === publication.snapshot.changedAtMs;
    if (!isSame || minuteOf(known?.confirmedAtMs ?? 0) !== minuteOf(publication.confirmedAtMs))
      this.validUntilMs = -Infinity;
  }

  /** What the public is told now. */
  now(): Look {
    this.renew();
    return this.look ?? this.lookNow();
  }

  /** @param path after `/status/`; @returns `null` = there is no such thing */
  at(path: string): Prepared | null {
    this.renew();
    const known = this.prepared.get(path);
    if (known !== undefined) return known;
    const resource = servedAt(path, this.look ?? this.lookNow());
    if (resource === null) return null;
    const made = prepare(resource);
    this.prepared.set(path, made);
    return made;
  }

  private renew(): void {
    const nowMs = this.deps.clock.nowMs();
    if (nowMs < this.validUntilMs && this.look !== null && nowMs >= this.look.nowMs) return;
    this.look = this.lookNow();
    this.prepared = new Map();
    const { publication } = this.look;
    const promises = publication.snapshot.incidents.flatMap(({ nextUpdateAtMs }) => nextUpdateAtMs ?? []);
    const minuteEndsMs = (minuteOf(nowMs) + 1) * MINUTE_MS;
    const ends = [...nextChangesMs(publication, nowMs), ...promises.map((atMs) => atMs + 1)];
    this.validUntilMs = Math.min(minuteEndsMs, ...ends.filter((atMs) => atMs > nowMs));
  }

  private lookNow(): Look {
    const nowMs = this.deps.clock.nowMs();
    return lookAt(this.publication ?? nothingPublished(nowMs), this.deps.settings(), nowMs);
  }
}

export function prepare({ type, text }: Resource): Prepared {
  const plain = Buffer.from(text);
  const isLarge = plain.length >= COMPRESSED_FROM_BYTES;
  return {
    type,
    // Weak: one for all encodings of the same text (RFC 9110, 8.8.3).
    etag: `W/"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`,
    plain,
    gzip: isLarge ? gzipSync(plain) : null,
    brotli: isLarge ? brotliCompressSync(plain, BROTLI) : null,
  };
}

export function contentType({ type }: Pick<Prepared, 'type'>): string {
  return TYPES[type];
}

function minuteOf(ms: number): number {
  return Math.floor(ms / MINUTE_MS);
}
