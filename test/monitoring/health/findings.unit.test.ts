import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TREND_MS, intakeFindings, quantileOf } from '../../../src/monitoring/health/intake-findings.js';
import { stalledDuties } from '../../../src/monitoring/health/heartbeats.js';
import {
  missingWorkers,
  sickProcesses,
  type ProcessFigures,
  type ProcessRow,
} from '../../../src/monitoring/health/process-findings.js';
import { queueFindings } from '../../../src/monitoring/health/queue-findings.js';
import { kindsOut, rejectedCredentials } from '../../../src/monitoring/line-watch/destination-outage.js';
import { TOOK_BOUNDS_MS } from '../../../src/pipeline/intake/answer-minutes.js';
import type { AttemptView, IntakeMinute, LaneView } from '../../../src/pipeline/contract.js';

const NOON = Date.UTC(2026, 10, 27, 12);
const MINUTE = 60_000;

/** A minute `ago` in which each answer took so long. */
function minute(ago: number, tookMs: readonly number[], more: Partial<IntakeMinute> = {}): IntakeMinute {
  const took = Array.from({ length: TOOK_BOUNDS_MS.length + 1 }, () => 0);
  for (const ms of tookMs) {
    const place = TOOK_BOUNDS_MS.findIndex((bound) => ms <= bound);
    const at = place === -1 ? TOOK_BOUNDS_MS.length : place;
    took[at] = (took[at] ?? 0) + 1;
  }
  return { minuteAt: new Date(NOON - ago * MINUTE), answers: tookMs.length, unsigned: 0, failed: 0, took, ...more };
}

const times = (count: number, value: number): number[] => Array.from({ length: count }, () => value);
const last5 = (tookMs: readonly number[], more: Partial<IntakeMinute> = {}): IntakeMinute[] =>
  [5, 4, 3, 2, 1].map((ago) => minute(ago, tookMs, more));
const found = (minutes: readonly IntakeMinute[]): string[] =>
  Object.values(intakeFindings(minutes, TOOK_BOUNDS_MS, NOON))
    .flat()
    .map(({ kind, subject }) => `${kind} ${subject}`);

describe('intake', () => {
  it.each<[string, IntakeMinute[], string[]]>([
    ['is quiet when it is fast', last5(times(100, 8)), []],
    ['is quiet when nothing comes', [], []],
    [
      'is slow when one in fifty takes three seconds',
      last5([...times(98, 8), 2_900, 2_900]),
      ['intake-slow near-limit'],
    ],
    ['is not slow by one slow answer of three', [minute(2, [8, 8, 3_900])], []],
    ['is not slow by what was ten minutes ago', [minute(10, times(50, 4_000))], []],
    ['counts senders that left after five seconds', last5([...times(20, 8), 5_200]), ['intake-slow near-limit']],
    ['fails when more than one in a hundred is 5xx', last5(times(100, 8), { failed: 2 }), ['intake-failing intake']],
    ['does not fail by one in a hundred', last5(times(100, 8), { failed: 1 }), []],
    ['does not fail by two of ten', [minute(1, times(10, 8), { failed: 2 })], []],
    [
      'has signature failures when more than one in twenty is not ours',
      last5(times(100, 8), { unsigned: 6 }),
      ['signature-failures intake'],
    ],
    ['has none by nineteen of twenty', [minute(1, times(20, 8), { unsigned: 19 })], []],
  ])('%s', (_, minutes, kinds) => {
    expect(found(minutes)).toEqual(kinds);
  });

  const slowing = (perHourMs: number, fromMs: number): IntakeMinute[] =>
    Array.from({ length: TREND_MS / MINUTE - 1 }, (_, n) => {
      const ago = TREND_MS / MINUTE - 1 - n;
      return minute(ago, [...times(97, 20), ...times(3, fromMs + (perHourMs * n) / 60)]);
    });

  it('creeps when it will reach the limit within a day, days before anybody would see it on a graph', () => {
    expect(found(slowing(250, 300))).toEqual(['intake-slow creeping']);
    const [finding] = intakeFindings(slowing(250, 300), TOOK_BOUNDS_MS, NOON)['intake-slow'];
    expect(finding?.facts).toMatchObject({ grade: 'creeping', limitReachedWithinHours: expect.any(Number) });
  });

  it('does not creep when it is slow and steady, nor when it grows and stays fast', () => {
    expect(found(slowing(0, 900))).toEqual([]);
    expect(found(slowing(4, 20))).toEqual([]);
  });

  it('tells a quantile that lies in the place of the value, for any answers', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 6_000 }), { minLength: 1 }), (tookMs) => {
        const { took } = minute(1, tookMs);
        const value = [...tookMs].sort((one, other) => one - other)[Math.ceil(0.99 * tookMs.length) - 1] ?? 0;
        const place = TOOK_BOUNDS_MS.findIndex((bound) => value <= bound);
        const from = place === 0 ? 0 : (TOOK_BOUNDS_MS.at(place === -1 ? -1 : place - 1) ?? 0);
        const to = place === -1 ? from : (TOOK_BOUNDS_MS[place] ?? 0);
        const told = quantileOf(took, TOOK_BOUNDS_MS, 0.99) ?? -1;
        expect(told).toBeGreaterThanOrEqual(from);
        expect(told).toBeLessThanOrEqual(to);
      }),
    );
    expect(quantileOf([0, 0], [10], 0.99)).toBeNull();
  });
});

