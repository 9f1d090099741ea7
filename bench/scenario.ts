import type { Cost, Lab } from './lab.js';

export interface Settings {
  quick: boolean;
  full: boolean;
  rounds: number;
  /** Length of one timed stretch. */
  seconds: number;
  warmUpSeconds: number;
  /** Rows in the grown ledger. */
  ledgerRows: number;
}

/** One contender measured once. Costs are per event. */
export interface Sample {
  perSecond: number;
  appMicros: number;
  databaseMicros: number;
  othersCores: number;
  /** Whatever else this measurement is about, each with its unit in its name. */
  more: Readonly<Record<string, number>>;
}

export interface Contender {
  name: string;
  /** Measures once; called once a round, in rotating order. */
  measure(): Promise<Sample>;
}

/** A scenario made ready: who competes, and who cannot and why. */
export interface Prepared {
  contenders: readonly Contender[];
  skipped?: readonly { name: string; reason: string }[];
  /** Contender that the others are compared with: when it swings, the machine is noisy. */
  base: string;
  /** Where one round takes minutes and repeating it says little more. */
  roundsMax?: number;
  close(): Promise<void>;
}

export interface Scenario {
  name: string;
  title: string;
  prepare(lab: Lab, settings: Settings): Promise<Prepared>;
}

export type Results = ReadonlyMap<string, ScenarioResult>;

export interface ScenarioResult {
  name: string;
  title: string;
  base: string;
  /** Contender → its samples, one a round. */
  samples: ReadonlyMap<string, readonly Sample[]>;
  skipped: readonly { name: string; reason: string }[];
}

export function sampleOf(
  events: number,
  seconds: number,
  cost: Cost,
  more: Readonly<Record<string, number>> = {},
): Sample {
  return {
    perSecond: events / seconds,
    appMicros: (cost.appSeconds / events) * 1e6,
    databaseMicros: (cost.databaseSeconds / events) * 1e6,
    othersCores: cost.othersCores,
    more,
  };
}
