import type { IntakeMinute } from '../../pipeline/contract.js';
import type { Finding } from '../contract.js';
import { atLeast } from '../signals/steps.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** What is told at once looks at this much … */
const LOOK_MS = 5 * MINUTE_MS;
/** … and what creeps, at this much, in steps. */
export const TREND_MS = 6 * HOUR_MS;
const TREND_STEP_MS = 10 * MINUTE_MS;

/** Shopify gives up at 5 s and counts a failure; half of that is as near as one may come. */
const LIMIT_MS = 5_000;
const NEAR_MS = 2_500;
/** Fewer slow answers than this are one slow disk, or one slow sender. */
const SLOW_MIN = 3;

const FORECAST_MS = 24 * HOUR_MS;
/** A trend is one from three hours on, of answers that take long enough to be felt. */
const TREND_POINTS_MIN = 18;
const TREND_FROM_MS = 250;

const FAILED_SHARE = 0.01;
const FAILED_MIN = 3;
const UNSIGNED_SHARE = 0.05;
const UNSIGNED_MIN = 20;

/**
 * The value that a share of all do not exceed, from counts by place; within a place the values count as evenly spread. What
 * lies behind the last bound counts as the last bound.
 *
 * @param counts one more than `bounds`
 * @returns `null` when there is nothing
 */
export function quantileOf(counts: readonly number[], bounds: readonly number[], share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let before = 0;
  for (const [place, count] of counts.entries()) {
    if (count > 0 && before + count >= share * total) {
      const from = place === 0 ? 0 : (bounds[place - 1] ?? 0);
      const to = bounds[place] ?? from;
      return from + ((to - from) * (share * total - before)) / count;
    }
    before += count;
  }
  return bounds.at(-1) ?? null;
}

/** What is wrong with intake's answers, by its minutes. Pure. @param minutes of the last `TREND_MS`, oldest first */
export function intakeFindings(
  minutes: readonly IntakeMinute[],
  boundsMs: readonly number[],
  nowMs: number,
): Record<'intake-slow' | 'intake-failing' | 'signature-failures', Finding[]> {
  const recent = minutes.filter(({ minuteAt }) => minuteAt.getTime() > nowMs - LOOK_MS - MINUTE_MS);
  const answers = sumOf(recent, (each) => each.answers);
  const near = nearLimit(recent, boundsMs);
  return {
    'intake-slow': near.length > 0 ? near : creeping(minutes, boundsMs, nowMs),
    'intake-failing': shareFinding(
      'intake-failing',
      sumOf(recent, (each) => each.failed),
      answers,
      FAILED_SHARE,
      FAILED_MIN,
    ),
    'signature-failures': shareFinding(
      'signature-failures',
      sumOf(recent, (each) => each.unsigned),
      answers,
      UNSIGNED_SHARE,
      UNSIGNED_MIN,
    ),
  };
}

function shareFinding(
  kind: 'intake-failing' | 'signature-failures',
  count: number,
  of: number,
  share: number,
  least: number,
): Finding[] {
  if (count < least || count <= share * of) return [];
  return [
    {
      kind,
      subject: 'intake',
      facts: { answersAtLeast: atLeast(count), percentAtLeast: atLeast(Math.floor((100 * count) / of)) },
      evidence: '/healthz',
    },
  ];
}

function nearLimit(recent: readonly IntakeMinute[], boundsMs: readonly number[]): Finding[] {
  const took = addUp(recent, boundsMs);
  const p99Ms = quantileOf(took, boundsMs, 0.99);
  const slow = took.reduce((sum, count, place) => sum + ((boundsMs[place - 1] ?? 0) >= NEAR_MS ? count : 0), 0);
  if (p99Ms === null || p99Ms <= NEAR_MS || slow < SLOW_MIN) return [];
  return [
    {
      kind: 'intake-slow',
      subject: 'near-limit',
      facts: { grade: 'near-limit', p99MsAtLeast: Math.floor(p99Ms / 500) * 500, limitMs: LIMIT_MS },
      evidence: '/healthz',
    },
  ];
}

/** On the way to the limit within a day, if it goes on as in the last hours: what nobody sees on a graph of one hour. */
function creeping(minutes: readonly IntakeMinute[], boundsMs: readonly number[], nowMs: number): Finding[] {
  const points = [...Map.groupBy(minutes, ({ minuteAt }) => Math.floor(minuteAt.getTime() / TREND_STEP_MS))].flatMap(
    ([step, ofStep]): { atMs: number; p99Ms: number }[] => {
      const p99Ms = quantileOf(addUp(ofStep, boundsMs), boundsMs, 0.99);
      return p99Ms === null ? [] : [{ atMs: (step + 0.5) * TREND_STEP_MS, p99Ms }];
    },
  );
  const line = lineThrough(points);
  if (line === null || points.length < TREND_POINTS_MIN || line.perMs <= 0) return [];
  const now = line.at(nowMs);
  const third = Math.floor(points.length / 3);
  const risen = meanOf(points.slice(-third)) >= 1.5 * meanOf(points.slice(0, third));
  if (now < TREND_FROM_MS || !risen || line.at(nowMs + FORECAST_MS) <= LIMIT_MS) return [];
  const hours = (LIMIT_MS - now) / line.perMs / HOUR_MS;
  return [
    {
      kind: 'intake-slow',
      subject: 'creeping',
      facts: { grade: 'creeping', limitMs: LIMIT_MS, limitReachedWithinHours: Math.max(1, Math.ceil(hours / 3) * 3) },
      evidence: '/healthz',
    },
  ];
}

/** Least squares. */
function lineThrough(
  points: readonly { atMs: number; p99Ms: number }[],
): { perMs: number; at: (ms: number) => number } | null {
  const count = points.length;
  if (count < 2) return null;
  const meanAt = sumOf(points, ({ atMs }) => atMs) / count;
  const mean = meanOf(points);
  const spread = sumOf(points, ({ atMs }) => (atMs - meanAt) ** 2);
  if (spread === 0) return null;
  const perMs = sumOf(points, ({ atMs, p99Ms }) => (atMs - meanAt) * (p99Ms - mean)) / spread;
  return { perMs, at: (ms) => mean + perMs * (ms - meanAt) };
}

function meanOf(points: readonly { p99Ms: number }[]): number {
  return sumOf(points, ({ p99Ms }) => p99Ms) / points.length;
}

function addUp(minutes: readonly IntakeMinute[], boundsMs: readonly number[]): number[] {
  return Array.from({ length: boundsMs.length + 1 }, (_, place) => sumOf(minutes, ({ took }) => took[place] ?? 0));
}

function sumOf<Item>(items: readonly Item[], valueOf: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + valueOf(item), 0);
}
