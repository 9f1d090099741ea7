import type { Destination, DestinationName } from './destination.js';
import type { Fault } from './receivers/faults.js';
import { Ga4Receiver } from './receivers/ga4.js';
import { asList, asRecord, parseJson, type Receiver } from './receivers/receiver.js';
import { SegmentReceiver } from './receivers/segment.js';
import { WebhookReceiver } from './receivers/webhook.js';
import type { DestinationMode } from './trouble.js';

/** One event as a receiver kept it: what tells it from others, and the order when it is a purchase. */
interface Kept {
  id: string;
  /** How often it came since the last look. */
  times: number;
  purchaseOf: string | null;
}

const IDS_REMEMBERED = 200_000; // some 20 MB; a repeat that comes later than that counts as another event
const SLOW_MS = 3_000;
const RETRY_AFTER_SECONDS = 5;

/**
 * A receiver as the world watches it. What arrived is taken out of the receiver with every look, so that a sandbox may
 * run for days; the counts and the last ids stay here.
 */
abstract class WatchedDestination<Far extends Receiver> implements Destination {
  abstract readonly name: DestinationName;
  readonly secret: string | null = null;
  private current: DestinationMode = 'calm';
  private readonly seen = new Set<string>();
  private purchases: string[] = [];
  private readonly tally = { received: 0, distinct: 0, repeats: 0, lost: 0 };

  constructor(protected readonly receiver: Far) {}

  get url(): string {
    return this.receiver.url;
  }

  get mode(): DestinationMode {
    return this.current;
  }

  set mode(mode: DestinationMode) {
    this.look(); // what came so far came under the old mode
    this.current = mode;
    this.receiver.misbehave(this.fault(mode));
  }

  async start(): Promise<void> {
    await this.receiver.start(0);
  }

  async stop(): Promise<void> {
    await this.receiver.stop();
  }

  counts() {
    this.look();
    return { ...this.tally };
  }

  takePurchases(): string[] {
    this.look();
    return this.purchases.splice(0);
  }

  /** Takes out what was kept. */
  protected abstract drain(): Kept[];
  /** How this far side says yes. */
  protected abstract readonly yes: { code: number; body?: string };
  /** How many events a request brought. */
  protected abstract eventsIn(body: unknown): number;

  private look(): void {
    for (const { id, times, purchaseOf } of this.drain()) {
      this.tally.received += times;
      const isNew = !this.seen.has(id);
      if (isNew) this.remember(id);
      this.tally.distinct += isNew ? 1 : 0;
      this.tally.repeats += isNew ? times - 1 : times;
      if (isNew && purchaseOf !== null) this.purchases.push(purchaseOf);
    }
    const { requests } = this.receiver;
    if (this.current === 'losing') {
      for (const { body } of requests) this.tally.lost += this.eventsIn(parseJson(body));
    }
    requests.length = 0;
  }

  private remember(id: string): void {
    this.seen.add(id);
    if (this.seen.size <= IDS_REMEMBERED) return;
    for (const oldest of this.seen) {
      this.seen.delete(oldest);
      break;
    }
  }

  private fault(mode: DestinationMode): Fault {
    switch (mode) {
      case 'calm':
        return { mode: 'ok' };
      case 'down':
        return { mode: 'status', code: 503 };
      case 'slow':
        return { mode: 'slow', ms: SLOW_MS };
      case 'throttling':
        return { mode: 'throttle', retryAfterS: RETRY_AFTER_SECONDS };
      case 'losing':
        return { mode: 'status', ...this.yes };
      case 'cutting':
        return { mode: 'apply-then-cut' };
    }
  }
}

class WatchedGa4 extends WatchedDestination<Ga4Receiver> {
  readonly name = 'ga4';
  protected readonly yes = { code: 204 };

  protected drain(): Kept[] {
    const events = this.receiver.events.splice(0);
    for (const { counts } of [this.receiver.purchases, this.receiver.refunds, this.receiver.checkouts]) counts.clear();
    this.receiver.eventIds.counts.clear();
    return events.map(({ name, clientId, params }) => {
      const order = text(params['transaction_id']);
      const id = text(params['event_id']) ?? `${order ?? clientId}`;
      return { id: `${name} ${id}`, times: 1, purchaseOf: name === 'purchase' ? order : null };
    });
  }

  protected eventsIn(body: unknown): number {
    return asList(asRecord(body)['events']).length;
  }
}

class WatchedSegment extends WatchedDestination<SegmentReceiver> {
  readonly name = 'segment';
  protected readonly yes = { code: 200, body: '{"success":true}' };

  protected drain(): Kept[] {
    const { messages, messageIds, dropped } = this.receiver;
    const kept = [...messages.values()].map(({ messageId, event, properties }) => ({
      id: messageId,
      times: messageIds.counts.get(messageId) ?? 1,
      purchaseOf: event === 'Order Completed' ? text(properties['order_id']) : null,
    }));
    messages.clear();
    messageIds.counts.clear();
    dropped.length = 0;
    return kept;
  }

  protected eventsIn(body: unknown): number {
    return asList(asRecord(body)['batch']).length;
  }
}

class WatchedWebhook extends WatchedDestination<WebhookReceiver> {
  readonly name = 'webhook';
  protected readonly yes = { code: 204 };

  constructor(override readonly secret: string) {
    super(new WebhookReceiver(secret));
  }

  protected drain(): Kept[] {
    const { events, webhookIds } = this.receiver;
    const kept = [...events].map(([id, { kind, order_id: order }]) => ({
      id,
      times: webhookIds.counts.get(id) ?? 1,
      purchaseOf: kind === 'purchase' ? text(order) : null,
    }));
    events.clear();
    webhookIds.counts.clear();
    return kept;
  }

  protected eventsIn(): number {
    return 1;
  }
}

/** The far sides of a world. @param seed the webhook's secret is drawn from it */
export function destinations(seed: number): Destination[] {
  const key = Buffer.from(`sandbox webhook secret of seed ${seed}`.padEnd(32, '.'));
  return [
    new WatchedGa4(new Ga4Receiver(seed)),
    new WatchedSegment(new SegmentReceiver(seed)),
    new WatchedWebhook(`whsec_${key.toString('base64')}`),
  ];
}

/** Ids come as text; a number would be one already rounded or not, and is taken as it is. */
function text(value: unknown): string | null {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
}
