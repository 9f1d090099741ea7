import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import type { HttpRequest, HttpResult } from '../../../src/kernel/http-out.js';
import { silentLogger } from '../../../src/kernel/log.js';
import type { DeliveryItem, Outcome } from '../../../src/pipeline/destinations/adapter.js';
import { Ga4Adapter } from '../../../src/pipeline/destinations/ga4.js';
import { Ga4ReadBack } from '../../../src/pipeline/destinations/ga4-read-back.js';
import { ga4FarSide } from './far-sides.js';
import { destinationOf, itemOf, toSend } from './items.js';

let far: Awaited<ReturnType<typeof ga4FarSide>>;
beforeEach(async () => {
  far = await ga4FarSide();
});
afterEach(async () => {
  await far.close();
});

async function send(item: DeliveryItem, own: object = {}): Promise<Outcome | undefined> {
  const destination = destinationOf('ga4', { ...far.destination.settings.own, ...own });
  const formatted = far.adapter.format(item, destination);
  if (!formatted.ok) throw new Error(formatted.detail);
  return (await far.adapter.send([toSend(item, formatted)], destination, AbortSignal.timeout(10_000)))[0];
}

const paths = (): string[] => far.receiver.requests.map(({ path }) => path);

describe('a GA4 destination', () => {
  it('names its property and secret in the query, where GA4 reads them', async () => {
    await send(itemOf('purchase'));
    const [request] = far.receiver.requests;
    expect(Object.fromEntries(request?.query ?? [])).toEqual({
      measurement_id: 'G-TEST',
      api_secret: 'ga4-s3cret-value',
    });
  });

  it('does not take a 204 for arrival: GA4 may lose what it accepted', async () => {
    far.receiver.acceptThenLoseShare = 1;
    expect(await send(itemOf('purchase'))).toMatchObject({ outcome: 'accepted', confirmed: false });
    expect(far.receiver.lost).toBe(1);
  });

  it('sends a purchase again with the same transaction and client, so that GA4 drops it', async () => {
    await send(itemOf('purchase'));
    await send(itemOf('purchase'));
    expect([...far.receiver.purchases.counts]).toEqual([['450789469 1234567890.1700000000', 2]]);
  });

  it('has each shape of event validated once, when asked to', async () => {
    for (const id of [1, 2]) await send(itemOf('purchase', id), { validate: true });
    await send(itemOf('refund', 3), { validate: true });
    expect(paths()).toEqual(['/debug/mp/collect', '/mp/collect', '/mp/collect', '/debug/mp/collect', '/mp/collect']);
  });

  it('sends nothing that the validation server finds fault with, and says what it found', async () => {
    far.receiver.validationMessages = [
      { fieldPath: 'events', description: 'Event at index: [0] has invalid name [x].', validationCode: 'NAME_INVALID' },
    ];
    expect(await send(itemOf('purchase'), { validate: true })).toEqual({
      outcome: 'rejected',
      lane: 'ours',
      reason: 'ga4-validation',
      detail: 'NAME_INVALID events: Event at index: [0] has invalid name [x].',
    });
    expect(paths()).toEqual(['/debug/mp/collect']);
  });

  it('sends all the same when the validation server has no opinion', async () => {
    far.receiver.misbehave({ mode: 'status', code: 503 }, { times: 1 });
    expect(await send(itemOf('purchase'), { validate: true })).toMatchObject({ outcome: 'accepted' });
  });

  it.each([
    [{}, 'https://www.google-analytics.com/mp/collect?'],
    [{ region: 'eu' }, 'https://region1.google-analytics.com/mp/collect?'],
    [{ endpoint: 'https://proxy.example/ga/' }, 'https://proxy.example/ga/mp/collect?'],
  ])('with %j collects at %s', async (own, start) => {
    const urls: string[] = [];
    const http = {
      request: async ({ url }: HttpRequest): Promise<HttpResult> => {
        urls.push(url);
        return { kind: 'answer', status: 204, headers: {}, body: '', complete: true };
      },
      close: async () => {},
    };
    const clock = new ManualClock(0);
    const adapter = new Ga4Adapter(http, clock, silentLogger, new Ga4ReadBack(http, clock));
    const destination = destinationOf('ga4', { measurementId: 'G-1', apiSecret: 'x', ...own });
    const formatted = adapter.format(itemOf('purchase'), destination);
    if (!formatted.ok) throw new Error(formatted.detail);
    await adapter.send([toSend(itemOf('purchase'), formatted)], destination, AbortSignal.timeout(1_000));
    expect(urls[0]?.startsWith(start)).toBe(true);
  });
});
