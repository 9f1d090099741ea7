import type { ComponentId } from '../alerting/contract.js';
import { recordAudit } from '../kernel/audit.js';
import type { Clock } from '../kernel/clock.js';
import type { Database } from '../kernel/database.js';
import type { Ids } from '../kernel/random.js';
import type { PublicState, StatusDesk, StatusEntry, Worsening } from './contract.js';
import { publicId, type SnapshotEntry } from './snapshot.js';
import { rankOf, STATE_WORDS } from './states.js';

/** Longer than that nobody remembers what was said; it can be said again. */
const LASTS_MAX_MS = 14 * 86_400_000;
const AHEAD_MAX_MS = 90 * 86_400_000;

const COLUMNS = `id, seq::text, component, worsen, note, from_at, until_at, actor, created_at, ended_at, ended_by`;

const ADD = `
insert into status_page.entry (id, component, worsen, note, from_at, until_at, actor, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8) returning ${COLUMNS}`;

// Index: entry_by_seq.
const LIST = `
select ${COLUMNS} from status_page.entry
 where ($1::bigint is null or seq < $1) and ($2::timestamptz is null or (ended_at is null and until_at > $2))
 order by seq desc limit $3`;

const END = `
update status_page.entry set ended_at = $2, ended_by = $3
 where id = $1 and ended_at is null and until_at > $2 returning ${COLUMNS}`;

const ONE = `select ${COLUMNS} from status_page.entry where id = $1`;

// Index: entry_by_end. What is over stays a while, for the list of past maintenance.
const PUBLISHED = `
select ${COLUMNS} from status_page.entry
 where until_at > $1 and (ended_at is null or (worsen = 'under_maintenance' and ended_at > from_at)) order by seq desc limit 200`;

interface Row extends Record<string, unknown> {
  id: string;
  seq: string;
  component: ComponentId;
  worsen: Worsening | null;
  note: string;
  from_at: Date;
  until_at: Date;
  actor: string;
  created_at: Date;
  ended_at: Date | null;
  ended_by: string | null;
}

export interface EntriesDeps {
  database: Database;
  clock: Clock;
  ids: Ids;
  /** What the public is told of a component now; `null` = there is no such component. */
  shown: (component: string) => PublicState | null;
}

/**
 * What people say of components. They may make the page say something worse, or add words; never something better: what
 * is well is for proofs to say (invariant 10).
 */
export class Entries implements Pick<StatusDesk, 'entries' | 'say' | 'end'> {
  constructor(private readonly deps: EntriesDeps) {}

  async entries(
    { state = 'live' }: { state?: 'live' | 'all' },
    { limit, cursor }: { limit: number; cursor?: string },
  ): Promise<{ items: StatusEntry[]; nextCursor: string | null }> {
    const { database, clock } = this.deps;
    const rows = await database.rows<Row>(LIST, [cursor ?? null, state === 'live' ? clock.now() : null, limit + 1]);
    const shown = rows.slice(0, limit);
    return { items: shown.map(viewOf), nextCursor: rows.length > limit ? (shown.at(-1)?.seq ?? null) : null };
  }

  async say(given: Parameters<StatusDesk['say']>[0]): ReturnType<StatusDesk['say']> {
    const { database, clock, ids } = this.deps;
    const { component, worsen, note, until, actor } = given;
    const now = clock.now();
    const from = given.from ?? now;
    const shown = this.deps.shown(component);
    if (shown === null) return null;
    const refused = refusalOf({ worsen, from, until, shown, now });
    if (refused !== null) return { refused };
    return database.transaction(async (client) => {
      const id = publicId(`entry:${ids.uuid()}`);
      const { rows } = await client.query<Row>(ADD, [id, component, worsen, note, from, until, actor, now]);
      const [row] = rows;
      if (row === undefined) throw new Error('nothing was inserted');
      await recordAudit(client, clock, {
        actor,
        action: worsen === null ? 'status.annotate' : 'status.worsen',
        subject: component,
        detail: { entry: id, worsen, from: from.toISOString(), until: until.toISOString() },
      });
      return { entry: viewOf(row) };
    });
  }

  async end(id: string, actor: string): Promise<StatusEntry | null> {
    const { database, clock } = this.deps;
    return database.transaction(async (client) => {
      const ended = (await client.query<Row>(END, [id, clock.now(), actor])).rows[0];
      if (ended) await recordAudit(client, clock, { actor, action: 'status.end', subject: id });
      const row = ended ?? (await client.query<Row>(ONE, [id])).rows[0];
      return row ? viewOf(row) : null;
    });
  }

  /** What is under way, to come, or was over not long ago. Newest first. */
  async published(sinceMs: number): Promise<SnapshotEntry[]> {
    const rows = await this.deps.database.rows<Row>(PUBLISHED, [new Date(sinceMs)]);
    return rows.map((row) => ({
      id: row.id,
      component: row.component,
      worsen: row.worsen,
      note: row.note,
      fromMs: row.from_at.getTime(),
      untilMs: (row.ended_at ?? row.until_at).getTime(),
      createdAtMs: row.created_at.getTime(),
    }));
  }
}

/** Why something may not be said; `null` = it may. Pure. */
export function refusalOf(given: {
  worsen: Worsening | null;
  from: Date;
  until: Date;
  shown: PublicState;
  now: Date;
}): string | null {
  const { worsen, from, until, shown, now } = given;
  if (until <= now || until <= from) return 'It would be over before it began: until must lie after from, and ahead.';
  if (until.getTime() - from.getTime() > LASTS_MAX_MS) return 'It would last for more than 14 days; say it again then.';
  if (from.getTime() - now.getTime() > AHEAD_MAX_MS) return 'It begins more than 90 days ahead.';
  // Of what is still to come nobody knows yet what will be measured; whatever that is, the worse of the two shows.
  if (worsen === null || from > now || rankOf(worsen) >= rankOf(shown)) return null;
  return (
    `The page says ${STATE_WORDS[shown].toLowerCase()} now, and ${STATE_WORDS[worsen].toLowerCase()} would be better than ` +
    'that. People may worsen what the public is told, never improve it: that takes a proof.'
  );
}

function viewOf(row: Row): StatusEntry {
  return {
    id: row.id,
    component: row.component,
    worsen: row.worsen,
    note: row.note,
    from: row.from_at,
    until: row.until_at,
    actor: row.actor,
    createdAt: row.created_at,
    endedAt: row.ended_at,
    endedBy: row.ended_by,
  };
}
