import type { Sample, ScenarioResult } from './scenario.js';

/** One number of a row, measured once a round. */
export interface Figure {
  label: string;
  unit: '×' | 'ms' | 's' | 'B' | 'MB' | 'µs' | '/s' | '/min';
  values: readonly number[];
  /** Holds on a noisy machine too: processor time and bytes do, rates and latencies do not. */
  steady: boolean;
}

type Read = (sample: Sample) => number;

export const cpuMicros: Read = (sample) => sample.appMicros + sample.databaseMicros;

function paired(result: ScenarioResult, one: string, other: string, compare: (one: Sample, other: Sample) => number) {
  const others = result.samples.get(other) ?? [];
  // By round: what disturbs one disturbs the one beside it.
  return (result.samples.get(one) ?? []).flatMap((sample, round) => {
    const beside = others[round];
    return beside ? [compare(sample, beside)] : [];
  });
}

/** How many times as many a second as the other. */
export function rateRatio(result: ScenarioResult, one: string, other: string): Figure {
  const values = paired(result, one, other, (a, b) => a.perSecond / b.perSecond);
  return { label: 'rate', unit: '×', values, steady: false };
}

/** How many times as cheap as the other, application and database together. */
export function cpuRatio(result: ScenarioResult, one: string, other: string): Figure {
  const values = paired(result, one, other, (a, b) => cpuMicros(b) / cpuMicros(a));
  return { label: 'CPU', unit: '×', values, steady: true };
}

/** The same for the application's processes alone. */
export function appRatio(result: ScenarioResult, one: string, other: string): Figure {
  const values = paired(result, one, other, (a, b) => b.appMicros / a.appMicros);
  return { label: 'app CPU', unit: '×', values, steady: true };
}

export function difference(result: ScenarioResult, one: string, other: string, name: string): Figure {
  const values = paired(result, one, other, (a, b) => (a.more[name] ?? NaN) - (b.more[name] ?? NaN));
  return { label: name.replace(/Ms$/, ''), unit: 'ms', values, steady: false };
}

export function compared(
  result: ScenarioResult,
  one: string,
  other: string,
  figure: Pick<Figure, 'label' | 'unit' | 'steady'>,
  compare: (one: Sample, other: Sample) => number,
): Figure {
  return { ...figure, values: paired(result, one, other, compare) };
}

export function plain(
  result: ScenarioResult,
  contender: string,
  figure: Pick<Figure, 'label' | 'unit' | 'steady'>,
  read: Read,
): Figure {
  return { ...figure, values: (result.samples.get(contender) ?? []).map(read) };
}
