import { Logger, makeWorkerUtils, run as runGraphile } from 'graphile-worker';
import pg from 'pg';
import { PgBoss } from 'pg-boss';
import { cpuSecondsOfFamily } from '../machine.js';
import { answer } from '../rpc.js';
import { openOwnDrain, openOwnQueue } from './own-drain.js';
import { Progress, type Drained, type Until } from './progress.js';

/** `own` is the whole delivery worker with its books, `own-queue` its queue alone. */
export type DrainKind = 'own' | 'own-queue' | 'pg-boss' | 'graphile-worker';

export type DrainerApi = {
  /** @param kind whose queue lies in the database */
  open: {
    takes: { kind: DrainKind; databaseUrl: string; postgresPid: number };
    gives: void;
  };
  /** Puts that many jobs in line; for the rivals only, our own are written by SQL. */
  fill: { takes: { jobs: number }; gives: void };
  drain: { takes: Until; gives: Drained };
};

/** A queue that can be filled and drained with work that does nothing. */
export interface Drain {
  fill(jobs: number): Promise<void>;
  drain(progress: Progress): Promise<void>;
}

const QUEUE = 'delivery';
const BATCH = 500;
const FETCHERS = 2;
const FILL_AT_ONCE = 5_000;

/** As small as our own rows: a pointer to the payload, not the payload. */
const JOB = { shop: 1, order: 6_123_456_789_012, destination: 1, segment: 12, entry: 3 };

async function openPgBoss(databaseUrl: string): Promise<Drain> {
  const boss = new PgBoss({ connectionString: databaseUrl, max: 4, supervise: false, schedule: false });
  boss.on('error', (error) => process.stderr.write(`pg-boss: ${String(error)}\n`));
  await boss.start();
  await boss.createQueue(QUEUE);
  const fetchUntilDone = async (progress: Progress): Promise<void> => {
    while (!progress.isOver) {
      const jobs = await boss.fetch(QUEUE, { batchSize: BATCH });
      if (jobs.length === 0) return;
      await boss.complete(
        QUEUE,
        jobs.map(({ id }) => id),
      );
      progress.add(jobs.length);
    }
  };
  return {
    async fill(jobs) {
      for (let left = jobs; left > 0; left -= FILL_AT_ONCE) {
        await boss.insert(
          QUEUE,
          Array.from({ length: Math.min(left, FILL_AT_ONCE) }, () => ({ data: JOB })),
        );
      }
    },
    async drain(progress) {
      await Promise.all(Array.from({ length: FETCHERS }, () => fetchUntilDone(progress)));
    },
  };
}

/** Its settings for throughput. Source: worker.graphile.org/docs/performance (read 2026-11) */
async function openGraphile(databaseUrl: string): Promise<Drain> {
  const pgPool = new pg.Pool({ connectionString: databaseUrl, max: 10 });
  pgPool.on('error', () => undefined);
  pgPool.on('connect', (client) => client.on('error', () => undefined));
  const utils = await makeWorkerUtils({ pgPool });
  await utils.migrate();
  return {
    async fill(jobs) {
      for (let left = jobs; left > 0; left -= FILL_AT_ONCE) {
        const count = Math.min(left, FILL_AT_ONCE);
        await utils.addJobs(Array.from({ length: count }, () => ({ identifier: QUEUE, payload: JOB })));
      }
    },
    async drain(progress) {
      const runner = await runGraphile({
        pgPool,
        concurrency: 24,
        noHandleSignals: true,
        pollInterval: 100,
        preset: { worker: { localQueue: { size: BATCH }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
        taskList: { [QUEUE]: () => progress.add(1) },
        logger: new Logger(() => () => undefined),
      });
      await progress.over;
      await runner.stop();
    },
  };
}

const OPEN: Record<DrainKind, (databaseUrl: string) => Drain | Promise<Drain>> = {
  own: openOwnDrain,
  'own-queue': openOwnQueue,
  'pg-boss': openPgBoss,
  'graphile-worker': openGraphile,
};

let drain: Drain | null = null;
let databaseSeconds: () => number = () => 0;

answer<DrainerApi>({
  async open({ kind, databaseUrl, postgresPid }) {
    databaseSeconds = () => cpuSecondsOfFamily(postgresPid);
    drain = await OPEN[kind](databaseUrl);
  },
  fill: ({ jobs }) => opened().fill(jobs),
  async drain(until) {
    const progress = new Progress(until, databaseSeconds);
    await opened().drain(progress);
    return progress.result();
  },
});

function opened(): Drain {
  if (!drain) throw new Error('open first');
  return drain;
}
