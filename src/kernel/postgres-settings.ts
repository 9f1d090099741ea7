import { createHash } from 'node:crypto';
import { chownSync, lstatSync, mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from './errors.js';

/** Where PostgreSQL listens: a Unix socket in a directory only its owner may enter, and never the network. */
export const PORT = 5432; // names the socket file; the directory, not the number, tells two servers apart
/** The superuser. Authentication is `trust`: whoever may enter the 0700 socket directory is its owner (or root). */
export const SUPERUSER = 'plumbline';

// sun_path holds 108 bytes on Linux and 104 on macOS, the closing zero included. Source: unix(7), xnu sys/un.h
const SOCKET_PATH_BYTES_MAX = process.platform === 'darwin' ? 103 : 107;

/**
 * The settings of the embedded server. `fsync`, `synchronous_commit` and `full_page_writes` are named although they
 * are the defaults: an answered webhook means durable only while they are on (ARCHITECTURE.md, invariant 1).
 */
export const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '',
  port: String(PORT),
  unix_socket_permissions: '0700',
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  restart_after_crash: 'on',
  max_connections: '100',
  shared_buffers: '128MB',
  huge_pages: 'try',
  // A queue rewrites the same pages all day: rare checkpoints and compressed page images halve its WAL.
  wal_compression: 'pglz', // the build has neither lz4 nor zstd
  max_wal_size: '3GB',
  // Spent segments of the log are kept for what comes: a burst that needs new ones first fills each with zeroes.
  min_wal_size: '1GB',
  checkpoint_timeout: '15min',
  autovacuum: 'on',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // `terse` keeps DETAIL out of the log: it quotes the values of rows, and those are customers' data.
  log_error_verbosity: 'terse',
};

/** The server's arguments. `-D` stands first and absolute: the supervisor knows its own server by it. */
export function serverArguments(cluster: string, socketDir: string, extra: Readonly<Record<string, string>>): string[] {
  // The setting is a list: only quotes keep a comma or a blank inside one directory.
  const sockets = `"${socketDir.replaceAll('"', '""')}"`;
  const settings = { ...SETTINGS, unix_socket_directories: sockets, ...extra };
  return ['-D', cluster, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

export function connectionUrl(socketDir: string, database: string): string {
  return `postgres://${SUPERUSER}@localhost:${PORT}/${encodeURIComponent(database)}?host=${encodeURIComponent(socketDir)}`;
}

export function socketPathFits(directory: string): boolean {
  return Buffer.byteLength(join(directory, `.s.PGSQL.${PORT}`)) <= SOCKET_PATH_BYTES_MAX;
}

/**
 * The socket's directory: the cluster's own, which is 0700 already, or for long paths one of the same name every
 * time below the temporary directory, so that a later start finds a server that survived.
 *
 * @param owner uid that PostgreSQL runs as when it is not ours
 */
export function socketDirectory(cluster: string, owner: number | null): string {
  if (socketPathFits(cluster)) return cluster;
  const base = socketPathFits(join(tmpdir(), `plumbline-${'0'.repeat(16)}`)) ? tmpdir() : '/tmp';
  const name = createHash('sha256').update(cluster).digest('hex').slice(0, 16);
  const wanted = join(base, `plumbline-${name}`);
  const uid = owner ?? process.getuid?.() ?? 0;
  try {
    mkdirSync(wanted, { mode: 0o700 });
    if (owner !== null) chownSync(wanted, owner, owner);
    return wanted;
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
  // Everybody may write to the temporary directory: trust only what is private and ours.
  const found = lstatSync(wanted);
  if (found.isDirectory() && (found.mode & 0o077) === 0 && (found.uid === uid || found.uid === process.getuid?.())) {
    if (owner !== null && found.uid !== owner) chownSync(wanted, owner, owner);
    return wanted;
  }
  const fresh = mkdtempSync(join(base, 'plumbline-'));
  if (owner !== null) chownSync(fresh, owner, owner);
  return fresh;
}

/** Tidies up after a server that has stopped. One that holds something still, or is gone, stays as it is. */
export function removeSocketDirectory(cluster: string, socketDir: string): void {
  if (socketDir === cluster) return;
  try {
    rmdirSync(socketDir);
  } catch {
    // An empty private directory left in the temporary directory hurts nobody; failing to stop would.
  }
}
