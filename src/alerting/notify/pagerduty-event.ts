import type { event } from '@pagerduty/pdjs';
import type { Notification } from './notification.js';
import { cut, linksOf, summaryOf, whomOf, wordsOf, type PublicUrl } from './words.js';

export type PagerEvent = Parameters<typeof event>[0]['data'];

/** Source: PagerDuty developer docs, "Events API v2", "Overview" and "Trigger events". */
const EVENT_BYTES_MAX = 512 * 1024;
const DEDUP_KEY_CHARS_MAX = 255;
const SOURCE_CHARS_MAX = 255;

const SEVERITIES = { 1: 'critical', 2: 'error', 3: 'warning', 4: 'info' } as const;

/**
 * One event of PagerDuty's Events API v2. Whatever the alert holds, the event is within PagerDuty's limits: its details go
 * before it fails.
 *
 * @throws RangeError when the key alone is too long; to shorten it would make two causes one
 */
export function pagerEvent(notification: Notification, routingKey: string, publicUrl: PublicUrl): PagerEvent {
  const { dedupeKey, action, severity, body } = notification;
  if (dedupeKey.length > DEDUP_KEY_CHARS_MAX)
    throw new RangeError(`the key has over ${DEDUP_KEY_CHARS_MAX} characters`);
  const source = cut(body.shop ?? body.destination ?? 'plumbline', SOURCE_CHARS_MAX);
  const plain = {
    routing_key: routingKey,
    event_action: action,
    dedup_key: dedupeKey,
    payload: { summary: summaryOf(notification), source, severity: SEVERITIES[severity] },
  };
  if (action !== 'trigger') return plain;
  const { lines } = wordsOf(notification, publicUrl);
  const hit = whomOf(notification);
  const event = {
    ...plain,
    client: 'Plumbline',
    ...(publicUrl === null ? {} : { client_url: publicUrl }),
    links: linksOf(notification, publicUrl),
    payload: {
      ...plain.payload,
      timestamp: body.since,
      component: body.destination ?? 'order pipeline',
      group: notification.recipient,
      class: body.name,
      custom_details: {
        text: lines.join('\n'),
        facts: body.facts,
        since: body.since,
        ...(hit === '' ? {} : { hit }),
        signals: body.signals,
        shops: body.shops,
        severity: `SEV${severity}`,
        runbook: body.runbook,
        evidence: body.evidence,
      },
    },
  };
  return [event, withoutFacts(event), plain].find((each) => sizeOf(each) <= EVENT_BYTES_MAX) ?? plain;
}

function withoutFacts<Event extends { payload: { custom_details: { text: string; facts: unknown } } }>(
  event: Event,
): PagerEvent {
  const { text, facts: _, ...details } = event.payload.custom_details;
  const shorter = { ...details, text: cut(text, 10_000), dropped: 'facts: too large for PagerDuty' };
  return { ...(event as unknown as PagerEvent), payload: { ...event.payload, custom_details: shorter } as never };
}

function sizeOf(event: object): number {
  return Buffer.byteLength(JSON.stringify(event));
}
