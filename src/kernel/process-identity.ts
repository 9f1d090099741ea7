import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';

/** A live process, told apart from a later one that was given the same pid. */
export interface ProcessIdentity {
  pid: number;
  /** When it started, as the operating system writes it; equal pid and start mean the same process. */
  startedAs: string;
  /** Its arguments, the program first; empty when the system does not show them. */
  command: string[];
  /** Path of its program, `null` when the system does not show it to us (another user's process). */
  program: string | null;
}

/**
 * Looks a process up.
 *
 * @returns `null` when no such process lives; a zombie does not live
 * Source: proc_pid_stat(5), fields 3 (state) and 22 (starttime, clock ticks since boot); ps(1) on macOS
 */
export function identifyProcess(pid: number): ProcessIdentity | null {
  if (!Number.isInteger(pid) || pid <= 0) return null;
  return process.platform === 'linux' ? identifyFromProc(pid) : identifyFromPs(pid);
}

export function sameProcess(a: { pid: number; startedAs: string }, b: { pid: number; startedAs: string }): boolean {
  return a.pid === b.pid && a.startedAs === b.startedAs;
}

function identifyFromProc(pid: number): ProcessIdentity | null {
  const stat = readOrNull(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The second field, the program's name, may itself hold blanks and brackets: count from the last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  const startedAs = fields[19];
  if (state === 'Z' || state === 'X' || startedAs === undefined) return null;
  return {
    pid,
    startedAs,
    command: (readOrNull(`/proc/${pid}/cmdline`) ?? '').split('\0').slice(0, -1),
    program: linkOrNull(`/proc/${pid}/exe`),
  };
}

// macOS has no /proc. `lstart` is a fixed-width date in the C locale, 24 characters.
function identifyFromPs(pid: number): ProcessIdentity | null {
  try {
    const line = execFileSync('ps', ['-ww', '-o', 'lstart=,command=', '-p', String(pid)], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trimEnd();
    const startedAs = line.slice(0, 24);
    const command = line.slice(24).trim();
    if (command === '' || command.startsWith('<defunct>')) return null;
    return { pid, startedAs, command: command.split(' '), program: command.split(' ')[0] ?? null };
  } catch {
    return null; // ps answers 1 for a pid that does not live
  }
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function linkOrNull(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

/** Which kernel boot and which process-id namespace a pid means something in. Equal worlds can compare pids. */
export interface ProcessWorld {
  boot: string;
  pidNamespace: string;
}

export function processWorld(): ProcessWorld {
  return {
    boot: (readOrNull('/proc/sys/kernel/random/boot_id') ?? '').trim(),
    pidNamespace: linkOrNull('/proc/self/ns/pid') ?? '',
  };
}
