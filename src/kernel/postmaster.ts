import { spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readSync, realpathSync, rmSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { openServerLog, speaksOfDirectory, unusable } from './data-directory.js';
import { PlumblineError, messageOf } from './errors.js';
import type { Logger } from './log.js';
import { asAccount, type PostgresAccount } from './postgres-account.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import { postgresEnvironment } from './postgres-cluster.js';
import { connectionUrl, serverArguments } from './postgres-settings.js';
import { findPostmaster, postmasterPath, type FoundPostmaster } from './postmaster-pid.js';
import { identifyProcess, sameProcess } from './process-identity.js';

export interface PostmasterPlan {
  binaries: PostgresBinaries;
  account: PostgresAccount;
  cluster: string;
  socketDir: string;
  settings: Readonly<Record<string, string>>;
  logPath: string;
  log: Logger;
}

const POLL_MS = 20;
// Replaying up to max_wal_size after a crash takes a minute on a slow disk; a server that works is waited for.
const RECOVERY_MAX_MS = 15 * 60_000;
const ADOPTION_MAX_MS = 60_000;
const FAST_STOP_MS = 8_000;
// After SIGQUIT the postmaster kills its own children after 5 s (SIGKILL_CHILDREN_AFTER_SECS in postmaster.c).
const IMMEDIATE_STOP_MS = 6_000;

/** Could not start now, may start soon: a predecessor's children still hold its memory. */
export class NotYet extends Error {}

/**
 * What a server that ended before it was ready died of, from the lines it wrote.
 * Source: messages of PostgreSQL 18 miscinit.c (CreateLockFile) and sysv_shmem.c
 */
export function judgeEnd(said: string, ending: string): 'again' | 'directory' | 'fatal' {
  if (speaksOfDirectory(said)) return 'directory';
  if (/lock file ".*" already exists|shared memory block|already in use|could not bind Unix/i.test(said))
    return 'again';
  return ending.startsWith('signal') ? 'again' : 'fatal';
}

/** One PostgreSQL server process, started or adopted. It outlives us unless it is stopped. */
export class Postmaster {
  private constructor(
    readonly pid: number,
    readonly adopted: boolean,
    readonly startedAs: string,
    private readonly log: Logger,
    /** Resolves with how it ended, e.g. "signal SIGKILL" or "exit code 1". */
    readonly ended: Promise<string>,
  ) {}

  get alive(): boolean {
    const now = identifyProcess(this.pid);
    return now !== null && sameProcess(now, this);
  }

  /**
   * Adopts the server that runs on the cluster, or starts one, and waits until it answers.
   *
   * @throws NotYet when a later try may succeed; PlumblineError when it will not
   */
  static async launch(plan: PostmasterPlan): Promise<Postmaster> {
    const found = findPostmaster(plan.cluster);
    if (found.verdict === 'ours') {
      const survivor = Postmaster.fromSurvivor(found, plan.log);
      if (isAsPlanned(found, plan)) return await survivor.untilReady(plan, ADOPTION_MAX_MS);
      plan.log.info(
        { pid: survivor.pid },
        'the surviving database has other settings or is stopping; starting it anew',
      );
      await survivor.stop();
    }
    if (found.verdict === 'stale') {
      plan.log.warn({ pid: found.file?.pid }, 'removing a stale postmaster.pid: its process is not our database');
      rmSync(postmasterPath(plan.cluster), { force: true });
    }
    return await Postmaster.spawn(plan);
  }

  private static fromSurvivor(found: FoundPostmaster, log: Logger): Postmaster {
    const { pid, startedAs } = found.process ?? { pid: 0, startedAs: '' };
    return new Postmaster(pid, true, startedAs, log, untilGone(pid, startedAs));
  }

  private static async spawn(plan: PostmasterPlan): Promise<Postmaster> {
    const { program, args, ids } = asAccount(
      plan.account,
      plan.binaries.postgres,
      serverArguments(plan.cluster, plan.socketDir, plan.settings),
    );
    // Detached, and its output in a file: a pipe would kill it when we die, and it must survive us.
    const logFile = openServerLog(plan.logPath);
    const logStart = fstatSync(logFile).size;
    const child = spawn(program, args, {
      ...ids,
      cwd: '/',
      env: postgresEnvironment(),
      detached: true,
      stdio: ['ignore', logFile, logFile],
    });
    closeSync(logFile);
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(`could not be spawned: ${error.message}`));
      child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
    });
    child.unref();
    const pid = child.pid;
    const startedAs = pid === undefined ? undefined : identifyProcess(pid)?.startedAs;
    if (pid === undefined || startedAs === undefined) throw endError(plan, await ended, logStart);
    const postmaster = new Postmaster(pid, false, startedAs, plan.log, ended);
    let early: string | null = null;
    void ended.then((how) => (early = how));
    return await postmaster.untilReady(plan, RECOVERY_MAX_MS, () => {
      if (early !== null) throw endError(plan, early, logStart);
    });
  }

  /** Asks until it answers. The socket belongs to this server only once postmaster.pid names it. */
  private async untilReady(plan: PostmasterPlan, maxMs: number, check?: () => void): Promise<this> {
    const startMs = performance.now();
    let lastError: unknown = 'no answer';
    let toldMs = startMs;
    for (;;) {
      check?.();
      if (check === undefined && !this.alive) throw new NotYet('the surviving database ended while it was adopted');
      const nowMs = performance.now();
      if (nowMs - startMs > maxMs) {
        throw new PlumblineError(
          'EMBEDDED_DATABASE_FAILED',
          `the embedded PostgreSQL (pid ${this.pid}) does not answer: ${messageOf(lastError)}. See ${plan.logPath}.`,
        );
      }
      if (nowMs - toldMs > 10_000) {
        toldMs = nowMs;
        plan.log.info({ pid: this.pid, answer: messageOf(lastError) }, 'waiting for the embedded database to recover');
      }
      if (findPostmaster(plan.cluster).file?.pid === this.pid) {
        lastError = await askOnce(connectionUrl(plan.socketDir, 'postgres'));
        if (lastError === null) return this;
      }
      await pause(POLL_MS);
    }
  }

  /** Fast shutdown (SIGINT), after 8 s immediate (SIGQUIT: the next start recovers from the WAL). */
  async stop(): Promise<void> {
    if (await this.signalAndWait('SIGINT', FAST_STOP_MS)) return;
    this.log.warn({ pid: this.pid }, 'the embedded database did not stop in time; stopping it at once');
    if (await this.signalAndWait('SIGQUIT', IMMEDIATE_STOP_MS)) return;
    this.log.error({ pid: this.pid }, 'the embedded database does not stop; leaving it to the next start');
  }

  private async signalAndWait(signal: NodeJS.Signals, forMs: number): Promise<boolean> {
    if (!this.alive) return true;
    process.kill(this.pid, signal);
    const deadlineMs = performance.now() + forMs;
    while (this.alive) {
      if (performance.now() > deadlineMs) return false;
      await pause(POLL_MS);
    }
    return true;
  }
}

