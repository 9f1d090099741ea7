import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeliveryItem, Outcome } from '../../../src/pipeline/destinations/adapter.js';
import { WEBHOOK_SECRET, webhookFarSide } from './far-sides.js';
import { destinationOf, itemOf, toSend } from './items.js';

let far: Awaited<ReturnType<typeof webhookFarSide>>;
beforeEach(async () => {
  far = await webhookFarSide();
});
afterEach(async () => {
  await far.close();
});

async function send(item: DeliveryItem, own: object = {}): Promise<Outcome | undefined> {
  const destination = destinationOf('webhook', { ...far.destination.settings.own, ...own });
  const formatted = far.adapter.format(item, destination);
  if (!formatted.ok) throw new Error(formatted.detail);
  return (await far.adapter.send([toSend(item, formatted)], destination, AbortSignal.timeout(10_000)))[0];
}

describe('a webhook destination', () => {
  it('signs so that the reference implementation accepts it', async () => {
    const item = itemOf('purchase', 5, { note: '👕 \u0007' });
    await send(item);
    const [request] = far.receiver.requests;
    const headers = request?.headers as Record<string, string>;
    const body = new Webhook(WEBHOOK_SECRET).verify(request?.body ?? '', headers) as Record<string, unknown>;
    expect(body).toMatchObject({ event_id: item.eventId, kind: 'purchase', order_id: '5' });
    expect(headers['webhook-id']).toBe(item.eventId);
  });

  it('says the same webhook-id on every try', async () => {
    const item = itemOf('refund', 5);
    far.receiver.misbehave({ mode: 'status', code: 503 }, { times: 1 });
    await send(item);
    await send(item);
    expect(far.receiver.requests.map(({ headers }) => headers['webhook-id'])).toEqual([item.eventId, item.eventId]);
  });

  it('waits when the receiver does not accept the signature: a secret is mended, an order is not made again', async () => {
    expect(await send(itemOf('purchase'), { secret: 'another-secret' })).toMatchObject({
      outcome: 'unreachable',
      status: 401,
      detail: 'credentials rejected: answered 401: signature does not match',
    });
  });

  it('hears "gone" when the receiver says 410', async () => {
    far.receiver.misbehave({ mode: 'status', code: 410 });
    expect(await send(itemOf('purchase'))).toMatchObject({ outcome: 'rejected', lane: 'theirs', reason: 'gone' });
  });

  it('sends the headers the customer set, besides its own', async () => {
    await send(itemOf('purchase'), { headers: { 'x-api-key': 'abc' } });
    expect(far.receiver.requests[0]?.headers).toMatchObject({ 'x-api-key': 'abc', 'content-type': 'application/json' });
  });
});
