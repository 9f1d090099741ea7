import { monitorEventLoopDelay } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

/** How a process is, by its own measure: a host that looks fine proves nothing of it. */
export interface Vitals {
  /** How long the event loop was held up, at the 99th percentile since the last reading. */
  eventLoopDelayP99Ms: number;
  heapUsedBytes: number;
  /** Past it the process ends. */
  heapLimitBytes: number;
  residentBytes: number;
}

const SAMPLE_EVERY_MS = 20;

/** Measures this process from `start` on. */
export class VitalSigns {
  private histogram: ReturnType<typeof monitorEventLoopDelay> | null = null;

  start(): void {
    this.histogram ??= monitorEventLoopDelay({ resolution: SAMPLE_EVERY_MS });
    this.histogram.enable();
  }

  /** Since the last time that it was asked. */
  read(): Vitals {
    // The histogram counts the time from one sample to the next: what is more than their distance was a delay.
    const ns = this.histogram === null || this.histogram.count === 0 ? 0 : this.histogram.percentile(99);
    this.histogram?.reset();
    const heap = getHeapStatistics();
    return {
      eventLoopDelayP99Ms: Math.max(0, Math.round(ns / 1e6 - SAMPLE_EVERY_MS)),
      heapUsedBytes: heap.used_heap_size,
      heapLimitBytes: heap.heap_size_limit,
      residentBytes: process.memoryUsage.rss(),
    };
  }

  stop(): void {
    this.histogram?.disable();
  }
}
