import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import { PlumblineError } from '../../../src/kernel/errors.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { SeededRandom } from '../../../src/kernel/random.js';
import { SecretBox } from '../../../src/kernel/secrets.js';
import {
  stateOf,
  type Destination,
  type InboxEntry,
  type PayloadPointer,
  type Shop,
} from '../../../src/pipeline/contract.js';
import type { DestinationAdapter, Outcome } from '../../../src/pipeline/destinations/adapter.js';
import { DeadLetters } from '../../../src/pipeline/delivery/dead-letters.js';
import { Lane } from '../../../src/pipeline/delivery/lane.js';
import { claimDue, type Claim } from '../../../src/pipeline/delivery/queue.js';
import { Sender } from '../../../src/pipeline/delivery/sender.js';
import { SettleQueue } from '../../../src/pipeline/delivery/settle-queue.js';
import { EventCache } from '../../../src/pipeline/event-cache.js';
import { SegmentUnreadable } from '../../../src/pipeline/inbox/inbox-reader.js';
import { planObligations } from '../../../src/pipeline/ledger/ledger.js';
import { foldObligations } from '../../../src/pipeline/router/plan.js';
import { WebhookReader } from '../../../src/pipeline/webhook-reader.js';
import { destination, obligation, purchaseEvent } from '../../support/events.js';
import { orderBody } from '../../support/orders.js';
import { testDatabase } from '../../support/test-database.js';

const { database } = await testDatabase();
const clock = new ManualClock(Date.parse('2026-11-23T10:00:00Z'));
const NOBODY = { turned: () => undefined, sent: () => undefined };
const KEY = { shopId: '1', destinationId: 1 };
const SHOP: Shop = {
  id: '1',
  domain: 'acme.myshopify.com',
  key: 'k',
  world: 'real',
  adminUrl: null,
  accessToken: null,
  settings: {},
  destinationIds: [1],
  links: [{ destinationId: 1, linkedAt: null }],
  subscriptions: 'shop',
  connectedAt: new Date(0),
  uninstalledAt: null,
};

/** Orders by their entry in the inbox; an Error is what reading that one throws. */
let inbox: Map<number, InboxEntry | Error>;
let answer: (subjectId: string) => Outcome;
let format: DestinationAdapter['format'];

beforeEach(async () => {
  await database.query(
    'truncate pipeline.ledger, pipeline.ledger_fact, pipeline.delivery, pipeline.lane, pipeline.dead_letter',
  );
  inbox = new Map();
  answer = () => ({ outcome: 'accepted', confirmed: false });
  format = ({ event }) => ({ ok: true, request: event.subjectId, bytes: 10 });
});

/** A far side that does what the test says. Not idempotent, so that every doubt shows. */
const adapter: DestinationAdapter = {
  kind: 'webhook',
  kinds: new Set(['purchase']),
  isIdempotent: () => false,
  batch: { items: 10, bytes: 1_000 },
  checkSettings: () => [],
  secretKeys: [],
  format: (item, to) => format(item, to),
  send: (items) => Promise.resolve(items.map(({ formatted }) => answer(String(formatted.request)))),
  close: () => Promise.resolve(),
};

const load = (pointers: readonly PayloadPointer[]): Promise<(InboxEntry | null)[]> => {
  const found = pointers.map(({ entry }) => inbox.get(entry) ?? null);
  const fault = found.find((each) => each instanceof Error);
  return fault ? Promise.reject(fault) : Promise.resolve(found as (InboxEntry | null)[]);
};

function sender(): Sender {
  const webhooks = new WebhookReader({ loadPayloads: load }, { shopByDomain: () => SHOP });
  const secrets = new SecretBox([]);
  const parts = { database, webhooks, clock, log: silentLogger };
  return new Sender({
    ...parts,
    cache: new EventCache(),
    enricher: { enrichAll: (_shop, events) => Promise.resolve(events) },
    deadLetters: new DeadLetters({ ...parts, secrets, append: () => Promise.resolve() }),
    settleQueue: new SettleQueue(database, silentLogger),
    random: new SeededRandom(1),
    metrics: { sent: () => undefined, accepted: () => undefined },
  });
}

