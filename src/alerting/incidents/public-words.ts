import type { IncidentState, Severity } from '../contract.js';
import { familyOf, type Family } from './cause.js';
import { clockOf } from './gate.js';
import { orders } from './severity.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** What the public is told about. */
export interface Told {
  cause: string;
  severity: Severity;
  touchesOrders: boolean;
  /** How many: none is ever named. 0 = nobody knows which. */
  shops: number;
  lost: number;
  unrecoverable: number;
  recovered: number;
  late: number;
  queued: number;
  declaredAt: Date;
}

/**
 * - `declared`, `reopened`: it is there, or there again
 * - `scope`: more shops than were told of
 * - `still`: the promised time has come and nothing is new
 * - `mitigated`: it goes on no more; what it has done is looked at
 * - `resolved`: over, and proved where orders were concerned
 */
export type News =
  | { kind: 'declared' | 'reopened' | 'scope' }
  | { kind: 'still'; mitigated: boolean; proved: number; of: number }
  | { kind: 'mitigated' }
  | { kind: 'resolved'; proofs: readonly string[]; notCompared: number };

/** GA4's and others' names as the public knows them. */
const KIND_NAMES: Readonly<Record<string, string>> = {
  ga4: 'Google Analytics 4',
  segment: 'Segment',
  postgres: 'the data warehouse',
  webhook: 'webhooks',
};

/**
 * Whether a customer could notice it, and so is told. Pure.
 *
 * Orders that may be missing or late are noticed. That nothing can be proved for a while, or that our own way to people
 * is broken, changes nothing for a customer: the status page turns unknown by itself.
 */
export function isPublic({ touchesOrders, severity }: Pick<Told, 'touchesOrders' | 'severity'>): boolean {
  return touchesOrders && severity <= 2;
}

/**
 * What an incident is called, in public too: what a customer notices, never whose fault it is, and no shop's name. It is
 * `delayed` as long as nobody knows that anything is lost. Pure.
 */
export function titleOf(cause: string, shops: number): string {
  switch (familyOf(cause)) {
    case 'removal':
      return `Order events of ${stores(shops)} delayed`;
    case 'destination':
      return `Deliveries to ${destinationOf(cause)} delayed`;
    case 'intake':
      return 'Order intake delayed';
    case 'processing':
      return 'Order processing delayed';
    case 'orders':
      return `Orders of ${stores(shops)} delayed at their destinations`;
    case 'silence':
      return `No orders arriving from ${stores(shops)}`;
    case 'proof':
      return 'Comparison of orders delayed';
    case 'telling':
      return 'Alerting impaired';
    case 'other':
    case 'declared':
      return 'Service impaired';
  }
}

/** When the public hears of it again: often at first. Pure. */
export function nextUpdateAfterMs(severity: Severity, ageMs: number): number {
  const isFresh = ageMs < 2 * HOUR_MS;
  if (severity === 1) return isFresh ? 20 * MINUTE_MS : HOUR_MS;
  if (severity === 2) return isFresh ? 30 * MINUTE_MS : 2 * HOUR_MS;
  return DAY_MS;
}

/**
 * One public update. Pure. It promises when it will be told again, never when it will be over; its end says what was
 * lost, "none" among the answers.
 *
 * @param nextUpdateAt `null` with `resolved` only
 */
export function bodyOf(news: News, told: Told, nowAt: Date, nextUpdateAt: Date | null): string {
  const said = [...sentences(news, told, nowAt)];
  if (nextUpdateAt !== null) said.push(`Next update by ${dayAndClock(nextUpdateAt, nowAt)}.`);
  return said.join(' ');
}

/** In which state the public sees it after that news. Pure. */
export function stateAfter(cause: string, news: 'going-on' | 'mitigated' | 'resolved'): IncidentState {
  if (news === 'resolved') return 'resolved';
  if (news === 'mitigated') return 'monitoring';
  return IDENTIFIED.has(familyOf(cause)) ? 'identified' : 'investigating';
}

/** Causes that say what is wrong; of the others only what follows from it is seen. */
const IDENTIFIED: ReadonlySet<Family> = new Set(['removal', 'destination']);

