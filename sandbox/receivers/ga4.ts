import { Ga4Reports } from './ga4-reports.js';
import { PretendedGoogle } from './google-account.js';
import {
  KEPT_MAX,
  Receiver,
  Tally,
  asList,
  asRecord,
  jsonReply,
  parseJson,
  type Received,
  type Reply,
} from './receiver.js';

export interface Ga4Event {
  name: string;
  clientId: string;
  measurementId: string;
  timestampMicros: number | null;
  params: Record<string, unknown>;
}

const LIMIT_NAME = /^[A-Za-z][A-Za-z0-9_]{0,39}$/;
const BACKDATE_MS = 72 * 60 * 60 * 1000;
const TOKEN_PATH = '/token';

/**
 * GA4's Measurement Protocol as far as a sender can see it: 204 to everything, garbage and wrong secrets included.
 * What is kept follows GA4: purchases are dropped when (transaction_id, client_id) is known, a time older than 72 hours
 * is moved, and a share can be lost after it was accepted.
 *
 * What was kept can be asked for: `/token` gives access tokens to the service account of `serviceAccount`, and the Data
 * API's `runReport` shows purchases to who has one.
 */
export class Ga4Receiver extends Receiver {
  /** The latest events that arrived, repeats included. */
  readonly events: Ga4Event[] = [];
  /** Purchases by transaction and client: a count above one was dropped by GA4, and shows a repeat. */
  readonly purchases = new Tally();
  /** Refunds by transaction: not dropped by GA4, so every count above one is money refunded twice. */
  readonly refunds = new Tally();
  readonly checkouts = new Tally();
  /** Events by the sender's own id. */
  readonly eventIds = new Tally();
  /** Requests whose body was no Measurement Protocol body; answered 204 all the same. */
  garbage = 0;
  /** Share of events that is answered 204 and then never seen again. */
  acceptThenLoseShare = 0;
  lost = 0;
  /** What the validation server finds with every event besides what it really checks. */
  validationMessages: { fieldPath: string; description: string; validationCode: string }[] = [];

  readonly google = new PretendedGoogle(() => this.nowMs());
  readonly reports = new Ga4Reports(
    () => this.nowMs(),
    () => this.chance(),
  );

  /** The account that may view the property, as a configuration names it. Only once it listens: it holds its address. */
  get serviceAccount(): string {
    return this.google.accountFile(`${this.url}${TOKEN_PATH}`);
  }

  protected override isReport({ path }: Received): boolean {
    return path === TOKEN_PATH || path.startsWith('/v1beta/');
  }

  protected take(request: Received): Reply {
    if (request.path === TOKEN_PATH) return this.google.issue(request, `${this.url}${TOKEN_PATH}`);
    if (request.path.startsWith('/v1beta/')) {
      if (this.google.isValid(request.headers.authorization)) return this.reports.answer(request, this.reportsUnderWay);
      const error = {
        code: 401,
        message: 'Request had invalid authentication credentials.',
        status: 'UNAUTHENTICATED',
      };
      return jsonReply(401, { error });
    }
    if (request.path === '/debug/mp/collect') return this.validate(request);
    if (request.path !== '/mp/collect') return { status: 404 };
    const body = asRecord(parseJson(request.body));
    const events = asList(body['events']);
    if (events.length === 0) this.garbage += 1;
    for (const entry of events) this.keep(asRecord(entry), body, request);
    return { status: 204 };
  }

  private keep(entry: Record<string, unknown>, body: Record<string, unknown>, request: Received): void {
    if (this.acceptThenLoseShare > 0 && this.chance() < this.acceptThenLoseShare) {
      this.lost += 1;
      return;
    }
    const params = asRecord(entry['params']);
    const micros = Number(entry['timestamp_micros'] ?? body['timestamp_micros'] ?? Number.NaN);
    const oldestMicros = (request.at.getTime() - BACKDATE_MS) * 1000;
    const event: Ga4Event = {
      name: String(entry['name']),
      clientId: String(body['client_id']),
      measurementId: request.query.get('measurement_id') ?? '',
      timestampMicros: Number.isNaN(micros) ? null : Math.max(micros, oldestMicros),
      params,
    };
    this.events.push(event);
    if (this.events.length > KEPT_MAX) this.events.shift();
    if (typeof params['event_id'] === 'string') this.eventIds.add(params['event_id']);
    const transaction = typeof params['transaction_id'] === 'string' ? params['transaction_id'] : '';
    if (event.name === 'purchase') {
      this.purchases.add(`${transaction} ${event.clientId}`);
      const atMs = event.timestampMicros === null ? request.at.getTime() : event.timestampMicros / 1000;
      this.reports.keep(transaction, atMs, Number(params['value'] ?? 0));
    }
    if (event.name === 'refund') this.refunds.add(transaction);
    if (event.name === 'begin_checkout') this.checkouts.add(event.clientId);
  }

  /** The documented answer of the validation server; its status is not documented, 200 is assumed. */
  private validate(request: Received): Reply {
    const messages = [...this.validationMessages];
    asList(asRecord(parseJson(request.body))['events']).forEach((entry, index) => {
      const event = asRecord(entry);
      const name = String(event['name']);
      if (!LIMIT_NAME.test(name)) {
        messages.push({
          fieldPath: 'events',
          description: `Event at index: [${index}] has invalid name [${name}]. Names must start with an alphabetic character.`,
          validationCode: 'NAME_INVALID',
        });
      }
      if (Object.keys(asRecord(event['params'])).length > 25) {
        messages.push({
          fieldPath: 'events.params',
          description: `Event at index: [${index}] has too many params.`,
          validationCode: 'EXCEEDED_MAX_ENTITIES',
        });
      }
    });
    return jsonReply(200, { validationMessages: messages });
  }
}
