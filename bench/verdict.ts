import type { Figure } from './figures.js';
import type { ScenarioResult } from './scenario.js';
import { median, spread } from './statistics.js';

export type Bound = { atLeast: number } | { atMost: number };

/** Something that is aimed at, and must not be missed by far: docs/performance.md has both, T1 to T19. */
export interface Row {
  scenario: string;
  what: string;
  aim: Bound | null;
  floor: (Bound & { source: string }) | null;
  figures(result: ScenarioResult): readonly Figure[];
}

export interface Judged {
  row: Row;
  figures: readonly Figure[];
  noisy: boolean;
  verdict: string;
  floorMissed: boolean;
}

const OTHERS_CORES_MAX = 0.5;
const BASE_SPREAD_MAX = 1.5;

/** Too much else was going on, or the base itself swung: rates and latencies of this scenario say little then. */
export function isNoisy(result: ScenarioResult): boolean {
  const all = [...result.samples.values()].flat();
  const base = (result.samples.get(result.base) ?? []).map((sample) => sample.perSecond);
  return median(all.map((sample) => sample.othersCores)) > OTHERS_CORES_MAX || spread(base) > BASE_SPREAD_MAX;
}

/** A row is as good as its worst figure. On a noisy machine only what noise cannot move is judged. */
export function judge(row: Row, result: ScenarioResult | undefined): Judged {
  const blank = { row, figures: [], noisy: false, floorMissed: false };
  if (!result) return { ...blank, verdict: 'not run' };
  const figures = row.figures(result).filter((figure) => figure.values.length > 0);
  if (figures.length === 0) {
    const skipped = result.skipped.find(({ name }) => row.what.includes(name));
    return { ...blank, verdict: skipped ? `skipped: ${skipped.reason}` : 'not measured' };
  }
  const noisy = isNoisy(result);
  const judged = figures.filter((figure) => !noisy || figure.steady);
  const base = { row, figures, noisy };
  if (judged.length === 0) return { ...base, verdict: 'NOISY: not judged', floorMissed: false };
  const prefix = noisy ? 'NOISY, CPU only: ' : '';
  const values = judged.map((figure) => median(figure.values));
  const floorMiss = row.floor && worstMiss(values, row.floor);
  const aimMiss = row.aim && worstMiss(values, row.aim);
  if (floorMiss != null) {
    return { ...base, verdict: `${prefix}FLOOR MISSED by ${floorMiss}`, floorMissed: !noisy };
  }
  const met = row.aim ? 'aim met' : row.floor ? 'floor met' : 'for information';
  if (aimMiss == null) return { ...base, verdict: prefix + met, floorMissed: false };
  const above = row.floor ? 'floor met, ' : '';
  return { ...base, verdict: `${prefix}${above}aim missed by ${aimMiss}`, floorMissed: false };
}

/** @returns how far the worst value is from the bound; `null` = all keep it */
function worstMiss(values: readonly number[], bound: Bound): string | null {
  if ('atLeast' in bound) {
    const worst = Math.min(...values);
    return worst >= bound.atLeast ? null : `${Math.max(1, Math.round((1 - worst / bound.atLeast) * 100))} %`;
  }
  const worst = Math.max(...values);
  if (worst <= bound.atMost) return null;
  return bound.atMost === 0 ? worst.toFixed(1) : `${Math.max(1, Math.round((worst / bound.atMost - 1) * 100))} %`;
}
