import type { Severity } from '../alerting/contract.js';
import { fullInstantWords, instantWords, numberWords } from './public-words.js';
import type { SnapshotIncident } from './snapshot.js';

/** A promise that was not kept is said, not hidden. */
export function nextUpdateWords(incident: SnapshotIncident, nowMs: number): string | null {
  const byMs = incident.nextUpdateAtMs;
  if (byMs === null || incident.state === 'resolved') return null;
  return nowMs <= byMs
    ? `Next update by ${instantWords(byMs, nowMs)}.`
    : `An update was due by ${instantWords(byMs, nowMs)} and has not come yet.`;
}

export const IMPACT_WORDS: Readonly<Record<Severity, string>> = { 1: 'Critical', 2: 'Major', 3: 'Minor', 4: 'None' };

export const INCIDENT_STATE_WORDS: Readonly<Record<SnapshotIncident['state'], string>> = {
  investigating: 'Investigating',
  identified: 'Identified',
  monitoring: 'Monitoring',
  resolved: 'Resolved',
};

/** What became of orders: said outright, also when it is none. */
export function orderFacts(incident: SnapshotIncident): [string, string][] {
  if (!incident.touchesOrders) return [['Orders touched', 'none']];
  const isOver = incident.state === 'resolved';
  const count = (orders: number, soFar: string): string =>
    orders === 0 ? (isOver ? 'none' : soFar) : numberWords(orders);
  return [
    [isOver ? 'Orders lost' : 'Orders missing now', count(incident.ordersLost, 'none known so far')],
    ...(incident.ordersUnrecoverable > 0
      ? [['Of these, beyond recovery', numberWords(incident.ordersUnrecoverable)] as [string, string]]
      : []),
    ['Orders late', count(incident.ordersLate, 'none known so far')],
    ['Orders brought in since', count(incident.ordersRecovered, 'none so far')],
  ];
}

export function spanOf(incident: SnapshotIncident): string {
  const from = fullInstantWords(incident.startedAtMs);
  return incident.resolvedAtMs === null
    ? `Since ${from}`
    : `${from}, to ${instantWords(incident.resolvedAtMs, incident.startedAtMs)}`;
}
