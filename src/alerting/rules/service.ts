import type { AlertRule, Seen } from '../catalogue.js';
import { judgesWhatMustNotStall } from './judges.js';
import { PLAIN, countOf, counted, since, wordOf } from './reading.js';

const MINUTE_MS = 60_000;

const listOf = (seen: Seen, name: string): string[] => {
  const value = seen.facts[name];
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
};

const matters = (seen: Seen): boolean =>
  seen.subject === 'watch' || [seen.subject, ...listOf(seen, 'duties')].some(judgesWhatMustNotStall);

const labelOf = (seen: Seen, name: string): string | null => {
  const { labels } = seen.facts;
  const value: unknown = typeof labels === 'object' && labels !== null ? Object.entries(labels) : [];
  const found: unknown = Array.isArray(value)
    ? value.find((entry: unknown) => Array.isArray(entry) && entry[0] === name)
    : null;
  return Array.isArray(found) && typeof found[1] === 'string' ? found[1] : null;
};

/** The words that people give to severities in Prometheus. */
const PAGES = new Set(['page', 'critical', 'emergency', 'fatal', 'p1', 'p2', 'sev1', 'sev2']);
const LOGS = new Set(['info', 'none', 'debug', 'log']);
const graded = (seen: Seen): 'page' | 'ticket' | 'log' => {
  const word = labelOf(seen, 'severity')?.toLowerCase() ?? '';
  if (PAGES.has(word)) return 'page';
  return LOGS.has(word) ? 'log' : 'ticket';
};
const external = (seen: Seen): string =>
  `${labelOf(seen, 'alertname') ?? 'An alert'} from outside: ${wordOf(seen, 'summary') ?? 'it says no more'}${since(seen, 'startsAt')}`;

const outside = (severity: string): { subject: string; shop: null; facts: Record<string, unknown> } => ({
  subject: 'bb7678daa9b8a2db',
  shop: null,
  facts: { labels: { alertname: 'DiskFull', severity }, summary: 'The disk is full' },
});

