import { createHash } from 'node:crypto';
import type { PoolClient } from 'pg';
import { recordAudit } from '../../kernel/audit.js';
import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { JudgedClass, NoticeDesk, NoticeFilter, NoticeView } from '../contract.js';
import type { NoticeDraft } from './draft.js';

export type World = NoticeView['world'];

/** A mail to be stored, with everything it says. */
export interface Arrival {
  world: World;
  provider: string;
  drafts: readonly NoticeDraft[];
  /** Names this very mail, so that it is taken once however often it is handed in; `null` = it has no name. */
  mailKey: Buffer | null;
  /** May be used once, until then. */
  nonce: { key: Buffer; untilAt: Date } | null;
}

export type Stored =
  /** `isNew`: not merely counted in a row that was there. */
  | { outcome: 'stored'; notices: readonly { draft: NoticeDraft; id: string; isNew: boolean }[] }
  | { outcome: 'repeat' }
  | { outcome: 'replayed' };

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** The same thing said again within this long counts; later it is news. */
export const SAME_WITHIN_MS = HOUR_MS;
/** Longer than any provider repeats. */
const SEEN_MS = 30 * DAY_MS;
export const NOTICES_KEPT_MS = 90 * DAY_MS;
/** Rows an hour of what has no effect. Past it one row counts the rest: a flood of spam fills no table. */
export const IDLE_ROWS_MAX = 500;

// First key of an advisory lock; the second is a hash of what is said. Held to the end of the transaction, which is
// short: two who say the same wait for each other, and count instead of adding.
const FACT_LOCK = 0x504c0006;
const LOCK = `select pg_advisory_xact_lock($1, $2)`;

/** Two who bring the same key wait for each other here; the second finds it taken. */
const TAKE_KEY = `insert into monitoring.notice_seen (key, until_at) values ($1, $2) on conflict do nothing`;

/** Index: notice_by_fact. */
const COUNT_AGAIN = `
update monitoring.notice set count = count + 1, last_at = greatest(last_at, $2), attempts = greatest(attempts, $4)
 where id = (select id from monitoring.notice
              where fact_key = $1 and world = $5 and received_at > $3 order by received_at desc limit 1)
returning id::text as id`;

/** Index: notice_by_time. */
const IDLE_ROWS = `
select count(*)::int as rows from monitoring.notice where received_at > $1 and class in ('untrusted', 'other')`;

const ADD = `
insert into monitoring.notice (world, provider, class, wording, trust, sender_domain, shop_id, topic, url, removed_at,
                               attempts, subject, excerpt, fact_key, received_at, last_at, hint_due, attention)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15, $16, $17)
returning id::text as id`;

const COLUMNS = `
id::text as id, world, provider, class, wording, trust, sender_domain as "senderDomain", shop_id::text as shop_id, topic,
url, removed_at as "removedAt", attempts, subject, excerpt, received_at as "receivedAt", last_at as "lastAt", count,
hinted_at as "hintedAt", attention as "needsAttention", read_at as "readAt", classified_by as "classifiedBy",
classified_at as "classifiedAt"`;

const LIST = `
select ${COLUMNS} from monitoring.notice
 where ($1::text is null or class = $1) and ($2::bigint is null or shop_id = $2) and ($3::bigint is null or id < $3)
 order by notice.id desc limit $4`;

const CLASSIFY = `
update monitoring.notice
   set class = $2, classified_by = $3, classified_at = $4, hint_due = $5, attention = ($2 = 'unknown')
 where id = $1 returning ${COLUMNS}`;

const MARK_READ = `
update monitoring.notice set attention = false, read_by = coalesce(read_by, $2), read_at = coalesce(read_at, $3)
 where id = $1 returning ${COLUMNS}`;

/** Index: notice_hint_due. Removals first: hundreds of other mails must not stand before one. */
const HINTS_DUE = `
select id::text as id, class, world, shop_id::text as "shopId", topic from monitoring.notice
 where hint_due order by class = 'removed' desc, notice.id limit $1`;
const HINTED = `
update monitoring.notice set hint_due = false, hinted_at = $2 where id = any($1::bigint[]) and hint_due`;

/** Index: notice_attention. */
const ATTENTION = `
select world, shop_id::text as "shopId", count(*)::int as notices, min(received_at) as "sinceAt",
       bool_or(class = 'removed') as "hasRemoval"
  from monitoring.notice where attention group by world, shop_id order by world, shop_id nulls first`;

/** What a person still has to look at is kept for as long as it takes. */
const FORGET = `delete from monitoring.notice where received_at < $1 and not attention and not hint_due`;
const FORGET_SEEN = `delete from monitoring.notice_seen where until_at < $1`;

type Row = Omit<NoticeView, 'shop'> & { shop_id: string | null } & Record<string, unknown>;

export interface DueHint extends Record<string, unknown> {
  id: string;
  class: string;
  world: World;
  shopId: string | null;
  topic: string | null;
}

export interface Attention extends Record<string, unknown> {
  world: World;
  shopId: string | null;
  notices: number;
  sinceAt: Date;
  hasRemoval: boolean;
}

/** Names for ids: the registry's, given by the wiring, because a notice knows ids only. */
export interface ShopNames {
  shopById(id: string): { domain: string } | undefined;
  shops(): readonly { id: string; domain: string }[];
}

/** What mails have said. */
export class NoticeBook implements NoticeDesk {
  constructor(private readonly deps: { database: Database; clock: Clock; names: ShopNames }) {}

