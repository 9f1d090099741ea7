import { execFile } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { flushDirectory, speaksOfDirectory, unusable } from './data-directory.js';
import { PlumblineError, messageOf } from './errors.js';
import { asAccount, fileOwner, handOver, type PostgresAccount } from './postgres-account.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import { SUPERUSER } from './postgres-settings.js';

const run = promisify(execFile);
const INITDB_TIMEOUT_MS = 120_000; // 1.5 s on an idle machine; a slow disk under load may need many times that

// A segment passes through a backend in a few pieces of up to 1 MB. By default glibc gives each back to the kernel and
// faults it in anew, page by page, with the next: a fifth of what an append costs the server. A backend may keep 4 MB
// instead. Other C libraries do not look at this. Source: man mallopt(3), "GNU libc tunables".
const MALLOC = ['trim_threshold=4194304', 'mmap_threshold=4194304', 'top_pad=1048576'];

/** The environment of PostgreSQL's programs: none of ours, so that a PGPORT or a locale of the shell changes nothing. */
export function postgresEnvironment(): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    LC_ALL: 'C',
    TZ: 'UTC',
    GLIBC_TUNABLES: MALLOC.map((setting) => `glibc.malloc.${setting}`).join(':'),
  };
}

/**
 * Makes the cluster if there is none, with page checksums, UTF-8 and the C locale, and hands it to its account.
 *
 * Invariant: a directory of this name is complete. initdb works beside it and the finished one gets the name, so a
 * process killed half-way leaves nothing that a later start could take for a database.
 *
 * @throws PlumblineError DATA_DIRECTORY_UNUSABLE on a full or unwritable disk, EMBEDDED_DATABASE_FAILED otherwise
 */
export async function prepareCluster(
  cluster: string,
  binaries: PostgresBinaries,
  account: PostgresAccount,
): Promise<'made' | 'found'> {
  const owner = fileOwner(account);
  try {
    if (existsSync(cluster)) {
      handOver(cluster, owner);
      // A cluster that another user left here must not pass for a missing one.
      accessSync(cluster, constants.R_OK | constants.W_OK | constants.X_OK);
      if (existsSync(join(cluster, 'PG_VERSION'))) {
        // PostgreSQL refuses a directory that others may enter; copying a backup into place often loosens it.
        if ((statSync(cluster).mode & 0o077) !== 0) chmodSync(cluster, 0o700);
        return 'found';
      }
    }
    const draft = `${cluster}.new`;
    rmSync(draft, { recursive: true, force: true });
    mkdirSync(draft, { mode: 0o700 });
    if (owner !== null) chownSync(draft, owner, owner);
    await initdb(draft, binaries, account);
    renameSync(draft, cluster);
    flushDirectory(dirname(cluster));
    return 'made';
  } catch (error) {
    rmSync(`${cluster}.new`, { recursive: true, force: true });
    if (error instanceof PlumblineError) throw error;
    throw unusable(cluster, error);
  }
}

async function initdb(directory: string, binaries: PostgresBinaries, account: PostgresAccount): Promise<void> {
  const { program, args, ids } = asAccount(account, binaries.initdb, [
    ...['-D', directory, '-U', SUPERUSER],
    ...['--auth=trust', '--data-checksums', '--encoding=UTF8', '--locale=C', '--no-instructions'],
  ]);
  try {
    await run(program, args, { ...ids, cwd: '/', env: postgresEnvironment(), timeout: INITDB_TIMEOUT_MS });
  } catch (error) {
    const said = stderrOf(error);
    if (speaksOfDirectory(said)) throw unusable(directory, new Error(said, { cause: error }));
    throw new PlumblineError('EMBEDDED_DATABASE_FAILED', `initdb failed: ${said}`, { cause: error });
  }
}

function stderrOf(error: unknown): string {
  if (error instanceof Error && 'stderr' in error && typeof error.stderr === 'string' && error.stderr !== '') {
    return error.stderr.trim();
  }
  return messageOf(error);
}
