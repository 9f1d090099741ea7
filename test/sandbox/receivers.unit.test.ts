import { afterEach, describe, expect, it } from 'vitest';
import { Ga4Receiver } from '../../sandbox/receivers/ga4.js';
import type { Receiver } from '../../sandbox/receivers/receiver.js';
import { SegmentReceiver } from '../../sandbox/receivers/segment.js';

const open: Receiver[] = [];
afterEach(async () => {
  for (const receiver of open.splice(0)) await receiver.stop();
});

async function started<Kind extends Receiver>(receiver: Kind): Promise<Kind> {
  open.push(receiver);
  await receiver.start();
  return receiver;
}

async function post(receiver: Receiver, path: string, body: unknown): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return fetch(`${receiver.url}${path}`, { method: 'POST', body: text });
}

function purchase(transactionId: string, clientId = '1.2'): object {
  return { client_id: clientId, events: [{ name: 'purchase', params: { transaction_id: transactionId } }] };
}

describe('a pretended far side', () => {
  it('takes trouble for as many requests as asked, then is well again', async () => {
    const ga4 = await started(new Ga4Receiver());
    ga4.misbehave({ mode: 'status', code: 503 }, { times: 2 });
    const statuses = [];
    for (let time = 0; time < 3; time++) statuses.push((await post(ga4, '/mp/collect', purchase('1'))).status);
    expect(statuses).toEqual([503, 503, 204]);
    expect(ga4.purchases.names).toHaveLength(1);
  });

  it('makes the same trouble for the same seed', async () => {
    const story = async (seed: number): Promise<number[]> => {
      const ga4 = await started(new Ga4Receiver(seed));
      ga4.misbehave({ mode: 'status', code: 500 }, { share: 0.5 });
      const statuses = [];
      for (let time = 0; time < 20; time++) statuses.push((await post(ga4, '/mp/collect', purchase('1'))).status);
      return statuses;
    };
    const first = await story(7);
    expect(await story(7)).toEqual(first);
    expect(new Set(first).size).toBe(2);
  });
});

describe('the pretended GA4', () => {
  it('answers 204 to everything, garbage included', async () => {
    const ga4 = await started(new Ga4Receiver());
    expect((await post(ga4, '/mp/collect', 'garbage')).status).toBe(204);
    expect([ga4.garbage, ga4.events.length]).toEqual([1, 0]);
  });

  it('counts a repeated purchase of one client once, and shows the repeat', async () => {
    const ga4 = await started(new Ga4Receiver());
    for (const client of ['1.2', '1.2', '3.4']) await post(ga4, '/mp/collect', purchase('1001', client));
    expect(ga4.purchases.names).toEqual(['1001 1.2', '1001 3.4']);
    expect(ga4.purchases.repeats).toBe(1);
  });

  it('moves a time before the last 72 hours to 72 hours ago', async () => {
    const ga4 = await started(new Ga4Receiver());
    await post(ga4, '/mp/collect', { ...purchase('1'), timestamp_micros: 1 });
    const receivedMs = ga4.requests[0]?.at.getTime() ?? 0;
    expect(ga4.events[0]?.timestampMicros).toBe((receivedMs - 72 * 3_600_000) * 1000);
  });

  it('validates as documented', async () => {
    const ga4 = await started(new Ga4Receiver());
    const answer = async (name: string): Promise<unknown> =>
      (await post(ga4, '/debug/mp/collect', { events: [{ name, params: {} }] })).json();
    expect(await answer('purchase')).toEqual({ validationMessages: [] });
    expect(await answer('_badEventName')).toEqual({
      validationMessages: [
        {
          fieldPath: 'events',
          description:
            'Event at index: [0] has invalid name [_badEventName]. Names must start with an alphabetic character.',
          validationCode: 'NAME_INVALID',
        },
      ],
    });
    expect(ga4.events).toHaveLength(0);
  });
});

describe('the pretended Segment', () => {
  it('answers 200 to what it then does not keep, and 400 to what is too large', async () => {
    const segment = await started(new SegmentReceiver());
    const batch = (entries: object[]): Promise<Response> => post(segment, '/v1/batch', { batch: entries });
    const track = { type: 'track', event: 'x', userId: '1' };
    expect(
      (
        await batch([
          { ...track, messageId: 'a' },
          { messageId: 'b', type: 'track', userId: '1' },
        ])
      ).status,
    ).toBe(200);
    expect(
      (
        await batch([
          { ...track, messageId: 'a' },
          { type: 'track', event: 'x', messageId: 'c' },
        ])
      ).status,
    ).toBe(200);
    expect((await batch(Array.from({ length: 2501 }, () => track))).status).toBe(200);
    expect((await batch([{ ...track, messageId: 'd', properties: { large: 'x'.repeat(33_000) } }])).status).toBe(400);
    expect([...segment.messages.keys()]).toEqual(['a']);
    expect(segment.messageIds.repeats).toBe(1);
    expect(new Set(segment.dropped.map(({ reason }) => reason))).toEqual(
      new Set(['track without event', 'no userId or anonymousId', 'more than 2500 events']),
    );
  });
});
