import type { Finding } from '../contract.js';
import { atLeast } from '../signals/steps.js';

/** What a process says of itself, every ten seconds. */
export interface ProcessFigures {
  eventLoopDelayP99Ms: number;
  heapUsedBytes: number;
  heapLimitBytes: number;
  residentBytes: number;
  /** Since when, without a break, its event loop has been slow, or its heap nearly full; RFC 3339. `null` = it is not. */
  eventLoopSlowSince: string | null;
  heapFullSince: string | null;
  /** Loops of it that hang. */
  stuck: readonly string[];
}

export interface ProcessRow {
  id: string;
  name: string;
  roles: readonly string[];
  startedAt: Date;
  beatAt: Date;
  figures: ProcessFigures;
}

/** Six beats: a process that is silent for so long is not there, or as good as that. */
export const SILENT_AFTER_MS = 60_000;
/** Whoever was there so lately is expected to be there now. */
export const EXPECTED_FOR_MS = 3_600_000;

export function isSilent({ beatAt }: Pick<ProcessRow, 'beatAt'>, nowMs: number): boolean {
  return nowMs - beatAt.getTime() > SILENT_AFTER_MS;
}

export const EVENT_LOOP_SLOW_MS = 500;
export const HEAP_FULL_SHARE = 0.85;
const SLOW_FOR_MS = 5 * 60_000;
const FULL_FOR_MS = 10 * 60_000;

/**
 * Processes that are missing, and loops that hang. A process that was killed and started again is not missing: one of the
 * same roles that began after the last word of another takes its place, once. Pure.
 */
export function missingWorkers(processes: readonly ProcessRow[], nowMs: number): Finding[] {
  const lately = processes.filter(({ beatAt }) => nowMs - beatAt.getTime() <= EXPECTED_FOR_MS);
  const silentOf = (rows: readonly ProcessRow[]): ProcessRow[] => rows.filter((each) => isSilent(each, nowMs));
  const findings = [...Map.groupBy(lately, ({ roles }) => [...roles].sort().join('+'))].flatMap(
    ([roles, alike]): Finding[] => {
      const missing = silentOf(alike).length - replaced(silentOf(alike), alike);
      if (missing <= 0) return [];
      const alive = alike.length - silentOf(alike).length;
      return [
        {
          kind: 'workers-missing',
          subject: roles,
          facts: {
            roles: roles.split('+'),
            missing,
            alive,
            lastSeenAt: new Date(Math.max(...silentOf(alike).map(({ beatAt }) => beatAt.getTime()))),
          },
          evidence: '/healthz',
        },
      ];
    },
  );
  const stuck = Map.groupBy(
    lately.filter((each) => !isSilent(each, nowMs)).flatMap(({ figures }) => figures.stuck),
    (loop) => loop,
  );
  return [
    ...findings,
    ...[...stuck].map(([loop, where]): Finding => ({
      kind: 'workers-missing',
      subject: `loop/${loop}`,
      facts: { loop, processes: where.length },
      evidence: '/healthz',
    })),
  ];
}

/** How many of the silent ones have a successor; each successor stands for one. */
function replaced(silent: readonly ProcessRow[], alike: readonly ProcessRow[]): number {
  // The latest silence first: it has the fewest possible successors, and takes the earliest of them.
  const free = [...alike].sort((one, other) => +other.startedAt - +one.startedAt);
  return [...silent]
    .sort((one, other) => +other.beatAt - +one.beatAt)
    .reduce((count, { beatAt }) => {
      const candidates = free.filter(({ startedAt }) => startedAt > beatAt);
      const successor = candidates.at(-1);
      if (successor === undefined) return count;
      free.splice(free.indexOf(successor), 1);
      return count + 1;
    }, 0);
}

/** Processes that are slow or nearly full, and have been for a while. Pure. */
export function sickProcesses(processes: readonly ProcessRow[], nowMs: number): Finding[] {
  const lasts = (since: string | null, forMs: number): boolean => since !== null && nowMs - Date.parse(since) >= forMs;
  return processes
    .filter((each) => !isSilent(each, nowMs))
    .flatMap(({ name, roles, startedAt, id, figures }): Finding[] => {
      const slow = lasts(figures.eventLoopSlowSince, SLOW_FOR_MS);
      const full = lasts(figures.heapFullSince, FULL_FOR_MS);
      if (!slow && !full) return [];
      return [
        {
          kind: 'process-sick',
          subject: id,
          facts: {
            process: name,
            roles,
            startedAt,
            ...(slow ? { eventLoopSlowSince: figures.eventLoopSlowSince } : {}),
            ...(full
              ? {
                  heapFullSince: figures.heapFullSince,
                  heapLimitMegabytes: atLeast(Math.floor(figures.heapLimitBytes / 1_048_576)),
                }
              : {}),
          },
          evidence: '/healthz',
        },
      ];
    });
}