/** Whether the survivor is the very server we would start: same program file, same settings, and not on its way out. */
function isAsPlanned(found: FoundPostmaster, plan: PostmasterPlan): boolean {
  const wanted = serverArguments(plan.cluster, plan.socketDir, plan.settings).join(' ');
  const program = found.process?.program ?? null;
  return (
    found.file?.status !== 'stopping' &&
    found.process?.command.slice(1).join(' ') === wanted &&
    (program === null || program === realpathSync(plan.binaries.postgres) || program === plan.binaries.postgres)
  );
}

/** A survivor is nobody's child of ours: its end shows only in the process table. */
async function untilGone(pid: number, startedAs: string): Promise<string> {
  for (;;) {
    const now = identifyProcess(pid);
    if (now === null || !sameProcess(now, { pid, startedAs })) return 'ended (not our child, so how is not known)';
    await pause(200, undefined, { ref: false });
  }
}

/** @returns `null` when the server answered, otherwise why not */
async function askOnce(url: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000, query_timeout: 2_000 });
  client.on('error', () => undefined); // a connection cut after the question is answered by the next question
  try {
    await client.connect();
    await client.query('select 1');
    return null;
  } catch (error) {
    return error;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function endError(plan: PostmasterPlan, ending: string, logStart: number): Error {
  const said = logSince(plan.logPath, logStart);
  switch (judgeEnd(said, ending)) {
    case 'again':
      return new NotYet(`PostgreSQL ended at start (${ending}): ${lastLines(said)}`);
    case 'directory':
      return unusable(plan.cluster, new Error(lastLines(said)));
    case 'fatal':
      return new PlumblineError(
        'EMBEDDED_DATABASE_FAILED',
        `PostgreSQL ended at start (${ending}): ${lastLines(said) || 'it wrote nothing'}. Its log is ${plan.logPath}.`,
      );
  }
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-5).join(' | ');
}

function logSince(path: string, start: number): string {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(Math.min(64 * 1024, Math.max(0, fstatSync(file).size - start)));
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, start)).toString('utf8');
  } finally {
    closeSync(file);
  }
}