/** Queues one order an entry of the inbox. @returns their ids */
async function queue(count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, entry) => String(9_000_000_000_000 + entry));
  ids.forEach((id, entry) => {
    if (!inbox.has(entry)) {
      inbox.set(entry, {
        source: 'http',
        world: 'real',
        webhookId: `w-${entry}`,
        topic: 'orders/paid',
        shopDomain: SHOP.domain,
        receivedAtMs: clock.nowMs(),
        body: Buffer.from(orderBody({ id })),
      });
    }
  });
  const obligations = ids.map((id, entry) =>
    obligation({
      event: purchaseEvent({ subjectId: id, orderId: id }),
      pointer: { segmentDay: '2026-11-23', streamId: 1, segmentSeq: '1', entry },
    }),
  );
  await planObligations(database, foldObligations(obligations), clock.now());
  return ids;
}

const claimAll = (): Promise<Claim[]> => claimDue(database, [{ lane: new Lane(KEY), most: 100 }], clock.nowMs());

async function deliver(lane = new Lane(KEY), to: Destination = destination(), by = adapter): Promise<void> {
  await sender().deliver(lane, await claimAll(), { shop: SHOP, destination: to, adapter: by }, NOBODY);
}

async function states(): Promise<string[]> {
  const rows = await database.rows<{ state: number; reason: string | null }>(
    'select state, reason from pipeline.ledger order by subject_id',
  );
  return rows.map(({ state, reason }) => stateOf(state) + (reason === null ? '' : ` (${reason})`));
}

const deadLetters = () =>
  database.rows<{ shop_domain: string; lane: string; reason: string }>(
    'select shop_domain, lane, reason from pipeline.dead_letter order by id',
  );

describe('a payload that cannot be opened', () => {
  it('becomes a dead letter of ours when its bytes are damaged, and the events around it go on', async () => {
    inbox.set(1, new SegmentUnreadable(1, '1', '2026-11-23', new Error('checksum')));
    await queue(3);
    await deliver();
    expect(await states()).toEqual(['accepted', 'failed (payload-unreadable)', 'accepted']);
    expect(await deadLetters()).toMatchObject([{ lane: 'ours', reason: 'payload-unreadable' }]);
  });

  it('waits when only its key is missing, and the events around it go on', async () => {
    const missing = new PlumblineError('SECRET_KEY_MISSING', 'sealed with another key');
    inbox.set(1, new SegmentUnreadable(1, '1', '2026-11-23', missing));
    await queue(3);
    await deliver();
    expect(await states()).toEqual(['accepted', 'queued (payload-unreadable)', 'accepted']);
    expect(await deadLetters()).toEqual([]);
  });
});

describe('an event whose claims are lost again and again', () => {
  const repeatable: DestinationAdapter = { ...adapter, isIdempotent: () => true };
  const loseClaims = async (times: number): Promise<void> => {
    for (let time = 0; time < times; time++) {
      expect(await claimAll()).toHaveLength(1);
      clock.advance(60_000); // nobody settles, and the lease runs out
    }
  };

  it('is delivered all the same while its time is not over: the database may have been away', async () => {
    await queue(1);
    await loseClaims(8);
    await deliver(new Lane(KEY), destination(), repeatable);
    expect(await states()).toEqual(['accepted']);
  });

  it('is buried after 72 hours, because it may be what ends the processes', async () => {
    await queue(1);
    await loseClaims(5);
    clock.advance(73 * 3_600_000);
    await deliver(new Lane(KEY), destination(), repeatable);
    expect(await states()).toEqual(['unconfirmable (process-ended-repeatedly)']);
    expect(await deadLetters()).toMatchObject([{ lane: 'ours', reason: 'process-ended-repeatedly' }]);
  });
});

