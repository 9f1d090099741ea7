import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Round } from '../../kernel/loop.js';
import type { World } from '../../pipeline/contract.js';
import { WATCHDOG, ruleNamed } from '../catalogue.js';
import { AlertStore } from './alert-store.js';
import { viewOf } from './record.js';
import { emptyRecord } from './fold.js';

/**
 * The alert that is always open. Its `lastSeenAt` moves only when a transaction that decides about alerts commits, so
 * whoever sends the heartbeat by it tells no more than is true.
 */
export class Watchdog {
  constructor(private readonly deps: { database: Database; clock: Clock; worldOfService: () => World }) {}

  async round(): Promise<Round> {
    const { database, clock, worldOfService } = this.deps;
    const rule = ruleNamed(WATCHDOG);
    if (rule === undefined) return 'idle';
    const now = clock.now();
    const world = worldOfService();
    await database.transaction(async (client) => {
      const store = new AlertStore(client);
      await store.lock();
      const key = rule.key(SELF);
      const [known] = await store.live([{ world, key }], []);
      if (known) {
        await store.writeAlerts([{ ...known, lastSeenAt: now, count: known.count + 1 }]);
        return;
      }
      const made = {
        ...emptyRecord(rule, { key, cause: null }, { ...SELF, world }, now),
        id: (await store.ids(1))(),
        state: 'open' as const,
        openedAt: now,
        lookAt: null,
        count: 1,
        summary: rule.summary(SELF),
      };
      await store.writeAlerts([made]);
      const change = { alertId: made.id, at: now, change: 'opened' as const, actor: null, detail: null };
      await store.append([{ ...change, alert: viewOf(made) }], []);
    });
    return 'idle';
  }
}

const SELF = {
  id: '0',
  kind: 'inbox-gap',
  subject: 'plumbline',
  shop: null,
  destination: null,
  destinationKind: null,
  facts: {},
  evidence: '/api/v1/alerts',
  world: 'real',
} as const;
