/**
 * The words of the status page: what later areas may know of it. Types and names; no behaviour.
 */
import type { ComponentId } from '../alerting/contract.js';
import type { World } from '../pipeline/contract.js';

/**
 * What the public is told of a component, from good to bad. `unknown` is no shade of good: nothing proves that it works,
 * and nothing says how it fails.
 */
export const PUBLIC_STATES = [
  'operational',
  'under_maintenance',
  'degraded_performance',
  'unknown',
  'partial_outage',
  'major_outage',
] as const;
export type PublicState = (typeof PUBLIC_STATES)[number];

/** What a person can say of a component: never that it is well, and never that nobody knows. */
export const WORSENINGS = ['under_maintenance', 'degraded_performance', 'partial_outage', 'major_outage'] as const;
export type Worsening = (typeof WORSENINGS)[number];

export interface StatusProof {
  /** All orders until then have been compared. */
  at: Date;
  /** Older than this it proves nothing any more. */
  until: Date;
  /** By what: `reconciliation of 3 of 3 stores with Shopify`. */
  by: string;
}

/** Something that a person said of a component. Told to the public as it stands. */
export interface StatusEntry {
  /** 12 lower-case letters and digits. */
  id: string;
  component: ComponentId;
  /** `null` = only a note. */
  worsen: Worsening | null;
  note: string;
  from: Date;
  until: Date;
  actor: string;
  createdAt: Date;
  /** Taken back before its end. */
  endedAt: Date | null;
  endedBy: string | null;
}

export interface StatusComponent {
  id: ComponentId;
  name: string;
  state: PublicState;
  /** Why it is not operational, in the public's words; empty when it is. */
  why: readonly string[];
  proof: StatusProof | null;
  changedAt: Date;
}

/** What the public is told now. */
export interface StatusView {
  world: World;
  state: PublicState;
  headline: string;
  /** When what is published was last found to be so; `null` = nothing was ever published. */
  confirmedAt: Date | null;
  components: readonly StatusComponent[];
}

export interface StatusDesk {
  status(): StatusView;
  /** Newest first. `live` = under way or still to come. */
  entries(
    filter: { state?: 'live' | 'all' },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: StatusEntry[]; nextCursor: string | null }>;
  /** @returns `refused` for what would make the page say something better; `null` when there is no such component */
  say(given: {
    component: string;
    worsen: Worsening | null;
    note: string;
    from: Date | null;
    until: Date;
    actor: string;
  }): Promise<{ entry: StatusEntry } | { refused: string } | null>;
  /** Takes back what a person said; what is measured shows again. `null` = there is no such entry. */
  end(id: string, actor: string): Promise<StatusEntry | null>;
}
