import type { Clock } from '../kernel/clock.js';
import type { Database } from '../kernel/database.js';
import { Leader } from '../kernel/leader.js';
import type { Logger } from '../kernel/log.js';
import { Loop, type LoopHealth } from '../kernel/loop.js';
import type {
  Destination,
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
} from '../pipeline/contract.js';
import { DrivenDuties, type Duty, type Settled } from '../kernel/duty.js';
import type { Vitals } from '../kernel/vitals.js';
import type { HeartbeatReader, Slo, SloReader } from './contract.js';
import { HealthWatch } from './health/health-watch.js';
import { Heartbeats, stalledDuties } from './health/heartbeats.js';
import { ProcessBook } from './health/process-book.js';
import { Notices, type NoticeOptions } from './notices/notices.js';
import { BulkListing } from './reconciliation/bulk-listing.js';
import { ChosenListing } from './reconciliation/choose-listing.js';
import { ListedCounts } from './reconciliation/listed-counts.js';
import { PageListing } from './reconciliation/page-listing.js';
import { Reconciliation } from './reconciliation/reconciliation.js';
import { LineWatch } from './line-watch/line-watch.js';
import { SignalBook } from './signals/signal-book.js';
import { Countdown } from './subscriptions/countdown.js';
import type { GapProof } from './subscriptions/gap-proof.js';
import { SubscriptionWatch } from './subscriptions/subscription-watch.js';
import type { SubscriptionSettings } from './subscriptions/wanted.js';
import { SilenceQuery } from './silence/silence-query.js';
import { SilenceWatch } from './silence/silence-watch.js';
import { SloWatch } from './slo/slo-watch.js';
import { ThroughputRollUp } from './throughput/roll-up.js';
import { ThroughputQuery } from './throughput/throughput-query.js';

export const SUBSCRIPTION_AUDIT = 'subscription-audit';

/** What monitoring needs of the pipeline, given by the wiring. */
export interface PipelinePorts {
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
  /** The kinds of event a destination takes. */
  takes: (destination: Destination) => ReadonlySet<Kind>;
}

export interface MonitoringOptions {
  databaseUrl: string;
  database: Database;
  /** Names the process for people who look at the tables. */
  processName: string;
  /** Whether this process judges. Others only show what has been judged. */
  watch: boolean;
  clock: Clock;
  log: Logger;
  pipeline: PipelinePorts;
  notices: NoticeOptions;
  subscriptions: SubscriptionSettings;
  slos: readonly Slo[];
  /** This process, as it says of itself whatever its roles; `null` where nobody would miss it. */
  process: {
    /** Among all that there are and were. */
    id: string;
    roles: readonly string[];
    vitals: () => Vitals;
    /** The loops beside monitoring's own. */
    loops: () => readonly LoopHealth[];
  } | null;
}

const BEAT_EVERY_MS = 10_000;
const LOOK_AT_DUTIES_EVERY_MS = 30_000;
/** A database that is away must not hold up the end. */
const LEAVE_WITHIN_MS = 500;

/**
 * Monitoring, wired: everything that judges. Its duties run in one process at a time, whoever holds the lock; every
 * process can show what was found.
 */
export class Monitoring {
  readonly signals: SignalBook;
  readonly reconciliation: Reconciliation;
  readonly notices: Notices;
  readonly subscriptions: SubscriptionWatch;
  readonly throughput: ThroughputQuery;
  readonly silence: SilenceQuery;
  readonly slos: SloReader;
  readonly heartbeats: HeartbeatReader;
  private readonly countdown: Countdown;
  private readonly rollUp: ThroughputRollUp;
  private readonly silenceWatch: SilenceWatch;
  private readonly lineWatch: LineWatch;
  private readonly sloWatch: SloWatch;
  private readonly healthWatch: HealthWatch;
  private readonly beats: Heartbeats;
  readonly processes: ProcessBook;
  /** Runs in every process. */
  private readonly processLoop: Loop | null;
  /** Runs in every process that may lead, whoever does: it sees that nobody does the duties. */
  private readonly dutyWatch: Loop;
  private watchingSinceMs = Infinity;
  private readonly bulkListing: BulkListing;
  private readonly leader: Leader;
  private readonly loops: Loop[];
  private readonly work: readonly Duty[];
  private readonly driven: DrivenDuties;

