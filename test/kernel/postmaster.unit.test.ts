import { mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { linkLibraries } from '../../src/kernel/postgres-binaries.js';
import { connectionUrl, serverArguments, socketPathFits } from '../../src/kernel/postgres-settings.js';
import { judgeEnd } from '../../src/kernel/postmaster.js';
import { judgePostmaster, parsePostmasterFile } from '../../src/kernel/postmaster-pid.js';
import { identifyProcess } from '../../src/kernel/process-identity.js';
import { judgeOwner, parseOwner } from '../../src/kernel/service-lock.js';

const FILE = '4711\n/data/postgres\n1760000000\n5432\n/data/postgres\n\n  5432001 7\nready   \n';

test('reads what postmaster.pid says', () => {
  expect(parsePostmasterFile(FILE)).toEqual({
    pid: 4711,
    dataDir: '/data/postgres',
    socketDir: '/data/postgres',
    status: 'ready',
  });
  expect(parsePostmasterFile('')).toBeNull();
  expect(parsePostmasterFile('not a number\n')).toBeNull();
});

const file = parsePostmasterFile(FILE);
const owner = (program: string | null, ...command: string[]) => ({ pid: 4711, startedAs: '1', program, command });

test.each([
  ['absent', 'no file names a process', null, null],
  ['stale', 'the process is gone', file, null],
  ['ours', 'it is a postgres on our directory', file, owner('/x/postgres', '/x/postgres', '-D', '/data/postgres')],
  ['ours', 'npm replaced its program', file, owner('/x/postgres (deleted)', '/x/postgres', '-D', '/data/postgres')],
  ['stale', 'it is a postgres on another directory', file, owner('/x/postgres', '/x/postgres', '-D', '/other')],
  ['stale', 'it only mentions our directory', file, owner('/usr/bin/find', 'find', '-D', '/data/postgres')],
  ['stale', 'it has nothing to do with us', file, owner('/usr/bin/sleep', 'sleep', '600')],
  ['hidden', 'the system does not show what it runs', file, owner(null)],
])('calls the postmaster %s when %s', (verdict, _, pidFile, process) => {
  expect(judgePostmaster(pidFile, process, '/data/postgres')).toBe(verdict);
});

test.each([
  ['again', 'FATAL:  lock file "postmaster.pid" already exists', 'exit code 1'],
  ['again', 'FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use', 'exit code 1'],
  ['again', '', 'signal SIGKILL'],
  ['directory', 'FATAL:  could not write to file "pg_wal/xlogtemp.1": No space left on device', 'exit code 1'],
  ['directory', 'FATAL:  could not open file "pg_wal": Read-only file system', 'exit code 1'],
  ['fatal', 'FATAL:  unrecognized configuration parameter "x"', 'exit code 1'],
  ['fatal', '', 'exit code 127'],
])('judges a failed start "%s" when the log says: %s (%s)', (verdict, said, ending) => {
  expect(judgeEnd(said, ending)).toBe(verdict);
});

const here = { boot: 'b1', pidNamespace: 'n1', host: 'h1' };
const held = { ...here, pid: 7, startedAs: '100' };

test.each([
  ['live', 'the very process runs', held, { pid: 7, startedAs: '100' }],
  ['dead', 'the pid went to a later process', held, { pid: 7, startedAs: '200' }],
  ['dead', 'no process has the pid', held, null],
  ['dead', 'the machine was started again', { ...held, boot: 'b0' }, { pid: 7, startedAs: '100' }],
  ['out-of-sight', 'it is in another container', { ...held, pidNamespace: 'n2' }, { pid: 7, startedAs: '100' }],
  ['out-of-sight', 'it is on another machine', { ...held, boot: 'b2', host: 'h2' }, null],
])('calls the owner of a lock %s when %s', (state, _, lockOwner, now) => {
  expect(judgeOwner(lockOwner, now, here)).toBe(state);
});

test('reads back the owner of a lock, and nothing from a torn file', () => {
  expect(parseOwner(JSON.stringify(held))).toEqual(held);
  expect(parseOwner(JSON.stringify(held).slice(0, 20))).toBeNull();
  expect(parseOwner('{"pid":"7"}')).toBeNull();
});

test('identifies a live process and no dead one', () => {
  const me = identifyProcess(process.pid);
  expect(me).toMatchObject({ pid: process.pid });
  expect(identifyProcess(process.pid)?.startedAs).toBe(me?.startedAs);
  expect(identifyProcess(2 ** 22 + 1)).toBeNull(); // above the largest pid Linux gives
  expect(identifyProcess(-1)).toBeNull();
});

test('writes a URL that pg reads as a socket, a user and a database', () => {
  const client = new pg.Client({ connectionString: connectionUrl('/data dir/postgres', 'plum line') });
  expect(client).toMatchObject({ host: '/data dir/postgres', port: 5432, user: 'plumbline', database: 'plum line' });
});

test('lets settings be overridden, but neither the cluster nor its place in front', () => {
  const args = serverArguments('/data/postgres', '/sock', { shared_buffers: '1GB' });
  expect(args.slice(0, 2)).toEqual(['-D', '/data/postgres']);
  expect(args.filter((arg) => arg.startsWith('shared_buffers'))).toEqual(['shared_buffers=1GB']);
  expect(args).toContain('fsync=on');
});

test('counts the bytes of a socket path, not its letters', () => {
  expect(socketPathFits(`/${'d'.repeat(80)}`)).toBe(true);
  expect(socketPathFits(`/${'ü'.repeat(50)}`)).toBe(false);
});

test('makes the library links that an install without scripts lacks, and only once', () => {
  const root = mkdtempSync(join(tmpdir(), 'plumbline-links-'));
  try {
    mkdirSync(join(root, 'native/lib'), { recursive: true });
    const links = [
      { source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' },
      { source: 'native/lib/libpq.so.5.18', target: '../outside' },
    ];
    writeFileSync(join(root, 'native/lib/libpq.so.5.18'), 'library');
    writeFileSync(join(root, 'native/pg-symlinks.json'), JSON.stringify(links));
    linkLibraries(root);
    linkLibraries(root);
    expect(readlinkSync(join(root, 'native/lib/libpq.so.5'))).toBe('libpq.so.5.18');
    expect(() => readlinkSync(join(root, '../outside'))).toThrow();
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
