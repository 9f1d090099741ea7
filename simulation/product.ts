import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import type { Clock } from '../src/kernel/clock.js';
import { messageOf } from '../src/kernel/errors.js';
import { silentLogger } from '../src/kernel/log.js';
import { SeededRandom } from '../src/kernel/random.js';
import { SecretBox } from '../src/kernel/secrets.js';
import type { DestinationDeclaration, ShopDeclaration } from '../src/pipeline/config.js';
import { intakeServerFactory } from '../src/pipeline/intake/server-factory.js';
import { Alerting } from '../src/alerting/alerting.js';
import type { AlertingFile } from '../src/alerting/config.js';
import { Monitoring, SUBSCRIPTION_AUDIT } from '../src/monitoring/monitoring.js';
import { DEFAULT_SLOS } from '../src/monitoring/slo/objective.js';
import { PipelineMetrics } from '../src/pipeline/metrics.js';
import { Pipeline } from '../src/pipeline/pipeline.js';
import { PipelineQueries } from '../src/pipeline/queries.js';
import { StatusPage } from '../src/status-page/status-page.js';

export const API_VERSION = '2026-10';
const RESTS_MS = 10 * 60_000;
/** While a signal is open, or one has changed. Else alerts rest as the others do. */
const ALERTS_REST_MS = 60_000;

export interface ProductOptions {
  databaseUrl: string;
  /** Holds the journal. */
  dataDir: string;
  secret: string;
  clock: Clock;
  seed: number;
  port: number;
  /** Those Shopify is to send. */
  topics: readonly string[];
  /** How long what is seldom needed rests when nothing came in. Default ten minutes. */
  restsMs?: number;
  /** Who is told of alerts, and that the status page is published. Without it nobody is told anything. */
  telling?: Telling;
}

export interface Telling {
  settings: AlertingFile;
  /** PEM; trusted for the pager. */
  ca: string;
}

/** Where PagerDuty posts its webhooks; the console's path. */
export const PAGER_PATH = '/inbound/pagerduty';

export interface Declared {
  shops: ShopDeclaration[];
  destinations: DestinationDeclaration[];
}

/**
 * One process of Plumbline as `src/app.module.ts` wires it, without the console: intake over real HTTP, inbox, router,
 * delivery, monitoring, alerting and the status page on the real PostgreSQL. Its clock is given, and its loops are
 * replaced by `settle`.
 */
export class Product {
  /** Duties that failed, and how. Nothing that the world does makes one fail. */
  readonly failures = new Set<string>();
  private settledAtMs = -Infinity;
  private lastChange = '';

  private constructor(
    readonly pipeline: Pipeline,
    readonly monitoring: Monitoring,
    readonly alerting: Alerting,
    readonly statusPage: StatusPage,
    private readonly server: Server,
    private readonly options: ProductOptions,
  ) {}

