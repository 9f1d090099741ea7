import { findPostmaster, type FoundPostmaster } from '../../src/kernel/postmaster-pid.js';
import { until } from './until.js';

/**
 * Stops the server on a cluster at once, whoever started it; its data is about to be thrown away.
 * No cluster, no server, or a process that is not its server: nothing happens.
 */
export async function stopServer(cluster: string): Promise<void> {
  const found = find(cluster);
  if (found?.verdict !== 'ours' || found.process === null) return;
  process.kill(found.process.pid, 'SIGQUIT');
  await until(() => find(cluster)?.verdict !== 'ours', { what: `the server on ${cluster} has ended` });
}

function find(cluster: string): FoundPostmaster | null {
  try {
    return findPostmaster(cluster);
  } catch {
    return null; // no cluster here, or it is being removed
  }
}
