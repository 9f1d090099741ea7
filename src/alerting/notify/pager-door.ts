import { z } from 'zod';
import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import { messageOf } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import type { World } from '../../pipeline/contract.js';
import type { AlertDesk, InboundAnswer, InboundPager, Severity } from '../contract.js';
import { noteIncident } from './confirmation.js';
import { signedWith } from './pager-signature.js';
import type { WorldChannels } from './world-channels.js';

/** How long an acknowledgement holds: whoever is on it looks again, or whoever is on call is told again. */
const NEXT_LOOK_MS: Record<Severity, number> = {
  1: 30 * 60_000,
  2: 30 * 60_000,
  3: 8 * 3_600_000,
  4: 24 * 3_600_000,
};
/** Resolved at the pager, and still so: most have mended it, and the signal needs a moment to close. */
const STILL_FAILING_AFTER_MS = 2 * 60_000;
const REMEMBERED_MS = 72 * 3_600_000; // PagerDuty repeats for 48 hours
const FORGET_EVERY = 100;

/** Source: PagerDuty developer docs, "Webhooks", "V3 overview". What is not used is not looked at. */
const webhookSchema = z.object({
  event: z.object({
    id: z.string(),
    event_type: z.string(),
    occurred_at: z.string().refine((text) => !Number.isNaN(Date.parse(text))),
    agent: z.object({ type: z.string(), summary: z.string().nullish() }).nullish(),
    data: z.object({ id: z.string().optional(), incident_key: z.string().nullish() }).loose(),
  }),
});
type PagerEvent = z.output<typeof webhookSchema>['event'];

/** Whatever was done before it opened was done about another one. */
const LIVE_ALERT = `
select id::text as id, severity, acknowledged_at is not null as "isAcknowledged" from alerting.alert
 where world = $1 and dedupe_key = $2 and state = 'open' and opened_at <= $3`;

interface LiveAlert extends Record<string, unknown> {
  id: string;
  severity: Severity;
  isAcknowledged: boolean;
}

/** Events that say how an incident is. */
const STATES: Readonly<Record<string, 'triggered' | 'acknowledged' | 'resolved'>> = {
  'incident.triggered': 'triggered',
  'incident.reopened': 'triggered',
  'incident.acknowledged': 'acknowledged',
  'incident.unacknowledged': 'triggered',
  'incident.resolved': 'resolved',
};

/** The same as was said last, once more; not while that waits already. Index: notification_of_alert. */
const SAY_AGAIN = `
insert into alerting.notification (alert_id, dedupe_key, world, channel, recipient, action, reason, severity, summary, body,
                                   state, created_at, try_at, confirm_by)
select n.alert_id, n.dedupe_key, n.world, n.channel, n.recipient, 'trigger', 'repeated', n.severity, n.summary, n.body,
       'waiting', $2::timestamptz, $3, case when n.body->>'class' = 'page' then $3::timestamptz + interval '60 seconds' end
  from alerting.notification n
 where n.alert_id = $1 and n.channel = 'pagerduty' and n.action = 'trigger'
   and not exists (select from alerting.notification waiting
                    where waiting.alert_id = n.alert_id and waiting.channel = 'pagerduty' and waiting.state = 'waiting'
                      and waiting.action = 'trigger')
 order by n.id desc limit 1`;

/**
 * Where PagerDuty tells what people did: `POST /inbound/pagerduty`. What it says is worked before it is answered; what it
 * repeats is known by the event's id, which is signed, as the header's is not.
 *
 * Webhooks come in any order. Invariant: what is older than what is known, or than the alert, moves nothing.
 */
export class PagerDoor implements InboundPager {
  private taken = 0;

  constructor(
    private readonly deps: {
      database: Database;
      alerts: Pick<AlertDesk, 'acknowledge' | 'unacknowledge'>;
      channels: () => readonly WorldChannels[];
      clock: Clock;
      log: Logger;
    },
  ) {}

