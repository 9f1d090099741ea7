import type { PublicState } from './contract.js';
import { instantWords, spanWords } from './public-words.js';
import type { Proof, Publication, Snapshot, SnapshotComponent, Trouble } from './snapshot.js';
import { STATE_WORDS, worstOf } from './states.js';

/** Published every few seconds: five minutes without is an outage of the publisher, and nobody knows what it hides. */
export const PUBLICATION_LIMIT_MS = 5 * 60_000;

/** Clocks differ by so much. What was confirmed further ahead was so by a clock that is wrong, and says nothing of now. */
export const CLOCK_SKEW_MS = 60_000;

export interface Shown {
  state: PublicState;
  /** Empty when it is operational. */
  why: readonly string[];
  /** The proof that it rests on, fresh or not. */
  proof: Proof | null;
}

/**
 * What the public is told of a component at an instant. Pure, and the only place where a state becomes words: page, JSON,
 * feeds, the exported copy and the history all ask here.
 *
 * Invariant 10: `operational` only when nothing is wrong, the snapshot was confirmed within its limit, and the
 * component's own proof is fresh at `nowMs`. So it turns unknown by itself, whoever is dead.
 */
export function shownAt(
  component: SnapshotComponent,
  { snapshot, confirmedAtMs }: Pick<Publication, 'snapshot' | 'confirmedAtMs'>,
  nowMs: number,
): Shown {
  const said = liveEntries(snapshot, nowMs)
    .filter((entry) => entry.component === component.id && entry.worsen !== null)
    .map((entry): Trouble => ({ state: entry.worsen ?? 'unknown', words: entry.note }));
  const proof = proofOf(component, confirmedAtMs);
  const troubles = [...component.troubles, ...said, ...unproved(proof, confirmedAtMs, nowMs)];
  return { state: worstOf(troubles.map(({ state }) => state)), why: troubles.map(({ words }) => words), proof };
}

/** The worst of all components; of a page without any, `unknown`. */
export function worstShown(shown: readonly Shown[]): PublicState {
  return shown.length === 0 ? 'unknown' : worstOf(shown.map(({ state }) => state));
}

export function liveEntries({ entries }: Snapshot, nowMs: number): Snapshot['entries'] {
  return entries.filter(({ fromMs, untilMs }) => fromMs <= nowMs && nowMs < untilMs);
}

/** One sentence for the whole page. */
export function headlineOf(named: readonly { name: string; state: PublicState }[]): string {
  const state = named.length === 0 ? 'unknown' : worstOf(named.map((each) => each.state));
  if (state === 'operational') return 'Orders are arriving, and it is proved';
  const those = named.filter((each) => each.state === state);
  if (state === 'unknown' && those.length === named.length) return 'Unknown: nothing is proved right now';
  const said = `${STATE_WORDS[state]}: ${listWords(those.map(({ name }) => name))}`;
  const isRestUnknown = state !== 'unknown' && named.some((each) => each.state === 'unknown');
  return isRestUnknown ? `${said}; not everything else is known` : said;
}

/**
 * Instants after `nowMs` at which something else is shown although nobody publishes anything.
 */
export function nextChangesMs({ snapshot, confirmedAtMs }: Publication, nowMs: number): number[] {
  return [
    confirmedAtMs - CLOCK_SKEW_MS,
    confirmedAtMs + PUBLICATION_LIMIT_MS + 1,
    ...snapshot.components.flatMap(({ proof }) =>
      proof === null || proof === 'publication' ? [] : [proof.goodUntilMs + 1],
    ),
    ...snapshot.entries.flatMap(({ fromMs, untilMs }) => [fromMs, untilMs]),
  ].filter((atMs) => atMs > nowMs);
}

function proofOf({ proof }: SnapshotComponent, confirmedAtMs: number): Proof | null {
  return proof === 'publication'
    ? { atMs: confirmedAtMs, goodUntilMs: confirmedAtMs + PUBLICATION_LIMIT_MS, by: 'its own publication' }
    : proof;
}

function unproved(proof: Proof | null, confirmedAtMs: number, nowMs: number): Trouble[] {
  if (nowMs - confirmedAtMs > PUBLICATION_LIMIT_MS) {
    const words = `Nothing has been published since ${instantWords(confirmedAtMs, nowMs)}, ${spanWords(nowMs - confirmedAtMs)} ago.`;
    return [{ state: 'unknown', words }];
  }
  if (confirmedAtMs - nowMs > CLOCK_SKEW_MS) {
    const words = 'What is published was confirmed by a clock that is ahead: nobody knows how old it is.';
    return [{ state: 'unknown', words }];
  }
  if (proof === null) return [{ state: 'unknown', words: 'Nothing proves yet that it works.' }];
  if (nowMs > proof.goodUntilMs) {
    const words = `The last proof is of ${instantWords(proof.atMs, nowMs)}, ${spanWords(nowMs - proof.atMs)} ago: too old to go by.`;
    return [{ state: 'unknown', words }];
  }
  return [];
}

function listWords(words: readonly string[]): string {
  if (words.length > 3) return `${words.slice(0, 2).join(', ')} and ${words.length - 2} more`;
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
