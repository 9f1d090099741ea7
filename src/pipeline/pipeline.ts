import { join } from 'node:path';
import type { DataSource } from 'typeorm';
import { AddressGuard } from '../kernel/address-guard.js';
import type { Clock } from '../kernel/clock.js';
import { createDataSource } from '../kernel/data-source.js';
import { Database, KEYED } from '../kernel/database.js';
import { HttpOut } from '../kernel/http-out.js';
import type { Logger } from '../kernel/log.js';
import { Loop, type LoopHealth } from '../kernel/loop.js';
import { ensurePartitions } from '../kernel/partitions.js';
import type { Ids, Random } from '../kernel/random.js';
import type { SecretBox } from '../kernel/secrets.js';
import type {
  Destination,
  DestinationKind,
  FlowReader,
  IntakeMinutes,
  IntakeTallies,
  Kind,
  LedgerReader,
  LedgerVerdicts,
  PipelineReader,
  ReadBack,
  RegistryReader,
  Requeue,
  ShopifyAdmin,
  ShopifyFiles,
  World,
} from './contract.js';
import type { AdapterOf, DestinationAdapter } from './destinations/adapter.js';
import { DeadLetters } from './delivery/dead-letters.js';
import { Sender } from './delivery/sender.js';
import { SettleQueue } from './delivery/settle-queue.js';
import { DeliveryWorker } from './delivery/worker.js';
import { DestinationReadBack } from './destinations/read-back.js';
import { createAdapters } from './destinations/registry.js';
import { Enricher } from './enrichment.js';
import { EventCache } from './event-cache.js';
import { PipelineFlow } from './flow.js';
import { readInboxGaps } from './inbox/inbox-gap.js';
import { InboxReader } from './inbox/inbox-reader.js';
import { InboxWriter } from './inbox/inbox-writer.js';
import { JournalDrain } from './inbox/journal-drain.js';
import { Journal } from './inbox/journal.js';
import { InboxStream } from './inbox/stream.js';
import { AnswerMinutes, TOOK_BOUNDS_MS } from './intake/answer-minutes.js';
import { AnswerTally } from './intake/answer-tally.js';
import { Intake } from './intake/intake.js';
import { SignatureCheck, type SigningSecret } from './intake/signature.js';
import { compareWithLedger } from './ledger/comparison.js';
import { readHourCounts, readOrdersSeen, readTouchedHours } from './ledger/hours.js';
import { readAcceptedBetween, readStandings } from './ledger/standings.js';
import { Verdicts } from './ledger/verdicts.js';
import type { PipelineMetrics } from './metrics.js';
import { pipelinePartitions } from './partitions.js';
import { REGISTRY_ENTITIES, Registry } from './registry/registry.js';
import { InboxRequeue } from './requeue.js';
import { keepHouse } from './retention.js';
import { HeldWebhooks } from './router/held.js';
import { Router } from './router/router.js';
import { readLastWebhookAt, readTraces } from './router/traces.js';
import { AdminApi } from './shopify/admin-api.js';
import { createFetchBody } from './shopify/fetch-body.js';
import { AdminProductSource } from './shopify/product-source.js';
import { ResultFiles } from './shopify/result-files.js';
import { WebhookReader } from './webhook-reader.js';

export interface PipelineOptions {
  databaseUrl: string;
  /** Holds the spill journal. */
  dataDir: string;
  /** Whether this process takes webhooks in (journal and four inbox streams) and whether it routes and delivers. */
  roles: { intake: boolean; worker: boolean };
  /** Names the process for people who look at the tables. */
  processName: string;
  signingSecrets: readonly SigningSecret[];
  apiVersion: string;
  /** Private ranges that outbound calls may reach; the sandbox's own calls may reach loopback besides. */
  allowPrivateAddresses: readonly string[];
  secrets: SecretBox;
  clock: Clock;
  ids: Ids;
  random: Random;
  log: Logger;
  metrics: PipelineMetrics;
  /** No loop runs: whoever opened it drives the clock, and calls `settle` at each instant. Default false. */
  driven?: boolean;
}

const LOOPBACK = ['127.0.0.0/8', '::1/128'];
const ADMIN_API_DEADLINE_MS = 8_000;
const ADMIN_API_BYTES_MAX = 16 * 1024 * 1024; // 250 orders with their lines
const ADAPTERS_CLOSE_WITHIN_MS = 1_000;
const TALLIES_WITHIN_MS = 500;
const HOUSE_EVERY_MS = 60_000;
const GAPS_SHOWN_MS = 24 * 3_600_000; // in /healthz; the facts stay