  /** Durable when it resolves. */
  async store(arrival: Arrival): Promise<Stored> {
    const { database, clock } = this.deps;
    const nowAt = clock.now();
    return database.transaction(async (client): Promise<Stored> => {
      const take = async (key: Buffer, untilAt: Date): Promise<boolean> =>
        (await client.query(TAKE_KEY, [key, untilAt])).rowCount === 1;
      if (arrival.nonce && !(await take(arrival.nonce.key, arrival.nonce.untilAt))) return { outcome: 'replayed' };
      const seenUntilAt = new Date(nowAt.getTime() + SEEN_MS);
      if (arrival.mailKey && !(await take(arrival.mailKey, seenUntilAt))) return { outcome: 'repeat' };
      // One order for everybody's locks, so that nobody waits for somebody who waits for him.
      const drafts = [...arrival.drafts].sort((one, other) => one.factKey.compare(other.factKey));
      const notices = [];
      for (const draft of drafts) notices.push({ draft, ...(await this.write(client, arrival, draft, nowAt)) });
      return { outcome: 'stored', notices };
    });
  }

  private async write(
    client: PoolClient,
    { world, provider }: Arrival,
    draft: NoticeDraft,
    nowAt: Date,
  ): Promise<{ id: string; isNew: boolean }> {
    const sinceAt = new Date(nowAt.getTime() - SAME_WITHIN_MS);
    const count = async (factKey: Buffer): Promise<string | undefined> => {
      await client.query(LOCK, [FACT_LOCK, factKey.readInt32BE()]);
      const again = await client.query<{ id: string }>(COUNT_AGAIN, [factKey, nowAt, sinceAt, draft.attempts, world]);
      return again.rows[0]?.id;
    };
    const known = await count(draft.factKey);
    if (known !== undefined) return { id: known, isNew: false };
    let written = draft;
    if (draft.class === 'untrusted' || draft.class === 'other') {
      const { rows } = await client.query<{ rows: number }>(IDLE_ROWS, [sinceAt]);
      if ((rows[0]?.rows ?? 0) >= IDLE_ROWS_MAX) {
        written = theRest(draft);
        const counted = await count(written.factKey);
        if (counted !== undefined) return { id: counted, isNew: false };
      }
    }
    const added = await client.query<{ id: string }>(ADD, [
      world,
      provider,
      written.class,
      written.wording,
      written.trust,
      written.senderDomain,
      written.shopId,
      written.topic,
      written.url,
      written.removedAt,
      written.attempts,
      written.subject,
      written.excerpt,
      written.factKey,
      nowAt,
      written.isHint,
      written.needsAttention,
    ]);
    return { id: added.rows[0]?.id ?? '', isNew: true };
  }

  async notices(
    filter: NoticeFilter,
    page: { limit: number; cursor?: string },
  ): Promise<{ items: NoticeView[]; nextCursor: string | null }> {
    const { names, database } = this.deps;
    const shopId = filter.shop === undefined ? null : (names.shops().find((s) => s.domain === filter.shop)?.id ?? '-1');
    const rows = await database.rows<Row>(LIST, [filter.class ?? null, shopId, page.cursor ?? null, page.limit + 1]);
    const items = rows.slice(0, page.limit).map((row) => this.viewOf(row));
    return { items, nextCursor: rows.length > page.limit ? (items.at(-1)?.id ?? null) : null };
  }

  classify(id: string, as: JudgedClass, actor: string): Promise<NoticeView | null> {
    const isHint = as === 'removed' || as === 'failing';
    return this.judge(id, CLASSIFY, [id, as, actor, this.deps.clock.now(), isHint], {
      actor,
      action: 'notice.classify',
      detail: { class: as },
    });
  }

  markRead(id: string, actor: string): Promise<NoticeView | null> {
    return this.judge(id, MARK_READ, [id, actor, this.deps.clock.now()], { actor, action: 'notice.read', detail: {} });
  }

  /** At most `limit`, removals first. */
  hintsDue(limit: number): Promise<DueHint[]> {
    return this.deps.database.rows<DueHint>(HINTS_DUE, [limit]);
  }

  async hinted(ids: readonly string[]): Promise<void> {
    await this.deps.database.query(HINTED, [ids, this.deps.clock.now()]);
  }

  attention(): Promise<Attention[]> {
    return this.deps.database.rows<Attention>(ATTENTION);
  }

  /** The end of what has been kept long enough. */
  async forget(): Promise<void> {
    const { database, clock } = this.deps;
    await database.query(FORGET, [new Date(clock.nowMs() - NOTICES_KEPT_MS)]);
    await database.query(FORGET_SEEN, [clock.now()]);
  }

  private async judge(
    id: string,
    statement: string,
    values: unknown[],
    audit: { actor: string; action: string; detail: Record<string, unknown> },
  ): Promise<NoticeView | null> {
    return this.deps.database.transaction(async (client) => {
      const [row] = (await client.query<Row>(statement, values)).rows;
      if (!row) return null;
      await recordAudit(client, this.deps.clock, { ...audit, subject: `notice ${id}` });
      return this.viewOf(row);
    });
  }

  private viewOf(row: Row): NoticeView {
    const { shop_id: shopId, ...view } = row;
    return { ...view, shop: shopId === null ? null : (this.deps.names.shopById(shopId)?.domain ?? null) };
  }
}

/** Names what may be taken once. */
export function onceKey(...parts: readonly (string | null)[]): Buffer {
  return createHash('sha256').update(JSON.stringify(parts)).digest();
}

/** One row for all that has no effect and is too much to list. */
function theRest(draft: NoticeDraft): NoticeDraft {
  return {
    ...draft,
    wording: 'other',
    trust: `more than ${IDLE_ROWS_MAX} an hour: the rest is counted here`,
    senderDomain: null,
    shopId: null,
    topic: null,
    url: null,
    removedAt: null,
    attempts: null,
    subject: '(many)',
    excerpt: null,
    factKey: onceKey('the rest', draft.class),
  };
}
