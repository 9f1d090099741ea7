import { GROUP_WAIT_MS, isNeverMuted, ruleNamed, type AlertRule, type EqualField } from '../catalogue.js';
import type { AlertChange, NotificationBody, NotificationReason, Severity } from '../contract.js';
import { liveKey, viewOf, type AlertRecord, type ChangeDraft, type NotificationDraft, type Told } from './record.js';

/** Past so many shops one alert speaks for all; back at so many or fewer for ten minutes, each speaks for itself again. */
export const COLLAPSE_ABOVE = 5;
export const UNFOLD_AFTER_MS = 10 * 60_000;

/** How often somebody is told again of what nobody has acknowledged. */
export const REPEAT_MS: Readonly<Record<Severity, number>> = {
  1: 30 * 60_000,
  2: 3_600_000,
  3: 4 * 3_600_000,
  4: 24 * 3_600_000,
};

/** An alert that can make others no news, as far as that needs it. */
export type Source = Pick<AlertRecord, 'id' | 'name' | 'world' | 'shop' | 'destination' | 'scope'>;

export interface ActiveSilence {
  id: string;
  name: string | null;
  shop: string | null;
  destination: string | null;
  endsAt: Date;
}

/** The alerts of one cause that are not closed, each about a shop. */
export interface Group {
  alerts: number;
  shops: number;
  /** How many of them nothing makes quiet, as far as they have been looked at. */
  audible: number;
  worst: Severity;
  firstSeenAt: Date;
  /** The open alert of many shops. */
  fleet: AlertRecord | null;
}

/** All that a decision over one alert needs of the others. */
export interface Surroundings {
  now: Date;
  sources: readonly Source[];
  silences: readonly ActiveSilence[];
  /** By `liveKey` of the cause. */
  groups: ReadonlyMap<string, Group>;
  /** Who hears of an alert. */
  listeners: (alert: AlertRecord) => readonly Pick<Told, 'channel' | 'recipient'>[];
}

export interface Said {
  changes: ChangeDraft[];
  notifications: NotificationDraft[];
}

/**
 * What is to be done about one alert now: open it when its wait is over, close it when nothing is open in it, mute it or
 * not, and tell whoever is to hear. Changes the record, and says when there is next something to decide. Pure otherwise.
 *
 * The order of questions is Alertmanager's (notify/dedup_stage.go): over, never told of, worse than told, told too long
 * ago, else nothing. What was never told is never resolved.
 */
export function look(alert: AlertRecord, surroundings: Surroundings, said: Said): void {
  if (alert.state === 'closed') return;
  const { now } = surroundings;
  const rule = ruleNamed(alert.name);
  const group = groupOf(alert, surroundings);
  const isOver = alert.isFleet ? isFleetOver(alert, group, now) : alert.signals === 0;
  // What may not wait is said even when it is over before anybody looked; of the rest only what is still so is news.
  const opens = alert.state === 'pending' && alert.dueAt <= now && (!isOver || rule?.forMs === 0);
  if (opens) {
    alert.state = 'open';
    alert.openedAt = now;
    record(alert, 'opened', said, now);
  }
  if (opens || !isOver) {
    raise(alert, rule, group, said, now);
    if (alert.state === 'open') {
      mute(alert, rule, group, surroundings, said);
      // When each shop's own is explained or silenced, all of them together are no news either.
      if (!alert.isFleet || (group?.audible ?? 0) > 0) tell(alert, surroundings, said);
    }
  }
  if (isOver) close(alert, said, now);
  alert.lookAt = nextLook(alert, surroundings);
}

function groupOf({ world, cause, dedupeKey, isFleet }: AlertRecord, { groups }: Surroundings): Group | undefined {
  const key = isFleet ? dedupeKey : cause;
  return key === null ? undefined : groups.get(liveKey(world, key));
}

