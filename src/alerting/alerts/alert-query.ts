import type { Database } from '../../kernel/database.js';
import type { AlertChange, AlertFilter, AlertReader, AlertSignal, AlertView } from '../contract.js';

const VIEW = `
select a.id::text as id, a.name, a.dedupe_key as "dedupeKey", a.world, a.class, a.severity, a.state, a.route, a.summary,
       a.facts, a.evidence, a.runbook, a.shop, a.destination, a.signals, a.shops, a.count,
       a.first_seen_at as "firstSeenAt", a.last_seen_at as "lastSeenAt", a.opened_at as "openedAt",
       a.closed_at as "closedAt", a.acknowledged_by, a.acknowledged_at, a.acknowledgement_note, a.next_look_at,
       a.folded_into::text as "foldedInto", a.inhibited_by::text as "inhibitedBy",
       a.silenced_by::text as "silencedBy", a.unwatched_since as "unwatchedSince"
  from alerting.alert a`;

/** Page before ticket before log, then the worst, then the newest: one number each, so that a page can go on after it. */
const RANK = `(case a.class when 'page' then 0 when 'ticket' then 1 else 2 end * 10 + a.severity)`;

type ViewRow = Omit<AlertView, 'acknowledged'> & {
  acknowledged_by: string | null;
  acknowledged_at: Date | null;
  acknowledgement_note: string | null;
  next_look_at: Date | null;
} & Record<string, unknown>;

function viewOf(row: ViewRow): AlertView {
  const {
    acknowledged_by: by,
    acknowledged_at: at,
    acknowledgement_note: note,
    next_look_at: nextLookAt,
    ...rest
  } = row;
  return {
    ...rest,
    acknowledged: by !== null && at !== null && nextLookAt !== null ? { by, at, note, nextLookAt } : null,
  };
}

/** Alerts as they are and were. Any process can ask. */
export class AlertQuery implements AlertReader {
  constructor(private readonly database: Database) {}

  async alerts(
    filter: AlertFilter,
    { limit, cursor }: { limit: number; cursor?: string },
  ): Promise<{ items: AlertView[]; nextCursor: string | null }> {
    const [rank, id] = cursor?.split('-') ?? [];
    const rows = await this.database.rows<ViewRow & { rank: number }>(
      `${VIEW.replace('select ', `select ${RANK} as rank, `)}
        where ($1::text is null or a.name = $1) and ($2::text is null or a.shop = $2)
          and ($3::text is null or a.class = $3)
          and case $4::text when 'all' then true when 'live' then a.state <> 'closed' else a.state = $4 end
          and ($5::integer is null or ${RANK} > $5 or ${RANK} = $5 and a.id < $6::bigint)
        order by 1, a.id desc limit $7`,
      [
        filter.name ?? null,
        filter.shop ?? null,
        filter.class ?? null,
        filter.state ?? 'live',
        rank === undefined ? null : Number(rank),
        id ?? null,
        limit + 1,
      ],
    );
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      items: page.map(({ rank: _, ...row }) => viewOf(row as ViewRow)),
      nextCursor: rows.length > limit && last ? `${last.rank}-${last.id}` : null,
    };
  }

  async alert(id: string): Promise<AlertView | null> {
    const [row] = await this.database.rows<ViewRow>(`${VIEW} where a.id = $1`, [id]);
    return row ? viewOf(row) : null;
  }

  changes(afterSeq: string, limit: number): Promise<AlertChange[]> {
    return this.read('c.seq > $1', afterSeq, limit);
  }

  history(id: string, limit: number): Promise<AlertChange[]> {
    return this.read('c.alert_id = $1', id, limit);
  }

  signalsOf(id: string, limit: number): Promise<AlertSignal[]> {
    return this.database.rows<AlertSignal & Record<string, unknown>>(
      `select s.signal_id::text as id, s.shop, s.severity, s.facts
         from alerting.alert_signal s
        where s.is_open and s.alert_id in (select a.id from alerting.alert a where a.id = $1 or a.folded_into = $1)
        order by s.severity, s.signal_id limit $2`,
      [id, limit],
    );
  }

  private async read(which: string, value: string, limit: number): Promise<AlertChange[]> {
    const rows = await this.database.rows<Omit<AlertChange, 'alert'> & { alert: unknown } & Record<string, unknown>>(
      `select c.seq::text as seq, c.at, c.change, c.actor, c.detail, c.alert
         from alerting.alert_change c where ${which} order by c.seq limit $2`,
      [value, limit],
    );
    return rows.map((row) => ({ ...row, alert: thawed(row.alert) }));
  }
}

/**
 * A view that was stored as JSON: its instants are text there.
 *
 * Sound because only `viewOf` of a record is ever stored in that column.
 */
function thawed(stored: unknown): AlertView {
  const view = stored as AlertView;
  const instant = (at: Date): Date => new Date(at);
  const instantOrNull = (at: Date | null): Date | null => (at === null ? null : instant(at));
  return {
    ...view,
    firstSeenAt: instant(view.firstSeenAt),
    lastSeenAt: instant(view.lastSeenAt),
    openedAt: instantOrNull(view.openedAt),
    closedAt: instantOrNull(view.closedAt),
    unwatchedSince: instantOrNull(view.unwatchedSince),
    acknowledged: view.acknowledged && {
      ...view.acknowledged,
      at: instant(view.acknowledged.at),
      nextLookAt: instant(view.acknowledged.nextLookAt),
    },
  };
}
