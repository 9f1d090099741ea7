import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { SystemClock } from '../src/kernel/clock.js';
import { Database } from '../src/kernel/database.js';
import { EmbeddedPostgres } from '../src/kernel/embedded-postgres.js';
import { silentLogger } from '../src/kernel/log.js';
import { migrate } from '../src/kernel/migrate.js';
import { ensurePartitions } from '../src/kernel/partitions.js';
import { pipelinePartitions } from '../src/pipeline/partitions.js';
import { cpuSecondsOf, cpuSecondsOfFamily, isMemoryFileSystem, machineCpuSeconds } from './machine.js';
import { Child, type Api } from './rpc.js';

const TEMPLATE = 'bench_template';
/** Directory of services that bring their own server. */
export const EMBEDDED = 'embedded';
const LOG_KEPT_MB = 1024;
// A backend that ends is counted with its server only once the server has heard of it.
const SETTLE_MS = 150;

/** What one stretch of work cost. Seconds of processor time, bytes of write-ahead log. */
export interface Cost {
  appSeconds: number;
  databaseSeconds: number;
  walBytes: number;
  /** Processors that were busy with anything but us, on average. */
  othersCores: number;
}

/** Everything the measurements need: a directory, a private PostgreSQL, Redis where there is one, child processes. */
export class Lab {
  private readonly children: Child<Api>[] = [];
  private redis: { process: ChildProcess; port: number } | null = null;
  private databases = 0;
  private closed: Promise<void> | null = null;

  private constructor(
    readonly dir: string,
    private readonly profileDir: string | null,
    private readonly postgres: EmbeddedPostgres,
    private readonly admin: pg.Client,
  ) {}

  /**
   * @param base an existing directory on a real disk; `null` = the temporary directory, or here if that is memory
   * @param profileDir where the children leave processor profiles; `null` = they make none
   */
  static async open(base: string | null, profileDir: string | null): Promise<Lab> {
    let parent = base ?? tmpdir();
    if (base === null && isMemoryFileSystem(parent)) {
      parent = join(process.cwd(), '.plumbline');
      mkdirSync(parent, { recursive: true });
    }
    const dir = mkdtempSync(join(parent, 'plumbline-bench-'));
    chmodSync(dir, 0o755); // PostgreSQL may run as another user
    const postgres = await EmbeddedPostgres.start({ dataDir: join(dir, 'data'), log: silentLogger });
    const admin = new pg.Client({ connectionString: postgres.url('postgres') });
    admin.on('error', () => undefined);
    const lab = new Lab(dir, profileDir, postgres, admin);
    try {
      await admin.connect();
      await lab.makeTemplate();
      await lab.fillLog();
      return lab;
    } catch (error) {
      await lab.close(); // the server is detached and would outlive us
      throw error;
    }
  }

  get postgresPid(): number {
    return this.postgres.pid;
  }

  async serverVersion(): Promise<string> {
    const { rows } = await this.admin.query<{ version: string }>('select version()');
    return rows[0]?.version ?? 'unknown';
  }

  /** A fresh database with the product's schema. @param empty without it, for the rivals */
  async database(empty = false): Promise<string> {
    const name = `bench_${++this.databases}`;
    await this.admin.query(`create database ${name}${empty ? '' : ` template ${TEMPLATE}`}`);
    return this.postgres.url(name);
  }

  async dropDatabase(url: string): Promise<void> {
    const name = new URL(url).pathname.slice(1);
    await this.admin.query(`drop database if exists ${name} with (force)`);
  }