/**
 * The pipeline, wired: everything that records. Opened in two steps, because intake must take webhooks in (into its
 * journal) before the database can be reached, and the rest can only begin after its schema is there.
 */
export class Pipeline {
  readonly database: Database;
  private readonly keyed: Database;
  readonly reader: InboxReader;
  readonly writer: InboxWriter;
  readonly intake: Intake;
  private readonly tally: AnswerTally;
  private readonly answerMinutes: AnswerMinutes;
  readonly registry: Registry;
  readonly deadLetters: DeadLetters;
  readonly router: Router;
  readonly worker: DeliveryWorker;
  readonly webhooks: WebhookReader;
  readonly adminApi: AdminApi;
  private readonly requeue: InboxRequeue;
  private readonly readBack: DestinationReadBack;
  private readonly dataSource: DataSource;
  private readonly adapters: Record<World, ReadonlyMap<DestinationKind, DestinationAdapter>>;
  private readonly adminHttp: Record<World, HttpOut>;
  private readonly drain: JournalDrain;
  private readonly held: HeldWebhooks;
  private readonly intakeLoops: Loop[] = [];
  /** Every process follows the registry: a worker to deliver by it, the others to show it. */
  private readonly registryLoop: Loop;
  private readonly workerLoops: Loop[] = [];
  private opened = false;

  private constructor(
    private readonly options: PipelineOptions,
    readonly journal: Journal,
  ) {
    const { clock, ids, log, metrics, random, secrets } = options;
    // Router and delivery find every row by its key.
    this.keyed = new Database({
      url: options.databaseUrl,
      log,
      applicationName: `plumbline-${options.processName}`,
      poolSize: 6,
      settings: KEYED,
    });
    this.database = new Database({
      url: options.databaseUrl,
      log,
      applicationName: `plumbline-${options.processName}`,
    });
    this.reader = new InboxReader({ secrets, clock });
    const ensureDays = (): Promise<unknown> =>
      ensurePartitions(this.database, clock, pipelinePartitions(clock.nowMs()), { log });
    const stream = { databaseUrl: options.databaseUrl, writer: options.processName, secrets, clock };
    this.writer = new InboxWriter({
      ...stream,
      log,
      journal,
      ensurePartitions: ensureDays,
      streams: options.roles.intake ? 3 : 1,
      recorder: {
        appended: (entries, _bytes, _ms, where) => {
          metrics.intakeAppended(where === 'database' ? 'inbox' : 'journal', entries);
          if (where === 'database') this.router.wake();
        },
      },
    });
    const append = this.writer.append.bind(this.writer);
    const intakeProcess = ids.token(9);
    this.tally = new AnswerTally({
      database: this.database,
      clock,
      process: intakeProcess,
      knows: (domain) => this.registry.knowsDomain(domain),
    });
    this.answerMinutes = new AnswerMinutes({ database: this.database, clock, process: intakeProcess });
    this.intake = new Intake({
      signature: new SignatureCheck(options.signingSecrets),
      append,
      clock,
      recorder: {
        answered: (status, ms) => {
          metrics.intakeAnswered(ms / 1_000, status);
          this.answerMinutes.answered(status, ms);
        },
      },
      tally: this.tally,
    });
    this.drain = new JournalDrain({
      journal,
      database: this.database,
      secrets,
      log,
      openStream: () => InboxStream.open({ ...stream, ensurePartitions: ensureDays }),
      databaseIsUp: () => this.opened && this.writer.health().database === 'up',
    });

    const reach = {
      real: options.allowPrivateAddresses,
      sandbox: [...options.allowPrivateAddresses, ...LOOPBACK],
    };
    this.adapters = {
      real: createAdapters({ clock, log, allowPrivateAddresses: reach.real }),
      sandbox: createAdapters({ clock, log, allowPrivateAddresses: reach.sandbox }),
    };
    const adapters: AdapterOf = ({ kind, world }) => this.adapters[world].get(kind);
    this.readBack = new DestinationReadBack(adapters);
    this.dataSource = createDataSource(options.databaseUrl, REGISTRY_ENTITIES);
    this.registry = new Registry({
      source: this.dataSource,
      secrets,
      clock,
      ids,
      log,
      adapters: this.adapters.real,
    });
    this.adminHttp = {
      real: new HttpOut(new AddressGuard(reach.real)),
      sandbox: new HttpOut(new AddressGuard(reach.sandbox)),
    };
    this.adminApi = new AdminApi({ clock, apiVersion: options.apiVersion, post: this.postJson.bind(this) });
    this.webhooks = new WebhookReader(
      { loadPayloads: (pointers) => this.reader.loadPayloads(this.keyed, pointers) },
      this.registry,
    );
    this.deadLetters = new DeadLetters({
      database: this.database,
      webhooks: this.webhooks,
      secrets,
      clock,
      log,
      append,
    });
    this.requeue = new InboxRequeue({ admin: this.adminApi, apiVersion: options.apiVersion, clock, append });
    const cache = new EventCache();
    const sender = new Sender({
      database: this.keyed,
      webhooks: this.webhooks,
      cache,
      enricher: new Enricher(this.database, new AdminProductSource(this.adminApi), clock, log),
      deadLetters: this.deadLetters,
      settleQueue: new SettleQueue(this.keyed, log),
      clock,
      random,
      log,
      metrics: {
        sent: (kind, outcome, ms) => metrics.delivered(kind, outcome, ms / 1_000),
        accepted: (kind, ms) => metrics.acceptedAfter(kind, ms / 1_000),
      },
    });
    this.worker = new DeliveryWorker({ database: this.keyed, shops: this.registry, adapters, sender, clock, log });
    this.router = new Router({
      database: this.keyed,
      inbox: this.reader,
      shops: this.registry,
      adapters,
      cache,
      secrets,
      clock,
      log,
      queued: (lanes) => this.worker.nudge(lanes),
      metrics: { routed: (outcome, count) => metrics.webhookRouted(outcome, count) },
    });
    this.held = new HeldWebhooks({
      database: this.database,
      secrets,
      clock,
      log,
      shops: this.registry,
      fetchBody: createFetchBody(this.adminApi),
      append,
    });
    const loop = (name: string, pauseMs: number, round: (signal: AbortSignal) => Promise<'busy' | 'idle'>): Loop =>
      new Loop({ name, pauseMs, clock, log, round });
    this.intakeLoops.push(loop('journal-drain', 500, (signal) => this.drain.round(signal)));
    if (options.roles.intake) {
      this.intakeLoops.push(loop('intake-tally', 1_000, async () => (this.opened ? await this.tally.round() : 'idle')));
      this.intakeLoops.push(
        loop('intake-minutes', 5_000, async () => (this.opened ? await this.answerMinutes.round() : 'idle')),
      );
    }
    this.registryLoop = this.registry.watch();
    this.workerLoops.push(
      loop('held', 1_000, () => this.held.round()),
      loop('retention', HOUSE_EVERY_MS, async () => {
        await this.keepHouse();
        return 'idle';
      }),
    );
    this.registry.onChange(() => this.worker.rediscover());
  }

