import { setTimeout as pause } from 'node:timers/promises';
import type { ReadersApi } from '../children/readers.js';
import type { StatusFrontApi, StatusFrontKind } from '../children/status-front.js';
import type { Lab } from '../lab.js';
import type { Child } from '../rpc.js';
import { sampleOf, type Contender, type Sample, type Scenario, type Settings } from '../scenario.js';

const CONNECTIONS = 64;
const KINDS: readonly StatusFrontKind[] = ['plumbline', 'fastify', 'bare'];

async function timed(
  lab: Lab,
  readers: Child<ReadersApi>,
  front: { child: Child<StatusFrontApi>; port: number },
  settings: Settings,
): Promise<Sample> {
  await readers.call('begin', { port: front.port, path: '/status', connections: CONNECTIONS });
  await pause(settings.warmUpSeconds * 1_000);
  const { result, cost } = await lab.cost([front.child.pid], async () => {
    await readers.call('mark', null);
    await pause(settings.seconds * 1_000);
    return readers.call('end', null);
  });
  const { answered, seconds, failed, p50Ms, p99Ms } = result;
  if (failed > 0) throw new Error(`${failed} of ${answered} readers were not answered 200`);
  return sampleOf(answered, seconds, cost, { p50Ms, p99Ms });
}

export const statusPage: Scenario = {
  name: 'status-page',
  title: 'the public status page from its cache, 64 readers, brotli',
  async prepare(lab, settings) {
    const readers = lab.child<ReadersApi>('readers');
    const fronts: { child: Child<StatusFrontApi>; port: number }[] = [];
    const contenders: Contender[] = [];
    for (const kind of KINDS) {
      const child = lab.child<StatusFrontApi>('status-front');
      const front = { child, port: (await child.call('open', { kind })).port };
      fronts.push(front);
      await timed(lab, readers, front, settings); // the compiler settles once, not in the first round
      contenders.push({ name: kind, measure: () => timed(lab, readers, front, settings) });
    }
    return {
      contenders,
      base: 'bare',
      close: async () => {
        await Promise.all([readers.kill(), ...fronts.map(({ child }) => child.kill())]);
      },
    };
  },
};
