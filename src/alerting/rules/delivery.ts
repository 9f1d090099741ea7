import type { AlertRule } from '../catalogue.js';
import { PLAIN, countOf, counted, since, wordOf } from './reading.js';

const MINUTE_MS = 60_000;

/** Routine failures of delivery: one ticket for each kind of destination and cause, however many there are. */
export const DELIVERY_RULES: readonly AlertRule[] = [
  {
    ...PLAIN,
    name: 'destination-refusing',
    kind: 'destination-refusing',
    class: 'ticket',
    severity: () => 3,
    forMs: 5 * MINUTE_MS,
    key: ({ destinationKind }) => `delivery:${destinationKind ?? 'any'}:refusing`,
    gathers: true,
    runbook: 'destination-refusing',
    summary: (seen) => {
      const trouble = wordOf(seen, 'trouble');
      return `${seen.destination ?? seen.subject} does not take what it is sent${since(seen, 'blockedSince')}${trouble === null ? '' : ` (${trouble})`}: orders wait, none is lost`;
    },
    summaryOfMany: ({ signals }, { destinationKind }) =>
      `${counted(signals, 'destination')} of kind ${destinationKind ?? 'any'} do not take what they are sent: orders wait, none is lost`,
    firing: [{ destination: 'acme-ga4', facts: { blockedSince: '2026-11-27T08:00:00.000Z', trouble: 'answered 503' } }],
    quiet: [],
  },
  {
    ...PLAIN,
    name: 'dead-letters-growing',
    kind: 'dead-letters-growing',
    class: 'ticket',
    severity: () => 3,
    forMs: 5 * MINUTE_MS,
    key: ({ destinationKind }) => `delivery:${destinationKind ?? 'unmapped'}:dead-letters`,
    gathers: true,
    runbook: 'dead-letters-growing',
    summary: (seen) =>
      `At least ${counted(countOf(seen, 'openAtLeast'), 'dead letter')} for ${seen.destination ?? 'no destination'}, ${countOf(seen, 'freshAtLeast')} of them new: they arrive only when somebody acts`,
    summaryOfMany: ({ signals }, { destinationKind }) =>
      `Dead letters grow in ${counted(signals, 'lane')} of destinations of kind ${destinationKind ?? 'unmapped'}: they arrive only when somebody acts`,
    firing: [{ destination: 'acme-ga4', facts: { lane: 'theirs', freshAtLeast: 2, openAtLeast: 20 } }],
    quiet: [],
  },
];