describe('a process that stood still for longer than its leases', () => {
  it('writes down every outcome of before and after at once, where one event has two', async () => {
    await queue(2);
    const one = sender();
    const route = { shop: SHOP, destination: destination(), adapter: { ...adapter, isIdempotent: () => true } };
    const before = await claimAll();
    clock.advance(60_000);
    const after = await claimAll();
    expect([before, after].map((claims) => claims.length)).toEqual([2, 2]);
    await Promise.all([before, after].map((claims) => one.deliver(new Lane(KEY), claims, route, NOBODY)));
    expect(await states()).toEqual(['accepted', 'accepted']);
    expect(await database.rows('select from pipeline.delivery')).toEqual([]);
  });
});

describe('an event that no formatter foresaw', () => {
  it('becomes a dead letter of ours, and the events around it go on', async () => {
    const [, odd] = await queue(3);
    format = ({ event }) => {
      if (event.subjectId === odd) throw new TypeError('nobody thought of that');
      return { ok: true, request: event.subjectId, bytes: 10 };
    };
    await deliver();
    expect(await states()).toEqual(['accepted', 'failed (format-failed)', 'accepted']);
    expect(await deadLetters()).toEqual([{ shop_domain: SHOP.domain, lane: 'ours', reason: 'format-failed' }]);
  });
});

describe('an answer that no text column takes', () => {
  it('is written down without its NUL, beside the outcomes of the others', async () => {
    const [, odd] = await queue(3);
    answer = (id) =>
      id === odd
        ? { outcome: 'unreachable', retryAfterMs: null, detail: 'answered 500: \u0000\u0001' }
        : { outcome: 'accepted', confirmed: false };
    await deliver();
    expect(await states()).toEqual(['accepted', 'queued (unreachable)', 'accepted']);
  });

  it('is buried with the event it refuses', async () => {
    await queue(1);
    answer = () => ({ outcome: 'rejected', lane: 'theirs', reason: 'http-422', detail: 'answered 422: \u0000' });
    await deliver();
    expect(await deadLetters()).toMatchObject([{ lane: 'theirs', reason: 'http-422' }]);
  });

  it('opens the breaker where people see it', async () => {
    answer = () => ({ outcome: 'unreachable', retryAfterMs: null, detail: 'answered 500: \u0000' });
    const lane = new Lane(KEY);
    for (let i = 0; i < 2; i++) lane.failed(clock.nowMs(), 'HTTP 500', null, new SeededRandom(1));
    await queue(1);
    await deliver(lane);
    expect(await database.rows('select state from pipeline.lane')).toEqual([{ state: 'open' }]);
  });
});

describe('a breaker that cannot be written down', () => {
  it('takes no outcome with it', async () => {
    const lane = new Lane(KEY);
    for (let i = 0; i < 3; i++) lane.failed(clock.nowMs(), 'HTTP 500', null, new SeededRandom(1));
    await queue(1);
    await database.query('alter table pipeline.lane rename to lane_away');
    try {
      await deliver(lane);
    } finally {
      await database.query('alter table pipeline.lane_away rename to lane');
    }
    expect(await states()).toEqual(['accepted']);
  });
});

describe('a database that is away for a moment before anything is sent', () => {
  it('leaves no doubt behind: the next claim knows that nothing went out', async () => {
    inbox.set(0, new Error('connection refused'));
    await queue(1);
    await deliver();
    inbox.delete(0);
    await queue(1);
    const [again] = await claimAll();
    expect(again).toMatchObject({ orphaned: false, attempts: 0 });
  });

  it('keeps a doubt that was there before', async () => {
    await queue(1);
    await claimAll();
    clock.advance(60_000);
    inbox.set(0, new Error('connection refused'));
    await deliver();
    clock.advance(60_000);
    expect(await claimAll()).toMatchObject([{ orphaned: true }]);
  });
});

describe('what was parked at a disabled destination for more than three days', () => {
  it('is not buried for its first failed try after the destination was enabled', async () => {
    await queue(1);
    clock.advance(80 * 3_600_000);
    answer = () => ({ outcome: 'unreachable', retryAfterMs: null, detail: 'answered 503' });
    await deliver(new Lane(KEY), destination({ changedAt: new Date(clock.nowMs() - 1_000) }));
    expect(await states()).toEqual(['queued (unreachable)']);
  });
});
