import type { Random } from '../random.js';
import type { PlainSettings } from './settings.js';

/**
 * One engine of the pool: one thread, a queue, and memory that each webhook leaves a little less of.
 *
 * The load of the whole fleet flows through it as a stream; the stores that are looked at meet the queue it makes.
 */
export class Engine {
  /** Out of memory: it accepts connections, because the kernel does that for it, and answers nothing more. */
  isDead = false;
  diedAtMs: number | null = null;
  private leakedMb = 0;
  private waiting = 0;
  private readonly leakMb: number;

  constructor(
    private readonly settings: PlainSettings,
    random: Random,
  ) {
    const { leakKb, leakSpread } = settings;
    this.leakMb = (leakKb / 1024) * Math.exp(leakSpread * random.normal());
  }

  get memoryMb(): number {
    return this.settings.memoryMb.start + this.leakedMb + this.waiting * this.settings.waitingMb;
  }

  /** Webhooks it can do in a second. */
  get perSecond(): number {
    return this.isDead ? 0 : 1_000 / (this.settings.cpuMs * this.slowness);
  }

  /** How long a webhook that comes now waits for its turn. Infinite when it is refused or nobody is there. */
  get waitMs(): number {
    if (this.isDead || this.waiting >= this.settings.waitingMax) return Infinity;
    return (this.waiting / this.perSecond) * 1_000;
  }

  /** How many times slower than at its start: what garbage collection takes. */
  get slowness(): number {
    const { memoryMb, collectAbove, collectWorst } = this.settings;
    const full = Math.min(1, this.memoryMb / memoryMb.limit);
    const over = Math.max(0, (full - collectAbove) / (1 - collectAbove));
    return 1 + (collectWorst - 1) * over ** 2;
  }

  /** Takes its share of the fleet's load for a while. */
  flow(webhooks: number, seconds: number, atMs: number): void {
    if (this.isDead) return;
    const { waitingMax, memoryMb } = this.settings;
    const taken = Math.min(webhooks, waitingMax - this.waiting + this.perSecond * seconds);
    const done = Math.min(this.waiting + taken, this.perSecond * seconds);
    this.waiting = Math.min(waitingMax, Math.max(0, this.waiting + taken - done));
    this.leakedMb += done * this.leakMb;
    if (this.memoryMb < memoryMb.limit) return;
    this.isDead = true;
    this.diedAtMs = atMs;
  }

  restart(): void {
    this.isDead = false;
    this.diedAtMs = null;
    this.leakedMb = 0;
    this.waiting = 0;
  }
}
