import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PagerDutySide, type PagerMode } from '../../../sandbox/pagerduty/pagerduty.js';
import type { Notification } from '../../../src/alerting/notify/notification.js';
import { PagerDuty } from '../../../src/alerting/notify/pagerduty.js';
import { pagerEvent } from '../../../src/alerting/notify/pagerduty-event.js';
import { ManualClock, stopwatch } from '../../../src/kernel/clock.js';
import { SeededRandom } from '../../../src/kernel/random.js';

const NOON = Date.UTC(2026, 10, 27, 12);
/** For what is expected to answer, however busy the machine is. */
const DEADLINE_MS = 15_000;
const HASTY_MS = 300;

const clock = new ManualClock(NOON);
const side = new PagerDutySide({
  clock: {
    now: () => clock.nowMs(),
    after: () => () => undefined,
  },
});
let pager: PagerDuty;
let hasty: PagerDuty;
beforeAll(async () => {
  await side.start();
  pager = connect();
  hasty = connect({ deadlineMs: HASTY_MS });
});
afterAll(async () => {
  pager.close();
  hasty.close();
  await side.stop();
});

function connect(
  more: { ca?: string | null; keys?: Partial<typeof side.routingKeys>; token?: string; deadlineMs?: number } = {},
): PagerDuty {
  return new PagerDuty({
    settings: {
      routingKeys: { ...side.routingKeys, ...more.keys },
      eventsHost: side.host,
      restHost: side.host,
      token: more.token ?? side.token,
    },
    ca: more.ca === undefined ? side.ca : more.ca,
    publicUrl: 'https://plumbline.example.com/',
    clock,
    ids: new SeededRandom(1),
    deadlineMs: more.deadlineMs ?? DEADLINE_MS,
  });
}

function notification(more: Partial<Notification> = {}): Notification {
  return {
    id: '1',
    alertId: '1',
    dedupeKey: 'fleet:orders:late',
    world: 'real',
    channel: 'pagerduty',
    recipient: 'routine',
    action: 'trigger',
    reason: 'new',
    severity: 2,
    summary: 'Orders are late',
    body: {
      name: 'orders-late',
      class: 'page',
      facts: { late: 12 },
      evidence: '/api/v1/throughput',
      runbook: 'orders-late',
      shop: null,
      destination: 'acme-ga4',
      signals: 3,
      shops: 3,
      since: '2026-11-27T11:40:00.000Z',
    },
    attempts: 1,
    createdAt: new Date(NOON),
    ...more,
  };
}

const { signal } = new AbortController();

describe('what PagerDuty answers, as the outbox hears it', () => {
  it.each<[PagerMode, object]>([
    ['calm', { outcome: 'taken' }],
    ['unheard', { outcome: 'taken' }],
    ['failing', { outcome: 'failed', answered: true, detail: 'PagerDuty answered 500' }],
    ['garbled', { outcome: 'failed', answered: true, detail: expect.stringContaining('PagerDuty answered 502') }],
    ['throttling', { outcome: 'throttled', retryAfterMs: 5_000 }],
    ['hanging', { outcome: 'failed', answered: false, detail: `no answer within ${HASTY_MS} ms` }],
    ['down', { outcome: 'failed', answered: false, detail: expect.stringContaining('ECONNREFUSED') }],
    ['losing', { outcome: 'failed', answered: false, detail: expect.stringMatching(/hang up|reset/) }],
  ])('%s', async (mode, sent) => {
    await side.become(mode);
    const took = stopwatch();
    const client = mode === 'hanging' ? hasty : pager;
    expect(await client.send(notification(), signal)).toMatchObject(sent);
    // Its client would wait 20 s by itself after a 429, and for ever on a server that hangs.
    expect(took()).toBeLessThan(DEADLINE_MS);
    await side.become('calm');
  });

  it('is asked once, although the client would repeat a 429 by itself', async () => {
    await side.become('throttling');
    const before = side.received.length;
    await pager.send(notification(), signal);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(side.received.length - before).toBe(1);
    await side.become('calm');
  });

  it('is a refusal with its reasons, and without the key, for a key that it does not know', async () => {
    const stranger = connect({ keys: { routine: 'a'.repeat(32) } });
    const sent = await stranger.send(notification(), signal);
    stranger.close();
    expect(sent).toEqual({
      outcome: 'refused',
      detail: 'PagerDuty answered 400: Event object is invalid; Invalid routing key',
    });
  });

  it('is no answer when its certificate is not trusted', async () => {
    const stranger = connect({ ca: null });
    const sent = await stranger.send(notification(), signal);
    stranger.close();
    expect(sent).toMatchObject({ outcome: 'failed', answered: false, detail: expect.stringMatching(/self.signed/i) });
  });

  it('ends when the caller gives up', async () => {
    await side.become('hanging');
    const end = new AbortController();
    const sending = pager.send(notification(), end.signal);
    end.abort();
    expect(await sending).toMatchObject({ outcome: 'failed', answered: false });
    await side.become('calm');
  });

  it('goes through the same connection limit for many at once', async () => {
    const sent = await Promise.all(
      Array.from({ length: 20 }, (_, index) => pager.send(notification({ dedupeKey: `many-${index}` }), signal)),
    );
    expect(sent.every(({ outcome }) => outcome === 'taken')).toBe(true);
  });
});

