import {
  closeSync,
  fdatasyncSync,
  openSync,
  readFileSync,
  readdirSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { median } from './statistics.js';

// Linux shows processor time in ticks of 1/100 s everywhere that Node runs. Source: proc_pid_stat(5), USER_HZ
const TICKS_PER_SECOND = 100;
const TMPFS = 0x01021994; // Source: statfs(2)

interface Stat {
  parent: number;
  ownSeconds: number;
  /** Of children that have ended and been waited for. */
  reapedSeconds: number;
}

function readStat(pid: number): Stat | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null; // it has ended
  }
  // The command's name stands in parentheses and may hold anything; fields are counted from behind it.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const seconds = (first: number, second: number): number =>
    ((fields[first] ?? 0) + (fields[second] ?? 0)) / TICKS_PER_SECOND;
  return { parent: fields[1] ?? 0, ownSeconds: seconds(11, 12), reapedSeconds: seconds(13, 14) };
}

/** Processor seconds that a process has used so far, all its threads together. */
export function cpuSecondsOf(pid: number): number {
  return readStat(pid)?.ownSeconds ?? 0;
}

/** The same for a server and its children, those included that have ended: PostgreSQL has a process a connection. */
export function cpuSecondsOfFamily(pid: number): number {
  const head = readStat(pid);
  if (!head) return 0;
  let seconds = head.ownSeconds + head.reapedSeconds;
  for (const name of readdirSync('/proc')) {
    const child = /^\d+$/.test(name) ? readStat(Number(name)) : null;
    if (child?.parent === pid) seconds += child.ownSeconds;
  }
  return seconds;
}

/** Processor seconds that everything on this machine has used, and what other guests of its host took from it. */
export function machineCpuSeconds(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (
    /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? ''
  )
    .split(' ')
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND;
}

/** @param field `VmRSS` now, `VmHWM` the highest so far */
export function residentBytes(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const found = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(found?.[1] ?? 0) * 1024;
}

/** Memory behaves like no disk at all: a flush there costs nothing and proves nothing. */
export function isMemoryFileSystem(path: string): boolean {
  return statfsSync(path).type === TMPFS;
}

/** Microseconds of one 8 KB write with its flush, in this directory: what every durable answer waits for. */
export function flushMicroseconds(dir: string): number {
  const path = join(dir, 'flush-probe');
  const file = openSync(path, 'w');
  const page = Buffer.alloc(8192, 1);
  try {
    const times = Array.from({ length: 200 }, () => {
      const startedNs = process.hrtime.bigint();
      writeSync(file, page, 0, page.length, 0);
      fdatasyncSync(file);
      return Number(process.hrtime.bigint() - startedNs) / 1000;
    });
    return median(times);
  } finally {
    closeSync(file);
    unlinkSync(path);
  }
}

export function describeMachine(): { cpu: string; cores: number; memoryGb: number; loadAverage: number[] } {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    loadAverage: loadavg(),
  };
}

/** Milliseconds on a clock that all processes of this machine share (CLOCK_MONOTONIC). */
export function sharedNowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
