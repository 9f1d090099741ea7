import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Destination, Kind } from '../../../src/pipeline/contract.js';
import type { DeliveryItem, Outcome } from '../../../src/pipeline/destinations/adapter.js';
import { testDatabase } from '../../support/test-database.js';
import { until } from '../../support/until.js';
import { SECRETS, ga4FarSide, postgresFarSide, segmentFarSide, webhookFarSide, type FarSide } from './far-sides.js';
import { itemOf, toSend } from './items.js';

const FAR_SIDES = {
  ga4: ga4FarSide,
  segment: segmentFarSide,
  webhook: webhookFarSide,
  postgres: async () => postgresFarSide((await testDatabase()).url),
};

/** As delivery does it: format all, send the formatted ones, one outcome each. */
async function deliver(
  far: FarSide,
  items: readonly DeliveryItem[],
  { signal = AbortSignal.timeout(10_000), destination = far.destination } = {},
): Promise<Outcome[]> {
  const formatted = items.map((item) => {
    const result = far.adapter.format(item, destination);
    if (!result.ok) throw new Error(`${result.reason}: ${result.detail}`);
    return toSend(item, result);
  });
  return far.adapter.send(formatted, destination, signal);
}

function purchases(count: number, from = 1): DeliveryItem[] {
  return Array.from({ length: count }, (_, index) => itemOf('purchase', from + index));
}

describe.each(Object.entries(FAR_SIDES))('%s destination', (name, open) => {
  let far: FarSide;
  beforeEach(async () => {
    far = await open();
  });
  afterEach(async () => {
    await far.close();
  });
  const batchOf = (count: number): DeliveryItem[] => purchases(Math.min(count, far.adapter.batch.items));

  it('takes every kind it says it takes', async () => {
    for (const kind of far.adapter.kinds) {
      const item = itemOf(kind, 42);
      expect(await deliver(far, [item]), kind).toMatchObject([{ outcome: 'accepted' }]);
      expect(await far.effects(item), kind).toBe(1);
    }
  });

  it('claims confirmation only where the data was read back', async () => {
    const [outcome] = await deliver(far, purchases(1));
    expect(outcome).toMatchObject({ outcome: 'accepted', confirmed: name === 'postgres' });
  });

  it('has one effect when an idempotent kind is repeated, and says of the others that they are not', async () => {
    for (const kind of far.adapter.kinds) {
      const item = itemOf(kind, 43);
      for (let time = 0; time < 3; time++) await deliver(far, [item]);
      expect((await far.effects(item)) === 1, kind).toBe(far.adapter.isIdempotent(kind));
    }
  });

  it('gives each item of a batch its outcome', async () => {
    const items = purchases(Math.min(far.adapter.batch.items, 120));
    const outcomes = await deliver(far, items);
    expect(outcomes).toHaveLength(items.length);
    expect(outcomes.every(({ outcome }) => outcome === 'accepted')).toBe(true);
    for (const item of items) expect(await far.effects(item)).toBe(1);
  });

  it('calls a far side that does not answer in time ambiguous', async () => {
    await deliver(far, purchases(1, 900)); // a connection stands: the request goes out
    far.trouble('hang');
    const items = batchOf(3);
    const outcomes = await deliver(far, items, { signal: AbortSignal.timeout(150) });
    expect(outcomes).toHaveLength(items.length);
    expect(outcomes.every(({ outcome }) => outcome === 'ambiguous')).toBe(true);
  });

  it('calls a cut after the event took effect ambiguous, and the repeat has no second effect', async () => {
    await deliver(far, purchases(1, 900));
    far.trouble('apply-then-cut');
    const items = batchOf(3);
    const cut = await deliver(far, items);
    expect(cut.map(({ outcome }) => outcome)).toEqual(items.map(() => 'ambiguous'));
    for (const item of items) expect(await until(() => far.effects(item))).toBe(1);
    far.trouble('ok');
    const repeated = await deliver(far, items);
    expect(repeated.map(({ outcome }) => outcome)).toEqual(items.map(() => 'accepted'));
    for (const item of items) expect(await far.effects(item)).toBe(1);
  });

  it('does not call a cut before the event took effect a success', async () => {
    await deliver(far, purchases(1, 900));
    far.trouble('cut-before');
    const [item] = purchases(1);
    const [outcome] = await deliver(far, [item as DeliveryItem]);
    expect(outcome?.outcome).toBe('ambiguous');
    expect(await far.effects(item as DeliveryItem)).toBe(0);
  });

  it('calls a refused connection unreachable, and delivers when it is accepted again', async () => {
    await far.refuse();
    const items = batchOf(3);
    const refused = await deliver(far, items);
    expect(refused.map(({ outcome }) => outcome)).toEqual(items.map(() => 'unreachable'));
    await far.acceptAgain();
    expect((await deliver(far, items)).every(({ outcome }) => outcome === 'accepted')).toBe(true);
  });

  it('sends nothing that was given up before', async () => {
    const items = batchOf(2);
    const outcomes = await deliver(far, items, { signal: AbortSignal.abort() });
    expect(outcomes.every(({ outcome }) => outcome === 'unreachable' || outcome === 'ambiguous')).toBe(true);
    await deliver(far, purchases(1, 900));
    for (const item of items) expect(await far.effects(item)).toBe(0);
  });

  it('keeps events queued when the stored settings cannot be read', async () => {
    const settings = { ...far.destination.settings, own: { nonsense: true } };
    const broken: Destination = { ...far.destination, settings };
    const outcomes = await deliver(far, batchOf(2), { destination: broken });
    expect(outcomes.every(({ outcome }) => outcome === 'unreachable')).toBe(true);
    expect(JSON.stringify(outcomes)).toContain('nonsense');
  });

  it('never tells a secret, whatever goes wrong', async () => {
    const told: unknown[] = [];
    const used = SECRETS.filter((secret) => JSON.stringify(far.destination.settings.own).includes(secret));
    expect(used).toHaveLength(1);
    if (far.http !== null) {
      for (const secret of used) {
        far.http.misbehave({ mode: 'status', code: 400, body: `you said ${secret}, key=${secret}` });
        told.push(await deliver(far, purchases(1)));
      }
      far.http.misbehave({ mode: 'garbage-response' });
      told.push(await deliver(far, purchases(1)));
    }
    await far.refuse();
    told.push(await deliver(far, purchases(1)));
    for (const secret of used) expect(JSON.stringify(told)).not.toContain(secret);
  });
});

