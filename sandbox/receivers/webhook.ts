import { createHmac, timingSafeEqual } from 'node:crypto';
import { Receiver, Tally, asRecord, keepLatest, parseJson, type Received, type Reply } from './receiver.js';

const TOLERANCE_S = 300;

/** A customer's endpoint after Standard Webhooks 1.0.0: checks the signature, and knows a repeat by `webhook-id`. */
export class WebhookReceiver extends Receiver {
  /** The latest events kept, each id once. */
  readonly events = new Map<string, Record<string, unknown>>();
  /** Arrivals by `webhook-id`, only of requests whose signature holds. */
  readonly webhookIds = new Tally();
  /** Requests whose signature or time did not hold; answered 401. */
  refused = 0;

  /** @param secret `whsec_` and base64, or the key as text; `null` = takes everything */
  constructor(
    private readonly secret: string | null = null,
    seed = 1,
  ) {
    super(seed);
  }

  protected take(request: Received): Reply {
    const id = String(request.headers['webhook-id'] ?? '');
    if (id === '' || (this.secret !== null && !this.isSigned(this.secret, id, request))) {
      this.refused += 1;
      return { status: 401, body: 'signature does not match' };
    }
    const isFirst = this.webhookIds.add(id) === 1;
    if (isFirst) keepLatest(this.events, id, asRecord(parseJson(request.body)));
    return { status: 204 };
  }

  private isSigned(secret: string, id: string, { headers, body, at }: Received): boolean {
    const timestamp = String(headers['webhook-timestamp'] ?? '');
    if (!/^\d+$/.test(timestamp) || Math.abs(at.getTime() / 1000 - Number(timestamp)) > TOLERANCE_S) return false;
    const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret);
    const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest();
    return String(headers['webhook-signature'] ?? '')
      .split(' ')
      .filter((signature) => signature.startsWith('v1,'))
      .map((signature) => Buffer.from(signature.slice(3), 'base64'))
      .some((given) => given.length === expected.length && timingSafeEqual(given, expected));
  }
}
