import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { expect, it } from 'vitest';
import { SystemClock } from '../../src/kernel/clock.js';
import { judgeLoop } from '../../src/kernel/health.js';
import { silentLogger } from '../../src/kernel/log.js';
import { systemIds, systemRandom } from '../../src/kernel/random.js';
import { SecretBox } from '../../src/kernel/secrets.js';
import { PipelineMetrics } from '../../src/pipeline/metrics.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { testDatabase } from '../support/test-database.js';

it.each([
  { worker: false, loops: ['intake-minutes', 'intake-tally', 'journal-drain', 'registry'] },
  {
    worker: true,
    loops: ['delivery', 'held', 'intake-minutes', 'intake-tally', 'journal-drain', 'registry', 'retention', 'router'],
  },
])('reports no loop of another role as stopped: worker $worker', async ({ worker, loops }) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'plumbline-roles-'));
  const pipeline = await Pipeline.openIntake({
    databaseUrl: (await testDatabase()).url,
    dataDir,
    roles: { intake: true, worker },
    processName: 'test',
    signingSecrets: [],
    apiVersion: '2026-10',
    allowPrivateAddresses: [],
    secrets: new SecretBox([]),
    clock: new SystemClock(),
    ids: systemIds,
    random: systemRandom,
    log: silentLogger,
    metrics: new PipelineMetrics(new MeterProvider().getMeter('test')),
  });
  try {
    await pipeline.openRest((registry) => registry.applyDeclared({ shops: [], destinations: [] }, 'real'));
    expect(
      pipeline
        .loops()
        .map((loop) => loop.name)
        .sort(),
    ).toEqual(loops);
    expect(pipeline.loops().filter((loop) => judgeLoop(loop).state === 'dead')).toEqual([]);
  } finally {
    await pipeline.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
});
