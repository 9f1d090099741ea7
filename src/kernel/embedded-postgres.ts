import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { prepareDataDirectory } from './data-directory.js';
import { QuietClient } from './database.js';
import { PlumblineError, messageOf } from './errors.js';
import type { Logger } from './log.js';
import { chooseAccount, fileOwner } from './postgres-account.js';
import { locatePostgres } from './postgres-binaries.js';
import { prepareCluster } from './postgres-cluster.js';
import { connectionUrl, removeSocketDirectory, socketDirectory } from './postgres-settings.js';
import { NotYet, Postmaster, type PostmasterPlan } from './postmaster.js';
import { ServiceLock } from './service-lock.js';

export interface EmbeddedPostgresOptions {
  /** Holds the cluster (`postgres/`), its log (`postgres.log`) and the lock; made when missing. */
  dataDir: string;
  log: Logger;
  /** Settings on top of ours, e.g. `{ shared_buffers: '256MB' }`. */
  settings?: Readonly<Record<string, string>>;
  /** The directory's lock, when the caller holds it already and keeps it after `stop`; otherwise it is taken here. */
  lock?: ServiceLock;
  /** How long a start is retried while a dead predecessor's children go away, milliseconds. */
  retryForMs?: number;
}

/** What a running supervisor tells. */
export interface EmbeddedPostgresEvents {
  /** The server ended without being asked; a restart has begun. */
  exit: [{ pid: number; how: string }];
  /** It answers again. `downMs` since its end was seen. */
  restart: [{ pid: number; downMs: number }];
  /** A restart failed; it is tried again in some seconds, for as long as the service runs. */
  failure: [Error];
}

// After kill -9 of the postmaster its backends may need a while to notice and to let go of the shared memory.
const RETRY_FOR_MS = 60_000;
const RETRY_PAUSE_MS = { first: 100, max: 2_000 };
const RESTART_PAUSE_MS = 5_000;

/**
 * The service's own PostgreSQL: the real server, from npm's binaries, under supervision.
 *
 * It runs detached and outlives a killed service; the next start finds and adopts it. While the service runs, a
 * server that ends is started again. Invariant: never two servers on one cluster, never two services on one directory.
 */
export class EmbeddedPostgres extends EventEmitter<EmbeddedPostgresEvents> {
  private stopping = false;
  private restarting: Promise<void> = Promise.resolve();

  private constructor(
    private readonly plan: PostmasterPlan,
    private readonly ownLock: ServiceLock | null,
    private readonly retryForMs: number,
    private postmaster: Postmaster,
  ) {
    super();
    this.watch();
  }

  /**
   * @returns once the server answers
   * @throws PlumblineError DATA_DIRECTORY_UNUSABLE, DATA_DIRECTORY_IN_USE or EMBEDDED_DATABASE_FAILED
   */
  static async start(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
    const binaries = locatePostgres();
    const dataDir = prepareDataDirectory(options.dataDir);
    const ownLock = options.lock === undefined ? await ServiceLock.acquire(dataDir) : null;
    try {
      const account = chooseAccount(binaries, dataDir);
      const cluster = join(dataDir, 'postgres');
      const made = await prepareCluster(cluster, binaries, account);
      const plan: PostmasterPlan = {
        binaries,
        account,
        cluster,
        socketDir: socketDirectory(cluster, fileOwner(account)),
        settings: options.settings ?? {},
        logPath: join(dataDir, 'postgres.log'),
        log: options.log,
      };
      const retryForMs = options.retryForMs ?? RETRY_FOR_MS;
      const postmaster = await launchPatiently(plan, retryForMs, () => false);
      options.log.info(
        { pid: postmaster.pid, adopted: postmaster.adopted, cluster: made, account },
        postmaster.adopted ? 'adopted the embedded database that was still running' : 'embedded database started',
      );
      return new EmbeddedPostgres(plan, ownLock, retryForMs, postmaster);
    } catch (error) {
      ownLock?.release();
      throw error;
    }
  }

  /** The server's process id; another one after a restart. */
  get pid(): number {
    return this.postmaster.pid;
  }

  /** Whether the server had survived a former service and was found running. */
  get adopted(): boolean {
    return this.postmaster.adopted;
  }

  /** Works with `pg`, libpq and TypeORM; the same before and after a restart. */
  url(database: string): string {
    return connectionUrl(this.plan.socketDir, database);
  }

  /** Makes the database unless it is there. Two at once: both succeed. */
  async ensureDatabase(name: string): Promise<void> {
    const client = new QuietClient({ connectionString: this.url('postgres'), connectionTimeoutMillis: 5_000 });
    await client.connect();
    try {
      const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [name]);
      if (rowCount === 0) await client.query(`create database ${pg.escapeIdentifier(name)}`);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError && (error.code === '42P04' || error.code === '23505'))) throw error;
    } finally {
      await client.end();
    }
  }

  /**
   * Ends supervision and, unless `leaveRunning`, the server: fast, after 8 s immediate.
   * A server left running is adopted by the next start.
   */
  async stop(options: { leaveRunning?: boolean } = {}): Promise<void> {
    this.stopping = true;
    await this.restarting;
    if (options.leaveRunning !== true) {
      await this.postmaster.stop();
      removeSocketDirectory(this.plan.cluster, this.plan.socketDir);
    }
    this.ownLock?.release();
  }

  private watch(): void {
    const { postmaster } = this;
    void postmaster.ended.then((how) => {
      if (this.stopping) return;
      this.restarting = this.restart(postmaster.pid, how);
    });
  }

  private async restart(pid: number, how: string): Promise<void> {
    const downSinceMs = performance.now();
    this.plan.log.error({ pid, how }, 'the embedded database ended; starting it again');
    this.emit('exit', { pid, how });
    while (!this.stopping) {
      try {
        this.postmaster = await launchPatiently(this.plan, this.retryForMs, () => this.stopping);
        const downMs = Math.round(performance.now() - downSinceMs);
        this.plan.log.warn({ pid: this.pid, downMs }, 'the embedded database runs again');
        this.watch();
        this.emit('restart', { pid: this.pid, downMs });
        return;
      } catch (error) {
        const failure = error instanceof Error ? error : new Error(messageOf(error));
        // Stopping is no failure; anything else may mend itself (a disk that was full), so it never gives up.
        if (this.stopping) return;
        this.plan.log.error({ err: failure }, 'the embedded database cannot be started; trying again');
        this.emit('failure', failure);
        for (let waitedMs = 0; waitedMs < RESTART_PAUSE_MS && !this.stopping; waitedMs += 100) await pause(100);
      }
    }
  }
}

async function launchPatiently(plan: PostmasterPlan, forMs: number, cancelled: () => boolean): Promise<Postmaster> {
  const deadlineMs = performance.now() + forMs;
  for (let pauseMs = RETRY_PAUSE_MS.first; ; pauseMs = Math.min(2 * pauseMs, RETRY_PAUSE_MS.max)) {
    try {
      return await Postmaster.launch(plan);
    } catch (error) {
      if (!(error instanceof NotYet)) throw error;
      if (cancelled() || performance.now() > deadlineMs) {
        throw new PlumblineError('EMBEDDED_DATABASE_FAILED', messageOf(error), { cause: error });
      }
      plan.log.info({ reason: messageOf(error) }, 'the embedded database is not ready to start; trying again');
      await pause(pauseMs);
    }
  }
}
