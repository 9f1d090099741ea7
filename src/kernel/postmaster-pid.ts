import { readFileSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { hasCode } from './errors.js';
import { identifyProcess, type ProcessIdentity } from './process-identity.js';

/** What `postmaster.pid` says. Source: PostgreSQL src/include/utils/pidfile.h (lines 1, 2, 5 and 8). */
export interface PostmasterFile {
  pid: number;
  dataDir: string;
  socketDir: string;
  /** `starting`, `ready`, `stopping`, `standby`, or empty while the file is being written. */
  status: string;
}

export function parsePostmasterFile(text: string): PostmasterFile | null {
  const lines = text.split('\n').map((line) => line.trim());
  // A standalone backend (initdb, single user) writes a negative pid.
  const pid = Math.abs(Number.parseInt(lines[0] ?? '', 10));
  if (!Number.isInteger(pid) || pid === 0) return null;
  return { pid, dataDir: lines[1] ?? '', socketDir: lines[4] ?? '', status: lines[7] ?? '' };
}

/**
 * - `absent`: no file, or one that names no process; PostgreSQL deals with it
 * - `ours`: the process is a postmaster on this data directory: adopt it, never start a second
 * - `stale`: the process is gone, or lives and has nothing to do with this data directory: the file may be deleted
 * - `hidden`: the process lives but the system does not show what it runs; deleting would be a guess
 */
export type PostmasterVerdict = 'absent' | 'ours' | 'stale' | 'hidden';

/** @param owner the process that has the file's pid now, `null` for none */
export function judgePostmaster(
  file: PostmasterFile | null,
  owner: ProcessIdentity | null,
  dataDir: string,
): PostmasterVerdict {
  if (file === null) return 'absent';
  if (owner === null) return 'stale';
  if (owner.command.length === 0) return 'hidden';
  // The supervisor always passes `-D <dir>`; the program is checked too, so that `grep -D <dir>` is not adopted.
  // After an npm update the running program's path reads "…/postgres (deleted)".
  const program = basename((owner.program ?? owner.command[0] ?? '').replace(/ \(deleted\)$/, ''));
  const directory = owner.command[owner.command.indexOf('-D') + 1];
  const ours = program === 'postgres' && owner.command.includes('-D') && directory === dataDir;
  return ours ? 'ours' : 'stale';
}

export interface FoundPostmaster {
  verdict: PostmasterVerdict;
  file: PostmasterFile | null;
  process: ProcessIdentity | null;
}

/** Reads the pid file of a data directory and looks its process up. */
export function findPostmaster(dataDir: string): FoundPostmaster {
  let text: string;
  try {
    text = readFileSync(postmasterPath(dataDir), 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) {
      return { verdict: 'absent', file: null, process: null };
    }
    throw error;
  }
  const file = parsePostmasterFile(text);
  const owner = file === null ? null : identifyProcess(file.pid);
  return { verdict: judgePostmaster(file, owner, realpathSync(dataDir)), file, process: owner };
}

export function postmasterPath(dataDir: string): string {
  return join(dataDir, 'postmaster.pid');
}
