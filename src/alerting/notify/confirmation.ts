import type { Clock } from '../../kernel/clock.js';
import type { Database, Queryable } from '../../kernel/database.js';
import type { Duty } from '../../kernel/duty.js';
import type { Logger } from '../../kernel/log.js';
import type { World } from '../../pipeline/contract.js';
import { confirm } from './outbox.js';
import type { PagerIncident } from './pagerduty.js';
import type { WorldChannels } from './world-channels.js';

/** `confirm_by` lies so long after a page was decided. */
export const CONFIRM_WITHIN_MS = 60_000;
/** The second channel says it so long before `confirm_by`, to be there by then. */
const AHEAD_MS = 10_000;
/** The pager does not answer at all: nothing is gained by waiting the whole time. */
const AHEAD_FAILING_MS = 40_000;
const FAILING_MS = 10_000;
const PAUSE_MS = 2_000;
const LOOK_AFTER_MS = 5_000; // PagerDuty makes an incident of an event within seconds
const LOOK_EVERY_MS = 10_000;
const LOOKS_MAX = 10; // a world and round; REST takes 960 requests a minute
const SKEW_MS = 5_000; // between PagerDuty's clock and ours
const HANDED_ON_MAX = 200;
const RESOLVES_WITHIN_MS = 7 * 86_400_000;

/** Index: notification_unconfirmed. Its lock, and `confirm_by`, let one process hand each on, once. */
const UNCONFIRMED = `
select n.id::text as id, n.alert_id::text as "alertId", n.body->>'name' = 'notifier-failing' as "isOwn"
  from alerting.notification n
  left join alerting.recipient r on r.world = n.world and r.channel = n.channel and r.recipient = n.recipient
 where n.confirm_by is not null and n.world = $1 and n.channel = 'pagerduty' and n.action = 'trigger'
   and (n.confirm_by <= $2 or n.state = 'refused' or n.body->>'name' = 'notifier-failing'
        or (n.state = 'waiting' and n.confirm_by <= $3 and r.failing_since <= $4))
 order by n.severity, n.id limit $5
   for update of n skip locked`;

/**
 * What PagerDuty joins to an incident that somebody had acknowledged before: it takes it, and notifies nobody. Source:
 * PagerDuty, "Incidents": an acknowledged one notifies again only when its acknowledgement times out.
 */
const UNHEARD = `
select n.id::text as id
  from alerting.notification n
  join alerting.pager_incident i on i.world = n.world and i.dedupe_key = n.dedupe_key
 where n.confirm_by is not null and n.world = $1 and n.channel = 'pagerduty' and n.action = 'trigger' and n.state = 'taken'
   and n.reason in ('changed', 'repeated') and i.state = 'acknowledged' and i.changed_at < n.created_at
 order by n.severity, n.id limit $2
   for update of n skip locked`;

const HAND_ON = `
update alerting.notification set confirm_by = null, unconfirmed_at = case when $3 then null else $2::timestamptz end
 where id = any($1::bigint[])`;

/**
 * Each trigger is a reason of its own to say it: it is new, graver, still so, or nobody looked again. Only what was said by
 * the second channel since, as gravely, is enough; and of several at once the gravest.
 */
const SAY_IT_TOO = `
insert into alerting.notification (alert_id, dedupe_key, world, channel, recipient, action, reason, severity, summary, body,
                                   state, created_at, try_at)
select alert_id, dedupe_key, world, 'second', $2, 'trigger', reason, severity, summary, body, 'waiting', $3, $3
  from (select distinct on (n.alert_id) n.*
          from alerting.notification n
         where n.id = any($1::bigint[]) and n.alert_id is not null
           and not exists (select from alerting.notification told
                            where told.alert_id = n.alert_id and told.channel = 'second' and told.action = 'trigger'
                              and told.severity <= n.severity and told.created_at >= n.created_at)
         order by n.alert_id, n.severity, n.id desc) gravest
 order by severity, id
returning id`;

