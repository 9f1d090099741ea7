import type { SoldCounts } from '../../src/monitoring/throughput/sold-counts.js';

/** A world in which nobody has reconciled: nothing is listed, so nothing is known to be sold, and nothing is proved. */
export const NOTHING_LISTED: SoldCounts = {
  hours: () => Promise.resolve([]),
  gaps: () => Promise.resolve([]),
  proved: () => Promise.resolve([]),
  touchedHours: () => Promise.resolve([]),
};