  constructor(private readonly options: MonitoringOptions) {
    const { clock, log, database, pipeline } = options;
    const { admin, files } = pipeline;
    this.bulkListing = new BulkListing({ admin, files, clock });
    this.signals = new SignalBook({ database, clock, log, names: pipeline.registry });
    this.reconciliation = new Reconciliation({
      database,
      clock,
      log,
      signals: this.signals,
      ...pipeline,
      listing: new ChosenListing({ admin, clock, pages: new PageListing(admin), bulk: this.bulkListing }),
    });
    this.notices = new Notices({
      options: options.notices,
      database,
      registry: pipeline.registry,
      signals: this.signals,
      hint: (shopId, why) => this.subscriptions.hint(shopId, why),
      clock,
      log,
    });
    const gaps: GapProof = {
      requestReconciliation: (shopId, fromAt, toAt, why) => this.reconciliation.requestFor(shopId, fromAt, toAt, why),
      isProved: (id) => this.reconciliation.isProved(id),
    };
    this.subscriptions = new SubscriptionWatch(
      {
        database,
        registry: pipeline.registry,
        admin: pipeline.admin,
        ledger: pipeline.ledger,
        signals: this.signals,
        settings: options.subscriptions,
        gaps,
        clock,
        log,
      },
      () => this.loops.find(({ name }) => name === SUBSCRIPTION_AUDIT)?.wake(),
    );
    this.countdown = new Countdown({
      tallies: pipeline.tallies,
      registry: pipeline.registry,
      signals: this.signals,
      hint: (shopId, why) => this.subscriptions.hint(shopId, why),
      clock,
    });
    const sold = new ListedCounts(database);
    const shared = { database, clock, log, signals: this.signals, ...pipeline, sold };
    this.throughput = new ThroughputQuery(shared);
    this.rollUp = new ThroughputRollUp(shared);
    this.silence = new SilenceQuery(shared);
    this.silenceWatch = new SilenceWatch({ ...shared, hints: this.subscriptions });
    this.lineWatch = new LineWatch(shared);
    this.sloWatch = new SloWatch(options.slos, shared);
    this.slos = this.sloWatch;
    this.beats = new Heartbeats({ database, clock });
    this.heartbeats = this.beats;
    this.processes = new ProcessBook({
      database,
      clock,
      name: options.processName,
      ...(options.process ?? { id: options.processName, roles: [], vitals: NO_VITALS }),
      loops: () => [...(options.process?.loops() ?? []), ...this.health()],
    });
    this.healthWatch = new HealthWatch({ ...shared, processes: this.processes });
    this.processLoop =
      options.process &&
      new Loop({
        name: 'process',
        pauseMs: BEAT_EVERY_MS,
        clock,
        log,
        round: async () => {
          await this.processes.beat();
          return 'idle';
        },
      });
    this.dutyWatch = new Loop({
      name: 'duty-watch',
      pauseMs: LOOK_AT_DUTIES_EVERY_MS,
      clock,
      log,
      round: async () => {
        await this.lookForStalledDuties();
        return 'idle';
      },
    });
    this.leader = new Leader({
      name: 'watch',
      databaseUrl: options.databaseUrl,
      processName: options.processName,
      clock,
      log,
      changed: () => this.loops.forEach((loop) => loop.wake()),
    });
    this.work = this.duties();
    this.driven = new DrivenDuties(this.work, clock);
    this.loops = [
      ...this.work.map((duty) => new Loop({ ...duty, clock, log, round: this.led(duty) })),
      ...this.notices.loops(),
    ];
    this.reconciliation.onRequest(() => this.loops.find(({ name }) => name === 'reconciliation')?.wake());
  }

  /** The schema is there from here on. */
  start(): void {
    this.processLoop?.start();
    if (!this.options.watch) return;
    this.watchingSinceMs = this.options.clock.nowMs();
    this.leader.start();
    for (const loop of this.loops) loop.start();
    this.dutyWatch.start();
  }

  /** Whichever process sees it first says so; all of them say the same. */
  async lookForStalledDuties(): Promise<void> {
    const found = stalledDuties(
      this.work,
      await this.beats.heartbeats(),
      this.watchingSinceMs,
      this.options.clock.nowMs(),
    );
    await this.signals.replace('watch-stalled', null, found);
  }

  /**
   * Does every duty whose pause is over, until it has nothing more to do: for who drives the clock, instead of `start`. It
   * asks no lock, because who drives the clock is alone.
   */
  async settle(pauseMs?: (duty: Duty) => number): Promise<Settled> {
    const settled = await this.driven.settle(pauseMs);
    await this.beats.beat(...settled.done);
    return settled;
  }

  health(): LoopHealth[] {
    const own = this.processLoop ? [this.processLoop.health()] : [];
    if (!this.options.watch) return own;
    return [...own, this.leader.health(), ...this.loops.map((loop) => loop.health()), this.dutyWatch.health()];
  }

  /** Bounded: a round that is under way is told to end. */
  async stop(): Promise<void> {
    if (this.processLoop) {
      await this.processLoop.stop();
      const left = this.processes.leave().catch(() => undefined);
      await Promise.race([left, new Promise((resolve) => setTimeout(resolve, LEAVE_WITHIN_MS).unref())]);
    }
    if (!this.options.watch) return;
    await Promise.all([...this.loops, this.dutyWatch].map((loop) => loop.stop()));
    await this.notices.close();
    await this.leader.stop();
    this.bulkListing.close();
  }

  private duties(): Duty[] {
    return [
      ...this.reconciliation.duties(),
      this.notices.duty(),
      {
        name: SUBSCRIPTION_AUDIT,
        pauseMs: 1_000,
        // A round ends with its slowest shop: eight topics to be made again, at 8 s each when Shopify is slow.
        staleAfterMs: 120_000,
        round: (signal) => this.subscriptions.round(signal),
      },
      { name: 'subscription-countdown', pauseMs: 5_000, round: () => this.countdown.round() },
      { name: 'throughput', pauseMs: 5_000, round: (signal) => this.rollUp.round(signal) },
      { name: 'silence', pauseMs: 30_000, round: (signal) => this.silenceWatch.round(signal) },
      ...this.lineWatch.duties(),
      ...this.sloWatch.duties(),
      ...this.healthWatch.duties(),
    ];
  }

  private led({ name, round }: Duty): Duty['round'] {
    return async (signal) => {
      if (!this.leader.isLeader) return 'idle';
      const done = await round(AbortSignal.any([signal, this.leader.signal]));
      await this.beats.beat(name);
      return done;
    };
  }
}

const NO_VITALS = (): Vitals => ({
  eventLoopDelayP99Ms: 0,
  heapUsedBytes: 0,
  heapLimitBytes: 0,
  residentBytes: 0,
});
