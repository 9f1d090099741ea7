import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Round } from '../../kernel/loop.js';
import { JUDGES, type Heartbeat, type HeartbeatReader } from '../../monitoring/contract.js';
import { CATALOGUE } from '../catalogue.js';
import { AlertStore } from './alert-store.js';
import { viewOf } from './record.js';

/** Older than this, what a duty has found is no longer known to be so. Duties take two minutes at most. */
export const UNWATCHED_AFTER_MS = 15 * 60_000;

/**
 * Alerts of which nobody looks whether they are still so: since when, by name. Pure.
 *
 * What no duty looks for, and what a duty of which nothing is known looks for, is not in it.
 */
export function unwatched(heartbeats: readonly Heartbeat[], nowMs: number): ReadonlyMap<string, Date> {
  const beats = new Map(heartbeats.map(({ name, beatAt }) => [name, beatAt]));
  return new Map(
    CATALOGUE.flatMap(({ name, kind }): [string, Date][] => {
      const judge = kind === null ? null : JUDGES[kind];
      const beatAt = judge === null ? undefined : beats.get(judge);
      return beatAt && nowMs - beatAt.getTime() > UNWATCHED_AFTER_MS ? [[name, beatAt]] : [];
    }),
  );
}

/**
 * No data is not good data, and no bad data either: an alert that nobody looks after stays as it was and says since when.
 * That the watch itself is stalled is an alert of its own.
 */
export class Watched {
  constructor(private readonly deps: { database: Database; clock: Clock; heartbeats: HeartbeatReader }) {}

  async round(): Promise<Round> {
    const { database, clock, heartbeats } = this.deps;
    const since = unwatched(await heartbeats.heartbeats(), clock.nowMs());
    const some = since.size > 0 || (await this.isAnyUnwatched());
    if (!some) return 'idle';
    await database.transaction(async (client) => {
      const store = new AlertStore(client);
      await store.lock();
      const now = clock.now();
      const wrong = await store.withOtherWatch(since);
      for (const alert of wrong) {
        alert.unwatchedSince = since.get(alert.name) ?? null;
      }
      await store.writeAlerts(wrong);
      const changes = wrong.map((alert) => ({
        alertId: alert.id,
        at: now,
        change: 'changed' as const,
        actor: null,
        detail:
          alert.unwatchedSince === null
            ? 'it is looked at again'
            : `nobody has looked whether it is still so since ${alert.unwatchedSince.toISOString()}`,
        alert: viewOf(alert),
      }));
      await store.append(changes, []);
    });
    return 'idle';
  }

  private async isAnyUnwatched(): Promise<boolean> {
    const [found] = await this.deps.database.rows<{ some: boolean }>(
      `select exists (select from alerting.alert where state <> 'closed' and unwatched_since is not null) as some`,
    );
    return found?.some === true;
  }
}
