import type { Clock } from '../../kernel/clock.js';
import { messageOf } from '../../kernel/errors.js';
import type { HttpOut } from '../../kernel/http-out.js';
import { KIND_CODES, type Destination, type Kind } from '../contract.js';
import type { DeliveryItem, DestinationAdapter, Formatted, Outcome, SendItem } from './adapter.js';
import { bisect, type Tried } from './bisect.js';
import { faultOutcome, outcomeOf } from './outcome.js';
import { OwnSettings } from './own-settings.js';
import { formatSegment, type SegmentRequest } from './segment-format.js';
import type { SegmentReadBack } from './segment-read-back.js';
import { SEGMENT_SETTINGS, type SegmentSettings } from './segment-settings.js';

const DEFAULT_ENDPOINT = 'https://api.segment.io';
const BATCH_MAX_BYTES = 500 * 1024;
const ENVELOPE_BYTES = 100; // {"batch":[…],"sentAt":"…"}

/** Statuses that refuse a whole batch for what is in it. */
const POISON_STATUSES: ReadonlySet<number> = new Set([400, 413, 422]);

/**
 * Segment's HTTP tracking API, in batches. A 200 says the batch was taken, not that its events were: `accepted`.
 *
 * Every kind may be repeated: Segment drops a message whose `messageId` it has seen in the last day, and ours is the
 * event id. A refused batch is halved until the refused event is alone (`bisect`).
 *
 * 401 and 403 leave the events queued rather than bury them: see `outcomeOf`.
 * Source: docs/destinations/segment.md
 */
export class SegmentAdapter implements DestinationAdapter {
  readonly kind = 'segment';
  readonly kinds: ReadonlySet<Kind> = new Set(Object.keys(KIND_CODES) as Kind[]);
  readonly batch = { items: 100, bytes: BATCH_MAX_BYTES - ENVELOPE_BYTES };
  readonly secretKeys = ['writeKey', 'publicToken'];
  private readonly settings = new OwnSettings<SegmentSettings>(SEGMENT_SETTINGS);

  constructor(
    private readonly http: Pick<HttpOut, 'request' | 'close'>,
    private readonly clock: Clock,
    readonly readBack: SegmentReadBack,
  ) {}

  isIdempotent(): boolean {
    return true;
  }

  checkSettings(own: Readonly<Record<string, unknown>>): { key: string; message: string }[] {
    return this.settings.faults(own);
  }

  format(item: DeliveryItem, destination: Destination): Formatted {
    return formatSegment(item, destination);
  }

  async send(items: readonly SendItem[], destination: Destination, signal: AbortSignal): Promise<Outcome[]> {
    // `request` comes from `format` above: the type is lost in the contract's common shape only.
    const messages = items.map(({ formatted }) => (formatted.request as SegmentRequest).message);
    try {
      const settings = this.settings.of(destination);
      return await bisect(messages, (part) => this.post(part, settings, signal));
    } catch (error) {
      return items.map(() => faultOutcome(messageOf(error)));
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.http.close(), this.readBack.close()]);
  }

  private async post(messages: readonly string[], settings: SegmentSettings, signal: AbortSignal): Promise<Tried> {
    // sentAt is the time of this try: Segment corrects clocks with it, while `timestamp` stays the order's.
    const text = `{"batch":[${messages.join(',')}],"sentAt":"${this.clock.now().toISOString()}"}`;
    const body = Buffer.from(text);
    if (messages.length > 1 && body.length > BATCH_MAX_BYTES) {
      return { poisoned: faultOutcome('the batch is over 500 KB') };
    }
    const basic = Buffer.from(`${settings.writeKey}:`).toString('base64');
    const result = await this.http.request({
      method: 'POST',
      url: `${(settings.endpoint ?? DEFAULT_ENDPOINT).replace(/\/+$/, '')}/v1/batch`,
      headers: { 'content-type': 'application/json', 'user-agent': 'Plumbline', authorization: `Basic ${basic}` },
      body,
      signal,
    });
    const secrets = [settings.writeKey, basic];
    const outcome = outcomeOf(result, { nowMs: this.clock.nowMs(), idempotent: true, secrets });
    if (result.kind === 'answer' && POISON_STATUSES.has(result.status)) return { poisoned: outcome };
    return { outcomes: messages.map(() => outcome) };
  }
}