  directory(name: string): string {
    const path = join(this.dir, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  child<A extends Api>(name: string): Child<A> {
    const profile = this.profileDir === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${join(this.profileDir, name)}`];
    const child = Child.start<A>(name, [...nodeFlags(), ...profile]);
    this.children.push(child);
    return child;
  }

  /** @returns the port of a Redis that flushes every write; `null` when there is no redis-server here */
  async redisPort(): Promise<number | null> {
    if (this.redis) return this.redis.port;
    const program = (process.env['PATH'] ?? '')
      .split(delimiter)
      .map((dir) => join(dir, 'redis-server'))
      .find(existsSync);
    if (program === undefined) return null;
    const port = await freePort();
    const settings = {
      port,
      bind: '127.0.0.1',
      dir: this.directory('redis'),
      appendonly: 'yes',
      appendfsync: 'always',
    };
    const flags = Object.entries({ ...settings, save: '' }).flatMap(([name, value]) => [`--${name}`, String(value)]);
    this.redis = { process: spawn(program, flags, { stdio: 'ignore' }), port };
    await until(() => answersOn(port), 5_000, 'redis-server to answer');
    return port;
  }

  /**
   * Runs the work and accounts for it.
   *
   * @param app the processes that count as the application
   * @param store what counts as its database: what another one does of its own accord is not this work's cost
   */
  async cost<Result>(
    app: readonly number[],
    work: () => Promise<Result>,
    store: 'postgres' | 'redis' = 'postgres',
  ): Promise<{ result: Result; cost: Cost }> {
    await this.admin.query('select 1');
    const before = await this.account(app);
    const result = await work();
    await pause(SETTLE_MS);
    const after = await this.account(app);
    const seconds = (after.atMs - before.atMs) / 1000;
    return {
      result,
      cost: {
        appSeconds: after.app - before.app,
        databaseSeconds: after[store] - before[store],
        walBytes: after.wal - before.wal,
        othersCores: Math.max(0, (after.machine - before.machine - (after.ours - before.ours)) / seconds),
      },
    };
  }

  /** Ends every process of ours and removes the directory. Safe to call twice, and half-way. */
  close(): Promise<void> {
    return (this.closed ??= this.closeAll());
  }

  private async closeAll(): Promise<void> {
    await Promise.all(this.children.map((child) => child.kill()));
    this.redis?.process.kill('SIGKILL');
    await this.admin.end().catch(() => undefined);
    await this.postgres.stop();
    await stopLeftOver(join(this.dir, EMBEDDED));
    rmSync(this.dir, { recursive: true, force: true });
  }

  /**
   * Puts spent segments of the write-ahead log back for what comes, as a server does that has run for a while. Without
   * them it makes new ones, 16 MB of zeroes each, and whoever writes least in a run would pay the most for it.
   */
  async recycleLog(): Promise<void> {
    await this.admin.query('checkpoint');
  }

  /** Clears away now what autovacuum would clear away while the next contender is measured. */
  async vacuum(databaseUrl: string): Promise<void> {
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    try {
      await client.query('vacuum analyze');
    } finally {
      await client.end();
    }
  }

  /** Writes as much log as the server keeps (`min_wal_size`), once. */
  private async fillLog(): Promise<void> {
    for (let written = 0; written < LOG_KEPT_MB; written += 8) {
      await this.admin.query(`select pg_logical_emit_message(false, 'bench', repeat('x', 8 * 1024 * 1024))`);
    }
    await this.recycleLog();
  }

  private async makeTemplate(): Promise<void> {
    await this.postgres.ensureDatabase(TEMPLATE);
    const url = this.postgres.url(TEMPLATE);
    await migrate(url, silentLogger);
    const database = new Database({ url, log: silentLogger });
    await ensurePartitions(database, new SystemClock(), pipelinePartitions());
    await database.end();
  }

  private async account(app: readonly number[]) {
    const { rows } = await this.admin.query<{ wal: string }>(
      `select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') as wal`,
    );
    const postgres = cpuSecondsOfFamily(this.postgres.pid);
    const redisPid = this.redis?.process.pid;
    const redis = redisPid === undefined ? 0 : cpuSecondsOf(redisPid);
    const children = this.children.map((child) => cpuSecondsOf(child.pid)).reduce((sum, each) => sum + each, 0);
    return {
      atMs: performance.now(),
      app: app.map(cpuSecondsOf).reduce((sum, each) => sum + each, 0),
      postgres,
      redis,
      wal: Number(rows[0]?.wal),
      machine: machineCpuSeconds(),
      ours: postgres + redis + children + cpuSecondsOf(process.pid),
    };
  }
}

/** What the service itself is started with. Every child has it, so that all contenders are run alike. */
function nodeFlags(): string[] {
  return JSON.parse(readFileSync(join(process.cwd(), 'scripts/node-flags.json'), 'utf8')) as string[];
}

/** A service that was ended in the middle leaves its server running, for the next start to adopt: adopt and stop it. */
async function stopLeftOver(dataDir: string): Promise<void> {
  if (!existsSync(join(dataDir, 'postgres', 'postmaster.pid'))) return;
  await (await EmbeddedPostgres.start({ dataDir, log: silentLogger })).stop();
}

export async function until(
  holds: () => boolean | Promise<boolean>,
  withinMs: number,
  what: string,
  everyMs = 20,
): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${withinMs / 1000} s for ${what}`);
    await pause(everyMs);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function answersOn(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
