export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** @param share 0.5 = the median, 0.99 = p99. Nearest rank above; NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  if (sorted.length === 0) return NaN;
  if (share === 0.5 && sorted.length % 2 === 0) {
    const upper = sorted.length / 2;
    return ((sorted[upper - 1] ?? NaN) + (sorted[upper] ?? NaN)) / 2;
  }
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

/** Largest over smallest: 1 = every round was the same. */
export function spread(values: readonly number[]): number {
  return Math.max(...values) / Math.min(...values);
}
