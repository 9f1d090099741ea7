// What a clean clone lacks: dependencies, the pinned Node, the build. Every step is skipped when it is up to date.
// Plain JavaScript on purpose, for any Node >= 20 and before anything is installed.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MODULES = join(ROOT, 'node_modules');
const DIST = join(ROOT, 'dist');
const BIN = join(MODULES, '.bin');
const NODE_OLDEST = [22, 22]; // what the dependencies' engines ask for, the strictest of them

/** A failure whose message is all a person needs; no stack. */
export class SetupError extends Error {}

/** Dependencies, and the build unless told otherwise. Two commands at once: one works, the other waits. */
export async function setUp({ build = true } = {}) {
  refuseWindows();
  await alone(async () => {
    await ensureDependencies();
    if (build) await ensureBuild();
  });
}

function refuseWindows() {
  if (process.platform !== 'win32') return;
  throw new SetupError(
    'Plumbline does not run on Windows itself. Run it in WSL 2 or in its container (docker compose up).',
  );
}

// ---- dependencies ----

async function ensureDependencies() {
  const stampPath = join(MODULES, '.plumbline-lock');
  const lock = readFileSync(join(ROOT, 'package-lock.json'));
  const stamp = createHash('sha256').update(lock).digest('hex');
  if (readOrNull(stampPath) === stamp) return;
  if (!installedAsLocked(JSON.parse(lock.toString('utf8')))) {
    const tookSeconds = await tell('installing dependencies (once; about a minute)', npmCi);
    process.stderr.write(`plumbline: dependencies installed in ${tookSeconds} s\n`);
  }
  writeFileSync(stampPath, stamp);
}

/** Whether somebody's own `npm ci` already put everything in place. npm writes its hidden lock when it is done. */
export function installedAsLocked(lock, hiddenText = readOrNull(join(MODULES, '.package-lock.json'))) {
  if (hiddenText === null) return false;
  const installed = JSON.parse(hiddenText).packages ?? {};
  return Object.entries(lock.packages).every(([path, entry]) => {
    if (path === '') return true;
    // Packages of other platforms are locked and not installed.
    if (installed[path] === undefined) return entry.optional === true || entry.devOptional === true;
    return installed[path].version === entry.version;
  });
}

function npmCi() {
  const npm = process.env.npm_execpath;
  const viaNode = npm !== undefined && basename(npm) === 'npm-cli.js';
  // NODE_ENV=production would leave the compiler out; the platform packages carry Node and PostgreSQL.
  const args = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'];
  return quietly(viaNode ? process.execPath : 'npm', viaNode ? [npm, ...args] : args, 'npm ci');
}

// ---- the pinned Node ----

/**
 * The Node that everything runs on: the one npm installed, else the running one if it is new enough.
 * @throws SetupError saying how to get one
 */
export function pinnedNode() {
  const pinned = join(BIN, 'node');
  if (existsSync(pinned) && spawnSync(pinned, ['--version'], { stdio: 'ignore' }).status === 0) return pinned;
  if (newEnough(process.versions.node)) return process.execPath;
  throw new SetupError(
    `Plumbline needs Node ${NODE_OLDEST.join('.')} or newer and runs under ${process.versions.node}. The Node pinned by npm ` +
      `is not available for ${process.platform}-${process.arch}: install Node 24 (https://nodejs.org) and try again.`,
  );
}

export function newEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > NODE_OLDEST[0] || (major === NODE_OLDEST[0] && minor >= NODE_OLDEST[1]);
}

/** The environment of every child: the project's own programs and Node first. */
export function childEnvironment() {
  return { ...process.env, PATH: [BIN, process.env.PATH].filter(Boolean).join(delimiter) };
}

/**
 * How the service's Node is run: here, in the Dockerfile, and for the bench's children.
 *
 * Webhook bodies lie outside V8's heap. V8 has a limit of its own for that, 64 MB of growth, and at its end it marks the
 * whole heap: at 9,800 webhooks a second every 0.67 s, some 30 ms each time on both cores of a machine that has two. These
 * let the heap begin at 256 MB, count what lies outside of it towards that same limit, and keep the young part at 32 MB, so
 * that it is collected, with the bodies nobody needs any more, before much has gathered. Look with --trace-gc.
 */
export const NODE_FLAGS = JSON.parse(readFileSync(join(ROOT, 'scripts/node-flags.json'), 'utf8'));

/** V8's flags come and go, and Node does not start with one it does not know: another Node than the pinned goes without. */
export function nodeFlags(node) {
  return spawnSync(node, [...NODE_FLAGS, '--version'], { stdio: 'ignore' }).status === 0 ? NODE_FLAGS : [];
}

