import { chmodSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { EmbeddedPostgres } from '../../src/kernel/embedded-postgres.js';
import { createLogger } from '../../src/kernel/log.js';
import { migrate } from '../../src/kernel/migrate.js';
import { findPostmaster } from '../../src/kernel/postmaster-pid.js';
import { identifyProcess } from '../../src/kernel/process-identity.js';
import { until } from './until.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Connection URL of the run's server, with `{database}` where a database's name goes. */
    serverUrl: string;
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

  const dataDir = join(runs, `run-${process.pid}`);
  const log = createLogger('warn');
  const server = await EmbeddedPostgres.start({ dataDir, log, settings: { shared_buffers: '64MB' } });
  try {
    await server.ensureDatabase(TEMPLATE);
    await migrate(server.url(TEMPLATE), log);
  } catch (error) {
    await server.stop();
    throw error;
  }
  project.provide('serverUrl', server.url('{database}').replace(encodeURIComponent('{database}'), '{database}'));
  return async () => {
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
  };
}

/** A run that was killed leaves its server behind. Its directory names the run, its pid file the server. */
async function clearKilledRuns(runs: string): Promise<void> {
  for (const name of readdirSync(runs)) {
    const pid = Number(/^run-(\d+)$/.exec(name)?.[1]);
    const owner = identifyProcess(pid);
    if (owner !== null && owner.command.some((word) => /vitest|node/.test(word))) continue;
    await stopServer(join(runs, name, 'postgres'));
    rmSync(join(runs, name), { recursive: true, force: true });
  }
}

async function stopServer(cluster: string): Promise<void> {
  const find = () => {
    try {
      return findPostmaster(cluster);
    } catch {
      return null; // no cluster was made, or it is being removed by another run
    }
  };
  const found = find();
  if (found?.verdict !== 'ours' || found.process === null) return;
  process.kill(found.process.pid, 'SIGQUIT'); // its data is thrown away: nothing to save
  await until(() => find()?.verdict !== 'ours', { what: 'the server of a killed test run has ended' });
}