describe.each([
  ['segment', FAR_SIDES.segment],
  ['postgres', FAR_SIDES.postgres],
])('%s destination, in batches', (_name, open) => {
  it('refuses the poison in a batch and takes all the others, once', async () => {
    const far = await open();
    try {
      const items = purchases(23);
      items[0] = far.poison(items[0] as DeliveryItem);
      items[17] = far.poison(items[17] as DeliveryItem);
      const outcomes = await deliver(far, items);
      expect(outcomes.map(({ outcome }) => outcome)).toEqual(
        items.map((_item, index) => (index === 0 || index === 17 ? 'rejected' : 'accepted')),
      );
      for (const [index, item] of items.entries())
        expect(await far.effects(item)).toBe(index === 0 || index === 17 ? 0 : 1);
    } finally {
      await far.close();
    }
  });
});

describe.each([
  ['ga4', FAR_SIDES.ga4],
  ['segment', FAR_SIDES.segment],
  ['webhook', FAR_SIDES.webhook],
])('%s destination, over HTTP', (_name, open) => {
  let far: FarSide;
  beforeEach(async () => {
    far = await open();
  });
  afterEach(async () => {
    await far.close();
  });
  const answering = async (
    code: number,
    headers: Record<string, string> = {},
    kind: Kind = 'purchase',
  ): Promise<Outcome> => {
    far.http?.misbehave({ mode: 'status', code, headers, body: 'because' });
    const [outcome] = await deliver(far, [itemOf(kind)]);
    if (outcome === undefined) throw new Error('no outcome');
    return outcome;
  };

  it.each([
    [200, { outcome: 'accepted' }],
    [202, { outcome: 'accepted' }],
    [301, { outcome: 'unreachable', detail: 'redirect not followed: answered 301: because' }],
    [400, { outcome: 'rejected', lane: 'theirs', reason: 'http-400', detail: 'answered 400: because' }],
    [401, { outcome: 'unreachable', detail: 'credentials rejected: answered 401: because' }],
    [403, { outcome: 'unreachable', detail: 'credentials rejected: answered 403: because' }],
    [404, { outcome: 'rejected', lane: 'theirs', reason: 'http-404' }],
    [408, { outcome: 'throttled', retryAfterMs: null }],
    [425, { outcome: 'throttled', retryAfterMs: null }],
    [429, { outcome: 'throttled', retryAfterMs: null }],
    [500, { outcome: 'unreachable', retryAfterMs: null, status: 500, detail: 'answered 500: because' }],
    [503, { outcome: 'unreachable', retryAfterMs: null }],
  ])('answered %i comes to %j', async (code, expected) => {
    expect(await answering(code)).toMatchObject(expected);
  });

  it('waits as long as the far side asks', async () => {
    far.http?.misbehave({ mode: 'throttle', retryAfterS: 30 });
    expect(await deliver(far, [itemOf('purchase')])).toMatchObject([
      { outcome: 'throttled', retryAfterMs: 30_000, status: 429 },
    ]);
    expect(await answering(503, { 'retry-after': '7' })).toMatchObject({ outcome: 'throttled', retryAfterMs: 7_000 });
    expect(await answering(429, { 'x-ratelimit-reset': '9' })).toMatchObject({ retryAfterMs: 9_000 });
  });

  it('calls a 5xx ambiguous for a kind that must not be repeated', async () => {
    for (const kind of far.adapter.kinds) {
      const { outcome } = await answering(502, {}, kind);
      expect(outcome, kind).toBe(far.adapter.isIdempotent(kind) ? 'unreachable' : 'ambiguous');
    }
  });

  it('waits for a slow answer', async () => {
    far.http?.misbehave({ mode: 'slow', ms: 300 });
    expect(await deliver(far, [itemOf('purchase')])).toMatchObject([{ outcome: 'accepted' }]);
  });

  it('takes the status for the answer when the body stalls or is garbage', async () => {
    for (const mode of ['slow-body', 'garbage-body'] as const) {
      far.http?.misbehave({ mode });
      expect(await deliver(far, [itemOf('purchase')]), mode).toMatchObject([{ outcome: 'accepted', confirmed: false }]);
    }
  });

  it('calls an answer that is no HTTP ambiguous', async () => {
    far.http?.misbehave({ mode: 'garbage-response' });
    expect(await deliver(far, [itemOf('purchase')])).toMatchObject([{ outcome: 'ambiguous' }]);
  });

  it('refuses a private address that configuration does not allow, and waits for the configuration', async () => {
    const key = 'url' in far.destination.settings.own ? 'url' : 'endpoint';
    const settings = {
      ...far.destination.settings,
      own: { ...far.destination.settings.own, [key]: 'http://169.254.169.254' },
    };
    const destination = { ...far.destination, settings };
    const [outcome] = await deliver(far, [itemOf('purchase')], { destination });
    expect(outcome).toMatchObject({ outcome: 'unreachable', detail: expect.stringContaining('address refused') });
  });
});
