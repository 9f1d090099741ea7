import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { USAGE, readArguments, type Arguments } from './arguments.js';
import { Lab } from './lab.js';
import { describeMachine, flushMicroseconds } from './machine.js';
import { report, type Setting } from './report.js';
import { ROWS } from './rows.js';
import type { Sample, Scenario, ScenarioResult } from './scenario.js';
import { SCENARIOS } from './scenarios/all.js';
import { judge } from './verdict.js';

const RIVALS = ['pg-boss', 'graphile-worker', 'bullmq'];

/** Every contender once a round, each round beginning with another, so that no one always runs on a warm machine. */
async function run(scenario: Scenario, lab: Lab, settings: Arguments): Promise<ScenarioResult> {
  say(`${scenario.name}: ${scenario.title}`);
  const prepared = await scenario.prepare(lab, settings);
  const { contenders, base, skipped = [] } = prepared;
  const rounds = Math.min(settings.rounds, prepared.roundsMax ?? Infinity);
  const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]));
  try {
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < contenders.length; turn++) {
        const contender = contenders[(round + turn) % contenders.length];
        if (!contender) continue;
        const sample = await contender.measure();
        samples.get(contender.name)?.push(sample);
        const cpu = `${sample.appMicros.toFixed(1)} + ${sample.databaseMicros.toFixed(1)} µs`;
        say(`  ${round + 1}/${rounds} ${contender.name}: ${Math.round(sample.perSecond)}/s, ${cpu}`);
      }
    }
  } finally {
    await prepared.close();
  }
  return { name: scenario.name, title: scenario.title, base, samples, skipped };
}

async function describe(lab: Lab, settings: Arguments): Promise<Setting> {
  return {
    ...describeMachine(),
    startedAt: new Date().toISOString(),
    flushMicros: flushMicroseconds(lab.dir),
    node: process.version,
    postgres: (await lab.serverVersion()).split(' on ')[0] ?? '',
    rivals: Object.fromEntries(RIVALS.map((name) => [name, versionOf(name)])),
    rounds: settings.rounds,
    seconds: settings.seconds,
  };
}

function versionOf(name: string): string {
  // Not through `exports`: not every package lets its package.json out.
  const entry = createRequire(import.meta.url).resolve(name);
  const root = entry.slice(0, entry.lastIndexOf(join('node_modules', name)) + join('node_modules', name).length);
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
}

function choose(settings: Arguments): readonly Scenario[] {
  const unknown = settings.only?.find((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  if (unknown !== undefined) throw new TypeError(`there is no scenario ${unknown}; see --list`);
  return SCENARIOS.filter(({ name }) => settings.only?.includes(name) ?? true);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function main(): Promise<number> {
  const settings = readArguments(process.argv.slice(2));
  if (settings.list) {
    process.stdout.write(SCENARIOS.map(({ name, title }) => `${name}: ${title}\n`).join(''));
    return 0;
  }
  const scenarios = choose(settings);
  if (process.platform !== 'linux') throw new TypeError('the bench reads /proc, so it runs on Linux only');
  const opening = Lab.open(settings.dir, settings.profile);
  // Before anything else is started: PostgreSQL runs detached and would outlive us.
  const interrupt = (): void => {
    if (interrupted) return; // a second signal (a terminal and `timeout` both send one) must not cut the ending short
    say('interrupted; ending what was started');
    interrupted = true;
    void opening.then((lab) => lab.close()).finally(() => process.exit(130));
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  const lab = await opening;
  try {
    const setting = await describe(lab, settings);
    const results: ScenarioResult[] = [];
    for (const scenario of scenarios) results.push(await run(scenario, lab, settings));
    const chosen = ROWS.filter((row) => scenarios.some(({ name }) => name === row.scenario));
    const judged = chosen.map((row) =>
      judge(
        row,
        results.find(({ name }) => name === row.scenario),
      ),
    );
    const text = report(setting, judged, results);
    process.stdout.write(`\n${text}\n`);
    keep(setting, text, {
      setting,
      settings,
      rows: judged.map(({ row, figures, noisy, verdict }) => ({ ...row, figures, noisy, verdict })),
      scenarios: results.map((result) => ({ ...result, samples: Object.fromEntries(result.samples) })),
    });
    return judged.some(({ floorMissed }) => floorMissed) ? 1 : 0;
  } finally {
    await lab.close();
  }
}

/** Dated for good, and the latest under its own name. */
function keep(setting: Setting, text: string, everything: unknown): void {
  const dir = join(process.cwd(), 'bench/results');
  mkdirSync(dir, { recursive: true });
  const name = setting.startedAt.slice(0, 19).replace('T', '-').replaceAll(':', '');
  writeFileSync(join(dir, `${name}.json`), `${JSON.stringify(everything, null, 2)}\n`);
  writeFileSync(join(dir, 'latest.md'), `${text}\n`);
  say(`kept in bench/results/${name}.json and bench/results/latest.md`);
}

let interrupted = false;
try {
  process.exitCode = await main();
} catch (error) {
  // What fails while everything is being ended fails because of it; the interruption says how we exit.
  if (interrupted) await new Promise(() => undefined);
  const usage = error instanceof TypeError;
  process.stderr.write(usage ? `${error.message}\n${USAGE}` : `${(error as Error).stack ?? String(error)}\n`);
  process.exitCode = usage ? 64 : 70;
}