  /** Intake can take webhooks in from here on, into the journal if need be. The database may still be away. */
  static async openIntake(options: PipelineOptions): Promise<Pipeline> {
    const journal = await Journal.open({
      dir: join(options.dataDir, 'journal'),
      secrets: options.secrets,
      clock: options.clock,
      log: options.log,
    });
    const pipeline = new Pipeline(options, journal);
    await pipeline.writer.start();
    if (!options.driven) for (const loop of pipeline.intakeLoops) loop.start();
    return pipeline;
  }

  /**
   * The rest, once the schema is there.
   *
   * @param declare writes what the configuration declares, before anything is routed
   */
  async openRest(declare: (registry: Registry) => Promise<void>): Promise<void> {
    const { clock, log } = this.options;
    await ensurePartitions(this.database, clock, pipelinePartitions(clock.nowMs()), { log });
    if (!this.dataSource.isInitialized) await this.dataSource.initialize();
    await declare(this.registry);
    await this.registry.refresh();
    this.opened = true;
    if (this.options.driven) return;
    this.registryLoop.start();
    if (!this.options.roles.worker) return;
    this.router.start();
    this.worker.start();
    for (const loop of this.workerLoops) loop.start();
  }

  /**
   * Everything that is due at this instant, done, for who drives the clock: what waits in the journal or is held goes
   * on, what is in the inbox is routed, and what is due is delivered. Rejects with what a loop would have logged.
   */
  async settle(): Promise<void> {
    const { signal } = new AbortController();
    await this.registry.refresh();
    let busy = true;
    while (busy) {
      busy = (await this.drain.round(signal)) === 'busy';
      await this.held.round();
      while ((await this.router.round()) === 'busy') busy = true;
      await this.worker.settle();
    }
    await this.answerMinutes.round();
  }

  /** Partitions for the days to come, and the end of what has been kept long enough. */
  keepHouse(): Promise<void> {
    return keepHouse(this.database, this.reader, this.options.clock, this.options.log);
  }

