import { bigints, instants, integers, smallints, texts } from '../../kernel/binary-arrays.js';
import type { Queryable } from '../../kernel/database.js';
import type { World } from '../../pipeline/contract.js';
import type { AlertClass, Severity } from '../contract.js';
import type { ActiveSilence, Group, Source } from './look.js';
import {
  Tally,
  liveKey,
  type AlertRecord,
  type ChangeDraft,
  type Membership,
  type NotificationDraft,
  type Told,
} from './record.js';

const CONFIRM_WITHIN_MS = 60_000;

/**
 * Locks who decides about alerts: one transaction at a time, over all processes. The order in which it is held is the
 * order of commits, so the seq of what is appended is that order too.
 */
const CURSOR = 'signals';
const MAKE_CURSOR = `insert into alerting.cursor (name, seq) values ($1, 0) on conflict (name) do nothing`;
const LOCK_CURSOR = `select seq::text as seq from alerting.cursor where name = $1 for update`;
const TRY_CURSOR = `${LOCK_CURSOR} skip locked`;
const READ_CURSOR = `select seq::text as seq from alerting.cursor where name = $1`;
const ADVANCE_CURSOR = `update alerting.cursor set seq = $2 where name = $1`;

/** Column, type, and how a value of the record goes into it. */
const COLUMNS: readonly [string, string, (records: readonly AlertRecord[]) => Buffer][] = [
  ['id', 'bigint', (all) => bigints(all.map(({ id }) => id))],
  ['name', 'text', (all) => texts(all.map(({ name }) => name))],
  ['dedupe_key', 'text', (all) => texts(all.map(({ dedupeKey }) => dedupeKey))],
  ['world', 'text', (all) => texts(all.map(({ world }) => world))],
  ['class', 'text', (all) => texts(all.map((one) => one.class))],
  ['severity', 'smallint', (all) => smallints(all.map(({ severity }) => severity))],
  ['state', 'text', (all) => texts(all.map(({ state }) => state))],
  ['route', 'text', (all) => texts(all.map(({ route }) => route))],
  ['summary', 'text', (all) => texts(all.map(({ summary }) => storable(summary)))],
  ['facts', 'jsonb', (all) => texts(all.map(({ facts }) => json(facts)))],
  ['evidence', 'text', (all) => texts(all.map(({ evidence }) => evidence))],
  ['runbook', 'text', (all) => texts(all.map(({ runbook }) => runbook))],
  ['shop', 'text', (all) => texts(all.map(({ shop }) => shop))],
  ['destination', 'text', (all) => texts(all.map(({ destination }) => destination))],
  ['scope', 'text', (all) => texts(all.map(({ scope }) => scope))],
  ['cause', 'text', (all) => texts(all.map(({ cause }) => cause))],
  ['is_fleet', 'boolean', (all) => texts(all.map(({ isFleet }) => String(isFleet)))],
  ['signals', 'integer', (all) => integers(all.map(({ signals }) => signals))],
  ['shops', 'integer', (all) => integers(all.map(({ shops }) => shops))],
  ['count', 'integer', (all) => integers(all.map(({ count }) => count))],
  ['first_seen_at', 'timestamptz', (all) => instants(all.map(({ firstSeenAt }) => firstSeenAt))],
  ['last_seen_at', 'timestamptz', (all) => instants(all.map(({ lastSeenAt }) => lastSeenAt))],
  ['due_at', 'timestamptz', (all) => instants(all.map(({ dueAt }) => dueAt))],
  ['look_at', 'timestamptz', (all) => instants(all.map(({ lookAt }) => lookAt))],
  ['opened_at', 'timestamptz', (all) => instants(all.map(({ openedAt }) => openedAt))],
  ['closed_at', 'timestamptz', (all) => instants(all.map(({ closedAt }) => closedAt))],
  ['acknowledged_by', 'text', (all) => texts(all.map(({ acknowledged }) => acknowledged?.by ?? null))],
  ['acknowledged_at', 'timestamptz', (all) => instants(all.map(({ acknowledged }) => acknowledged?.at ?? null))],
  ['acknowledgement_note', 'text', (all) => texts(all.map(({ acknowledged }) => acknowledged?.note ?? null))],
  ['next_look_at', 'timestamptz', (all) => instants(all.map(({ acknowledged }) => acknowledged?.nextLookAt ?? null))],
  ['folded_into', 'bigint', (all) => texts(all.map(({ foldedInto }) => foldedInto))],
  ['inhibited_by', 'bigint', (all) => texts(all.map(({ inhibitedBy }) => inhibitedBy))],
  ['silenced_by', 'bigint', (all) => texts(all.map(({ silencedBy }) => silencedBy))],
  ['unfold_at', 'timestamptz', (all) => instants(all.map(({ unfoldAt }) => unfoldAt))],
  ['unwatched_since', 'timestamptz', (all) => instants(all.map(({ unwatchedSince }) => unwatchedSince))],
  ['told', 'jsonb', (all) => texts(all.map(({ told }) => json(told)))],
];

