import { closeSync, linkSync, mkdirSync, openSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { unusable } from './data-directory.js';
import { PlumblineError, hasCode } from './errors.js';
import { identifyProcess, processWorld, sameProcess, type ProcessWorld } from './process-identity.js';

/** What the lock file holds: who owns the data directory, precisely enough to tell a dead owner from a live one. */
export interface LockOwner extends ProcessWorld {
  pid: number;
  startedAs: string;
  host: string;
}

const HEARTBEAT_MS = 3_000;
// Four missed beats. Only owners in another container are judged by their heartbeat; a pid we can see is surer.
const HEARTBEAT_STALE_MS = 12_000;
const TAKEOVER_STALE_MS = 5_000; // the critical section is three file operations; older means its holder was killed

export type OwnerState = 'live' | 'dead' | 'out-of-sight';

/**
 * Whether a lock's owner still runs.
 *
 * @param ownerNow the process that has the owner's pid today, `null` for none
 * @returns `out-of-sight` when the pid belongs to another container or machine: ask its heartbeat
 */
export function judgeOwner(
  owner: LockOwner,
  ownerNow: { pid: number; startedAs: string } | null,
  here: ProcessWorld & { host: string },
): OwnerState {
  if (owner.boot === here.boot && owner.pidNamespace === here.pidNamespace) {
    return ownerNow !== null && sameProcess(owner, ownerNow) ? 'live' : 'dead';
  }
  // The same machine after a reboot: nothing of the old boot lives.
  if (owner.host === here.host && owner.boot !== here.boot) return 'dead';
  return 'out-of-sight';
}

/**
 * One service per data directory. The file names its owner; the owner touches it every 3 s.
 * Invariant: a lock is only ever taken from an owner that is dead, and by one taker.
 */
export class ServiceLock {
  private constructor(
    private readonly path: string,
    private readonly heartbeat: NodeJS.Timeout,
  ) {}

  /**
   * Takes the lock; waits up to 15 s for an owner in another container to show that it is dead.
   *
   * @throws PlumblineError DATA_DIRECTORY_IN_USE naming the owner, DATA_DIRECTORY_UNUSABLE when it cannot be written
   */
  static async acquire(dataDir: string): Promise<ServiceLock> {
    try {
      return await ServiceLock.wait(dataDir);
    } catch (error) {
      throw error instanceof PlumblineError ? error : unusable(dataDir, error);
    }
  }

  private static async wait(dataDir: string): Promise<ServiceLock> {
    const path = join(dataDir, 'plumbline.lock');
    const me = identifyProcess(process.pid);
    const here = { ...processWorld(), host: hostname() };
    const mine: LockOwner = { pid: process.pid, startedAs: me?.startedAs ?? '', ...here };
    const deadlineMs = performance.now() + HEARTBEAT_STALE_MS + 3_000;
    for (;;) {
      if (createExclusively(path, mine)) break;
      const owner = readOwner(path);
      if (owner === 'gone') continue;
      const state = owner === 'unreadable' ? 'out-of-sight' : judgeOwner(owner, identifyProcess(owner.pid), here);
      const dead = state === 'dead' || (state === 'out-of-sight' && beatAgeMs(path) > HEARTBEAT_STALE_MS);
      if (dead) {
        removeOnce(path, owner);
      } else if (state === 'live' || performance.now() > deadlineMs) {
        throw inUse(dataDir, owner);
      }
      await pause(dead ? 10 : 500);
    }
    const heartbeat = setInterval(() => {
      try {
        utimesSync(path, new Date(), new Date());
      } catch {
        // A full or read-only disk cannot be touched; the database's own failure says so louder.
      }
    }, HEARTBEAT_MS);
    heartbeat.unref();
    return new ServiceLock(path, heartbeat);
  }

  release(): void {
    clearInterval(this.heartbeat);
    const owner = readOwner(this.path);
    if (typeof owner === 'object' && owner.pid === process.pid) unlinkIfThere(this.path);
  }
}

function inUse(dataDir: string, owner: LockOwner | 'unreadable'): PlumblineError {
  const who = owner === 'unreadable' ? 'an owner that cannot be read' : `process ${owner.pid} on ${owner.host}`;
  return new PlumblineError(
    'DATA_DIRECTORY_IN_USE',
    `${dataDir} is in use by ${who}. Stop that service, or give this one its own PLUMBLINE_DATA_DIR (or a DATABASE_URL).`,
  );
}

// link(2) is atomic and fails when the name exists; the file is complete before it has the name.
function createExclusively(path: string, owner: LockOwner): boolean {
  const draft = `${path}.${owner.pid}`;
  writeFileSync(draft, `${JSON.stringify(owner)}\n`, { mode: 0o644 });
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    // Some network and desktop file systems have no hard links; exclusive creation is atomic there as well.
    if (!hasCode(error, 'EPERM') && !hasCode(error, 'ENOTSUP')) throw error;
    return createWithoutLink(path, owner);
  } finally {
    unlinkIfThere(draft);
  }
}

function createWithoutLink(path: string, owner: LockOwner): boolean {
  try {
    const file = openSync(path, 'wx', 0o644);
    writeFileSync(file, `${JSON.stringify(owner)}\n`);
    closeSync(file);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

function readOwner(path: string): LockOwner | 'unreadable' | 'gone' {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 'gone';
    throw error;
  }
  return parseOwner(text) ?? 'unreadable';
}

export function parseOwner(text: string): LockOwner | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { pid, startedAs, host, boot, pidNamespace } = value as Partial<Record<keyof LockOwner, unknown>>;
  if (typeof pid !== 'number' || typeof startedAs !== 'string' || typeof host !== 'string') return null;
  if (typeof boot !== 'string' || typeof pidNamespace !== 'string') return null;
  return { pid, startedAs, host, boot, pidNamespace };
}

function beatAgeMs(path: string): number {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return 0; // gone meanwhile: the next round creates it
  }
}

// Two starters may find the same dead owner. Without this section the slower one could remove the faster one's lock.
function removeOnce(path: string, dead: LockOwner | 'unreadable'): void {
  const section = `${path}.takeover`;
  try {
    mkdirSync(section);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    if (beatAgeMs(section) > TAKEOVER_STALE_MS) removeDirectoryIfThere(section);
    return;
  }
  try {
    const still = readOwner(path);
    if (JSON.stringify(still) === JSON.stringify(dead)) unlinkIfThere(path);
  } finally {
    removeDirectoryIfThere(section);
  }
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

function removeDirectoryIfThere(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}
