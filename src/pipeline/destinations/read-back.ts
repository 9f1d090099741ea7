import { invariant, messageOf } from '../../kernel/errors.js';
import { redactText } from '../../kernel/log.js';
import type {
  Destination,
  Kind,
  ReadBack,
  ReadBackAbility,
  ReadBackCount,
  ReadBackItem,
  ReadBackLater,
  ReadBackPresent,
  Shop,
} from '../contract.js';
import type { AdapterOf, AdapterReadBack } from './adapter.js';

const ITEMS_MAX = 1_000;
const DEADLINE_MS = 30_000; // all requests of one call; each has its own besides

/**
 * Reading back from destinations: picks the adapter, and holds its callers to what it can. What the world does, and an
 * adapter that breaks, comes to `later`: a comparison goes on without this destination and says so.
 */
export class DestinationReadBack implements ReadBack {
  constructor(private readonly adapters: AdapterOf) {}

  ability(destination: Destination): ReadBackAbility {
    const readBack = this.readBackOf(destination);
    if (readBack === undefined) return cannot(`a ${destination.kind} destination cannot be asked what it has received`);
    return readBack.ability(destination);
  }

  async present(
    destination: Destination,
    shop: Shop,
    kind: Kind,
    items: readonly ReadBackItem[],
    signal?: AbortSignal,
  ): Promise<ReadBackPresent> {
    const readBack = this.able(destination, kind, 'ids');
    const facts = { destination: destination.name, items: items.length };
    invariant(readBack.present !== undefined, 'a kind that tells ids has a way to ask for them', facts);
    invariant(items.length <= ITEMS_MAX, 'too many items are asked for at once', facts);
    if (items.length === 0) return { outcome: 'read', present: new Set() };
    const ends = deadline(signal);
    return inTime(readBack.present(destination, shop, kind, items, ends), ends);
  }

  async count(
    destination: Destination,
    kind: Kind,
    fromAt: Date,
    toAt: Date,
    signal?: AbortSignal,
  ): Promise<ReadBackCount> {
    const readBack = this.able(destination, kind, 'counts');
    const facts = { destination: destination.name, fromAt, toAt };
    invariant(readBack.count !== undefined, 'a kind that tells counts has a way to ask for them', facts);
    invariant(fromAt < toAt, 'a count is asked for no time at all', facts);
    const ends = deadline(signal);
    return inTime(readBack.count(destination, kind, fromAt, toAt, ends), ends);
  }

  private able(destination: Destination, kind: Kind, means: 'ids' | 'counts'): AdapterReadBack {
    const readBack = this.readBackOf(destination);
    const ability = this.ability(destination);
    invariant(
      readBack !== undefined && ability.means === means && ability.kinds.has(kind),
      'a destination is asked what it cannot tell',
      { destination: destination.name, kind, means, why: ability.why },
    );
    return readBack;
  }

  private readBackOf(destination: Destination): AdapterReadBack | undefined {
    return this.adapters(destination)?.readBack;
  }
}

/** Nobody can tell, and why. */
export function cannot(why: string): ReadBackAbility {
  return { means: 'none', kinds: new Set(), settlingMs: 0, why };
}

export function later(detail: string, retryAfterMs: number | null = null): ReadBackLater {
  return { outcome: 'later', detail, retryAfterMs };
}

function deadline(signal: AbortSignal | undefined): AbortSignal {
  const own = AbortSignal.timeout(DEADLINE_MS);
  return signal === undefined ? own : AbortSignal.any([signal, own]);
}

/** An adapter may wait for its turn, or break; neither may hold a comparison up, or pass for an absence. */
async function inTime<Result>(asked: Promise<Result>, signal: AbortSignal): Promise<Result | ReadBackLater> {
  const answered = asked.catch((error: unknown) => later(`reading back broke: ${redactText(messageOf(error))}`));
  const late = Promise.withResolvers<ReadBackLater>();
  const onLate = (): void => late.resolve(later('no answer in time'));
  if (signal.aborted) onLate();
  else signal.addEventListener('abort', onLate, { once: true });
  try {
    return await Promise.race([answered, late.promise]);
  } finally {
    signal.removeEventListener('abort', onLate);
  }
}
