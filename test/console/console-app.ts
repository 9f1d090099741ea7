import { metrics } from '@opentelemetry/api';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Module } from '@nestjs/common';
import { Writable } from 'node:stream';
import type { DataSource } from 'typeorm';
import { ApiTokens, TOKEN_ROLES, type TokenRole } from '../../src/kernel/auth.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { Database } from '../../src/kernel/database.js';
import { createDataSource } from '../../src/kernel/data-source.js';
import type { HealthReport } from '../../src/kernel/health.js';
import { createLogger, silentLogger } from '../../src/kernel/log.js';
import { systemIds, systemRandom } from '../../src/kernel/random.js';
import { SecretBox } from '../../src/kernel/secrets.js';
import type { AlertChange } from '../../src/alerting/contract.js';
import { Incidents } from '../../src/alerting/incidents/incidents.js';
import { Notifier } from '../../src/alerting/notify/notifier.js';
import { API_BODY_BYTES_MAX, consoleModule } from '../../src/console/console.module.js';
import type { StartFacts } from '../../src/console/deps.js';
import type { DestinationKind, ReplayReport, ReplayRequest, ShopifyAdmin } from '../../src/pipeline/contract.js';
import { Reconciliation } from '../../src/monitoring/reconciliation/reconciliation.js';
import { InboundAlertmanager } from '../../src/alerting/alertmanager/inbound-alerts.js';
import { AlertBook } from '../../src/alerting/alerts/alert-book.js';
import { AlertRound } from '../../src/alerting/alerts/alert-round.js';
import { NotificationLog } from '../../src/alerting/said/notification-log.js';
import { SilenceBook } from '../../src/alerting/silences/silence-book.js';
import { Notices, type NoticeOptions } from '../../src/monitoring/notices/notices.js';
import { SignalBook } from '../../src/monitoring/signals/signal-book.js';
import { SubscriptionWatch } from '../../src/monitoring/subscriptions/subscription-watch.js';
import { SilenceQuery } from '../../src/monitoring/silence/silence-query.js';
import { type SoldCounts } from '../../src/monitoring/throughput/sold-counts.js';
import { DEFAULT_SLOS } from '../../src/monitoring/slo/objective.js';
import { Heartbeats } from '../../src/monitoring/health/heartbeats.js';
import { ProcessBook } from '../../src/monitoring/health/process-book.js';
import { SloWatch } from '../../src/monitoring/slo/slo-watch.js';
import { ThroughputQuery } from '../../src/monitoring/throughput/throughput-query.js';
import { PipelineFlow } from '../../src/pipeline/flow.js';
import { PipelineQueries } from '../../src/pipeline/queries.js';
import { Registry, REGISTRY_ENTITIES } from '../../src/pipeline/registry/registry.js';
import { StatusPage } from '../../src/status-page/status-page.js';
import { NOTHING_LISTED } from '../support/nothing-listed.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

const SECRET_KEYS: [DestinationKind, string[]][] = [
  ['ga4', ['apiSecret']],
  ['segment', ['writeKey']],
  ['postgres', ['url']],
  ['webhook', ['secret']],
];

/** Last segment of the address that mail providers call. */
export const MAIL_SECRET = 'a-secret-of-the-tests';

export const NOON_MS = Date.UTC(2026, 10, 23, 12);

/** The console on a database of its own, with what the wiring would give it. */
export class ConsoleApp {
  readonly clock = new ManualClock(NOON_MS);
  readonly secrets = new SecretBox([Buffer.alloc(32, 3)]);
  readonly tokens: ApiTokens;
  readonly registry: Registry;
  readonly queries: PipelineQueries;
  readonly signals: SignalBook;
  readonly throughput: ThroughputQuery;
  readonly silence: SilenceQuery;
  readonly slos: SloWatch;
  readonly processes: ProcessBook;
  readonly heartbeats: Heartbeats;
  /** What Shopify has listed, as far as a test says. */
  sold: SoldCounts = NOTHING_LISTED;
  /** Shows and takes requests; nothing runs here, so nobody is asked. */
  readonly reconciliation: Reconciliation;
  readonly notices: Notices;
  /** What the subscription watch was told: `shop id, why`. */
  readonly hints: string[] = [];
  readonly subscriptions: SubscriptionWatch;
  readonly alerts: AlertBook;
  readonly silences: SilenceBook;
  /** What Shopify's Admin API answers. */
  admin: ShopifyAdmin['query'] = () => Promise.resolve({ outcome: 'unavailable', detail: 'HTTP 503' });
  /** What has happened to alerts; `incidents` follows it when its duties are done. */
  readonly alertChanges: AlertChange[] = [];
  readonly incidents: Incidents;
  readonly statusPage: StatusPage;
  /** Tells nobody until a test configures it; its duties do not run here. */
  readonly notifier: Notifier;
  readonly byRole = new Map<TokenRole, string>();
  /** Everything that was logged. */
  log = '';
  health: HealthReport[] = [{ name: 'database', state: 'ok', ageMs: 40, detail: null }];
  ready = true;
  start: StartFacts = {
    metricsUrl: 'http://127.0.0.1:9464/metrics',
    sandboxUrl: null,
    adminTokenPath: '/data/admin-token',
    database: 'embedded',
    durability: [{ name: 'fsync', value: 'on', durable: true }],
  };
  readonly replays: ReplayRequest[] = [];
  replayReport: ReplayReport = { matched: 0, replayed: 0, items: [] };

