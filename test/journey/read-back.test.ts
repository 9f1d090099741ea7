import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/kernel/clock.js';
import { SecretBox } from '../../src/kernel/secrets.js';
import type { Destination, ReadBack, ReadBackItem, Shop } from '../../src/pipeline/contract.js';
import { PipelineQueries } from '../../src/pipeline/queries.js';
import { nextId, orderBody } from '../support/orders.js';
import { WholeLine } from '../support/whole-line.js';

const MINUTE_MS = 60_000;
// Orders of any day will do; whole hours make the counted time a round one.
const clock = new ManualClock(Math.floor(Date.now() / (60 * MINUTE_MS)) * 60 * MINUTE_MS);
let line: WholeLine;
let readBack: ReadBack;
beforeAll(async () => {
  line = await WholeLine.start({ clock });
  ({ readBack } = line.pipeline.ports(new PipelineQueries(line.database, new SecretBox([]), clock)));
});
afterAll(() => line.stop());

const shop = (): Shop => {
  const [only] = line.pipeline.registry.shops();
  if (only === undefined) throw new Error('no shop');
  return only;
};
const destination = (name: string): Destination => {
  const found = shop().destinationIds.map((id) => line.pipeline.registry.destinationById(id));
  const named = found.find((each) => each?.name === name);
  if (named === undefined) throw new Error(`no ${name}`);
  return named;
};

/** What the ledger says was accepted there, as a comparison would ask for it. */
const accepted = (name: string): Promise<ReadBackItem[]> =>
  line.database.rows<ReadBackItem>(
    `select subject_id as "subjectId", order_id as "orderId", version::text as version, occurred_at as "occurredAt",
            accepted_at as "acceptedAt"
       from pipeline.ledger where destination_id = $1 and accepted_at is not null`,
    [destination(name).id],
  );

describe('what the ledger calls accepted', () => {
  it('is looked for at each destination that can be asked, and what was lost on the way is not there', async () => {
    const createdAt = clock.now().toISOString();
    const [first, lost, last] = [nextId(), nextId(), nextId()];
    for (const id of [first, lost, last]) {
      const share = id === lost ? 1 : 0;
      line.ga4.acceptThenLoseShare = share;
      line.segment.acceptThenLoseShare = share;
      expect(await line.send({ topic: 'orders/paid', body: orderBody({ id, createdAt }) })).toBe(200);
      await line.untilSettled();
      clock.advance(MINUTE_MS);
    }
    await line.warehouse.rows('delete from plumbline_events where subject_id = $1', [lost]);

    for (const name of ['ga4', 'lake']) {
      const items = await accepted(name);
      expect(items.map(({ subjectId }) => subjectId).sort(), name).toEqual([first, lost, last].sort());
      const answer = await readBack.present(destination(name), shop(), 'purchase', items);
      expect(answer, name).toEqual({ outcome: 'read', present: new Set([first, last]) });
    }
    const [fromAt, toAt] = [new Date(clock.nowMs() - 3 * MINUTE_MS), clock.now()];
    expect(await accepted('segment')).toHaveLength(3);
    const counted = await readBack.count(destination('segment'), 'purchase', fromAt, toAt);
    expect(counted).toMatchObject({ outcome: 'read', received: 2 });
    expect(readBack.ability(destination('hook')).means).toBe('none');
  });
});