describe('queues', () => {
  const destinations = [
    { id: 1, name: 'acme-ga4', world: 'real' as const },
    { id: 2, name: 'pretended', world: 'sandbox' as const },
  ];
  const told = (ages: [number, number][], inboxMinutes: number | null): string[] =>
    queueFindings(
      ages.map(([destinationId, minutes]) => ({
        destinationId,
        deliveries: 12,
        oldestAt: new Date(NOON - minutes * MINUTE),
      })),
      { entries: 7, oldestAt: inboxMinutes === null ? null : new Date(NOON - inboxMinutes * MINUTE) },
      destinations,
      NOON,
    ).map(({ subject }) => subject);

  it('are old past five minutes, each world and the inbox for itself', () => {
    expect(told([[1, 6]], null)).toEqual(['real/deliveries']);
    expect(
      told(
        [
          [1, 5],
          [2, 7],
        ],
        6,
      ),
    ).toEqual(['sandbox/deliveries', 'inbox']);
    expect(told([], 5)).toEqual([]);
  });
});

describe('processes', () => {
  const WELL: ProcessFigures = {
    eventLoopDelayP99Ms: 5,
    heapUsedBytes: 1,
    heapLimitBytes: 4,
    residentBytes: 8,
    eventLoopSlowSince: null,
    heapFullSince: null,
    stuck: [],
  };
  const row = (id: string, startedAgo: number, beatAgo: number, more: Partial<ProcessRow> = {}): ProcessRow => ({
    id,
    name: id,
    roles: ['worker'],
    startedAt: new Date(NOON - startedAgo * MINUTE),
    beatAt: new Date(NOON - beatAgo * MINUTE),
    figures: WELL,
    ...more,
  });
  const missing = (...rows: ProcessRow[]): string[] =>
    missingWorkers(rows, NOON).map(
      ({ subject, facts }) => `${subject} ${JSON.stringify(facts['missing'] ?? facts['loop'])}`,
    );

  it.each<[string, ProcessRow[], string[]]>([
    ['none is missing that has just spoken', [row('a', 90, 0)], []],
    ['one is missing a minute after its last word', [row('a', 90, 2), row('b', 90, 0)], ['worker 1']],
    ['one that was started again is not missing', [row('a', 90, 10), row('b', 9, 0)], []],
    ['one that was started again twice is not missing', [row('a', 90, 30), row('b', 29, 10), row('c', 9, 0)], []],
    ['one that was there before is no successor', [row('a', 90, 10), row('b', 80, 0)], ['worker 1']],
    ['one successor stands for one', [row('a', 90, 10), row('b', 90, 10), row('c', 5, 0)], ['worker 1']],
    ['what was there more than an hour ago is forgotten', [row('a', 900, 61)], []],
    ['roles are told apart', [row('a', 90, 9), row('b', 8, 0, { roles: ['intake'] })], ['worker 1']],
    [
      'a loop that hangs is told by its name',
      [row('a', 90, 0, { figures: { ...WELL, stuck: ['router'] } })],
      ['loop/router "router"'],
    ],
    ['a loop of a process that is gone is not', [row('a', 90, 61, { figures: { ...WELL, stuck: ['router'] } })], []],
  ])('%s', (_, rows, told) => {
    expect(missing(...rows)).toEqual(told);
  });

  it('are never told missing while as many are there as there ever were at once', () => {
    // Lives one after the other in each of `slots` places, the last of each still going on.
    const slot = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(slot, { minLength: 1, maxLength: 4 }), (slots) => {
        const rows = slots.flatMap((lives, place) => {
          let end = 0;
          return lives.map((length, n) => {
            const life = row(`${place}/${n}`, end + length, end);
            end += length + 1;
            return life;
          });
        });
        expect(missing(...rows)).toEqual([]);
      }),
    );
  });

  it('are sick when their event loop is slow for five minutes, or their heap full for ten, and only then', () => {
    const since = (minutes: number): string => new Date(NOON - minutes * MINUTE).toISOString();
    const sick = (figures: Partial<ProcessFigures>, beatAgo = 0): number =>
      sickProcesses([row('a', 90, beatAgo, { figures: { ...WELL, ...figures } })], NOON).length;
    expect(sick({ eventLoopSlowSince: since(4) })).toBe(0);
    expect(sick({ eventLoopSlowSince: since(5) })).toBe(1);
    expect(sick({ heapFullSince: since(9) })).toBe(0);
    expect(sick({ heapFullSince: since(10) })).toBe(1);
    expect(sick({ heapFullSince: since(30) }, 2)).toBe(0);
  });
});