  private constructor(
    readonly db: TestDatabase,
    private readonly source: DataSource,
    notices: Partial<NoticeOptions>,
  ) {
    this.tokens = new ApiTokens(db.database, this.clock, systemIds);
    this.registry = new Registry({
      source,
      secrets: this.secrets,
      clock: this.clock,
      ids: systemIds,
      log: this.logger(),
      adapters: new Map(SECRET_KEYS.map(([kind, secretKeys]) => [kind, { secretKeys, checkSettings: () => [] }])),
    });
    this.queries = new PipelineQueries(db.database, this.secrets, this.clock);
    this.signals = new SignalBook({
      database: db.database,
      clock: this.clock,
      log: this.logger(),
      names: this.registry,
    });
    const nobody = (): never => {
      throw new Error('nothing runs here');
    };
    const shared = { database: db.database, clock: this.clock, registry: this.registry };
    this.throughput = new ThroughputQuery({ ...shared, sold: { proved: (ids) => this.sold.proved(ids) } });
    this.silence = new SilenceQuery(shared);
    this.heartbeats = new Heartbeats(shared);
    this.processes = new ProcessBook({
      ...shared,
      id: 'one',
      name: '4711',
      roles: ['web', 'worker'],
      vitals: () => ({ eventLoopDelayP99Ms: 4, heapUsedBytes: 5e7, heapLimitBytes: 1e8, residentBytes: 2e8 }),
      loops: () => [],
    });
    this.slos = new SloWatch(DEFAULT_SLOS, { ...shared, flow: new PipelineFlow(db.database), signals: this.signals });
    this.reconciliation = new Reconciliation({
      database: db.database,
      clock: this.clock,
      log: this.logger(),
      signals: this.signals,
      registry: this.registry,
      reader: this.queries,
      ledger: {
        compare: nobody,
        standings: nobody,
        acceptedBetween: nobody,
        traces: nobody,
        touchedHours: nobody,
        hourCounts: nobody,
        ordersSeen: nobody,
        lastWebhookAt: nobody,
      },
      verdicts: { confirm: nobody, markMissing: nobody, restart: nobody },
      requeue: { fetchOrders: nobody, requeue: nobody },
      readBack: { ability: nobody, present: nobody, count: nobody },
      listing: { step: nobody },
      takes: nobody,
    });
    this.notices = new Notices({
      options: {
        settings: null,
        secrets: [{ secret: MAIL_SECRET, world: 'real' }],
        meter: metrics.getMeter('test'),
        http: { request: () => Promise.reject(new Error('nothing may be asked for')) },
        lookUpTxt: () => Promise.reject(new Error('nothing may be looked up')),
        ...notices,
      },
      database: db.database,
      registry: this.registry,
      signals: this.signals,
      hint: (shopId, why) => void this.hints.push(`${shopId}, ${why}`),
      clock: this.clock,
      log: this.logger(),
    });
    const woken = (): void => undefined;
    this.alerts = new AlertBook({ database: db.database, clock: this.clock, woken });
    this.silences = new SilenceBook({ database: db.database, clock: this.clock, woken });
    this.subscriptions = new SubscriptionWatch({
      database: db.database,
      registry: this.registry,
      admin: { query: (...asked) => this.admin(...asked) },
      ledger: { ordersSeen: () => Promise.resolve([]) },
      signals: this.signals,
      settings: {
        topics: ['orders/create', 'orders/paid'],
        apiVersion: '2026-10',
        callbackBase: () => 'https://hooks.example.com',
      },
      gaps: null,
      clock: this.clock,
      log: this.logger(),
    });
    this.notifier = new Notifier({
      database: db.database,
      signals: this.signals,
      alerts: { acknowledge: nobody, unacknowledge: nobody },
      processName: 'test',
      loops: () => [],
      meter: metrics.getMeter('test'),
      clock: this.clock,
      ids: systemIds,
      random: systemRandom,
      log: this.logger(),
    });
    this.incidents = new Incidents({
      database: db.database,
      alerts: {
        changes: (afterSeq, limit) =>
          Promise.resolve(this.alertChanges.filter(({ seq }) => Number(seq) > Number(afterSeq)).slice(0, limit)),
        signalsOf: () => Promise.resolve([]),
      },
      reconciliation: this.reconciliation,
      throughput: this.throughput,
      pipeline: this.queries,
      registry: this.registry,
      clock: this.clock,
      ids: systemIds,
      log: this.logger(),
    });
    this.statusPage = new StatusPage({
      database: db.database,
      dataDir: '/nowhere',
      processName: 'test',
      watch: false,
      settings: { title: 'Plumbline', components: {} },
      serviceUrl: () => '',
      exportDirectory: null,
      clock: this.clock,
      ids: systemIds,
      log: this.logger(),
      ports: {
        registry: this.registry,
        signals: this.signals,
        reconciliation: this.reconciliation,
        throughput: this.throughput,
        heartbeats: this.heartbeats,
        incidents: this.incidents,
      },
    });
  }

