import type { SignalKind } from '../../monitoring/contract.js';

/**
 * Which of monitoring's duties finds a kind of signal; `null` = nobody looks for it at intervals: it is reported as it
 * happens, or by alerting itself.
 */
export const JUDGES: Readonly<Record<SignalKind, string | null>> = {
  'order-missing': 'reconciliation-signals',
  'reconciliation-partial': 'reconciliation-signals',
  'inbox-gap': 'reconciliation-signals',
  'reconciliation-stale': 'proof-watch',
  'store-silent': 'silence',
  'subscription-removed': 'subscription-audit',
  'subscription-wrong': 'subscription-audit',
  'subscription-unknown': 'subscription-audit',
  'subscription-countdown': 'subscription-countdown',
  'notice-unclassified': 'notices',
  'destination-refusing': 'destination-watch',
  'destination-outage': 'destination-watch',
  'credentials-rejected': 'destination-watch',
  'dead-letters-growing': 'dead-letter-watch',
  'slo-burn': 'slo',
  'orders-late': 'slo',
  'intake-slow': 'intake-watch',
  'intake-failing': 'intake-watch',
  'signature-failures': 'intake-watch',
  'queue-old': 'queue-watch',
  'workers-missing': 'process-watch',
  'process-sick': 'process-watch',
  'watch-stalled': null,
  'notifier-failing': null,
  'on-call-gap': null,
  'page-volume-high': null,
  external: null,
};

/** Kinds whose silence is as bad as the worst they could say. The rules of these say `noData: 'opens'`. */
export const MUST_BE_WATCHED: ReadonlySet<SignalKind> = new Set([
  'order-missing',
  'inbox-gap',
  'reconciliation-stale',
  'store-silent',
  'subscription-removed',
  'slo-burn',
  'intake-failing',
]);

/** @param duty of monitoring */
export function judgesWhatMustNotStall(duty: string): boolean {
  return [...MUST_BE_WATCHED].some((kind) => JUDGES[kind] === duty);
}
