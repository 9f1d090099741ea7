import type { Proof } from './snapshot.js';

/** Runs are hourly and end some minutes before now: past two hours one has not happened. */
export const PROOF_LIMIT_MS = 2 * 3_600_000;
/** So much of the fleet must be compared for anything to be said of it; below twenty stores that is every one. */
const COVERED_SHARE = 0.95;
const MINUTE_MS = 60_000;

export interface FleetProof {
  /** `null` = too few stores have ever been compared. */
  proof: Proof | null;
  stores: number;
  /** Stores of which nothing fresh is proved. */
  stale: number;
}

/**
 * Until when nearly all of some stores' orders have been compared with Shopify's list. Pure.
 *
 * In whole minutes, because that is how it is said; rounded down, so that it never says more than is so.
 *
 * @param comparedUntilMs one for each store; `null` = never compared
 */
export function fleetProof(comparedUntilMs: readonly (number | null)[], nowMs: number): FleetProof {
  const stores = comparedUntilMs.length;
  const newestFirst = comparedUntilMs.flatMap((ms) => ms ?? []).sort((one, other) => other - one);
  const stale = stores - newestFirst.filter((ms) => nowMs - ms <= PROOF_LIMIT_MS).length;
  const needed = Math.ceil(stores * COVERED_SHARE);
  const reached = stores === 0 ? undefined : newestFirst[needed - 1];
  if (reached === undefined) return { proof: null, stores, stale };
  const atMs = Math.floor(Math.min(reached, nowMs) / MINUTE_MS) * MINUTE_MS;
  const covered = newestFirst.filter((ms) => ms >= atMs).length;
  const by = `reconciliation of ${covered} of ${stores} ${stores === 1 ? 'store' : 'stores'} with Shopify`;
  return { proof: { atMs, goodUntilMs: atMs + PROOF_LIMIT_MS, by }, stores, stale };
}
