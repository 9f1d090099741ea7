import type { Clock } from '../kernel/clock.js';
import type { Database } from '../kernel/database.js';
import { Leader } from '../kernel/leader.js';
import type { Logger } from '../kernel/log.js';
import { Loop, type LoopHealth, type Round } from '../kernel/loop.js';
import type {
  IntakeTallies,
  LedgerReader,
  LedgerVerdicts,
  PipelineReader,
  ReadBack,
  RegistryReader,
  Requeue,
  ShopifyAdmin,
} from '../pipeline/contract.js';
import { Notices, type NoticeOptions } from './notices/notices.js';
import { SignalBook } from './signals/signal-book.js';

/** What monitoring needs of the pipeline, given by the wiring. */
export interface PipelinePorts {
  registry: RegistryReader;
  reader: PipelineReader;
  ledger: LedgerReader;
  verdicts: LedgerVerdicts;
  requeue: Requeue;
  readBack: ReadBack;
  admin: ShopifyAdmin;
  tallies: IntakeTallies;
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
}

/** A piece of scheduled work: a loop that does something only in the process that leads. */
export interface Duty {
  name: string;
  pauseMs: number;
  /** Older than this without a good round, the loop counts as stuck. */
  staleAfterMs?: number;
  round: (signal: AbortSignal) => Promise<Round>;
}

/**
 * Monitoring, wired: everything that judges. Its duties run in one process at a time, whoever holds the lock; every
 * process can show what was found.
 */
export class Monitoring {
  readonly signals: SignalBook;
  readonly notices: Notices;
  private readonly leader: Leader;
  private readonly loops: Loop[];

  constructor(private readonly options: MonitoringOptions) {
    const { clock, log, database, pipeline } = options;
    this.signals = new SignalBook({ database, clock, log, names: pipeline.registry });
    this.notices = new Notices({
      options: options.notices,
      database,
      registry: pipeline.registry,
      signals: this.signals,
      hint: (shopId, why) => log.info({ shopId, why }, 'a hint that the subscriptions of a shop have changed'),
      clock,
      log,
    });
    this.leader = new Leader({
      name: 'watch',
      databaseUrl: options.databaseUrl,
      processName: options.processName,
      clock,
      log,
      changed: () => this.loops.forEach((loop) => loop.wake()),
    });
    this.loops = [
      ...this.duties().map(({ round, ...rest }) => new Loop({ ...rest, clock, log, round: this.led(round) })),
      ...this.notices.loops(),
    ];
  }

  /** The schema is there from here on. */
  start(): void {
    if (!this.options.watch) return;
    this.leader.start();
    for (const loop of this.loops) loop.start();
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
  }

  private duties(): Duty[] {
    return [this.notices.duty()];
  }

  private led(round: Duty['round']): Duty['round'] {
    return (signal) =>
      this.leader.isLeader ? round(AbortSignal.any([signal, this.leader.signal])) : Promise.resolve('idle');
  }
}