  async take(given: { signature: string; body: Buffer }): Promise<InboundAnswer> {
    const { channels, log } = this.deps;
    const secrets = channels().flatMap(({ world, webhookSecrets }) =>
      webhookSecrets.map((secret) => ({ secret, world })),
    );
    const signed = signedWith(given.signature, given.body, secrets);
    if (signed === null) return { status: 401, detail: 'X-PagerDuty-Signature does not match.' };
    const parsed = webhookSchema.safeParse(parseJson(given.body));
    // Signed and not understood: answered 200, because three refusals would have the subscription switched off for a day.
    if (!parsed.success) {
      log.warn({ world: signed.world }, 'PagerDuty sent a webhook that cannot be read');
      return { status: 200, detail: 'Signed, and not understood.' };
    }
    const { event } = parsed.data;
    const id = `${signed.world}:${event.id}`;
    try {
      if (await this.isKnown(id)) return { status: 200, detail: 'Known already.' };
      await this.work(signed.world, event);
      await this.remember(id);
    } catch (error) {
      log.error(
        { err: error, event: event.event_type },
        `a webhook of PagerDuty could not be worked: ${messageOf(error)}`,
      );
      return { status: 503, detail: 'Not worked; send it again.' };
    }
    return { status: 200, detail: 'Worked.' };
  }

  private async isKnown(id: string): Promise<boolean> {
    const { rowCount } = await this.deps.database.query('select from alerting.pager_webhook where id = $1', [id]);
    return rowCount === 1;
  }

  /** After the work, not before: worked twice does no harm, and not at all would. */
  private async remember(id: string): Promise<void> {
    const { database, clock } = this.deps;
    await database.query(
      'insert into alerting.pager_webhook (id, received_at) values ($1, $2) on conflict do nothing',
      [id, clock.now()],
    );
    this.taken += 1;
    if (this.taken % FORGET_EVERY !== 1) return;
    const before = new Date(clock.nowMs() - REMEMBERED_MS);
    await database.query('delete from alerting.pager_webhook where received_at < $1', [before]);
  }

  private async work(world: World, event: PagerEvent): Promise<void> {
    const { database, clock, log } = this.deps;
    const dedupeKey = event.data.incident_key;
    if (dedupeKey == null || event.data.id === undefined) return;
    const nowAt = clock.now();
    const occurredAt = new Date(event.occurred_at);
    log.info({ world, event: event.event_type, dedupeKey }, 'PagerDuty says');
    const state = STATES[event.event_type];
    if (state === undefined) return;
    const incident = { id: event.data.id, state, occurredAt };
    if (!(await noteIncident(database, world, dedupeKey, incident, nowAt, true))) return;
    const alert = await this.liveAlert(world, dedupeKey, occurredAt);
    if (alert === null) return;
    switch (event.event_type) {
      case 'incident.acknowledged':
        return this.acknowledge(alert, event, nowAt);
      case 'incident.unacknowledged':
        return this.unacknowledge(alert, personOf(event) ?? 'PagerDuty');
      case 'incident.resolved':
        return this.resolved(alert, event, nowAt);
      default:
    }
  }

  private async acknowledge(alert: LiveAlert, event: PagerEvent, nowAt: Date): Promise<void> {
    // Our own acknowledgement, come back to us, names no person.
    const person = personOf(event);
    if (person === null) return;
    const nextLookAt = new Date(nowAt.getTime() + NEXT_LOOK_MS[alert.severity]);
    await this.deps.alerts.acknowledge(alert.id, person, 'acknowledged in PagerDuty', nextLookAt);
  }

  private async unacknowledge({ id, isAcknowledged }: LiveAlert, by: string): Promise<void> {
    if (isAcknowledged) await this.deps.alerts.unacknowledge(id, by);
  }

  /** Whoever resolves there believes that it is over. While the signal is open it is not, and they are told so. */
  private async resolved(alert: LiveAlert, event: PagerEvent, nowAt: Date): Promise<void> {
    const by = personOf(event) ?? 'PagerDuty';
    await this.unacknowledge(alert, `${by} (resolved it in PagerDuty)`);
    const tryAt = new Date(nowAt.getTime() + STILL_FAILING_AFTER_MS);
    await this.deps.database.query(SAY_AGAIN, [alert.id, nowAt, tryAt]);
    this.deps.log.warn({ alert: alert.id, by }, 'resolved in PagerDuty, and still so: it is told again');
  }

  private async liveAlert(world: World, dedupeKey: string, openedBy: Date): Promise<LiveAlert | null> {
    const [row] = await this.deps.database.rows<LiveAlert>(LIVE_ALERT, [world, dedupeKey, openedBy]);
    return row ?? null;
  }
}

function personOf({ agent }: PagerEvent): string | null {
  return agent?.type === 'user_reference' && agent.summary ? agent.summary : null;
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
