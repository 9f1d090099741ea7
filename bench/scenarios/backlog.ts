import pg from 'pg';
import type { ServiceApi, Target } from '../children/service.js';
import { until, type Lab } from '../lab.js';
import { residentBytes } from '../machine.js';
import { sampleOf, type Sample, type Scenario, type Settings } from '../scenario.js';
import { freshIds } from './intake.js';
import { closeLine, openLine, type Line } from './worker.js';

/** A four-hour outage of the destination at 20 webhooks a second. */
const FULL_EVENTS = 288_000;
const MB = 2 ** 20;
const SAMPLE_EVERY_MS = 200;

function eventsOf({ full, quick }: Settings): number {
  return full ? FULL_EVENTS : quick ? 6_000 : 40_000;
}

/**
 * The destination refuses everything while the inbox is routed into its lanes; then it is back, and everything goes
 * out. Timed from its return; memory from the service's start.
 */
async function outage(lab: Lab, line: Line, events: number): Promise<Sample> {
  const { seeder, sink, ports } = line;
  // A process of its own: memory that an earlier round has touched would count otherwise.
  const service = lab.child<ServiceApi>('service');
  const databaseUrl = await lab.database();
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on('error', () => undefined);
  await client.connect();
  await seeder.call('fill', { databaseUrl, events, firstId: freshIds(events) });
  await sink.call('mood', { only: null, mood: 'refusing' });
  await sink.call('reset', { tracing: false });
  const targets: Target[] = [{ name: 'sink', kind: 'segment', port: ports[0] as number }];
  const rss: number[] = [];
  const watch = setInterval(() => rss.push(residentBytes(service.pid, 'VmRSS')), SAMPLE_EVERY_MS);
  try {
    await service.call('open', {
      databaseUrl,
      dataDir: lab.directory(`backlog-${service.pid}`),
      intake: true,
      targets,
    });
    const waiting = async (): Promise<number> =>
      Number((await client.query<{ count: string }>('select count(*) from pipeline.delivery')).rows[0]?.count);
    await until(async () => (await waiting()) >= events, 600_000, 'everything to be routed', 500);
    await sink.call('mood', { only: null, mood: 'ok' });
    // The breaker probes every half minute at the most.
    await until(async () => (await sink.call('count', null)) > 0, 60_000, 'the lane to flow again', 10);
    const samplesBefore = rss.length;
    const { cost } = await lab.cost([service.pid], () =>
      until(async () => (await sink.call('count', null)) >= events, 900_000, `${events} deliveries`, 50),
    );
    const [arrivals] = await sink.call('arrivals', null);
    if (!arrivals) throw new Error('the sink has no port');
    const seconds = (arrivals.lastMs - arrivals.firstMs) / 1000;
    const during = rss.slice(samplesBefore);
    const quarter = (number: number): number =>
      Math.max(
        ...during.slice(Math.floor((during.length * number) / 4), Math.ceil((during.length * (number + 1)) / 4)),
      );
    return sampleOf(events, seconds, cost, {
      events,
      rssMaxMb: residentBytes(service.pid, 'VmHWM') / MB,
      rssGrowth: quarter(3) / quarter(1),
    });
  } finally {
    clearInterval(watch);
    await client.end();
    await service.kill();
    await lab.dropDatabase(databaseUrl);
  }
}

export const backlog: Scenario = {
  name: 'backlog',
  title: `drain after an outage of the destination; ${FULL_EVENTS} events with --full, else 40,000 (6,000 with --quick)`,
  async prepare(lab, settings) {
    const line = await openLine(lab, 1);
    return {
      contenders: [{ name: 'outage', measure: () => outage(lab, line, eventsOf(settings)) }],
      base: 'outage',
      roundsMax: 1,
      close: () => closeLine(line),
    };
  },
};
