#!/usr/bin/env node
// Every npm command goes through here: it sets up what is missing, then runs the command on the pinned Node.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ROOT, SetupError, inForeground, nodeFlags, pinnedNode, quietly, readOrNull, setUp } from './setup.mjs';

const [command, ...args] = process.argv.slice(2);

const COMMANDS = {
  start: async () => {
    await setUp();
    const node = pinnedNode();
    return inForeground(node, [...nodeFlags(node), join(ROOT, 'dist/src/main.js'), ...args]);
  },
  build: async () => {
    await setUp();
    return 0;
  },
  bench: async () => {
    await setUp();
    // As with tests, a run of chosen scenarios installs nothing.
    if (!args.some((arg) => arg === '--list' || arg.startsWith('--only'))) installTools('bench-tools.json', 'rivals');
    return inForeground(pinnedNode(), [join(ROOT, 'dist/bench/main.js'), ...args]);
  },
  crash: async () => {
    await setUp();
    return inForeground(pinnedNode(), [join(ROOT, 'dist/test/crash/main.js'), ...args]);
  },
  'replay-2019': () => simulation('replay-2019'),
  simulate: () => simulation('simulate'),
  test,
  verify,
};

async function simulation(what) {
  await setUp();
  const node = pinnedNode();
  return inForeground(node, [...nodeFlags(node), join(ROOT, 'dist/simulation/main.js'), what, ...args]);
}

// ---- test ----

async function test() {
  await setUp();
  // A run of chosen files installs nothing; the whole suite, and CI, want every tool.
  if (args.length === 0 || process.env.CI === 'true') installTools('test-tools.json', 'tests');
  const directory = mkdtempSync(join(tmpdir(), 'plumbline-closing-'));
  const closing = join(directory, 'line');
  try {
    const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
    const code = await inForeground(pinnedNode(), [vitest, 'run', ...args], { PLUMBLINE_CLOSING_LINE: closing });
    const line = readOrNull(closing);
    if (line !== null) process.stdout.write(`${line}\n`);
    else if (code !== 0) process.stderr.write(`plumbline: the test run ended before its summary (exit code ${code})\n`);
    return code;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * What needs more than npm can install is skipped by name without it; tests fail then under CI=true.
 *
 * @param list file in `scripts/` that names the tools @param users what needs them, in the plural
 */
function installTools(list, users) {
  const tools = JSON.parse(readFileSync(join(ROOT, 'scripts', list), 'utf8'));
  const missing = tools.filter((tool) => !tool.commands.some(onPath)).flatMap((tool) => tool.packages);
  if (missing.length === 0) return;
  const root = process.getuid?.() === 0;
  const line = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (!onPath('apt-get') || (!root && process.env.CI !== 'true')) {
    process.stderr.write(`plumbline: some ${users} will be skipped; they need: ${line}\n`);
    return;
  }
  process.stderr.write(`plumbline: installing what the ${users} need: ${missing.join(' ')} …\n`);
  const apt = (aptArgs) => {
    const [program, ...rest] = root ? ['apt-get', ...aptArgs] : ['sudo', '-n', 'apt-get', ...aptArgs];
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    return spawnSync(program, rest, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  };
  for (const step of [['update', '-qq'], line.split(' ').slice(1)]) {
    const { status, stderr } = apt(step);
    if (status === 0) continue;
    process.stderr.write(
      `${stderr ?? ''}plumbline: apt-get ${step[0]} failed; ${users} that need ${missing.join(', ')} cannot run\n`,
    );
    return;
  }
}

function onPath(name) {
  return (process.env.PATH ?? '').split(delimiter).some((directory) => existsSync(join(directory, name)));
}

// ---- verify ----

async function verify() {
  await setUp({ build: false });
  const node = pinnedNode();
  const program = (name) => join(ROOT, 'node_modules/.bin', name);
  const steps = [
    ['format', [program('prettier'), '--check', '--log-level=warn', '.']],
    ['types', [program('tsc'), '-p', 'tsconfig.json', '--noEmit']],
    ['lint', [program('eslint'), '.']],
    [
      'boundaries',
      [
        program('depcruise'),
        ...['src', 'sandbox', 'simulation', 'bench', 'test'].filter((directory) => existsSync(join(ROOT, directory))),
        ...['--config', '.dependency-cruiser.cjs', '--output-type', 'err-long'],
      ],
    ],
    ['lockfile', [join(ROOT, 'scripts/check-lock.mjs')]],
    ['docs agree, and tests without a database', [program('vitest'), 'run', '--project', 'unit']],
  ];
  for (const [name, stepArgs] of steps) {
    const startMs = performance.now();
    try {
      await quietly(node, stepArgs, name);
    } catch (error) {
      process.stdout.write(`${error.message}\nverify: ${name} FAILED\n`);
      return 1;
    }
    process.stdout.write(`verify: ${name} ok (${((performance.now() - startMs) / 1000).toFixed(1)} s)\n`);
  }
  process.stdout.write('verify: all ok\n');
  return 0;
}

// ---- main ----

const run = Object.hasOwn(COMMANDS, command ?? '') ? COMMANDS[command] : undefined;
if (run === undefined) {
  process.stderr.write(`usage: node scripts/run.mjs ${Object.keys(COMMANDS).join('|')} [arguments]\n`);
  process.exit(64);
}
try {
  process.exitCode = await run();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`plumbline: ${error.message}\n`);
  process.exitCode = 1;
}
