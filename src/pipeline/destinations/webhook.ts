import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../../kernel/clock.js';
import { messageOf } from '../../kernel/errors.js';
import type { HttpOut } from '../../kernel/http-out.js';
import { KIND_CODES, type Destination, type Kind } from '../contract.js';
import type { DeliveryItem, DestinationAdapter, Formatted, Outcome, SendItem } from './adapter.js';
import { eventRecord, recordText } from './event-record.js';
import { faultOutcome, outcomeOf } from './outcome.js';
import { OwnSettings } from './own-settings.js';
import { httpUrl } from './own-url.js';
import { secretFault, signStandardWebhook, signingKey } from './standard-webhook.js';

/** Headers that the signature or the transport depends on are not for settings. */
const OWN_HEADERS = /^(?:webhook-.*|content-.*|transfer-encoding|connection|host|user-agent)$/i;
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

const SETTINGS = z.strictObject({
  url: httpUrl,
  secret: z.string().superRefine((secret, context) => {
    const message = secretFault(secret);
    if (message !== null) context.addIssue({ code: 'custom', message });
  }),
  headers: z
    .record(z.string(), z.string())
    .superRefine((headers, context) => {
      for (const [name, value] of Object.entries(headers)) {
        const message = !HEADER_NAME.test(name)
          ? 'is no header name'
          : OWN_HEADERS.test(name)
            ? 'is set by Plumbline'
            : HEADER_VALUE.test(value)
              ? null
              : 'has a value that no header can hold';
        if (message !== null) context.addIssue({ code: 'custom', path: [name], message });
      }
    })
    .default({}),
});
type Settings = z.infer<typeof SETTINGS>;

const BODY_MAX_BYTES = 8 * 1024 * 1024; // as large as a webhook may be; Standard Webhooks recommends 20 KB and leaves it there

/**
 * One signed POST an event to an address of the customer's (Standard Webhooks 1.0.0). `webhook-id` is the event id and
 * the same on every try, so that the receiver can tell a repeat; its JSON has the fields of the warehouse's table.
 *
 * 410 means "never again": the event is refused (*theirs*), and the reason `gone` tells whoever watches to disable the
 * destination. A private address is refused unless configuration allows it; the event waits for the configuration.
 */
export class WebhookAdapter implements DestinationAdapter {
  readonly kind = 'webhook';
  readonly kinds: ReadonlySet<Kind> = new Set(Object.keys(KIND_CODES) as Kind[]);
  readonly batch = { items: 1, bytes: BODY_MAX_BYTES };
  readonly secretKeys = ['secret', 'headers'];
  private readonly settings = new OwnSettings<Settings>(SETTINGS);
  private readonly keys = new WeakMap<Settings, KeyObject>();

  constructor(
    private readonly http: Pick<HttpOut, 'request' | 'close'>,
    private readonly clock: Clock,
  ) {}

  isIdempotent(): boolean {
    return true;
  }

  checkSettings(own: Readonly<Record<string, unknown>>): { key: string; message: string }[] {
    return this.settings.faults(own);
  }

  format(item: DeliveryItem, destination: Destination): Formatted {
    const body = recordText(eventRecord(item, destination));
    const bytes = Buffer.byteLength(body);
    if (bytes <= BODY_MAX_BYTES) return { ok: true, request: body, bytes };
    return {
      ok: false,
      lane: 'ours',
      reason: 'too-large',
      detail: `${bytes} bytes, a webhook takes ${BODY_MAX_BYTES}`,
    };
  }

  async send(items: readonly SendItem[], destination: Destination, signal: AbortSignal): Promise<Outcome[]> {
    return Promise.all(
      items.map(({ eventId, formatted }) =>
        this.post(eventId, String(formatted.request), destination, signal).catch((error: unknown) =>
          faultOutcome(messageOf(error)),
        ),
      ),
    );
  }

  async close(): Promise<void> {
    await this.http.close();
  }

  private async post(eventId: string, body: string, destination: Destination, signal: AbortSignal): Promise<Outcome> {
    const settings = this.settings.of(destination);
    const { url, secret, headers } = settings;
    const timestampSeconds = Math.floor(this.clock.nowMs() / 1000);
    const result = await this.http.request({
      method: 'POST',
      url,
      headers: {
        ...headers,
        'content-type': 'application/json',
        'user-agent': 'Plumbline',
        'webhook-id': eventId,
        'webhook-timestamp': String(timestampSeconds),
        'webhook-signature': signStandardWebhook(this.keyOf(settings), eventId, timestampSeconds, body),
      },
      body,
      signal,
    });
    const secrets = [secret, ...Object.values(headers)];
    const outcome = outcomeOf(result, { nowMs: this.clock.nowMs(), idempotent: true, secrets });
    return outcome.outcome === 'rejected' && outcome.status === 410 ? { ...outcome, reason: 'gone' } : outcome;
  }

  private keyOf(settings: Settings): KeyObject {
    let key = this.keys.get(settings);
    if (key === undefined) this.keys.set(settings, (key = signingKey(settings.secret)));
    return key;
  }
}
