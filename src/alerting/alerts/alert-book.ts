import type { Clock } from '../../kernel/clock.js';
import { recordAudit } from '../../kernel/audit.js';
import type { Database } from '../../kernel/database.js';
import type { AlertDesk, AlertView } from '../contract.js';
import { AlertQuery } from './alert-query.js';
import { AlertStore } from './alert-store.js';
import { say } from './look.js';
import { viewOf, type AlertRecord, type ChangeDraft, type NotificationDraft } from './record.js';

/**
 * Alerts, and those who take them on.
 *
 * Whoever writes holds the cursor, as a round does: so a round sees all of it or nothing, and the seq of changes is the
 * order of commits.
 */
export class AlertBook extends AlertQuery implements AlertDesk {
  constructor(
    private readonly deps: { database: Database; clock: Clock; /** Something is to be decided. */ woken: () => void },
  ) {
    super(deps.database);
  }

  acknowledge(id: string, by: string, note: string | null, nextLookAt: Date): Promise<AlertView | null> {
    return this.change(id, (alert, now) => {
      alert.acknowledged = { by, at: now, note, nextLookAt };
      const notifications: NotificationDraft[] = [];
      for (const heard of alert.told.filter(({ channel }) => channel === 'pagerduty')) {
        say(alert, heard, 'acknowledge', 'acknowledged', { notifications }, now);
      }
      return { change: 'acknowledged', actor: by, detail: note, notifications };
    });
  }

  unacknowledge(id: string, by: string): Promise<AlertView | null> {
    return this.change(id, (alert) => {
      if (alert.acknowledged === null) return null;
      alert.acknowledged = null;
      return { change: 'unacknowledged', actor: by, detail: null, notifications: [] };
    });
  }

  private async change(
    id: string,
    decide: (
      alert: AlertRecord,
      now: Date,
    ) => (Pick<ChangeDraft, 'change' | 'actor' | 'detail'> & { notifications: NotificationDraft[] }) | null,
  ): Promise<AlertView | null> {
    const { database, clock, woken } = this.deps;
    const view = await database.transaction(async (client) => {
      const store = new AlertStore(client);
      await store.lock();
      const alert = await store.liveById(id);
      if (alert === null) return null;
      const now = clock.now();
      const decided = decide(alert, now);
      if (decided === null) return viewOf(alert);
      const { notifications, ...change } = decided;
      // A round says when there is next something to decide.
      alert.lookAt = now;
      await store.writeAlerts([alert]);
      await store.append([{ alertId: id, at: now, ...change, alert: viewOf(alert) }], notifications);
      await recordAudit(client, clock, {
        actor: change.actor ?? 'plumbline',
        action: change.change === 'acknowledged' ? 'alert.acknowledge' : 'alert.unacknowledge',
        subject: alert.dedupeKey,
        detail: { alert: id, nextLookAt: alert.acknowledged?.nextLookAt ?? null },
      });
      return viewOf(alert);
    });
    woken();
    return view;
  }
}
