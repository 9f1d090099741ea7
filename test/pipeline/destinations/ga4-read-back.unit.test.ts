import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import type { Destination, ReadBackPresent } from '../../../src/pipeline/contract.js';
import type { DeliveryItem } from '../../../src/pipeline/destinations/adapter.js';
import { DestinationReadBack } from '../../../src/pipeline/destinations/read-back.js';
import { ga4FarSide } from './far-sides.js';
import { ACME, destinationOf, itemOf, toSend } from './items.js';

const NOW = '2026-11-23T09:00:00Z'; // two hours after the orders of `itemOf`
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let clock: ManualClock;
let far: Awaited<ReturnType<typeof ga4FarSide>>;
let readBack: DestinationReadBack;
beforeEach(async () => {
  clock = new ManualClock(Date.parse(NOW));
  far = await ga4FarSide(clock);
  readBack = new DestinationReadBack(() => far.adapter);
});
afterEach(async () => {
  await far.close();
});

async function deliver(...items: DeliveryItem[]): Promise<void> {
  for (const item of items) {
    const formatted = far.adapter.format(item, far.destination);
    if (!formatted.ok) throw new Error(formatted.detail);
    await far.adapter.send([toSend(item, formatted)], far.destination, AbortSignal.timeout(10_000));
  }
}

/** @param acceptedAtMs when the destination answered 2xx; now, if not said */
function ask(
  items: readonly DeliveryItem[],
  { destination = far.destination, acceptedAtMs = clock.nowMs() } = {},
): Promise<ReadBackPresent> {
  return readBack.present(
    destination,
    ACME,
    'purchase',
    items.map(({ event }) => ({
      ...event,
      occurredAt: new Date(event.occurredAt),
      acceptedAt: new Date(acceptedAtMs),
    })),
  );
}

async function found(...items: DeliveryItem[]): Promise<string[]> {
  const answer = await ask(items);
  if (answer.outcome !== 'read') throw new Error(answer.detail);
  return [...answer.present];
}

const order = (id: number, over: Record<string, unknown> = {}): DeliveryItem => itemOf('purchase', id, over);
const reports = (): number => far.receiver.requests.filter(({ path }) => path.startsWith('/v1beta/')).length;
const withOwn = (own: object): Destination => destinationOf('ga4', { ...far.destination.settings.own, ...own });

describe('GA4, asked what it received', () => {
  it('shows an order once it has worked on it, hours after it accepted it', async () => {
    far.receiver.reports.processing = { leastMs: 4 * HOUR_MS, mostMs: 8 * HOUR_MS };
    const acceptedAtMs = clock.nowMs();
    await deliver(order(1));
    clock.advance(4 * HOUR_MS - 1);
    expect(await ask([order(1)], { acceptedAtMs })).toEqual({ outcome: 'read', present: new Set() });
    clock.advance(4 * HOUR_MS + 1);
    expect(await ask([order(1)], { acceptedAtMs })).toEqual({ outcome: 'read', present: new Set(['1']) });
    expect(readBack.ability(far.destination).settlingMs).toBe(48 * HOUR_MS);
  });

  it('does not show what it accepted and lost', async () => {
    await deliver(order(1));
    far.receiver.acceptThenLoseShare = 1;
    await deliver(order(2));
    far.receiver.acceptThenLoseShare = 0;
    await deliver(order(3));
    far.receiver.reports.lose('3');
    expect(await found(order(1), order(2), order(3))).toEqual(['1']);
  });

  it('shows an order that arrived too late on the day GA4 moved it to', async () => {
    clock.set(Date.parse('2026-11-29T09:00:00Z')); // six days after the order
    await deliver(order(1));
    clock.advance(24 * HOUR_MS);
    expect(await ask([order(1)], { acceptedAtMs: clock.nowMs() - 24 * HOUR_MS })).toMatchObject({
      present: new Set(['1']),
    });
  });

  it('shows orders on both sides of midnight, in UTC and where the property is', async () => {
    const times = ['2026-11-23T04:59:59Z', '2026-11-23T05:00:00Z', '2026-11-22T23:59:59Z', '2026-11-23T00:00:00Z'];
    const items = times.map((time, index) => order(index + 1, { processed_at: time, created_at: time }));
    await deliver(...items);
    for (const item of items) expect(await found(item)).toEqual([item.event.subjectId]);
  });

  it('takes "(not set)" for nobody', async () => {
    far.receiver.reports.keep('', clock.nowMs(), 1);
    far.receiver.reports.keep('', clock.nowMs(), 1);
    expect(await found(order(1))).toEqual([]);
  });

  it('says "later" for what may be folded into "(other)", and names what is shown all the same', async () => {
    await deliver(order(1), order(2));
    far.receiver.reports.folded.add('2');
    expect(await ask([order(1), order(2)])).toMatchObject({
      outcome: 'later',
      detail: expect.stringContaining('(other)'),
      present: new Set(['1']),
    });
    expect(await found(order(1))).toEqual(['1']);
  });

  it.each([{ subjectToThresholding: true }, { samplingMetadatas: [{ samplesReadCount: '10' }] }])(
    'proves no absence by a report with %j',
    async (metadata) => {
      await deliver(order(1));
      far.receiver.reports.metadata = metadata;
      expect(await ask([order(1), order(2)])).toMatchObject({ outcome: 'later', present: new Set(['1']) });
      expect(await found(order(1))).toEqual(['1']);
    },
  );

  it('is asked for all pages', async () => {
    const items = Array.from({ length: 25 }, (_, index) => order(index + 1));
    await deliver(...items);
    far.receiver.reports.rowsMax = 10;
    expect(await found(...items)).toHaveLength(25);
    expect(reports()).toBe(3);
  });

  it('says "later" when it announces more rows than it gives', async () => {
    await found(order(1)); // access stands
    const body = { kind: 'analyticsData#runReport', rowCount: 3 };
    far.receiver.misreport({ mode: 'status', code: 200, body: JSON.stringify(body) });
    expect(await ask([order(1)])).toMatchObject({ outcome: 'later', detail: expect.stringContaining('more rows') });
  });
});

