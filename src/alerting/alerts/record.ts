import type { World } from '../../pipeline/contract.js';
import type {
  Acknowledgement,
  AlertChange,
  AlertClass,
  AlertState,
  AlertView,
  NotificationBody,
  NotificationReason,
  NotificationView,
  Route,
  Severity,
} from '../contract.js';

/** Somebody who has heard of an alert, and what they heard last. */
export interface Told {
  channel: NotificationView['channel'];
  recipient: string;
  severity: Severity;
  at: Date;
}

/** An alert while it is decided about: its row, and how many of its signals are open by shop and severity. */
export interface AlertRecord {
  id: string;
  name: string;
  dedupeKey: string;
  world: World;
  class: AlertClass;
  severity: Severity;
  state: AlertState;
  route: Route;
  summary: string;
  facts: Readonly<Record<string, unknown>>;
  evidence: string;
  runbook: string;
  shop: string | null;
  destination: string | null;
  scope: string | null;
  cause: string | null;
  isFleet: boolean;
  signals: number;
  shops: number;
  count: number;
  firstSeenAt: Date;
  lastSeenAt: Date;
  dueAt: Date;
  lookAt: Date | null;
  openedAt: Date | null;
  closedAt: Date | null;
  acknowledged: Acknowledgement | null;
  foldedInto: string | null;
  inhibitedBy: string | null;
  silencedBy: string | null;
  /** Of an alert of many shops: when it ends, because it has spoken for few since. */
  unfoldAt: Date | null;
  unwatchedSince: Date | null;
  told: readonly Told[];
  tally: Tally;
}

/** Open signals by shop, and within it by severity. Exact however large, so that a change costs no look at the others. */
export class Tally {
  private readonly shops = new Map<string | null, [number, number, number, number]>();

  add(shop: string | null, severity: Severity, by: number): void {
    const counts = this.shops.get(shop) ?? [0, 0, 0, 0];
    counts[severity - 1] = Math.max(0, (counts[severity - 1] ?? 0) + by);
    if (counts.every((count) => count === 0)) this.shops.delete(shop);
    else this.shops.set(shop, counts);
  }

  get signals(): number {
    let sum = 0;
    for (const counts of this.shops.values()) for (const count of counts) sum += count;
    return sum;
  }

  get shopCount(): number {
    return this.shops.size - (this.shops.has(null) ? 1 : 0);
  }

  /** `null` when nothing is open. */
  get worst(): Severity | null {
    const all = [...this.shops.values()];
    return ([1, 2, 3, 4] as const).find((severity) => all.some((counts) => (counts[severity - 1] ?? 0) > 0)) ?? null;
  }
}

/** A signal in an alert. */
export interface Membership {
  signalId: string;
  alertId: string;
  shop: string | null;
  severity: Severity;
  facts: Readonly<Record<string, unknown>>;
  isOpen: boolean;
}

/** What a decision adds to the history of an alert. */
export interface ChangeDraft {
  alertId: string;
  at: Date;
  change: AlertChange['change'];
  actor: string | null;
  detail: string | null;
  alert: AlertView;
}

/** What a decision wants said. */
export interface NotificationDraft {
  alertId: string;
  dedupeKey: string;
  world: World;
  channel: NotificationView['channel'];
  recipient: string;
  action: NotificationView['action'];
  reason: NotificationReason;
  severity: Severity;
  summary: string;
  at: Date;
  body: NotificationBody;
}

export function viewOf(record: AlertRecord): AlertView {
  return {
    id: record.id,
    name: record.name,
    dedupeKey: record.dedupeKey,
    world: record.world,
    class: record.class,
    severity: record.severity,
    state: record.state,
    route: record.route,
    summary: record.summary,
    facts: record.facts,
    evidence: record.evidence,
    runbook: record.runbook,
    shop: record.shop,
    destination: record.destination,
    signals: record.signals,
    shops: record.shops,
    count: record.count,
    firstSeenAt: record.firstSeenAt,
    lastSeenAt: record.lastSeenAt,
    openedAt: record.openedAt,
    closedAt: record.closedAt,
    acknowledged: record.acknowledged,
    foldedInto: record.foldedInto,
    inhibitedBy: record.inhibitedBy,
    silencedBy: record.silencedBy,
    unwatchedSince: record.unwatchedSince,
  };
}

/** The key by which alerts that are not closed are one. */
export function liveKey(world: World, dedupeKey: string): string {
  return `${world} ${dedupeKey}`;
}
