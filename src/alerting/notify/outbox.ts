import type { PoolClient } from 'pg';
import type { Clock } from '../../kernel/clock.js';
import { storableText, type Database, type Queryable } from '../../kernel/database.js';
import { redactText } from '../../kernel/log.js';
import type { Random } from '../../kernel/random.js';
import type { World } from '../../pipeline/contract.js';
import {
  NOTIFICATION_COLUMNS,
  notificationOf,
  type Notification,
  type NotificationRow,
  type Sent,
} from './notification.js';
import { backoffMs, freeSlots, take, type Pace } from './pace.js';

/** Whom a claim is for. */
export interface Recipient {
  world: World;
  channel: Notification['channel'];
  recipient: string;
}

const KNOW_RECIPIENT = `
insert into alerting.recipient (world, channel, recipient, paced_until) values ($1, $2, $3, $4) on conflict do nothing`;

/** Takes the row's lock, which makes processes take turns; who finds it taken has nothing to do. */
const LOCK_RECIPIENT = `
select paced_until as "pacedUntil", failures, blocked_until as "blockedUntil" from alerting.recipient
 where world = $1 and channel = $2 and recipient = $3 for update skip locked`;

/**
 * What nobody has heard of and is over already: its trigger and its resolve, together. Only while the recipient fails, only
 * of the routine route (invariant 9), and only what was never tried: a try without an answer may have been heard. Besides,
 * a repetition for an alert that has closed.
 */
const OVERTAKE = `
update alerting.notification n set state = 'overtaken', confirm_by = null
 where n.world = $1 and n.channel = $2 and n.recipient = $3 and n.state = 'waiting' and n.attempts = 0
   and n.alert_id is not null and (
     ($4 and n.recipient = 'routine'
       and exists (select from alerting.notification over
                    where over.alert_id = n.alert_id and over.channel = n.channel and over.action = 'resolve'
                      and over.state = 'waiting' and over.attempts = 0)
       and not exists (select from alerting.notification heard
                        where heard.alert_id = n.alert_id
                          and (heard.attempts > 0 or heard.state in ('taken', 'confirmed', 'refused'))))
     or (n.reason = 'repeated' and n.action = 'trigger'
       and exists (select from alerting.alert a where a.id = n.alert_id and a.state = 'closed')))`;

/** What was put off by choice, and not because it failed, holds back no trigger of its key that is due. */
const BRING_FORWARD = `
update alerting.notification n set try_at = $4
 where n.world = $1 and n.channel = $2 and n.recipient = $3 and n.state = 'waiting' and n.try_at > $4 and n.attempts = 0
   and exists (select from alerting.notification newer
                where newer.state = 'waiting' and newer.channel = n.channel and newer.dedupe_key = n.dedupe_key
                  and newer.world = n.world and newer.recipient = n.recipient and newer.id > n.id
                  and newer.action = 'trigger' and newer.try_at <= $4)`;

/**
 * The worst first, then the oldest; within one key strictly the oldest. What is leased still waits, so it holds back what
 * comes after it in its key until it is settled. Indexes: notification_waiting, notification_of_key.
 */
const CLAIM = `
select ${NOTIFICATION_COLUMNS}
  from alerting.notification n
 where n.world = $1 and n.channel = $2 and n.recipient = $3 and n.state = 'waiting' and n.try_at <= $4
   and (n.leased_until is null or n.leased_until <= $4)
   and not exists (select from alerting.notification older
                    where older.state = 'waiting' and older.channel = n.channel and older.dedupe_key = n.dedupe_key
                      and older.world = n.world and older.recipient = n.recipient and older.id < n.id)
 order by n.severity, n.id
 limit $5
   for update of n skip locked`;

/** Most rounds find nothing: one look tells that. */
const IS_DUE = `
select from alerting.notification n
 where n.world = $1 and n.channel = $2 and n.recipient = $3 and n.state = 'waiting' and n.try_at <= $4
   and (n.leased_until is null or n.leased_until <= $4) limit 1`;

const LEASE = `
update alerting.notification set leased_by = $2, leased_until = $3, attempts = attempts + 1 where id = any($1::bigint[])`;

const PACE = `
update alerting.recipient set paced_until = $4, blocked_until = $5 where world = $1 and channel = $2 and recipient = $3`;

/** Only whoever holds the lease settles: a process that was away for too long finds it gone. */
const SETTLE = `
update alerting.notification
   set state = $3, taken_at = coalesce($4, taken_at), confirmed_at = coalesce($5, confirmed_at),
       confirm_by = case when $5::timestamptz is null then confirm_by end, try_at = coalesce($6, try_at), last_error = $7,
       leased_by = null, leased_until = null
 where id = any($1::bigint[]) and leased_by = $2 and state = 'waiting'`;

