import type { Clock } from './clock.js';
import type { Round } from './loop.js';

/** A piece of scheduled work, done over and over by a loop. */
export interface Duty {
  name: string;
  pauseMs: number;
  /** Older than this without a good round, the loop counts as stuck. */
  staleAfterMs?: number;
  round: (signal: AbortSignal) => Promise<Round>;
}

export interface Settled {
  /** Whether any duty had something to do. */
  busy: boolean;
  /** Names of those that ended well. */
  done: string[];
  failed: { duty: string; error: unknown }[];
}

/** A duty that looks, and has nothing left to do once it has. */
export function lookout(name: string, pauseMs: number, look: () => Promise<void>): Duty {
  return {
    name,
    pauseMs,
    round: async () => {
      await look();
      return 'idle';
    },
  };
}

/** Duties done one after the other, for who drives the clock instead of starting loops. */
export class DrivenDuties {
  /** When each last had nothing more to do. */
  private readonly restingSinceMs = new Map<Duty, number>();

  constructor(
    private readonly duties: readonly Duty[],
    private readonly clock: Clock,
  ) {}

  /**
   * Does every duty whose pause is over, until it has nothing more to do. One that fails is tried again at its next turn,
   * as its loop would.
   *
   * @param pauseMs how long each rests when it had nothing to do; by default as its loop has it
   */
  async settle(pauseMs: (duty: Duty) => number = (duty) => duty.pauseMs): Promise<Settled> {
    const { signal } = new AbortController();
    const settled: Settled = { busy: false, done: [], failed: [] };
    for (const duty of this.duties) {
      const nowMs = this.clock.nowMs();
      if (nowMs - (this.restingSinceMs.get(duty) ?? -Infinity) < pauseMs(duty)) continue;
      try {
        while ((await duty.round(signal)) === 'busy') settled.busy = true;
        settled.done.push(duty.name);
      } catch (error) {
        settled.failed.push({ duty: duty.name, error });
      }
      this.restingSinceMs.set(duty, nowMs);
    }
    return settled;
  }
}
