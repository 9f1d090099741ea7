import type { SignalKind, SignalView } from '../monitoring/contract.js';
import type { DestinationKind, World } from '../pipeline/contract.js';
import type { AlertClass, Route, Severity } from './contract.js';
import { DELIVERY_RULES } from './rules/delivery.js';
import { INTAKE_RULES } from './rules/intake.js';
import { OBJECTIVE_RULES } from './rules/objectives.js';
import { ORDER_RULES } from './rules/orders.js';
import { SERVICE_RULES } from './rules/service.js';
import { SUBSCRIPTION_RULES } from './rules/subscriptions.js';

/** A signal as the catalogue sees it. */
export interface Seen extends Pick<
  SignalView,
  'id' | 'kind' | 'subject' | 'shop' | 'destination' | 'facts' | 'evidence'
> {
  world: World;
  destinationKind: DestinationKind | null;
}

/** What two alerts have in common when one makes the other no news. The world is always the same. */
export type EqualField = 'shop' | 'destination' | 'scope';

export interface Inhibition {
  /** The name of the alert that says it already. */
  by: string;
  equal: readonly EqualField[];
}

/** A signal for a test: whatever it leaves out is as `seen` of the fixtures has it. */
export type Fixture = Partial<Omit<Seen, 'kind' | 'id'>>;

/** One alert: all there is to know of it, in one place. Decisions over it are pure. */
export interface AlertRule {
  name: string;
  /** Of monitoring's signals; `null` = of no signal: it is always firing. */
  kind: SignalKind | null;
  /** Which of the kind's open signals it is about. */
  when: (seen: Seen) => boolean;
  /**
   * What it means that nobody looks any more. It never closes by itself. `keeps`: it stays as it was, and says since when
   * nobody looked. `opens`: besides, not knowing is as bad as knowing the worst: somebody is paged for the stalled watch.
   */
  noData: 'keeps' | 'opens';
  class: AlertClass;
  route: Route;
  /** Of one signal, by what it says. */
  severity: (seen: Seen) => Severity;
  /** At least this bad, by how many shops have the same cause. */
  severityOfMany?: (shops: number) => Severity | null;
  /** How long it must have been so before anybody is told. */
  forMs: number;
  inhibitedBy: readonly Inhibition[];
  /** The cause's identity, `domain:object:cause`. Signals with one key are one alert. Never an instant. */
  key: (seen: Seen) => string;
  /** Whether signals about different things have one key: then no single signal's facts speak for it. */
  gathers: boolean;
  /** What else two alerts may have in common: a kind of destination, an objective. */
  scope: (seen: Seen) => string | null;
  /** The key that the same cause has over all shops; `null` = it is never counted over shops. */
  cause: ((seen: Seen) => string) | null;
  /** Whether, past five shops, the alert of many shops speaks for it. */
  collapses: boolean;
  runbook: string;
  /** One line for somebody who was asleep. */
  summary: (seen: Seen) => string;
  /** The same of many: signals when it gathers, shops when it collapses; either owes it. */
  summaryOfMany?: (count: { signals: number; shops: number }, alert: { scope: string | null }) => string;
  /** Signals that open it, and signals of the same kind that do not. */
  firing: readonly Fixture[];
  quiet: readonly Fixture[];
}

/** The alert that is always open: that it stops is how others learn of our own silence. */
export const WATCHDOG = 'watchdog';

/**
 * Invariant 9: told on a route of their own, under a key of their own, at once. No wait, no silence, no inhibition and no
 * collapse touches them; the catalogue's own test and the decisions both hold to it.
 */
export const NEVER_MUTED: ReadonlySet<SignalKind> = new Set(['subscription-removed', 'order-missing']);

/**
 * The least wait of whatever can be inhibited or folded. Decisions over several alerts are made when it is over, so they
 * do not depend on which signal was heard of first.
 */
export const GROUP_WAIT_MS = 15_000;

export const CATALOGUE: readonly AlertRule[] = [
  ...ORDER_RULES,
  ...OBJECTIVE_RULES,
  ...INTAKE_RULES,
  ...SUBSCRIPTION_RULES,
  ...DELIVERY_RULES,
  ...SERVICE_RULES,
];

const BY_NAME = new Map(CATALOGUE.map((rule) => [rule.name, rule]));
const BY_KIND = Map.groupBy(CATALOGUE, ({ kind }) => kind);

/** @returns `undefined` for what an older or newer release has declared */
export function ruleNamed(name: string): AlertRule | undefined {
  return BY_NAME.get(name);
}

/** The alerts that an open signal belongs to. */
export function rulesFor(seen: Seen): readonly AlertRule[] {
  return (BY_KIND.get(seen.kind) ?? []).filter(({ when }) => when(seen));
}

export function isNeverMuted({ kind }: AlertRule): boolean {
  return kind !== null && NEVER_MUTED.has(kind);
}

/** Names of the alerts that one makes no news of. */
export function inhibitedByName(name: string): readonly { target: string; equal: readonly EqualField[] }[] {
  return CATALOGUE.flatMap((rule) =>
    rule.inhibitedBy.flatMap(({ by, equal }) => (by === name ? [{ target: rule.name, equal }] : [])),
  );
}
