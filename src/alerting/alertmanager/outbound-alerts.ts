import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { HttpOut } from '../../kernel/http-out.js';
import type { Logger } from '../../kernel/log.js';
import type { Round } from '../../kernel/loop.js';
import type { Severity } from '../contract.js';
import { OURS } from './inbound-alerts.js';

/** An Alertmanager keeps no alert of its own: what is not sent again before its end counts as resolved. */
const SEND_EVERY_MS = 60_000;
const FIRES_FOR_MS = 5 * 60_000;
/** It may have missed the first word of the end, or been away. */
const RESOLVED_FOR_MS = 5 * 60_000;
const ALERTS_A_POST = 500;

/** What is open and not muted, and what has been closed lately; what an Alertmanager told us it knows. Indexes: alert_live_by_name, alert_closed. */
const READ = `
select name, dedupe_key as "dedupeKey", class, severity, summary, evidence, runbook, shop, destination, signals, shops,
       first_seen_at as "firstSeenAt", closed_at as "closedAt"
  from alerting.alert
 where world = 'real' and class in ('page', 'ticket') and not starts_with(name, 'external-')
   and (state = 'open' and folded_into is null and inhibited_by is null and silenced_by is null
        or state = 'closed' and (closed_at > $1 or id = any($2::bigint[])) and told @> '[{"channel": "alertmanager"}]')
 order by id`;

const WAITING = `
select id::text as id, alert_id::text as "alertId" from alerting.notification
 where channel = 'alertmanager' and recipient = $1 and state = 'waiting' order by id limit 10000`;

const TAKEN = `
update alerting.notification set state = 'taken', taken_at = $2, attempts = attempts + 1, last_error = null
 where id = any($1::bigint[]) and state = 'waiting'`;

const NOT_TAKEN = `
update alerting.notification set attempts = attempts + 1, last_error = $2
 where id = any($1::bigint[]) and state = 'waiting'`;

export interface SentAlert {
  name: string;
  dedupeKey: string;
  class: string;
  severity: Severity;
  summary: string;
  evidence: string;
  runbook: string;
  shop: string | null;
  destination: string | null;
  signals: number;
  shops: number;
  firstSeenAt: Date;
  closedAt: Date | null;
}

/** The words that are usual in Prometheus. */
const WORDS: Readonly<Record<Severity, string>> = { 1: 'critical', 2: 'critical', 3: 'warning', 4: 'info' };

/**
 * An alert as `POST /api/v2/alerts` takes it. Its labels are its identity there, so nothing in them changes while it is
 * open but its severity. Pure.
 */
export function postableOf(alert: SentAlert, now: Date): Record<string, unknown> {
  const { name, dedupeKey, severity, shop, destination, summary, runbook, evidence, signals, shops } = alert;
  return {
    labels: {
      alertname: name,
      severity: WORDS[severity],
      class: alert.class,
      dedupe_key: dedupeKey,
      service: OURS,
      ...(shop === null ? {} : { shop }),
      ...(destination === null ? {} : { destination }),
    },
    annotations: {
      summary,
      runbook,
      evidence,
      plumbline_severity: String(severity),
      signals: String(signals),
      shops: String(shops),
    },
    startsAt: alert.firstSeenAt.toISOString(),
    endsAt: (alert.closedAt ?? new Date(now.getTime() + FIRES_FOR_MS)).toISOString(),
  };
}

/**
 * Tells an Alertmanager. What is open is sent again and again, whatever was said before, so a restart of either side, or
 * two processes that both send, change nothing: the same labels are the same alert there.
 */
export class OutboundAlertmanager {
  private sentAtMs = -Infinity;

  constructor(
    private readonly deps: {
      url: string;
      database: Database;
      clock: Clock;
      log: Logger;
      http: Pick<HttpOut, 'request'>;
    },
  ) {}

  static recipientOf(url: string): string {
    return new URL(url).host;
  }

  async round(signal?: AbortSignal): Promise<Round> {
    const { database, clock } = this.deps;
    const recipient = OutboundAlertmanager.recipientOf(this.deps.url);
    const waiting = await database.rows<{ id: string; alertId: string }>(WAITING, [recipient]);
    const nowMs = clock.nowMs();
    if (waiting.length === 0 && nowMs - this.sentAtMs < SEND_EVERY_MS) return 'idle';
    const ids = waiting.map(({ id }) => id);
    const told = waiting.map(({ alertId }) => alertId);
    const from = new Date(nowMs - RESOLVED_FOR_MS);
    const alerts = await database.rows<SentAlert & Record<string, unknown>>(READ, [from, told]);
    for (let at = 0; at < alerts.length; at += ALERTS_A_POST) {
      const trouble = await this.post(alerts.slice(at, at + ALERTS_A_POST), signal);
      if (trouble === null) continue;
      await database.query(NOT_TAKEN, [ids, trouble.slice(0, 500)]);
      throw new Error(`the Alertmanager does not take alerts: ${trouble}`);
    }
    await database.query(TAKEN, [ids, clock.now()]);
    this.sentAtMs = nowMs;
    return 'idle';
  }

  /** @returns what went wrong; `null` = it has them */
  private async post(alerts: readonly SentAlert[], signal: AbortSignal | undefined): Promise<string | null> {
    const { url, http, clock } = this.deps;
    const answer = await http.request({
      method: 'POST',
      url: `${url.replace(/\/+$/, '')}/api/v2/alerts`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(alerts.map((alert) => postableOf(alert, clock.now()))),
      ...(signal === undefined ? {} : { signal }),
    });
    if (answer.kind !== 'answer') return answer.detail;
    return answer.status < 300 ? null : `answered ${answer.status}: ${answer.body.slice(0, 200)}`;
  }
}
