import type { Clock } from '../kernel/clock.js';
import type { SignalDesk } from '../monitoring/contract.js';
import { CLOCK_SKEW_MS, PUBLICATION_LIMIT_MS } from './shown.js';
import type { PublicationStore } from './store.js';

const KIND = 'status-page-stale';
const SUBJECT = 'publication';

export interface PublicationWatchDeps {
  store: Pick<PublicationStore, 'confirmedAt'>;
  signals: Pick<SignalDesk, 'report' | 'close'>;
  clock: Clock;
}

/**
 * Whether somebody publishes. The page says unknown by itself when nobody does; this tells who can mend it.
 *
 * Every process that publishes looks, apart from its own publishing: what hangs in all of them is seen all the same. All
 * of them find the same, so it is one signal.
 */
export class PublicationWatch {
  private sinceMs: number | null = null;

  constructor(private readonly deps: PublicationWatchDeps) {}

  async round(): Promise<void> {
    const { store, signals, clock } = this.deps;
    const nowMs = clock.nowMs();
    this.sinceMs ??= nowMs;
    // Of what was never published: since when it was waited for.
    const confirmedAtMs = (await store.confirmedAt())?.getTime() ?? this.sinceMs;
    const isStale = nowMs - confirmedAtMs > PUBLICATION_LIMIT_MS || confirmedAtMs - nowMs > CLOCK_SKEW_MS;
    if (!isStale) return signals.close(KIND, SUBJECT);
    const facts = { since: new Date(confirmedAtMs) };
    await signals.report({ kind: KIND, subject: SUBJECT, facts, evidence: '/api/v1/status' });
  }
}
