import { PUBLIC_STATES, type PublicState } from './contract.js';

/** The worst of them; `operational` when there is none. */
export function worstOf(states: readonly PublicState[]): PublicState {
  return PUBLIC_STATES[Math.max(0, ...states.map(rankOf))] ?? 'operational';
}

export function rankOf(state: PublicState): number {
  return PUBLIC_STATES.indexOf(state);
}

export const STATE_WORDS: Readonly<Record<PublicState, string>> = {
  operational: 'Operational',
  under_maintenance: 'Under maintenance',
  degraded_performance: 'Degraded',
  unknown: 'Unknown',
  partial_outage: 'Partial outage',
  major_outage: 'Major outage',
};