/** Types that travel as text, because their arrays are not written in binary form. */
const AS_TEXT = new Set(['jsonb', 'boolean']);
const sentAs = (column: string, type: string): string =>
  AS_TEXT.has(type) || ['folded_into', 'inhibited_by', 'silenced_by'].includes(column) ? 'text' : type;

const NAMES = COLUMNS.map(([column]) => column);
/** Rows in the order given: what has closed goes first, so that its key is free for the one that follows it. */
const WRITE_ALERTS = `
insert into alerting.alert (${NAMES.join(', ')}) overriding system value
select ${COLUMNS.map(([column, type]) => `given.${column}::${type}`).join(', ')}
  from unnest(${COLUMNS.map(([column, type], index) => `$${index + 1}::${sentAs(column, type)}[]`).join(', ')})
       with ordinality as given (${NAMES.join(', ')}, place)
 order by given.place
on conflict (id) do update set ${NAMES.slice(1)
  .map((column) => `${column} = excluded.${column}`)
  .join(', ')}`;

const SELECT_ALERT = `
select a.id::text as id, a.name, a.dedupe_key as "dedupeKey", a.world, a.class, a.severity, a.state, a.route, a.summary,
       a.facts, a.evidence, a.runbook, a.shop, a.destination, a.scope, a.cause,
       a.is_fleet as "isFleet", a.signals, a.shops, a.count, a.first_seen_at as "firstSeenAt",
       a.last_seen_at as "lastSeenAt", a.due_at as "dueAt", a.look_at as "lookAt", a.opened_at as "openedAt",
       a.closed_at as "closedAt", a.acknowledged_by, a.acknowledged_at, a.acknowledgement_note, a.next_look_at,
       a.folded_into::text as "foldedInto", a.inhibited_by::text as "inhibitedBy",
       a.silenced_by::text as "silencedBy", a.unfold_at as "unfoldAt", a.unwatched_since as "unwatchedSince", a.told
  from alerting.alert a`;

type AlertRow = Omit<AlertRecord, 'acknowledged' | 'tally' | 'told'> & {
  acknowledged_by: string | null;
  acknowledged_at: Date | null;
  acknowledgement_note: string | null;
  next_look_at: Date | null;
  told: (Omit<Told, 'at'> & { at: string })[];
} & Record<string, unknown>;

function recordOf(row: AlertRow): AlertRecord {
  const { acknowledged_by: by, acknowledged_at: at, acknowledgement_note: note, next_look_at, told, ...rest } = row;
  return {
    ...rest,
    acknowledged:
      by !== null && at !== null && next_look_at !== null ? { by, at, note, nextLookAt: next_look_at } : null,
    told: told.map((one) => ({ ...one, at: new Date(one.at) })),
    tally: new Tally(),
  };
}

