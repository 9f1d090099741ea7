import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent } from 'node:https';
import { rootCertificates } from 'node:tls';
import { api, event } from '@pagerduty/pdjs';
import type { Clock } from '../../kernel/clock.js';
import { messageOf } from '../../kernel/errors.js';
import { redactText } from '../../kernel/log.js';
import type { Ids } from '../../kernel/random.js';
import { retryAfterMs } from '../../kernel/retry-after.js';
import type { PagerDutySettings } from '../config.js';
import type { Notification, Sending, Sent } from './notification.js';
import { pagerEvent } from './pagerduty-event.js';
import type { PublicUrl } from './words.js';

const DEADLINE_MS = 8_000; // PagerDuty answers within a second; a lease covers several of these
const ANSWER_CHARS_MAX = 300;

/** What PagerDuty says of the incident of a key. */
export interface PagerIncident {
  id: string;
  state: 'triggered' | 'acknowledged' | 'resolved';
  createdAt: Date;
  /** When somebody acknowledged it last; `null` = nobody has, or it does not say. */
  acknowledgedAt: Date | null;
}

export type Looked<Found> = { outcome: 'found'; found: Found } | { outcome: 'unknown'; detail: string };

/**
 * PagerDuty, through its own client, which is bent here to what an outbox needs (docs/adr/0012):
 *
 * - Its `requestTimeout` never ends a request; a signal does.
 * - It resolves on 400 and 500 and rejects on an answer that is no JSON; so the status is read from the answer itself, by
 *   Node's own channel for answers, and nothing depends on the body.
 * - It repeats a 429 three times by itself, after 20 s each, whatever the answer asks for; so a 429 ends the request, and
 *   the outbox repeats.
 */
export class PagerDuty implements Sending {
  private readonly agent: Agent;
  /** Requests under way, by the id they carry. */
  private readonly underWay = new Map<string, (answer: Answer) => void>();
  private readonly onAnswer = (message: unknown): void => {
    const { request, response } = message as { request: ClientRequest; response: IncomingMessage };
    const heard = this.underWay.get(String(request.getHeader('x-request-id') ?? ''));
    heard?.({ status: response.statusCode ?? 0, headers: plainHeaders(response) });
  };

  constructor(
    private readonly options: {
      settings: Pick<PagerDutySettings, 'routingKeys' | 'eventsHost' | 'restHost' | 'token'>;
      /** PEM, trusted besides the usual ones. */
      ca: string | null;
      publicUrl: PublicUrl;
      clock: Clock;
      ids: Ids;
      deadlineMs?: number;
    },
  ) {
    const { ca } = options;
    this.agent = new Agent({
      // A kept connection that the far side closes just then fails a page for nothing; a handshake costs a tenth of a second.
      keepAlive: false,
      maxSockets: 8,
      ...(ca === null ? {} : { ca: [...rootCertificates, ca] }),
    });
    subscribe(ANSWERS, this.onAnswer);
  }

  close(): void {
    unsubscribe(ANSWERS, this.onAnswer);
    this.agent.destroy();
  }

  /** Whether incidents and who is on call can be looked up. */
  get canLook(): boolean {
    return this.options.settings.token !== undefined;
  }

  async send(notification: Notification, signal: AbortSignal): Promise<Sent> {
    const { settings, publicUrl, clock } = this.options;
    const routingKey = routeKeys(settings)[notification.recipient];
    if (routingKey === undefined) return { outcome: 'refused', detail: `there is no route ${notification.recipient}` };
    let data;
    try {
      data = pagerEvent(notification, routingKey, publicUrl);
    } catch (error) {
      return { outcome: 'refused', detail: messageOf(error) };
    }
    const asked = await this.ask(signal, (options) => event({ data, server: settings.eventsHost, ...options }));
    if (asked.answer === null) return { outcome: 'failed', answered: false, detail: asked.detail };
    const { status, headers } = asked.answer;
    // Its REST API tells the wait as `ratelimit-reset`, in seconds ("Rate limits").
    const waitMs = retryAfterMs({ 'x-ratelimit-reset': headers['ratelimit-reset'] ?? '', ...headers }, clock.nowMs());
    const detail = `PagerDuty answered ${status}${asked.detail === '' ? '' : `: ${asked.detail}`}`;
    if (status === 202) return { outcome: 'taken' };
    if (status === 429) return { outcome: 'throttled', retryAfterMs: waitMs, detail };
    if (status >= 400 && status < 500 && status !== 408) return { outcome: 'refused', detail };
    return { outcome: 'failed', answered: true, retryAfterMs: waitMs, detail };
  }

  /** The newest incident of a key, whatever its state; `null` = there is none of the last month. */
  async incident(dedupeKey: string): Promise<Looked<PagerIncident | null>> {
    const parameters = { incident_key: dedupeKey, sort_by: 'created_at:desc', limit: '5' };
    const looked = await this.look('/incidents', parameters);
    if (looked.outcome === 'unknown') return looked;
    const incidents = listOf(looked.found, 'incidents').flatMap((each) => incidentOf(each, dedupeKey) ?? []);
    const newest = incidents.sort((one, other) => other.createdAt.getTime() - one.createdAt.getTime())[0];
    return { outcome: 'found', found: newest ?? null };
  }

