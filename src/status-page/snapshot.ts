import { createHash } from 'node:crypto';
import type { ComponentId, IncidentState, Severity } from '../alerting/contract.js';
import type { World } from '../pipeline/contract.js';
import type { PublicState, Worsening } from './contract.js';

/** The published snapshot: everything the page says, but how old it is. Kept as JSON, so instants are milliseconds. */
export interface Snapshot {
  world: World;
  components: readonly SnapshotComponent[];
  entries: readonly SnapshotEntry[];
  /** Newest first. */
  incidents: readonly SnapshotIncident[];
  days: Readonly<Record<string, DayStrip>>;
  throughput: { yesterday: Arrivals | null; last28Days: Arrivals | null };
  /** When the page was first published, and when what it says last changed. */
  createdAtMs: number;
  changedAtMs: number;
}

export interface SnapshotComponent {
  id: ComponentId;
  /** What is wrong with it; what shows is decided by `shownAt`, at the time somebody looks. */
  troubles: readonly Trouble[];
  /** `publication`: that it is published is the proof. `null` = there is none. */
  proof: Proof | 'publication' | null;
  createdAtMs: number;
  changedAtMs: number;
}

export interface Trouble {
  state: PublicState;
  words: string;
}

export interface Proof {
  atMs: number;
  goodUntilMs: number;
  by: string;
}

export interface SnapshotEntry {
  id: string;
  component: ComponentId;
  worsen: Worsening | null;
  note: string;
  fromMs: number;
  untilMs: number;
  createdAtMs: number;
}

export interface SnapshotIncident {
  id: string;
  title: string;
  severity: Severity;
  state: IncidentState;
  components: readonly { id: ComponentId; before: PublicState }[];
  stores: number;
  touchesOrders: boolean;
  ordersLost: number;
  ordersUnrecoverable: number;
  ordersLate: number;
  ordersRecovered: number;
  startedAtMs: number;
  declaredAtMs: number;
  mitigatedAtMs: number | null;
  resolvedAtMs: number | null;
  /** When the public was promised to hear more. */
  nextUpdateAtMs: number | null;
  /** Newest first; at least one. */
  updates: readonly { id: string; atMs: number; state: IncidentState; body: string }[];
}

/** What a component's days are counted in. */
export type DayUnit = 'orders' | 'stores' | 'minutes';

export interface DayStrip {
  unit: DayUnit;
  /** Oldest first, today last; days of which nothing is known are left out. */
  days: readonly DayFigure[];
}

export interface DayFigure {
  /** `2026-08-22`, UTC. */
  day: string;
  owed: number;
  arrived: number;
  /** `false`: destinations may still show more, or hours of it are not compared yet. */
  isSettled: boolean;
}

export interface Arrivals {
  owed: number;
  arrived: number;
  /** Of how many days. */
  days: number;
}

/** With the instant at which it was last found to be so. */
export interface Publication {
  version: string;
  confirmedAtMs: number;
  snapshot: Snapshot;
}

/** 12 lower-case letters and digits, the same for the same name for ever: what Statuspage's readers take for an id. */
export function publicId(name: string): string {
  return BigInt(`0x${createHash('sha256').update(name).digest('hex')}`)
    .toString(36)
    .padStart(12, '0')
    .slice(-12);
}

export function newestAt(incident: SnapshotIncident): number {
  return Math.max(incident.declaredAtMs, incident.resolvedAtMs ?? 0, ...incident.updates.map(({ atMs }) => atMs));
}