/** Whom a round's decisions concern besides those that were looked at. */
export interface Wakes {
  /** Causes whose shops have become more or fewer, and when their alert of many shops is to be looked at. */
  fleets: { world: World; key: string }[];
  fleetsAt: Date;
  /** Alerts that make nothing no news any more. */
  sourcesOver: string[];
  /** What an alert that has just opened makes no news of: a field that does not count is `null`. */
  targets: Omit<Source, 'id'>[];
  fleetsOpened: { world: World; key: string }[];
  fleetsOver: string[];
  /** Causes that have become graver by the number of their shops. */
  raised: { world: World; key: string; severity: Severity }[];
}

/** The tables of alerts, inside a transaction that holds the cursor. */
export class AlertStore {
  constructor(private readonly client: Queryable) {}

  /** @returns the seq of the last change that was folded; `null` = somebody else folds just now */
  async tryLock(): Promise<string | null> {
    const { rows } = await this.client.query<{ seq: string }>(TRY_CURSOR, [CURSOR]);
    return rows[0]?.seq ?? null;
  }

  async lock(): Promise<void> {
    await this.client.query(MAKE_CURSOR, [CURSOR]);
    await this.client.query(LOCK_CURSOR, [CURSOR]);
  }

  /** Without a lock: to know where to read on. Makes the cursor when there is none. */
  async position(): Promise<string> {
    const { rows } = await this.client.query<{ seq: string }>(READ_CURSOR, [CURSOR]);
    if (rows[0] !== undefined) return rows[0].seq;
    await this.client.query(MAKE_CURSOR, [CURSOR]);
    return '0';
  }

  async advance(seq: string): Promise<void> {
    await this.client.query(ADVANCE_CURSOR, [CURSOR, seq]);
  }

  /** Index: alert_signal's primary key. */
  async members(signalIds: readonly string[]): Promise<Membership[]> {
    const { rows } = await this.client.query<{
      signalId: string;
      alertId: string;
      shop: string | null;
      severity: Severity;
      facts: Record<string, unknown>;
    }>(
      `select signal_id::text as "signalId", alert_id::text as "alertId", shop, severity, facts
         from alerting.alert_signal where signal_id = any($1::bigint[]) and is_open`,
      [bigints(signalIds)],
    );
    return rows.map((row) => ({ ...row, isOpen: true }));
  }

  /** Those that are not closed, by key or id, with their tallies. Indexes: alert_live, the primary key. */
  async live(keys: readonly { world: World; key: string }[], ids: readonly string[]): Promise<AlertRecord[]> {
    const { rows } = await this.client.query<AlertRow>(
      `${SELECT_ALERT}
         join unnest($1::text[], $2::text[]) as wanted (world, key)
           on a.world = wanted.world and a.dedupe_key = wanted.key
        where a.state <> 'closed'
       union all ${SELECT_ALERT} where a.id = any($3::bigint[]) and a.state <> 'closed'`,
      [texts(keys.map(({ world }) => world)), texts(keys.map(({ key }) => key)), bigints(ids)],
    );
    const records = [...new Map(rows.map((row) => [row.id, recordOf(row)])).values()];
    await this.tally(records);
    return records;
  }

  /** Those for which there is something to decide. Index: alert_to_look_at. */
  async due(now: Date, limit: number): Promise<AlertRecord[]> {
    const { rows } = await this.client.query<AlertRow>(
      `${SELECT_ALERT} where a.look_at <= $1 order by a.look_at, a.id limit $2`,
      [now, limit],
    );
    const records = rows.map(recordOf);
    await this.tally(records);
    return records;
  }