describe('duties', () => {
  const duties = [{ name: 'slo' }, { name: 'silence' }, { name: 'slow', staleAfterMs: 5 * MINUTE }, { name: 'other' }];
  const beats = (...ages: [string, number][]) =>
    ages.map(([name, minutes]) => ({ name, beatAt: new Date(NOON - minutes * MINUTE) }));
  const told = (heartbeats: ReturnType<typeof beats>, watchingMinutes = 600): string[] =>
    stalledDuties(duties, heartbeats, NOON - watchingMinutes * MINUTE, NOON).map(({ subject }) => subject);

  it('are stalled after five minutes, or twice what they may take', () => {
    expect(told(beats(['slo', 6], ['silence', 5], ['slow', 9], ['other', 0]))).toEqual(['slo']);
    expect(told(beats(['slo', 0], ['silence', 0], ['slow', 11], ['other', 0]))).toEqual(['slow']);
  });

  it('are told as one when nobody does any', () => {
    expect(told(beats(['slo', 60], ['silence', 60], ['slow', 60]))).toEqual(['watch']);
  });

  it('are not stalled while the watch has only begun', () => {
    expect(told([], 4)).toEqual([]);
    expect(told(beats(['slo', 600]), 5)).toEqual([]);
    expect(told([], 6)).toEqual(['slo', 'silence', 'other']);
  });
});

describe('kinds of destination', () => {
  const of = (id: number, name: string, world: 'real' | 'sandbox' = 'real', enabled = true) => ({
    id,
    name,
    kind: 'ga4' as const,
    world,
    enabled,
  });
  const tried = (destination: string, attempts: number, retryable: number, credentialsRejected = 0): AttemptView => ({
    destination,
    attempts,
    failures: retryable + credentialsRejected,
    retryable,
    credentialsRejected,
  });
  const blocked = (destination: string, shop: string, lastError = 'answered 503'): LaneView => ({
    destination,
    shop,
    state: 'open',
    since: new Date(NOON),
    retryAt: null,
    failures: 3,
    lastError,
    backlog: 1,
    oldestQueuedAt: null,
  });
  const out = (attempts: AttemptView[], lanes: LaneView[] = [], linked: [string, number][] = []): string[] =>
    kindsOut(
      attempts,
      lanes,
      [of(1, 'a'), of(2, 'b'), of(3, 's', 'sandbox'), of(4, 'off', 'real', false)],
      new Map(linked),
    ).map(({ subject, world }) => `${subject} ${world}`);

  it('are out when more than half of at least twenty tries fail, over all destinations of the kind', () => {
    expect(out([tried('a', 20, 12), tried('b', 19, 9)])).toEqual(['real/ga4 real']);
    expect(out([tried('a', 20, 10), tried('b', 20, 10)])).toEqual([]);
    expect(out([tried('a', 19, 19)])).toEqual([]);
  });

  it('are out when most of their lanes are blocked, and hardly anything is tried any more', () => {
    const lanes = [blocked('a', 'x'), blocked('a', 'y'), blocked('b', 'x')];
    expect(
      out([], lanes, [
        ['a', 3],
        ['b', 2],
      ]),
    ).toEqual(['real/ga4 real']);
    expect(
      out([], lanes, [
        ['a', 4],
        ['b', 2],
      ]),
    ).toEqual([]);
    expect(
      out([], lanes.slice(1), [
        ['a', 1],
        ['b', 1],
      ]),
    ).toEqual([]);
  });

  it('are not out because keys are refused, what is sent is refused, or a disabled one is not sent anything', () => {
    expect(out([tried('a', 40, 0, 40)])).toEqual([]);
    const lanes = ['x', 'y', 'z'].map((shop) => blocked('a', shop, 'credentials rejected: answered 401'));
    expect(out([], lanes, [['a', 3]])).toEqual([]);
    expect(out([{ ...tried('a', 40, 0), failures: 40 }])).toEqual([]);
    expect(out([tried('off', 40, 40)])).toEqual([]);
  });

  it('of the sandbox say nothing of the real ones', () => {
    expect(out([tried('s', 40, 40), tried('a', 40, 0)])).toEqual(['sandbox/ga4 sandbox']);
  });

  it('have each destination that refuses its key told by itself, from three refusals on', () => {
    const known = [of(1, 'a'), of(2, 'b'), of(4, 'off', 'real', false)];
    const told = rejectedCredentials([tried('a', 9, 0, 3), tried('b', 9, 7, 2), tried('off', 9, 0, 9)], known);
    expect(told).toMatchObject([
      { subject: 'a', destinationId: 1, facts: { destinationKind: 'ga4', rejectedAtLeast: 3 } },
    ]);
  });
});
