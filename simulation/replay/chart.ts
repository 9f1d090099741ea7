import type { ReplayResult } from './replay.js';
export function chart(result: ReplayResult): string {
  return JSON.stringify(result.hours);
}
