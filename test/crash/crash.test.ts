import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, inject, it } from 'vitest';
import { crashRun } from './crash-run.js';

const serviceMain = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));

it('loses nothing it has answered and doubles nothing, killed 20 times, with PostgreSQL killed 20 times besides', async () => {
  expect(existsSync(serviceMain), 'the service is built (npm test does it)').toBe(true);
  const workDir = join(inject('runDir'), 'crash');
  await mkdir(workDir, { recursive: true });
  const report = await crashRun({
    rounds: { service: 20, postgres: 20 },
    seed: 42,
    serviceMain,
    workDir,
    say: () => undefined,
  });
  expect(report.faults).toEqual([]);
  expect(report.answered).toBeGreaterThan(500);
  expect(report.repeatsSent).toBeGreaterThan(20);
}, 420_000);
