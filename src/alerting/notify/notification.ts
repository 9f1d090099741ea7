import type { World } from '../../pipeline/contract.js';
import type { AlertClass, NotificationBody, NotificationReason, NotificationView, Severity } from '../contract.js';

/** One thing to be said to one recipient, as it was decided. */
export interface Notification {
  id: string;
  alertId: string | null;
  dedupeKey: string;
  world: World;
  channel: NotificationView['channel'];
  recipient: string;
  action: NotificationView['action'];
  reason: NotificationReason;
  severity: Severity;
  summary: string;
  body: NotificationBody;
  /** Counting the one under way. */
  attempts: number;
  createdAt: Date;
}

/** What became of one try to say it. */
export type Sent =
  | { outcome: 'taken' }
  /** It will never be taken as it is. */
  | { outcome: 'refused'; detail: string }
  /** Too much at once. @prop retryAfterMs what the far side asks for; `null` = it says nothing */
  | { outcome: 'throttled'; retryAfterMs: number | null; detail: string }
  /** @prop answered it did answer, so this one alone may be what it cannot bear */
  | { outcome: 'failed'; detail: string; answered: boolean; retryAfterMs?: number | null };

/** How a channel is spoken. Throws nothing: what the world does is a value. */
export interface Sending {
  send(notification: Notification, signal: AbortSignal): Promise<Sent>;
}

/** A row of `alerting.notification` as `NOTIFICATION_COLUMNS` reads it. */
export type NotificationRow = Omit<Notification, 'body'> & { body: unknown } & Record<string, unknown>;

export const NOTIFICATION_COLUMNS = `
  n.id::text as id, n.alert_id::text as "alertId", n.dedupe_key as "dedupeKey", n.world, n.channel, n.recipient, n.action,
  n.reason, n.severity, n.summary, n.body, n.attempts, n.created_at as "createdAt"`;

export function notificationOf(row: NotificationRow): Notification {
  return { ...row, body: bodyOf(row.body, row.createdAt) };
}

const CLASSES: readonly AlertClass[] = ['page', 'ticket', 'log'];

/**
 * A body as it was stored. What is not there reads as nothing rather than fails: a page with a gap in its text is still a
 * page.
 */
function bodyOf(stored: unknown, createdAt: Date): NotificationBody {
  const given = recordOf(stored);
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  const count = (value: unknown): number => (typeof value === 'number' ? value : 0);
  return {
    name: text(given['name']) ?? 'alert',
    class: CLASSES.find((each) => each === given['class']) ?? 'page',
    facts: recordOf(given['facts']),
    evidence: text(given['evidence']) ?? '',
    runbook: text(given['runbook']) ?? '',
    shop: text(given['shop']),
    destination: text(given['destination']),
    signals: count(given['signals']),
    shops: count(given['shops']),
    since: text(given['since']) ?? createdAt.toISOString(),
  };
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