function sentences(news: News, told: Told, nowAt: Date): string[] {
  switch (news.kind) {
    case 'declared':
      return [begunOf(told), ...figures(told)];
    case 'reopened':
      return ['It goes on again.', begunOf(told), ...figures(told)];
    case 'scope':
      return [`${capital(stores(told.shops))} ${told.shops === 1 ? 'is' : 'are'} affected by now.`, ...figures(told)];
    case 'still':
      if (!news.mitigated) return ['We are still working on it.', ...figures(told)];
      return [
        `It goes on no more; the comparison is under way, complete for ${news.proved} of ${stores(news.of)}.`,
        ...figures(told),
      ];
    case 'mitigated':
      return [overOf(told), ...figures(told)];
    case 'resolved':
      return resolvedOf(news, told, nowAt);
  }
}

function begunOf(told: Told): string {
  switch (familyOf(told.cause)) {
    case 'removal':
      return (
        `New orders of ${stores(told.shops)} reach their destinations late. ` +
        'What is not sent to us is read from the stores and brought in.'
      );
    case 'destination':
      return `Deliveries to ${destinationOf(told.cause)} are delayed. Orders are held, not lost.`;
    case 'intake':
      return 'Taking in new orders is delayed. What is not taken in at once is sent to us again.';
    case 'processing':
      return 'New orders reach their destinations late. They are stored, not lost.';
    case 'orders':
      return `Orders of ${stores(told.shops)} have not reached their destinations. They are being brought in.`;
    case 'silence':
      return `No orders come from ${stores(told.shops)} where some usually would by now. We are looking into why.`;
    case 'proof':
      return 'Comparing orders with what has arrived is delayed. Nothing is known to be wrong with them.';
    case 'telling':
    case 'other':
    case 'declared':
      return told.touchesOrders ? 'Orders may reach their destinations late.' : 'The service is impaired.';
  }
}

function overOf(told: Told): string {
  const compared = 'Every order of that time is now compared with what has arrived.';
  switch (familyOf(told.cause)) {
    case 'destination':
      return `Deliveries to ${destinationOf(told.cause)} are accepted again. ${compared}`;
    case 'removal':
    case 'silence':
      return `New orders arrive as they should again. ${compared}`;
    case 'intake':
    case 'processing':
    case 'orders':
      return `Orders reach their destinations as they should again. ${compared}`;
    case 'proof':
    case 'telling':
    case 'other':
    case 'declared':
      return told.touchesOrders ? `It goes on no more. ${compared}` : 'It goes on no more; we keep watching.';
  }
}

function resolvedOf({ proofs, notCompared }: Extract<News, { kind: 'resolved' }>, told: Told, nowAt: Date): string[] {
  if (!told.touchesOrders) return ['Resolved. No orders were affected. Data loss: none.'];
  const said = ['Resolved.'];
  if (proofs.length > 0) {
    said.push(
      `Proved at ${clockOf(nowAt)} by reconciliation: every order of that time was compared with what has arrived.`,
    );
  }
  if (notCompared > 0) {
    const were = notCompared === 1 ? 'It has' : 'They have';
    said.push(`${capital(stores(notCompared))} could not be compared. ${were} removed the app since.`);
  }
  said.push(
    told.unrecoverable > 0
      ? `Data loss: ${orders(told.unrecoverable)} could not be brought to every destination.`
      : 'Data loss: none.',
  );
  if (told.recovered > 0) said.push(`${capital(orders(told.recovered))} brought in afterwards.`);
  said.push(told.late > 0 ? `${capital(orders(told.late))} over 15 minutes late.` : 'No order was late.');
  return said;
}

function figures(told: Told): string[] {
  const said: string[] = [];
  if (familyOf(told.cause) === 'destination' && told.queued > 0)
    said.push(`Held, not lost: ${orders(told.queued)} queued.`);
  const coming = told.lost - told.unrecoverable;
  if (coming > 0) said.push(`Being brought in: ${orders(coming)}.`);
  if (told.recovered > 0) said.push(`Brought in so far: ${orders(told.recovered)}.`);
  if (told.unrecoverable > 0) said.push(`Not to be brought in by us: ${orders(told.unrecoverable)}.`);
  if (told.late > 0) said.push(`Over 15 minutes late: ${orders(told.late)}.`);
  return said;
}

function destinationOf(cause: string): string {
  const kind = cause.split(':')[1] ?? '';
  return KIND_NAMES[kind] ?? 'a destination';
}

function stores(count: number): string {
  if (count === 0) return 'some stores';
  return count === 1 ? '1 store' : `${count} stores`;
}

function dayAndClock(at: Date, nowAt: Date): string {
  const day = at.toISOString().slice(0, 10);
  return day === nowAt.toISOString().slice(0, 10) ? clockOf(at) : `${day} ${clockOf(at)}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
