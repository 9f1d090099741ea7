import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InvariantBroken } from '../../../src/kernel/errors.js';
import type {
  Destination,
  Kind,
  ReadBackCount,
  ReadBackItem,
  ReadBackLater,
  ReadBackPresent,
} from '../../../src/pipeline/contract.js';
import type { DeliveryItem } from '../../../src/pipeline/destinations/adapter.js';
import { DestinationReadBack } from '../../../src/pipeline/destinations/read-back.js';
import type { Receiver } from '../../../sandbox/receivers/receiver.js';
import { testDatabase } from '../../support/test-database.js';
import {
  PUBLIC_TOKEN,
  ga4FarSide,
  postgresFarSide,
  segmentFarSide,
  webhookFarSide,
  type FarSide,
} from './far-sides.js';
import { ACME, destinationOf, itemOf, toSend } from './items.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

function readBackOf(far: FarSide): DestinationReadBack {
  return new DestinationReadBack(() => far.adapter);
}

async function deliver(far: FarSide, items: readonly DeliveryItem[]): Promise<void> {
  const { items: most } = far.adapter.batch;
  for (let from = 0; from < items.length; from += most) {
    const formatted = items.slice(from, from + most).map((item) => {
      const result = far.adapter.format(item, far.destination);
      if (!result.ok) throw new Error(`${result.reason}: ${result.detail}`);
      return toSend(item, result);
    });
    const outcomes = await far.adapter.send(formatted, far.destination, AbortSignal.timeout(20_000));
    expect(outcomes.every(({ outcome }) => outcome === 'accepted')).toBe(true);
  }
}

function asked({ event }: DeliveryItem): ReadBackItem {
  const { subjectId, orderId, version, occurredAt } = event;
  return { subjectId, orderId, version, occurredAt: new Date(occurredAt), acceptedAt: new Date() };
}

function purchases(count: number, from = 1): DeliveryItem[] {
  return Array.from({ length: count }, (_, index) => itemOf('purchase', from + index));
}

/** The last ten minutes, and the one that has begun. */
function lately(): [Date, Date] {
  const nowMs = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  return [new Date(nowMs - 10 * MINUTE_MS), new Date(nowMs + MINUTE_MS)];
}

interface AskOptions {
  destination?: Destination;
  signal?: AbortSignal;
}

/** One kind that can be read back, as the suite asks it: always about purchases, whatever its means. */
interface Reading {
  far: FarSide;
  ask(items: readonly DeliveryItem[], options?: AskOptions): Promise<ReadBackPresent | ReadBackCount>;
  /** How many of the asked it says are there; `null` = it says "later". */
  found(items: readonly DeliveryItem[], options?: AskOptions): Promise<number | null>;
  /** Trouble of the side that is asked. */
  trouble(mode: 'hang' | 'cut-before' | 'slow'): void;
  /** Takes the right to ask away, as its owner may. */
  deny(): Promise<Destination>;
  secrets: readonly string[];
}

function readingOf(far: FarSide, rest: Pick<Reading, 'trouble' | 'deny' | 'secrets'>): Reading {
  const readBack = readBackOf(far);
  const ask: Reading['ask'] = (items, { destination = far.destination, signal } = {}) =>
    readBack.ability(far.destination).means === 'counts'
      ? readBack.count(destination, 'purchase', ...lately(), signal)
      : readBack.present(destination, ACME, 'purchase', items.map(asked), signal);
  const found: Reading['found'] = async (items, options) => {
    const answer = await ask(items, options);
    if (answer.outcome !== 'read') return null;
    return 'present' in answer ? answer.present.size : answer.received;
  };
  return { far, ask, found, ...rest };
}

function overHttp(far: FarSide & { receiver: Receiver }, rest: Pick<Reading, 'deny' | 'secrets'>): Reading {
  const { receiver } = far;
  return readingOf(far, {
    trouble: (mode) => receiver.misreport(mode === 'slow' ? { mode, ms: 300 } : { mode }),
    ...rest,
  });
}

function withOwn(far: FarSide, own: object): Destination {
  return {
    ...far.destination,
    settings: { ...far.destination.settings, own: { ...far.destination.settings.own, ...own } },
  };
}