  app!: NestFastifyApplication;
  /** `GET /livez`: every route the server has. */
  readonly routes: string[] = [];

  /** @param options.databaseAway nothing answers where the database should be */
  static async open(options: { databaseAway?: boolean; notices?: Partial<NoticeOptions> } = {}): Promise<ConsoleApp> {
    const db = options.databaseAway ? nowhere() : await testDatabase();
    const source = createDataSource(db.url, REGISTRY_ENTITIES);
    const self = new ConsoleApp(db, source, options.notices ?? {});
    if (!options.databaseAway) {
      await db.database.query('create table pipeline.webhook_any partition of pipeline.webhook default');
      await db.database.query('create table pipeline.inbox_segment_any partition of pipeline.inbox_segment default');
      await source.initialize();
      for (const role of TOKEN_ROLES) {
        self.byRole.set(role, (await self.tokens.create(`the-${role}`, role, 'test')).token);
      }
      await self.registry.refresh();
    }
    const module = consoleModule({
      version: '9.9.9',
      clock: self.clock,
      log: self.logger(),
      database: db.database,
      tokens: self.tokens,
      registry: self.registry.desk,
      pipeline: self.queries,
      replay: {
        replay: (request) => {
          self.replays.push(request);
          return Promise.resolve(self.replayReport);
        },
      },
      signals: self.signals,
      throughput: self.throughput,
      silence: self.silence,
      slos: self.slos,
      processes: self.processes,
      heartbeats: self.heartbeats,
      reconciliation: self.reconciliation,
      notices: self.notices.book,
      inboundMail: self.notices.door,
      subscriptions: self.subscriptions,
      notifier: self.notifier.watch,
      inboundPager: self.notifier.door,
      incidents: self.incidents,
      alerts: self.alerts,
      silences: self.silences,
      notifications: new NotificationLog(db.database),
      inboundAlerts: new InboundAlertmanager({ signals: self.signals, log: self.logger() }),
      statusPage: self.statusPage.desk,
      health: [{ name: 'all', read: () => self.health[0] as HealthReport }],
      ready: () => ({ ready: self.ready, reason: self.ready ? null : 'starting' }),
      start: () => self.start,
    });
    class Root {}
    Module({ imports: [module] })(Root);
    const adapter = new FastifyAdapter({ bodyLimit: API_BODY_BYTES_MAX });
    adapter.getInstance().addHook('onRoute', ({ method, path }) => {
      for (const each of [method].flat()) if (each !== 'HEAD') self.routes.push(`${each} ${path}`);
    });
    self.app = await NestFactory.create<NestFastifyApplication>(Root, adapter, { logger: false });
    await self.app.listen(0, '127.0.0.1');
    return self;
  }

  get url(): string {
    const address = this.app.getHttpServer().address();
    return typeof address === 'object' && address ? `http://127.0.0.1:${address.port}` : '';
  }

  /** From signals to alerts, as the loop does it. */
  async foldAlerts(): Promise<void> {
    const round = new AlertRound({
      database: this.db.database,
      clock: this.clock,
      log: this.logger(),
      signals: this.signals,
      worldOfService: () => 'real',
      kindOfDestination: () => 'ga4',
      listeners: (alert) => (alert.class === 'page' ? [{ channel: 'pagerduty', recipient: alert.route }] : []),
    });
    while ((await round.round()) === 'busy');
  }

  token(role: TokenRole): string {
    return this.byRole.get(role) ?? '';
  }

  async close(): Promise<void> {
    await this.app.close();
    await this.notifier.stop();
    if (this.source.isInitialized) await this.source.destroy();
  }

  private logger() {
    const sink = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.log += chunk.toString();
        done();
      },
    });
    return createLogger('debug', sink);
  }
}

function nowhere(): TestDatabase {
  // Port 1 belongs to nobody.
  const url = 'postgres://nobody@127.0.0.1:1/nothing';
  const database = new Database({ url, log: silentLogger });
  return { url, database, drop: () => database.end() };
}
