import type { Database, Statement } from '../../kernel/database.js';
import type { SubscriptionState } from '../contract.js';
import { Together } from './together.js';
import type { TopicRecord } from './topic-record.js';

/** When a shop was looked at, how that went, and when its turn comes. */
export interface ShopAudit {
  shopId: string;
  /** `ok`, `wrong` and `pending`, or why nothing can be said. */
  state: Extract<
    SubscriptionState,
    'ok' | 'wrong' | 'pending' | 'unknown' | 'app-owned' | 'no-address' | 'no-destination' | 'uninstalled'
  >;
  since: Date;
  reason: string | null;
  dueAt: Date;
  triedAt: Date | null;
  auditedAt: Date | null;
  failedLooks: number;
  failingSince: Date | null;
  hint: string | null;
  hintedAt: Date | null;
  lastOrderAt: Date | null;
}

/** All that a look changes. */
export type AuditToSave = Omit<ShopAudit, 'hint' | 'lastOrderAt'>;

const AUDIT = `shop_id::text as "shopId", state, since, reason, due_at as "dueAt", tried_at as "triedAt",
       audited_at as "auditedAt", failed_looks as "failedLooks", failing_since as "failingSince", hint,
       hinted_at as "hintedAt", last_order_at as "lastOrderAt"`;

const ENROLL = `
insert into monitoring.subscription_audit (shop_id, state, since, due_at)
select id, 'pending', $2, $2 from unnest($1::bigint[]) as shop(id)
on conflict (shop_id) do nothing`;

/**
 * Takes the shops whose turn it is, for as long as the lease: another process that believes to lead takes others, and
 * what a crash leaves undone is due again soon. Locks: the rows taken. Index: subscription_audit_due.
 */
const TAKE_DUE: Statement = {
  name: 'take-due-audits',
  text: `
update monitoring.subscription_audit set due_at = $2
 where shop_id in (select shop_id from monitoring.subscription_audit where due_at <= $1
                    order by due_at limit $3 for update skip locked)
returning ${AUDIT}`,
};

const HINT = `
insert into monitoring.subscription_audit as a (shop_id, state, since, due_at, hint, hinted_at)
select id, 'pending', $2, $2, $3, $2 from unnest($1::bigint[]) as shop(id)
on conflict (shop_id) do update
  set due_at = least(a.due_at, excluded.due_at), hint = excluded.hint, hinted_at = excluded.hinted_at`;

const MAKE_DUE = `
update monitoring.subscription_audit set due_at = least(due_at, $2) where shop_id = any($1::bigint[])`;

/** A hint that came during the look still counts: it keeps its turn. */
const SAVE_AUDITS: Statement = {
  name: 'save-audits',
  text: `
update monitoring.subscription_audit a set
  state = i.state, since = i.since, reason = i.reason, tried_at = i.tried_at, audited_at = i.audited_at,
  failed_looks = i.failed_looks, failing_since = i.failing_since,
  due_at = case when a.hinted_at is distinct from i.hinted_at then least(a.due_at, i.due_at) else i.due_at end,
  hint = case when a.hinted_at is distinct from i.hinted_at then a.hint end,
  hinted_at = case when a.hinted_at is distinct from i.hinted_at then a.hinted_at end
  from unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[], $5::timestamptz[], $6::timestamptz[],
              $7::timestamptz[], $8::integer[], $9::timestamptz[], $10::timestamptz[])
    as i(shop_id, state, since, reason, due_at, tried_at, audited_at, failed_looks, failing_since, hinted_at)
 where a.shop_id = i.shop_id`,
};

const NOTE_ORDERS = `
update monitoring.subscription_audit a set last_order_at = i.at
  from unnest($1::bigint[], $2::timestamptz[]) as i(shop_id, at)
 where a.shop_id = i.shop_id and (a.last_order_at is null or a.last_order_at < i.at)`;

const READ_AUDITS = `select ${AUDIT} from monitoring.subscription_audit where $1::bigint[] is null or shop_id = any($1)`;

const READ_TOPICS: Statement = {
  name: 'read-subscriptions',
  text: `
select shop_id::text as "shopId", topic, state, since, wanted, subscription_id as "subscriptionId", uri, findings,
       first_seen_at as "firstSeenAt", last_seen_at as "lastSeenAt", gone_since as "goneSince", removals,
       creating_at as "creatingAt", recreated_at as "recreatedAt", recreated_by as "recreatedBy",
       reconciliation_id as "reconciliationId", gap_from as "gapFrom", tries, next_try_at as "nextTryAt", error,
       changed_at as "changedAt"
  from monitoring.subscription where shop_id = any($1::bigint[])`,
};

