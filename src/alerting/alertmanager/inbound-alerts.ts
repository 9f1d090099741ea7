import type { Logger } from '../../kernel/log.js';
import type { SignalDesk } from '../../monitoring/contract.js';
import type { InboundAlerts, OutsideAlert } from '../contract.js';

/** What is kept of an alert from outside; the rest stays with the Alertmanager that sent it. */
const LABELS_MAX = 32;
const NAME_CHARS_MAX = 64;
const VALUE_CHARS_MAX = 256;
const SUMMARY_CHARS_MAX = 500;

/** What our own alerts carry as their label `service`. */
export const OURS = 'plumbline';

/** Annotations that say what is so, the best first. */
const SUMMARIES = ['summary', 'message', 'description'];

/**
 * Alerts of an Alertmanager become signals of kind `external`, one a fingerprint. It repeats them for as long as they fire,
 * and says when they are resolved; the same twice changes nothing.
 */
export class InboundAlertmanager implements InboundAlerts {
  constructor(private readonly deps: { signals: Pick<SignalDesk, 'report' | 'close'>; log: Logger }) {}

  async take(
    given: readonly OutsideAlert[],
    truncated: number,
  ): Promise<{ firing: number; resolved: number; ours: number }> {
    const { signals, log } = this.deps;
    // Ours, come back: taken for news, each would be sent out again under another name, and so for ever.
    const alerts = given.filter(({ labels }) => labels['service'] !== OURS);
    if (truncated > 0) log.warn({ truncated }, 'an Alertmanager left alerts out; raise max_alerts of its receiver');
    for (const alert of alerts) {
      if (alert.status === 'resolved') {
        await signals.close('external', alert.fingerprint, { endsAt: alert.endsAt });
        continue;
      }
      await signals.report({
        kind: 'external',
        subject: alert.fingerprint,
        facts: factsOf(alert),
        evidence: '/api/v1/signals?kind=external',
      });
    }
    const resolved = alerts.filter(({ status }) => status === 'resolved').length;
    return { firing: alerts.length - resolved, resolved, ours: given.length - alerts.length };
  }
}

/** Pure. */
export function factsOf({ labels, annotations, startsAt, generatorURL }: OutsideAlert): Record<string, unknown> {
  const summary = SUMMARIES.map((name) => annotations[name]).find((text) => text !== undefined && text !== '');
  const runbook = annotations['runbook_url'];
  return {
    labels: Object.fromEntries(
      Object.entries(labels)
        .sort(([one], [other]) => (one < other ? -1 : 1))
        .slice(0, LABELS_MAX)
        .map(([name, value]) => [name.slice(0, NAME_CHARS_MAX), value.slice(0, VALUE_CHARS_MAX)]),
    ),
    ...(summary === undefined ? {} : { summary: oneLine(summary) }),
    ...(runbook === undefined ? {} : { runbookUrl: runbook.slice(0, VALUE_CHARS_MAX) }),
    ...(generatorURL === undefined || generatorURL === '' ? {} : { source: generatorURL.slice(0, VALUE_CHARS_MAX) }),
    startsAt,
  };
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, SUMMARY_CHARS_MAX);
}
