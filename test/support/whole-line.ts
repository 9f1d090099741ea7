import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { Ga4Receiver } from '../../sandbox/receivers/ga4.js';
import { SegmentReceiver } from '../../sandbox/receivers/segment.js';
import { WebhookReceiver } from '../../sandbox/receivers/webhook.js';
import { SystemClock, type Clock } from '../../src/kernel/clock.js';
import type { Database } from '../../src/kernel/database.js';
import { silentLogger } from '../../src/kernel/log.js';
import { systemIds, systemRandom } from '../../src/kernel/random.js';
import { SecretBox } from '../../src/kernel/secrets.js';
import type { DestinationDeclaration, ShopDeclaration } from '../../src/pipeline/config.js';
import { kindOf, stateOf, type Kind, type State } from '../../src/pipeline/contract.js';
import { intakeServerFactory } from '../../src/pipeline/intake/server-factory.js';
import { PipelineMetrics } from '../../src/pipeline/metrics.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { post, signedWebhook, type WebhookParts } from './shopify-webhook.js';
import { testDatabase } from './test-database.js';
import { until } from './until.js';

export const SECRET = 'hush';
const WEBHOOK_SECRET = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';

export interface LineOptions {
  clock?: Clock;
  shops?: readonly Partial<ShopDeclaration>[];
  /** Overrides by destination name: ga4, segment, lake, hook. */
  destinations?: Readonly<Record<string, Partial<DestinationDeclaration>>>;
  secrets?: SecretBox;
}

export interface Obligation {
  shop: string;
  subjectId: string;
  kind: Kind;
  destination: string;
  state: State;
  reason: string | null;
  acceptedAt: Date | null;
  attempts: number;
}

const COMMON = {
  enabled: true,
  purchaseOn: 'paid' as const,
  money: 'shop' as const,
  testOrders: false,
  excludeChannels: [],
  consentAttribute: null,
};

/**
 * The whole line in one process: intake over real HTTP, the real PostgreSQL, fake destinations over real HTTP, and a
 * PostgreSQL warehouse. What a test may not see of it, no user sees either.
 */
export class WholeLine {
  readonly ga4 = new Ga4Receiver();
  readonly segment = new SegmentReceiver();
  readonly hook = new WebhookReceiver(WEBHOOK_SECRET);

  private constructor(
    readonly pipeline: Pipeline,
    readonly database: Database,
    readonly warehouse: Database,
    readonly dataDir: string,
    private readonly server: Server,
  ) {}

