import { chownSync, lchownSync, lstatSync, readdirSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { PlumblineError } from './errors.js';
import type { PostgresBinaries } from './postgres-binaries.js';

/**
 * As whom PostgreSQL runs. It refuses root, and initdb wants an account that has a name.
 * - `self`: we are an ordinary user with a name; nothing to do
 * - `nobody`: we are root; the child gets uid 65534 and owns its data
 * - `namespace`: the child sees itself as `nobody` in a user namespace of its own, while its files stay ours
 */
export type PostgresAccount = 'self' | 'nobody' | 'namespace';

/** uid and gid of `nobody` on Linux (and `nogroup` on Debian). */
const NOBODY = 65_534;

/** Decides as whom to run, by trying: permission bits, mounts and ACLs on the way are too many to compute. */
export function chooseAccount(binaries: PostgresBinaries, dataDir: string): PostgresAccount {
  const root = process.getuid?.() === 0;
  if (!root) return hasName() || !namespaceWorks(binaries, dataDir) ? 'self' : 'namespace';
  if (nobodyWorks(binaries, dataDir)) return 'nobody';
  if (namespaceWorks(binaries, dataDir)) return 'namespace';
  throw new PlumblineError(
    'EMBEDDED_DATABASE_FAILED',
    `PostgreSQL does not run as root, the user nobody cannot reach ${binaries.postgres} or ${dataDir}, and user ` +
      'namespaces are not allowed here. Run Plumbline as an ordinary user, move it out of the private directory, or set DATABASE_URL.',
  );
}

/** How to spawn a program under the account. */
export function asAccount(
  account: PostgresAccount,
  program: string,
  args: readonly string[],
): { program: string; args: string[]; ids: { uid?: number; gid?: number } } {
  switch (account) {
    case 'self':
      return { program, args: [...args], ids: {} };
    case 'nobody':
      return { program, args: [...args], ids: { uid: NOBODY, gid: NOBODY } };
    case 'namespace':
      // unshare executes the program in its own place, so the pid we get is PostgreSQL's.
      return {
        program: 'unshare',
        args: ['--user', `--map-user=${NOBODY}`, `--map-group=${NOBODY}`, '--', program, ...args],
        ids: {},
      };
  }
}

/** The uid that owns the files PostgreSQL writes, `null` when that is simply us. */
export function fileOwner(account: PostgresAccount): number | null {
  if (process.getuid?.() !== 0) return null;
  return account === 'nobody' ? NOBODY : 0;
}

/**
 * Hands a directory with all it holds to its account, after a change between the accounts.
 * Invariant: the directory itself changes hands last, so its owner tells whether a former run got to the end.
 */
export function handOver(directory: string, owner: number | null): void {
  if (owner === null || lstatSync(directory).uid === owner) return;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    lchownSync(join(entry.parentPath, entry.name), owner, owner);
  }
  chownSync(directory, owner, owner);
}

function hasName(): boolean {
  try {
    userInfo();
    return true;
  } catch {
    return false; // a container that runs under a bare number
  }
}

// The `cd` covers the way to the data directory, `--version` the way to the program and its libraries.
const REACHES = 'cd "$2" && exec "$1" --version';

function nobodyWorks(binaries: PostgresBinaries, dataDir: string): boolean {
  // macOS counts its nobody differently, and nobody runs a service as root there.
  return process.platform === 'linux' && reaches('nobody', binaries, dataDir);
}

function namespaceWorks(binaries: PostgresBinaries, dataDir: string): boolean {
  return process.platform === 'linux' && reaches('namespace', binaries, dataDir);
}

function reaches(account: PostgresAccount, binaries: PostgresBinaries, dataDir: string): boolean {
  const { program, args, ids } = asAccount(account, '/bin/sh', ['-c', REACHES, 'sh', binaries.postgres, dataDir]);
  // The working directory is `/`: ours may be one that nobody cannot enter, which would fail the spawn itself.
  const result = spawnSync(program, args, { ...ids, cwd: '/', stdio: 'ignore', timeout: 10_000 });
  return result.status === 0;
}
