import { stopwatch } from '../kernel/clock.js';
import type { PayloadPointer, PipelineEvent } from './contract.js';

export interface ReadWebhook {
  events: readonly PipelineEvent[];
  receivedAtMs: number;
  topic: string;
  webhookId: string;
  shopDomain: string;
}

interface Entry {
  value: ReadWebhook;
  bytes: number;
  keptMs: number;
}

const WAIT_MS = 60_000; // what nobody has asked for by then waits for a destination that is away

/**
 * Events the router has read, kept for the delivery that follows a moment later in the same process: each webhook is
 * parsed once however many destinations it has. Bounded by bytes; losing an entry costs one re-read of the inbox.
 *
 * When it is full, those go first that have been asked for: their other destinations have mostly asked by then too.
 * Those still waiting are kept before newer ones. The router runs ahead of the deliveries, in the same order; dropping
 * the oldest would drop, all the way through a backlog, exactly what is asked for next.
 */
export class EventCache {
  private readonly waiting = new Map<string, Entry>();
  private readonly asked = new Map<string, Entry>();
  private bytes = 0;

  /** @param elapsedMs counts up from anywhere */
  constructor(
    private readonly maxBytes = 64 * 1024 * 1024,
    private readonly elapsedMs: () => number = stopwatch(),
  ) {}

  get(pointer: PayloadPointer): ReadWebhook | undefined {
    const key = keyOf(pointer);
    const entry = this.waiting.get(key);
    if (entry === undefined) return this.asked.get(key)?.value;
    this.waiting.delete(key);
    this.asked.set(key, entry);
    return entry.value;
  }

  /** @param bodyBytes the raw body's length; what was read of it takes 4 KB besides */
  set(pointer: PayloadPointer, value: ReadWebhook, bodyBytes: number): void {
    const key = keyOf(pointer);
    const bytes = 4_000 + bodyBytes;
    const keptMs = this.elapsedMs();
    this.drop(this.waiting, key);
    this.drop(this.asked, key);
    // Oldest first: a Map keeps insertion order.
    for (const asked of this.asked.keys()) {
      if (this.bytes + bytes <= this.maxBytes) break;
      this.drop(this.asked, asked);
    }
    for (const [oldest, entry] of this.waiting) {
      if (this.bytes + bytes <= this.maxBytes || keptMs - entry.keptMs < WAIT_MS) break;
      this.drop(this.waiting, oldest);
    }
    if (this.bytes + bytes > this.maxBytes) return;
    for (const event of value.events) event.body.keep();
    this.waiting.set(key, { value, bytes, keptMs });
    this.bytes += bytes;
  }

  private drop(entries: Map<string, Entry>, key: string): void {
    const entry = entries.get(key);
    if (entry === undefined) return;
    entries.delete(key);
    this.bytes -= entry.bytes;
  }
}

export function keyOf(pointer: PayloadPointer): string {
  return `${pointer.segmentDay}/${pointer.streamId}/${pointer.segmentSeq}/${pointer.entry}`;
}
