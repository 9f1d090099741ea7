import type { ServiceApi } from '../children/service.js';
import { EMBEDDED, type Lab } from '../lab.js';
import { sampleOf, type Sample, type Scenario } from '../scenario.js';

async function startOnce(lab: Lab, dataDir: string): Promise<Sample> {
  const startedMs = performance.now();
  const service = lab.child<ServiceApi>('service');
  const { result: seconds, cost } = await lab.cost([service.pid], async () => {
    await service.call('open', { databaseUrl: null, dataDir, intake: true, targets: [] });
    return (performance.now() - startedMs) / 1000;
  });
  await service.call('close', null);
  await service.kill();
  return sampleOf(1, seconds, cost, { seconds });
}

export const start: Scenario = {
  name: 'start',
  title: 'from the start of the process to ready: embedded PostgreSQL on an existing cluster, schema, pipeline',
  async prepare(lab) {
    const dataDir = lab.directory(EMBEDDED);
    await startOnce(lab, dataDir); // makes the cluster
    return {
      contenders: [{ name: 'warm', measure: () => startOnce(lab, dataDir) }],
      base: 'warm',
      close: () => Promise.resolve(),
    };
  },
};
