import type { Outcome } from './adapter.js';

/**
 * What trying a batch came to: an outcome for each item, or `poisoned`: the batch was refused as a whole for the sake
 * of at least one item in it, and nothing of it took effect.
 */
export type Tried = { outcomes: readonly Outcome[] } | { poisoned: Outcome };

/**
 * Finds the poison in a batch: halves what is refused until the refused part is one item. The others pass. A batch of
 * n with one poison takes about 2 log2 n tries.
 *
 * @returns one outcome for each item, in order
 */
export async function bisect<Item>(
  items: readonly Item[],
  attempt: (part: readonly Item[]) => Promise<Tried>,
): Promise<Outcome[]> {
  if (items.length === 0) return [];
  const tried = await attempt(items);
  if ('outcomes' in tried) return [...tried.outcomes];
  if (items.length === 1) return [tried.poisoned];
  const middle = Math.ceil(items.length / 2);
  const first = await bisect(items.slice(0, middle), attempt);
  return [...first, ...(await bisect(items.slice(middle), attempt))];
}
