import type { AlertRule } from '../catalogue.js';
import { PLAIN } from './reading.js';

/** The service itself, and those who watch it. */
export const SERVICE_RULES: readonly AlertRule[] = [
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
