import { setTimeout as pause } from 'node:timers/promises';
import type { FrontApi, FrontKind } from '../children/front.js';
import type { Load, LoadApi, LoadResult } from '../children/load.js';
import type { Lab } from '../lab.js';
import type { Child } from '../rpc.js';
import { sampleOf, type Contender, type Sample, type Scenario, type Settings } from '../scenario.js';

/** Saturates a group committer; 64 leave it waiting for its own batches (docs/performance.md). */
const CONNECTIONS = 256;
const LATENCY_CONNECTIONS = 64;
const ORDERS = 8_192;

/** Ids that no other measurement of this run uses. */
let nextFirstId = 7_000_000_000_000;
export function freshIds(count: number): number {
  const first = nextFirstId;
  nextFirstId += count;
  return first;
}

/** A web server under test, in a process of its own. */
interface Front {
  child: Child<FrontApi>;
  port: number;
  /** Where it keeps what it takes; `null` = not in PostgreSQL. */
  databaseUrl: string | null;
  store: 'postgres' | 'redis';
}

/** The load generator with its orders made: one a run of the bench, whatever is measured. */
export async function openLoad(lab: Lab): Promise<Child<LoadApi>> {
  const load = lab.child<LoadApi>('load');
  await load.call('prepare', { seed: 20261123, orders: ORDERS });
  return load;
}

async function openFront(lab: Lab, kind: FrontKind, redisPort: number, databaseUrl?: string): Promise<Front> {
  const child = lab.child<FrontApi>('front');
  const inPostgres = kind !== 'nothing' && kind !== 'bare' && kind !== 'bullmq';
  const isOurs = kind === 'plumbline' || kind === 'journal';
  const url = databaseUrl ?? (inPostgres ? await lab.database(!isOurs) : null);
  const dataDir = lab.directory(`${kind}-${child.pid}`);
  const { port } = await child.call('open', { kind, databaseUrl: url ?? '', dataDir, redisPort });
  return { child, port, databaseUrl: url, store: kind === 'bullmq' ? 'redis' : 'postgres' };
}

/** One timed stretch after a warm-up, on a store that was emptied before. */
async function timed(
  lab: Lab,
  load: Child<LoadApi>,
  fronts: readonly Front[],
  how: Omit<Load, 'ports'>,
  settings: Settings,
): Promise<{ sample: Sample; result: LoadResult }> {
  await load.call('renew', { firstId: freshIds(ORDERS) });
  await lab.recycleLog();
  await load.call('begin', { ...how, ports: fronts.map(({ port }) => port) });
  await pause(settings.warmUpSeconds * 1000);
  const { result, cost } = await lab.cost(
    fronts.map(({ child }) => child.pid),
    async () => {
      await load.call('mark', null);
      await pause(settings.seconds * 1000);
      return load.call('end', null);
    },
    fronts[0]?.store,
  );
  for (const { child, databaseUrl } of fronts) {
    await child.call('empty', null);
    if (databaseUrl !== null) await lab.vacuum(databaseUrl);
  }
  const { answered, seconds, failed, p50Ms, p99Ms } = result;
  const more = { p50Ms, p99Ms, failed, walBytes: cost.walBytes / answered };
  return { sample: sampleOf(answered, seconds, cost, more), result };
}

export const intake: Scenario = {
  name: 'intake',
  title: 'durable-ack intake, saturated over 256 connections',
  async prepare(lab, settings) {
    const redisPort = await lab.redisPort();
    const kinds: FrontKind[] = ['plumbline', 'nothing', 'bare', 'one-insert', 'pg-boss', 'graphile-worker'];
    if (redisPort !== null) kinds.push('bullmq');
    const load = await openLoad(lab);
    const fronts: Front[] = [];
    const contenders: Contender[] = [];
    for (const kind of kinds) {
      const front = await openFront(lab, kind, redisPort ?? 0);
      fronts.push(front);
      const how = { connections: CONNECTIONS, perSecond: null };
      await timed(lab, load, [front], how, settings); // the compiler settles once, not in the first round
      contenders.push({
        name: kind,
        measure: async () => (await timed(lab, load, [front], how, settings)).sample,
      });
    }
    const reason = 'no redis-server here: apt-get install -y --no-install-recommends redis-server';
    return {
      contenders,
      base: 'nothing',
      skipped: redisPort === null ? [{ name: 'bullmq', reason }] : [],
      close: () => closeAll(load, fronts),
    };
  },
};

export const intakeLatency: Scenario = {
  name: 'intake-latency',
  title: 'intake at half of its own saturation, open loop, coordinated omission corrected',
  async prepare(lab, settings) {
    const load = await openLoad(lab);
    const durable = await openFront(lab, 'plumbline', 0);
    const nothing = await openFront(lab, 'nothing', 0);
    // Half of what this very server does in a closed loop, found once: both are then offered the same.
    const closed = { connections: CONNECTIONS, perSecond: null };
    await timed(lab, load, [nothing], closed, settings);
    const { sample } = await timed(lab, load, [durable], closed, settings);
    const open = { connections: LATENCY_CONNECTIONS, perSecond: Math.round(sample.perSecond / 2) };
    const contender = (name: string, front: Front): Contender => ({
      name,
      measure: async () => (await timed(lab, load, [front], open, settings)).sample,
    });
    return {
      contenders: [contender('plumbline', durable), contender('nothing', nothing)],
      base: 'nothing',
      close: () => closeAll(load, [durable, nothing]),
    };
  },
};

export const twoProcesses: Scenario = {
  name: 'two-processes',
  title: 'two intake processes on one database, saturated together',
  async prepare(lab, settings) {
    const load = await openLoad(lab);
    const databaseUrl = await lab.database();
    const fronts = [
      await openFront(lab, 'plumbline', 0, databaseUrl),
      await openFront(lab, 'plumbline', 0, databaseUrl),
    ];
    const how = { connections: CONNECTIONS, perSecond: null };
    await timed(lab, load, fronts, how, settings);
    const contender = (name: string, used: Front[]): Contender => ({
      name,
      measure: async () => (await timed(lab, load, used, how, settings)).sample,
    });
    return {
      contenders: [contender('one', fronts.slice(0, 1)), contender('two', fronts)],
      base: 'one',
      close: () => closeAll(load, fronts),
    };
  },
};

export const journal: Scenario = {
  name: 'journal',
  title: 'intake while the database is away: everything goes to the spill journal',
  async prepare(lab, settings) {
    const load = await openLoad(lab);
    const spilling = await openFront(lab, 'journal', 0);
    const nothing = await openFront(lab, 'nothing', 0);
    const how = { connections: CONNECTIONS, perSecond: null };
    for (const front of [spilling, nothing]) await timed(lab, load, [front], how, settings);
    const contender = (name: string, front: Front): Contender => ({
      name,
      measure: async () => (await timed(lab, load, [front], how, settings)).sample,
    });
    return {
      contenders: [contender('journal', spilling), contender('nothing', nothing)],
      base: 'nothing',
      close: () => closeAll(load, [spilling, nothing]),
    };
  },
};

async function closeAll(load: Child<LoadApi>, fronts: readonly Front[]): Promise<void> {
  await Promise.all([load.kill(), ...fronts.map(({ child }) => child.kill())]);
}
