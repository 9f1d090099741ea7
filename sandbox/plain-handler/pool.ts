import type { Random } from '../random.js';
import { SHOPIFY_LIMITS } from '../shopify/post.js';
import { RETRY_MINUTES } from '../shopify/webhook-sender.js';
import { Engine } from './engine.js';
import type { PlainSettings } from './settings.js';

const MINUTE_SECONDS = 60;

/** What became of one request: when the work on it ends, and whether it ever does. */
export interface Handling {
  /** From the request's arrival; `Infinity` = never. */
  doneAfterMs: number;
  engine: Engine | null;
}

/**
 * Engines behind a balancer that gives each its turn, dead or alive: its health check asks the host, and the host is well.
 */
export class Pool {
  engines: Engine[];
  private turn = 0;
  /** Webhooks of the fleet that come back, by minute from now and attempts made. */
  private readonly returning: number[][] = [];

  constructor(
    private readonly settings: PlainSettings,
    private readonly random: Random,
  ) {
    this.engines = Array.from(
      { length: settings.engines },
      (_, index) => new Engine(settings, random.fork(`${index}`)),
    );
  }

  get alive(): number {
    return this.engines.filter(({ isDead }) => !isDead).length;
  }

  /** What the uptime ping sees: the host's web server, which has nothing to do with the engines. */
  get isPingAnswered(): boolean {
    return true;
  }

  /** The host's memory in use, as its graph shows it: what a dead engine held is free again. */
  get hostMemoryMb(): number {
    return this.engines.reduce((sum, engine) => sum + (engine.isDead ? 0 : engine.memoryMb), 0);
  }

  /**
   * One minute of the fleet's load: what is new and what comes back.
   *
   * @param fresh webhooks that are new in this minute, of all stores
   * @returns how many attempts there were and how many failed
   */
  flow(fresh: number, atMs: number): { attempts: number; failed: number } {
    const due = this.returning.shift() ?? [];
    const byAttempt = [fresh, ...due];
    const attempts = byAttempt.reduce((sum, count) => sum + (count ?? 0), 0);
    const share = attempts / this.engines.length;
    let failedEngines = 0;
    for (const engine of this.engines) {
      engine.flow(share, MINUTE_SECONDS, atMs);
      if (engine.waitMs + this.settings.callsMs * engine.slowness > SHOPIFY_LIMITS.totalMs) failedEngines++;
    }
    const failedShare = failedEngines / this.engines.length;
    byAttempt.forEach((count, made) => this.comeBack((count ?? 0) * failedShare, made + 1));
    return { attempts, failed: attempts * failedShare };
  }

  /** A webhook of one of the stores that are looked at. */
  take(): Handling {
    const engine = this.engines[this.turn++ % this.engines.length];
    if (engine === undefined || !Number.isFinite(engine.waitMs)) return { doneAfterMs: Infinity, engine: null };
    const { cpuMs, callsMs } = this.settings;
    // Calls over the network have a long tail: half of them take longer than the median, one in a hundred three times.
    const callsTakeMs = callsMs * Math.exp(0.47 * this.random.normal());
    return { doneAfterMs: engine.waitMs + (cpuMs + callsTakeMs) * engine.slowness, engine };
  }

  /** New processes everywhere, and more of them. */
  restart(engines: number): void {
    for (const engine of this.engines) engine.restart();
    while (this.engines.length < engines) {
      this.engines.push(new Engine(this.settings, this.random.fork(`${this.engines.length}`)));
    }
  }

  private comeBack(count: number, attempts: number): void {
    const minutes = RETRY_MINUTES[attempts - 1];
    if (minutes === undefined || count === 0) return;
    const then = (this.returning[minutes - 1] ??= []);
    then[attempts - 1] = (then[attempts - 1] ?? 0) + count;
  }
}
