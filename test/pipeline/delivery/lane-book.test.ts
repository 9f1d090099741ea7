import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import { SeededRandom } from '../../../src/kernel/random.js';
import { LaneBook } from '../../../src/pipeline/delivery/lane-book.js';
import { claimDue } from '../../../src/pipeline/delivery/queue.js';
import { planObligations } from '../../../src/pipeline/ledger/ledger.js';
import { foldObligations } from '../../../src/pipeline/router/plan.js';
import { obligation, purchaseEvent } from '../../support/events.js';
import { testDatabase } from '../../support/test-database.js';

const { database } = await testDatabase();
const clock = new ManualClock(Date.parse('2026-11-23T10:00:00Z'));
const key = (shopId: string) => ({ shopId, destinationId: 1 });

let book: LaneBook;
beforeEach(async () => {
  await database.query('truncate pipeline.ledger, pipeline.ledger_fact, pipeline.delivery, pipeline.lane');
  book = new LaneBook(database, clock);
});

async function queue(shopId: string, count: number): Promise<void> {
  const many = Array.from({ length: count }, (_, i) =>
    obligation({ shopId, event: purchaseEvent({ subjectId: String(9_000_000_000_000 + i) }) }),
  );
  await planObligations(database, foldObligations(many), clock.now());
}

describe('whose turn it is', () => {
  it('gives a shop with one event its turn beside a shop with a flood of them', async () => {
    await queue('1', 5_000);
    await queue('2', 1);
    await book.discover(clock.nowMs());
    for (let round = 0; round < 3; round++) {
      const wants = book.pick(clock.nowMs(), 1_000, () => 20);
      const claims = await claimDue(database, wants, clock.nowMs());
      book.noteClaims(wants, claims, clock.nowMs());
      if (round === 0) {
        expect(claims.filter((claim) => claim.shopId === '2')).toHaveLength(1);
        // The flood gets its lane's pace (4 requests of 20), not the whole budget.
        expect(claims.filter((claim) => claim.shopId === '1')).toHaveLength(80);
      }
    }
  });

  it('shares a budget too small for all: every lane gets a turn in as many rounds as there are lanes', () => {
    const shops = ['1', '2', '3', '4', '5'];
    const served = new Set<string>();
    for (let round = 0; round < shops.length; round++) {
      book.nudge(shops.map(key));
      const [want] = book.pick(clock.nowMs(), 1, () => 1);
      served.add(want?.lane.key.shopId ?? '');
    }
    expect(served).toEqual(new Set(shops));
  });

  it('gives every lane a request before any gets another, so that they advance side by side', () => {
    book.nudge(['1', '2', '3'].map(key));
    const wants = book.pick(clock.nowMs(), 500, () => 100);
    expect(wants.map(({ most }) => most)).toEqual([200, 200, 100]);
  });

  it('does not forget a nudge that comes while a claim is under way', () => {
    book.nudge([key('1')]);
    const wants = book.pick(clock.nowMs(), 10, () => 1);
    book.nudge([key('1')]); // the router commits another while the claim is on its way
    book.noteClaims(wants, [], clock.nowMs());
    expect(book.pick(clock.nowMs(), 10, () => 1)).toHaveLength(1);
  });

  it('passes by what is blocked or disabled without holding up the others', () => {
    book.nudge([key('1'), key('2'), key('3')]);
    for (let i = 0; i < 3; i++) book.lane(key('1')).failed(clock.nowMs(), 'HTTP 503', null, new SeededRandom(1));
    const wants = book.pick(clock.nowMs(), 10, ({ shopId }) => (shopId === '2' ? null : 1));
    expect(wants.map(({ lane }) => lane.key.shopId)).toEqual(['3']);
  });

  it('learns of an outage from what another process wrote', async () => {
    await queue('1', 1);
    await database.query(
      `insert into pipeline.lane (shop_id, destination_id, state, since, retry_at, failures, last_error)
       values (1, 1, 'open', $1, $2, 3, 'HTTP 503')`,
      [clock.now(), new Date(clock.nowMs() + 20_000)],
    );
    await book.discover(clock.nowMs());
    expect(book.pick(clock.nowMs(), 10, () => 1)).toEqual([]);
    expect(book.pick(clock.nowMs() + 20_000, 10, () => 1)).toHaveLength(1);
  });
});
