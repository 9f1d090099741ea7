import type { AlertRule, Seen } from '../catalogue.js';

/** Facts are what monitoring or somebody outside wrote: read, never trusted to be there. */
export function countOf({ facts }: Pick<Seen, 'facts'>, name: string): number {
  const value = facts[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

export function wordOf({ facts }: Pick<Seen, 'facts'>, name: string): string | null {
  const value = facts[name];
  return typeof value === 'string' && value !== '' ? value : null;
}

/** An instant as a page prints it: `08:15 UTC on 27 November`. `null` when it is none. */
export function timeOf(seen: Pick<Seen, 'facts'>, name: string): string | null {
  const at = new Date(wordOf(seen, name) ?? NaN);
  if (Number.isNaN(at.getTime())) return null;
  return `${at.toISOString().slice(0, 10)} ${at.toISOString().slice(11, 16)} UTC`;
}

/** `, since …` when it is known. */
export function since(seen: Pick<Seen, 'facts'>, name: string): string {
  const at = timeOf(seen, name);
  return at === null ? '' : `, since ${at}`;
}

export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** What most alerts are: told after a while, about one thing, alone. */
export const PLAIN = {
  when: () => true,
  noData: 'keeps',
  route: 'routine',
  inhibitedBy: [],
  gathers: false,
  scope: () => null,
  cause: null,
  collapses: false,
} satisfies Partial<AlertRule>;
