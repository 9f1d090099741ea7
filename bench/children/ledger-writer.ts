import pg from 'pg';
import { SystemClock, ManualClock } from '../../src/kernel/clock.js';
import { Database } from '../../src/kernel/database.js';
import { silentLogger } from '../../src/kernel/log.js';
import { ensurePartitions } from '../../src/kernel/partitions.js';
import type { InboxEntry, PipelineEvent } from '../../src/pipeline/contract.js';
import { Lane } from '../../src/pipeline/delivery/lane.js';
import { claimDue } from '../../src/pipeline/delivery/queue.js';
import { readWebhook } from '../../src/pipeline/event/read-webhook.js';
import { planObligations } from '../../src/pipeline/ledger/ledger.js';
import { settle, type Settlement } from '../../src/pipeline/ledger/settlement.js';
import { pipelinePartitions } from '../../src/pipeline/partitions.js';
import { foldObligations, type Obligation } from '../../src/pipeline/router/plan.js';
import { TOPIC, makeOrders } from '../orders.js';
import { answer } from '../rpc.js';

export type LedgerWriterApi = {
  open: { takes: { databaseUrl: string }; gives: void };
  /** A month of orders that have arrived, a quarter of them today. */
  grow: { takes: { rows: number; shops: number }; gives: void };
  empty: { takes: null; gives: void };
  /** New orders of today through both stages: planned, claimed, accepted. */
  write: { takes: { seconds: number; shops: number; firstId: number }; gives: { orders: number; seconds: number } };
};

const BATCH = 500;
const DAYS = 30;
const DAY_MS = 86_400_000;
const GROW_AT_ONCE = 100_000;
const DESTINATION_ID = 1;

const GROW = `
insert into pipeline.ledger (shop_id, subject_id, kind, destination_id, day, order_id, version, state, occurred_at,
                             logged_at, queued_at, accepted_at, updated_at, attempts, segment_day, stream_id, segment_seq, entry,
                             due_at, sold_at, seen_at)
select 1 + n % $3::integer, ($4::bigint + n * 7)::text, 1, ${DESTINATION_ID}, $2::date, ($4::bigint + n * 7)::text, 0, 3,
       $2::date, $2::date, $2::date, $2::date, $2::date, 1, $2::date, 1, 1, 0, $2::date, $2::date, $2::date
  from generate_series(0, $1::integer - 1) as n`;
const GROW_FACTS = `
insert into pipeline.ledger_fact (shop_id, subject_id, kind, destination_id, day, at, version, state)
select shop_id, subject_id, kind, destination_id, day, updated_at, version, state from pipeline.ledger where day = $1::date and subject_id between $2 and $3`;

const clock = new SystemClock();
let database: Database | null = null;
let event: PipelineEvent | null = null;

function opened(): { database: Database; event: PipelineEvent } {
  if (!database || !event) throw new Error('open first');
  return { database, event };
}

function purchaseOf(): PipelineEvent {
  const [order] = makeOrders(1, 1);
  if (!order) throw new Error('no order was made');
  const { shop: shopDomain, body } = order;
  const entry: InboxEntry = {
    source: 'http',
    world: 'real',
    webhookId: 'one',
    topic: TOPIC,
    shopDomain,
    receivedAtMs: clock.nowMs(),
    body,
  };
  const reading = readWebhook(entry);
  const found = reading.outcome === 'event' && reading.events.find(({ kind }) => kind === 'purchase');
  if (!found) throw new Error('the order is no purchase');
  return found;
}

/** One batch from the router's plan to the destination's 2xx. */
async function writeBatch(firstId: number, shops: number): Promise<void> {
  const { database, event } = opened();
  const now = clock.now();
  const today = now.toISOString().slice(0, 10);
  const obligations = Array.from({ length: BATCH }, (_, index): Obligation => {
    const id = String(firstId + index);
    return {
      shopId: String(1 + (index % shops)),
      destinationId: DESTINATION_ID,
      event: { ...event, subjectId: id, orderId: id, ledgerDay: today },
      plan: { state: 'queued', reason: null },
      webhookId: `b3a7c9d1-0000-4000-8000-${id}`,
      loggedAtMs: now.getTime(),
      seenAtMs: now.getTime(),
      pointer: { segmentDay: today, streamId: 1, segmentSeq: '1', entry: index },
    };
  });
  await database.transaction((client) => planObligations(client, foldObligations(obligations), now));
  const wants = Array.from({ length: Math.min(shops, BATCH) }, (_, index) => ({
    lane: new Lane({ shopId: String(1 + index), destinationId: DESTINATION_ID }),
    most: BATCH,
  }));
  const claims = await claimDue(database, wants, clock.nowMs() + 1);
  if (claims.length !== BATCH) throw new Error(`${claims.length} of ${BATCH} deliveries were claimed`);
  await settle(
    database,
    claims.map((claim): Settlement => ({
      ...claim,
      state: 'accepted',
      reason: null,
      detail: 'HTTP 200',
      attempt: 1,
      durationMs: 12,
      at: clock.now(),
      dueAt: null,
    })),
  );
}

answer<LedgerWriterApi>({
  open({ databaseUrl }) {
    database = new Database({ url: databaseUrl, log: silentLogger });
    event = purchaseOf();
  },
  async grow({ rows, shops }) {
    const { database } = opened();
    // Without deadlines: on a busy machine ten million rows and their checkpoint take minutes.
    const grower = new pg.Client({ connectionString: database.url });
    await grower.connect();
    const nowMs = clock.nowMs();
    let firstId = 5_000_000_000_000;
    for (let ago = DAYS - 1; ago >= 0; ago--) {
      const atMs = nowMs - ago * DAY_MS;
      await ensurePartitions(database, new ManualClock(atMs), pipelinePartitions());
      const day = new Date(atMs).toISOString().slice(0, 10);
      let left = Math.round(ago === 0 ? rows / 4 : (rows * 3) / 4 / (DAYS - 1));
      for (; left > 0; left -= GROW_AT_ONCE) {
        const count = Math.min(left, GROW_AT_ONCE);
        await grower.query(GROW, [count, day, shops, firstId]);
        const lastId = firstId + (count - 1) * 7;
        if (ago === 0) await grower.query(GROW_FACTS, [day, String(firstId), String(lastId)]);
        firstId += count * 7;
      }
    }
    // Or autovacuum would do it in the middle of the first measurement.
    for (const table of ['pipeline.ledger', 'pipeline.ledger_fact']) await grower.query(`vacuum analyze ${table}`);
    await grower.query('checkpoint');
    await grower.end();
  },
  async empty() {
    await opened().database.query('truncate pipeline.ledger, pipeline.ledger_fact, pipeline.delivery');
  },
  async write({ seconds, shops, firstId }) {
    const startedMs = performance.now();
    let orders = 0;
    let elapsedMs = 0;
    for (; elapsedMs < seconds * 1000; elapsedMs = performance.now() - startedMs) {
      await writeBatch(firstId + orders, shops);
      orders += BATCH;
    }
    return { orders, seconds: elapsedMs / 1000 };
  },
});
