import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, realpathSync, renameSync, statSync } from 'node:fs';
import { unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { PlumblineError, messageOf } from './errors.js';

const PROBE = Buffer.alloc(64 * 1024, 1); // a full disk still takes an empty file; 64 KiB needs real blocks
// A partial write has no system error of its own; PostgreSQL then says "Check free disk space." (md.c, fd.c)
const DISK_FULL = /No space left on device|Disk quota exceeded|Check free disk space/;
const LOG_MAX_BYTES = 10 * 1024 * 1024;

/**
 * Makes the data directory and proves that it can be written and flushed.
 *
 * @returns its real path
 * @throws PlumblineError DATA_DIRECTORY_UNUSABLE saying what is wrong with it and what to do
 */
export function prepareDataDirectory(dataDir: string): string {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o755 });
    const path = realpathSync(dataDir);
    const probe = join(path, `.write-probe.${process.pid}`);
    const file = openSync(probe, 'w', 0o600);
    try {
      writeSync(file, PROBE);
      fsyncSync(file);
    } finally {
      closeSync(file);
      unlinkSync(probe);
    }
    return path;
  } catch (error) {
    throw unusable(dataDir, error);
  }
}

/** The failure in a person's words. `cause` is an error with a system code, or PostgreSQL's own log line. */
export function unusable(dataDir: string, cause: unknown): PlumblineError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return new PlumblineError('DATA_DIRECTORY_UNUSABLE', `${dataDir} ${describe(code, messageOf(cause))}`, { cause });
}

function describe(code: string, message: string): string {
  if (code === 'ENOSPC' || code === 'EDQUOT' || DISK_FULL.test(message)) {
    return 'is on a full disk. Free space (the database needs 1 GB and more to breathe), then start again; nothing that was acknowledged is lost.';
  }
  if (code === 'EROFS' || /Read-only file system/.test(message)) {
    return 'is on a read-only file system. Mount it writable, or point PLUMBLINE_DATA_DIR elsewhere.';
  }
  if (code === 'EACCES' || code === 'EPERM' || /Permission denied|has wrong ownership/.test(message)) {
    const uid = process.getuid?.() ?? 'unknown';
    return `cannot be written by uid ${uid}. Give it to that user (chown -R ${uid}; it may stem from a run as another user), or point PLUMBLINE_DATA_DIR elsewhere.`;
  }
  if (code === 'ENOTDIR' || code === 'EEXIST') return 'is not a directory. Point PLUMBLINE_DATA_DIR at one.';
  return `cannot be used: ${message}`;
}

/** Whether a line of PostgreSQL's log, or a system error, speaks of the directory rather than of PostgreSQL. */
export function speaksOfDirectory(text: string): boolean {
  return DISK_FULL.test(text) || /Read-only file system|Permission denied|has wrong ownership/.test(text);
}

/**
 * Opens the server's log for appending; one that passed 10 MB is set aside first (one old log is kept).
 *
 * @throws PlumblineError DATA_DIRECTORY_UNUSABLE
 */
export function openServerLog(path: string): number {
  try {
    if (existsSync(path) && statSync(path).size > LOG_MAX_BYTES) renameSync(path, `${path}.1`);
    return openSync(path, 'a', 0o600);
  } catch (error) {
    throw unusable(path, error);
  }
}

/** Makes a rename in the directory survive a power cut. */
export function flushDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
