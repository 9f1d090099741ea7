import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { crashRun } from './crash-run.js';

/** `npm run crash -- --rounds 500 [--seed 7]`: half of the rounds kill the service, half kill PostgreSQL. */
const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '100' }, seed: { type: 'string', default: '1' } },
});
const rounds = Number(values.rounds);
const seed = Number(values.seed);
if (!Number.isInteger(rounds) || rounds < 2 || !Number.isInteger(seed)) {
  process.stderr.write('usage: npm run crash -- --rounds <2 or more> [--seed <whole number>]\n');
  process.exit(2);
}

const workDir = await mkdtemp(join(tmpdir(), 'plumbline-crash-'));
try {
  const report = await crashRun({
    rounds: { service: Math.ceil(rounds / 2), postgres: Math.floor(rounds / 2) },
    seed,
    serviceMain: fileURLToPath(new URL('../../src/main.js', import.meta.url)),
    workDir,
    say: (line) => process.stdout.write(`${line}\n`),
  });
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  process.stdout.write(report.faults.length === 0 ? 'nothing lost, nothing doubled\n' : 'FAULTS: see above\n');
  process.exitCode = report.faults.length === 0 ? 0 : 1;
} finally {
  await rm(workDir, { recursive: true, force: true });
}
