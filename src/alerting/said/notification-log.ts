import type { Database } from '../../kernel/database.js';
import type { NotificationReader, NotificationView } from '../contract.js';

/** What was said to whom, when, and why. */
export class NotificationLog implements NotificationReader {
  constructor(private readonly database: Database) {}

  async notifications(
    filter: { alert?: string; state?: NotificationView['state'] },
    { limit, cursor }: { limit: number; cursor?: string },
  ): Promise<{ items: NotificationView[]; nextCursor: string | null }> {
    const rows = await this.database.rows<NotificationView & Record<string, unknown>>(
      `select id::text as id, alert_id::text as "alertId", dedupe_key as "dedupeKey", channel, recipient, action, reason,
              severity, summary, state, attempts, created_at as "createdAt", taken_at as "takenAt",
              confirmed_at as "confirmedAt", last_error as "lastError"
         from alerting.notification
        where ($1::bigint is null or alert_id = $1) and ($2::text is null or state = $2)
          and ($3::bigint is null or id < $3)
        order by id desc limit $4`,
      [filter.alert ?? null, filter.state ?? null, cursor ?? null, limit + 1],
    );
    const items = rows.slice(0, limit);
    return { items, nextCursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
  }
}
