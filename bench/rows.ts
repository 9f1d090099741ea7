import { appRatio, compared, cpuMicros, cpuRatio, difference, plain, rateRatio, type Figure } from './figures.js';
import type { ScenarioResult } from './scenario.js';
import { LISTED } from './scenarios/comparison.js';
import { FLEET_SHOPS } from './scenarios/fleet.js';
import type { Row } from './verdict.js';

const RIVALS = ['pg-boss', 'graphile-worker', 'bullmq'] as const;

/** With fewer shops measured, the time is told of all of them. */
function toldOfFleet(result: ScenarioResult, contender: string): Figure {
  return plain(result, contender, { label: 'time', unit: 's', steady: false }, ({ more }) => {
    return ((more['seconds'] ?? NaN) * FLEET_SHOPS) / (more['shops'] ?? NaN);
  });
}

/** The aims and floors of docs/performance.md. */
export const ROWS: readonly Row[] = [
  {
    scenario: 'intake',
    what: 'durable-ack intake / the same app storing nothing',
    aim: { atLeast: 0.75 },
    floor: { atLeast: 0.65, source: 'T2' },
    figures: (r) => [rateRatio(r, 'plumbline', 'nothing'), cpuRatio(r, 'plumbline', 'nothing')],
  },
  {
    scenario: 'intake',
    what: 'durable-ack intake / bare node:http + HMAC',
    aim: { atLeast: 0.6 },
    floor: { atLeast: 0.4, source: 'T1' },
    figures: (r) => [rateRatio(r, 'plumbline', 'bare'), cpuRatio(r, 'plumbline', 'bare')],
  },
  ...RIVALS.map((rival): Row => ({
    scenario: 'intake',
    what: `durable-ack intake, times as cheap as ${rival} with batched inserts`,
    aim: { atLeast: 2.5 },
    floor: rival === 'pg-boss' ? { atLeast: 1.8, source: 'T5' } : null,
    figures: (r) => [cpuRatio(r, 'plumbline', rival)],
  })),
  {
    scenario: 'intake',
    what: 'durable-ack intake / one insert a request',
    aim: null,
    floor: { atLeast: 2, source: 'T4' },
    figures: (r) => [rateRatio(r, 'plumbline', 'one-insert'), cpuRatio(r, 'plumbline', 'one-insert')],
  },
  {
    scenario: 'intake-latency',
    what: 'p50 added by durability at half of saturation',
    aim: { atMost: 2 },
    floor: null,
    figures: (r) => [difference(r, 'plumbline', 'nothing', 'p50Ms')],
  },
  {
    scenario: 'intake-latency',
    what: 'p99 added by durability at half of saturation',
    aim: { atMost: 10 },
    floor: null,
    figures: (r) => [difference(r, 'plumbline', 'nothing', 'p99Ms')],
  },
  {
    scenario: 'intake-latency',
    what: 'p99 above twice the p99 without storage + 10 ms',
    aim: null,
    floor: { atMost: 0, source: 'T7' },
    figures: (r) => [
      compared(
        r,
        'plumbline',
        'nothing',
        { label: 'above', unit: 'ms', steady: false },
        (ours, base) => (ours.more['p99Ms'] ?? NaN) - 2 * (base.more['p99Ms'] ?? NaN) - 10,
      ),
    ],
  },
  {
    scenario: 'intake-latency',
    what: 'p99 of a durable answer at half of saturation',
    aim: null,
    floor: { atMost: 250, source: 'T7' },
    figures: (r) => [plain(r, 'plumbline', { label: 'p99', unit: 'ms', steady: false }, (s) => s.more['p99Ms'] ?? NaN)],
  },
  {
    scenario: 'intake',
    what: 'WAL per 8 KB event',
    aim: { atMost: 1_500 },
    floor: { atMost: 4_200, source: 'T6' },
    figures: (r) => [
      plain(r, 'plumbline', { label: 'WAL', unit: 'B', steady: true }, (s) => s.more['walBytes'] ?? NaN),
    ],
  },
  // T8 and T9 are about the queue: claim and complete on both sides. What a drain costs with the books that the rivals
  // do not keep (ledger and facts) is shown beside it.
  ...(
    [
      ['pg-boss', 'pg-boss fetch + complete by 500', 3, 2, 'T8'],
      ['graphile-worker', 'graphile-worker, local queue of 500', 2, 1.5, 'T9'],
    ] as const
  ).flatMap(([rival, label, aim, floor, source]): Row[] => [
    {
      scenario: 'drain',
      what: `queue alone (claim + complete) / ${label}`,
      aim: { atLeast: aim },
      floor: { atLeast: floor, source },
      figures: (r) => [rateRatio(r, 'queue-alone', rival), cpuRatio(r, 'queue-alone', rival)],
    },
    {
      scenario: 'drain',
      what: `drain with ledger and facts / ${label}, which keeps neither`,
      aim: null,
      floor: null,
      figures: (r) => [rateRatio(r, 'plain', rival), cpuRatio(r, 'plain', rival)],
    },
  ]),
  ...(
    [
      ['backlog', 'drain of a great backlog / plain'],
      ['future', 'drain beside 100 k future rows / plain'],
    ] as const
  ).map(([contender, what]): Row => ({
    scenario: 'drain',
    what,
    aim: { atLeast: 0.85 },
    floor: { atLeast: 0.85, source: 'T10' },
    figures: (r) => [rateRatio(r, contender, 'plain'), cpuRatio(r, contender, 'plain')],
  })),
  {
    scenario: 'drain',
    what: 'drain under a held snapshot, 4th slice / plain',
    aim: { atLeast: 0.85 },
    floor: null,
    figures: (r) => [
      compared(r, 'held-snapshot', 'plain', { label: 'rate', unit: '×', steady: false }, (held, base) => {
        return (held.more['lastSlicePerSecond'] ?? NaN) / base.perSecond;
      }),
      compared(r, 'held-snapshot', 'plain', { label: 'CPU', unit: '×', steady: true }, (held, base) => {
        return cpuMicros(base) / (held.more['lastSliceMicros'] ?? NaN);
      }),
    ],
  },
  {
    scenario: 'drain',
    what: 'drain under a held snapshot, 4th slice / 1st slice',
    aim: null,
    floor: { atLeast: 0.8, source: 'T11' },
    figures: (r) => [
      plain(r, 'held-snapshot', { label: 'rate', unit: '×', steady: false }, (s) => {
        return (s.more['lastSlicePerSecond'] ?? NaN) / (s.more['firstSlicePerSecond'] ?? NaN);
      }),
      plain(r, 'held-snapshot', { label: 'CPU', unit: '×', steady: true }, (s) => {
        return (s.more['firstSliceMicros'] ?? NaN) / (s.more['lastSliceMicros'] ?? NaN);
      }),
    ],
  },
  {
    scenario: 'worker',
    what: 'worker from claim to settled by 100, routed before (T12) / a loop that only parses JSON',
    aim: { atLeast: 0.45 },
    floor: { atLeast: 0.35, source: 'T12' },
    figures: (r) => [appRatio(r, 'segment-queued', 'json-parse')],
  },
  {
    // T12 measured no router; the whole path has one, which reads, plans and writes the ledger a first time.
    scenario: 'worker',
    what: 'router and worker, whole path from the inbox / a loop that only parses JSON',
    aim: { atLeast: 0.45 },
    floor: null,
    figures: (r) => [appRatio(r, 'segment', 'json-parse')],
  },
  {
    scenario: 'worker',
    what: 'worker, many per POST / 1 per POST',
    aim: null,
    floor: { atLeast: 1.6, source: 'T13' },
    figures: (r) => [rateRatio(r, 'segment', 'webhook'), cpuRatio(r, 'segment', 'webhook')],
  },
  ...(
    [
      ['p50Ms', 25],
      ['p99Ms', 100],
    ] as const
  ).map(([name, most]): Row => ({
    scenario: 'end-to-end',
    what: `webhook → destination's 2xx at 200/s, ${name.slice(0, 3)}`,
    aim: { atMost: most },
    floor: null,
    figures: (r) => [
      plain(r, 'service', { label: name.slice(0, 3), unit: 'ms', steady: false }, (s) => s.more[name] ?? NaN),
    ],
  })),
  {
    scenario: 'backlog',
    what: 'drain after an outage of the destination: resident memory at its highest',
    aim: { atMost: 350 },
    floor: null,
    figures: (r) => [plain(r, 'outage', { label: 'RSS', unit: 'MB', steady: true }, (s) => s.more['rssMaxMb'] ?? NaN)],
  },
  {
    scenario: 'backlog',
    what: 'the same: memory in the last quarter / in the second',
    aim: { atMost: 1.1 },
    floor: null,
    figures: (r) => [plain(r, 'outage', { label: 'RSS', unit: '×', steady: true }, (s) => s.more['rssGrowth'] ?? NaN)],
  },
  {
    scenario: 'neighbours',
    what: "one dead destination among eight: the other seven's p99 / with all alive",
    aim: { atMost: 1.2 },
    floor: null,
    figures: (r) => [
      compared(r, 'one-dead', 'all-alive', { label: 'p99', unit: '×', steady: false }, (dead, alive) => {
        return (dead.more['p99Ms'] ?? NaN) / (alive.more['p99Ms'] ?? NaN);
      }),
    ],
  },
  {
    scenario: 'ledger',
    what: 'ledger cost per order, empty / grown',
    aim: { atLeast: 0.87 },
    floor: { atLeast: 0.85, source: 'T14' },
    figures: (r) => [
      compared(r, 'grown', 'empty', { label: 'database CPU', unit: '×', steady: true }, (grown, empty) => {
        return empty.databaseMicros / grown.databaseMicros;
      }),
      rateRatio(r, 'grown', 'empty'),
    ],
  },
  ...(
    [
      [
        'newest',
        'hourly comparison of 417 k listed orders, those sold in the hour',
        { atMost: 0.5 },
        { atMost: 1, source: 'T15' },
      ],
      ['spread', 'the same number, from all over the month', null, null],
    ] as const
  ).map(([contender, what, aim, floor]): Row => ({
    scenario: 'comparison',
    what,
    aim,
    floor,
    figures: (r) => [
      // With a smaller ledger fewer are listed; what one costs is then told of 417,000.
      plain(r, contender, { label: 'database CPU', unit: 's', steady: true }, (s) => (s.databaseMicros * LISTED) / 1e6),
    ],
  })),
  {
    scenario: 'bulk-listing',
    what: 'a million orders of a bulk result, listed',
    aim: { atMost: 30 },
    floor: null,
    figures: (r) => [plain(r, 'listing', { label: 'time', unit: 's', steady: false }, (s) => 1e6 / s.perSecond)],
  },
  {
    scenario: 'bulk-listing',
    what: 'the same: memory at its highest in the last quarter / in the second',
    aim: { atMost: 1.1 },
    floor: null,
    figures: (r) => [plain(r, 'listing', { label: 'RSS', unit: '×', steady: true }, (s) => s.more['rssGrowth'] ?? NaN)],
  },
  {
    scenario: 'bulk-listing',
    what: 'the same: resident memory at its highest',
    aim: { atMost: 250 },
    floor: null,
    figures: (r) => [plain(r, 'listing', { label: 'RSS', unit: 'MB', steady: true }, (s) => s.more['rssMaxMb'] ?? NaN)],
  },
  {
    scenario: 'bulk-listing',
    what: "the same / Node's line reader and JSON.parse alone",
    aim: null,
    floor: null,
    figures: (r) => [appRatio(r, 'listing', 'json-parse'), rateRatio(r, 'listing', 'json-parse')],
  },
  {
    scenario: 'fleet',
    what: 'an hourly turn of 5,000 shops, all due at once',
    aim: { atMost: 600 },
    floor: { atMost: 3_600, source: 'T17' },
    figures: (r) => [toldOfFleet(r, 'at-once')],
  },
  {
    scenario: 'fleet',
    what: 'the same with 300 ms for each answer of the Admin API',
    aim: { atMost: 600 },
    floor: { atMost: 3_600, source: 'T17' },
    figures: (r) => [toldOfFleet(r, 'slow-shopify')],
  },
  {
    scenario: 'fleet',
    what: 'an hourly turn of 5,000 shops: processor time a listed order',
    aim: null,
    floor: null,
    figures: (r) => [
      plain(r, 'at-once', { label: 'database CPU', unit: 'µs', steady: true }, (s) => s.databaseMicros),
      plain(r, 'at-once', { label: 'app CPU', unit: 'µs', steady: true }, (s) => s.appMicros),
    ],
  },
  {
    scenario: 'fleet',
    what: 'the same: resident memory at its highest',
    aim: { atMost: 350 },
    floor: null,
    figures: (r) => [plain(r, 'at-once', { label: 'RSS', unit: 'MB', steady: true }, (s) => s.more['rssMaxMb'] ?? NaN)],
  },
  {
    scenario: 'fleet',
    what: 'the same: memory at its highest in the last quarter / in the second',
    aim: { atMost: 1.1 },
    floor: null,
    figures: (r) => [plain(r, 'at-once', { label: 'RSS', unit: '×', steady: true }, (s) => s.more['rssGrowth'] ?? NaN)],
  },
  {
    scenario: 'alerts',
    what: "signals' changes folded into alerts, a minute",
    aim: { atLeast: 100_000 },
    floor: { atLeast: 50_000, source: 'T18' },
    figures: (r) => [plain(r, 'alerts', { label: 'rate', unit: '/min', steady: false }, (s) => s.perSecond * 60)],
  },
  {
    scenario: 'alerts',
    what: 'the same, times as dear as reading them and writing them once more',
    aim: null,
    floor: null,
    figures: (r) => [cpuRatio(r, 'insert', 'alerts')],
  },
  {
    scenario: 'alerts',
    what: 'the same: memory at its highest in the last quarter / in the second',
    aim: { atMost: 1.1 },
    floor: null,
    figures: (r) => [plain(r, 'alerts', { label: 'RSS', unit: '×', steady: true }, (s) => s.more['rssGrowth'] ?? NaN)],
  },
  {
    scenario: 'two-processes',
    what: 'two intake processes / one',
    aim: { atLeast: 1.6 },
    floor: null,
    figures: (r) => [rateRatio(r, 'two', 'one')],
  },
  {
    scenario: 'start',
    what: 'embedded start, warm, to ready',
    aim: { atMost: 3 },
    floor: null,
    figures: (r) => [plain(r, 'warm', { label: 'ready', unit: 's', steady: false }, (s) => s.more['seconds'] ?? NaN)],
  },
  {
    scenario: 'journal',
    what: 'intake into the spill journal / the same app storing nothing',
    aim: null,
    floor: null,
    figures: (r) => [rateRatio(r, 'journal', 'nothing'), cpuRatio(r, 'journal', 'nothing')],
  },
  {
    scenario: 'status-page',
    what: 'status page from its cache, requests a second',
    aim: { atLeast: 5_000 },
    floor: { atLeast: 5_000, source: 'T19' },
    figures: (r) => [plain(r, 'plumbline', { label: 'rate', unit: '/s', steady: false }, (s) => s.perSecond)],
  },
  {
    scenario: 'status-page',
    what: 'status page from its cache / bare node:http with the same bytes',
    aim: null,
    floor: null,
    figures: (r) => [rateRatio(r, 'plumbline', 'bare'), appRatio(r, 'plumbline', 'bare')],
  },
  {
    scenario: 'status-page',
    what: 'status page from its cache / a Fastify route with the same bytes',
    aim: null,
    floor: null,
    figures: (r) => [rateRatio(r, 'plumbline', 'fastify'), appRatio(r, 'plumbline', 'fastify')],
  },
];
