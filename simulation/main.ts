import { mkdir, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { withOwnServer } from './databases.js';
import { chart } from './replay/chart.js';
import { replay } from './replay/replay.js';
import { report } from './replay/report.js';
import { STORY_2019 } from './replay/story.js';

const USAGE = `usage: npm run replay-2019 [-- --seed <whole number> --out <directory>]
`;
const SEED_2019 = 2019;

const [command, ...rest] = process.argv.slice(2);
process.exitCode = await (command === 'replay-2019' ? replay2019(rest) : Promise.resolve(usage()));

async function replay2019(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: 'string', default: String(SEED_2019) },
      out: { type: 'string', default: '.build/replay-2019' },
    },
  });
  const seed = Number(values.seed);
  if (!Number.isInteger(seed)) return usage();
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const result = await withOwnServer((databases) => replay({ databases, seed, story: STORY_2019, say }));
  const directory = resolve(values.out);
  await mkdir(directory, { recursive: true });
  const page = resolve(directory, `replay-2019-seed-${seed}.html`);
  await writeFile(page, chart(result));
  process.stdout.write(`${report(result)}\n\nThe chart: ${pathToFileURL(page).href}\n`);
  const { plumbline, settled } = result;
  const isProved = plumbline.total.lost === 0 && settled.waiting === 0 && settled.disagreeing === 0;
  return isProved ? 0 : 1;
}

function usage(): number {
  process.stderr.write(USAGE);
  return 64;
}
