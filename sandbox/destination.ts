import type { DestinationMode, ReportMode } from './trouble.js';

export type DestinationName = 'ga4' | 'segment' | 'webhook';

export interface Reports {
  mode: ReportMode;
  /** Events that a report shows by now. */
  readonly shown: number;
  /** What whoever asks must know and hold, by the names of the service's settings. Only once it listens. */
  readonly access: Readonly<Record<string, string | number>>;
}

/** A receiving service as the world sees it, whatever protocol it speaks. */
export interface Destination {
  readonly name: DestinationName;
  readonly url: string;
  /** For the signed webhook: the secret to configure. */
  readonly secret: string | null;
  mode: DestinationMode;
  /** What it can be asked about what it received; `null` = nothing. */
  readonly reports: Reports | null;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Events kept, different ones among them, arrivals of one already there, and events lost on purpose. */
  counts(): { received: number; distinct: number; repeats: number; lost: number };
  /** Decimal order ids of the purchases kept since the last call. */
  takePurchases(): string[];
}
