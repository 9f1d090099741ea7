import type { Clock } from './clock.js';
import type { Logger } from './log.js';
import { messageOf } from './errors.js';

export interface LoopHealth {
  name: string;
  state: 'waiting' | 'running' | 'failing' | 'stopped';
  /** When the last round ended well; `null` before the first. */
  lastBeatAt: Date | null;
  /** Milliseconds since the last good round (or since the start). */
  ageMs: number;
  /** Older than this without a good round, the loop counts as stuck. */
  staleAfterMs: number;
  consecutiveFailures: number;
  lastError: string | null;
}

/** What a round found: `busy` asks for the next round at once, `idle` for the pause. */
export type Round = 'busy' | 'idle';

export interface LoopOptions {
  name: string;
  /** Pause after an idle round, milliseconds. */
  pauseMs: number;
  /** Pause after a failed round grows from `pauseMs` to this, milliseconds. */
  failurePauseMaxMs?: number;
  staleAfterMs?: number;
  clock: Clock;
  log: Logger;
  round: (signal: AbortSignal) => Promise<Round>;
}

/**
 * A named loop with a heartbeat: one round after the other, never two at once, woken early on request, stopped
 * gracefully. A round that throws is logged, counted and tried again with a growing pause; it never ends the loop.
 */
export class Loop {
  private readonly abort = new AbortController();
  private finished: Promise<void> | null = null;
  private wakeUp: (() => void) | null = null;
  private wanted = false;
  private readonly startedAtMs: number;
  private lastBeatAtMs: number | null = null;
  private failures = 0;
  private lastError: string | null = null;

  constructor(private readonly options: LoopOptions) {
    this.startedAtMs = options.clock.nowMs();
  }

  get name(): string {
    return this.options.name;
  }

  start(): this {
    this.finished ??= this.run();
    return this;
  }

  /** Ask for a round now instead of after the pause. Cheap; callable from anywhere, any number of times. */
  wake(): void {
    this.wanted = true;
    this.wakeUp?.();
  }

  /** No further round begins; resolves when the current one has ended. */
  async stop(): Promise<void> {
    this.abort.abort();
    this.wakeUp?.();
    await this.finished;
  }

  health(): LoopHealth {
    const nowMs = this.options.clock.nowMs();
    return {
      name: this.options.name,
      state: this.state(),
      lastBeatAt: this.lastBeatAtMs === null ? null : new Date(this.lastBeatAtMs),
      ageMs: nowMs - (this.lastBeatAtMs ?? this.startedAtMs),
      staleAfterMs: this.options.staleAfterMs ?? Math.max(30_000, 3 * this.options.pauseMs),
      consecutiveFailures: this.failures,
      lastError: this.lastError,
    };
  }

  private state(): LoopHealth['state'] {
    if (this.abort.signal.aborted) return 'stopped';
    if (!this.finished) return 'waiting'; // for its start
    return this.failures > 0 ? 'failing' : 'running';
  }

  private async run(): Promise<void> {
    const { signal } = this.abort;
    while (!signal.aborted) {
      this.wanted = false;
      let pauseMs = this.options.pauseMs;
      try {
        const round = await this.options.round(signal);
        this.lastBeatAtMs = this.options.clock.nowMs();
        this.failures = 0;
        this.lastError = null;
        if (round === 'busy') {
          // Yield to the event loop so that a loop with endless work cannot starve intake.
          await new Promise<void>((resolve) => setImmediate(resolve));
          continue;
        }
      } catch (error) {
        if (signal.aborted) break;
        this.failures += 1;
        this.lastError = messageOf(error);
        this.options.log.error({ loop: this.name, failures: this.failures, err: error }, 'loop round failed');
        pauseMs = Math.min(
          Math.max(100, this.options.pauseMs) * 2 ** Math.min(this.failures, 10),
          this.options.failurePauseMaxMs ?? 5_000,
        );
      }
      if (!this.wanted && !signal.aborted) await this.pause(pauseMs);
    }
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wakeUp?.(), ms);
      this.wakeUp = () => {
        clearTimeout(timer);
        this.wakeUp = null;
        resolve();
      };
    });
  }
}
