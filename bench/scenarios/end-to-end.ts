import { setTimeout as pause } from 'node:timers/promises';
import type { LoadApi, LoadResult } from '../children/load.js';
import type { Target } from '../children/service.js';
import type { Arrivals } from '../children/sink.js';
import { until, type Lab } from '../lab.js';
import type { Child } from '../rpc.js';
import { sampleOf, type Contender, type Sample, type Scenario, type Settings } from '../scenario.js';
import { quantile } from '../statistics.js';
import { freshIds, openLoad } from './intake.js';
import { closeLine, openLine, type Line } from './worker.js';

const PER_SECOND = 200;
const CONNECTIONS = 32;
const NEIGHBOURS = 8;
const IDS = 8_192; // as many as the generator has orders
const ARRIVE_WITHIN_MS = 30_000;

/** Milliseconds from the instant each webhook was meant to be sent to the answer of its destination. */
function journeysMs({ sent }: LoadResult, arrivals: readonly Arrivals[]): number[] {
  const sentAtMs = new Map(Array.from(sent.ids, (id, index) => [id, sent.atMs[index] as number]));
  return arrivals.flatMap(({ ids, atMs }) =>
    Array.from(ids).flatMap((id, index) => {
      const startMs = sentAtMs.get(id);
      return startMs === undefined ? [] : [(atMs[index] as number) - startMs];
    }),
  );
}

/**
 * One service, intake and worker in one process as installed, under an even load.
 *
 * @param dead how many of the line's destinations take requests and never answer: the worst a neighbour can do
 */
async function flow(
  lab: Lab,
  load: Child<LoadApi>,
  line: Line,
  how: { perSecond: number; destinations: number; dead: number },
  settings: Settings,
): Promise<Sample> {
  const { service, sink, ports } = line;
  const databaseUrl = await lab.database();
  const used = ports.slice(0, how.destinations);
  const targets = used.map((port, index): Target => ({ name: `sink-${index}`, kind: 'webhook', port }));
  const alive = used.length - how.dead;
  for (const port of used.slice(alive)) await sink.call('mood', { only: port, mood: 'hanging' });
  await sink.call('reset', { tracing: true });
  const dataDir = lab.directory(`service-${service.pid}`);
  const { port } = await service.call('open', { databaseUrl, dataDir, intake: true, targets });
  await load.call('renew', { firstId: freshIds(IDS) });
  await load.call('begin', { ports: [port], connections: CONNECTIONS, perSecond: how.perSecond });
  await pause(settings.warmUpSeconds * 1000);
  const { result, cost } = await lab.cost([service.pid], async () => {
    await load.call('mark', null);
    await pause(settings.seconds * 1000);
    return load.call('end', null);
  });
  let journeys: number[] = [];
  const all = result.sent.ids.length * alive;
  await until(
    async () => (journeys = journeysMs(result, (await sink.call('arrivals', null)).slice(0, alive))).length >= all,
    ARRIVE_WITHIN_MS,
    `${all} events at the sink`,
    100,
  );
  await sink.call('mood', { only: null, mood: 'ok' });
  await service.call('close', null);
  await lab.dropDatabase(databaseUrl);
  const more = { p50Ms: quantile(journeys, 0.5), p99Ms: quantile(journeys, 0.99), failed: result.failed };
  return sampleOf(result.answered, result.seconds, cost, more);
}

export const endToEnd: Scenario = {
  name: 'end-to-end',
  title: `webhook to the destination's 2xx, ${PER_SECOND} a second`,
  async prepare(lab, settings) {
    const [load, line] = [await openLoad(lab), await openLine(lab, 1)];
    const how = { perSecond: PER_SECOND, destinations: 1, dead: 0 };
    await flow(lab, load, line, how, settings);
    return {
      contenders: [{ name: 'service', measure: () => flow(lab, load, line, how, settings) }],
      base: 'service',
      close: async () => void (await Promise.all([load.kill(), closeLine(line)])),
    };
  },
};

export const neighbours: Scenario = {
  name: 'neighbours',
  title: `${NEIGHBOURS} destinations, 25 webhooks a second to each; one takes requests and never answers`,
  async prepare(lab, settings) {
    const [load, line] = [await openLoad(lab), await openLine(lab, NEIGHBOURS)];
    const contender = (name: string, dead: number): Contender => ({
      name,
      measure: () => flow(lab, load, line, { perSecond: 25, destinations: NEIGHBOURS, dead }, settings),
    });
    const allAlive = contender('all-alive', 0);
    await allAlive.measure();
    return {
      contenders: [allAlive, contender('one-dead', 1)],
      base: 'all-alive',
      close: async () => void (await Promise.all([load.kill(), closeLine(line)])),
    };
  },
};
