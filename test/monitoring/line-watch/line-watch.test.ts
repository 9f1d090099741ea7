import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import type { Database } from '../../../src/kernel/database.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { SecretBox } from '../../../src/kernel/secrets.js';
import { LineWatch } from '../../../src/monitoring/line-watch/line-watch.js';
import { SignalBook } from '../../../src/monitoring/signals/signal-book.js';
import type { SignalKind } from '../../../src/monitoring/contract.js';
import { STATE_CODES, type Shop } from '../../../src/pipeline/contract.js';
import { PipelineQueries } from '../../../src/pipeline/queries.js';
import { testDatabase } from '../../support/test-database.js';
import { OrderBooks, registryOf, shopOf } from '../throughput/order-books.js';

const NOON = Date.UTC(2026, 10, 27, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let database: Database;
let clock: ManualClock;
let signals: SignalBook;
let books: OrderBooks;
let shops: Shop[];

beforeEach(async () => {
  ({ database } = await testDatabase());
  clock = new ManualClock(NOON);
  shops = [shopOf('1', { accessToken: 't', connectedAt: new Date(NOON) })];
  books = new OrderBooks();
  signals = new SignalBook({ database, clock, log: silentLogger, names: registryOf(shops) });
  await database.query(
    `insert into pipeline.shop (domain, key, origin, created_at, updated_at)
     values ('shop-1.myshopify.com', 'k', 'api', $1, $1)`,
    [clock.now()],
  );
  await database.query(
    `insert into pipeline.destination (name, kind, origin, created_at, updated_at)
     values ('acme-ga4', 'ga4', 'api', $1, $1), ('acme-lake', 'postgres', 'api', $1, $1)`,
    [clock.now()],
  );
});

function newWatch(): LineWatch {
  return new LineWatch({
    clock,
    registry: registryOf(shops),
    reader: new PipelineQueries(database, new SecretBox([]), clock),
    sold: books.soldCounts,
    signals,
  });
}

async function changes(kind: SignalKind): Promise<string[]> {
  const all = await signals.changes('0', 100);
  return all.filter(({ signal }) => signal.kind === kind).map(({ change, signal }) => `${change} ${signal.subject}`);
}

async function setLane(state: 'open' | 'closed'): Promise<void> {
  await database.query(
    `insert into pipeline.lane (shop_id, destination_id, state, since, failures, last_error)
     values (1, 1, $1, $2, 3, 'answered 503')
     on conflict (shop_id, destination_id) do update set state = excluded.state, since = excluded.since`,
    [state, clock.now()],
  );
}

describe('a refusing destination', () => {
  it('is signalled after ten minutes, and not before it has been calm for five is it over', async () => {
    const watch = newWatch();
    await setLane('open');
    clock.advance(9 * MINUTE);
    await watch.lookForRefusing();
    expect(await changes('destination-refusing')).toEqual([]);
    clock.advance(MINUTE);
    await watch.lookForRefusing();
    // One probe passes, and the next does not: the same trouble.
    await setLane('closed');
    clock.advance(MINUTE);
    await watch.lookForRefusing();
    await setLane('open');
    clock.advance(2 * MINUTE);
    await watch.lookForRefusing();
    expect(await changes('destination-refusing')).toEqual(['opened acme-ga4']);
    await setLane('closed');
    clock.advance(5 * MINUTE);
    await watch.lookForRefusing();
    expect(await changes('destination-refusing')).toEqual(['opened acme-ga4', 'closed acme-ga4']);
  });

  it('stays signalled when another process takes the lead, until that one has seen it calm', async () => {
    await setLane('open');
    clock.advance(11 * MINUTE);
    await newWatch().lookForRefusing();
    await setLane('closed');
    const next = newWatch();
    await next.lookForRefusing();
    clock.advance(4 * MINUTE);
    await next.lookForRefusing();
    expect(await changes('destination-refusing')).toEqual(['opened acme-ga4']);
    clock.advance(MINUTE);
    await next.lookForRefusing();
    expect(await changes('destination-refusing')).toEqual(['opened acme-ga4', 'closed acme-ga4']);
  });

  it('is seen by its failing tries where no lane stays blocked', async () => {
    for (let n = 0; n < 40; n++) {
      await database.query(
        `insert into pipeline.ledger_fact (shop_id, subject_id, kind, destination_id, day, at, version, state, attempt)
         values (1, $1, 1, 2, '2026-11-27', $2, 0, $3, $4)`,
        // Every other try fails. What was confirmed later by reading back is no try, and no success either.
        [`${n}`, new Date(NOON - n * 1_000), n % 2 ? STATE_CODES.accepted : STATE_CODES.queued, n < 38 ? 1 : null],
      );
    }
    const watch = newWatch();
    await watch.lookForRefusing();
    expect((await signals.signals({ kind: 'destination-refusing' }, { limit: 5 })).items).toMatchObject([
      { subject: 'acme-lake', facts: { failingPercentAtLeast: 50 } },
    ]);
    clock.advance(10 * MINUTE);
    await watch.lookForRefusing();
    expect(await changes('destination-refusing')).toHaveLength(2);
  });
});

describe('dead letters', () => {
  async function bury(destination: number | null, lane: string): Promise<void> {
    await database.query(
      `insert into pipeline.dead_letter (shop_id, shop_domain, destination_id, topic, webhook_id, lane, reason, received_at,
         buried_at, payload) values (1, 'shop-1.myshopify.com', $1, 't', 'w', $2, 'r', $3, $3, '')`,
      [destination, lane, clock.now()],
    );
  }

  it('that become more are one signal a destination and lane, over when none came for half an hour', async () => {
    const watch = newWatch();
    await bury(1, 'theirs');
    await bury(null, 'ours');
    await watch.lookForDeadLetters();
    expect((await changes('dead-letters-growing')).sort()).toEqual(['opened acme-ga4/theirs', 'opened unmapped/ours']);
    clock.advance(14 * MINUTE);
    await watch.lookForDeadLetters();
    clock.advance(14 * MINUTE);
    await watch.lookForDeadLetters();
    await bury(1, 'theirs');
    await watch.lookForDeadLetters();
    clock.advance(14 * MINUTE);
    await watch.lookForDeadLetters();
    expect((await changes('dead-letters-growing')).filter((change) => change.includes('ga4'))).toEqual([
      'opened acme-ga4/theirs',
      'updated acme-ga4/theirs',
    ]);
    clock.advance(16 * MINUTE);
    await watch.lookForDeadLetters();
    expect((await signals.signals({ kind: 'dead-letters-growing' }, { limit: 5 })).items).toEqual([]);
  });

  it('that somebody has replayed are no news', async () => {
    await bury(1, 'theirs');
    await database.query('update pipeline.dead_letter set replayed_at = $1', [clock.now()]);
    await newWatch().lookForDeadLetters();
    expect(await changes('dead-letters-growing')).toEqual([]);
  });
});

describe('a shop of which nothing is proved', () => {
  it('is signalled after two hours, once, and over with the next proof', async () => {
    const watch = newWatch();
    books.prove('1', new Date(NOON - HOUR), new Date(NOON));
    clock.advance(2 * HOUR);
    await watch.lookForStaleProofs();
    expect(await changes('reconciliation-stale')).toEqual([]);
    clock.advance(MINUTE);
    await watch.lookForStaleProofs();
    clock.advance(MINUTE);
    await watch.lookForStaleProofs();
    books.prove('1', new Date(NOON - HOUR), new Date(NOON + HOUR));
    await watch.lookForStaleProofs();
    const subject = 'shop-1.myshopify.com';
    expect(await changes('reconciliation-stale')).toEqual([`opened ${subject}`, `closed ${subject}`]);
  });

  it('is one of many that are told as one', async () => {
    shops = Array.from({ length: 8 }, (_, i) => shopOf(`${i + 1}`, { connectedAt: new Date(NOON - 3 * HOUR) }));
    const watch = newWatch();
    await watch.lookForStaleProofs();
    expect(await changes('reconciliation-stale')).toEqual(['opened fleet']);
  });
});