/** Only ever worse while it is open: what was told as grave is called less grave by a person, afterwards. */
function raise(alert: AlertRecord, rule: AlertRule | undefined, group: Group | undefined, said: Said, now: Date): void {
  const own = alert.isFleet ? (group?.worst ?? null) : alert.tally.worst;
  const floor = group && rule?.severityOfMany ? rule.severityOfMany(group.shops) : null;
  const severity = Math.min(alert.severity, own ?? 4, floor ?? 4) as Severity;
  if (severity < alert.severity && alert.openedAt !== null && alert.openedAt < now) {
    record({ ...alert, severity }, 'changed', said, now, `severity ${alert.severity} → ${severity}`);
  }
  alert.severity = severity;
  if (!alert.isFleet || group === undefined) return;
  if (stepOf(group.shops) > stepOf(alert.shops) && alert.shops > 0) {
    record({ ...alert, shops: group.shops }, 'changed', said, now, `${alert.shops} → ${group.shops} shops`);
  }
  alert.shops = group.shops;
  alert.signals = group.alerts;
  if (rule?.summaryOfMany) alert.summary = rule.summaryOfMany({ signals: group.alerts, shops: group.shops }, alert);
}

/** 1, 2, 5, 10, 20, 50 …: what has passed none of these is no news. */
function stepOf(count: number): number {
  const tens = 10 ** Math.floor(Math.log10(Math.max(1, count)));
  return ([5, 2].find((step) => step * tens <= count) ?? 1) * tens;
}

function mute(
  alert: AlertRecord,
  rule: AlertRule | undefined,
  group: Group | undefined,
  surroundings: Surroundings,
  said: Said,
): void {
  const { now } = surroundings;
  // A rule that this release does not know is muted by nothing.
  if (rule === undefined || isNeverMuted(rule)) return;
  const was = isMuted(alert);
  const fleet = rule.collapses && !alert.isFleet ? group?.fleet : null;
  const foldedInto = fleet?.state === 'open' ? fleet.id : null;
  if (alert.foldedInto !== foldedInto) {
    alert.foldedInto = foldedInto;
    record(alert, foldedInto === null ? 'unfolded' : 'folded', said, now);
  }
  const wasQuiet = alert.inhibitedBy !== null || alert.silencedBy !== null;
  const source = surroundings.sources.find((candidate) => inhibits(candidate, alert, rule));
  alert.inhibitedBy = source?.id ?? null;
  const silence = surroundings.silences.find((candidate) => covers(candidate, alert, now));
  alert.silencedBy = silence?.id ?? null;
  const isQuiet = alert.inhibitedBy !== null || alert.silencedBy !== null;
  if (wasQuiet !== isQuiet) {
    const why = source ? `inhibited by ${source.name}` : silence ? `silence ${silence.id}` : null;
    record(alert, isQuiet ? 'muted' : 'unmuted', said, now, why);
  }
  // What made it no news is over; its consequences mostly end a moment later.
  if (was && !isMuted(alert)) alert.dueAt = new Date(now.getTime() + Math.max(GROUP_WAIT_MS, rule.forMs));
}

function isMuted({ foldedInto, inhibitedBy, silencedBy }: AlertRecord): boolean {
  return foldedInto !== null || inhibitedBy !== null || silencedBy !== null;
}

function inhibits(source: Source, target: AlertRecord, rule: AlertRule): boolean {
  if (source.id === target.id || source.world !== target.world) return false;
  return rule.inhibitedBy.some(
    ({ by, equal }) => by === source.name && equal.every((field) => sameField(source, target, field)),
  );
}

/** Nothing equals nothing: an alert about no shop in particular says nothing of one. */
function sameField(source: Source, target: AlertRecord, field: EqualField): boolean {
  return source[field] !== null && source[field] === target[field];
}

export function covers(
  silence: ActiveSilence,
  alert: Pick<AlertRecord, 'name' | 'shop' | 'destination'>,
  now: Date,
): boolean {
  return (
    silence.endsAt > now &&
    (silence.name === null || silence.name === alert.name) &&
    (silence.shop === null || silence.shop === alert.shop) &&
    (silence.destination === null || silence.destination === alert.destination)
  );
}