const KINDS = {
  ga4: async (): Promise<Reading> => {
    const far = await ga4FarSide();
    return overHttp(far, {
      secrets: [String(far.destination.settings.own['serviceAccount']), 'ya29.', 'BEGIN PRIVATE KEY'],
      deny: async () => {
        far.receiver.google.isEnabled = false;
        far.receiver.google.revokeTokens();
        return far.destination;
      },
    });
  },
  segment: async (): Promise<Reading> => {
    const far = await segmentFarSide();
    return overHttp(far, {
      secrets: [PUBLIC_TOKEN],
      deny: async () => {
        far.receiver.overview.publicToken = 'another';
        return far.destination;
      },
    });
  },
  postgres: async (): Promise<Reading> => {
    const far = await postgresFarSide((await testDatabase()).url);
    return readingOf(far, {
      secrets: ['warehouse-s3cret'],
      trouble: (mode) => {
        far.proxy.mode = mode === 'slow' ? 'ok' : mode;
      },
      deny: async () => withOwn(far, { url: far.urlFor('nobody_here') }),
    });
  },
};

describe.each(Object.entries(KINDS))('reading back from %s', (name, open) => {
  let reading: Reading;
  let far: FarSide;
  beforeEach(async () => {
    reading = await open();
    ({ far } = reading);
  });
  afterEach(async () => {
    await far.close();
  });
  const later = async (items: readonly DeliveryItem[], options?: AskOptions): Promise<ReadBackLater> => {
    const answer = await reading.ask(items, options);
    if (answer.outcome !== 'later') throw new Error(`was read: ${JSON.stringify(answer)}`);
    for (const secret of reading.secrets) expect(JSON.stringify(answer)).not.toContain(secret);
    return answer;
  };

  it('can be done, with a time after which an absence is final', () => {
    const { means, kinds, settlingMs, why } = readBackOf(far).ability(far.destination);
    expect({ means, why }).toEqual({ means: name === 'segment' ? 'counts' : 'ids', why: null });
    expect(kinds.has('purchase')).toBe(true);
    expect(settlingMs).toBeGreaterThan(0);
  });

  it('finds all that arrived', async () => {
    const items = purchases(23);
    await deliver(far, items);
    expect(await reading.found(items)).toBe(23);
  });

  it('finds nothing before anything arrived', async () => {
    expect(await reading.found(purchases(3))).toBe(0);
  });

  it('finds the part that arrived', async () => {
    await deliver(far, purchases(5));
    expect(await reading.found(purchases(9))).toBe(5);
  });

  it('finds once what arrived three times', async () => {
    for (let time = 0; time < 3; time++) await deliver(far, purchases(2));
    expect(await reading.found(purchases(2))).toBe(2);
  });

  it('says "later" while nobody answers there, and reads when somebody does', async () => {
    await deliver(far, purchases(2));
    await far.refuse();
    await later(purchases(2));
    await far.acceptAgain();
    expect(await reading.found(purchases(2))).toBe(2);
  });

  it('says "later" to an answer that does not come in time, and is not held up by it', async () => {
    await deliver(far, purchases(2));
    expect(await reading.found(purchases(2))).toBe(2); // a connection stands
    reading.trouble('hang');
    await later(purchases(2), { signal: AbortSignal.timeout(150) });
    await later(purchases(2), { signal: AbortSignal.abort() });
  });

  it('says "later" to a connection that is cut', async () => {
    await deliver(far, purchases(2));
    reading.trouble('cut-before');
    await later(purchases(2));
  });

  it('waits for a slow answer', async () => {
    await deliver(far, purchases(2));
    reading.trouble('slow');
    expect(await reading.found(purchases(2))).toBe(2);
  });

  it('says "later" when the credential is refused, and that it is the credential', async () => {
    await deliver(far, purchases(2));
    const destination = await reading.deny();
    const { detail } = await later(purchases(2), { destination });
    expect(detail).toMatch(name === 'ga4' ? /no access token: .*disabled/ : /credentials rejected/);
  });

  it('cannot be done, and says so, when the stored settings cannot be read', () => {
    const broken: Destination = { ...far.destination, settings: { ...far.destination.settings, own: { nonsense: 1 } } };
    expect(readBackOf(far).ability(broken)).toMatchObject({ means: 'none', why: 'its settings cannot be read' });
  });

  it('refuses to be asked what it cannot tell: that is our fault, not an absence', async () => {
    const readBack = readBackOf(far);
    const wrong =
      name === 'segment'
        ? readBack.present(far.destination, ACME, 'purchase', [])
        : readBack.count(far.destination, 'purchase', ...lately());
    await expect(wrong).rejects.toThrow(InvariantBroken);
  });
});