  static async start(options: LineOptions = {}): Promise<WholeLine> {
    const own = await testDatabase();
    const lake = await testDatabase();
    const dataDir = await mkdtemp(join(tmpdir(), 'plumbline-line-'));
    const pipeline = await Pipeline.openIntake({
      databaseUrl: own.url,
      dataDir,
      roles: { intake: true, worker: true },
      processName: 'test',
      signingSecrets: [{ secret: SECRET, world: 'real' }],
      apiVersion: '2026-10',
      allowPrivateAddresses: ['127.0.0.0/8'],
      secrets: options.secrets ?? new SecretBox([]),
      clock: options.clock ?? new SystemClock(),
      ids: systemIds,
      random: systemRandom,
      log: silentLogger,
      metrics: new PipelineMetrics(new MeterProvider().getMeter('test')),
    });
    const server = intakeServerFactory(pipeline.intake)((_req, res) => void res.writeHead(404).end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const line = new WholeLine(pipeline, own.database, lake.database, dataDir, server);
    const { clock } = options;
    if (clock !== undefined) for (const far of [line.ga4, line.segment, line.hook]) far.nowMs = () => clock.nowMs();
    await Promise.all([line.ga4.start(), line.segment.start(), line.hook.start()]);
    const destinations = declareDestinations(line, lake.url, options.destinations ?? {});
    const shops = (options.shops ?? [{}]).map((shop): ShopDeclaration => ({
      domain: 'acme.myshopify.com',
      subscriptions: 'shop',
      destinations: destinations.map(({ name }) => name),
      settings: {},
      ...shop,
    }));
    await pipeline.openRest((registry) => registry.applyDeclared({ shops, destinations }, 'real'));
    return line;
  }

  get service(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Posts one webhook, signed. @returns the HTTP status */
  send(parts: Partial<WebhookParts> & Pick<WebhookParts, 'topic' | 'body'>): Promise<number> {
    return post(signedWebhook({ service: this.service, secret: SECRET, shop: 'acme.myshopify.com', ...parts }));
  }

  /** Resolves when everything taken in has been routed, and nothing is waiting to be delivered. */
  async untilSettled(timeoutMs = 20_000): Promise<void> {
    await this.untilRouted(timeoutMs);
    await until(async () => (await this.database.rows('select from pipeline.delivery limit 1')).length === 0, {
      timeoutMs,
      everyMs: 25,
      what: 'no delivery is waiting',
    });
  }

  async untilRouted(timeoutMs = 20_000): Promise<void> {
    await until(async () => (await this.pipeline.reader.backlog(this.database)).entries === 0, {
      timeoutMs,
      everyMs: 10,
      what: 'the inbox is read to its end',
    });
  }

  async obligations(
    where: { shop?: string; subjectId?: string; kind?: Kind; destination?: string } = {},
  ): Promise<Obligation[]> {
    const rows = await this.database.rows<{
      domain: string;
      subject_id: string;
      kind: number;
      name: string;
      state: number;
      reason: string | null;
      accepted_at: Date | null;
      attempts: number;
    }>(
      `select s.domain, l.subject_id, l.kind, d.name, l.state, l.reason, l.accepted_at, l.attempts
         from pipeline.ledger l join pipeline.shop s on s.id = l.shop_id
         join pipeline.destination d on d.id = l.destination_id
        order by s.domain, l.subject_id, l.kind, d.name`,
    );
    return rows
      .map((row) => ({
        shop: row.domain,
        subjectId: row.subject_id,
        kind: kindOf(row.kind),
        destination: row.name,
        state: stateOf(row.state),
        reason: row.reason,
        acceptedAt: row.accepted_at,
        attempts: row.attempts,
      }))
      .filter(
        (o) =>
          (where.shop ?? o.shop) === o.shop &&
          (where.subjectId ?? o.subjectId) === o.subjectId &&
          (where.kind ?? o.kind) === o.kind &&
          (where.destination ?? o.destination) === o.destination,
      );
  }

  /** Rows of the warehouse's table; none before the first delivery has created it. */
  async warehouseRows(): Promise<
    { shop_domain: string; subject_id: string; kind: string; event_id: string; order_id: string }[]
  > {
    const [there] = await this.warehouse.rows<{ there: boolean }>(
      "select to_regclass('plumbline_events') is not null as there",
    );
    if (!there?.there) return [];
    return this.warehouse.rows('select shop_domain, subject_id, kind, event_id, order_id from plumbline_events');
  }

  webhookOutcomes(): Promise<{ topic: string; outcome: string; reason: string | null; repeats: number }[]> {
    return this.database.rows('select topic, outcome, reason, repeats from pipeline.webhook order by received_at');
  }

  async stop(): Promise<void> {
    await this.pipeline.stop();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    await Promise.all([this.ga4.stop(), this.segment.stop(), this.hook.stop()]);
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

function declareDestinations(
  { ga4, segment, hook }: Pick<WholeLine, 'ga4' | 'segment' | 'hook'>,
  lake: string,
  overrides: Readonly<Record<string, Partial<DestinationDeclaration>>>,
): DestinationDeclaration[] {
  const all = [
    {
      ...COMMON,
      name: 'ga4',
      kind: 'ga4',
      measurementId: 'G-1',
      apiSecret: 's3cret',
      endpoint: ga4.url,
      propertyId: ga4.reports.propertyId,
      serviceAccount: ga4.serviceAccount,
      dataEndpoint: ga4.url,
    },
    {
      ...COMMON,
      name: 'segment',
      kind: 'segment',
      writeKey: 'wk',
      endpoint: segment.url,
      publicToken: segment.overview.publicToken,
      sourceId: segment.overview.sourceId,
      publicEndpoint: segment.url,
    },
    { ...COMMON, name: 'lake', kind: 'postgres', url: lake, table: 'plumbline_events' },
    { ...COMMON, name: 'hook', kind: 'webhook', url: `${hook.url}/in`, secret: WEBHOOK_SECRET },
  ];
  // An override keeps its destination's kind, so the result is still one of the union's members.
  return all.map((each) => ({ ...each, ...overrides[each.name] }) as DestinationDeclaration);
}
