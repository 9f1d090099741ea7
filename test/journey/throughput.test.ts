import { afterAll, beforeAll, expect, it } from 'vitest';
import { SystemClock } from '../../src/kernel/clock.js';
import { silentLogger } from '../../src/kernel/log.js';
import { SecretBox } from '../../src/kernel/secrets.js';
import type { ThroughputItem } from '../../src/monitoring/contract.js';
import { ListedCounts } from '../../src/monitoring/reconciliation/listed-counts.js';
import { HOUR_MS } from '../../src/monitoring/throughput/hour-row.js';
import { ThroughputRollUp } from '../../src/monitoring/throughput/roll-up.js';
import { ThroughputQuery } from '../../src/monitoring/throughput/throughput-query.js';
import { Watermark } from '../../src/monitoring/watermark.js';
import { PipelineQueries } from '../../src/pipeline/queries.js';
import { nextId, orderBody } from '../support/orders.js';
import { WholeLine } from '../support/whole-line.js';

const HOUR_AGO = new Date(Math.floor(Date.now() / HOUR_MS) * HOUR_MS - HOUR_MS);
const SOLD_AT = new Date(HOUR_AGO.getTime() + 50 * 60_000);
let line: WholeLine;
let rollUp: ThroughputRollUp;
let query: ThroughputQuery;

beforeAll(async () => {
  line = await WholeLine.start({ destinations: { hook: { purchaseOn: 'created' } } });
  const { database } = line;
  const clock = new SystemClock();
  const ports = line.pipeline.ports(new PipelineQueries(database, new SecretBox([]), clock));
  const sold = new ListedCounts(database);
  rollUp = new ThroughputRollUp({ database, clock, log: silentLogger, ...ports, sold });
  query = new ThroughputQuery({ database, clock, registry: line.pipeline.registry, sold });
  await new Watermark(database, 'throughput').move(HOUR_AGO);
});
afterAll(() => line.stop());

interface Told {
  id: string;
  status?: string;
  test?: boolean;
}

const told = async (topic: string, { id, status = 'paid', test = false }: Told): Promise<void> => {
  await line.send({ topic, body: orderBody({ id, createdAt: SOLD_AT.toISOString(), status, test }) });
};

/** Shopify lists it. @param due whether it is paid */
const listed = (id: string, due: boolean) =>
  line.database.query(
    `insert into monitoring.sold (shop_id, order_id, day, sold_at, updated_at, payment, cancelled, test, reconciliation_id,
       changed_at) values (1, $1, ($2::timestamptz at time zone 'UTC')::date, $2, $2, $3, false, false, 1, now())
     on conflict (shop_id, order_id, day) do update set payment = excluded.payment, changed_at = excluded.changed_at`,
    [id, SOLD_AT, due ? 'paid' : 'unpaid'],
  );

async function hour(): Promise<Record<string, ThroughputItem>> {
  while (!(await rollUp.pass(new AbortController().signal)));
  const filter = { from: HOUR_AGO, to: new Date(HOUR_AGO.getTime() + HOUR_MS), granularity: 'hour' as const };
  const { items } = await query.items(filter, { limit: 50 });
  return Object.fromEntries(items.map((item) => [item.destination, item]));
}

it('tells the hour of the sale, stage by stage, and stays right when an order is paid or a proof comes later', async () => {
  const [paid, unpaid, lost, testOrder] = [nextId(), nextId(), nextId(), nextId()];
  await told('orders/paid', { id: paid });
  await told('orders/create', { id: unpaid, status: 'pending' });
  // A test order is left out before it is paid, and stays so when it is.
  await told('orders/create', { id: testOrder, status: 'pending', test: true });
  await line.untilSettled();
  expect(await hour()).toMatchObject({
    lake: { sold: null, logged: 3, processed: 2, ignored: 1, accepted: 1, confirmed: 1, throughput: null },
    hook: { sold: null, logged: 3, processed: 3, ignored: 1, accepted: 2, confirmed: null },
  });

  // An hourly reconciliation: four orders, of which one never came.
  await Promise.all([listed(paid, true), listed(unpaid, false), listed(testOrder, false), listed(lost, true)]);
  await line.database.query(
    `insert into monitoring.gap (shop_id, subject_id, kind, destination_id, order_id, ledger_day, sold_at, stage, cause,
       state, found_at, next_look_at, changed_at)
     select 1, $1, 1, d.id, $1, ($2::timestamptz at time zone 'UTC')::date, $2, 'logged', 'not-received', 'open', now(), now(),
            now() from pipeline.destination d`,
    [lost, SOLD_AT],
  );
  await line.database.query(
    `insert into monitoring.shop_turn (shop_id, compared_from_at, compared_until_at, next_run_at)
     values (1, $1, $2, $2)`,
    [HOUR_AGO, new Date(HOUR_AGO.getTime() + HOUR_MS)],
  );
  expect(await hour()).toMatchObject({
    lake: { sold: 3, ignored: 1, missing: 1, recovered: 0, throughput: 0.5, confirmation: 'confirmable' },
    ga4: { accepted: 1, confirmed: null, missing: 1, throughput: 0.5, settledAt: null },
    hook: { sold: 4, ignored: 1, accepted: 2, throughput: 2 / 3, confirmation: 'unconfirmable' },
  });

  // It is found again, and the unpaid ones are paid.
  await told('orders/paid', { id: lost });
  await told('orders/paid', { id: unpaid });
  await told('orders/paid', { id: testOrder, test: true });
  await line.untilSettled();
  await Promise.all([listed(unpaid, true), listed(testOrder, true)]);
  await line.database.query(`update monitoring.gap set state = 'recovered', closed_at = now(), changed_at = now()`);
  expect(await hour()).toMatchObject({
    lake: {
      sold: 4,
      logged: 4,
      processed: 4,
      ignored: 1,
      accepted: 3,
      confirmed: 3,
      missing: 0,
      recovered: 1,
      throughput: 1,
    },
    ga4: { sold: 4, accepted: 3, confirmed: null, throughput: 1, settledThroughput: null },
    hook: { sold: 4, accepted: 3, throughput: 1 },
  });
});