/** Whoever was told by the second channel hears by it too that it is over. Index: notification_second. */
const SAY_IT_IS_OVER = `
insert into alerting.notification (alert_id, dedupe_key, world, channel, recipient, action, reason, severity, summary, body,
                                   state, created_at, try_at)
select distinct on (told.alert_id) told.alert_id, told.dedupe_key, told.world, 'second', told.recipient, 'resolve',
       over.reason, over.severity, over.summary, over.body, 'waiting', $2::timestamptz, $2
  from alerting.notification told
  join alerting.notification over
    on over.alert_id = told.alert_id and over.channel = 'pagerduty' and over.action = 'resolve'
 where told.world = $1 and told.channel = 'second' and told.action = 'trigger' and told.created_at > $3
   and over.created_at >= told.created_at
   and not exists (select from alerting.notification said
                    where said.alert_id = told.alert_id and said.channel = 'second' and said.action = 'resolve')
 order by told.alert_id, over.id
returning id`;

/**
 * Notifications whose incident is open, so that somebody is paged. A page that begins an episode is proved only by what the
 * pager has said since: an incident left over from before would prove nothing. Nor does one that somebody acknowledged
 * before: it takes whatever is new about it in silence. So `$3`, whether the pager tells us when that happens; without,
 what was known before proves nothing at all.
 */
const PAGED = `
select n.id::text as id
  from alerting.notification n
  join alerting.pager_incident i on i.world = n.world and i.dedupe_key = n.dedupe_key
 where n.world = $1 and n.channel = 'pagerduty' and n.action = 'trigger' and n.state = 'taken'
   and ($2::text is null or n.dedupe_key = $2)
   and (n.confirm_by is not null or n.unconfirmed_at is not null)
   and (n.reason in ('changed', 'repeated') or i.occurred_at >= n.created_at - interval '30 seconds')
   and (i.changed_at >= n.created_at or ($3 and i.state = 'triggered' and n.reason in ('changed', 'repeated')))`;

const TO_LOOK_AT = `
update alerting.notification set looked_at = $2
 where id in (select n.id from alerting.notification n
               where n.confirm_by is not null and n.world = $1 and n.channel = 'pagerduty' and n.action = 'trigger'
                 and n.state = 'taken' and n.taken_at <= $3 and (n.looked_at is null or n.looked_at <= $4)
               order by n.severity, n.id limit $5 for update skip locked)
returning dedupe_key as "dedupeKey"`;

/** What the pager says of an incident; older than what is known, it is no news. */
const NOTE_INCIDENT = `
insert into alerting.pager_incident (world, dedupe_key, incident_id, state, occurred_at, changed_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (world, dedupe_key) do update
   set incident_id = excluded.incident_id, state = excluded.state, occurred_at = excluded.occurred_at,
       changed_at = excluded.changed_at
 where alerting.pager_incident.occurred_at <= excluded.occurred_at`;

/**
 * Notes what the pager says of the incident of a key, and confirms what it proves.
 *
 * @param isTold whether it tells us by itself when that changes
 * @returns whether it was news: `false` = something later is known already, so nothing is to be done upon this
 */
export async function noteIncident(
  database: Queryable,
  world: World,
  dedupeKey: string,
  incident: Pick<PagerIncident, 'id' | 'state'> & { occurredAt: Date },
  nowAt: Date,
  isTold: boolean,
): Promise<boolean> {
  const { id, state, occurredAt } = incident;
  const { rowCount } = await database.query(NOTE_INCIDENT, [world, dedupeKey, id, state, occurredAt, nowAt]);
  await confirmPaged(database, world, dedupeKey, nowAt, isTold);
  return rowCount === 1;
}

async function confirmPaged(
  database: Queryable,
  world: World,
  dedupeKey: string | null,
  nowAt: Date,
  isTold: boolean,
): Promise<number> {
  const { rows } = await database.query<{ id: string }>(PAGED, [world, dedupeKey, isTold]);
  return confirm(
    database,
    rows.map(({ id }) => id),
    nowAt,
  );
}

/**
 * Whether anybody is paged. PagerDuty's 202 says that an event was taken in, not that an incident came of it; so a page
 * counts as told when PagerDuty shows its incident, by webhook or look-up. Until then it is in doubt, and 60 s of doubt are
 * enough for the second channel to say it too.
 */
export class Confirmation {
  constructor(
    private readonly deps: {
      database: Database;
      channels: () => readonly WorldChannels[];
      clock: Clock;
      log: Logger;
    },
  ) {}

  duties(): Duty[] {
    return [
      {
        name: 'unconfirmed-pages',
        pauseMs: PAUSE_MS,
        round: async () => {
          for (const channels of this.deps.channels()) await this.round(channels);
          return 'idle';
        },
      },
      {
        name: 'page-look-up',
        pauseMs: PAUSE_MS,
        staleAfterMs: 180_000, // ten look-ups that each meet their deadline
        round: async () => {
          for (const channels of this.deps.channels()) await this.lookUp(channels);
          return 'idle';
        },
      },
    ];
  }