  static async start(options: ProductOptions, declared: Declared): Promise<Product> {
    const random = new SeededRandom(options.seed);
    const secrets = new SecretBox([]);
    const meter = new MeterProvider().getMeter('simulation');
    const pipeline = await Pipeline.openIntake({
      databaseUrl: options.databaseUrl,
      dataDir: options.dataDir,
      roles: { intake: true, worker: true },
      processName: 'simulation',
      signingSecrets: [{ secret: options.secret, world: 'real' }],
      apiVersion: API_VERSION,
      allowPrivateAddresses: ['127.0.0.0/8'],
      secrets,
      clock: options.clock,
      ids: random,
      random,
      log: silentLogger,
      metrics: new PipelineMetrics(meter),
      driven: true,
    });
    const server = intakeServerFactory(pipeline.intake)((request, response) => {
      if (request.method === 'POST' && request.url === PAGER_PATH) void hearPager(alerting, request, response);
      else response.writeHead(404).end();
    });
    const queries = new PipelineQueries(pipeline.database, secrets, options.clock);
    const ports = pipeline.ports(queries);
    const http = { request: () => Promise.reject(new Error('nothing outside is asked')) };
    const monitoring = new Monitoring({
      databaseUrl: options.databaseUrl,
      database: pipeline.database,
      processName: 'simulation',
      watch: false, // nobody leads: `settle` does the duties
      clock: options.clock,
      log: silentLogger,
      pipeline: ports,
      notices: {
        settings: null,
        secrets: [{ secret: options.secret, world: 'real' }],
        meter,
        http,
      },
      subscriptions: {
        topics: options.topics,
        apiVersion: API_VERSION,
        callbackBase: () => `http://127.0.0.1:${options.port}`,
      },
      slos: DEFAULT_SLOS,
      process: null, // it lives and dies by the simulation's clock
    });
    const alerting = new Alerting({
      database: pipeline.database,
      processName: 'simulation',
      watch: false,
      clock: options.clock,
      log: silentLogger,
      ids: random,
      random,
      registry: ports.registry,
      signals: monitoring.signals,
      reconciliation: monitoring.reconciliation,
      throughput: monitoring.throughput,
      pipeline: queries,
      worldOfService: () => 'real',
      http,
      meter,
      heartbeats: monitoring.heartbeats,
      settings: { alertmanagerUrl: null },
    });
    const { telling } = options;
    if (telling) alerting.notifier.configure('real', telling.settings, telling.ca);
    const statusPage = new StatusPage({
      database: pipeline.database,
      dataDir: options.dataDir,
      processName: 'simulation',
      watch: false,
      settings: { title: 'Plumbline', components: {} },
      serviceUrl: () => `http://127.0.0.1:${options.port}`,
      exportDirectory: null,
      clock: options.clock,
      ids: random,
      log: silentLogger,
      ports: {
        registry: ports.registry,
        signals: monitoring.signals,
        reconciliation: monitoring.reconciliation,
        throughput: monitoring.throughput,
        heartbeats: monitoring.heartbeats,
        incidents: alerting.incidents,
      },
    });
    const product = new Product(pipeline, monitoring, alerting, statusPage, server, options);
    try {
      await listen(server, options.port);
      await pipeline.openRest((registry) => registry.applyDeclared(declared, 'real'));
    } catch (error) {
      await product.stop();
      throw error;
    }
    return product;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** The callback keys of the shops, by domain. */
  keys(): Record<string, string> {
    return Object.fromEntries(this.pipeline.registry.current.allShops.map(({ domain, key }) => [domain, key]));
  }

  /**
   * Does all that is due at this instant. What costs much and is seldom needed rests longer than in production, so that
   * days take seconds: that makes Plumbline slower in the simulation than it is, never faster.
   *
   * Invariant: what is published was looked at just before, as in production, where nothing rests for long.
   *
   * @param hasNews whether anything came in since the last time
   * @param isAwake nothing rests longer than in production, and the page is published
   */
  async settle(hasNews: boolean, isAwake = false): Promise<void> {
    const restsMs = this.options.restsMs ?? RESTS_MS;
    const nowMs = this.options.clock.nowMs();
    const rested = isAwake || nowMs - this.settledAtMs >= restsMs;
    let wakes = isAwake;
    let isBusy = hasNews || rested;
    do {
      if (isBusy) {
        await this.pipeline.settle();
        this.settledAtMs = (await this.isEmpty()) ? nowMs : -Infinity;
      }
      const { busy, failed } = await this.monitoring.settle(({ name, pauseMs }) =>
        wakes || name === SUBSCRIPTION_AUDIT ? pauseMs : Math.max(pauseMs, restsMs),
      );
      const { isNews, isOpen } = await this.look();
      const alertsRestMs = isNews || isOpen ? ALERTS_REST_MS : restsMs;
      const told = await this.alerting.settle(({ pauseMs }) => (wakes ? pauseMs : Math.max(pauseMs, alertsRestMs)));
      for (const { duty, error } of [...failed, ...told.failed]) this.failures.add(`${duty}: ${messageOf(error)}`);
      isBusy = busy;
      if (this.options.telling && !wakes && (isNews || (await this.look()).isNews)) isBusy = wakes = true;
    } while (isBusy);
    if (this.options.telling && wakes) await this.statusPage.publish();
  }

  /** Whether a signal is open; and whether signals or incidents have changed since this was asked last. */
  private async look(): Promise<{ isNews: boolean; isOpen: boolean }> {
    const [told] = await this.pipeline.database.rows<{ change: string; open: boolean }>(
      `select coalesce((select max(seq) from monitoring.signal_change), 0) || '/' ||
              coalesce((select max(id) from alerting.incident_event), 0) as change,
              exists (select from monitoring.signal where closed_at is null) as open`,
    );
    const isNews = told !== undefined && told.change !== this.lastChange;
    this.lastChange = told?.change ?? '';
    return { isNews, isOpen: told?.open === true };
  }

  /** Whether nothing waits for its time: no delivery to be tried again, nothing held. */
  private async isEmpty(): Promise<boolean> {
    const [left] = await this.pipeline.database.rows<{ some: boolean }>(
      `select exists (select from pipeline.delivery) or exists (select from pipeline.held where released_at is null) as some`,
    );
    return left?.some === false;
  }

  /** Ends as a killed process does: nobody is answered any more. Its way to the database is the caller's to cut. */
  die(): void {
    this.server.close();
    this.server.closeAllConnections();
    // What it still holds - timers, pools - is let go; without a database it can change nothing.
    void this.pipeline.stop().catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    await this.alerting.stop();
    await this.pipeline.stop();
  }
}

/** As the console hands it on. */
async function hearPager(alerting: Alerting, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const header = (name: string): string => String(request.headers[name] ?? '');
  const { status } = await alerting.notifier.door.take({
    signature: header('x-pagerduty-signature'),
    body: Buffer.concat(chunks),
  });
  response.writeHead(status).end();
}

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
}

/** A port that is free now; a product that dies and comes back keeps it. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await listen(server, 0);
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