  /**
   * Those that are not closed and whose `unwatchedSince` is not what it should be.
   *
   * @param since when nobody has looked, by the alert's name; what is not in it is looked at
   */
  async withOtherWatch(since: ReadonlyMap<string, Date>): Promise<AlertRecord[]> {
    const { rows } = await this.client.query<AlertRow>(
      `${SELECT_ALERT} left join unnest($1::text[], $2::timestamptz[]) as unwatched (name, since) on unwatched.name = a.name
        where a.state <> 'closed' and a.unwatched_since is distinct from unwatched.since`,
      [texts([...since.keys()]), instants([...since.values()])],
    );
    return rows.map(recordOf);
  }

  /** @returns `null` = there is none that is not closed */
  async liveById(id: string): Promise<AlertRecord | null> {
    return (await this.live([], [id]))[0] ?? null;
  }

  private async tally(records: readonly AlertRecord[]): Promise<void> {
    const byId = new Map(records.filter(({ isFleet }) => !isFleet).map((record) => [record.id, record]));
    if (byId.size === 0) return;
    const { rows } = await this.client.query<{
      alert_id: string;
      shop: string | null;
      severity: Severity;
      count: number;
    }>(
      `select alert_id::text as alert_id, shop, severity, count(*)::integer as count
         from alerting.alert_signal where alert_id = any($1::bigint[]) and is_open group by alert_id, shop, severity`,
      [bigints([...byId.keys()])],
    );
    for (const { alert_id, shop, severity, count } of rows) byId.get(alert_id)?.tally.add(shop, severity, count);
  }

  /** A fresh id for each. */
  async ids(count: number): Promise<() => string> {
    const { rows } = await this.client.query<{ id: string }>(
      `select nextval(pg_get_serial_sequence('alerting.alert', 'id'))::text as id from generate_series(1, $1)`,
      [count],
    );
    let used = 0;
    return () => rows[used++]?.id ?? missingId(count);
  }

  /** The alerts with one cause, counted, and the alert that speaks for all of them. Index: alert_live_by_cause. */
  async groups(causes: readonly { world: World; key: string }[]): Promise<Map<string, Group>> {
    if (causes.length === 0) return new Map();
    const given = [texts(causes.map(({ world }) => world)), texts(causes.map(({ key }) => key))];
    const { rows } = await this.client.query<
      Omit<Group, 'fleet'> & { world: World; cause: string } & Record<string, unknown>
    >(
      `select a.world, a.cause, count(*)::integer as alerts, count(distinct a.shop)::integer as shops,
              min(a.severity) as worst, min(a.first_seen_at) as "firstSeenAt",
              (count(*) filter (where a.inhibited_by is null and a.silenced_by is null))::integer as audible
         from alerting.alert a join unnest($1::text[], $2::text[]) as wanted (world, cause)
           on a.world = wanted.world and a.cause = wanted.cause
        where a.state <> 'closed' group by a.world, a.cause`,
      given,
    );
    const fleets = await this.client.query<AlertRow>(
      `${SELECT_ALERT} join unnest($1::text[], $2::text[]) as wanted (world, cause)
          on a.world = wanted.world and a.dedupe_key = wanted.cause
       where a.state <> 'closed' and a.is_fleet`,
      given,
    );
    const fleetOf = new Map(fleets.rows.map((row) => [liveKey(row.world, row.dedupeKey), recordOf(row)]));
    const groups = new Map<string, Group>();
    for (const { world, cause, ...counts } of rows) {
      groups.set(liveKey(world, cause), { ...counts, fleet: fleetOf.get(liveKey(world, cause)) ?? null });
    }
    return groups;
  }

  /** What is open, or about to be, among alerts of these names. Index: alert_live_by_name. */
  async sources(names: readonly string[], now: Date): Promise<Source[]> {
    if (names.length === 0) return [];
    const { rows } = await this.client.query<Source & Record<string, unknown>>(
      `select id::text as id, name, world, shop, destination, scope
         from alerting.alert
        where name = any($1::text[]) and world in ('real', 'sandbox') and silenced_by is null
          and (state = 'open' or state = 'pending' and due_at <= $2)`,
      [texts(names), now],
    );
    return rows;
  }

