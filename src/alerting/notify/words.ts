import type { Notification } from './notification.js';

/** Where people reach the service; `null` = not configured, and there is nothing to link to. */
export type PublicUrl = string | null;

export interface Link {
  href: string;
  text: string;
}

/** A notification as people read it, the same in every channel. */
export interface Words {
  /** One line. */
  title: string;
  /** What, since when, how many, what to do next; one thought a line. */
  lines: string[];
  links: Link[];
}

const SUMMARY_CHARS_MAX = 1_024;
const FACT_CHARS_MAX = 300;
const FACTS_SAID_MAX = 20;

const SEVERITY_WORDS = { 1: 'SEV1', 2: 'SEV2', 3: 'SEV3', 4: 'SEV4' } as const;

/** What a person needs at three in the morning: what it is, since when, whom it hits, what to do. */
export function wordsOf(notification: Notification, publicUrl: PublicUrl): Words {
  const { body, action, severity, reason } = notification;
  const facts = Object.entries(body.facts)
    .filter(([, value]) => value !== null && value !== undefined && value !== '')
    .slice(0, FACTS_SAID_MAX)
    .map(([name, value]) => `${name}: ${factText(value)}`);
  const lines = [
    ...(reason === 'repeated' ? ['It is still so.'] : []),
    ...facts,
    `since: ${minuteOf(body.since)}`,
    ...(whomOf(notification) === '' ? [] : [`hit: ${whomOf(notification)}`]),
    ...(action === 'trigger' && body.runbook !== '' ? [`next step: runbook ${body.runbook}`] : []),
  ];
  const verb = { trigger: SEVERITY_WORDS[severity], acknowledge: 'Acknowledged', resolve: 'Resolved' }[action];
  return { title: `[${verb}] ${summaryOf(notification)}`, lines, links: linksOf(notification, publicUrl) };
}

/** At most 1,024 characters, cut where a character ends. */
export function summaryOf({ summary }: Pick<Notification, 'summary'>): string {
  const oneLine = summary.replaceAll(/\s+/g, ' ').trim();
  return cut(oneLine, SUMMARY_CHARS_MAX);
}

export function cut(text: string, most: number): string {
  const characters = [...text];
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}…`;
}

export function linksOf({ body }: Pick<Notification, 'body'>, publicUrl: PublicUrl): Link[] {
  if (publicUrl === null) return [];
  const base = publicUrl.replace(/\/+$/, '');
  const evidence = body.evidence.startsWith('/') ? [{ href: `${base}${body.evidence}`, text: 'Evidence (API)' }] : [];
  return [
    ...(body.runbook === '' ? [] : [{ href: `${base}/runbooks/${encodeURIComponent(body.runbook)}`, text: 'Runbook' }]),
    ...evidence,
    ...(body.shop === null
      ? []
      : [{ href: `${base}/api/v1/alerts?shop=${encodeURIComponent(body.shop)}`, text: 'Alerts of this shop (API)' }]),
  ];
}

/** Which stores and destination, in words; empty when it is about neither. */
export function whomOf({ body }: Pick<Notification, 'body'>): string {
  const shops = body.shops > 1 ? `${body.shops} stores` : (body.shop ?? '');
  return [shops, body.destination ?? ''].filter((part) => part !== '').join(', ');
}

function factText(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return cut(text, FACT_CHARS_MAX);
}

/** `2026-11-27 09:14 UTC`: the same wherever it is read. */
export function minuteOf(instant: string): string {
  const at = new Date(instant);
  if (Number.isNaN(at.getTime())) return instant;
  return `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
