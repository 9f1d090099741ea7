import type { Destination, DestinationName, Reports } from './destination.js';
import type { Fault } from './receivers/faults.js';
import { Ga4Receiver } from './receivers/ga4.js';
import { asList, asRecord, parseJson, type Receiver } from './receivers/receiver.js';
import { SegmentReceiver } from './receivers/segment.js';
import { WebhookReceiver } from './receivers/webhook.js';
import type { DestinationMode, ReportMode } from './trouble.js';

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
const REPORTS_RETRY_AFTER_SECONDS = 30;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** How long a far side works on what it took until its reports show it, and when its reports are final. */
interface Settling {
  leastMs: number;
  mostMs: number;
  finalMs: number;
}
/** Short ones are for looking on; the real ones are those of docs/destinations/, "Read back". */
const SETTLING: Record<'short' | 'real', Record<'ga4' | 'segment', Settling>> = {
  short: {
    ga4: { leastMs: 5_000, mostMs: 15_000, finalMs: 2 * MINUTE_MS },
    segment: { leastMs: 2_000, mostMs: 2_000, finalMs: MINUTE_MS },
  },
  real: {
    ga4: { leastMs: 4 * HOUR_MS, mostMs: 8 * HOUR_MS, finalMs: 48 * HOUR_MS },
    segment: { leastMs: 30_000, mostMs: 30_000, finalMs: 5 * MINUTE_MS },
  },
};

/**
 * A receiver as the world watches it. What arrived is taken out of the receiver with every look, so that a sandbox may
 * run for days; the counts and the last ids stay here.
 */
abstract class WatchedDestination<Far extends Receiver> implements Destination {
  abstract readonly name: DestinationName;
  readonly secret: string | null = null;
  readonly reports: Reports | null = null;
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

/** Reports that can be down or out of quota while the destination itself is well. */
abstract class WatchedReports<Far extends Receiver> implements Reports {
  private current: ReportMode = 'calm';

  constructor(
    protected readonly receiver: Far,
    protected readonly settling: Settling,
  ) {}

  abstract readonly shown: number;
  abstract readonly access: Readonly<Record<string, string | number>>;
  protected abstract exhaust(isExhausted: boolean): void;

  get mode(): ReportMode {
    return this.current;
  }

  set mode(mode: ReportMode) {
    this.current = mode;
    this.receiver.misreport(mode === 'down' ? { mode: 'status', code: 503 } : { mode: 'ok' });
    this.exhaust(mode === 'quota');
  }
}

class Ga4ReportsWatched extends WatchedReports<Ga4Receiver> {
  constructor(receiver: Ga4Receiver, settling: Settling) {
    super(receiver, settling);
    receiver.reports.processing = settling;
  }

  get shown(): number {
    return this.receiver.reports.shown;
  }

  get access() {
    return {
      propertyId: this.receiver.reports.propertyId,
      serviceAccount: this.receiver.serviceAccount,
      settlingHours: this.settling.finalMs / HOUR_MS,
    };
  }

  protected exhaust(isExhausted: boolean): void {
    this.receiver.reports.quota.exhausted = isExhausted ? 'tokensPerProjectPerHour' : null;
  }
}

class SegmentReportsWatched extends WatchedReports<SegmentReceiver> {
  constructor(receiver: SegmentReceiver, settling: Settling) {
    super(receiver, settling);
    receiver.overview.latencyMs = settling.mostMs;
  }

  get shown(): number {
    return this.receiver.overview.shown;
  }

  get access() {
    return {
      publicToken: this.receiver.overview.publicToken,
      sourceId: this.receiver.overview.sourceId,
      settlingMinutes: this.settling.finalMs / MINUTE_MS,
    };
  }

  protected exhaust(isExhausted: boolean): void {
    if (isExhausted) this.receiver.misreport({ mode: 'throttle', retryAfterS: REPORTS_RETRY_AFTER_SECONDS });
  }
}

class WatchedGa4 extends WatchedDestination<Ga4Receiver> {
  readonly name = 'ga4';
  override readonly reports: Reports;
  protected readonly yes = { code: 204 };

  constructor(seed: number, settling: Settling) {
    super(new Ga4Receiver(seed));
    this.reports = new Ga4ReportsWatched(this.receiver, settling);
  }

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
  override readonly reports: Reports;
  protected readonly yes = { code: 200, body: '{"success":true}' };

  constructor(seed: number, settling: Settling) {
    super(new SegmentReceiver(seed));
    this.reports = new SegmentReportsWatched(this.receiver, settling);
  }

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

/**
 * The far sides of a world.
 *
 * @param seed the webhook's secret is drawn from it
 * @param timeScale how many times faster they work than `settling` says
 */
export function destinations(
  seed: number,
  { settling = 'short', timeScale = 1 }: { settling?: 'short' | 'real'; timeScale?: number } = {},
): Destination[] {
  const key = Buffer.from(`sandbox webhook secret of seed ${seed}`.padEnd(32, '.'));
  return [
    new WatchedGa4(seed, scaled(SETTLING[settling].ga4, timeScale)),
    new WatchedSegment(seed, scaled(SETTLING[settling].segment, timeScale)),
    new WatchedWebhook(`whsec_${key.toString('base64')}`),
  ];
}

function scaled({ leastMs, mostMs, finalMs }: Settling, timeScale: number): Settling {
  return { leastMs: leastMs / timeScale, mostMs: mostMs / timeScale, finalMs: finalMs / timeScale };
}

/** Ids come as text; a number would be one already rounded or not, and is taken as it is. */
function text(value: unknown): string | null {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
}
