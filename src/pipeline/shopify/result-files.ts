import type { HttpBody, HttpChunk } from '../../kernel/http-body.js';
import type { HttpOut } from '../../kernel/http-out.js';
import type { OpenedFile, ResultBody, ShopifyFiles, Shop, World } from '../contract.js';

const IDLE_MS = 30_000; // storage that is well sends within a second

/** Answers of a storage that will not change by asking again: the address has expired, the file is gone or is shorter. */
const GONE: ReadonlySet<number> = new Set([400, 401, 403, 404, 410, 416]);

/**
 * Reads the files that Shopify's bulk operations leave at a storage.
 *
 * Invariant: no token and no other header of the shop goes there; the signed address is all the storage asks for, and it
 * is itself a secret, so no detail tells it.
 */
export class ResultFiles implements ShopifyFiles {
  constructor(private readonly http: Record<World, Pick<HttpOut, 'open'>>) {}

  async open(shop: Shop, url: string, fromByte: number, signal?: AbortSignal): Promise<OpenedFile> {
    const whole = { 'accept-encoding': 'gzip' };
    // A range counts the bytes as they are stored, so it is asked for uncompressed.
    const range = { 'accept-encoding': 'identity', range: `bytes=${fromByte}-` };
    const opened = await this.get(shop, url, fromByte === 0 ? whole : range, signal);
    if (opened.outcome !== 'open' || opened.startsAt === fromByte) return opened;
    if (opened.startsAt === 0) return { outcome: 'open', body: new Skipping(opened.body, fromByte) };
    // Some other part than was asked for, or one whose bytes are not the file's: read from the beginning.
    opened.body.close();
    const again = await this.get(shop, url, whole, signal);
    return again.outcome === 'open' ? { outcome: 'open', body: new Skipping(again.body, fromByte) } : again;
  }

  private async get(
    shop: Shop,
    url: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<Exclude<OpenedFile, { outcome: 'open' }> | { outcome: 'open'; body: HttpBody; startsAt: number | null }> {
    const answer = await this.http[shop.world].open({ url, headers, idleMs: IDLE_MS, ...(signal ? { signal } : {}) });
    if (answer.kind === 'no-answer') {
      const isForGood = answer.code === 'address-refused' || answer.code === 'url';
      return { outcome: isForGood ? 'refused' : 'later', detail: answer.detail };
    }
    const { status, body } = answer;
    if (status === 200) return { outcome: 'open', body, startsAt: 0 };
    if (status === 206) {
      const isPlain = (answer.headers['content-encoding'] ?? '') === '';
      const start = /^bytes (\d+)-/.exec(answer.headers['content-range'] ?? '')?.[1];
      return { outcome: 'open', body, startsAt: isPlain && start !== undefined ? Number(start) : null };
    }
    body.close();
    return { outcome: GONE.has(status) ? 'gone' : 'later', detail: `the storage answered HTTP ${status}` };
  }
}

/** A body without its first bytes, for a storage that knows no ranges. */
class Skipping implements ResultBody {
  constructor(
    private readonly body: HttpBody,
    private left: number,
  ) {}

  async next(): Promise<HttpChunk> {
    for (;;) {
      const next = await this.body.next();
      if (next.kind === 'end' && this.left > 0) return { kind: 'cut', detail: 'the file is shorter than it was' };
      if (next.kind !== 'chunk') return next;
      const skipped = Math.min(this.left, next.bytes.length);
      this.left -= skipped;
      if (skipped < next.bytes.length) return { kind: 'chunk', bytes: next.bytes.subarray(skipped) };
    }
  }

  close(): void {
    this.body.close();
  }
}
