import type { Figure } from './figures.js';
import { cpuMicros } from './figures.js';
import type { ScenarioResult } from './scenario.js';
import { median } from './statistics.js';
import { isNoisy, type Bound, type Judged } from './verdict.js';

export interface Setting {
  startedAt: string;
  cpu: string;
  cores: number;
  memoryGb: number;
  loadAverage: readonly number[];
  flushMicros: number;
  node: string;
  postgres: string;
  rivals: Readonly<Record<string, string>>;
  rounds: number;
  seconds: number;
}

/** What is aimed at (docs/performance.md) and not measured by this command. */
const ELSEWHERE: readonly (readonly [string, string])[] = [
  ['set-up on a fresh machine', 'measured by hand: `time npm start` on a clean clone, less the download'],
  ['nothing lost through kill -9 (T16)', '`npm run crash`'],
];

/** The table against the aims, then every contender's own numbers. Markdown. */
export function report(setting: Setting, judged: readonly Judged[], results: readonly ScenarioResult[]): string {
  const lines = [
    `# Bench of ${setting.startedAt}`,
    '',
    `${setting.cpu}, ${setting.cores} cores, ${setting.memoryGb} GiB; one 8 KB write with its flush ${setting.flushMicros.toFixed(0)} µs; ` +
      `load average at the start ${setting.loadAverage.map((load) => load.toFixed(2)).join(' ')}. ` +
      `Node ${setting.node}; ${setting.postgres}; ${Object.entries(setting.rivals)
        .map(([name, version]) => `${name} ${version}`)
        .join(', ')}. ` +
      `${setting.rounds} rounds of ${setting.seconds} s; median [min-max].`,
    '',
    '| what | measured | aim | floor | verdict |',
    '| --- | --- | --- | --- | --- |',
    ...judged.map(({ row, figures, verdict }) =>
      cells(row.what, figures.map(figureText).join('; ') || '-', boundText(row.aim), floorText(row), verdict),
    ),
    ...ELSEWHERE.map(([what, where]) => cells(what, '-', '-', '-', where)),
    '',
  ];
  for (const result of results) lines.push(...scenarioTable(result));
  return lines.join('\n');
}

function scenarioTable(result: ScenarioResult): string[] {
  const names = new Set([...result.samples.values()].flatMap((samples) => samples.flatMap((s) => Object.keys(s.more))));
  return [
    `## ${result.name}: ${result.title}${isNoisy(result) ? ' (NOISY)' : ''}`,
    '',
    cells('contender', '/s', 'app µs', 'database µs', 'together µs', 'others, cores', ...names),
    cells(...Array.from({ length: 6 + names.size }, () => '---')),
    ...[...result.samples].map(([contender, samples]) =>
      cells(
        contender,
        ranged(samples.map((s) => s.perSecond)),
        ranged(samples.map((s) => s.appMicros)),
        ranged(samples.map((s) => s.databaseMicros)),
        ranged(samples.map(cpuMicros)),
        ranged(samples.map((s) => s.othersCores)),
        ...[...names].map((name) => ranged(samples.flatMap((s) => s.more[name] ?? []))),
      ),
    ),
    ...result.skipped.map(({ name, reason }) => `\nSkipped: ${name} (${reason})`),
    '',
  ];
}

const cells = (...texts: string[]): string => `| ${texts.join(' | ')} |`;

function figureText({ label, unit, values }: Figure): string {
  return `${label} ${ranged(values)} ${unit}`;
}

function ranged(values: readonly number[]): string {
  if (values.length === 0) return '-';
  if (values.length === 1) return short(values[0] ?? NaN);
  return `${short(median(values))} [${short(Math.min(...values))}-${short(Math.max(...values))}]`;
}

function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 1_000) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

function boundText(bound: Bound | null): string {
  if (!bound) return '-';
  return 'atLeast' in bound ? `≥ ${bound.atLeast}` : `≤ ${bound.atMost}`;
}

function floorText({ floor }: Judged['row']): string {
  return floor ? `${boundText(floor)} (${floor.source})` : '-';
}
