import { createHmac } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { utcTime, type Clock } from '../clock.js';
import type { Topic } from './lifecycle.js';
import type { Numbers } from './numbers.js';
import { Postman, type Answer, type Transport } from './post.js';
import type { Subscription, Subscriptions } from './subscriptions.js';

/** Eight retries over four hours. Shopify publishes the count and the span, not the steps; these are ours. */
export const RETRY_MINUTES = [1, 3, 6, 12, 24, 44, 65, 85] as const;
const FAILURES_TO_REMOVAL = 8;
/** Most deliveries that wait, each some 2 KB packed: 20,000 are 40 MB. Past it the newest is given up, and counted. */
const WAITING_MAX = 20_000;
const MAILS_KEPT = 500;

/**
 * What "removed after 8 consecutive failures" counts; Shopify does not say.
 * `subscription`: failed attempts of the subscription, any 2xx starts anew. `delivery`: all retries of one delivery.
 */
export type RemovalReading = 'subscription' | 'delivery';

export interface Announcement {
  domain: string;
  topic: Topic;
  /** Sent as it is, on every retry too. */
  body: Buffer;
  eventId: string;
  triggeredAtMs: number;
  /** Signs with something else than the app's secret, as in the hour after a rotation. */
  secret?: string;
  /** The order it is about; shown, never sent. */
  orderId: number | null;
}

export interface Delivery {
  webhookId: string;
  subscription: Subscription;
  /** Frozen when triggered: a later change of the subscription does not redirect it. */
  uri: string;
  headers: Readonly<Record<string, string>>;
  orderId: number | null;
  topic: Topic;
  domain: string;
  /** Attempts made. */
  attempts: number;
  body: Buffer;
  isPacked: boolean;
}

export interface Mail {
  kind: 'failing' | 'removed';
  subject: string;
  body: string;
  topic: string;
  uri: string;
  attempts: number;
  atMs: number;
  /** Written by somebody else, who cannot sign as Shopify. */
  isForged?: boolean;
}

export interface SenderOptions {
  clock: Clock;
  numbers: Numbers;
  subscriptions: Subscriptions;
  secret: string;
  apiVersion: string;
  /** How many times faster than real the four hours of retries pass. */
  timeScale: number;
  removal: RemovalReading;
  /** Requests under way at once. */
  concurrency: number;
  /** Told of every attempt that ended. `isLast`: this delivery is over. */
  onAttempt: (delivery: Delivery, answer: Answer, isOk: boolean, isLast: boolean) => void;
  /** Told of every mail. */
  onMail?: (mail: Mail) => void;
  /** How a request travels; HTTP by default. */
  transport?: Transport;
}

/** base64(HMAC-SHA256(client secret, exact body)). Source: shopify.dev/docs/apps/build/webhooks/verify-deliveries */
export function sign(body: Buffer, secret: string): string {
  return createHmac('sha256', secret).update(body).digest('base64');
}

/** Shopify's sending side: signs, sends, retries, and removes subscriptions that fail. */
export class WebhookSender {
  readonly mails: Mail[] = [];
  /** Deliveries given up because too many waited. */
  givenUp = 0;
  private readonly postman: Transport;
  private readonly ready: Delivery[] = [];
  private readonly waiting = new Map<Delivery, () => void>();
  private underWay = 0;
  private isStopped = false;

  constructor(private readonly options: SenderOptions) {
    this.postman = options.transport ?? new Postman(options.concurrency);
  }

  /** First attempts and retries that are not over. */
  get pending(): { ready: number; underWay: number; waiting: number } {
    return { ready: this.ready.length, underWay: this.underWay, waiting: this.waiting.size };
  }

  /**
   * One delivery, with a webhook id of its own, for each subscription that listens.
   *
   * @param delayMs how late Shopify is today; address and signature are those of the trigger all the same
   * @returns the deliveries started; none when nobody listens, which Shopify tells nobody
   */
  announce(announcement: Announcement, delayMs = 0): Delivery[] {
    const listening = this.options.subscriptions.listening(announcement.domain, announcement.topic);
    const deliveries = listening.map((subscription) => this.delivery(announcement, subscription));
    for (const delivery of deliveries) this.enqueueAfter(delayMs, delivery);
    return deliveries;
  }

  /** The same delivery once more, same webhook id: what a sender does that missed our answer. */
  repeat(delivery: Delivery, delayMs: number): void {
    this.enqueueAfter(delayMs, { ...delivery, attempts: 0 });
  }

  stop(): void {
    this.isStopped = true;
    for (const cancel of this.waiting.values()) cancel();
    this.waiting.clear();
    this.ready.length = 0;
    this.postman.close();
  }