// ---- the build ----

const SOURCES = ['src', 'sandbox', 'simulation', 'bench', 'test/crash'];
const SOURCE_FILES = ['tsconfig.json', 'tsconfig.build.json', 'nest-cli.json', 'package-lock.json'];

async function ensureBuild() {
  const stampPath = join(DIST, '.plumbline-build');
  const stamp = sourceStamp(ROOT);
  if (readOrNull(stampPath) === stamp) return;
  const nest = join(MODULES, '@nestjs/cli/bin/nest.js');
  const tookSeconds = await tell('building', () => quietly(pinnedNode(), [nest, 'build'], 'nest build'));
  process.stderr.write(`plumbline: built in ${tookSeconds} s\n`);
  // A source edited while the compiler ran differs from this stamp, so the next command builds again.
  writeFileSync(stampPath, stamp);
}

/** Names, sizes and times of all sources: also a deleted file or an older one put back changes it. */
export function sourceStamp(root) {
  const hash = createHash('sha256');
  const files = [
    ...SOURCES.filter((directory) => existsSync(join(root, directory))).flatMap((directory) =>
      readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath ?? entry.path, entry.name)),
    ),
    ...SOURCE_FILES.map((file) => join(root, file)).filter((file) => existsSync(file)),
  ];
  for (const file of files.sort()) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file}\0${size}\0${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

// ---- one at a time ----

const LOCK = join(ROOT, '.build', 'setup.lock');

async function alone(work) {
  mkdirSync(dirname(LOCK), { recursive: true });
  for (let told = false; !tryLock(); told = true) {
    if (!told) process.stderr.write('plumbline: waiting for another command that sets up\n');
    await pause(200);
  }
  const unlock = () => rmSync(LOCK, { recursive: true, force: true });
  const interrupted = () => process.exit(130); // runs the exit handler, and with it unlock
  process.once('exit', unlock);
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  try {
    return await work();
  } finally {
    process.removeListener('exit', unlock);
    process.removeListener('SIGINT', interrupted);
    process.removeListener('SIGTERM', interrupted);
    unlock();
  }
}

function tryLock() {
  try {
    mkdirSync(LOCK);
    writeFileSync(join(LOCK, 'pid'), String(process.pid));
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    const text = readOrNull(join(LOCK, 'pid'));
    // Without a pid its holder is between two lines, or was killed there: a second is ample for the former.
    const dead = text === null ? ageMs(LOCK) > 1_000 : !alive(Number(text));
    if (dead) rmSync(LOCK, { recursive: true, force: true });
    return false;
  }
}

function ageMs(path) {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

// ---- children ----

async function tell(what, work) {
  process.stderr.write(`plumbline: ${what} …\n`);
  const startMs = performance.now();
  await work();
  return ((performance.now() - startMs) / 1000).toFixed(1);
}

/** Runs a program and keeps what it says to itself unless it fails. */
export function quietly(program, args, name) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: ROOT, env: childEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] });
    const said = [];
    child.stdout.on('data', (chunk) => said.push(chunk));
    child.stderr.on('data', (chunk) => said.push(chunk));
    child.once('error', (error) => reject(new SetupError(`${name} could not be run: ${error.message}`)));
    child.once('close', (code) => {
      if (code === 0) return resolve();
      reject(new SetupError(`${Buffer.concat(said).toString('utf8').trimEnd()}\n${name} failed (exit code ${code})`));
    });
  });
}

/**
 * Runs a program in the foreground and passes signals and the exit code on.
 *
 * The child has a session of its own: on Ctrl-C the terminal signals every process of the foreground, and npm repeats
 * it, so a child among them would be told up to three times, and the second time means "at once".
 */
export function inForeground(program, args, environment = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: ROOT,
      env: { ...childEnvironment(), ...environment },
      stdio: 'inherit',
      detached: true,
    });
    let toldMs = -Infinity;
    const forward = (signal) => {
      if (performance.now() - toldMs < 1_000) return;
      toldMs = performance.now();
      child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal);
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, forward);
    // npm passes SIGTERM to the shell it started us with, and a shell dies of it without telling us.
    const parent = process.ppid;
    const orphaned = setInterval(() => {
      if (process.env.npm_lifecycle_event === undefined || process.ppid === parent) return;
      clearInterval(orphaned);
      forward('SIGTERM');
    }, 250);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearInterval(orphaned);
      for (const name of signals) process.removeListener(name, forward);
      resolve(signal === null ? code : 128 + (SIGNAL_NUMBERS[signal] ?? 0));
    });
  });
}

const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };

export function readOrNull(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
