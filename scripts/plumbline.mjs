#!/usr/bin/env node
// The command line. A version check first: `npx plumbline` runs on whatever Node the shell has.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { spawn } from 'node:child_process';
import { ROOT, SetupError, newEnough, pinnedNode, setUp } from './setup.mjs';

const cli = join(ROOT, 'dist/src/console/cli/main.js');

try {
  if (!existsSync(cli)) await setUp();
  if (newEnough(process.versions.node)) {
    process.argv[1] = cli;
    await import(pathToFileURL(cli).href);
  } else {
    const child = spawn(pinnedNode(), [cli, ...process.argv.slice(2)], { stdio: 'inherit' });
    // The terminal signals the child as well; this process only waits for its answer.
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined);
    child.once('exit', (code, signal) => {
      process.exitCode = signal === null ? code : 1;
    });
  }
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`plumbline: ${error.message}\n`);
  process.exitCode = 1;
}
