import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Finding, Heartbeat, HeartbeatReader } from '../contract.js';

const WRITE_EVERY_MS = 10_000;

const BEAT = `
insert into monitoring.heartbeat as h (name, beat_at) select name, $2 from unnest($1::text[]) as name order by name
on conflict (name) do update set beat_at = greatest(h.beat_at, excluded.beat_at)`;
const READ = `select name, beat_at as "beatAt" from monitoring.heartbeat order by name`;

/** When each duty last did its round well, over all processes. */
export class Heartbeats implements HeartbeatReader {
  private readonly writtenAtMs = new Map<string, number>();

  constructor(private readonly deps: { database: Database; clock: Clock }) {}

  /** After every good round; written at most every ten seconds. */
  async beat(...names: readonly string[]): Promise<void> {
    const nowAt = this.deps.clock.now();
    const nowMs = nowAt.getTime();
    const due = names.filter((name) => nowMs - (this.writtenAtMs.get(name) ?? -Infinity) >= WRITE_EVERY_MS);
    if (due.length === 0) return;
    await this.deps.database.query(BEAT, [due, nowAt]);
    for (const name of due) this.writtenAtMs.set(name, nowMs);
  }

  heartbeats(): Promise<Heartbeat[]> {
    return this.deps.database.rows<Heartbeat & Record<string, unknown>>(READ);
  }
}

/** What has not been done for so long is not being done. */
export const STALLED_AFTER_MS = 5 * 60_000;
/** Past so many duties it is the watch as a whole. */
const FOLD_ABOVE = 3;

/**
 * Duties that nobody does, in any process. Pure.
 *
 * @param duties each with how long it may take at the most
 * @param watchingSinceMs since when this process has been here: a duty that was due before it is not yet late
 */
export function stalledDuties(
  duties: readonly { name: string; staleAfterMs?: number }[],
  heartbeats: readonly Heartbeat[],
  watchingSinceMs: number,
  nowMs: number,
): Finding[] {
  const stalled = duties.flatMap(({ name, staleAfterMs }) => {
    const beatAt = heartbeats.find((each) => each.name === name)?.beatAt ?? null;
    const silentMs = nowMs - Math.max(beatAt?.getTime() ?? 0, watchingSinceMs);
    return silentMs > Math.max(STALLED_AFTER_MS, 2 * (staleAfterMs ?? 0)) ? [{ name, beatAt }] : [];
  });
  const finding = (subject: string, of: typeof stalled): Finding => ({
    kind: 'watch-stalled',
    subject,
    facts: {
      duties: of.map(({ name }) => name).sort(),
      lastAt: of.reduce<Date | null>((last, { beatAt }) => (beatAt && (!last || beatAt > last) ? beatAt : last), null),
    },
    evidence: '/healthz',
  });
  return stalled.length > FOLD_ABOVE ? [finding('watch', stalled)] : stalled.map((one) => finding(one.name, [one]));
}
