import { SystemClock } from '../../src/kernel/clock.js';
import { createLogger } from '../../src/kernel/log.js';
import { systemIds, systemRandom } from '../../src/kernel/random.js';
import { SecretBox } from '../../src/kernel/secrets.js';
import { Telemetry } from '../../src/kernel/telemetry.js';
import { PIPELINE_BUCKETS, PipelineMetrics } from '../../src/pipeline/metrics.js';
import type { PipelineOptions } from '../../src/pipeline/pipeline.js';
import { SECRET } from '../orders.js';

/** The product's own instruments: they cost something, so they are in the measurement. */
export function productMetrics(): PipelineMetrics {
  const telemetry = new Telemetry({ host: '127.0.0.1', port: 0, version: 'bench', buckets: PIPELINE_BUCKETS });
  return new PipelineMetrics(telemetry.meter('bench'));
}

/** The pipeline as the service opens it, with the defaults of its configuration and calls to loopback allowed. */
export function pipelineOptions(place: Pick<PipelineOptions, 'databaseUrl' | 'dataDir' | 'roles'>): PipelineOptions {
  return {
    ...place,
    processName: `bench-${process.pid}`,
    signingSecrets: [{ secret: SECRET, world: 'real' }],
    apiVersion: '2026-10',
    allowPrivateAddresses: ['127.0.0.0/8'],
    secrets: new SecretBox([]),
    clock: new SystemClock(),
    ids: systemIds,
    random: systemRandom,
    log: createLogger(process.env['BENCH_LOG'] ?? 'fatal'),
    metrics: productMetrics(),
  };
}
