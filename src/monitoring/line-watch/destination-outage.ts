import type { AttemptView, Destination, LaneView } from '../../pipeline/contract.js';
import type { Finding } from '../contract.js';
import { atLeast } from '../signals/steps.js';

/** Of the tries of the last ten minutes, more than half, and at least twenty. */
const FAILING_SHARE = 0.5;
const FAILING_MIN = 20;
/** Blocked lanes are hardly tried: so many of them, and more than half of all, say the same. */
const BLOCKED_MIN = 3;
const REJECTED_MIN = 3;

type Known = Pick<Destination, 'id' | 'name' | 'kind' | 'world' | 'enabled'>;

/**
 * Kinds of destination that are out, by world: their trouble, not that of what is sent. One finding a world and kind, so
 * that a vendor's outage is one piece of news and not one for each customer. Pure.
 *
 * @param lanes every lane with a breaker that is open, or with something that waits
 * @param linked how many lanes each destination has, by its name
 */
export function kindsOut(
  attempts: readonly AttemptView[],
  lanes: readonly LaneView[],
  destinations: readonly Known[],
  linked: ReadonlyMap<string, number>,
): Finding[] {
  const enabled = destinations.filter((each) => each.enabled);
  return [...Map.groupBy(enabled, ({ kind, world }) => `${world}/${kind}`)].flatMap(([subject, ofKind]): Finding[] => {
    const [first] = ofKind;
    if (!first) return [];
    const names = new Set(ofKind.map(({ name }) => name));
    const tried = attempts.filter(({ destination }) => names.has(destination));
    const tries = sumOf(tried, (each) => each.attempts);
    const failures = sumOf(tried, (each) => each.retryable);
    const failing = failures >= FAILING_MIN && failures > FAILING_SHARE * tries;
    const blocked = lanes.filter(({ destination, state }) => state === 'open' && names.has(destination));
    // A lane that is blocked because of its key says nothing of the vendor.
    const out = blocked.filter(({ lastError }) => lastError?.startsWith('credentials rejected') !== true);
    const all = sumOf([...names], (name) => linked.get(name) ?? 0);
    if (!failing && !(out.length >= BLOCKED_MIN && out.length > FAILING_SHARE * all)) return [];
    return [
      {
        kind: 'destination-outage',
        subject,
        world: first.world,
        facts: {
          destinationKind: first.kind,
          destinationsAtLeast: atLeast(
            new Set([...tried.filter(isFailing), ...out].map((each) => each.destination)).size,
          ),
          failedTriesAtLeast: atLeast(failures),
          blockedShopsAtLeast: atLeast(new Set(out.map(({ shop }) => shop)).size),
        },
        evidence: '/api/v1/destinations',
      },
    ];
  });
}

/** Destinations whose credentials are refused: nothing that trying again, or anybody of ours, could mend. Pure. */
export function rejectedCredentials(attempts: readonly AttemptView[], destinations: readonly Known[]): Finding[] {
  return attempts.flatMap(({ destination, credentialsRejected }): Finding[] => {
    const known = destinations.find(({ name }) => name === destination);
    if (!known?.enabled || credentialsRejected < REJECTED_MIN) return [];
    return [
      {
        kind: 'credentials-rejected',
        subject: destination,
        destinationId: known.id,
        facts: { destinationKind: known.kind, rejectedAtLeast: atLeast(credentialsRejected) },
        evidence: '/api/v1/destinations',
      },
    ];
  });
}

function isFailing({ retryable }: AttemptView): boolean {
  return retryable > 0;
}

function sumOf<Item>(items: readonly Item[], valueOf: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + valueOf(item), 0);
}