  /** Who is on call for a policy now, by name; nobody = an empty list. */
  async onCall(escalationPolicy: string): Promise<Looked<string[]>> {
    const looked = await this.look('/oncalls', {
      'escalation_policy_ids[]': escalationPolicy,
      earliest: 'true',
      'include[]': 'users',
    });
    if (looked.outcome === 'unknown') return looked;
    const nowMs = this.options.clock.nowMs();
    const found = listOf(looked.found, 'oncalls').flatMap((entry) => {
      // No end is for good; no start is since ever.
      const isNow = instantOf(entry['start'], -Infinity) <= nowMs && nowMs < instantOf(entry['end'], Infinity);
      const name = recordOf(entry['user'])['summary'] ?? recordOf(entry['user'])['name'];
      return isNow && typeof name === 'string' ? [name] : [];
    });
    return { outcome: 'found', found: [...new Set(found)] };
  }

  /** Webhook subscriptions to an address of ours that PagerDuty has switched off for a day, by id. */
  async disabledSubscriptions(pathEnd: string): Promise<Looked<string[]>> {
    const looked = await this.look('/webhook_subscriptions', { limit: '100' });
    if (looked.outcome === 'unknown') return looked;
    const found = listOf(looked.found, 'webhook_subscriptions').flatMap((subscription) => {
      const method = recordOf(subscription['delivery_method']);
      const isOurs = typeof method['url'] === 'string' && method['url'].endsWith(pathEnd);
      const isOff = method['temporarily_disabled'] === true || subscription['active'] === false;
      return isOurs && isOff ? [String(subscription['id'])] : [];
    });
    return { outcome: 'found', found };
  }

  private async look(endpoint: string, queryParameters: Record<string, string>): Promise<Looked<unknown>> {
    const { token, restHost } = this.options.settings;
    if (token === undefined) return { outcome: 'unknown', detail: 'no token is configured' };
    const { signal } = new AbortController();
    const asked = await this.ask(signal, (options) =>
      api({ endpoint, method: 'GET', token, server: restHost, queryParameters, ...options }),
    );
    if (asked.answer === null) return { outcome: 'unknown', detail: asked.detail };
    if (asked.answer.status !== 200) return { outcome: 'unknown', detail: `PagerDuty answered ${asked.answer.status}` };
    return { outcome: 'found', found: asked.data };
  }

  private async ask(
    signal: AbortSignal,
    call: (options: RequestOptions) => Promise<{ data: unknown }>,
  ): Promise<{ answer: Answer | null; data: unknown; detail: string }> {
    const id = this.options.ids.uuid();
    const end = new AbortController();
    const deadlineMs = this.options.deadlineMs ?? DEADLINE_MS;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      end.abort();
    }, deadlineMs);
    const onAbort = (): void => end.abort();
    if (signal.aborted) end.abort();
    else signal.addEventListener('abort', onAbort, { once: true });
    let answer: Answer | null = null;
    this.underWay.set(id, (heard) => {
      answer = heard;
      if (heard.status === 429) end.abort(); // before the client waits to repeat it
    });
    try {
      const { data } = await call({
        headers: { 'X-Request-Id': id },
        signal: end.signal,
        agent: this.agent,
        requestTimeout: 0,
        redirect: 'error',
      } as RequestOptions);
      return { answer, data, detail: this.withoutSecrets(answerText(data)) };
    } catch (error) {
      const detail = isLate ? `no answer within ${deadlineMs} ms` : this.withoutSecrets(messageOf(error));
      return { answer, data: null, detail };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      this.underWay.delete(id);
    }
  }

  /** An answer may quote what it was sent. */
  private withoutSecrets(text: string): string {
    const { routingKeys, token } = this.options.settings;
    return [...Object.values(routingKeys), ...(token === undefined ? [] : [token])].reduce(
      (rest, secret) => rest.replaceAll(secret, '[redacted]'),
      redactText(text),
    );
  }
}

/** Source: Node.js, "Diagnostics Channel", "HTTP": published before the answer's headers reach whoever asked. */
const ANSWERS = 'http.client.response.finish';

interface Answer {
  status: number;
  headers: Readonly<Record<string, string>>;
}

/** What the client takes. Its types are those of browsers: node-fetch's `agent` is not among them, and reaches it. */
type RequestOptions = { headers: Record<string, string>; signal: AbortSignal; requestTimeout: number };

function routeKeys({
  routingKeys,
}: Pick<PagerDutySettings, 'routingKeys'>): Readonly<Record<string, string | undefined>> {
  return routingKeys;
}

function plainHeaders({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, [value].flat().join(', ')]],
    ),
  );
}

/** PagerDuty's reasons: `{status, message, errors: […]}`. */
function answerText(data: unknown): string {
  const { message, errors } = recordOf(data);
  const reasons = [message, ...(Array.isArray(errors) ? (errors as unknown[]) : [])];
  return reasons
    .filter((reason) => typeof reason === 'string')
    .join('; ')
    .slice(0, ANSWER_CHARS_MAX);
}

function incidentOf(given: Record<string, unknown>, dedupeKey: string): PagerIncident | null {
  const { id, status, incident_key: key, created_at: createdAt } = given;
  const isKnown = status === 'triggered' || status === 'acknowledged' || status === 'resolved';
  if (typeof id !== 'string' || !isKnown || key !== dedupeKey) return null;
  const acknowledgedMs = Math.max(...listOf(given, 'acknowledgements').map(({ at }) => instantOf(at, -Infinity)));
  return {
    id,
    state: status,
    createdAt: new Date(instantOf(createdAt, 0)),
    acknowledgedAt: Number.isFinite(acknowledgedMs) ? new Date(acknowledgedMs) : null,
  };
}

function instantOf(value: unknown, otherwise: number): number {
  const atMs = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(atMs) ? otherwise : atMs;
}

function listOf(value: unknown, name: string): Record<string, unknown>[] {
  const list = recordOf(value)[name];
  return Array.isArray(list) ? list.map(recordOf) : [];
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
