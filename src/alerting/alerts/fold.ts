import { invariant } from '../../kernel/errors.js';
import type { SignalChange } from '../../monitoring/contract.js';
import type { World } from '../../pipeline/contract.js';
import { ruleNamed, rulesFor, type AlertRule, type Seen } from '../catalogue.js';
import { look, type Surroundings, type Said } from './look.js';
import { Tally, liveKey, type AlertRecord, type Membership } from './record.js';

/** A signal's change, with what the catalogue says of it. */
export interface Folding {
  change: SignalChange;
  seen: Seen;
  /** Which alerts the signal belongs to from here on; none when it has closed. */
  targets: readonly Target[];
}

export interface Target {
  rule: AlertRule;
  key: string;
  cause: string | null;
}

/** The alerts and memberships that a batch touches, as they are when it has been worked up to here. */
export interface Book {
  /** Alerts that are not closed, by `liveKey`. */
  live: Map<string, AlertRecord>;
  byId: Map<string, AlertRecord>;
  /** Open memberships, by signal. */
  members: Map<string, Membership[]>;
  /** To be written. */
  touched: Set<AlertRecord>;
  touchedMembers: Set<Membership>;
  /** Fresh ids for alerts, at least one for each that may be opened. */
  nextId: () => string;
}

export function foldingOf(change: SignalChange, seen: Seen): Folding {
  const targets =
    change.change === 'closed'
      ? []
      : rulesFor(seen).map((rule) => ({
          rule,
          key: rule.key(seen).slice(0, KEY_MAX),
          cause: rule.cause?.(seen) ?? null,
        }));
  return { change, seen, targets };
}

/** The pager's limit, and so ours. */
const KEY_MAX = 255;
const SUMMARY_MAX = 1_024;

/**
 * Folds one change of a signal into its alerts.
 *
 * The order of changes of one signal counts; that of different signals does not: what several alerts decide together is
 * decided when their waits are over (`look`), not here. What was opened and is over within one batch is still said.
 */
export function fold(book: Book, { change, seen, targets }: Folding, surroundings: Surroundings, said: Said): void {
  const now = surroundings.now;
  for (const member of book.members.get(seen.id) ?? []) {
    const alert = book.byId.get(member.alertId);
    invariant(alert !== undefined, 'a signal is in an alert that was not loaded', { alert: member.alertId });
    if (alert.state !== 'closed' && targets.some(({ key }) => key === alert.dedupeKey)) continue;
    leave(book, alert, member, change);
    if (alert.signals === 0) look(alert, surroundings, said);
  }
  const stays = (book.members.get(seen.id) ?? []).filter(({ isOpen }) => isOpen);
  book.members.set(seen.id, stays);
  for (const target of targets) {
    const known = book.live.get(liveKey(seen.world, target.key));
    // Closed within this batch: what comes now is another one.
    const alert = known === undefined || known.state === 'closed' ? open(book, target, seen, change, now) : known;
    join(book, alert, target, seen, change, now);
  }
}

function open(book: Book, target: Target, seen: Seen, change: SignalChange, now: Date): AlertRecord {
  const record = { ...emptyRecord(target.rule, target, seen, now), id: book.nextId() };
  record.firstSeenAt = change.at;
  record.lastSeenAt = change.at;
  book.live.set(liveKey(record.world, record.dedupeKey), record);
  book.byId.set(record.id, record);
  return record;
}

