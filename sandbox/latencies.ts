const KEPT = 1_024;

/** The last thousand durations: enough for a p99 that moves within a minute, in 8 KB. */
export class Latencies {
  private readonly ring = new Float64Array(KEPT);
  private count = 0;

  add(tookMs: number): void {
    this.ring[this.count++ % KEPT] = tookMs;
  }

  /** @returns `null` when nothing was measured */
  quantile(share: number): number | null {
    const size = Math.min(this.count, KEPT);
    if (size === 0) return null;
    const sorted = this.ring.slice(0, size).sort();
    return sorted[Math.min(size - 1, Math.floor(share * size))] ?? null;
  }
}
