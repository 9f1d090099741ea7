import { Problem } from './problem.js';

/**
 * An instant that a caller gave, as itself or as so long from now: our clock then decides, not the caller's.
 *
 * @param key what the instant is called in the body
 * @throws Problem 400 when it is neither or both, past, or too far ahead
 */
export function instantAhead(
  nowMs: number,
  at: Date | undefined,
  inMs: number | undefined,
  key: string,
  withinMs: number,
): Date {
  const refuse = (message: string): never => {
    throw new Problem(400, `${key} ${message}.`, { errors: [{ in: 'body', key, message }] });
  };
  if (at !== undefined && inMs !== undefined) return refuse('is given twice, as an instant and as a time from now');
  const found = at ?? (inMs === undefined ? undefined : new Date(nowMs + inMs));
  if (found === undefined) return refuse('is missing');
  if (found.getTime() <= nowMs) return refuse('must be ahead');
  if (found.getTime() - nowMs > withinMs) return refuse(`must be within ${Math.round(withinMs / 3_600_000)} hours`);
  return found;
}