  private delivery(announcement: Announcement, subscription: Subscription): Delivery {
    const { numbers, secret, apiVersion } = this.options;
    const digits = Math.floor(numbers.fraction() * 10);
    const webhookId = numbers.uuid();
    const headers: Record<string, string> = {
      'Content-Type': 'application/json',
      Accept: '*/*',
      'User-Agent': 'Shopify-Captain-Hook (Plumbline sandbox)',
      'X-Shopify-Topic': announcement.topic,
      'X-Shopify-Hmac-Sha256': sign(announcement.body, announcement.secret ?? secret),
      'X-Shopify-Shop-Domain': announcement.domain,
      'X-Shopify-API-Version': apiVersion,
      'X-Shopify-Webhook-Id': webhookId,
      'X-Shopify-Event-Id': announcement.eventId,
      'X-Shopify-Triggered-At': utcTime(announcement.triggeredAtMs, digits, numbers.fraction),
    };
    if (subscription.name !== null) headers['X-Shopify-Name'] = subscription.name;
    const { topic, domain, orderId, body } = announcement;
    return {
      webhookId,
      subscription,
      uri: subscription.uri,
      headers,
      topic,
      domain,
      orderId,
      attempts: 0,
      body,
      isPacked: false,
    };
  }

  private enqueueAfter(delayMs: number, delivery: Delivery): void {
    if (this.isStopped) return;
    if (delayMs <= 0) {
      this.enqueue(delivery);
      return;
    }
    const { clock, subscriptions } = this.options;
    const cancel = clock.after(delayMs, () => {
      this.waiting.delete(delivery);
      // After a removal nothing is sent or retried for it any more.
      if (subscriptions.get(delivery.subscription.id) !== undefined) this.enqueue(delivery);
    });
    this.waiting.set(delivery, cancel);
  }

  private enqueue(delivery: Delivery): void {
    if (this.ready.length >= WAITING_MAX) {
      this.givenUp++;
      return;
    }
    this.ready.push(delivery);
    this.pump();
  }

  private pump(): void {
    while (!this.isStopped && this.underWay < this.options.concurrency) {
      const delivery = this.ready.shift();
      if (delivery === undefined) return;
      this.underWay++;
      void this.attempt(delivery).finally(() => {
        this.underWay--;
        this.pump();
      });
    }
  }

  private async attempt(delivery: Delivery): Promise<void> {
    if (delivery.isPacked) {
      delivery.body = inflateRawSync(delivery.body);
      delivery.isPacked = false;
    }
    const answer = await this.postman.post(delivery.uri, delivery.headers, delivery.body);
    if (this.isStopped) return;
    delivery.attempts++;
    const isOk = answer.outcome === 'answered' && answer.status >= 200 && answer.status < 300;
    if (isOk) {
      delivery.subscription.failuresInRow = 0;
      this.options.onAttempt(delivery, answer, true, true);
      return;
    }
    delivery.subscription.failuresInRow++;
    const isSpent = delivery.attempts > RETRY_MINUTES.length;
    if (delivery.attempts >= 2) this.mail('failing', delivery);
    if (this.isRemovedFor(delivery, isSpent)) this.mail('removed', delivery);
    const isGone = this.options.subscriptions.get(delivery.subscription.id) === undefined;
    const isLast = isSpent || isGone || !this.retryLater(delivery);
    this.options.onAttempt(delivery, answer, false, isLast);
  }

  /** Removes the subscription when it is due. App subscriptions are never removed. */
  private isRemovedFor({ subscription }: Delivery, isSpent: boolean): boolean {
    if (subscription.owner === 'app') return false;
    const { removal, subscriptions, clock } = this.options;
    const isDue = removal === 'delivery' ? isSpent : subscription.failuresInRow >= FAILURES_TO_REMOVAL;
    return isDue && subscriptions.remove(subscription.id, 'failures', clock.now());
  }

  /** The mail of a removal that had another cause than this sender's failures, or none: then it is forged. */
  tellRemoved({ topic, uri }: Pick<Mail, 'topic' | 'uri'>, isForged = false): void {
    this.mail('removed', { topic, uri, attempts: RETRY_MINUTES.length + 1 }, isForged);
  }

  private retryLater(delivery: Delivery): boolean {
    const minutes = RETRY_MINUTES[delivery.attempts - 1];
    if (minutes === undefined) return false;
    if (this.waiting.size >= WAITING_MAX) {
      this.givenUp++;
      return false;
    }
    delivery.body = deflateRawSync(delivery.body, { level: 3 });
    delivery.isPacked = true;
    this.enqueueAfter((minutes * 60_000) / this.options.timeScale, delivery);
    return true;
  }

  /** The wordings are those of real mails (docs/shopify.md): they name topic, address and time, and no shop. */
  private mail(
    kind: Mail['kind'],
    { topic, uri, attempts }: Pick<Mail, 'topic' | 'uri' | 'attempts'>,
    isForged = false,
  ): void {
    const atMs = this.options.clock.now();
    const at = `${new Date(atMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
    const [subject, body] =
      kind === 'failing'
        ? [
            'Your webhook is failing',
            `Your webhook for ${topic} at ${uri} is failing to return a successful response.\n` +
              `This webhook has been attempted ${attempts} times. If your webhook continues to fail, it will be ` +
              'removed and your application will not receive any more notifications.',
          ]
        : [
            'Your webhook has been removed',
            `Your webhook for ${topic} at ${uri} has been removed on ${at} because it's failing to return a ` +
              "successful response.\nWhen the issue is fixed, you'll need to re-create your webhook.",
          ];
    const mail: Mail = { kind, subject, body, topic, uri, attempts, atMs, ...(isForged && { isForged }) };
    this.mails.push(mail);
    this.options.onMail?.(mail);
    if (this.mails.length > MAILS_KEPT) this.mails.shift();
  }
}
