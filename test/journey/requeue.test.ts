import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ObligationKey, Shop } from '../../src/pipeline/contract.js';
import { eventId } from '../../src/pipeline/event/event-id.js';
import { PipelineQueries } from '../../src/pipeline/queries.js';
import { SystemClock } from '../../src/kernel/clock.js';
import { SecretBox } from '../../src/kernel/secrets.js';
import { nextId, orderBody } from '../support/orders.js';
import { until } from '../support/until.js';
import { WholeLine } from '../support/whole-line.js';

const SHOP = 'acme.myshopify.com';
const DAY = new Date().toISOString().slice(0, 10);
let line: WholeLine;
let ports: ReturnType<WholeLine['pipeline']['ports']>;
let key = 0;

beforeAll(async () => {
  line = await WholeLine.start();
  ports = line.pipeline.ports(new PipelineQueries(line.database, new SecretBox([]), new SystemClock()));
});
afterAll(() => line.stop());

const order = (id: string) => orderBody({ id, createdAt: `${DAY}T00:00:01Z` });
const shop = (): Shop => {
  const found = line.pipeline.registry.shopByDomain('real', SHOP);
  if (!found) throw new Error('no shop');
  return found;
};
const destinationId = (name: string): number => {
  const found = shop().destinationIds.find((id) => line.pipeline.registry.destinationById(id)?.name === name);
  if (found === undefined) throw new Error(`no destination ${name}`);
  return found;
};

async function sell(): Promise<string> {
  const id = nextId();
  await line.send({ topic: 'orders/paid', body: order(id) });
  await line.untilSettled();
  return id;
}

async function requeue(id: string, options: { destination?: string; key?: string } = {}): Promise<void> {
  await ports.requeue.requeue(shop(), [
    {
      topic: 'orders/paid',
      body: Buffer.from(order(id)),
      key: options.key ?? `gap-${++key}`,
      ...(options.destination === undefined ? {} : { destinationId: destinationId(options.destination) }),
    },
  ]);
  await line.untilSettled();
}

const states = async (subjectId: string) =>
  Object.fromEntries((await line.obligations({ subjectId })).map(({ destination, state }) => [destination, state]));

/** How often each destination was sent the order. */
const sent = (id: string) => ({
  ga4: line.ga4.requests.filter(({ body }) => body.includes(id)).length,
  segment: line.segment.requests.filter(({ body }) => body.includes(id)).length,
  hook: line.hook.requests.filter(({ body }) => body.includes(id)).length,
});

const purchase = (subjectId: string, destination: string): ObligationKey => ({
  shopId: shop().id,
  subjectId,
  kind: 'purchase',
  destinationId: destinationId(destination),
  ledgerDay: DAY,
});

const ARRIVED = { ga4: 'accepted', hook: 'accepted', lake: 'confirmed', segment: 'accepted' };

it('an order that no webhook told of goes to every destination, under the name it would have had', async () => {
  const id = nextId();
  await requeue(id);
  expect(await states(id)).toEqual(ARRIVED);
  const name = eventId({ shopDomain: SHOP, subjectId: id, kind: 'purchase', version: '0' });
  expect((await line.warehouseRows()).filter((row) => row.subject_id === id)).toMatchObject([{ event_id: name }]);
  expect(line.hook.webhookIds.counts.get(name)).toBe(1);
  const [{ seen_at } = {}] = await line.database.rows<{ seen_at: Date | null }>(
    'select distinct seen_at from pipeline.ledger where subject_id = $1',
    [id],
  );
  expect(seen_at).toBeNull();
});

it('its webhook, when it comes after all, changes nothing and sends nothing again', async () => {
  const id = nextId();
  await requeue(id);
  const before = sent(id);
  await line.send({ topic: 'orders/paid', body: order(id) });
  await line.untilSettled();
  expect(await states(id)).toEqual(ARRIVED);
  expect(sent(id)).toEqual(before);
});

it.each([[undefined], ['hook']])(
  'one that is missing at one destination goes there alone, and to those that have it not again (meant: %s)',
  async (destination) => {
    const id = await sell();
    expect(await ports.verdicts.markMissing([{ ...purchase(id, 'hook'), reason: 'not-there', detail: null }])).toBe(1);
    await requeue(id, destination === undefined ? {} : { destination });
    expect(await states(id)).toEqual(ARRIVED);
    expect(sent(id)).toEqual({ ga4: 1, segment: 1, hook: 2 });
    // The second time under the first one's name, so that the destination can drop it.
    const name = eventId({ shopDomain: SHOP, subjectId: id, kind: 'purchase', version: '0' });
    expect(line.hook.webhookIds.counts.get(name)).toBe(2);
  },
);

it('a purchase that failed starts again', async () => {
  line.hook.misbehave({ mode: 'status', code: 422, body: 'no such field' }, { times: 1 });
  const id = await sell();
  expect(await states(id)).toEqual({ ...ARRIVED, hook: 'failed' });
  await requeue(id, { destination: 'hook' });
  expect(await states(id)).toEqual(ARRIVED);
  expect(sent(id)).toEqual({ ga4: 1, segment: 1, hook: 2 });
});

it('one whose delivery was lost from the queue starts again once it is called missing', async () => {
  const id = await sell();
  await line.database.query(`update pipeline.ledger set state = 2 where subject_id = $1 and destination_id = $2`, [
    id,
    destinationId('hook'),
  ]);
  await requeue(id);
  expect(await states(id)).toEqual({ ...ARRIVED, hook: 'queued' });
  await ports.verdicts.markMissing([{ ...purchase(id, 'hook'), reason: 'delivery-gone', detail: null }]);
  await requeue(id);
  expect(await states(id)).toEqual(ARRIVED);
});

it('what has arrived everywhere is not sent again, whoever asks and however often', async () => {
  const id = await sell();
  const before = sent(id);
  await requeue(id);
  await requeue(id, { destination: 'ga4' });
  expect(await states(id)).toEqual(ARRIVED);
  expect(sent(id)).toEqual(before);
});

it('has one effect for one key, and its second asking is counted as a repeat', async () => {
  const id = nextId();
  await Promise.all([requeue(id, { key: 'gap-once' }), requeue(id, { key: 'gap-once' })]);
  expect(await states(id)).toEqual(ARRIVED);
  expect(sent(id)).toEqual({ ga4: 1, segment: 1, hook: 1 });
  await until(async () => (await line.webhookOutcomes()).some(({ repeats }) => repeats === 1));
});
