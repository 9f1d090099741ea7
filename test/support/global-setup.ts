import { chmodSync, globSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { EmbeddedPostgres } from '../../src/kernel/embedded-postgres.js';
import { createLogger } from '../../src/kernel/log.js';
import { migrate } from '../../src/kernel/migrate.js';
import { identifyProcess } from '../../src/kernel/process-identity.js';
import { stopServer } from './stop-server.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Connection URL of the run's server, with `{database}` where a database's name goes. */
    serverUrl: string;
    /** The run's directory. Servers that tests start below it are stopped by the next run if this one is killed. */
    runDir: string;
  }
}

/** The migrated database that every test file copies. */
const TEMPLATE = 'plumbline_template';

/** One real PostgreSQL for the run. Every run has a directory named by its pid below a place that all runs know. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const runs = join(tmpdir(), `plumbline-test-${process.getuid?.() ?? userInfo().username}`);
  mkdirSync(runs, { recursive: true });
  chmodSync(runs, 0o755); // root's server runs as nobody and has to get in
  await clearKilledRuns(runs);

  const runDir = join(runs, `run-${process.pid}`);
  const log = createLogger('warn');
  const server = await EmbeddedPostgres.start({
    dataDir: join(runDir, 'server'),
    log,
    // Test files run side by side, and some of them are three services at once that get killed and come back.
    settings: { shared_buffers: '64MB', max_connections: '300' },
  });
  try {
    await server.ensureDatabase(TEMPLATE);
    await migrate(server.url(TEMPLATE), log);
  } catch (error) {
    await server.stop();
    throw error;
  }
  project.provide('runDir', runDir);
  project.provide('serverUrl', server.url('{database}').replace(encodeURIComponent('{database}'), '{database}'));
  return async () => {
    await server.stop();
    rmSync(runDir, { recursive: true, force: true });
  };
}

/** A run that was killed leaves servers behind. Its directory names the run, their pid files name the servers. */
async function clearKilledRuns(runs: string): Promise<void> {
  for (const name of readdirSync(runs)) {
    const pid = Number(/^run-(\d+)$/.exec(name)?.[1]);
    const owner = identifyProcess(pid);
    if (owner !== null && owner.command.some((word) => /vitest|node/.test(word))) continue;
    for (const file of globSync('**/postmaster.pid', { cwd: join(runs, name) })) {
      await stopServer(dirname(join(runs, name, file)));
    }
    rmSync(join(runs, name), { recursive: true, force: true });
  }
}
