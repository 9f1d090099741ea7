#!/usr/bin/env node
// Holds package.json and package-lock.json to what `npm ci` needs everywhere:
// - every optional dependency that a locked package names is locked too (npm ci refuses the lock otherwise);
// - no version ranges: what was tested is what is installed;
// - no registry's address in the lock: it would be asked on every machine.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const EXACT = /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/;

/** @returns one sentence per fault, none when all is well */
export function lockFaults(manifest, lock) {
  const faults = [];
  for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies', 'overrides']) {
    for (const [name, version] of Object.entries(manifest[kind] ?? {})) {
      if (!EXACT.test(version)) faults.push(`package.json: ${kind}.${name} is "${version}", not an exact version`);
    }
  }
  for (const [path, entry] of Object.entries(lock.packages)) {
    const owner = path === '' ? 'the project' : path;
    if (entry.resolved !== undefined) faults.push(`package-lock.json: ${owner} names a registry ("resolved")`);
    for (const name of Object.keys(entry.optionalDependencies ?? {})) {
      if (!isLocked(lock.packages, path, name)) {
        faults.push(`package-lock.json: ${owner} names the optional dependency ${name}, which is not locked`);
      }
    }
  }
  return faults;
}

/** Node's own look-up: beside the package, then beside each of its parents. */
function isLocked(packages, path, name) {
  for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
    if (packages[`${at === '' ? '' : `${at}/`}node_modules/${name}`] !== undefined) return true;
    if (at === '') return false;
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const read = (name) => JSON.parse(readFileSync(join(root, name), 'utf8'));
  const faults = lockFaults(read('package.json'), read('package-lock.json'));
  for (const fault of faults) process.stdout.write(`${fault}\n`);
  process.stdout.write(faults.length === 0 ? 'lockfile ok\n' : `${faults.length} faults\n`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}
