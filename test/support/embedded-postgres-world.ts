import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { inject } from 'vitest';
import { EmbeddedPostgres } from '../../src/kernel/embedded-postgres.js';
import { silentLogger } from '../../src/kernel/log.js';
import { stopServer } from './stop-server.js';

export const IS_ROOT = process.getuid?.() === 0;
export const NOBODY = 65_534;
/** Whether the user nobody can run this checkout's programs; below /root, or any other private home, it cannot. */
export const NOBODY_REACHES_US =
  IS_ROOT && spawnSync(process.execPath, ['--version'], { uid: NOBODY, gid: NOBODY, cwd: '/' }).status === 0;

export interface ServiceSays {
  pid: number;
  adopted: boolean;
  url: string;
}

/** Directories, services and servers of one test file; `end` leaves none of them behind, whatever the tests did. */
export class EmbeddedPostgresWorld {
  private readonly roots: string[] = [];
  private readonly services: ChildProcess[] = [];
  private readonly servers: EmbeddedPostgres[] = [];
  private seed: string | null = null;

  /** An empty directory that every user may pass through, as `/var/lib/plumbline` would be. */
  directory(mode = 0o755): string {
    const root = mkdtempSync(join(inject('runDir'), 'world-'));
    chmodSync(root, mode);
    this.roots.push(root);
    return root;
  }

  /** A data directory with a cluster in it: a copy of one that initdb made once. */
  async dataDirectory(): Promise<string> {
    if (this.seed === null) {
      this.seed = join(this.directory(), 'seed');
      await (await this.start(this.seed)).stop();
    }
    const dataDir = join(this.directory(), 'data');
    cpSync(this.seed, dataDir, { recursive: true });
    return dataDir;
  }

  async start(dataDir: string, settings: Record<string, string> = {}): Promise<EmbeddedPostgres> {
    const server = await EmbeddedPostgres.start({ dataDir, log: silentLogger, settings });
    this.servers.push(server);
    return server;
  }

  /** A service in a process of its own; `user` runs it under another uid (root only). */
  async service(dataDir: string, user?: number): Promise<{ process: ChildProcess; says: Promise<unknown> }> {
    const hooks = fileURLToPath(new URL('typescript-hooks.mjs', import.meta.url));
    const script = fileURLToPath(new URL('embedded-postgres-service.ts', import.meta.url));
    if (user !== undefined) chownSync(join(dataDir, '..'), user, user);
    const child = spawn(process.execPath, ['--import', hooks, script, dataDir], {
      ...(user === undefined ? {} : { uid: user, gid: user }),
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.services.push(child);
    const lines = createInterface({ input: child.stdout });
    const says = once(lines, 'line').then(([line]) => JSON.parse(String(line)) as unknown);
    await once(child, 'spawn');
    return { process: child, says };
  }

  /** Ends every service and server that a test left, then removes the directories. */
  async end(): Promise<void> {
    for (const service of this.services) await kill(service);
    for (const server of this.servers) await server.stop();
    for (const root of this.roots) {
      for (const dataDir of ['data', 'seed']) await stopServer(join(root, dataDir, 'postgres'));
      rmSync(root, { recursive: true, force: true });
    }
  }
}

export async function kill(service: ChildProcess): Promise<void> {
  if (service.exitCode !== null || service.signalCode !== null) return;
  const gone = once(service, 'exit');
  service.kill('SIGKILL');
  await gone;
}

/** One statement on a connection of its own. */
export async function ask(url: string, statement: string, values: unknown[] = []): Promise<pg.QueryResultRow[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined); // the tests kill servers; the statement's own failure is what counts
  await client.connect();
  try {
    return (await client.query<pg.QueryResultRow>(statement, values)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Effective uid of a process. Source: proc_pid_status(5) */
export function uidOf(pid: number): number {
  return Number(/^Uid:\s+\d+\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
