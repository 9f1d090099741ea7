import type { OpenSegment } from './segment.js';

/** Opened segments, the least recently used dropped first. Bounded by bytes; losing one costs one re-read. */
export class SegmentCache {
  private readonly segments = new Map<string, OpenSegment>();
  private bytes = 0;

  constructor(private readonly bytesMax: number) {}

  get(key: string): OpenSegment | undefined {
    const segment = this.segments.get(key);
    if (segment) {
      // A Map keeps insertion order: put it last again.
      this.segments.delete(key);
      this.segments.set(key, segment);
    }
    return segment;
  }

  set(key: string, segment: OpenSegment): void {
    this.bytes += segment.bytes - (this.segments.get(key)?.bytes ?? 0);
    this.segments.delete(key);
    this.segments.set(key, segment);
    for (const [eldest, { bytes }] of this.segments) {
      if (this.bytes <= this.bytesMax) break;
      this.segments.delete(eldest);
      this.bytes -= bytes;
    }
  }
}
