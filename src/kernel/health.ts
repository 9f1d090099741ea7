import type { LoopHealth } from './loop.js';

/**
 * How an internal service is.
 *
 * - `ok`: does its work
 * - `degraded`: works with less than it should have (a weak durability setting, one destination away)
 * - `failing`: its last rounds failed; it goes on trying
 * - `dead`: stopped, or without a good round for too long: a person must act
 * - `unknown`: cannot be told right now. Green must be proved (invariant 10), so this is not `ok`.
 */
export type HealthState = 'ok' | 'degraded' | 'failing' | 'dead' | 'unknown';

export interface HealthReport {
  name: string;
  state: HealthState;
  /** Milliseconds since it was last seen working; `null` when it never was, or has no pulse. */
  ageMs: number | null;
  /** For people; no shop's data, no secret: `/healthz` needs no token. */
  detail: string | null;
}

/** One internal service that can say how it is. `read` answers quickly and does not throw for what it reports on. */
export interface HealthSource {
  readonly name: string;
  read(): HealthReport | Promise<HealthReport>;
}

/** A loop's heartbeat as health. */
export function judgeLoop({
  name,
  state,
  ageMs,
  staleAfterMs,
  consecutiveFailures,
  lastBeatAt,
}: LoopHealth): HealthReport {
  const stuck = ageMs > staleAfterMs;
  const age = lastBeatAt === null ? null : ageMs;
  if (state === 'waiting') return { name, state: 'unknown', ageMs: null, detail: 'not started yet' };
  if (state === 'stopped') return { name, state: 'dead', ageMs: age, detail: 'stopped' };
  if (stuck) return { name, state: 'dead', ageMs: age, detail: `no good round for ${Math.round(ageMs / 1000)} s` };
  if (state === 'failing') {
    return { name, state: 'failing', ageMs: age, detail: `${consecutiveFailures} failed rounds in a row` };
  }
  return { name, state: lastBeatAt === null ? 'unknown' : 'ok', ageMs: age, detail: lastBeatAt ? null : 'starting' };
}

const READ_DEADLINE_MS = 2_000;

/** Every source's report, in order. One that throws or hangs is `unknown`; it does not hold up the others. */
export function readHealth(sources: readonly HealthSource[]): Promise<HealthReport[]> {
  return Promise.all(
    sources.map(async (source) => {
      const unknown = (detail: string): HealthReport => ({ name: source.name, state: 'unknown', ageMs: null, detail });
      let timer: NodeJS.Timeout | undefined;
      const deadline = new Promise<HealthReport>((resolve) => {
        timer = setTimeout(() => resolve(unknown('did not answer in time')), READ_DEADLINE_MS);
      });
      try {
        return await Promise.race([Promise.resolve(source.read()), deadline]);
      } catch {
        return unknown('could not be read');
      } finally {
        clearTimeout(timer);
      }
    }),
  );
}
