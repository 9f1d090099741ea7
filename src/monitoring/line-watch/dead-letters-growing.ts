import type { DeadLetterCount, Destination } from '../../pipeline/contract.js';
import type { Finding } from '../contract.js';
import { atLeast } from '../signals/steps.js';

/** What was buried in the last quarter of an hour is new. */
export const FRESH_MS = 15 * 60_000;

/** Lanes in which dead letters become more; one finding a destination and lane. Pure. */
export function growingDeadLetters(
  counts: readonly DeadLetterCount[],
  destinations: readonly Pick<Destination, 'id' | 'name'>[],
): Finding[] {
  return counts
    .filter(({ fresh }) => fresh > 0)
    .map(({ destination, lane, open, fresh, oldestAt }): Finding => {
      const of = destination === null ? '' : `&destination=${destination}`;
      return {
        kind: 'dead-letters-growing',
        subject: `${destination ?? 'unmapped'}/${lane}`,
        destinationId: destinations.find(({ name }) => name === destination)?.id ?? null,
        facts: { lane, freshAtLeast: atLeast(fresh), openAtLeast: atLeast(open), oldestAt },
        evidence: `/api/v1/dead-letters?lane=${lane}${of}`,
      };
    });
}
