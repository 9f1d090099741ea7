import { Ga4Receiver } from '../sandbox/receivers/ga4.js';
import { SegmentReceiver } from '../sandbox/receivers/segment.js';
import { WebhookReceiver } from '../sandbox/receivers/webhook.js';
import { Database } from '../src/kernel/database.js';
import { silentLogger } from '../src/kernel/log.js';
import type { DestinationDeclaration } from '../src/pipeline/config.js';

const WEBHOOK_SECRET = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
const TABLE = 'plumbline_events';
/** GA4 shows a purchase after a while. Real properties take a day or two; here all of it fits into the epilogue. */
const GA4_PROCESSING_MS = { leastMs: 5 * 60_000, mostMs: 45 * 60_000 };
const GA4_SETTLING_HOURS = 1;

export type FarSideName = 'ga4' | 'segment' | 'hook' | 'lake';

const COMMON = {
  enabled: true,
  purchaseOn: 'paid' as const,
  money: 'shop' as const,
  testOrders: false,
  excludeChannels: [],
  consentAttribute: null,
};

/** Where Plumbline delivers to: receivers over real HTTP that keep virtual time, and a warehouse in the real PostgreSQL. */
export class FarSides {
  readonly ga4: Ga4Receiver;
  readonly segment: SegmentReceiver;
  readonly hook: WebhookReceiver;
  readonly warehouse: Database;

  private constructor(
    private readonly warehouseUrl: string,
    private readonly names: readonly FarSideName[],
    nowMs: () => number,
    seed: number,
  ) {
    this.ga4 = new Ga4Receiver(seed);
    this.ga4.reports.processing = GA4_PROCESSING_MS;
    this.segment = new SegmentReceiver(seed);
    this.hook = new WebhookReceiver(WEBHOOK_SECRET, seed);
    for (const receiver of [this.ga4, this.segment, this.hook]) receiver.nowMs = nowMs;
    this.warehouse = new Database({ url: warehouseUrl, log: silentLogger, poolSize: 2 });
  }

  static async start(options: {
    warehouseUrl: string;
    names: readonly FarSideName[];
    nowMs: () => number;
    seed: number;
  }): Promise<FarSides> {
    const sides = new FarSides(options.warehouseUrl, options.names, options.nowMs, options.seed);
    await Promise.all([sides.ga4.start(), sides.segment.start(), sides.hook.start()]);
    return sides;
  }

  /** As a configuration file would declare them. */
  declarations(): DestinationDeclaration[] {
    const all: (DestinationDeclaration & { name: FarSideName })[] = [
      {
        ...COMMON,
        name: 'ga4',
        kind: 'ga4',
        measurementId: 'G-1',
        apiSecret: 's3cret',
        endpoint: this.ga4.url,
        propertyId: this.ga4.reports.propertyId,
        serviceAccount: this.ga4.serviceAccount,
        dataEndpoint: this.ga4.url,
        settlingHours: GA4_SETTLING_HOURS,
      },
      { ...COMMON, name: 'segment', kind: 'segment', writeKey: 'wk', endpoint: this.segment.url },
      { ...COMMON, name: 'lake', kind: 'postgres', url: this.warehouseUrl, table: TABLE },
      { ...COMMON, name: 'hook', kind: 'webhook', url: `${this.hook.url}/in`, secret: WEBHOOK_SECRET },
    ];
    return all.filter(({ name }) => this.names.includes(name));
  }

  /** The warehouse's rows; none before the first delivery has made the table. */
  async warehouseRows(): Promise<{ subjectId: string; kind: string; eventId: string; orderId: string }[]> {
    const [there] = await this.warehouse.rows<{ there: boolean }>(
      `select to_regclass('${TABLE}') is not null as there`,
    );
    if (!there?.there) return [];
    return this.warehouse.rows(
      `select subject_id as "subjectId", kind, event_id as "eventId", order_id as "orderId" from ${TABLE}`,
    );
  }

  /** The version of each row of the warehouse. */
  async warehouseVersions(): Promise<{ subjectId: string; kind: string; version: string }[]> {
    if ((await this.warehouseRows()).length === 0) return [];
    return this.warehouse.rows(`select subject_id as "subjectId", kind, payload->>'version' as version from ${TABLE}`);
  }

  /** Rows gone from the warehouse, as if somebody's script had taken them. */
  async loseRows(eventIds: readonly string[]): Promise<void> {
    if (eventIds.length > 0) await this.warehouse.query(`delete from ${TABLE} where event_id = any ($1)`, [eventIds]);
  }

  async stop(): Promise<void> {
    await Promise.all([this.ga4.stop(), this.segment.stop(), this.hook.stop(), this.warehouse.end()]);
  }
}
