import { JUDGES, type SignalKind } from '../../monitoring/contract.js';

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