/** An alert in which nothing is open yet. */
export function emptyRecord(
  rule: AlertRule,
  { key, cause }: Pick<Target, 'key' | 'cause'>,
  seen: Seen,
  now: Date,
): AlertRecord {
  const dueAt = new Date(now.getTime() + rule.forMs);
  return {
    id: '',
    name: rule.name,
    dedupeKey: key,
    world: seen.world,
    class: rule.class,
    severity: 4,
    state: 'pending',
    route: rule.route,
    summary: '',
    facts: {},
    evidence: seen.evidence,
    runbook: rule.runbook,
    shop: rule.gathers ? null : seen.shop,
    destination: rule.gathers ? null : seen.destination,
    scope: rule.scope(seen),
    cause,
    isFleet: false,
    signals: 0,
    shops: 0,
    count: 0,
    firstSeenAt: now,
    lastSeenAt: now,
    dueAt,
    lookAt: dueAt,
    openedAt: null,
    closedAt: null,
    acknowledged: null,
    foldedInto: null,
    inhibitedBy: null,
    silencedBy: null,
    unfoldAt: null,
    unwatchedSince: null,
    told: [],
    tally: new Tally(),
  };
}

function join(book: Book, alert: AlertRecord, { rule }: Target, seen: Seen, change: SignalChange, now: Date): void {
  const severity = rule.severity(seen);
  const members = book.members.get(seen.id) ?? [];
  let member = members.find(({ alertId }) => alertId === alert.id);
  if (member) alert.tally.add(member.shop, member.severity, -1);
  else {
    member = { signalId: seen.id, alertId: alert.id, shop: seen.shop, severity, facts: {}, isOpen: true };
    book.members.set(seen.id, [...members, member]);
  }
  member.severity = severity;
  member.facts = seen.facts;
  alert.tally.add(member.shop, severity, 1);
  alert.count += 1;
  alert.lastSeenAt = later(alert.lastSeenAt, change.at);
  alert.firstSeenAt = earlier(alert.firstSeenAt, change.at);
  alert.evidence = rule.gathers ? evidenceOfMany(alert) : seen.evidence;
  alert.facts = rule.gathers ? factsOfMany(alert) : seen.facts;
  retally(alert);
  alert.summary = summaryOf(rule, alert, seen);
  if (alert.state === 'pending') alert.severity = alert.tally.worst ?? severity;
  // Worse than it was told: there is something to decide. More of the same is only counted.
  if (alert.state === 'open' && severity < alert.severity) alert.lookAt = now;
  book.touched.add(alert);
  book.touchedMembers.add(member);
}

function leave(book: Book, alert: AlertRecord, member: Membership, change: SignalChange): void {
  member.isOpen = false;
  alert.tally.add(member.shop, member.severity, -1);
  alert.lastSeenAt = later(alert.lastSeenAt, change.at);
  retally(alert);
  const rule = ruleNamed(alert.name);
  if (rule?.gathers === true && rule.summaryOfMany)
    alert.summary = rule.summaryOfMany(alert, alert).slice(0, SUMMARY_MAX);
  book.touched.add(alert);
  book.touchedMembers.add(member);
}

function retally(alert: AlertRecord): void {
  alert.signals = alert.tally.signals;
  alert.shops = alert.tally.shopCount;
}

/** Which signals they are is told by the alert itself: no one of them speaks for all. */
const evidenceOfMany = ({ id }: AlertRecord): string => `/api/v1/alerts/${id}`;
const factsOfMany = ({ scope }: AlertRecord): Record<string, unknown> => (scope === null ? {} : { scope });

export function summaryOf(rule: AlertRule, alert: AlertRecord, seen: Seen): string {
  const text =
    rule.gathers && rule.summaryOfMany
      ? rule.summaryOfMany({ signals: alert.signals, shops: alert.shops }, alert)
      : rule.summary(seen);
  return text.slice(0, SUMMARY_MAX);
}

const later = (one: Date, other: Date): Date => (one > other ? one : other);
const earlier = (one: Date, other: Date): Date => (one < other ? one : other);

/** World and key of everything a batch may touch, for loading. */
export function keysOf(foldings: readonly Folding[]): { world: World; key: string }[] {
  const keys = new Map<string, { world: World; key: string }>();
  for (const { seen, targets } of foldings) {
    for (const { key } of targets) keys.set(liveKey(seen.world, key), { world: seen.world, key });
  }
  return [...keys.values()];
}