function tell(alert: AlertRecord, surroundings: Surroundings, said: Said): void {
  const { now } = surroundings;
  if (alert.acknowledged !== null && alert.acknowledged.nextLookAt <= now) {
    const { by, nextLookAt } = alert.acknowledged;
    alert.acknowledged = null;
    record(alert, 'unacknowledged', said, now, `${by} was to look again at ${nextLookAt.toISOString()}`);
    if (isMuted(alert)) return;
    for (const heard of alert.told) say(alert, heard, 'trigger', 'repeated', said, now);
    return;
  }
  if (isMuted(alert) || alert.dueAt > now) return;
  for (const listener of surroundings.listeners(alert)) {
    const heard = alert.told.find(({ channel, recipient }) => isOne(listener, { channel, recipient }));
    if (heard === undefined) say(alert, listener, 'trigger', 'new', said, now);
    else if (alert.severity !== heard.severity) say(alert, listener, 'trigger', 'changed', said, now);
    else if (alert.acknowledged === null && isSpent(heard, now)) say(alert, listener, 'trigger', 'repeated', said, now);
  }
}

const isOne = (one: Pick<Told, 'channel' | 'recipient'>, other: Pick<Told, 'channel' | 'recipient'>): boolean =>
  one.channel === other.channel && one.recipient === other.recipient;

function isSpent({ at, severity }: Told, now: Date): boolean {
  return now.getTime() - at.getTime() >= REPEAT_MS[severity];
}

/** An alert of many shops ends when it has spoken for few for long enough, or for none. */
function isFleetOver(alert: AlertRecord, group: Group | undefined, now: Date): boolean {
  const shops = group?.shops ?? 0;
  if (shops > COLLAPSE_ABOVE) alert.unfoldAt = null;
  else alert.unfoldAt ??= new Date(now.getTime() + UNFOLD_AFTER_MS);
  return shops === 0 || (alert.unfoldAt !== null && alert.unfoldAt <= now);
}

function close(alert: AlertRecord, said: Said, now: Date): void {
  alert.state = 'closed';
  alert.closedAt = now;
  record(alert, 'closed', said, now);
  for (const heard of alert.told) say(alert, heard, 'resolve', 'resolved', said, now);
}

function nextLook(alert: AlertRecord, { now, silences }: Surroundings): Date | null {
  if (alert.state === 'closed') return null;
  const instants: (Date | null | undefined)[] = [alert.unfoldAt];
  if (alert.state === 'pending') instants.push(alert.dueAt);
  else {
    instants.push(alert.acknowledged?.nextLookAt, silences.find(({ id }) => id === alert.silencedBy)?.endsAt);
    if (!isMuted(alert)) {
      if (alert.dueAt > now) instants.push(alert.dueAt);
      if (alert.acknowledged === null) {
        instants.push(...alert.told.map(({ at, severity }) => new Date(at.getTime() + REPEAT_MS[severity])));
      }
    }
  }
  const given = instants.filter((instant) => instant != null).map((instant) => instant.getTime());
  return given.length === 0 ? null : new Date(Math.min(...given));
}

/** Of one that is made open. */
export function recordOpened(alert: AlertRecord, said: Said): void {
  record(alert, 'opened', said, alert.openedAt ?? alert.firstSeenAt);
}

function record(
  alert: AlertRecord,
  change: AlertChange['change'],
  said: Said,
  now: Date,
  detail: string | null = null,
): void {
  said.changes.push({ alertId: alert.id, at: now, change, actor: null, detail, alert: viewOf(alert) });
}

export function say(
  alert: AlertRecord,
  { channel, recipient }: Pick<Told, 'channel' | 'recipient'>,
  action: NotificationDraft['action'],
  reason: NotificationReason,
  said: Pick<Said, 'notifications'>,
  now: Date,
): void {
  const { world, severity } = alert;
  said.notifications.push({
    alertId: alert.id,
    dedupeKey: alert.dedupeKey,
    world,
    channel,
    recipient,
    action,
    reason,
    severity,
    summary: alert.summary,
    at: now,
    body: bodyOf(alert),
  });
  if (action !== 'trigger') return;
  const others = alert.told.filter((heard) => !isOne(heard, { channel, recipient }));
  alert.told = [...others, { channel, recipient, severity, at: now }];
}

function bodyOf(alert: AlertRecord): NotificationBody {
  const { name, facts, evidence, runbook, shop, destination, signals, shops, firstSeenAt } = alert;
  const since = firstSeenAt.toISOString();
  return { name, class: alert.class, facts, evidence, runbook, shop, destination, signals, shops, since };
}