const GIVE_BACK = `
update alerting.notification set leased_by = null, leased_until = null, attempts = attempts - 1
 where id = any($1::bigint[]) and leased_by = $2 and state = 'waiting'`;

const ANSWERS = `
update alerting.recipient
   set failures = 0, failing_since = null, blocked_until = null, taken_at = $4, last_error = null
 where world = $1 and channel = $2 and recipient = $3`;

/** It answers, and yet somebody has not heard of something. */
const REFUSES = `
update alerting.recipient
   set failures = 0, failing_since = null, blocked_until = null, refused_at = $4, last_error = $5
 where world = $1 and channel = $2 and recipient = $3`;

const FAILS = `
update alerting.recipient
   set failures = failures + 1, failing_since = coalesce(failing_since, $4)
 where world = $1 and channel = $2 and recipient = $3 returning failures`;

const LEAVE_ALONE = `
update alerting.recipient set blocked_until = $4, last_error = $5 where world = $1 and channel = $2 and recipient = $3`;

/** After an outage everything is due again, so that it goes by severity and not by who failed last. */
const DUE_AGAIN = `
update alerting.notification set try_at = $4
 where world = $1 and channel = $2 and recipient = $3 and state = 'waiting' and try_at > $4 and attempts > 0`;

// A single failure may be of one message; so many in a row are an outage.
const OUTAGE_FAILURES = 3;
const THROTTLED_MS = 30_000; // PagerDuty names no wait with its 429 and suggests 30 s ("Rate limits")
const ERROR_CHARS_MAX = 500;

export interface Claim {
  recipient: Recipient;
  notifications: Notification[];
  /** Nobody else sends these before. */
  leasedUntilMs: number;
  /** It did not answer last time: this is a try whether it does again. */
  isProbe: boolean;
}

/**
 * The rows that are still to be said, shared by any number of processes.
 *
 * Invariant: a notification is `taken` or `refused` only by an answer of the far side, and waits for ever otherwise. Between
 * an answer and its record a process may die; then the lease ends and it is said once more with the same key.
 */
export class Outbox {
  constructor(
    private readonly deps: { database: Database; clock: Clock; random: Random; processName: string; leaseMs: number },
  ) {}

  /**
   * @param most how many at once
   * @param slots how many slots of the pace so many use; one each by default
   * @returns `null` = nothing is to be said now, or another process is at it
   */
  async claim(
    recipient: Recipient,
    pace: Pace,
    most: number,
    slots: (free: number) => { rows: number; used: (count: number) => number } = (free) => ({
      rows: free,
      used: (count) => count,
    }),
  ): Promise<Claim | null> {
    const { database, clock, leaseMs, processName } = this.deps;
    const key = keyOf(recipient);
    const nowAt = clock.now();
    const { rowCount } = await database.query(IS_DUE, [...key, nowAt]);
    if (rowCount === 0) return null;
    await database.query(KNOW_RECIPIENT, [...key, nowAt]);
    return database.transaction(async (client) => {
      const { rows: known } = await client.query<{ pacedUntil: Date; failures: number; blockedUntil: Date | null }>(
        LOCK_RECIPIENT,
        key,
      );
      const [state] = known;
      if (!state || (state.blockedUntil !== null && state.blockedUntil > nowAt)) return null;
      const isProbe = state.failures > 0;
      await client.query(OVERTAKE, [...key, isProbe]);
      await client.query(BRING_FORWARD, [...key, nowAt]);
      const free = freeSlots(pace, state.pacedUntil.getTime(), nowAt.getTime());
      const wanted = slots(free);
      const limit = Math.min(most, isProbe ? Math.min(1, wanted.rows) : wanted.rows);
      if (limit === 0) return null;
      const { rows } = await client.query<NotificationRow>(CLAIM, [...key, nowAt, limit]);
      if (rows.length === 0) return null;
      const leasedUntil = new Date(nowAt.getTime() + leaseMs);
      await client.query(LEASE, [rows.map(({ id }) => id), processName, leasedUntil]);
      const pacedUntil = take(pace, state.pacedUntil.getTime(), nowAt.getTime(), wanted.used(rows.length));
      // While it is tried whether it answers again, no other process tries too.
      await client.query(PACE, [...key, new Date(pacedUntil), isProbe ? leasedUntil : null]);
      const notifications = rows.map((row) => notificationOf({ ...row, attempts: row.attempts + 1 }));
      return { recipient, notifications, leasedUntilMs: leasedUntil.getTime(), isProbe };
    });
  }

