import fc from 'fast-check';
import { beforeEach, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { ListedCounts } from '../../../src/monitoring/reconciliation/listed-counts.js';
import { HOUR_MS } from '../../../src/monitoring/throughput/hour-row.js';
import { ThroughputRollUp } from '../../../src/monitoring/throughput/roll-up.js';
import { Watermark } from '../../../src/monitoring/watermark.js';
import type { State } from '../../../src/pipeline/contract.js';
import { readHourCounts, readTouchedHours } from '../../../src/pipeline/ledger/hours.js';
import { insertLedgerRows, ledgerDays, type LedgerRow } from '../../support/ledger-rows.js';
import { testDatabase } from '../../support/test-database.js';
import { GA4, HOOK, LAKE, readBack, registryOf, shopOf } from './order-books.js';

const { database } = await testDatabase();
const MINUTE = 60_000;
const MIDNIGHT = Date.UTC(2026, 10, 27);
const NOW = MIDNIGHT + 30 * HOUR_MS;
await ledgerDays(database, ['2026-11-27', '2026-11-28']);

beforeEach(() =>
  database.query('truncate pipeline.ledger, monitoring.throughput, monitoring.watermark, monitoring.sold'),
);

interface PretendedOrder {
  shopId: string;
  soldAtMs: number;
  paid: boolean;
  listed: boolean;
  at: { destinationId: number; state: State; dueAfterMs: number; acceptedAfterMs: number }[];
}

const states = fc.constantFrom<State>(
  'expected',
  'queued',
  'accepted',
  'confirmed',
  'ignored',
  'failed',
  'missing',
  'unconfirmable',
);
const orders: fc.Arbitrary<PretendedOrder[]> = fc.array(
  fc.record({
    shopId: fc.constantFrom('1', '2', '3'),
    soldAtMs: fc.integer({ min: MIDNIGHT, max: NOW - 1 }),
    paid: fc.boolean(),
    listed: fc.boolean(),
    at: fc.uniqueArray(
      fc.record({
        destinationId: fc.constantFrom(GA4, LAKE, HOOK),
        state: states,
        dueAfterMs: fc.integer({ min: 0, max: 10 * MINUTE }),
        acceptedAfterMs: fc.integer({ min: 0, max: 30 * MINUTE }),
      }),
      { selector: ({ destinationId }) => destinationId },
    ),
  }),
  { maxLength: 30 },
);

function ledgerRowsOf(all: readonly PretendedOrder[]): LedgerRow[] {
  const instant = (ms: number): string => new Date(ms).toISOString();
  return all.flatMap((order, index) =>
    order.at.map(({ destinationId, state, dueAfterMs, acceptedAfterMs }): LedgerRow => {
      const dueMs = order.soldAtMs + dueAfterMs;
      const wasAccepted = state === 'accepted' || state === 'confirmed' || state === 'missing';
      return {
        shopId: order.shopId,
        subjectId: `${index}`,
        kind: 'purchase',
        destinationId,
        ledgerDay: instant(order.soldAtMs).slice(0, 10),
        state,
        soldAt: instant(order.soldAtMs),
        occurredAt: instant(order.soldAtMs),
        dueAt: state === 'expected' ? null : instant(dueMs),
        acceptedAt: wasAccepted ? instant(dueMs + acceptedAfterMs) : null,
        updatedAt: instant(NOW - MINUTE),
      };
    }),
  );
}

/** The same counts made by looking at every order, hour by hour. */
function counted(all: readonly PretendedOrder[]): unknown[] {
  const rows = [];
  const provedUntilMs = MIDNIGHT + 24 * HOUR_MS;
  for (const shopId of ['1', '2', '3']) {
    for (let hourMs = MIDNIGHT; hourMs < NOW; hourMs += HOUR_MS) {
      const sold = all.filter(
        (one) => one.shopId === shopId && one.soldAtMs >= hourMs && one.soldAtMs < hourMs + HOUR_MS,
      );
      for (const destinationId of [GA4, LAKE, HOOK]) {
        const there = sold.flatMap((one) =>
          one.at.filter((at) => at.destinationId === destinationId).map((at) => ({ ...at, soldAtMs: one.soldAtMs })),
        );
        const listed = sold.filter((one) => one.listed);
        if (there.length === 0 && listed.length === 0) continue;
        const count = (...of: State[]): number => there.filter(({ state }) => of.includes(state)).length;
        const processed = there.length - count('expected');
        const owed = destinationId === HOOK ? listed.length : listed.filter(({ paid }) => paid).length;
        const failed = count('failed', 'unconfirmable');
        rows.push({
          shop_id: shopId,
          hour_ms: hourMs,
          destination_id: destinationId,
          sold: hourMs + HOUR_MS <= provedUntilMs ? Math.max(owed, processed) : null,
          logged: there.length,
          processed,
          accepted: count('accepted', 'confirmed'),
          confirmed: count('confirmed'),
          ignored: count('ignored'),
          failed,
          missing: count('missing'),
          late: there.filter(({ state, soldAtMs, dueAfterMs, acceptedAfterMs }) =>
            state === 'queued'
              ? NOW - soldAtMs - dueAfterMs > 15 * MINUTE
              : ['accepted', 'confirmed'].includes(state) && acceptedAfterMs > 15 * MINUTE,
          ).length,
          lost_accepted: failed,
        });
      }
    }
  }
  return rows;
}

it('roll-ups equal a count over every row of the ledger and every order that Shopify lists', async () => {
  const rollUp = new ThroughputRollUp({
    database,
    clock: new ManualClock(NOW),
    log: silentLogger,
    registry: registryOf([shopOf('1'), shopOf('2'), shopOf('3')]),
    ledger: {
      touchedHours: (sinceAt, untilAt) => readTouchedHours(database, sinceAt, untilAt),
      hourCounts: (hours, options) => readHourCounts(database, hours, options),
    },
    readBack,
    sold: new ListedCounts(database),
  });
  await database.query(
    `insert into monitoring.shop_turn (shop_id, compared_from_at, compared_until_at, next_run_at)
     select s, $1, $2, $2 from generate_series(1, 3) s`,
    [new Date(MIDNIGHT - HOUR_MS), new Date(MIDNIGHT + 24 * HOUR_MS)],
  );
  await fc.assert(
    fc.asyncProperty(orders, async (all) => {
      await database.query('truncate pipeline.ledger, monitoring.throughput, monitoring.watermark, monitoring.sold');
      await new Watermark(database, 'throughput').move(new Date(NOW - HOUR_MS));
      await insertLedgerRows(database, ledgerRowsOf(all));
      const listed = all.flatMap((order, index) => (order.listed ? [{ ...order, index }] : []));
      await database.query(
        `insert into monitoring.sold (shop_id, order_id, day, sold_at, updated_at, payment, cancelled, test,
           reconciliation_id, changed_at)
         select i.shop_id, i.id, (i.sold_at at time zone 'UTC')::date, i.sold_at, i.sold_at, i.payment, false, false, 1, $5
           from unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[]) as i (shop_id, id, sold_at, payment)`,
        [
          listed.map(({ shopId }) => shopId),
          listed.map(({ index }) => `${index}`),
          listed.map(({ soldAtMs }) => new Date(soldAtMs)),
          listed.map(({ paid }) => (paid ? 'paid' : 'unpaid')),
          new Date(NOW - MINUTE),
        ],
      );
      await rollUp.pass(new AbortController().signal);
      const rows = await database.rows(
        `select shop_id, (extract(epoch from day) * 1000 + hour * 3600000)::float8 as hour_ms, destination_id, sold, logged,
                processed, accepted, confirmed, ignored, failed, missing, late, lost_accepted
           from monitoring.throughput order by shop_id, day, hour, destination_id`,
      );
      expect(rows).toEqual(counted(all));
    }),
    { numRuns: 40 },
  );
});
