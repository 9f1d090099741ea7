import type { Removal } from './removals.js';

export const LATE_AFTER_MS = 15 * 60_000;
const MINUTE_MS = 60_000;

/** An order that somebody is owed: paid for, or free, and no test. */
export interface DueOrder {
  id: number;
  domain: string;
  dueAtMs: number;
}

export interface Counts {
  sold: number;
  arrived: number;
  /** Arrived more than 15 minutes after it was due. */
  late: number;
  lost: number;
}

export interface DayOfSystem extends Counts {
  mails: number;
  /** How many of the mails said that a subscription was gone. */
  removedMails: number;
  /** What was told to people besides mails: uptime alerts, or signals that were opened. */
  signals: number;
  removals: number;
  /** Minutes from removal to somebody or something noticing it; `null` = there was none, or nobody ever did. */
  firstDetectionMinutes: number | null;
  worstDetectionMinutes: number | null;
  /** Removals nobody noticed by the end. */
  unnoticed: number;
}

/** What one system made of the story. */
export interface Evidence {
  /** When each order was at every destination that is owed it; absent = it is not. */
  arrivedAtMs: ReadonlyMap<number, number>;
  removals: readonly Removal[];
  mails: readonly { kind: 'failing' | 'removed'; atMs: number }[];
  signalsAtMs: readonly number[];
}

export function count(orders: readonly DueOrder[], arrivedAtMs: Evidence['arrivedAtMs']): Counts {
  const counts = { sold: orders.length, arrived: 0, late: 0, lost: 0 };
  for (const { id, dueAtMs } of orders) {
    const atMs = arrivedAtMs.get(id);
    if (atMs === undefined) counts.lost++;
    else counts.arrived++;
    if (atMs !== undefined && atMs - dueAtMs > LATE_AFTER_MS) counts.late++;
  }
  return counts;
}

/** What happened in `[fromMs, toMs)`: orders by when they were due, removals and what was told by their own instant. */
export function day(orders: readonly DueOrder[], evidence: Evidence, fromMs: number, toMs: number): DayOfSystem {
  const isWithin = (atMs: number): boolean => atMs >= fromMs && atMs < toMs;
  const mails = evidence.mails.filter(({ atMs }) => isWithin(atMs));
  const removals = evidence.removals.filter(({ atMs }) => isWithin(atMs));
  const minutes = removals
    .filter(({ noticedAtMs }) => noticedAtMs !== null)
    .map(({ atMs, noticedAtMs }) => ((noticedAtMs ?? atMs) - atMs) / MINUTE_MS);
  return {
    ...count(
      orders.filter(({ dueAtMs }) => isWithin(dueAtMs)),
      evidence.arrivedAtMs,
    ),
    mails: mails.length,
    removedMails: mails.filter(({ kind }) => kind === 'removed').length,
    signals: evidence.signalsAtMs.filter(isWithin).length,
    removals: removals.length,
    firstDetectionMinutes: minutes.length === 0 ? null : Math.min(...minutes),
    worstDetectionMinutes: minutes.length === 0 ? null : Math.max(...minutes),
    unnoticed: removals.length - minutes.length,
  };
}