  async silences(now: Date): Promise<ActiveSilence[]> {
    const { rows } = await this.client.query<ActiveSilence & Record<string, unknown>>(
      `select id::text as id, name, shop, destination, ends_at as "endsAt" from alerting.silence
        where ended_at is null and ends_at > $1 and starts_at <= $1 order by id`,
      [now],
    );
    return rows;
  }

  /**
   * Has others looked at, because one has changed. All by `look_at`, so that whoever works next does it: also after a
   * crash, and however many they are.
   */
  async wake(wakes: Wakes, now: Date): Promise<void> {
    const { fleets, sourcesOver, targets, fleetsOpened, fleetsOver, raised } = wakes;
    if (fleets.length > 0) await this.wakeFleets(fleets, wakes.fleetsAt);
    if (sourcesOver.length > 0) await this.set('inhibited_by = any($2::bigint[])', now, [bigints(sourcesOver)]);
    if (fleetsOver.length > 0) await this.set('folded_into = any($2::bigint[])', now, [bigints(fleetsOver)]);
    for (const { world, key } of fleetsOpened) {
      await this.set("world = $2 and cause = $3 and state = 'open' and folded_into is null", now, [world, key]);
    }
    for (const { world, key, severity } of raised) {
      await this.set("world = $2 and cause = $3 and state = 'open' and severity > $4", now, [world, key, severity]);
    }
    if (targets.length === 0) return;
    await this.client.query(
      `update alerting.alert a set look_at = $1
         from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
           as source (world, name, shop, destination, scope)
        where a.state = 'open' and a.inhibited_by is null and a.world = source.world and a.name = source.name
          and (source.shop is null or a.shop = source.shop)
          and (source.destination is null or a.destination = source.destination)
          and (source.scope is null or a.scope = source.scope)`,
      [
        now,
        texts(targets.map(({ world }) => world)),
        texts(targets.map(({ name }) => name)),
        texts(targets.map(({ shop }) => shop)),
        texts(targets.map(({ destination }) => destination)),
        texts(targets.map(({ scope }) => scope)),
      ],
    );
  }

  /** Open, audible, and told to nobody but machines. Index: alert_live. */
  async wakeUntold(listening: readonly { world: World; class: AlertClass }[], now: Date): Promise<void> {
    await this.client.query(
      `update alerting.alert a set look_at = $3
         from unnest($1::text[], $2::text[]) as one (world, class)
        where a.world = one.world and a.class = one.class and a.state = 'open' and a.due_at <= $3
          and a.folded_into is null and a.inhibited_by is null and a.silenced_by is null
          and not a.told @> '[{"channel":"pagerduty"}]' and not a.told @> '[{"channel":"second"}]'`,
      [listening.map(({ world }) => world), listening.map((one) => one.class), now],
    );
  }

  private async wakeFleets(causes: readonly { world: World; key: string }[], at: Date): Promise<void> {
    await this.client.query(
      `update alerting.alert a set look_at = least(coalesce(a.look_at, $1), $1)
         from unnest($2::text[], $3::text[]) as given (world, key)
        where a.world = given.world and a.dedupe_key = given.key and a.state <> 'closed' and a.is_fleet`,
      [at, texts(causes.map(({ world }) => world)), texts(causes.map(({ key }) => key))],
    );
  }

  private async set(which: string, now: Date, values: readonly unknown[]): Promise<void> {
    await this.client.query(`update alerting.alert set look_at = $1 where state <> 'closed' and ${which}`, [
      now,
      ...values,
    ]);
  }

  async writeAlerts(records: readonly AlertRecord[]): Promise<void> {
    if (records.length === 0) return;
    const ordered = [
      ...records.filter(({ state }) => state === 'closed'),
      ...records.filter(({ state }) => state !== 'closed'),
    ];
    await this.client.query(
      WRITE_ALERTS,
      COLUMNS.map(([, , values]) => values(ordered)),
    );
  }

