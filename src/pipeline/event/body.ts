import type { EventBody } from '../contract.js';
import { losslessText } from './lossless-json.js';

/**
 * The body an event was read from: its bytes, which lie outside of V8's heap, and their text for whoever asks.
 *
 * Thousands of events wait for their delivery in memory. As text or parsed, each body would be copied by the garbage
 * collector again and again until it is delivered, and most destinations never look at it.
 */
export class WebhookBody implements EventBody {
  private isCopy = false;

  /** @param bytes of a JSON object; they have been parsed before, so they are valid */
  constructor(private bytes: Buffer) {}

  text(): string {
    return jsonText(this.bytes);
  }

  keep(): void {
    if (this.isCopy) return;
    this.bytes = Buffer.from(this.bytes);
    this.isCopy = true;
  }
}

/** A body's bytes as text that JSON.parse reads losslessly. */
export function jsonText(bytes: Buffer): string {
  return losslessText(withoutByteOrderMark(bytes.toString('utf8')));
}

function withoutByteOrderMark(text: string): string {
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}
