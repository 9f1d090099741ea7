import type { Round } from './loop.js';

/** A piece of scheduled work: a loop that does something only in the process that leads. */
export interface Duty {
  name: string;
  pauseMs: number;
  /** Older than this without a good round, the loop counts as stuck. */
  staleAfterMs?: number;
  round: (signal: AbortSignal) => Promise<Round>;
}
