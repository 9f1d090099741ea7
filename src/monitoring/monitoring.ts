import type { Clock } from '../kernel/clock.js';
import type { Database } from '../kernel/database.js';
import { Leader } from '../kernel/leader.js';
import type { Logger } from '../kernel/log.js';
import { Loop, type LoopHealth } from '../kernel/loop.js';
import type {
  Destination,
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
import type { Duty } from '../kernel/duty.js';
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
}

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
  private readonly countdown: Countdown;
  private readonly rollUp: ThroughputRollUp;
  private readonly silenceWatch: SilenceWatch;
  private readonly lineWatch: LineWatch;
  private readonly bulkListing: BulkListing;
  private readonly leader: Leader;
  private readonly loops: Loop[];
  private readonly work: readonly Duty[];
  /** When each duty last had nothing more to do; only for `settle`. */
  private readonly restingSinceMs = new Map<Duty, number>();

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
    this.leader = new Leader({
      name: 'watch',
      databaseUrl: options.databaseUrl,
      processName: options.processName,
      clock,
      log,
      changed: () => this.loops.forEach((loop) => loop.wake()),
    });
    this.work = this.duties();
    this.loops = [
      ...this.work.map(({ round, ...rest }) => new Loop({ ...rest, clock, log, round: this.led(round) })),
      ...this.notices.loops(),
    ];
    this.reconciliation.onRequest(() => this.loops.find(({ name }) => name === 'reconciliation')?.wake());
  }

  /** The schema is there from here on. */
  start(): void {
    if (!this.options.watch) return;
    this.leader.start();
    for (const loop of this.loops) loop.start();
  }

  /**
   * Does every duty whose pause is over, until it has nothing more to do: for who drives the clock, instead of `start`. It
   * asks no lock, because who drives the clock is alone.
   *
   * A duty that fails is tried again at its next turn, as its loop would.
   *
   * @param pauseMs how long each rests when it had nothing to do; by default as `start` has it
   * @returns whether any of them had something to do, and which failed
   */
  async settle(
    pauseMs: (duty: Duty) => number = (duty) => duty.pauseMs,
  ): Promise<{ busy: boolean; failed: { duty: string; error: unknown }[] }> {
    const { signal } = new AbortController();
    const failed: { duty: string; error: unknown }[] = [];
    let busy = false;
    for (const duty of this.work) {
      const nowMs = this.options.clock.nowMs();
      if (nowMs - (this.restingSinceMs.get(duty) ?? -Infinity) < pauseMs(duty)) continue;
      try {
        while ((await duty.round(signal)) === 'busy') busy = true;
      } catch (error) {
        failed.push({ duty: duty.name, error });
      }
      this.restingSinceMs.set(duty, nowMs);
    }
    return { busy, failed };
  }

  health(): LoopHealth[] {
    if (!this.options.watch) return [];
    return [this.leader.health(), ...this.loops.map((loop) => loop.health())];
  }

  /** Bounded: a round that is under way is told to end. */
  async stop(): Promise<void> {
    if (!this.options.watch) return;
    await Promise.all(this.loops.map((loop) => loop.stop()));
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
    ];
  }

  private led(round: Duty['round']): Duty['round'] {
    return (signal) =>
      this.leader.isLeader ? round(AbortSignal.any([signal, this.leader.signal])) : Promise.resolve('idle');
  }
}
