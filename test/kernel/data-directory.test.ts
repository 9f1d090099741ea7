import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { EmbeddedPostgres } from '../../src/kernel/embedded-postgres.js';
import { silentLogger } from '../../src/kernel/log.js';
import { identifyProcess, processWorld } from '../../src/kernel/process-identity.js';
import { ServiceLock } from '../../src/kernel/service-lock.js';
import {
  ask,
  EmbeddedPostgresWorld,
  IS_ROOT,
  kill,
  NOBODY,
  NOBODY_REACHES_US,
} from '../support/embedded-postgres-world.js';

const world = new EmbeddedPostgresWorld();
const mounts: string[] = [];
afterAll(async () => {
  for (const mount of mounts) execFileSync('umount', ['--lazy', mount]);
  await world.end();
});

/** A small file system of its own, `null` when this machine does not let us mount one. */
function mounted(options: string): string | null {
  const directory = join(world.directory(), 'data');
  mkdirSync(directory);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory], { stdio: 'ignore' });
  } catch {
    return null;
  }
  mounts.push(directory);
  return directory;
}

describe('a data directory that cannot be used', () => {
  test.for([
    ['is on a read-only file system', 'ro,size=1m', /read-only file system.*PLUMBLINE_DATA_DIR/],
    ['is on a disk that is full', 'size=16k', /full disk.*start again/],
    ['fills its disk while the cluster is made', 'size=20m', /full disk.*start again/],
  ] as const)('is refused by name when it %s', async ([, options, message], { skip }) => {
    const dataDir = IS_ROOT ? mounted(options) : null;
    if (dataDir === null) return skip('needs root and the right to mount a tmpfs');
    const failure: unknown = await world.start(dataDir).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'DATA_DIRECTORY_UNUSABLE',
      message: expect.stringMatching(message) as string,
    });
    expect(readdirSync(dataDir).filter((name) => name.startsWith('postgres.new'))).toEqual([]);
  });

  test.runIf(!IS_ROOT || NOBODY_REACHES_US)('is refused by name when permissions forbid writing', async () => {
    const root = world.directory();
    const dataDir = join(root, 'data');
    mkdirSync(dataDir);
    chmodSync(dataDir, 0o555);
    const service = await world.service(dataDir, IS_ROOT ? NOBODY : undefined);
    expect(await service.says).toMatchObject({
      code: 'DATA_DIRECTORY_UNUSABLE',
      message: expect.stringMatching(/cannot be written by uid \d+/) as string,
    });
  });

  test('is refused by name when it is a file', async () => {
    const path = join(world.directory(), 'data');
    writeFileSync(path, '');
    await expect(world.start(path)).rejects.toMatchObject({
      code: 'DATA_DIRECTORY_UNUSABLE',
      message: expect.stringContaining('not a directory') as string,
    });
  });
});

describe('one service per data directory', () => {
  test('refuses the second and leaves the first in peace', async () => {
    const dataDir = await world.dataDirectory();
    const first = await world.start(dataDir);
    const second = await world.service(dataDir);
    expect(await second.says).toMatchObject({
      code: 'DATA_DIRECTORY_IN_USE',
      message: expect.stringContaining(`process ${process.pid} on`) as string,
    });
    expect(await ask(first.url('postgres'), 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('leaves a lock that its caller took to the caller', async () => {
    const dataDir = await world.dataDirectory();
    const lock = await ServiceLock.acquire(dataDir);
    const server = await EmbeddedPostgres.start({ dataDir, log: silentLogger, lock });
    await server.stop();
    await expect(ServiceLock.acquire(dataDir)).rejects.toMatchObject({ code: 'DATA_DIRECTORY_IN_USE' });
    lock.release();
    (await ServiceLock.acquire(dataDir)).release();
  });

  test('lets one of four win that start together over the lock of a killed service', async () => {
    const dataDir = await world.dataDirectory();
    const killed = await world.service(dataDir);
    await killed.says;
    await kill(killed.process);
    const services = await Promise.all(Array.from({ length: 4 }, () => world.service(dataDir)));
    const said = (await Promise.all(services.map((service) => service.says))) as { code?: string; pid?: number }[];
    expect(said.map((fact) => fact.code ?? 'started').toSorted()).toEqual([
      ...['DATA_DIRECTORY_IN_USE', 'DATA_DIRECTORY_IN_USE', 'DATA_DIRECTORY_IN_USE', 'started'],
    ]);
  });

  test('takes over when the pid of the lock now belongs to a younger process', async () => {
    const other = spawn('sleep', ['600']);
    await once(other, 'spawn');
    try {
      const dataDir = await world.dataDirectory();
      const owner = { ...processWorld(), host: hostname(), pid: other.pid, startedAs: 'long ago' };
      writeFileSync(join(dataDir, 'plumbline.lock'), JSON.stringify(owner));
      expect((await world.start(dataDir)).adopted).toBe(false);
      expect(identifyProcess(other.pid ?? 0)).not.toBeNull();
    } finally {
      other.kill();
    }
  });

  test('takes over from another container once its heartbeat has stopped', async () => {
    const dataDir = await world.dataDirectory();
    const lock = join(dataDir, 'plumbline.lock');
    const owner = { ...processWorld(), pidNamespace: 'pid:[1]', host: 'elsewhere', pid: 1, startedAs: '1' };
    writeFileSync(lock, JSON.stringify(owner));
    const anHourAgo = new Date(Date.now() - 3_600_000);
    utimesSync(lock, anHourAgo, anHourAgo);
    expect((await world.start(dataDir)).adopted).toBe(false);
  });
});
