import type { DrainKind, DrainerApi } from '../children/drainer.js';
import type { Drained } from '../children/progress.js';
import type { Lab } from '../lab.js';
import type { Child } from '../rpc.js';
import { sampleOf, type Contender, type Sample, type Scenario, type Settings } from '../scenario.js';
import { DeliveryLines, anHourAgo } from './deliveries.js';

const FUTURE_ROWS = 100_000;
const DAY_MS = 86_400_000;
const SLICES = 4;

/** How many rows lie in line. A second of ours takes some 30,000. */
function sizes({ quick, seconds }: Settings): { plain: number; great: number; slice: number; rival: number } {
  const plain = Math.max(20_000, seconds * 40_000);
  return { plain, great: quick ? 200_000 : 1_000_000, slice: quick ? 5_000 : 40_000, rival: seconds * 40_000 };
}

async function drained(
  lab: Lab,
  drainer: Child<DrainerApi>,
  until: { jobs: number; seconds: number; slice?: number },
): Promise<{ sample: Sample; drained: Drained }> {
  const { result, cost } = await lab.cost([drainer.pid], () =>
    drainer.call('drain', { jobs: until.jobs, seconds: until.seconds, slice: until.slice ?? null }),
  );
  return { sample: sampleOf(result.jobs, result.seconds, cost), drained: result };
}

async function openDrainer(lab: Lab, kind: DrainKind, databaseUrl: string) {
  const drainer = lab.child<DrainerApi>('drainer');
  await drainer.call('open', { kind, databaseUrl, postgresPid: lab.postgresPid });
  return drainer;
}

/** Our own lines, under the circumstances of the name. */
async function own(lab: Lab, name: string, settings: Settings): Promise<Contender & { close(): Promise<void> }> {
  const databaseUrl = await lab.database();
  const lines = await DeliveryLines.open(databaseUrl);
  const drainer = await openDrainer(lab, name === 'queue-alone' ? 'own-queue' : 'own', databaseUrl);
  const { plain, great, slice } = sizes(settings);
  const rows = name === 'backlog' ? great : plain;
  if (name === 'future') await lines.add(FUTURE_ROWS, new Date(Date.now() + DAY_MS));
  await lines.topUp(20_000);
  await drained(lab, drainer, { jobs: 20_000, seconds: 5 }); // for the compiler
  return {
    name,
    async measure() {
      if (name === 'held-snapshot') return underSnapshot(lab, drainer, lines, slice);
      await lines.topUp(rows);
      return (await drained(lab, drainer, { jobs: rows, seconds: settings.seconds })).sample;
    },
    close: async () => void (await Promise.all([lines.close(), drainer.kill()])),
  };
}

async function underSnapshot(
  lab: Lab,
  drainer: Child<DrainerApi>,
  lines: DeliveryLines,
  slice: number,
): Promise<Sample> {
  await lines.empty();
  await lines.add(SLICES * slice, anHourAgo());
  await lines.topUp(SLICES * slice);
  await lines.holdSnapshot();
  const { sample, drained: result } = await drained(lab, drainer, { jobs: SLICES * slice, seconds: 60, slice });
  await lines.letGo();
  const [first, last] = [result.slices[0], result.slices[SLICES - 1]];
  if (!first || !last) throw new Error(`only ${result.jobs} jobs were done under a held snapshot`);
  const micros = (one: typeof first): number => ((one.appSeconds + one.databaseSeconds) / slice) * 1e6;
  const more = {
    firstSlicePerSecond: slice / first.seconds,
    lastSlicePerSecond: slice / last.seconds,
    firstSliceMicros: micros(first),
    lastSliceMicros: micros(last),
  };
  return { ...sample, more };
}

async function rival(
  lab: Lab,
  kind: 'pg-boss' | 'graphile-worker',
  settings: Settings,
): Promise<Contender & { close(): Promise<void> }> {
  const drainer = await openDrainer(lab, kind, await lab.database(true));
  const jobs = sizes(settings).rival;
  await drainer.call('fill', { jobs });
  await drained(lab, drainer, { jobs: 5_000, seconds: 3 });
  let left = jobs - 5_000;
  return {
    name: kind,
    async measure() {
      await drainer.call('fill', { jobs: jobs - left });
      const { sample, drained: result } = await drained(lab, drainer, { jobs, seconds: settings.seconds });
      left = jobs - result.jobs;
      return sample;
    },
    close: () => drainer.kill(),
  };
}

export const drain: Scenario = {
  name: 'drain',
  title:
    'draining deliveries that take no work: the queue alone (claim and complete), and with ledger and facts; against fetch and complete',
  async prepare(lab, settings) {
    const contenders: (Contender & { close(): Promise<void> })[] = [];
    for (const name of ['queue-alone', 'plain', 'backlog', 'future', 'held-snapshot'])
      contenders.push(await own(lab, name, settings));
    for (const kind of ['pg-boss', 'graphile-worker'] as const) contenders.push(await rival(lab, kind, settings));
    return {
      contenders,
      base: 'plain',
      close: async () => void (await Promise.all(contenders.map((contender) => contender.close()))),
    };
  },
};
