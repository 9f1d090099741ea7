import type { AlertRule, Seen } from '../catalogue.js';
import { PLAIN, countOf, counted, since, wordOf } from './reading.js';

const MINUTE_MS = 60_000;

/** Said by the signal where it is about a kind; else it is the destination's. */
const kindOf = (seen: Seen): string => wordOf(seen, 'destinationKind') ?? seen.destinationKind ?? 'unmapped';

const OUTAGE_OF_KIND = [{ by: 'destination-outage', equal: ['scope'] }] as const;

/** Deliveries. Routine failures are one ticket for each kind of destination and cause, however many there are. */
export const DELIVERY_RULES: readonly AlertRule[] = [
  {
    ...PLAIN,
    name: 'destination-outage',
    kind: 'destination-outage',
    class: 'page',
    severity: () => 2,
    forMs: MINUTE_MS,
    key: (seen) => `delivery:${kindOf(seen)}:outage`,
    scope: kindOf,
    runbook: 'destination-outage',
    summary: (seen) =>
      `Destinations of kind ${kindOf(seen)} are out (at least ${counted(countOf(seen, 'destinationsAtLeast'), 'of ours', 'of ours')}): orders wait, none is lost; there is nothing to mend, tell customers`,
    firing: [{ shop: null, subject: 'real/ga4', facts: { destinationKind: 'ga4', destinationsAtLeast: 5 } }],
    quiet: [],
  },
  {
    ...PLAIN,
    name: 'destination-refusing',
    kind: 'destination-refusing',
    class: 'ticket',
    severity: () => 3,
    forMs: 5 * MINUTE_MS,
    inhibitedBy: OUTAGE_OF_KIND,
    key: (seen) => `delivery:${kindOf(seen)}:refusing`,
    gathers: true,
    scope: kindOf,
    runbook: 'destination-refusing',
    summary: (seen) => {
      const trouble = wordOf(seen, 'trouble');
      return `${seen.destination ?? seen.subject} does not take what it is sent${since(seen, 'blockedSince')}${trouble === null ? '' : ` (${trouble})`}: orders wait, none is lost`;
    },
    summaryOfMany: ({ signals }, { scope }) =>
      `What is sent to ${counted(signals, 'destination')} of kind ${scope ?? 'any'} is not taken: orders wait, none is lost`,
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
    inhibitedBy: OUTAGE_OF_KIND,
    key: (seen) => `delivery:${kindOf(seen)}:dead-letters`,
    gathers: true,
    scope: kindOf,
    runbook: 'dead-letters-growing',
    summary: (seen) =>
      `At least ${counted(countOf(seen, 'openAtLeast'), 'dead letter')} for ${seen.destination ?? 'no destination'}, ${countOf(seen, 'freshAtLeast')} of them new: they arrive only when somebody acts`,
    summaryOfMany: ({ signals }, { scope }) =>
      `Dead letters become more in ${counted(signals, 'lane')} of kind ${scope ?? 'unmapped'}: they arrive only when somebody acts`,
    firing: [{ destination: 'acme-ga4', facts: { lane: 'theirs', freshAtLeast: 2, openAtLeast: 20 } }],
    quiet: [],
  },
  {
    ...PLAIN,
    name: 'credentials-rejected',
    kind: 'credentials-rejected',
    class: 'ticket',
    severity: () => 4,
    forMs: 5 * MINUTE_MS,
    inhibitedBy: OUTAGE_OF_KIND,
    key: (seen) => `delivery:${kindOf(seen)}:credentials`,
    gathers: true,
    scope: kindOf,
    runbook: 'credentials-rejected',
    summary: (seen) => `${seen.destination ?? seen.subject} refuses its credentials: whoever owns it must renew them`,
    summaryOfMany: ({ signals }, { scope }) =>
      `The credentials of ${counted(signals, 'destination')} of kind ${scope ?? 'any'} are refused: whoever owns them must renew them`,
    firing: [{ destination: 'acme-ga4', facts: { destinationKind: 'ga4', rejectedAtLeast: 5 } }],
    quiet: [],
  },
  {
    ...PLAIN,
    name: 'queue-old',
    kind: 'queue-old',
    when: (seen) => wordOf(seen, 'queue') !== 'inbox',
    class: 'page',
    severity: () => 2,
    forMs: MINUTE_MS,
    // It waits although no destination holds it up: that one is out is no reason for it.
    key: () => 'delivery:queue:old',
    runbook: 'queue-old',
    summary: (seen) =>
      `At least ${counted(countOf(seen, 'waitingAtLeast'), 'delivery', 'deliveries')} wait, the oldest for ${countOf(seen, 'minutesAtLeast')} minutes, and no destination holds them up: orders are late`,
    firing: [{ shop: null, subject: 'real/deliveries', facts: { queue: 'deliveries', minutesAtLeast: 10 } }],
    quiet: [{ shop: null, subject: 'inbox', facts: { queue: 'inbox', minutesAtLeast: 10 } }],
  },
  {
    ...PLAIN,
    name: 'inbox-old',
    kind: 'queue-old',
    when: (seen) => wordOf(seen, 'queue') === 'inbox',
    class: 'page',
    severity: () => 2,
    forMs: MINUTE_MS,
    key: () => 'inbox:all:old',
    runbook: 'queue-old',
    summary: (seen) =>
      `Stored webhooks wait to be read, the oldest for ${countOf(seen, 'minutesAtLeast')} minutes (at least ${countOf(seen, 'waitingAtLeast')}): no order goes any further`,
    firing: [{ shop: null, subject: 'inbox', facts: { queue: 'inbox', minutesAtLeast: 10, waitingAtLeast: 500 } }],
    quiet: [{ shop: null, subject: 'real/deliveries', facts: { queue: 'deliveries', minutesAtLeast: 10 } }],
  },
];