describe('access to GA4', () => {
  it('is asked for once and kept until shortly before it ends', async () => {
    await found(order(1));
    await found(order(1));
    expect(far.receiver.google.issued).toBe(1);
    clock.advance(57 * MINUTE_MS);
    await found(order(1));
    expect(far.receiver.google.issued).toBe(1);
    clock.advance(MINUTE_MS);
    await found(order(1));
    expect(far.receiver.google.issued).toBe(2);
  });

  it('is asked for again when it is taken away before its time', async () => {
    await deliver(order(1));
    await found(order(1));
    far.receiver.google.revokeTokens();
    expect(await found(order(1))).toEqual(['1']);
    expect(far.receiver.google.issued).toBe(2);
  });

  it('that is refused again and again ends in "later", not in a loop', async () => {
    await found(order(1));
    far.receiver.google.isValid = () => false;
    expect(await ask([order(1)])).toMatchObject({
      outcome: 'later',
      detail: expect.stringContaining('credentials rejected'),
    });
    expect(reports()).toBe(3);
  });

  it.each([
    ['an account that was disabled', {}, /no access token: answered 400.*disabled/],
    [
      'a property of somebody else',
      { propertyId: '999' },
      /credentials rejected: answered 403.*sufficient permissions/,
    ],
  ])('of %s ends in "later" that says so', async (_what, own, detail) => {
    far.receiver.google.isEnabled = Object.keys(own).length > 0;
    const answer = await ask([order(1)], { destination: withOwn(own) });
    expect(answer).toMatchObject({ outcome: 'later', detail: expect.stringMatching(detail) });
  });

  it.each([
    [{ propertyId: undefined }, /propertyId and serviceAccount/],
    [{ serviceAccount: undefined }, /propertyId and serviceAccount/],
    [{ transactionId: 'order-name' }, /by their name/],
  ])('is not there with %j, and people are told why', (own, why) => {
    const known = Object.entries(withOwn(own).settings.own).filter(([, value]) => value !== undefined);
    const ability = readBack.ability(destinationOf('ga4', Object.fromEntries(known)));
    expect(ability).toMatchObject({ means: 'none', kinds: new Set(), why: expect.stringMatching(why) });
  });

  it('tells purchases only, and settles when the destination says', () => {
    const { kinds, settlingMs } = readBack.ability(withOwn({ settlingHours: 0.5 }));
    expect([...kinds]).toEqual(['purchase']);
    expect(settlingMs).toBe(30 * MINUTE_MS);
  });
});

describe("GA4's quota", () => {
  it.each([
    ['tokensPerProjectPerHour', 30],
    ['tokensPerHour', 30],
    ['tokensPerDay', 120],
  ] as const)('of %s that ran out leaves the property alone for %i minutes', async (bucket, minutes) => {
    await deliver(order(1));
    await found(order(1));
    far.receiver.reports.quota.exhausted = bucket;
    expect(await ask([order(1)])).toMatchObject({
      outcome: 'later',
      detail: expect.stringContaining('Exhausted property tokens'),
      retryAfterMs: minutes * MINUTE_MS,
    });
    far.receiver.reports.quota.exhausted = null;
    const before = reports();
    clock.advance((minutes - 1) * MINUTE_MS);
    expect(await ask([order(1)])).toMatchObject({ outcome: 'later', retryAfterMs: MINUTE_MS });
    expect(reports()).toBe(before);
    clock.advance(MINUTE_MS);
    expect(await found(order(1))).toEqual(['1']);
  });

  it('is never used up: the last thousand tokens are for others', async () => {
    far.receiver.reports.quota.takenByOthers = 12_500;
    expect(await found(order(1))).toEqual([]);
    far.receiver.reports.quota.takenByOthers = 13_500;
    expect(await found(order(1))).toEqual([]); // it was not known before this answer
    const before = reports();
    expect(await ask([order(1)])).toMatchObject({ outcome: 'later', detail: expect.stringContaining('tokens left') });
    expect(reports()).toBe(before);
    clock.advance(30 * MINUTE_MS);
    far.receiver.reports.quota.takenByOthers = 0;
    expect(await found(order(1))).toEqual([]);
  });

  it('of requests at once is kept by asking one property one request at a time', async () => {
    await deliver(order(1));
    await found(order(1));
    far.receiver.misreport({ mode: 'slow', ms: 20 });
    far.receiver.reportsAtOnceMax = 0;
    await Promise.all(Array.from({ length: 12 }, () => found(order(1))));
    expect(far.receiver.reportsAtOnceMax).toBe(1);
  });

  it('of server errors is kept by pauses that grow: fewer than ten an hour', async () => {
    await found(order(1));
    far.receiver.misreport({ mode: 'status', code: 500, body: 'internal' });
    const before = reports();
    const untilMs = clock.nowMs() + HOUR_MS;
    for (; clock.nowMs() < untilMs; clock.advance(10_000)) await ask([order(1)]);
    expect(reports() - before).toBeGreaterThan(5);
    expect(reports() - before).toBeLessThanOrEqual(10);
    far.receiver.misreport({ mode: 'ok' });
    clock.advance(10 * MINUTE_MS);
    expect(await found(order(1))).toEqual([]);
  });
});
