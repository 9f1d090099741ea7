import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { withOwnServer } from './databases.js';
import { chart } from './replay/chart.js';
import { replay } from './replay/replay.js';
import { report } from './replay/report.js';
import { STORY_2019 } from './replay/story.js';
import { sayReport, simulate } from './worlds/simulate.js';

const USAGE = `usage: npm run replay-2019 [-- --seed <whole number> --out <directory>]
       npm run simulate -- --seeds <how many> [--from <first seed>]
       npm run simulate -- --seed <the only one>
`;
/** Seeds that failed once; the suite lives through them for ever. Seen from `dist/simulation`. */
const KEPT = fileURLToPath(new URL('../../test/simulation/seeds.json', import.meta.url));

const [command, ...rest] = process.argv.slice(2);
process.exitCode = await run(command ?? '', rest);

async function run(what: string, args: string[]): Promise<number> {
  try {
    if (what === 'replay-2019') return await replay2019(args);
    if (what === 'simulate') return await simulateSeeds(args);
  } catch (error) {
    if (!(error instanceof TypeError && 'code' in error)) throw error;
    process.stderr.write(`${error.message}\n`); // parseArgs: an option nobody knows
  }
  process.stderr.write(USAGE);
  return 64;
}

async function replay2019(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { seed: { type: 'string', default: '2019' }, out: { type: 'string', default: '.build/replay-2019' } },
  });
  const seed = wholeNumber(values.seed);
  const result = await withOwnServer((databases) => replay({ databases, seed, story: STORY_2019, say }));
  const directory = resolve(values.out);
  await mkdir(directory, { recursive: true });
  const page = resolve(directory, `replay-2019-seed-${seed}.html`);
  await writeFile(page, chart(result));
  process.stdout.write(`${report(result)}\n\nThe chart: ${pathToFileURL(page).href}\n`);
  return result.broken.length === 0 ? 0 : 1;
}

async function simulateSeeds(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      seeds: { type: 'string', default: '50' },
      from: { type: 'string', default: '1' },
      seed: { type: 'string' },
    },
  });
  const first = wholeNumber(values.seed ?? values.from);
  const many = values.seed === undefined ? wholeNumber(values.seeds) : 1;
  const seeds = Array.from({ length: many }, (_, index) => first + index);
  let lived = 0;
  const result = await withOwnServer((databases) =>
    simulate(databases, seeds, (seed, broken) => {
      lived++;
      if (broken.length > 0) say(`seed ${seed}: ${broken.length} broken promises`);
      else if (lived % 25 === 0) say(`${lived} of ${many} worlds`);
    }),
  );
  process.stdout.write(`${sayReport(result)}\n`);
  await keep(result.failed.map(({ seed }) => seed));
  return result.failed.length === 0 ? 0 : 1;
}

/** A seed that failed is never forgotten. */
async function keep(failed: readonly number[]): Promise<void> {
  if (failed.length === 0) return;
  const kept = JSON.parse(await readFile(KEPT, 'utf8')) as number[];
  const all = [...new Set([...kept, ...failed])].sort((one, other) => one - other);
  await writeFile(KEPT, `${JSON.stringify(all)}\n`);
  process.stdout.write(`kept in ${KEPT}\n`);
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  throw Object.assign(new TypeError(`${text} is not a whole number`), { code: 'NOT_A_NUMBER' });
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
