import type { AlertRule, Seen } from '../catalogue.js';
import type { Severity } from '../contract.js';
import { PLAIN, countOf, wordOf } from './reading.js';

const MINUTE_MS = 60_000;

const objectiveOf = (seen: Seen): string => wordOf(seen, 'slo') ?? seen.subject;
const windowOf = (seen: Seen): string => wordOf(seen, 'window') ?? 'any';
const pages = (seen: Seen): boolean => wordOf(seen, 'class') === 'page';
const isWorst = (seen: Seen): boolean => countOf(seen, 'severity') === 1;

/** As the configuration has it, when it is one. */
const declared = (seen: Seen, otherwise: Severity): Severity =>
  ([1, 2, 3, 4] as const).find((severity) => severity === countOf(seen, 'severity')) ?? otherwise;

const burning = (seen: Seen): string => {
  const stage = wordOf(seen, 'stage');
  const where = stage === null ? '' : `, most of them lost before ${stage}`;
  return `${objectiveOf(seen)}: at least ${countOf(seen, 'badOrdersAtLeast')} bad orders in ${windowOf(seen)}, ${countOf(seen, 'longBurnAtLeast')} times the pace that the budget allows${where}; ${countOf(seen, 'budgetLeftPercentAtMost')} % of the budget left`;
};

const fixture = (
  window: string,
  more: Record<string, unknown>,
): { subject: string; shop: null; facts: Record<string, unknown> } => ({
  subject: `real/throughput/${window}`,
  shop: null,
  facts: { slo: 'throughput', window, badOrdersAtLeast: 5, longBurnAtLeast: 20, budgetLeftPercentAtMost: 60, ...more },
});
const FAST = fixture('1h', { class: 'page', severity: 1 });
const SLOW = fixture('6h', { class: 'page', severity: 2 });
const TICKET = fixture('3d', { class: 'ticket', severity: 4 });

/** What is promised of orders. */
export const OBJECTIVE_RULES: readonly AlertRule[] = [
  {
    ...PLAIN,
    name: 'throughput-burn-fast',
    kind: 'slo-burn',
    when: (seen) => pages(seen) && isWorst(seen),
    noData: 'opens',
    class: 'page',
    route: 'orders',
    severity: () => 1,
    forMs: 0,
    key: (seen) => `slo:${objectiveOf(seen)}:burn-${windowOf(seen)}`,
    scope: objectiveOf,
    runbook: 'slo-burn',
    summary: burning,
    firing: [FAST],
    quiet: [SLOW, TICKET],
  },
  {
    ...PLAIN,
    name: 'throughput-burn-slow',
    kind: 'slo-burn',
    when: (seen) => pages(seen) && !isWorst(seen),
    class: 'page',
    route: 'orders',
    severity: (seen) => declared(seen, 2),
    forMs: 2 * MINUTE_MS,
    inhibitedBy: [
      { by: 'throughput-burn-fast', equal: ['scope'] },
      { by: 'fleet-silent', equal: [] },
    ],
    key: (seen) => `slo:${objectiveOf(seen)}:burn-${windowOf(seen)}`,
    scope: objectiveOf,
    runbook: 'slo-burn',
    summary: burning,
    firing: [SLOW],
    quiet: [FAST, TICKET],
  },
  {
    ...PLAIN,
    name: 'throughput-budget',
    kind: 'slo-burn',
    when: (seen) => !pages(seen),
    class: 'ticket',
    severity: (seen) => declared(seen, 4),
    forMs: 5 * MINUTE_MS,
    inhibitedBy: [
      { by: 'throughput-burn-fast', equal: ['scope'] },
      { by: 'throughput-burn-slow', equal: ['scope'] },
    ],
    key: (seen) => `slo:${objectiveOf(seen)}:burn-${windowOf(seen)}`,
    scope: objectiveOf,
    runbook: 'slo-burn',
    summary: burning,
    firing: [TICKET],
    quiet: [FAST, SLOW],
  },
  {
    ...PLAIN,
    name: 'orders-late',
    kind: 'orders-late',
    class: 'page',
    route: 'orders',
    severity: (seen) => (countOf(seen, 'latePercentAtLeast') >= 5 ? 1 : 2),
    forMs: MINUTE_MS,
    inhibitedBy: [
      { by: 'throughput-burn-fast', equal: [] },
      { by: 'destination-outage', equal: [] },
    ],
    key: () => 'fleet:orders:late',
    runbook: 'orders-late',
    summary: (seen) =>
      `At least ${countOf(seen, 'lateAtLeast')} orders (${countOf(seen, 'latePercentAtLeast')} % or more) took over 15 minutes in the last quarter of an hour`,
    firing: [{ shop: null, subject: 'real', facts: { lateAtLeast: 20, latePercentAtLeast: 2 } }],
    quiet: [],
  },
];