  async writeMembers(members: readonly Membership[]): Promise<void> {
    if (members.length === 0) return;
    await this.client.query(
      `insert into alerting.alert_signal (alert_id, signal_id, shop, severity, facts, is_open)
       select given.alert_id, given.signal_id, given.shop, given.severity, given.facts::jsonb, given.is_open::boolean
         from unnest($1::bigint[], $2::bigint[], $3::text[], $4::smallint[], $5::text[], $6::text[])
           as given (alert_id, signal_id, shop, severity, facts, is_open)
       on conflict (signal_id, alert_id) do update
          set severity = excluded.severity, facts = excluded.facts, is_open = excluded.is_open`,
      [
        bigints(members.map(({ alertId }) => alertId)),
        bigints(members.map(({ signalId }) => signalId)),
        texts(members.map(({ shop }) => shop)),
        smallints(members.map(({ severity }) => severity)),
        texts(members.map(({ facts }) => json(facts))),
        texts(members.map(({ isOpen }) => String(isOpen))),
      ],
    );
  }

  async append(changes: readonly ChangeDraft[], notifications: readonly NotificationDraft[]): Promise<void> {
    if (changes.length > 0) {
      await this.client.query(
        `insert into alerting.alert_change (alert_id, at, change, actor, detail, alert)
         select given.alert_id, given.at, given.change, given.actor, given.detail, given.alert::jsonb
           from unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[])
                with ordinality as given (alert_id, at, change, actor, detail, alert, place)
          order by given.place`,
        [
          bigints(changes.map(({ alertId }) => alertId)),
          instants(changes.map(({ at }) => at)),
          texts(changes.map(({ change }) => change)),
          texts(changes.map(({ actor }) => actor)),
          texts(changes.map(({ detail }) => detail)),
          texts(changes.map(({ alert }) => json(alert))),
        ],
      );
    }
    if (notifications.length === 0) return;
    await this.client.query(
      `insert into alerting.notification (alert_id, dedupe_key, world, channel, recipient, action, reason, severity,
                                          summary, body, state, created_at, try_at, confirm_by)
       select given.alert_id, given.dedupe_key, given.world, given.channel, given.recipient, given.action, given.reason,
              given.severity, given.summary, given.body::jsonb, 'waiting', given.at, given.at, given.confirm_by
         from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::smallint[],
                     $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[])
              with ordinality as given (alert_id, dedupe_key, world, channel, recipient, action, reason, severity,
                                        summary, body, at, confirm_by, place)
        order by given.place`,
      [
        bigints(notifications.map(({ alertId }) => alertId)),
        texts(notifications.map(({ dedupeKey }) => dedupeKey)),
        texts(notifications.map(({ world }) => world)),
        texts(notifications.map(({ channel }) => channel)),
        texts(notifications.map(({ recipient }) => recipient)),
        texts(notifications.map(({ action }) => action)),
        texts(notifications.map(({ reason }) => reason)),
        smallints(notifications.map(({ severity }) => severity)),
        texts(notifications.map(({ summary }) => storable(summary))),
        texts(notifications.map(({ body }) => json(body))),
        instants(notifications.map(({ at }) => at)),
        instants(notifications.map(confirmBy)),
      ],
    );
  }
}

/** A page that nobody is seen to have got by then goes out another way. */
function confirmBy({ channel, action, body, at }: NotificationDraft): Date | null {
  const isPage = channel === 'pagerduty' && action === 'trigger' && body.class === 'page';
  return isPage ? new Date(at.getTime() + CONFIRM_WITHIN_MS) : null;
}

function missingId(count: number): never {
  throw new Error(`more than ${count} alerts were opened where as many at most could be`);
}

/** PostgreSQL stores no NUL, in text or in jsonb. */
const storable = (text: string): string => text.replaceAll('\u0000', '\ufffd');
const json = (value: unknown): string => JSON.stringify(value).replaceAll('\\u0000', '\\ufffd');
