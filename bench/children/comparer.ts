import { Database } from '../../src/kernel/database.js';
import { silentLogger } from '../../src/kernel/log.js';
import type { ListedFact } from '../../src/pipeline/contract.js';
import { compareWithLedger, type Owed } from '../../src/pipeline/ledger/comparison.js';
import { answer } from '../rpc.js';

export type ComparerApi = {
  open: { takes: { databaseUrl: string }; gives: void };
  /** Lists orders of the ledger as Shopify would: the newest ones, or as many from all over the month. */
  list: { takes: { orders: number; which: 'newest' | 'spread' }; gives: { listed: number } };
  /** Compares what was listed. */
  compare: { takes: null; gives: { atRest: number; exceptions: number; seconds: number } };
};

const DESTINATION_ID = 1;

const NEWEST = `
select shop_id, subject_id, day::text as day from pipeline.ledger
 where day = (select max(day) from pipeline.ledger) order by subject_id desc limit $1`;
const SPREAD = `select shop_id, subject_id, day::text as day from pipeline.ledger tablesample bernoulli ($2) limit $1`;
const ROWS = `select sum(reltuples)::float8 as rows from pg_class where relname ~ '^ledger_[0-9]+$'`;

let database: Database | null = null;
let facts: ListedFact[] = [];
let owed: Owed[] = [];

function opened(): Database {
  if (!database) throw new Error('open first');
  return database;
}

answer<ComparerApi>({
  open({ databaseUrl }) {
    database = new Database({ url: databaseUrl, log: silentLogger });
  },
  async list({ orders, which }) {
    const [total] = await opened().rows<{ rows: number }>(ROWS);
    // A little more than wanted, because chance decides how many come.
    const percent = Math.min(100, (105 * orders) / (total?.rows ?? 1));
    const rows = await opened().rows<{ shop_id: string; subject_id: string; day: string }>(
      which === 'newest' ? NEWEST : SPREAD,
      which === 'newest' ? [orders] : [orders, percent],
    );
    facts = rows.map((row) => ({
      shopId: row.shop_id,
      subjectId: row.subject_id,
      orderId: row.subject_id,
      kind: 'purchase',
      ledgerDay: row.day,
    }));
    owed = [...new Set(facts.map(({ shopId }) => shopId))].map((shopId) => ({
      shopId,
      destinationId: DESTINATION_ID,
      kind: 'purchase',
    }));
    return { listed: facts.length };
  },
  async compare() {
    const startedMs = performance.now();
    const { counts, exceptions } = await compareWithLedger(opened(), facts, owed);
    const seconds = (performance.now() - startedMs) / 1000;
    const atRest = counts.filter(({ state }) => state === 'accepted').reduce((sum, { count }) => sum + count, 0);
    return { atRest, exceptions: exceptions.length, seconds };
  },
});
