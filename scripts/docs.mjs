#!/usr/bin/env node
// Writes the documents that are generated from the code; with --check it only says whether they agree (exit code 1).
// Runs on the pinned Node: node_modules/.bin/node scripts/docs.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './setup.mjs';
import '../test/support/typescript-hooks.mjs';

const { configurationDocument } = await import('../test/docs/configuration-document.ts');
const { errorsDocument } = await import('../test/docs/errors-document.ts');

const check = process.argv.includes('--check');
for (const [name, generate] of [
  ['docs/configuration.md', configurationDocument],
  ['docs/errors.md', errorsDocument],
]) {
  const path = join(ROOT, name);
  const text = generate();
  if (!check) writeFileSync(path, text);
  else if (read(path) !== text) {
    process.stderr.write(`${name} does not agree with the code; run: node scripts/docs.mjs\n`);
    process.exitCode = 1;
  }
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