const SAVE_TOPIC = `
insert into monitoring.subscription (
  shop_id, topic, state, since, wanted, subscription_id, uri, findings, first_seen_at, last_seen_at, gone_since, removals,
  creating_at, recreated_at, recreated_by, reconciliation_id, gap_from, tries, next_try_at, error, changed_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
on conflict (shop_id, topic) do update set
  state = excluded.state, since = excluded.since, wanted = excluded.wanted, subscription_id = excluded.subscription_id,
  uri = excluded.uri, findings = excluded.findings, first_seen_at = excluded.first_seen_at,
  last_seen_at = excluded.last_seen_at, gone_since = excluded.gone_since, removals = excluded.removals,
  creating_at = excluded.creating_at, recreated_at = excluded.recreated_at, recreated_by = excluded.recreated_by,
  reconciliation_id = excluded.reconciliation_id, gap_from = excluded.gap_from, tries = excluded.tries,
  next_try_at = excluded.next_try_at, error = excluded.error, changed_at = excluded.changed_at`;

const FORGET_TOPICS = `
delete from monitoring.subscription where shop_id = $1 and ($2::text[] is null or topic = any($2))`;

type AuditRow = ShopAudit & Record<string, unknown>;
type TopicRow = StoredTopic & { shopId: string } & Record<string, unknown>;

/** A record with when it was last written. */
export type StoredTopic = TopicRecord & { changedAt: Date };

/** The watch's tables. Everything a restart must not forget is here, written before it is acted upon. */
export class SubscriptionBook {
  // Thousands of shops are looked at every minute, some at once: they share their statements.
  private readonly saves = new Together((audits: readonly AuditToSave[]) => this.saveAudits(audits));
  private readonly topicReads = new Together(async (shopIds: readonly string[]) =>
    Map.groupBy(await this.topicsOf(shopIds), ({ shopId }) => shopId),
  );

  constructor(private readonly database: Database) {}

  async enroll(shopIds: readonly string[], nowAt: Date): Promise<void> {
    if (shopIds.length > 0) await this.database.query(ENROLL, [shopIds, nowAt]);
  }

  async takeDue(nowAt: Date, leaseUntil: Date, limit: number): Promise<ShopAudit[]> {
    const { rows } = await this.database.query<AuditRow>(TAKE_DUE, [nowAt, leaseUntil, limit]);
    return rows;
  }

  /** @param why for people who read the log */
  async hint(shopIds: readonly string[], why: string, nowAt: Date): Promise<void> {
    await this.database.query(HINT, [shopIds, nowAt, why]);
  }

  async makeDue(shopIds: readonly string[], nowAt: Date): Promise<void> {
    if (shopIds.length > 0) await this.database.query(MAKE_DUE, [shopIds, nowAt]);
  }

  /** @param audit with the hint as it was when the look began */
  saveAudit(audit: AuditToSave): Promise<void> {
    return this.saves.add(audit);
  }

  private async saveAudits(audits: readonly AuditToSave[]): Promise<void> {
    const column = <Key extends keyof AuditToSave>(key: Key) => audits.map((audit) => audit[key]);
    await this.database.query(SAVE_AUDITS, [
      column('shopId'),
      column('state'),
      column('since'),
      column('reason'),
      column('dueAt'),
      column('triedAt'),
      column('auditedAt'),
      column('failedLooks'),
      column('failingSince'),
      column('hintedAt'),
    ]);
  }

  async noteOrders(orders: readonly { shopId: string; at: Date }[]): Promise<void> {
    if (orders.length === 0) return;
    await this.database.query(NOTE_ORDERS, [orders.map(({ shopId }) => shopId), orders.map(({ at }) => at)]);
  }

  /** @param shopIds `null` = all */
  audits(shopIds: readonly string[] | null): Promise<ShopAudit[]> {
    return this.database.rows<AuditRow>(READ_AUDITS, [shopIds]);
  }

  /** By topic. */
  async topics(shopId: string): Promise<Map<string, StoredTopic>> {
    const rows = (await this.topicReads.add(shopId)).get(shopId) ?? [];
    return new Map(rows.map(({ shopId: _, ...record }) => [record.topic, record]));
  }

  async topicsOf(shopIds: readonly string[]): Promise<(StoredTopic & { shopId: string })[]> {
    const { rows } = await this.database.query<TopicRow>(READ_TOPICS, [shopIds]);
    return rows;
  }

  async saveTopic(shopId: string, record: TopicRecord, nowAt: Date): Promise<void> {
    await this.database.query(SAVE_TOPIC, [
      shopId,
      record.topic,
      record.state,
      record.since,
      record.wanted,
      record.subscriptionId,
      record.uri,
      JSON.stringify(record.findings),
      record.firstSeenAt,
      record.lastSeenAt,
      record.goneSince,
      record.removals,
      record.creatingAt,
      record.recreatedAt,
      record.recreatedBy,
      record.reconciliationId,
      record.gapFrom,
      record.tries,
      record.nextTryAt,
      record.error,
      nowAt,
    ]);
  }

  /** @param topics all of the shop's when left out */
  async forgetTopics(shopId: string, topics: readonly string[] | null = null): Promise<void> {
    await this.database.query(FORGET_TOPICS, [shopId, topics]);
  }
}