describe.each([
  ['ga4', KINDS.ga4],
  ['postgres', KINDS.postgres],
])('reading ids back from %s', (_name, open) => {
  it('names exactly those of a thousand that are there', async () => {
    const { far } = await open();
    try {
      const items = purchases(1_000);
      const there = items.filter((_item, index) => index % 5 === 0);
      await deliver(far, there);
      const answer = await readBackOf(far).present(far.destination, ACME, 'purchase', items.map(asked));
      if (answer.outcome !== 'read') throw new Error(answer.detail);
      expect([...answer.present].sort()).toEqual(there.map(({ event }) => event.subjectId).sort());
      await expect(
        readBackOf(far).present(far.destination, ACME, 'purchase', purchases(1_001).map(asked)),
      ).rejects.toThrow('too many items');
    } finally {
      await far.close();
    }
  });
});

describe.each([
  ['ga4', KINDS.ga4],
  ['segment', KINDS.segment],
])('reading back from %s over HTTP', (_name, open) => {
  let reading: Reading;
  let http: Receiver;
  beforeEach(async () => {
    reading = await open();
    if (reading.far.http === null) throw new Error('speaks HTTP');
    http = reading.far.http;
    await deliver(reading.far, purchases(2));
    expect(await reading.found(purchases(2))).toBe(2); // access stands; what follows is about the report
  });
  afterEach(async () => {
    await reading.far.close();
  });

  it.each([
    [204, 'and the body cannot be read'],
    [301, 'answered 301: because'],
    [400, 'answered 400: because'],
    [401, 'because'],
    [403, 'credentials rejected: answered 403: because'],
    [404, 'answered 404: because'],
    [429, 'answered 429: because'],
    [500, 'answered 500: because'],
    [503, 'answered 503: because'],
  ])('calls an answer of %i "later", and says what it said', async (code, said) => {
    http.misreport({ mode: 'status', code, body: code === 204 ? undefined : 'because' });
    const answer = await reading.ask(purchases(2));
    expect(answer).toMatchObject({ outcome: 'later', detail: expect.stringContaining(said) });
  });

  it.each([
    ['{}'],
    ['null'],
    ['[]'],
    ['<html>busy</html>'],
    ['{"kind":"analyticsData#runReport","rows":[{}]}'],
    ['{"data":{"dataset":[{"total":"two"}]}}'],
  ])('never takes %s for an absence', async (body) => {
    http.misreport({ mode: 'status', code: 200, body });
    expect(await reading.ask(purchases(2))).toMatchObject({ outcome: 'later' });
  });

  it('never takes a body that stalls, garbage, or no HTTP for an absence', async () => {
    for (const mode of ['slow-body', 'garbage-body', 'garbage-response', 'apply-then-cut'] as const) {
      http.misreport({ mode });
      expect(await reading.ask(purchases(2)), mode).toMatchObject({ outcome: 'later' });
    }
  });

  it('waits as long as it is asked to', async () => {
    http.misreport({ mode: 'throttle', retryAfterS: 7_200 });
    expect(await reading.ask(purchases(2))).toMatchObject({ outcome: 'later', retryAfterMs: 7_200_000 });
  });

  it('tells no secret that is echoed', async () => {
    const token = (http.requests.at(-1)?.headers.authorization ?? '').replace('Bearer ', '');
    expect(token.length).toBeGreaterThan(10);
    for (const code of [200, 403, 500]) {
      http.misreport({ mode: 'status', code, body: `you said ${token}` });
      expect(JSON.stringify(await reading.ask(purchases(2)))).not.toContain(token);
    }
  });

  it('does not reach a private address that configuration does not allow', async () => {
    const url = 'http://169.254.169.254';
    const destination = withOwn(reading.far, { dataEndpoint: url, publicEndpoint: url });
    const { own } = destination.settings;
    const known = Object.fromEntries(
      Object.entries(own).filter(([key]) => key in reading.far.destination.settings.own),
    );
    const inside = { ...destination, settings: { ...destination.settings, own: known } };
    expect(await reading.ask(purchases(2), { destination: inside })).toMatchObject({
      outcome: 'later',
      detail: expect.stringContaining('address refused'),
    });
  });
});

describe('reading back from a webhook', () => {
  it('cannot be done: nobody but the receiver knows what it received', async () => {
    const far = await webhookFarSide();
    const ability = readBackOf(far).ability(far.destination);
    expect(ability).toEqual({
      means: 'none',
      kinds: new Set(),
      settlingMs: 0,
      why: 'a webhook destination cannot be asked what it has received',
    });
    await far.close();
  });
});

