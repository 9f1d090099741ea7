import type { AttemptView, Destination, LaneView } from '../../pipeline/contract.js';
import type { Finding } from '../contract.js';
import { atLeast } from '../signals/steps.js';

/** A destination that is back within ten minutes is nobody's business: the line waits and catches up by itself. */
const REFUSING_AFTER_MS = 10 * 60_000;
/** Tries of so long are looked at together … */
export const ATTEMPTS_WINDOW_MS = 10 * 60_000;
/** … and half of them failing is trouble, of at least twenty: fewer may be two bad orders. */
const FAILING_SHARE = 0.5;
const ATTEMPTS_MIN = 20;

/**
 * Destinations that do not take what they are sent: lanes have been blocked for long, or most tries fail. One finding a
 * destination, however many shops it has. Pure.
 */
export function refusingDestinations(
  lanes: readonly LaneView[],
  attempts: readonly AttemptView[],
  destinations: readonly Pick<Destination, 'id' | 'name' | 'enabled'>[],
  nowMs: number,
): Finding[] {
  return destinations.flatMap(({ id, name, enabled }): Finding[] => {
    // A disabled one is sent nothing, and parks visibly.
    if (!enabled) return [];
    const blocked = lanes
      .filter(({ destination, state }) => destination === name && state === 'open')
      .sort((one, other) => (one.since?.getTime() ?? nowMs) - (other.since?.getTime() ?? nowMs));
    const [first] = blocked;
    const tried = attempts.find(({ destination }) => destination === name);
    const longBlocked = first?.since != null && nowMs - first.since.getTime() >= REFUSING_AFTER_MS;
    const share = tried && tried.attempts >= ATTEMPTS_MIN ? tried.failures / tried.attempts : 0;
    if (!longBlocked && share < FAILING_SHARE) return [];
    return [
      {
        kind: 'destination-refusing',
        subject: name,
        destinationId: id,
        facts: {
          ...(longBlocked
            ? { blockedSince: first.since, shopsAtLeast: atLeast(blocked.length), trouble: troubleOf(first.lastError) }
            : {}),
          // In quarters: what it is to the last per cent changes with every look.
          ...(share >= FAILING_SHARE ? { failingPercentAtLeast: Math.floor(share * 4) * 25 } : {}),
        },
        evidence: `/api/v1/destinations`,
      },
    ];
  });
}

/** What kind of trouble it is; the destination's own words may repeat what it was sent, and stay in the lane. */
export function troubleOf(lastError: string | null): string {
  if (lastError === null) return 'unknown';
  if (lastError.startsWith('credentials rejected')) return 'credentials rejected';
  if (lastError.startsWith('redirect not followed')) return 'redirect not followed';
  return /\banswered \d{3}\b/.exec(lastError)?.[0] ?? 'no answer';
}
