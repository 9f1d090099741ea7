import { messageOf } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import type { SegmentDraft } from './segment.js';
import { InboxStream, type InboxStreamOptions } from './stream.js';

const RECONNECT_MIN_MS = 250;
const RECONNECT_MAX_MS = 2_000;

export interface StreamSlotOptions extends InboxStreamOptions {
  log: Logger;
  /** The slot has a stream and is free. */
  onReady: () => void;
}

/**
 * A place for one stream. It keeps a stream open: whenever one is lost it opens another on a new connection, again and
 * again with a growing pause, until it is closed.
 */
export class StreamSlot {
  private stream: InboxStream | null = null;
  private inFlight = false;
  private closed = false;
  private retryTimer: NodeJS.Timeout | null = null;
  private failures = 0;
  /** Why there is no stream just now. */
  lastError: string | null = null;

  constructor(private readonly options: StreamSlotOptions) {}

  get state(): 'ready' | 'busy' | 'down' {
    if (this.inFlight) return 'busy';
    return this.stream !== null && !this.stream.lost && !this.closed ? 'ready' : 'down';
  }

  /** Resolves after the first attempt, whatever came of it. */
  async open(): Promise<void> {
    try {
      const stream = await InboxStream.open({ ...this.options, onLost: (error) => this.replace(error) });
      if (this.closed) return await stream.close();
      if (stream.lost) return; // lost between its opening and now: `onLost` has seen to it
      this.stream = stream;
      if (this.failures > 0) this.options.log.info({ stream: stream.id }, 'inbox stream is back');
      this.lastError = null;
      this.options.onReady();
    } catch (error) {
      this.replace(error);
    }
  }

  /** @throws when the draft's entries are not known to be committed */
  async append(draft: SegmentDraft): Promise<number> {
    if (!this.stream) throw new Error('the slot has no stream');
    this.inFlight = true;
    try {
      const bytes = await this.stream.append(draft);
      // Only now: a database that lets streams be opened but takes no segments must not be tried ever faster.
      this.failures = 0;
      return bytes ?? 0;
    } finally {
      this.inFlight = false;
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    if (this.retryTimer) clearTimeout(this.retryTimer);
    await this.stream?.close();
  }

  private replace(error: unknown): void {
    this.stream = null;
    if (this.closed || this.retryTimer) return;
    this.lastError = messageOf(error);
    const pauseMs = Math.min(RECONNECT_MIN_MS * 2 ** this.failures, RECONNECT_MAX_MS);
    this.failures = Math.min(this.failures + 1, 10);
    if (this.failures === 1) this.options.log.warn({ err: error }, 'inbox stream lost; opening another');
    this.retryTimer = setTimeout(() => {
      this.retryTimer = null;
      void this.open();
    }, pauseMs);
    this.retryTimer.unref();
  }
}
