import type { DestinationMode } from './trouble.js';

export type DestinationName = 'ga4' | 'segment' | 'webhook';

/** A receiving service as the world sees it, whatever protocol it speaks. */
export interface Destination {
  readonly name: DestinationName;
  readonly url: string;
  /** For the signed webhook: the secret to configure. */
  readonly secret: string | null;
  mode: DestinationMode;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Events kept, different ones among them, arrivals of one already there, and events lost on purpose. */
  counts(): { received: number; distinct: number; repeats: number; lost: number };
  /** Decimal order ids of the purchases kept since the last call. */
  takePurchases(): string[];
}
