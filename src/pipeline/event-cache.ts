import type { PayloadPointer, PipelineEvent } from './contract.js';

export interface ReadWebhook {
  events: readonly PipelineEvent[];
  receivedAtMs: number;
  topic: string;
  webhookId: string;
  shopDomain: string;
}

/**
 * Events the router has read, kept for the delivery that follows a moment later in the same process: each webhook is
 * parsed once however many destinations it has. Bounded by bytes; losing an entry costs one re-read of the inbox.
 */
export class EventCache {
  private readonly entries = new Map<string, { value: ReadWebhook; bytes: number }>();
  private bytes = 0;

  constructor(private readonly maxBytes = 64 * 1024 * 1024) {}

  get(pointer: PayloadPointer): ReadWebhook | undefined {
    return this.entries.get(keyOf(pointer))?.value;
  }

  /** @param bodyBytes the raw body's length; parsed objects take about three times that */
  set(pointer: PayloadPointer, value: ReadWebhook, bodyBytes: number): void {
    const key = keyOf(pointer);
    const bytes = 500 + 3 * bodyBytes;
    const known = this.entries.get(key);
    if (known) this.bytes -= known.bytes;
    this.entries.set(key, { value, bytes });
    this.bytes += bytes;
    // Oldest first: a Map keeps insertion order, and deliveries follow the router's order.
    for (const [oldest, { bytes: freed }] of this.entries) {
      if (this.bytes <= this.maxBytes) break;
      this.entries.delete(oldest);
      this.bytes -= freed;
    }
  }
}

export function keyOf(pointer: PayloadPointer): string {
  return `${pointer.segmentDay}/${pointer.streamId}/${pointer.segmentSeq}/${pointer.entry}`;
}
