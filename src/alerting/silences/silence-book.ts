import { recordAudit } from '../../kernel/audit.js';
import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import { AlertStore } from '../alerts/alert-store.js';
import { CATALOGUE, isNeverMuted, ruleNamed } from '../catalogue.js';
import type { Silence, SilenceDesk, SilenceMatch } from '../contract.js';

/** Who forgets a silence is deaf for this long at most. */
const LONGEST_MS = 30 * 86_400_000;

const SELECT = `
select id::text as id, name, shop, destination, owner, reason, starts_at as "startsAt", ends_at as "endsAt",
       ended_at as "endedAt", ended_by as "endedBy"
  from alerting.silence`;

type SilenceRow = Omit<Silence, 'match'> & {
  name: string | null;
  shop: string | null;
  destination: string | null;
} & Record<string, unknown>;

function viewOf({ name, shop, destination, ...rest }: SilenceRow): Silence {
  const match: SilenceMatch = {
    ...(name === null ? {} : { name }),
    ...(shop === null ? {} : { shop }),
    ...(destination === null ? {} : { destination }),
  };
  return { ...rest, match };
}

/**
 * Why a silence may not be. Pure.
 *
 * Invariant 9: what is never muted is refused here by its name, and passed over by every silence without one (`look`).
 */
export function refusalOf(match: SilenceMatch, endsAt: Date, now: Date): string | null {
  const { name, shop, destination } = match;
  if (name === undefined && shop === undefined && destination === undefined) {
    return 'say what is to be quiet: a name, a shop or a destination';
  }
  if (name !== undefined) {
    const rule = ruleNamed(name);
    if (rule === undefined)
      return `there is no alert ${name}; there are ${CATALOGUE.map((one) => one.name).join(', ')}`;
    if (isNeverMuted(rule)) return `${name} is never silenced: it is about orders that do not arrive`;
  }
  if (endsAt <= now) return 'its end is past';
  if (endsAt.getTime() - now.getTime() > LONGEST_MS) return 'it may last 30 days at most';
  return null;
}

/** Silences: who wants what quiet, why, and until when. */
export class SilenceBook implements SilenceDesk {
  constructor(private readonly deps: { database: Database; clock: Clock; woken: () => void }) {}

  async silences(
    filter: { state?: 'active' | 'ended' | 'all' },
    { limit, cursor }: { limit: number; cursor?: string },
  ): Promise<{ items: Silence[]; nextCursor: string | null }> {
    const rows = await this.deps.database.rows<SilenceRow>(
      `${SELECT}
 where ($1 = 'all' or (ended_at is null and ends_at > $2) = ($1 = 'active')) and ($3::bigint is null or id < $3)
 order by id desc limit $4`,
      [filter.state ?? 'active', this.deps.clock.now(), cursor ?? null, limit + 1],
    );
    const items = rows.slice(0, limit).map(viewOf);
    return { items, nextCursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
  }

  async silence(
    match: SilenceMatch,
    owner: string,
    reason: string,
    endsAt: Date,
  ): Promise<{ silence: Silence } | { refused: string }> {
    const { database, clock, woken } = this.deps;
    const now = clock.now();
    const refused = refusalOf(match, endsAt, now);
    if (refused !== null) return { refused };
    const { name = null, shop = null, destination = null } = match;
    const silence = await database.transaction(async (client) => {
      await new AlertStore(client).lock();
      const { rows } = await client.query<SilenceRow>(
        `insert into alerting.silence (name, shop, destination, owner, reason, starts_at, ends_at)
         values ($1, $2, $3, $4, $5, $6, $7) returning id::text as id, name, shop, destination, owner, reason,
           starts_at as "startsAt", ends_at as "endsAt", ended_at as "endedAt", ended_by as "endedBy"`,
        [name, shop, destination, owner, reason, now, endsAt],
      );
      await client.query(
        `update alerting.alert set look_at = $1
          where state = 'open' and ($2::text is null or name = $2) and ($3::text is null or shop = $3)
            and ($4::text is null or destination = $4)`,
        [now, name, shop, destination],
      );
      const detail = { match, reason, endsAt };
      await recordAudit(client, clock, { actor: owner, action: 'silence.create', subject: rows[0]?.id ?? '', detail });
      return rows.map(viewOf);
    });
    woken();
    const [made] = silence;
    return made ? { silence: made } : { refused: 'it could not be stored' };
  }

  async endSilence(id: string, by: string): Promise<Silence | null> {
    const { database, clock, woken } = this.deps;
    const now = clock.now();
    const ended = await database.transaction(async (client) => {
      await new AlertStore(client).lock();
      const { rowCount } = await client.query(
        `update alerting.silence set ended_at = $2, ended_by = $3 where id = $1 and ended_at is null and ends_at > $2`,
        [id, now, by],
      );
      await client.query(`update alerting.alert set look_at = $2 where state <> 'closed' and silenced_by = $1`, [
        id,
        now,
      ]);
      if (rowCount !== 0) await recordAudit(client, clock, { actor: by, action: 'silence.end', subject: id });
      const { rows } = await client.query<SilenceRow>(`${SELECT} where id = $1`, [id]);
      return rows.map(viewOf);
    });
    woken();
    return ended[0] ?? null;
  }
}
