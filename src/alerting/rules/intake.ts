import type { AlertRule } from '../catalogue.js';
import { PLAIN, countOf, wordOf } from './reading.js';

const NOTHING_ARRIVES = [{ by: 'fleet-silent', equal: [] }] as const;

/** What Shopify is answered. Every failure brings the removal of subscriptions nearer. */
export const INTAKE_RULES: readonly AlertRule[] = [
  {
    ...PLAIN,
    name: 'intake-failing',
    kind: 'intake-failing',
    noData: 'opens',
    class: 'page',
    severity: (seen) => (countOf(seen, 'percentAtLeast') >= 5 ? 1 : 2),
    forMs: 15_000,
    inhibitedBy: NOTHING_ARRIVES,
    key: () => 'intake:answers:failing',
    runbook: 'intake-failing',
    summary: (seen) =>
      `At least ${countOf(seen, 'answersAtLeast')} answers to Shopify (${countOf(seen, 'percentAtLeast')} % or more) failed in 5 minutes: it repeats for four hours, then removes subscriptions`,
    firing: [{ shop: null, subject: 'intake', facts: { answersAtLeast: 20, percentAtLeast: 10 } }],
    quiet: [],
  },
  {
    ...PLAIN,
    name: 'intake-slow',
    kind: 'intake-slow',
    when: (seen) => wordOf(seen, 'grade') !== 'creeping',
    class: 'page',
    severity: (seen) => (countOf(seen, 'p99MsAtLeast') >= 4_000 ? 1 : 2),
    forMs: 30_000,
    inhibitedBy: NOTHING_ARRIVES,
    key: () => 'intake:answers:slow',
    runbook: 'intake-slow',
    summary: (seen) =>
      `One answer to Shopify in a hundred takes ${countOf(seen, 'p99MsAtLeast')} ms or more; past 5000 ms it counts as failed`,
    firing: [{ shop: null, subject: 'near-limit', facts: { grade: 'near-limit', p99MsAtLeast: 3_000 } }],
    quiet: [{ shop: null, subject: 'creeping', facts: { grade: 'creeping', limitReachedWithinHours: 12 } }],
  },
  {
    ...PLAIN,
    name: 'intake-creeping',
    kind: 'intake-slow',
    when: (seen) => wordOf(seen, 'grade') === 'creeping',
    class: 'ticket',
    severity: () => 3,
    forMs: 5 * 60_000,
    inhibitedBy: [{ by: 'intake-slow', equal: [] }],
    key: () => 'intake:answers:creeping',
    runbook: 'intake-slow',
    summary: (seen) =>
      `Answers to Shopify become slower by the hour; they reach its limit of 5 s within ${countOf(seen, 'limitReachedWithinHours')} hours`,
    firing: [{ shop: null, subject: 'creeping', facts: { grade: 'creeping', limitReachedWithinHours: 12 } }],
    quiet: [{ shop: null, subject: 'near-limit', facts: { grade: 'near-limit', p99MsAtLeast: 3_000 } }],
  },
  {
    ...PLAIN,
    name: 'signature-failures',
    kind: 'signature-failures',
    class: 'page',
    severity: () => 2,
    forMs: 60_000,
    key: () => 'intake:signatures:failing',
    runbook: 'signature-failures',
    summary: (seen) =>
      `At least ${countOf(seen, 'answersAtLeast')} webhooks (${countOf(seen, 'percentAtLeast')} % or more) were not signed by a secret that we know: was a secret rotated?`,
    firing: [{ shop: null, subject: 'intake', facts: { answersAtLeast: 50, percentAtLeast: 20 } }],
    quiet: [],
  },
];