describe('reading back from a warehouse', () => {
  let far: Awaited<ReturnType<typeof postgresFarSide>>;
  beforeEach(async () => {
    far = await postgresFarSide((await testDatabase()).url);
  });
  afterEach(async () => {
    await far.close();
  });
  const found = async (items: readonly DeliveryItem[], kind: Kind = 'purchase', shop = ACME): Promise<string[]> => {
    const answer = await readBackOf(far).present(far.destination, shop, kind, items.map(asked));
    if (answer.outcome !== 'read') throw new Error(answer.detail);
    return [...answer.present];
  };

  it('finds each kind under its own name, and nothing of another shop', async () => {
    for (const kind of far.adapter.kinds) {
      const item = itemOf(kind, 42);
      await deliver(far, [item]);
      expect(await found([item], kind), kind).toEqual([item.event.subjectId]);
      expect(await found([item], kind, { ...ACME, domain: 'other.myshopify.com' })).toEqual([]);
    }
  });

  it('misses what was deleted after it was confirmed', async () => {
    await deliver(far, purchases(3));
    await far.pool.query("delete from plumbline_events where subject_id = '2'");
    expect(await found(purchases(3))).toEqual(['1', '3']);
  });

  it('finds nothing where the table, or its schema, is gone', async () => {
    await deliver(far, purchases(3));
    await far.pool.query('drop table plumbline_events');
    expect(await found(purchases(3))).toEqual([]);
    const destination = withOwn(far, { table: 'gone.orders' });
    const answer = await readBackOf(far).present(destination, ACME, 'purchase', purchases(1).map(asked));
    expect(answer).toEqual({ outcome: 'read', present: new Set() });
  });

  it('takes a row for the update it holds or for an older one, never for a newer', async () => {
    const update = (updatedAt: string): DeliveryItem => itemOf('order-updated', 7, { updated_at: updatedAt });
    await deliver(far, [update('2026-11-23T08:00:00Z')]);
    expect(await found([update('2026-11-23T07:00:00Z')], 'order-updated')).toEqual(['7']);
    expect(await found([update('2026-11-23T08:00:00Z')], 'order-updated')).toEqual(['7']);
    expect(await found([update('2026-11-23T09:00:00Z')], 'order-updated')).toEqual([]);
  });

  it('finds a subject whose name PostgreSQL cannot store as it is', async () => {
    const item = itemOf('checkout-started', 'a\u0000b');
    await deliver(far, [item]);
    expect(await found([item], 'checkout-started')).toEqual([item.event.subjectId]);
  });

  it('says "later" where the right to read is missing', async () => {
    await deliver(far, purchases(1));
    const role = `reader_${process.pid}_${process.hrtime()[1]}`;
    await far.pool.query(`create role ${role} login`);
    const destination = withOwn(far, { url: far.urlFor(role) });
    expect(await readBackOf(far).present(destination, ACME, 'purchase', purchases(1).map(asked))).toMatchObject({
      outcome: 'later',
      detail: expect.stringContaining('42501'),
    });
    await far.pool.query(`drop role ${role}`);
  });

  it('gives its only connection back when a table is locked, and takes no place of a load', async () => {
    await deliver(far, purchases(1));
    const locking = await far.pool.connect();
    await locking.query('begin; lock table plumbline_events in access exclusive mode');
    const locked = await readBackOf(far).present(
      far.destination,
      ACME,
      'purchase',
      purchases(1).map(asked),
      AbortSignal.timeout(200),
    );
    expect(locked).toMatchObject({ outcome: 'later', detail: 'no answer in time' });
    await locking.query('rollback');
    locking.release();
    expect(await found(purchases(1))).toEqual(['1']);
  });
});

describe('reading back from Segment', () => {
  it('cannot be done without the token and the source, and says what is missing', async () => {
    const far = await segmentFarSide();
    const ability = readBackOf(far).ability(destinationOf('segment', { writeKey: 'k', sourceId: 's' }));
    expect(ability).toMatchObject({ means: 'none', why: expect.stringContaining('publicToken') });
    await far.close();
  });

  it('counts each kind that has a name under it, and claims no other', async () => {
    const far = await segmentFarSide();
    const { kinds } = readBackOf(far).ability(far.destination);
    expect([...far.adapter.kinds].filter((kind) => !kinds.has(kind))).toEqual(['customer-created']);
    for (const kind of far.adapter.kinds) await deliver(far, [itemOf(kind, 42), itemOf(kind, 43)]);
    for (const kind of kinds) {
      const answer = await readBackOf(far).count(far.destination, kind, ...lately());
      expect(answer, kind).toMatchObject({ outcome: 'read', received: 2 });
    }
    await far.close();
  });

  it('says "never" to a time of which it cannot count exactly', async () => {
    const far = await segmentFarSide();
    const from = new Date(Date.now() - 24 * HOUR_MS);
    expect(await readBackOf(far).count(far.destination, 'purchase', from, new Date())).toMatchObject({
      outcome: 'never',
    });
    await far.close();
  });
});
