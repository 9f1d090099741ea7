import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { messageOf } from './errors.js';
import { redactText } from './log.js';

export type HttpChunk =
  | { kind: 'chunk'; bytes: Buffer }
  /** The body is whole. */
  | { kind: 'end' }
  /** It ended before its end, or stalled. What came before is right. */
  | { kind: 'cut'; detail: string };

/**
 * The body of an answer, pulled piece by piece and decompressed: as large as it likes, never in memory as a whole.
 *
 * Invariant: what the world does is a value, and the far side is only waited for while somebody waits for it. A reader
 * may pause as long as it likes; a body that brings nothing for `idleMs` while it is read is cut.
 */
export class HttpBody {
  private readonly source: Readable;
  private readonly chunks: AsyncIterator<Buffer, undefined>;
  private last: HttpChunk | null = null;

  /** @param encoding `content-encoding` as served; see `canDecode` */
  constructor(
    private readonly raw: Readable,
    encoding: string,
    private readonly idleMs: number,
  ) {
    // What goes wrong is told by `next`; without a listener, an error after `close` would end the process.
    raw.on('error', () => undefined);
    // The pipeline carries errors and ends both ways.
    this.source = encoding === '' ? raw : pipeline(raw, createGunzip(), () => undefined);
    this.chunks = this.source[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  }

  static canDecode(encoding: string): boolean {
    return encoding === '' || encoding === 'gzip';
  }

  async next(): Promise<HttpChunk> {
    if (this.last !== null) return this.last;
    const stalled = new Error(`nothing came for ${this.idleMs} ms`);
    const timer = setTimeout(() => this.source.destroy(stalled), this.idleMs);
    try {
      const { done, value } = await this.chunks.next();
      if (done !== true) return { kind: 'chunk', bytes: value };
      this.last ??= { kind: 'end' };
    } catch (error) {
      this.last ??= { kind: 'cut', detail: redactText(messageOf(error)) };
    } finally {
      clearTimeout(timer);
    }
    return this.last;
  }

  /** Safe to call at any time, and twice. */
  close(): void {
    this.last ??= { kind: 'cut', detail: 'closed' };
    this.source.destroy();
    this.raw.destroy();
  }
}