  /**
   * Records what became of some of a claim, said together.
   *
   * @param isProof whether being taken is all the confirmation there will be
   */
  async settle(claim: Claim, said: readonly Notification[], sent: Sent, isProof: boolean): Promise<void> {
    const { database, clock, processName } = this.deps;
    const ids = said.map(({ id }) => id);
    const nowAt = clock.now();
    const key = keyOf(claim.recipient);
    await database.transaction(async (client) => {
      const put = (state: string, takenAt: Date | null, confirmedAt: Date | null, tryAt: Date | null) =>
        client.query(SETTLE, [ids, processName, state, takenAt, confirmedAt, tryAt, errorOf(sent)]);
      switch (sent.outcome) {
        case 'taken':
          await put('taken', nowAt, null, null);
          if (isProof) await confirm(client, ids, nowAt);
          return this.answers(client, claim, ANSWERS, [nowAt]);
        case 'refused':
          // It answered: what comes after this one has its chance at once.
          await put('refused', null, null, null);
          return this.answers(client, claim, REFUSES, [nowAt, errorOf(sent)]);
        case 'throttled': {
          await put('waiting', null, null, null);
          const until = new Date(nowAt.getTime() + (sent.retryAfterMs ?? THROTTLED_MS));
          await client.query(LEAVE_ALONE, [...key, until, errorOf(sent)]);
          return;
        }
        case 'failed': {
          const { rows } = await client.query<{ failures: number }>(FAILS, [...key, nowAt]);
          const waitMs = Math.max(backoffMs(rows[0]?.failures ?? 1, this.deps.random), sent.retryAfterMs ?? 0);
          await client.query(LEAVE_ALONE, [...key, new Date(nowAt.getTime() + waitMs), errorOf(sent)]);
          // What it cannot bear must not stand before the others for ever.
          const attempts = said[0]?.attempts ?? 1;
          const ownMs = sent.answered ? backoffMs(attempts, this.deps.random) : 0;
          await put('waiting', null, null, ownMs > 0 ? new Date(nowAt.getTime() + waitMs + ownMs) : null);
        }
      }
    });
  }

  /** What was claimed and not tried. */
  async giveBack(notifications: readonly Notification[]): Promise<void> {
    if (notifications.length === 0) return;
    await this.deps.database.query(GIVE_BACK, [notifications.map(({ id }) => id), this.deps.processName]);
  }

  private async answers(
    client: PoolClient,
    { recipient }: Claim,
    record: string,
    [nowAt, ...more]: [Date, ...(string | null)[]],
  ): Promise<void> {
    const key = keyOf(recipient);
    const { rows } = await client.query<{ failures: number }>(
      'select failures from alerting.recipient where world = $1 and channel = $2 and recipient = $3 for update',
      key,
    );
    await client.query(record, [...key, nowAt, ...more]);
    if ((rows[0]?.failures ?? 0) >= OUTAGE_FAILURES) await client.query(DUE_AGAIN, [...key, nowAt]);
  }
}

const CONFIRM = `
update alerting.notification set state = 'confirmed', confirmed_at = $2, confirm_by = null, unconfirmed_at = null
 where id = any($1::bigint[]) and state = 'taken' returning world, recipient`;

/** Somebody is paged by this recipient, so what it left unsaid before is no reason to doubt it any more. */
const DOUBT_NO_MORE = `
update alerting.notification set unconfirmed_at = null
 where world = $1 and recipient = $2 and unconfirmed_at is not null and unconfirmed_at <= $3`;

// A doubt lasts long enough to be seen, told and recorded, although the next page may go well at once.
const DOUBT_LEAST_MS = 2 * 60_000;

/** Records that somebody was seen to be paged for these. What is not taken yet stays as it is. */
export async function confirm(database: Queryable, ids: readonly string[], nowAt: Date): Promise<number> {
  if (ids.length === 0) return 0;
  const { rows } = await database.query<{ world: World; recipient: string }>(CONFIRM, [ids, nowAt]);
  for (const key of new Set(rows.map(({ world, recipient }) => `${world} ${recipient}`))) {
    const [world, recipient] = key.split(' ');
    await database.query(DOUBT_NO_MORE, [world, recipient, new Date(nowAt.getTime() - DOUBT_LEAST_MS)]);
  }
  return rows.length;
}

function keyOf({ world, channel, recipient }: Recipient): [string, string, string] {
  return [world, channel, recipient];
}

/** What a person may read of it: no credential, and no end. */
function errorOf(sent: Sent): string | null {
  if (sent.outcome === 'taken') return null;
  return storableText(redactText(sent.detail).slice(0, ERROR_CHARS_MAX));
}
