import 'reflect-metadata';
import { Module, type DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { ServiceFile } from './config-sections.js';
import { API_BODY_BYTES_MAX, consoleModule } from './console/console.module.js';
import type { ConsoleDeps } from './console/deps.js';
import { ApiTokens } from './kernel/auth.js';
import { SystemClock } from './kernel/clock.js';
import type { Config } from './kernel/config.js';
import {
  followDatabaseClock,
  readDurability,
  refuseWeakDurability,
  type DurabilitySetting,
} from './kernel/database.js';
import { prepareDataDirectory } from './kernel/data-directory.js';
import { EmbeddedPostgres } from './kernel/embedded-postgres.js';
import { ERRORS, PlumblineError, messageOf, type ErrorCode } from './kernel/errors.js';
import { AddressGuard } from './kernel/address-guard.js';
import { HttpOut } from './kernel/http-out.js';
import { judgeLoop, type HealthReport, type HealthSource } from './kernel/health.js';
import type { Logger } from './kernel/log.js';
import { Loop, type LoopHealth } from './kernel/loop.js';
import { migrate } from './kernel/migrate.js';
import { systemIds, systemRandom } from './kernel/random.js';
import { SecretBox } from './kernel/secrets.js';
import { ServiceLock } from './kernel/service-lock.js';
import { Telemetry } from './kernel/telemetry.js';
import { VitalSigns } from './kernel/vitals.js';
import { intakeServerFactory } from './pipeline/intake/server-factory.js';
import { Alerting } from './alerting/alerting.js';
import { Monitoring } from './monitoring/monitoring.js';
import type { World } from './pipeline/contract.js';
import { PIPELINE_BUCKETS, PipelineMetrics } from './pipeline/metrics.js';
import { Pipeline } from './pipeline/pipeline.js';
import { PipelineQueries } from './pipeline/queries.js';
import type { Registry } from './pipeline/registry/registry.js';
import { declareSandbox } from './pipeline/registry/sandbox-declaration.js';
import { SandboxProcess } from './sandbox-process.js';
import { StatusPage } from './status-page/status-page.js';

export const VERSION = '0.1.0';

const DATABASE = 'plumbline';
const SANDBOX_WAREHOUSE = 'plumbline_sandbox_warehouse';
const SANDBOX_PORT = 8090;
const OPEN_RETRY_MS = 2_000;
const CLOCK_EVERY_MS = 10_000;

@Module({})
class AppModule {
  static with(deps: ConsoleDeps): DynamicModule {
    return { module: AppModule, imports: [consoleModule(deps)] };
  }
}

/** Where everything is, for the words at the start. */
export interface Addresses {
  url: string;
  metricsUrl: string | null;
  sandboxUrl: string | null;
  adminTokenPath: string | null;
}

/** The areas of a process, once they are made. */
interface Parts {
  pipeline: Pipeline;
  monitoring: Monitoring;
  alerting: Alerting;
  statusPage: StatusPage;
  tokens: ApiTokens;
  queries: PipelineQueries;
}

function loopsOf({ pipeline, monitoring, alerting, statusPage }: Parts): LoopHealth[] {
  return [...pipeline.loops(), ...monitoring.health(), ...alerting.health(), ...statusPage.health()];
}

/**
 * One process of Plumbline: which parts of it run is told by its roles.
 *
 * Intake opens first and by itself: it takes webhooks in, into the journal if need be, while the database is still
 * away. Everything else opens as soon as the database answers, and is retried until it does.
 */
export class Service {
  private readonly clock = new SystemClock();
  private readonly secrets: SecretBox;
  private readonly telemetry: Telemetry;
  private readonly metrics: PipelineMetrics;
  private lock: ServiceLock | null = null;
  private embedded: EmbeddedPostgres | null = null;
  private pipeline: Pipeline | null = null;
  private monitoring: Monitoring | null = null;
  private alerting: Alerting | null = null;
  private statusPage: StatusPage | null = null;
  private app: NestFastifyApplication | null = null;
  private sandbox: SandboxProcess | null = null;
  private clockLoop: Loop | null = null;
  private durability: readonly DurabilitySetting[] | null = null;
  private addresses: Addresses = { url: '', metricsUrl: null, sandboxUrl: null, adminTokenPath: null };
  private openError: string | null = 'starting';
  private stopping = false;
  private readonly sandboxSecret = systemIds.token(32);
  private readonly sandboxMailSecret = systemIds.token(32);
  private readonly http: HttpOut;
  private readonly vitals = new VitalSigns();

  private constructor(
    private readonly config: Config<ServiceFile>,
    private readonly log: Logger,
    private readonly failed: (error: unknown) => void,
  ) {
    this.secrets = new SecretBox(config.secretKeys ?? []);
    this.telemetry = new Telemetry({
      host: config.host,
      port: config.metricsPort,
      version: VERSION,
      buckets: PIPELINE_BUCKETS,
    });
    this.metrics = new PipelineMetrics(this.telemetry.meter('plumbline'));
    this.http = new HttpOut(new AddressGuard(config.file.security.allowPrivateAddresses));
  }

  /**
   * @returns once the service is ready; with `DATABASE_URL` out of reach, once intake answers from its journal
   * @param failed is told what failed when opening went on after the return and has ended for good
   * @throws PlumblineError for what only a person can mend
   */
  static async start(
    config: Config<ServiceFile>,
    log: Logger,
    failed: (error: unknown) => void = () => undefined,
  ): Promise<Service> {
    const service = new Service(config, log, failed);
    try {
      await service.open();
    } catch (error) {
      await service.stop();
      throw error;
    }
    return service;
  }

  where(): Addresses {
    return this.addresses;
  }

  /** Takes nothing more, lets what is under way end, and closes everything; within 10 s. */
  async stop(): Promise<void> {
    this.stopping = true;
    const quietly = async (what: string, work: Promise<unknown> | undefined): Promise<void> => {
      await work?.catch((error: unknown) => this.log.error({ err: error }, `${what} did not close well`));
    };
    await quietly('sandbox', this.sandbox?.stop());
    await quietly('clock', this.clockLoop?.stop());
    await quietly('status page', this.statusPage?.stop());
    await quietly('alerting', this.alerting?.stop());
    await quietly('monitoring', this.monitoring?.stop());
    this.vitals.stop();
    await quietly('pipeline', this.pipeline?.stop());
    await quietly('server', this.app?.close());
    await quietly('outgoing connections', this.http.close());
    await quietly('metrics', this.telemetry.stop());
    await quietly('embedded database', this.embedded?.stop());
    this.lock?.release();
  }

  private async open(): Promise<void> {
    const { config, log } = this;
    const databaseUrl = await this.databaseUrl();
    // Our own database answers already: its schema first, so that the inbox opens at once.
    if (this.embedded) await migrate(databaseUrl, log);
    const pipeline = await Pipeline.openIntake({
      databaseUrl,
      dataDir: config.dataDir,
      roles: { intake: config.roles.has('intake'), worker: config.roles.has('worker') },
      processName: `${process.pid}`,
      signingSecrets: this.signingSecrets(),
      apiVersion: config.file.shopify.apiVersion,
      allowPrivateAddresses: config.file.security.allowPrivateAddresses,
      secrets: this.secrets,
      clock: this.clock,
      ids: systemIds,
      random: systemRandom,
      log,
      metrics: this.metrics,
    });
    this.pipeline = pipeline;
    const tokens = new ApiTokens(pipeline.database, this.clock, systemIds);
    const queries = new PipelineQueries(pipeline.database, this.secrets, this.clock);
    const ports = pipeline.ports(queries);
    const monitoring = new Monitoring({
      databaseUrl,
      database: pipeline.database,
      processName: `${process.pid}`,
      watch: config.roles.has('watch'),
      clock: this.clock,
      log,
      pipeline: ports,
      notices: {
        settings: config.file.notices ?? null,
        secrets: this.mailSecrets(),
        meter: this.telemetry.meter('plumbline'),
        http: this.http,
      },
      subscriptions: {
        topics: config.file.shopify.topics,
        apiVersion: config.file.shopify.apiVersion,
        callbackBase: (world) => (world === 'real' ? (config.file.shopify.publicUrl ?? null) : this.sandboxCallback()),
      },
      slos: config.file.slos,
      process: {
        id: systemIds.token(9),
        roles: [...config.roles].sort(),
        vitals: () => this.vitals.read(),
        loops: () => [...pipeline.loops(), ...(this.alerting?.health() ?? [])],
      },
    });
    this.monitoring = monitoring;
    const alerting = new Alerting({
      database: pipeline.database,
      processName: `${process.pid}`,
      watch: config.roles.has('watch'),
      clock: this.clock,
      log,
      ids: systemIds,
      random: systemRandom,
      registry: ports.registry,
      signals: monitoring.signals,
      reconciliation: monitoring.reconciliation,
      throughput: monitoring.throughput,
      pipeline: queries,
      worldOfService: () => this.worldOfService(pipeline),
      http: this.http,
      meter: this.telemetry.meter('plumbline'),
      heartbeats: monitoring.heartbeats,
      settings: {
        alertmanagerUrl: config.file.alerting?.alertmanager?.url ?? null,
      },
    });
    alerting.notifier.configure('real', config.file.alerting ?? null);
    this.alerting = alerting;
    const statusPage = new StatusPage({
      database: pipeline.database,
      dataDir: config.dataDir,
      processName: `${process.pid}`,
      watch: config.roles.has('watch'),
      settings: config.file.statusPage,
      serviceUrl: () => this.addresses.url,
      exportDirectory: config.statusExportDir,
      clock: this.clock,
      ids: systemIds,
      log,
      ports: {
        registry: ports.registry,
        signals: monitoring.signals,
        reconciliation: monitoring.reconciliation,
        throughput: monitoring.throughput,
        heartbeats: monitoring.heartbeats,
        incidents: alerting.incidents,
      },
    });
    this.statusPage = statusPage;
    await statusPage.open();
    const parts: Parts = { pipeline, monitoring, alerting, statusPage, tokens, queries };
    this.metrics.observe(
      () => queries.gauges(),
      () => loopsOf(parts),
    );
    const metricsUrl = await this.telemetry.start();
    await this.listen(parts);
    this.addresses = { ...this.addresses, metricsUrl };
    const rest = this.openRest(parts, databaseUrl);
    if (config.databaseUrl === null) return rest;
    // An external database may be away for long. Intake works meanwhile; the rest follows when it is back.
    const waited = new Promise<'later'>((resolve) => setTimeout(() => resolve('later'), 3 * OPEN_RETRY_MS).unref());
    if ((await Promise.race([rest, waited])) === 'later') void rest.catch((error: unknown) => this.failLate(error));
  }

  private async failLate(error: unknown): Promise<void> {
    if (this.stopping) return;
    this.openError = messageOf(error);
    this.log.fatal({ err: error }, 'the service cannot open; it ends');
    await this.stop();
    this.failed(error);
  }

  private async databaseUrl(): Promise<string> {
    // The journal needs the directory for itself, whoever keeps the database.
    this.lock = await ServiceLock.acquire(prepareDataDirectory(this.config.dataDir));
    if (this.config.databaseUrl !== null) return this.config.databaseUrl;
    this.embedded = await EmbeddedPostgres.start({ dataDir: this.config.dataDir, log: this.log, lock: this.lock });
    await this.embedded.ensureDatabase(DATABASE);
    return this.embedded.url(DATABASE);
  }

  private signingSecrets(): { secret: string; world: 'real' | 'sandbox' }[] {
    const real = this.config.file.shopify.clientSecrets.map((secret) => ({ secret, world: 'real' as const }));
    return this.config.sandbox === 'off' ? real : [...real, { secret: this.sandboxSecret, world: 'sandbox' }];
  }

  private mailSecrets(): { secret: string; world: 'real' | 'sandbox' }[] {
    const secret = this.config.file.notices?.secretPath;
    const real = secret === undefined ? [] : [{ secret, world: 'real' as const }];
    return this.config.sandbox === 'off' ? real : [...real, { secret: this.sandboxMailSecret, world: 'sandbox' }];
  }

  /** What is about the service itself concerns real shops as soon as there may be one. */
  private worldOfService(pipeline: Pipeline): World {
    const isReal = pipeline.registry.current.allShops.some(({ world }) => world === 'real');
    return isReal || this.config.sandbox === 'off' ? 'real' : 'sandbox';
  }

  private async listen(parts: Parts): Promise<void> {
    const { pipeline, monitoring, alerting, statusPage, tokens, queries } = parts;
    const { config } = this;
    const adapter = new FastifyAdapter({
      serverFactory: statusPage.serverFactory(
        config.roles.has('intake') ? intakeServerFactory(pipeline.intake) : undefined,
      ),
      bodyLimit: API_BODY_BYTES_MAX,
      forceCloseConnections: true,
    });
    const deps: ConsoleDeps = {
      version: VERSION,
      clock: this.clock,
      log: this.log,
      database: pipeline.database,
      tokens,
      registry: pipeline.registry.desk,
      pipeline: queries,
      replay: pipeline.deadLetters,
      signals: monitoring.signals,
      throughput: monitoring.throughput,
      silence: monitoring.silence,
      slos: monitoring.slos,
      processes: monitoring.processes,
      heartbeats: monitoring.heartbeats,
      reconciliation: monitoring.reconciliation,
      notices: monitoring.notices.book,
      inboundMail: monitoring.notices.door,
      subscriptions: monitoring.subscriptions,
      incidents: alerting.incidents,
      alerts: alerting.alerts,
      silences: alerting.silences,
      notifications: alerting.notifications,
      notifier: alerting.notifier.watch,
      inboundPager: alerting.notifier.door,
      inboundAlerts: alerting.inboundAlerts,
      statusPage: statusPage.desk,
      health: this.healthSources(parts),
      ready: () => this.readiness(pipeline),
      start: () => ({
        metricsUrl: this.addresses.metricsUrl,
        sandboxUrl: this.addresses.sandboxUrl,
        adminTokenPath: this.addresses.adminTokenPath,
        database: this.embedded ? 'embedded' : 'external',
        durability: this.durability,
      }),
    };
    this.app = await NestFactory.create<NestFastifyApplication>(AppModule.with(deps), adapter, {
      logger: false,
      bodyParser: true,
    });
    await this.app.listen(config.port, config.host);
    this.addresses = { ...this.addresses, url: (await this.app.getUrl()).replace('[::1]', 'localhost') };
  }

  /** Everything but intake. Retried until the database answers; what only a person can mend ends the process. */
  private async openRest(parts: Parts, databaseUrl: string): Promise<void> {
    const { config } = this;
    const { pipeline, monitoring, alerting, statusPage, tokens } = parts;
    for (;;) {
      try {
        await migrate(databaseUrl, this.log);
        this.durability = await readDurability(pipeline.database);
        refuseWeakDurability(this.durability);
        await followDatabaseClock(pipeline.database, this.clock);
        await pipeline.openRest((registry) => this.declare(registry));
        this.vitals.start();
        monitoring.start();
        alerting.start();
        statusPage.start();
        const adminTokenPath = await tokens.ensureFirst(config.adminToken, config.dataDir);
        this.addresses = { ...this.addresses, adminTokenPath };
        break;
      } catch (error) {
        if (error instanceof PlumblineError || this.stopping) throw error;
        this.openError = messageOf(error);
        this.log.error(
          {
            code: 'DATABASE_UNREACHABLE' satisfies ErrorCode,
            runbook: ERRORS.DATABASE_UNREACHABLE.runbook,
            err: error,
          },
          'not open yet: the database does not answer; intake keeps to its journal',
        );
        if (this.embedded) throw error; // it did answer a moment ago: this is no outage but a fault
        await new Promise((resolve) => setTimeout(resolve, OPEN_RETRY_MS));
      }
    }
    this.openError = null;
    if (
      config.file.alerting === undefined &&
      pipeline.registry.current.allShops.some(({ world }) => world === 'real')
    ) {
      this.log.warn('nobody is told of any alert: the section alerting is not in the configuration file');
    }
    this.clockLoop = new Loop({
      name: 'database',
      pauseMs: CLOCK_EVERY_MS,
      clock: this.clock,
      log: this.log,
      round: async () => {
        await followDatabaseClock(pipeline.database, this.clock);
        this.durability = await readDurability(pipeline.database);
        return 'idle';
      },
    }).start();
    await this.startSandbox(pipeline.registry, alerting);
  }

  private async declare(registry: Registry): Promise<void> {
    const { shops, destinations } = this.config.file;
    await registry.applyDeclared({ shops, destinations }, 'real');
    // Yesterday's sandbox is gone with its process: nothing may wait for it.
    await registry.applyDeclared({ shops: [], destinations: [] }, 'sandbox');
  }

  private async startSandbox(registry: Registry, alerting: Alerting): Promise<void> {
    const { config } = this;
    const hasShops = registry.current.allShops.some((shop) => shop.world === 'real');
    const wholeService = config.roles.has('intake') && config.roles.has('worker') && config.roles.has('web');
    if (config.sandbox === 'off' || (config.sandbox === 'auto' && (hasShops || !wholeService))) return;
    const sandbox = await SandboxProcess.start({
      serviceUrl: this.addresses.url,
      clientSecret: this.sandboxSecret,
      accessToken: systemIds.token(16),
      mailTo: `${this.addresses.url}/inbound/email/postmark/${this.sandboxMailSecret}`,
      port: SANDBOX_PORT,
      log: this.log,
    });
    this.sandbox = sandbox;
    const { alerting: told, pagerCa } = sandbox.channels(this.addresses.url);
    alerting.notifier.configure('sandbox', told, pagerCa);
    await registry.applyDeclared(declareSandbox(sandbox.world, await this.sandboxWarehouse()), 'sandbox');
    await sandbox.startSelling(
      Object.fromEntries(
        registry.current.allShops.filter((shop) => shop.world === 'sandbox').map((shop) => [shop.domain, shop.key]),
      ),
    );
    this.addresses = { ...this.addresses, sandboxUrl: sandbox.world.controlUrl };
  }

  /** The sandbox calls this process itself, once it has been told where its stores' webhooks go. */
  private sandboxCallback(): string | null {
    return this.sandbox?.running === true && this.addresses.sandboxUrl !== null ? this.addresses.url : null;
  }

  private async sandboxWarehouse(): Promise<{ url: string; table: string }> {
    if (!this.embedded) return { url: this.config.databaseUrl ?? '', table: 'plumbline_sandbox_events' };
    await this.embedded.ensureDatabase(SANDBOX_WAREHOUSE);
    return { url: this.embedded.url(SANDBOX_WAREHOUSE), table: 'plumbline_events' };
  }

  private readiness(pipeline: Pipeline): { ready: boolean; reason: string | null } {
    if (this.stopping) return { ready: false, reason: 'stopping' };
    // Intake is ready as soon as something durable can be reached; a journal is.
    if (this.config.roles.has('intake')) return { ready: true, reason: null };
    if (this.openError !== null) return { ready: false, reason: this.openError };
    if (pipeline.writer.health().database === 'up') return { ready: true, reason: null };
    return { ready: false, reason: 'the database does not answer' };
  }

  private healthSources(parts: Parts): HealthSource[] {
    const { pipeline, alerting } = parts;
    const loops = () => loopsOf(parts);
    const report = (
      name: string,
      read: () => Omit<HealthReport, 'name'> | Promise<Omit<HealthReport, 'name'>>,
    ): HealthSource => ({ name, read: async () => ({ name, ...(await read()) }) });
    return [
      report('database', async () => {
        if (this.openError !== null) return { state: 'failing', ageMs: null, detail: 'does not answer' };
        await pipeline.database.query('select 1');
        const weak = (this.durability ?? []).filter((setting) => !setting.durable);
        return weak.length > 0
          ? {
              state: 'degraded',
              ageMs: 0,
              detail: `not durable: ${weak.map((w) => `${w.name}=${w.value}`).join(', ')}`,
            }
          : { state: 'ok', ageMs: 0, detail: null };
      }),
      report('inbox', async () => {
        const [unreadable] = pipeline.reader.unreadable();
        if (unreadable) return { state: 'dead', ageMs: null, detail: unreadable.message };
        if (pipeline.writer.health().database !== 'up') {
          return { state: 'degraded', ageMs: null, detail: 'the database does not take webhooks; the journal does' };
        }
        const gone = await pipeline.segmentsGone();
        if (gone > 0) {
          return { state: 'degraded', ageMs: 0, detail: `${gone} segments were gone before they were read` };
        }
        return { state: 'ok', ageMs: 0, detail: null };
      }),
      report('journal', async () => {
        const { files, bytes, damagedPieces } = await pipeline.journal.state();
        if (damagedPieces > 0) {
          return { state: 'degraded', ageMs: null, detail: `${damagedPieces} damaged pieces wait for a person` };
        }
        const waiting = files > 0 ? `${files} files, ${bytes} bytes to be drained` : null;
        return { state: 'ok', ageMs: 0, detail: waiting };
      }),
      report('notifier', () => alerting.notifier.health()),
      ...loops().map(({ name }) =>
        report(name, () => {
          const loop = loops().find((candidate) => candidate.name === name);
          return loop ? judgeLoop(loop) : { state: 'unknown', ageMs: null, detail: 'not running here' };
        }),
      ),
    ];
  }
}
