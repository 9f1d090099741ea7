import type { SeederApi } from '../children/seeder.js';
import type { ServiceApi, Target } from '../children/service.js';
import type { SinkApi } from '../children/sink.js';
import { until, type Lab } from '../lab.js';
import type { Child } from '../rpc.js';
import { sampleOf, type Sample, type Scenario } from '../scenario.js';
import { freshIds } from './intake.js';

const DELIVER_WITHIN_MS = 300_000;
const WARM_UP_EVENTS = 8_000; // about a second's worth, as the other measurements have: compiling counts as processor time

export interface Line {
  seeder: Child<SeederApi>;
  service: Child<ServiceApi>;
  sink: Child<SinkApi>;
  ports: readonly number[];
}

/** Everything between the inbox and a destination in another process. */
export async function openLine(lab: Lab, ports: number): Promise<Line> {
  const sink = lab.child<SinkApi>('sink');
  const opened = await sink.call('open', { ports });
  return { seeder: lab.child('seeder'), service: lab.child('service'), sink, ports: opened.ports };
}

export async function closeLine({ seeder, service, sink }: Line): Promise<void> {
  await Promise.all([seeder.kill(), service.kill(), sink.kill()]);
}

/**
 * Router and deliveries over an inbox that was filled before: from the worker's readiness to the last 2xx.
 *
 * @param routedBefore leaves the router out: another process has queued everything, as behind an outage, and this one
 *   claims, reads the inbox, parses, maps, sends and settles
 */
async function deliverAll(
  lab: Lab,
  line: Line,
  kind: Target['kind'],
  events: number,
  routedBefore = false,
): Promise<Sample> {
  const { seeder, service, sink, ports } = line;
  const databaseUrl = await lab.database();
  await seeder.call('fill', { databaseUrl, events, firstId: freshIds(events) });
  await sink.call('reset', { tracing: false });
  const targets: Target[] = [{ name: 'sink', kind, port: ports[0] as number }];
  const dataDir = lab.directory(`worker-${service.pid}`);
  if (routedBefore) {
    const parked = targets.map((target) => ({ ...target, enabled: false }));
    await service.call('open', { databaseUrl, dataDir, intake: false, targets: parked });
    await until(async () => (await service.call('unread', null)) === 0, DELIVER_WITHIN_MS, 'everything is routed', 50);
    await service.call('close', null);
  }
  await service.call('open', { databaseUrl, dataDir, intake: false, targets });
  const { result: seconds, cost } = await lab.cost([service.pid], async () => {
    const startedMs = performance.now();
    await until(async () => (await sink.call('count', null)) >= events, DELIVER_WITHIN_MS, `${events} deliveries`, 50);
    const elapsed = (performance.now() - startedMs) / 1000;
    await service.call('close', null); // what was sent is settled within
    return elapsed;
  });
  const [arrivals] = await sink.call('arrivals', null);
  await lab.dropDatabase(databaseUrl);
  return sampleOf(events, seconds, cost, { perPost: events / (arrivals?.posts ?? NaN) });
}

export const worker: Scenario = {
  name: 'worker',
  title: 'worker, whole path from the inbox through router and delivery to a sink in another process',
  async prepare(lab, settings) {
    const line = await openLine(lab, 1);
    // About as long as the other measurements last, and enough that a start weighs nothing.
    const events = Math.round(settings.seconds * 8_000);
    const deliver = (name: string, kind: Target['kind'], routedBefore = false) => ({
      name,
      measure: () => deliverAll(lab, line, kind, events, routedBefore),
    });
    for (const kind of ['segment', 'webhook'] as const) await deliverAll(lab, line, kind, WARM_UP_EVENTS);
    return {
      contenders: [
        deliver('segment', 'segment'),
        deliver('segment-queued', 'segment', true),
        deliver('webhook', 'webhook'),
        {
          name: 'json-parse',
          async measure() {
            const { result, cost } = await lab.cost([line.seeder.pid], () =>
              line.seeder.call('parse', { seconds: settings.seconds }),
            );
            return sampleOf(result.events, result.seconds, cost);
          },
        },
      ],
      base: 'json-parse',
      close: () => closeLine(line),
    };
  },
};