  /** What monitoring is given. */
  ports(reader: PipelineReader): {
    registry: RegistryReader;
    reader: PipelineReader;
    ledger: LedgerReader;
    verdicts: LedgerVerdicts;
    requeue: Requeue;
    readBack: ReadBack;
    admin: ShopifyAdmin;
    files: ShopifyFiles;
    tallies: IntakeTallies;
    intake: IntakeMinutes;
    flow: FlowReader;
    takes: (destination: Destination) => ReadonlySet<Kind>;
  } {
    return {
      registry: this.registry,
      reader,
      admin: this.adminApi,
      files: new ResultFiles(this.adminHttp),
      ledger: {
        compare: (facts, owed) => compareWithLedger(this.database, facts, owed),
        standings: (facts) => readStandings(this.keyed, facts),
        acceptedBetween: (destinationId, fromAt, toAt, options) =>
          readAcceptedBetween(this.keyed, destinationId, fromAt, toAt, options),
        traces: (facts) => readTraces(this.keyed, facts),
        touchedHours: (sinceAt, untilAt) => readTouchedHours(this.database, sinceAt, untilAt),
        hourCounts: (hours, options) => readHourCounts(this.database, hours, options),
        ordersSeen: (fromAt, toAt) => readOrdersSeen(this.database, fromAt, toAt),
        lastWebhookAt: (shopId, topic) => readLastWebhookAt(this.database, shopId, topic),
      },
      verdicts: new Verdicts(this.keyed, this.options.clock),
      requeue: this.requeue,
      readBack: this.readBack,
      tallies: this.tally,
      intake: { tookBoundsMs: TOOK_BOUNDS_MS, minutes: (sinceAt) => this.answerMinutes.minutes(sinceAt) },
      flow: new PipelineFlow(this.database),
      takes: ({ kind, world }) => this.adapters[world].get(kind)?.kinds ?? new Set(),
    };
  }

  /** Segments that were gone from the inbox before they were read, noticed within a day. */
  async segmentsGone(): Promise<number> {
    const gaps = await readInboxGaps(this.database, new Date(this.options.clock.nowMs() - GAPS_SHOWN_MS));
    return gaps.reduce((sum, { segments }) => sum + segments, 0);
  }

  /** Those of other roles are left out: a loop that was never meant to run is not one that died. */
  loops(): LoopHealth[] {
    const loops = [...this.intakeLoops, this.registryLoop].map((loop) => loop.health());
    if (!this.options.roles.worker) return loops;
    return [...loops, ...this.workerLoops.map((loop) => loop.health()), this.router.health(), this.worker.health()];
  }

  /**
   * Stops in the order of the flow: nothing more is taken in, what was taken is made durable, what is under way ends
   * or keeps its lease. Bounded: the delivery worker waits 6 s at the most, and what hangs is cut off.
   */
  async stop(): Promise<void> {
    await this.intake.drain();
    await Promise.all([
      ...[...this.workerLoops, this.registryLoop, ...this.intakeLoops].map((loop) => loop.stop()),
      this.router.stop(),
      this.worker.stop(),
    ]);
    // What was answered 503 while stopping counts too; a database that is away must not hold up the end.
    const told = this.opened
      ? Promise.all([this.tally.round(), this.answerMinutes.round()]).catch(() => undefined)
      : Promise.resolve();
    await Promise.race([told, new Promise((resolve) => setTimeout(resolve, TALLIES_WITHIN_MS).unref())]);
    await this.writer.close();
    await this.drain.close();
    await this.journal.close();
    const closed = Promise.all(
      [this.adapters.real, this.adapters.sandbox].flatMap((map) => [...map.values()].map((each) => each.close())),
    );
    // A warehouse's connection is given back when its statement ends; one that hangs ends with the process.
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, ADAPTERS_CLOSE_WITHIN_MS).unref())]);
    await Promise.all([this.adminHttp.real.close(), this.adminHttp.sandbox.close()]);
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
    await Promise.all([this.database.end(), this.keyed.end()]);
  }

  private async postJson(
    world: World,
    url: string,
    headers: Record<string, string>,
    body: string,
    signal?: AbortSignal,
  ): Promise<{ status: number; body: string }> {
    const result = await this.adminHttp[world].request({
      method: 'POST',
      url,
      headers: { ...headers, 'content-type': 'application/json', accept: 'application/json' },
      body,
      deadlineMs: ADMIN_API_DEADLINE_MS,
      bodyBytesMax: ADMIN_API_BYTES_MAX,
      ...(signal ? { signal } : {}),
    });
    if (result.kind === 'answer' && result.complete) return { status: result.status, body: result.body };
    throw new Error(result.kind === 'answer' ? 'the answer was cut' : result.detail);
  }
}