  private async round(channels: WorldChannels): Promise<void> {
    const { database, clock } = this.deps;
    const nowAt = clock.now();
    await confirmPaged(database, channels.world, null, nowAt, channels.webhookSecrets.length > 0);
    await this.handOn(channels, nowAt);
    await this.sayUnheard(channels, nowAt);
    if (channels.second === null) return;
    const since = new Date(nowAt.getTime() - RESOLVES_WITHIN_MS);
    await database.query(SAY_IT_IS_OVER, [channels.world, nowAt, since]);
  }

  private async handOn({ world, second }: WorldChannels, nowAt: Date): Promise<void> {
    const { database, log } = this.deps;
    const ahead = (ms: number): Date => new Date(nowAt.getTime() + ms);
    await database.transaction(async (client) => {
      const { rows } = await client.query<{ id: string; alertId: string | null; isOwn: boolean }>(UNCONFIRMED, [
        world,
        ahead(AHEAD_MS),
        ahead(AHEAD_FAILING_MS),
        ahead(-FAILING_MS),
        HANDED_ON_MAX,
      ]);
      if (rows.length === 0) return;
      // That the pager fails is said by the second channel at once, and is no further doubt about the pager.
      for (const isOwn of [true, false]) {
        const ids = rows.filter((row) => row.isOwn === isOwn).map(({ id }) => id);
        if (ids.length > 0) await client.query(HAND_ON, [ids, nowAt, isOwn]);
      }
      if (second === null) return;
      const said = await client.query(SAY_IT_TOO, [rows.map(({ id }) => id), second.recipient, nowAt]);
      log.warn({ world, pages: rows.length, messages: said.rowCount }, 'not confirmed: the second channel says it too');
    });
  }

  /** Nothing is wrong with the pager, so there is no doubt about it; and yet nobody has heard. */
  private async sayUnheard({ world, second }: WorldChannels, nowAt: Date): Promise<void> {
    const { database, log } = this.deps;
    await database.transaction(async (client) => {
      const { rows } = await client.query<{ id: string }>(UNHEARD, [world, HANDED_ON_MAX]);
      if (rows.length === 0) return;
      const ids = rows.map(({ id }) => id);
      await client.query(HAND_ON, [ids, nowAt, true]);
      log.warn(
        { world, pages: rows.length },
        'their incident is acknowledged in PagerDuty, which notifies nobody of them',
      );
      if (second !== null) await client.query(SAY_IT_TOO, [ids, second.recipient, nowAt]);
    });
  }

  private async lookUp({ world, pager, webhookSecrets }: WorldChannels): Promise<void> {
    const { database, clock, log } = this.deps;
    if (pager === null || !pager.canLook) return;
    const nowMs = clock.nowMs();
    const rows = await database.rows<{ dedupeKey: string }>(TO_LOOK_AT, [
      world,
      new Date(nowMs),
      new Date(nowMs - LOOK_AFTER_MS),
      new Date(nowMs - LOOK_EVERY_MS),
      LOOKS_MAX,
    ]);
    for (const dedupeKey of new Set(rows.map((row) => row.dedupeKey))) {
      const looked = await pager.incident(dedupeKey);
      if (looked.outcome === 'unknown') {
        log.warn({ world, detail: looked.detail }, 'PagerDuty could not be asked whether somebody is paged');
        return;
      }
      if (looked.found === null) continue;
      await this.noteLooked(world, dedupeKey, looked.found, webhookSecrets.length > 0);
    }
  }

  /**
   * A triggered one is proof now. One that is over already proves a page that was decided before it was made; one that
   * somebody has acknowledged, what was decided before they did.
   */
  private async noteLooked(world: World, dedupeKey: string, incident: PagerIncident, isTold: boolean): Promise<void> {
    const nowAt = this.deps.clock.now();
    const changedAt = { triggered: null, acknowledged: incident.acknowledgedAt, resolved: incident.createdAt }[
      incident.state
    ];
    const seenAt = changedAt === null ? nowAt : new Date(changedAt.getTime() + SKEW_MS);
    await noteIncident(
      this.deps.database,
      world,
      dedupeKey,
      { ...incident, occurredAt: incident.createdAt },
      seenAt,
      isTold,
    );
  }
}
