import pg from 'pg';
import { ManualClock } from '../../src/kernel/clock.js';
import { Database } from '../../src/kernel/database.js';
import { silentLogger } from '../../src/kernel/log.js';
import { ensurePartitions } from '../../src/kernel/partitions.js';
import { destinationSchema, shopSchema } from '../../src/pipeline/config.js';
import { KIND_CODES, STATE_CODES, type Kind } from '../../src/pipeline/contract.js';
import { pipelinePartitions } from '../../src/pipeline/partitions.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { domainOf, ordersOf, type Fleet } from '../fleet.js';
import { answer } from '../rpc.js';
import { pipelineOptions } from './product.js';

export type FleetSeederApi = {
  /** Shops with one destination, and everything they sold accepted there; but for one order of every so many shops. */
  fill: {
    takes: { databaseUrl: string; dataDir: string; adminUrl: string; fleet: Fleet; gapEveryShops: number };
    gives: { orders: number; missing: readonly string[] };
  };
};

const DESTINATION = 'sink';
const ROWS_AT_ONCE = 50_000;

const FILL = `
insert into pipeline.ledger (shop_id, subject_id, kind, destination_id, day, order_id, version, state, occurred_at,
                             logged_at, queued_at, accepted_at, updated_at, attempts, segment_day, stream_id, segment_seq,
                             entry, due_at, sold_at, seen_at)
select shop_id, subject_id, kind, $5, (at at time zone 'UTC')::date, order_id, 0, ${STATE_CODES.accepted}, at,
       at, at, at, at, 1, (at at time zone 'UTC')::date, 1, 1,
       0, at, at, at
  from unnest($1::bigint[], $2::text[], $3::smallint[], $4::text[], $6::timestamptz[])
    as i (shop_id, subject_id, kind, order_id, at)`;

interface LedgerRow {
  shopId: string;
  subjectId: string;
  kind: Kind;
  orderId: string;
  at: Date;
}

/** @returns the ids that the registry gave, by shop and by destination */
async function declare(databaseUrl: string, dataDir: string, adminUrl: string, shops: number) {
  const pipeline = await Pipeline.openIntake({
    ...pipelineOptions({ databaseUrl, dataDir, roles: { intake: false, worker: false } }),
    driven: true,
  });
  const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
  await pipeline.openRest((registry) =>
    registry.applyDeclared(
      {
        destinations: [
          destinationSchema.parse({ name: DESTINATION, kind: 'webhook', url: 'http://127.0.0.1:9/hook', secret }),
        ],
        shops: Array.from({ length: shops }, (_, shop) =>
          shopSchema.parse({
            domain: domainOf(shop),
            accessToken: 'bench',
            adminUrl: `${adminUrl}/${shop}`,
            destinations: [DESTINATION],
          }),
        ),
      },
      'real',
    ),
  );
  const shopIds = new Map(pipeline.registry.shops().map(({ domain, id }) => [domain, id]));
  const destinationId = pipeline.registry.destinations()[0]?.id;
  await pipeline.stop();
  return { shopIds, destinationId };
}

answer<FleetSeederApi>({
  async fill({ databaseUrl, dataDir, adminUrl, fleet, gapEveryShops }) {
    const { shopIds, destinationId } = await declare(databaseUrl, dataDir, adminUrl, fleet.shops);
    const database = new Database({ url: databaseUrl, log: silentLogger });
    await ensurePartitions(database, new ManualClock(fleet.fromMs), pipelinePartitions());
    await database.end();
    // Without deadlines: on a busy machine a checkpoint takes its time.
    const filler = new pg.Client({ connectionString: databaseUrl });
    await filler.connect();
    let rows: LedgerRow[] = [];
    const flush = async (): Promise<void> => {
      await filler.query(FILL, [
        rows.map(({ shopId }) => shopId),
        rows.map(({ subjectId }) => subjectId),
        rows.map(({ kind }) => KIND_CODES[kind]),
        rows.map(({ orderId }) => orderId),
        destinationId,
        rows.map(({ at }) => at),
      ]);
      rows = [];
    };
    let orders = 0;
    const missing: string[] = [];
    for (let shop = 0; shop < fleet.shops; shop++) {
      const shopId = shopIds.get(domainOf(shop));
      if (shopId === undefined) throw new Error(`${domainOf(shop)} was not declared`);
      const sold = ordersOf(fleet, shop);
      orders += sold.length;
      const gone = shop % gapEveryShops === 0 ? sold.at(-1)?.id : undefined;
      if (gone !== undefined) missing.push(gone);
      for (const { id, createdAt, refundId } of sold) {
        const ofOrder = { shopId, orderId: id, at: createdAt };
        if (id !== gone) rows.push({ ...ofOrder, subjectId: id, kind: 'purchase' });
        if (refundId !== null) rows.push({ ...ofOrder, subjectId: refundId, kind: 'refund' });
      }
      if (rows.length >= ROWS_AT_ONCE) await flush();
    }
    await flush();
    // Or autovacuum would do it in the middle of the first measurement.
    await filler.query('vacuum analyze pipeline.ledger');
    await filler.query('checkpoint');
    await filler.end();
    return { orders, missing };
  },
});
