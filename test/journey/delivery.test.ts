import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/kernel/clock.js';
import { nextId, orderBody, refundBody } from '../support/orders.js';
import { until } from '../support/until.js';
import { WholeLine } from '../support/whole-line.js';

const clock = new ManualClock(Date.now());
let line: WholeLine;
beforeAll(async () => {
  line = await WholeLine.start({ clock });
});
afterAll(() => line.stop());

const state = async (subjectId: string, destination: string) => {
  const [obligation] = await line.obligations({ subjectId, destination });
  return obligation && `${obligation.state}${obligation.reason ? ` (${obligation.reason})` : ''}`;
};

const sell = async (id = nextId()): Promise<string> => {
  expect(await line.send({ topic: 'orders/paid', body: orderBody({ id }) })).toBe(200);
  return id;
};

/** Lets virtual time pass in small steps until something is so. */
const passTimeUntil = (fact: () => Promise<boolean>, stepMs = 1_000) =>
  until(
    async () => {
      clock.advance(stepMs);
      return fact();
    },
    { timeoutMs: 20_000, everyMs: 30, what: fact.toString() },
  );

describe('an event that a destination refuses', () => {
  it('becomes a dead letter for the customer, with its payload, and the next event goes on', async () => {
    line.hook.misbehave({ mode: 'status', code: 422, body: 'no such field' }, { times: 1 });
    const refused = await sell();
    await until(async () => (await state(refused, 'hook'))?.startsWith('failed'));
    const next = await sell();
    await until(async () => (await state(next, 'hook')) === 'accepted');
    const letters = await line.database.rows<{ lane: string; payload: Buffer; detail: string }>(
      'select lane, payload, detail from pipeline.dead_letter where order_id = $1',
      [refused],
    );
    expect(letters).toHaveLength(1);
    expect(letters[0]?.lane).toBe('theirs');
    expect(letters[0]?.payload.length).toBeGreaterThan(100);
    expect(letters[0]?.detail).toContain('422');
  });

  it('is shown by a dry run, and replayed for good: once, under the id it had before', async () => {
    const before = new Set(line.hook.webhookIds.names);
    const query = { destination: 'hook', lane: 'theirs' as const };
    const dry = await line.pipeline.deadLetters.replay({ query, dryRun: true, actor: 'test' });
    expect(dry).toMatchObject({ matched: 1, replayed: 0 });
    await line.untilSettled();
    expect(new Set(line.hook.webhookIds.names)).toEqual(before);

    const done = await line.pipeline.deadLetters.replay({ query, dryRun: false, actor: 'test' });
    expect(done).toMatchObject({ matched: 1, replayed: 1 });
    const [letter] = await line.database.rows<{ order_id: string }>('select order_id from pipeline.dead_letter');
    const orderId = letter?.order_id ?? '';
    await until(async () => (await state(orderId, 'hook')) === 'accepted');
    const [row] = (await line.warehouseRows()).filter((each) => each.order_id === orderId);
    expect(line.hook.webhookIds.counts.get(row?.event_id ?? '')).toBe(1);
    // Only the destination that had failed got it again.
    expect([...line.ga4.purchases.counts].filter(([key]) => key.startsWith(`${orderId} `)).map(([, n]) => n)).toEqual([
      1,
    ]);
    expect(await line.pipeline.deadLetters.replay({ query, dryRun: true, actor: 'test' })).toMatchObject({
      matched: 0,
    });
  });
});

describe('a disabled destination', () => {
  it('parks its events with the reason, and gets them all when it is enabled', async () => {
    await line.pipeline.registry.desk.setDestinationEnabled('segment', false, 'test');
    const parked = [await sell(), await sell()];
    for (const id of parked) await until(async () => (await state(id, 'segment')) === 'queued (destination-disabled)');
    for (const id of parked) await until(async () => (await state(id, 'lake')) === 'confirmed');
    await line.pipeline.registry.desk.setDestinationEnabled('segment', true, 'test');
    for (const id of parked) await until(async () => (await state(id, 'segment')) === 'accepted');
  });
});

describe('a destination that asks for patience', () => {
  it('is left alone for as long as it asked, and gets everything afterwards', async () => {
    line.hook.misbehave({ mode: 'throttle', retryAfterS: 120 }, { times: 1 });
    const requests = line.hook.requests.length;
    const id = await sell();
    await until(async () => (await state(id, 'hook')) === 'queued (throttled)');
    const later = await sell();
    clock.advance(60_000);
    await until(async () => (await state(later, 'lake')) === 'confirmed');
    expect(line.hook.requests.length).toBe(requests + 1);
    await passTimeUntil(async () => (await state(id, 'hook')) === 'accepted', 5_000);
    await passTimeUntil(async () => (await state(later, 'hook')) === 'accepted', 5_000);
  });
});

describe('a cut connection', () => {
  it('repeats a purchase under the same id and the same client, so that the far side drops it', async () => {
    line.ga4.misbehave({ mode: 'apply-then-cut' }, { times: 1 });
    line.hook.misbehave({ mode: 'apply-then-cut' }, { times: 1 });
    const id = await sell();
    await passTimeUntil(
      async () => (await state(id, 'ga4')) === 'accepted' && (await state(id, 'hook')) === 'accepted',
    );
    expect([...line.ga4.purchases.counts].filter(([key]) => key.startsWith(`${id} `)).map(([, n]) => n)).toEqual([2]);
    const [row] = (await line.warehouseRows()).filter((each) => each.order_id === id);
    expect(line.hook.webhookIds.counts.get(row?.event_id ?? '')).toBe(2);
  });

  it('never repeats a refund that GA4 may have taken: it is unconfirmable, and a person decides', async () => {
    const orderId = await sell();
    await until(async () => (await state(orderId, 'ga4')) === 'accepted');
    line.ga4.misbehave({ mode: 'apply-then-cut' }, { times: 1 });
    const refundId = nextId();
    expect(await line.send({ topic: 'refunds/create', body: refundBody(orderId, refundId) })).toBe(200);
    await until(async () => (await state(refundId, 'ga4')) === 'unconfirmable (ambiguous-not-repeatable)');
    await passTimeUntil(async () => (await state(refundId, 'hook')) === 'accepted');
    expect(line.ga4.refunds.counts.get(orderId)).toBe(1);
    const letters = await line.database.rows(
      "select from pipeline.dead_letter where reason = 'ambiguous-not-repeatable'",
    );
    expect(letters).toHaveLength(1);
  });
});

describe('a destination that never comes back', () => {
  it('buries what is older than 72 hours, in the lane of the customer, and not a minute before', async () => {
    await line.untilSettled();
    await line.hook.refuse();
    const id = await sell();
    await until(async () => (await line.obligations({ subjectId: id, destination: 'hook' }))[0]?.attempts === 1);
    for (let hour = 0; hour < 71; hour++) clock.advance(3_600_000);
    await passTimeUntil(
      async () => ((await line.obligations({ subjectId: id, destination: 'hook' }))[0]?.attempts ?? 0) > 1,
    );
    expect(await state(id, 'hook')).toMatch(/^queued/);
    clock.advance(2 * 3_600_000);
    await passTimeUntil(async () => (await state(id, 'hook')) === 'failed (not-delivered-in-72h)', 15_000);
    const [letter] = await line.database.rows<{ lane: string }>(
      'select lane from pipeline.dead_letter where order_id = $1',
      [id],
    );
    expect(letter?.lane).toBe('theirs');
    await line.hook.acceptAgain();
  });
});
