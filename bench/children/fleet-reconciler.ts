import { SystemClock } from '../../src/kernel/clock.js';
import { silentLogger } from '../../src/kernel/log.js';
import { Loop } from '../../src/kernel/loop.js';
import { ChosenListing } from '../../src/monitoring/reconciliation/choose-listing.js';
import type { Listing } from '../../src/monitoring/reconciliation/listing.js';
import { PageListing } from '../../src/monitoring/reconciliation/page-listing.js';
import { Reconciliation } from '../../src/monitoring/reconciliation/reconciliation.js';
import { SignalBook } from '../../src/monitoring/signals/signal-book.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { PipelineQueries } from '../../src/pipeline/queries.js';
import { until } from '../lab.js';
import { answer } from '../rpc.js';
import { pipelineOptions } from './product.js';

export interface Turn {
  seconds: number;
  ordersListed: number;
  /** Orders that were found missing. */
  missing: readonly string[];
}

export type FleetReconcilerApi = {
  open: { takes: { databaseUrl: string; dataDir: string }; gives: void };
  /** Makes the turn of so many shops due, each compared before until `comparedUntilMs`; of the others, in a day. */
  prepare: { takes: { shops: number; comparedUntilMs: number }; gives: void };
  /** Runs reconciliation until every due shop is listed. */
  turn: { takes: { shops: number; withinMs: number }; gives: Turn };
};

/** What runs beside the comparing in production and is not measured here: it would mend what was found. */
const LEFT_OUT: ReadonlySet<string> = new Set(['recovery', 'read-back']);
const LOOK_EVERY_MS = 250;

const PREPARE = `
insert into monitoring.shop_turn (shop_id, compared_from_at, compared_until_at, next_run_at)
select id, $2::timestamptz - interval '30 days', $2, case when place <= $1 then $3::timestamptz else $3::timestamptz + interval '1 day' end
  from (select id, row_number() over (order by id) as place from pipeline.shop) shop`;
const LISTED =
  'select count(distinct shop_id)::integer as shops from monitoring.reconciliation where listed_at is not null';
/** A shop whose place in the hour comes up meanwhile has a second turn; what is measured is everybody's first. */
const TURN = `
select extract(epoch from max(listed_at) - min(requested_at))::float8 as seconds,
       sum(orders_listed)::integer as "ordersListed"
  from (select distinct on (shop_id) * from monitoring.reconciliation order by shop_id, id) first_turn`;
const MISSING = `select order_id as "orderId" from monitoring.gap where stage = 'logged' order by 1`;
const OTHER_GAPS = `select count(*)::integer as count from monitoring.gap where stage <> 'logged'`;

const clock = new SystemClock();
let pipeline: Pipeline | null = null;
let reconciliation: Reconciliation | null = null;

function opened(): { pipeline: Pipeline; reconciliation: Reconciliation } {
  if (!pipeline || !reconciliation) throw new Error('open first');
  return { pipeline, reconciliation };
}

const noBulk: Listing = {
  step: async () => ({ outcome: 'blind', detail: 'an hour is never listed in bulk' }),
};

answer<FleetReconcilerApi>({
  async open({ databaseUrl, dataDir }) {
    const options = pipelineOptions({ databaseUrl, dataDir, roles: { intake: false, worker: false } });
    pipeline = await Pipeline.openIntake({ ...options, driven: true });
    await pipeline.openRest(async () => undefined);
    const { database, registry } = pipeline;
    const ports = pipeline.ports(new PipelineQueries(database, options.secrets, clock));
    reconciliation = new Reconciliation({
      ...ports,
      database,
      clock,
      log: silentLogger,
      signals: new SignalBook({ database, clock, log: silentLogger, names: registry }),
      listing: new ChosenListing({ admin: ports.admin, clock, pages: new PageListing(ports.admin), bulk: noBulk }),
    });
  },
  async prepare({ shops, comparedUntilMs }) {
    const { database } = opened().pipeline;
    await database.query(
      `truncate monitoring.shop_turn, monitoring.reconciliation, monitoring.reconciliation_gap, monitoring.gap,
                monitoring.sold`,
    );
    await database.query(PREPARE, [shops, new Date(comparedUntilMs), clock.now()]);
  },
  async turn({ shops, withinMs }) {
    const { pipeline, reconciliation } = opened();
    const { database } = pipeline;
    const loops = reconciliation
      .duties()
      .filter(({ name }) => !LEFT_OUT.has(name))
      .map((duty) => new Loop({ ...duty, clock, log: silentLogger }).start());
    try {
      const listed = async (): Promise<number> => (await database.rows<{ shops: number }>(LISTED))[0]?.shops ?? 0;
      await until(async () => (await listed()) >= shops, withinMs, `${shops} shops to be listed`, LOOK_EVERY_MS);
    } finally {
      await Promise.all(loops.map((loop) => loop.stop()));
    }
    const [turn] = await database.rows<{ seconds: number; ordersListed: number }>(TURN);
    const missing = (await database.rows<{ orderId: string }>(MISSING)).map(({ orderId }) => orderId);
    const [others] = await database.rows<{ count: number }>(OTHER_GAPS);
    if (!turn || others?.count !== 0) throw new Error(`${others?.count} gaps of stages where none was planted`);
    return { ...turn, missing };
  },
});