describe('looking things up', () => {
  it('finds the incident of a key, and its state', async () => {
    await pager.send(notification({ dedupeKey: 'looked-up' }), signal);
    expect(await pager.incident('looked-up')).toMatchObject({ outcome: 'found', found: { state: 'triggered' } });
    await pager.send(notification({ dedupeKey: 'looked-up', action: 'resolve' }), signal);
    expect(await pager.incident('looked-up')).toMatchObject({ outcome: 'found', found: { state: 'resolved' } });
    expect(await pager.incident('nobody-knows')).toEqual({ outcome: 'found', found: null });
  });

  it('says who is on call, and that nobody is', async () => {
    expect(await pager.onCall(side.escalationPolicy)).toEqual({ outcome: 'found', found: ['Robin On-Call'] });
    side.onCall = [];
    expect(await pager.onCall(side.escalationPolicy)).toEqual({ outcome: 'found', found: [] });
    side.onCall = ['Robin On-Call'];
  });

  it.each<PagerMode>(['failing', 'garbled', 'throttling', 'down', 'hanging'])(
    'does not know when it is %s',
    async (mode) => {
      await side.become(mode);
      const client = mode === 'hanging' ? hasty : pager;
      expect(await client.incident('looked-up')).toMatchObject({ outcome: 'unknown' });
      expect(await client.onCall(side.escalationPolicy)).toMatchObject({ outcome: 'unknown' });
      await side.become('calm');
    },
  );

  it('does not know with a token that is wrong', async () => {
    const stranger = connect({ token: 'wrong' });
    expect(await stranger.onCall(side.escalationPolicy)).toEqual({
      outcome: 'unknown',
      detail: 'PagerDuty answered 401',
    });
    stranger.close();
  });
});

describe('an event', () => {
  const event = (more: Partial<Notification> = {}) =>
    pagerEvent(notification(more), 'k'.repeat(32), 'https://p.example.com/');

  it('says what it is, since when, whom it hits and what to do', () => {
    expect(event()).toEqual({
      routing_key: 'k'.repeat(32),
      event_action: 'trigger',
      dedup_key: 'fleet:orders:late',
      client: 'Plumbline',
      client_url: 'https://p.example.com/',
      links: [
        { href: 'https://p.example.com/runbooks/orders-late', text: 'Runbook' },
        { href: 'https://p.example.com/api/v1/throughput', text: 'Evidence (API)' },
      ],
      payload: {
        summary: 'Orders are late',
        source: 'acme-ga4',
        severity: 'error',
        timestamp: '2026-11-27T11:40:00.000Z',
        component: 'acme-ga4',
        group: 'routine',
        class: 'orders-late',
        custom_details: {
          text: 'late: 12\nsince: 2026-11-27 11:40 UTC\nhit: 3 stores, acme-ga4\nnext step: runbook orders-late',
          facts: { late: 12 },
          since: '2026-11-27T11:40:00.000Z',
          hit: '3 stores, acme-ga4',
          signals: 3,
          shops: 3,
          severity: 'SEV2',
          runbook: 'orders-late',
          evidence: '/api/v1/throughput',
        },
      },
    });
  });

  it.each([
    [1, 'critical'],
    [2, 'error'],
    [3, 'warning'],
    [4, 'info'],
  ] as const)('of severity %i is %s there', (severity, word) => {
    expect(event({ severity }).payload.severity).toBe(word);
  });

  it('is cut at 1,024 characters, and between characters', () => {
    const summary = [...event({ summary: '🛑'.repeat(2_000) }).payload.summary];
    expect([summary.length, summary.at(-2), summary.at(-1)]).toEqual([1_024, '🛑', '…']);
  });

  it('drops its details before it is too large to be taken', async () => {
    const facts = { ids: Array.from({ length: 60_000 }, (_, index) => `order-${index}`) };
    const large = notification({ dedupeKey: 'large', body: { ...notification().body, facts } });
    expect(JSON.stringify(facts).length).toBeGreaterThan(524_288);
    expect(pagerEvent(large, 'k'.repeat(32), null).payload.custom_details).toMatchObject({
      dropped: expect.any(String),
    });
    expect(await pager.send(large, signal)).toEqual({ outcome: 'taken' });
  });

  it('is refused with a key that is too long, rather than shortened into that of another cause', async () => {
    const sent = await pager.send(notification({ dedupeKey: 'x'.repeat(256) }), signal);
    expect(sent).toEqual({ outcome: 'refused', detail: 'the key has over 255 characters' });
  });
});
