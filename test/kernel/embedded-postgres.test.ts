import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, readFileSync, statSync, truncateSync, writeFileSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Database, readDurability } from '../../src/kernel/database.js';
import { silentLogger } from '../../src/kernel/log.js';
import { identifyProcess } from '../../src/kernel/process-identity.js';
import {
  ask,
  EmbeddedPostgresWorld,
  IS_ROOT,
  kill,
  NOBODY,
  NOBODY_REACHES_US,
  uidOf,
} from '../support/embedded-postgres-world.js';
import { until } from '../support/until.js';

const world = new EmbeddedPostgresWorld();
afterAll(() => world.end());

describe('as whom it runs', () => {
  test.runIf(NOBODY_REACHES_US)('runs as nobody when we are root, and owns its data', async () => {
    const dataDir = await world.dataDirectory();
    const server = await world.start(dataDir);
    expect(uidOf(server.pid)).toBe(NOBODY);
    expect(lstatSync(join(dataDir, 'postgres/PG_VERSION')).uid).toBe(NOBODY);
    expect(await ask(server.url('postgres'), 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test.runIf(IS_ROOT)(
    'runs in a user namespace below a directory that nobody cannot enter, files staying ours',
    async () => {
      const dataDir = join(world.directory(0o700), 'data');
      const server = await world.start(dataDir);
      expect(uidOf(server.pid)).toBe(0);
      expect(lstatSync(join(dataDir, 'postgres/PG_VERSION')).uid).toBe(0);
      expect(await ask(server.url('postgres'), 'select 1 as one')).toEqual([{ one: 1 }]);
    },
  );

  test.runIf(NOBODY_REACHES_US)('keeps its data when it changes from the namespace to nobody', async () => {
    const root = world.directory(0o700);
    const first = await world.start(join(root, 'data'));
    await ask(first.url('postgres'), 'create table kept as select 7 as n');
    await first.stop();
    chmodSync(root, 0o755);
    const second = await world.start(join(root, 'data'));
    expect(uidOf(second.pid)).toBe(NOBODY);
    expect(await ask(second.url('postgres'), 'select n from kept')).toEqual([{ n: 7 }]);
  });

  test.runIf(!IS_ROOT || NOBODY_REACHES_US)('runs as ourselves when we are not root', async () => {
    const service = await world.service(join(world.directory(), 'data'), IS_ROOT ? NOBODY : undefined);
    const says = (await service.says) as { pid: number; url: string };
    expect(says).toMatchObject({ adopted: false });
    expect(uidOf(says.pid)).toBe(IS_ROOT ? NOBODY : process.getuid?.());
    expect(await ask(says.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });
});

describe('what it is', () => {
  test('has checksums, UTF-8, the C locale, no network and every durability setting on', async () => {
    const server = await world.start(await world.dataDirectory());
    const url = server.url('postgres');
    const show = `select current_setting('data_checksums') sums, current_setting('server_encoding') encoding,
      (select datcollate from pg_database where datname = 'postgres') collate, current_setting('listen_addresses') net`;
    expect(await ask(url, show)).toEqual([{ sums: 'on', encoding: 'UTF8', collate: 'C', net: '' }]);
    const database = new Database({ url, log: silentLogger });
    const settings = await readDurability(database);
    await database.end();
    expect(settings.map(({ durable }) => durable)).toEqual([true, true, true]);
  });

  test('makes a database once, also when two ask together', async () => {
    const server = await world.start(await world.dataDirectory());
    await Promise.all([server.ensureDatabase('orders "x"'), server.ensureDatabase('orders "x"')]);
    await server.ensureDatabase('orders "x"');
    expect(await ask(server.url('orders "x"'), 'select current_database() as name')).toEqual([{ name: 'orders "x"' }]);
  });

  test('listens in a short private directory when the path is too long for a socket', async () => {
    const dataDir = join(world.directory(), 'd'.repeat(120), 'data');
    const server = await world.start(dataDir);
    const socketDir = new URL(server.url('postgres')).searchParams.get('host') ?? '';
    expect(socketDir.length).toBeLessThan(80);
    expect(statSync(socketDir).mode & 0o777).toBe(0o700);
    expect(await ask(server.url('postgres'), 'select 1 as one')).toEqual([{ one: 1 }]);
    await server.stop();
    expect(existsSync(socketDir)).toBe(false);
  });

  test('lives in a directory with blanks, commas and quotes in its name', async () => {
    const server = await world.start(join(world.directory(), 'a "b", c'));
    expect(await ask(server.url('postgres'), 'select 1 as one')).toEqual([{ one: 1 }]);
    await server.stop();
  });

  test('sets a log aside that has passed 10 MB', async () => {
    const dataDir = await world.dataDirectory();
    writeFileSync(join(dataDir, 'postgres.log'), '');
    truncateSync(join(dataDir, 'postgres.log'), 10 * 1024 * 1024 + 1);
    await world.start(dataDir);
    expect(statSync(join(dataDir, 'postgres.log.1')).size).toBe(10 * 1024 * 1024 + 1);
    expect(statSync(join(dataDir, 'postgres.log')).size).toBeLessThan(1024 * 1024);
  });

  test('stops its server, and leaves it running when asked to', async () => {
    const dataDir = await world.dataDirectory();
    const first = await world.start(dataDir);
    await first.stop({ leaveRunning: true });
    expect(await ask(first.url('postgres'), 'select 1 as one')).toEqual([{ one: 1 }]);
    const second = await world.start(dataDir);
    expect(second).toMatchObject({ pid: first.pid, adopted: true });
    await second.stop();
    expect(identifyProcess(first.pid)).toBeNull();
    expect(existsSync(join(dataDir, 'postgres/postmaster.pid'))).toBe(false);
  });
});

describe('after a kill -9', () => {
  test('adopts the server that outlived its service, and loses nothing', async () => {
    const dataDir = await world.dataDirectory();
    const service = await world.service(dataDir);
    const says = (await service.says) as { pid: number; url: string };
    await ask(says.url, 'create table kept as select 7 as n');
    await kill(service.process);

    const server = await world.start(dataDir);
    expect(server).toMatchObject({ pid: says.pid, adopted: true });
    expect(await ask(server.url('postgres'), 'select n from kept')).toEqual([{ n: 7 }]);
  });

  test('restarts an adopted server that is killed', async () => {
    const dataDir = await world.dataDirectory();
    await (await world.start(dataDir)).stop({ leaveRunning: true });
    const server = await world.start(dataDir);
    const before = server.pid;
    const restarted = once(server, 'restart');
    process.kill(before, 'SIGKILL');
    await restarted;
    expect(server.pid).not.toBe(before);
    expect(await ask(server.url('postgres'), 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('starts a survivor anew when the settings have changed', async () => {
    const dataDir = await world.dataDirectory();
    const first = await world.start(dataDir);
    await first.stop({ leaveRunning: true });
    const second = await world.start(dataDir, { work_mem: '5MB' });
    expect(second.adopted).toBe(false);
    expect(identifyProcess(first.pid)).toBeNull();
    expect(await ask(second.url('postgres'), 'show work_mem')).toEqual([{ work_mem: '5MB' }]);
  });

  test('starts when service and server are killed together, its children still dying', async () => {
    const dataDir = await world.dataDirectory();
    const service = await world.service(dataDir);
    const says = (await service.says) as { pid: number; url: string };
    await ask(says.url, 'create table kept as select 7 as n');
    const busy = ask(says.url, 'select pg_sleep(60)').catch(() => 'cut off');
    await until(() =>
      ask(says.url, "select 1 from pg_stat_activity where query like '%sleep(60)'").then((rows) => rows[0]),
    );
    await kill(service.process);
    process.kill(says.pid, 'SIGKILL');

    const server = await world.start(dataDir);
    expect(server.adopted).toBe(false);
    expect(await ask(server.url('postgres'), 'select n from kept')).toEqual([{ n: 7 }]);
    expect(await busy).toBe('cut off');
  });

  test('restarts the server under six writers and keeps every acknowledged row', async () => {
    const server = await world.start(await world.dataDirectory());
    const url = server.url('postgres');
    await ask(url, 'create table acked (n int primary key)');
    const acked: number[] = [];
    let stop = false;
    let next = 0;
    const write = async (): Promise<void> => {
      while (!stop) {
        const n = next++;
        try {
          await ask(url, 'insert into acked values ($1)', [n]);
          acked.push(n);
        } catch {
          await until(() => ask(url, 'select 1').catch(() => null), { timeoutMs: 30_000 });
        }
      }
    };
    const writers = Array.from({ length: 6 }, write);
    await until(() => acked.length > 50);
    const ended = once(server, 'exit');
    const restarted = once(server, 'restart');
    const before = server.pid;
    process.kill(before, 'SIGKILL');
    expect(await ended).toMatchObject([{ pid: before, how: 'signal SIGKILL' }]);
    await restarted;
    const ackedAtRestart = acked.length;
    await until(() => acked.length > ackedAtRestart + 50);
    stop = true;
    await Promise.all(writers);

    const stored = new Set((await ask(url, 'select n from acked')).map((row) => row['n'] as number));
    expect(acked.filter((n) => !stored.has(n))).toEqual([]);
    expect(server.url('postgres')).toBe(url);
  });
});

describe('with a stale postmaster.pid', () => {
  async function withPidFile(pid: number): Promise<string> {
    const dataDir = await world.dataDirectory();
    writeFileSync(
      join(dataDir, 'postgres/postmaster.pid'),
      `${pid}\n${dataDir}/postgres\n1760000000\n5432\n\n\n\nready\n`,
    );
    return dataDir;
  }

  test('starts when the process is gone', async () => {
    const gone = spawn('true');
    await once(gone, 'exit');
    const server = await world.start(await withPidFile(gone.pid ?? 0));
    expect(server.adopted).toBe(false);
  });

  test('starts when the pid now belongs to another user', async () => {
    const server = await world.start(await withPidFile(1));
    expect(server.adopted).toBe(false);
    expect(identifyProcess(1)).not.toBeNull();
  });

  test('starts when the pid now belongs to a foreign process of the same user, and leaves that alone', async () => {
    const foreign = spawn('sleep', ['600'], IS_ROOT ? { uid: NOBODY, gid: NOBODY, cwd: '/' } : {});
    await once(foreign, 'spawn');
    try {
      const dataDir = await withPidFile(foreign.pid ?? 0);
      const server = await world.start(dataDir);
      expect(server.adopted).toBe(false);
      expect(foreign.exitCode).toBeNull();
      expect(readFileSync(join(dataDir, 'postgres/postmaster.pid'), 'utf8')).toMatch(new RegExp(`^${server.pid}\n`));
    } finally {
      foreign.kill();
    }
  });
});
