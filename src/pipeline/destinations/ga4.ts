import { z } from 'zod';
import type { Clock } from '../../kernel/clock.js';
import { messageOf } from '../../kernel/errors.js';
import type { HttpOut } from '../../kernel/http-out.js';
import type { Logger } from '../../kernel/log.js';
import type { Destination, Kind } from '../contract.js';
import type { DeliveryItem, DestinationAdapter, Formatted, Outcome, SendItem } from './adapter.js';
import { BODY_MAX_BYTES, GA4_EVENT_NAMES, formatGa4, type Ga4Request } from './ga4-format.js';
import type { Ga4ReadBack } from './ga4-read-back.js';
import { GA4_SETTINGS, type Ga4Settings } from './ga4-settings.js';
import { faultOutcome, outcomeOf, withoutSecrets } from './outcome.js';
import { OwnSettings } from './own-settings.js';

const HEADERS = { 'content-type': 'application/json', 'user-agent': 'Plumbline' };
const DEBUG_DEADLINE_MS = 4_000; // leaves the rest of the ten seconds to the event itself

/**
 * GA4's Measurement Protocol. A 2xx says that bytes arrived and no more, so `accepted` here is never `confirmed`.
 *
 * Repeating a purchase has one effect: GA4 drops a second one with the same transaction_id, and both the id and the
 * client id are the same on every try. A refund is not known to be dropped, and a begin_checkout is counted each time
 * it comes. Both are therefore not repeated after an ambiguous failure: a doubled refund falsifies revenue, a doubled
 * checkout the funnel, and a checkout that may be missing is no order lost - the ledger says `unconfirmable`.
 *
 * One event a request: a request has one client_id, and events of one client in one batch are rare; and GA4 judges a
 * request as a whole, so that alone no event can take another down.
 * Source: docs/destinations/ga4.md
 */
export class Ga4Adapter implements DestinationAdapter {
  readonly kind = 'ga4';
  readonly kinds: ReadonlySet<Kind> = new Set(Object.keys(GA4_EVENT_NAMES) as Kind[]);
  readonly batch = { items: 1, bytes: BODY_MAX_BYTES };
  readonly secretKeys = ['apiSecret', 'serviceAccount'];
  private readonly settings = new OwnSettings<Ga4Settings>(GA4_SETTINGS);
  /** Shapes of events the validation server has found no fault with, by destination. */
  private readonly validShapes = new Set<string>();

  constructor(
    private readonly http: Pick<HttpOut, 'request' | 'close'>,
    private readonly clock: Clock,
    private readonly log: Logger,
    readonly readBack: Ga4ReadBack,
  ) {}

  isIdempotent(kind: Kind): boolean {
    return kind === 'purchase';
  }

  checkSettings(own: Readonly<Record<string, unknown>>): { key: string; message: string }[] {
    return this.settings.faults(own);
  }

  format(item: DeliveryItem, destination: Destination): Formatted {
    return formatGa4(item, destination, this.settings.orNull(destination)?.transactionId ?? 'order-id');
  }

  async send(items: readonly SendItem[], destination: Destination, signal: AbortSignal): Promise<Outcome[]> {
    return Promise.all(
      items.map(({ kind, formatted }) =>
        // `formatted.request` comes from `format` above: the type is lost in the contract's common shape only.
        this.sendOne(kind, formatted.request as Ga4Request, destination, signal).catch((error: unknown) =>
          faultOutcome(messageOf(error)),
        ),
      ),
    );
  }

  async close(): Promise<void> {
    await Promise.all([this.http.close(), this.readBack.close()]);
  }

  private async sendOne(
    kind: Kind,
    request: Ga4Request,
    destination: Destination,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const settings = this.settings.of(destination);
    const secrets = [settings.apiSecret];
    if (settings.validate) {
      const faults = await this.validate(request, destination, settings, signal);
      if (faults !== null) {
        return { outcome: 'rejected', lane: 'ours', reason: 'ga4-validation', detail: withoutSecrets(faults, secrets) };
      }
    }
    const url = collectUrl(settings, '/mp/collect');
    const result = await this.http.request({ method: 'POST', url, headers: HEADERS, body: request.body, signal });
    return outcomeOf(result, { nowMs: this.clock.nowMs(), idempotent: this.isIdempotent(kind), secrets });
  }

  /**
   * Asks the validation server about a shape of event it has not seen from here.
   *
   * @returns its messages; `null` = no fault, or no opinion (it cannot be reached: that must not hold an order back)
   */
  private async validate(
    request: Ga4Request,
    destination: Destination,
    settings: Ga4Settings,
    signal: AbortSignal,
  ): Promise<string | null> {
    const key = `${destination.id} ${request.shape}`;
    if (this.validShapes.has(key)) return null;
    const result = await this.http.request({
      method: 'POST',
      url: collectUrl(settings, '/debug/mp/collect'),
      headers: HEADERS,
      body: request.body,
      signal,
      deadlineMs: DEBUG_DEADLINE_MS,
    });
    const messages = result.kind === 'answer' ? readMessages(result.body) : null;
    if (messages === null) {
      this.log.debug({ destination: destination.name }, 'GA4 validation gave no opinion');
      return null;
    }
    if (messages.length > 0) return messages.join('; ');
    this.validShapes.add(key);
    return null;
  }
}

function collectUrl(settings: Ga4Settings, path: string): string {
  const fallback =
    settings.region === 'eu' ? 'https://region1.google-analytics.com' : 'https://www.google-analytics.com';
  const query = new URLSearchParams({ measurement_id: settings.measurementId, api_secret: settings.apiSecret });
  return `${(settings.endpoint ?? fallback).replace(/\/+$/, '')}${path}?${query.toString()}`;
}

const DEBUG_ANSWER = z.object({
  validationMessages: z.array(
    z.object({ fieldPath: z.string().optional(), description: z.string(), validationCode: z.string().optional() }),
  ),
});

function readMessages(body: string): string[] | null {
  try {
    const answer = DEBUG_ANSWER.parse(JSON.parse(body));
    return answer.validationMessages.map(
      ({ fieldPath, description, validationCode }) =>
        `${validationCode ?? 'INVALID'} ${fieldPath ?? ''}: ${description}`,
    );
  } catch {
    return null;
  }
}
