import { createServer, type Server } from 'node:http';
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
import { Monitoring, SUBSCRIPTION_AUDIT } from '../src/monitoring/monitoring.js';
import { DEFAULT_SLOS } from '../src/monitoring/slo/objective.js';
import { PipelineMetrics } from '../src/pipeline/metrics.js';
import { Pipeline } from '../src/pipeline/pipeline.js';
import { PipelineQueries } from '../src/pipeline/queries.js';

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
}

export interface Declared {
  shops: ShopDeclaration[];
  destinations: DestinationDeclaration[];
}

/**
 * One process of Plumbline as `src/app.module.ts` wires it, without the console: intake over real HTTP, inbox, router,
 * delivery and monitoring on the real PostgreSQL. Its clock is given, and its loops are replaced by `settle`.
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
    private readonly server: Server,
    private readonly clock: Clock,
    private readonly restsMs: number,
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
    const server = intakeServerFactory(pipeline.intake)((_req, res) => void res.writeHead(404).end());
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
    const product = new Product(pipeline, monitoring, alerting, server, options.clock, options.restsMs ?? RESTS_MS);
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
   * @param hasNews whether anything came in since the last time
   */
  async settle(hasNews: boolean): Promise<void> {
    const nowMs = this.clock.nowMs();
    const rested = nowMs - this.settledAtMs >= this.restsMs;
    let isBusy = hasNews || rested;
    do {
      if (isBusy) {
        await this.pipeline.settle();
        this.settledAtMs = (await this.isEmpty()) ? nowMs : -Infinity;
      }
      const { busy, failed } = await this.monitoring.settle(({ name, pauseMs }) =>
        name === SUBSCRIPTION_AUDIT ? pauseMs : Math.max(pauseMs, this.restsMs),
      );
      const alertsRestMs = (await this.isAnythingTold()) ? ALERTS_REST_MS : this.restsMs;
      const told = await this.alerting.settle(({ pauseMs }) => Math.max(pauseMs, alertsRestMs));
      for (const { duty, error } of [...failed, ...told.failed]) this.failures.add(`${duty}: ${messageOf(error)}`);
      isBusy = busy;
    } while (isBusy);
  }

  /** Whether a signal is open, or has changed since this was asked last. */
  private async isAnythingTold(): Promise<boolean> {
    const [told] = await this.pipeline.database.rows<{ change: string; open: boolean }>(
      `select coalesce(max(seq), 0)::text as change, exists (select from monitoring.signal where closed_at is null) as open
         from monitoring.signal_change`,
    );
    const isNews = told !== undefined && told.change !== this.lastChange;
    this.lastChange = told?.change ?? '';
    return isNews || told?.open === true;
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
    await this.pipeline.stop();
  }
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