/** The service itself, and those who watch it. */
export const SERVICE_RULES: readonly AlertRule[] = [
  {
    ...PLAIN,
    name: 'workers-missing',
    kind: 'workers-missing',
    class: 'page',
    severity: (seen) => (wordOf(seen, 'loop') !== null || countOf(seen, 'missing') > countOf(seen, 'alive') ? 2 : 3),
    forMs: 2 * MINUTE_MS,
    key: ({ subject }) => `process:${subject}:missing`,
    runbook: 'workers-missing',
    summary: (seen) => {
      const loop = wordOf(seen, 'loop');
      if (loop !== null)
        return `The loop ${loop} hangs in ${counted(countOf(seen, 'processes'), 'process', 'processes')}`;
      return `${counted(countOf(seen, 'missing'), 'process', 'processes')} with ${listOf(seen, 'roles').join(', ') || 'some role'} gone without a word${since(seen, 'lastSeenAt')}; ${countOf(seen, 'alive')} left`;
    },
    firing: [
      { shop: null, subject: 'worker', facts: { roles: ['worker'], missing: 1, alive: 2 } },
      { shop: null, subject: 'loop/router', facts: { loop: 'router', processes: 1 } },
    ],
    quiet: [],
  },
  {
    ...PLAIN,
    name: 'process-sick',
    kind: 'process-sick',
    class: 'ticket',
    severity: () => 3,
    forMs: 5 * MINUTE_MS,
    inhibitedBy: [{ by: 'workers-missing', equal: [] }],
    key: ({ subject }) => `process:${subject}:sick`,
    runbook: 'process-sick',
    summary: (seen) => {
      const slow = wordOf(seen, 'eventLoopSlowSince') !== null;
      const what = slow
        ? `is slow${since(seen, 'eventLoopSlowSince')}`
        : `has little memory left${since(seen, 'heapFullSince')}`;
      return `Process ${wordOf(seen, 'process') ?? seen.subject} ${what}, however well its host looks`;
    },
    firing: [
      { shop: null, subject: 'p-1', facts: { process: '4711', eventLoopSlowSince: '2026-11-27T08:00:00.000Z' } },
    ],
    quiet: [],
  },
  {
    ...PLAIN,
    name: 'watch-stalled',
    kind: 'watch-stalled',
    when: matters,
    class: 'page',
    severity: () => 2,
    forMs: MINUTE_MS,
    key: ({ subject }) => `watch:${subject}:stalled`,
    runbook: 'watch-stalled',
    summary: (seen) =>
      `Nobody looks any more${since(seen, 'lastAt')}: ${listOf(seen, 'duties').join(', ') || seen.subject}. Whether orders go missing is not known`,
    firing: [
      { shop: null, subject: 'reconciliation-signals', facts: { duties: ['reconciliation-signals'] } },
      { shop: null, subject: 'watch', facts: { duties: ['silence', 'slo'] } },
    ],
    quiet: [{ shop: null, subject: 'dead-letter-watch', facts: { duties: ['dead-letter-watch'] } }],
  },
  {
    ...PLAIN,
    name: 'watch-stalled-minor',
    kind: 'watch-stalled',
    when: (seen) => !matters(seen),
    class: 'ticket',
    severity: () => 3,
    forMs: 5 * MINUTE_MS,
    inhibitedBy: [{ by: 'watch-stalled', equal: [] }],
    key: ({ subject }) => `watch:${subject}:stalled`,
    runbook: 'watch-stalled',
    summary: (seen) =>
      `Nobody looks any more${since(seen, 'lastAt')}: ${listOf(seen, 'duties').join(', ') || seen.subject}`,
    firing: [{ shop: null, subject: 'dead-letter-watch', facts: { duties: ['dead-letter-watch'] } }],
    quiet: [{ shop: null, subject: 'reconciliation-signals', facts: { duties: ['reconciliation-signals'] } }],
  },
  {
    ...PLAIN,
    name: 'notifier-failing',
    kind: 'notifier-failing',
    class: 'page',
    severity: () => 2,
    forMs: 0,
    key: ({ subject }) => `notifier:${subject}:failing`,
    runbook: 'notifier-failing',
    summary: (seen) =>
      `The way to people is broken: ${wordOf(seen, 'channel') ?? 'a channel'} to ${wordOf(seen, 'recipient') ?? seen.subject} ${wordOf(seen, 'why') ?? 'fails'}${since(seen, 'since')}`,
    firing: [{ shop: null, subject: 'real/pagerduty/orders', facts: { channel: 'pagerduty', recipient: 'orders' } }],
    quiet: [],
  },
  {
    ...PLAIN,
    name: 'on-call-gap',
    kind: 'on-call-gap',
    class: 'ticket',
    severity: () => 3,
    forMs: 0,
    key: ({ subject }) => `rota:${subject}:gap`,
    runbook: 'on-call-gap',
    summary: (seen) =>
      `${wordOf(seen, 'why') ?? 'Nobody is on call'} (${wordOf(seen, 'policy') ?? seen.subject})${since(seen, 'since')}`,
    firing: [{ shop: null, subject: 'real/P1', facts: { policy: 'P1', why: 'nobody is on call' } }],
    quiet: [],
  },
  {
    ...PLAIN,
    name: 'page-volume-high',
    kind: 'page-volume-high',
    class: 'ticket',
    severity: () => 4,
    forMs: 0,
    key: () => 'alerting:pages:volume-high',
    runbook: 'page-volume-high',
    summary: (seen) =>
      `At least ${counted(countOf(seen, 'pagesAtLeast'), 'page')} in 24 hours, most by ${listOf(seen, 'offenders').join(', ') || 'nobody in particular'}: mend or demote what needs no action`,
    firing: [{ shop: null, subject: 'real', facts: { pagesAtLeast: 10, offenders: ['store-silent (7)'] } }],
    quiet: [],
  },
  {
    ...PLAIN,
    name: 'status-page-stale',
    kind: 'status-page-stale',
    class: 'page',
    severity: () => 3,
    forMs: 0,
    key: () => 'status:publication:stale',
    runbook: 'status-page-stale',
    summary: (seen) => `The status page says unknown: nothing has been published${since(seen, 'since')}`,
    firing: [{ shop: null, subject: 'publication', facts: { since: '2026-11-27T08:00:00.000Z' } }],
    quiet: [],
  },
  {
    ...PLAIN,
    name: 'external-page',
    kind: 'external',
    when: (seen) => graded(seen) === 'page',
    class: 'page',
    severity: () => 2,
    forMs: 0,
    key: ({ subject }) => `external:${subject}:firing`,
    runbook: 'external',
    summary: external,
    firing: [outside('critical')],
    quiet: [outside('warning'), outside('info')],
  },
  {
    ...PLAIN,
    name: 'external-ticket',
    kind: 'external',
    when: (seen) => graded(seen) === 'ticket',
    class: 'ticket',
    severity: () => 3,
    forMs: 0,
    key: ({ subject }) => `external:${subject}:firing`,
    runbook: 'external',
    summary: external,
    firing: [outside('warning'), outside('')],
    quiet: [outside('critical'), outside('none')],
  },
  {
    ...PLAIN,
    name: 'external-log',
    kind: 'external',
    when: (seen) => graded(seen) === 'log',
    class: 'log',
    severity: () => 4,
    forMs: 0,
    key: ({ subject }) => `external:${subject}:firing`,
    runbook: 'external',
    summary: external,
    firing: [outside('info')],
    quiet: [outside('critical'), outside('warning')],
  },
  {
    ...PLAIN,
    name: 'watchdog',
    kind: null,
    class: 'log',
    severity: () => 4,
    forMs: 0,
    key: () => 'plumbline:alerting:watchdog',
    runbook: 'watchdog',
    summary: () => 'Alerting works: this alert is always open, and whoever stops hearing of it knows more than we do',
    firing: [{}],
    quiet: [],
  },
];
