import type { ReconciliationView } from '../../monitoring/contract.js';
import { RETRIES_MS, WALL_MS } from './cause.js';
import { orders } from './severity.js';

/** What touches no orders is over when it has been quiet for so long. */
export const CALM_MS = 15 * 60_000;
/** A run that has ended without a proof is asked for again after this … */
const AGAIN_MS = 5 * 60_000;
/** … and one that cannot look goes on by itself; only when it has come to nothing for so long another is asked for. */
const STUCK_MS = 6 * 3_600_000;
/** A gate names so many shops; more would say no more. */
const NAMED_MAX = 5;

export interface ProofWindow {
  fromAt: Date;
  toAt: Date;
}

/**
 * What a reconciliation must cover to prove an incident: from before it began, by as long as Shopify repeats what failed,
 * until it was mitigated; as far back as Shopify lists. Pure.
 */
export function windowToProve(
  { startedAt, mitigatedAt }: { startedAt: Date; mitigatedAt: Date },
  nowMs: number,
): ProofWindow {
  const fromMs = Math.max(startedAt.getTime() - RETRIES_MS, nowMs - WALL_MS);
  return { fromAt: new Date(fromMs), toAt: mitigatedAt };
}

/** What is said of a shop that is left: nothing can be compared there any more, and nobody waits for it. */
export const LEFT = 'the app is not installed there any more, so nothing can be compared';

/** Of a shop of which nothing can be said: that nothing was compared there is no proof that nothing is missing. */
export const UNKNOWN_SHOP = 'it is not registered in the world of the incident, so nothing can be compared';

export type Judgement =
  | { proved: true }
  /** `again`: another run is to be asked for. `hindered`: this one does not get on. */
  | { proved: false; missing: string; again: boolean; hindered: boolean };

/**
 * Whether a reconciliation proves a shop's part of an incident. Pure.
 *
 * Invariant: it was begun after mitigation. One begun before has compared orders that the trouble could still lose; it
 * says nothing, however complete it is.
 *
 * @param mitigatedAt since when it may have begun
 */
export function judgeProof(run: ReconciliationView, window: ProofWindow, mitigatedAt: Date, nowMs: number): Judgement {
  const label = `reconciliation ${run.id}`;
  const hindered = run.state === 'partial' || run.state === 'blind' || run.state === 'failed';
  const unproved = (missing: string, again: boolean): Judgement => ({ proved: false, missing, again, hindered });
  const since = (at: Date, ms: number): boolean => nowMs - at.getTime() >= ms;
  if (run.startedAt !== null && run.startedAt < mitigatedAt) {
    return unproved(`${label} was begun before mitigation`, true);
  }
  if (run.from > window.fromAt || run.to < window.toAt) {
    return unproved(
      `${label} covers ${span(run)}, and not all of ${span({ from: window.fromAt, to: window.toAt })}`,
      true,
    );
  }
  switch (run.state) {
    case 'complete':
      if (run.notCovered !== null) return unproved(`${label} does not cover all of it: ${run.notCovered}`, true);
      // Complete, and then something of it was found open again: it is looked at until that is over.
      return run.open > 0 ? unproved(`${orders(run.open)} of ${label} not recovered`, false) : { proved: true };
    case 'settling':
      return unproved(`${orders(run.open)} of ${label} not recovered yet`, false);
    case 'partial':
    case 'blind': {
      const why = run.detail === null ? '' : `: ${run.detail}`;
      return unproved(`${label} is ${run.state}${why}`, since(run.requestedAt, STUCK_MS));
    }
    case 'failed':
      return unproved(
        `${label} failed${run.detail === null ? '' : `: ${run.detail}`}`,
        since(run.requestedAt, AGAIN_MS),
      );
    case 'queued':
    case 'running':
      return unproved(`${label} is ${run.state}`, false);
  }
}

/** What the gate is decided from. */
export interface GateFacts {
  touchesOrders: boolean;
  alertsOpen: number;
  mitigatedAt: Date | null;
  resolvedAt: Date | null;
  shops: number;
  unproved: number;
  /** Some of the unproved, each with what is missing; `null` = nothing is asked for yet. */
  waiting: readonly { shop: string; missing: string | null }[];
  /** Orders of its time that are being brought back, whoever found them. */
  open: number;
}

/** What stands between an incident and `resolved`, in words; empty = nothing. Pure. */
export function gateOf(facts: GateFacts, nowMs: number): string[] {
  if (facts.resolvedAt !== null) return [];
  const missing: string[] = [];
  if (facts.alertsOpen > 0) {
    missing.push(facts.alertsOpen === 1 ? '1 of its alerts is open' : `${facts.alertsOpen} of its alerts are open`);
  }
  if (facts.mitigatedAt === null) {
    if (facts.alertsOpen === 0) missing.push('it is not mitigated: nobody has said that it goes on no more');
    if (facts.touchesOrders) missing.push('a reconciliation begun after mitigation');
    return missing;
  }
  // Without a shop there is nothing to compare, and calm has to do.
  if (!facts.touchesOrders || facts.shops === 0) {
    const calmAt = facts.mitigatedAt.getTime() + CALM_MS;
    if (nowMs < calmAt) missing.push(`quiet until ${clockOf(new Date(calmAt))}, 15 minutes after mitigation`);
    return missing;
  }
  if (facts.open > 0) missing.push(`${orders(facts.open)} of its time not recovered yet`);
  const named = facts.waiting.slice(0, NAMED_MAX);
  for (const { shop, missing: what } of named) {
    missing.push(`${shop}: ${what ?? 'a reconciliation begun after mitigation is not asked for yet'}`);
  }
  const more = facts.unproved - named.length;
  if (more > 0) missing.push(`${more} more ${more === 1 ? 'shop' : 'shops'} not proved yet`);
  return missing;
}

/** `14:05 UTC`, for words. */
export function clockOf(at: Date): string {
  return `${at.toISOString().slice(11, 16)} UTC`;
}

function span({ from, to }: { from: Date; to: Date }): string {
  return `${from.toISOString().slice(0, 19)}Z to ${to.toISOString().slice(0, 19)}Z`;
}
