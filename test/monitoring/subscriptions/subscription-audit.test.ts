import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { testDatabase, type TestDatabase } from '../../support/test-database.js';
import type { SubscriptionFinding } from '../../../src/monitoring/contract.js';
import type { AdminAnswer } from '../../../src/pipeline/contract.js';
import type { Subscription } from '../../../sandbox/shopify/subscriptions.js';
import { COFFEE } from '../../sandbox/support/small-world.js';
import { BASE, KEY, TOPICS, URI, WatchWorld } from './watch-world.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const ALL_THERE = TOPICS.map((topic) => `${topic} ${URI}`).sort();

let db: TestDatabase;
let w: WatchWorld;
beforeAll(async () => {
  db = await testDatabase();
});
beforeEach(async () => {
  w = await WatchWorld.open(db.database);
});
afterEach(() => w.stop());

/** A shop whose subscriptions are all there, looked at a minute ago. */
async function settledShop(): Promise<void> {
  await w.round();
  expect(w.actual()).toEqual(ALL_THERE);
  await w.minutes(1);
}

const asked = (name: string) => w.asked.filter((each) => each === name).length;

describe('a shop that was just connected', () => {
  it('gets the subscriptions it lacks, without an alarm, and it is written down', async () => {
    await w.round();
    expect(w.actual()).toEqual(ALL_THERE);
    expect(await w.openSignals()).toEqual([]);
    expect(await w.signals.changes('0', 10)).toEqual([]);
    expect(await w.audit()).toEqual(TOPICS.map((topic) => `subscription.create ${topic}`));
    expect(await w.views()).toMatchObject(
      [...TOPICS].sort().map((topic) => ({ topic, wanted: true, state: 'ok', wantedUri: URI, uri: URI, findings: [] })),
    );
  });

  it('is not asked for compliance topics, which no Admin API has', async () => {
    w.topics = ['orders/create', 'customers/redact', 'shop/redact'];
    w.restart();
    await w.round();
    expect(w.actual()).toEqual([`orders/create ${URI}`]);
    expect((await w.views()).map(({ topic }) => topic)).toEqual(['orders/create']);
  });

  it('is reported when Shopify refuses to make them, with its words, until it does', async () => {
    w.world.make({ kind: 'admin', mode: 'refusing-writes' });
    await w.round();
    expect(await w.openSignals()).toMatchObject(
      TOPICS.toReversed().map((topic) => ({
        kind: 'subscription-wrong',
        subject: `${COFFEE}/${topic}`,
        facts: {
          findings: [{ kind: 'missing' }],
          error: 'webhookSubscription.base: Webhook subscriptions cannot be changed at the moment',
        },
      })),
    );
    w.world.make({ kind: 'admin', mode: 'none' });
    await w.minutes(2);
    expect(w.actual()).toEqual(ALL_THERE);
    expect(await w.openSignals()).toEqual([]);
  });

  it('leaves what is already as wanted alone', async () => {
    for (const topic of TOPICS) w.add(topic);
    await w.round();
    await w.minutes(2);
    expect(new Set(w.asked)).toEqual(new Set(['Subscriptions']));
    expect(await w.openSignals()).toEqual([]);
  });
});

describe('a subscription that Shopify removes', () => {
  beforeEach(settledShop);

  it('is told within 90 seconds, made again, and told once', async () => {
    w.pass(1_000);
    const removedMs = w.clock.nowMs();
    w.remove('orders/paid');
    while ((await w.told('subscription-removed')).length === 0) {
      expect(w.clock.nowMs() - removedMs).toBeLessThan(90_000);
      w.pass(1_000);
      await w.round();
    }
    expect(w.actual()).toEqual(ALL_THERE);
    await w.minutes(10);
    const told = await w.told('subscription-removed');
    expect(told.filter((each) => each.startsWith('opened'))).toEqual(['opened orders/paid']);
    expect(asked('CreateSubscription')).toBe(TOPICS.length + 1);
    expect(await w.openSignals()).toMatchObject([
      {
        kind: 'subscription-removed',
        subject: `${COFFEE}/orders/paid`,
        shop: COFFEE,
        evidence: `/api/v1/subscriptions?shop=${COFFEE}`,
        facts: { topic: 'orders/paid', recreatedBy: 'plumbline', reconciliation: 'run-1' },
      },
    ]);
  });

  it('is proved by one reconciliation, from four hours before the last order until it was there again', async () => {
    const lastOrderMs = w.clock.nowMs() - 3 * HOUR;
    w.orders = [{ shopId: '1', hourAt: new Date(lastOrderMs), orders: 1, lastAt: new Date(lastOrderMs) }];
    await w.minutes(2);
    w.remove('orders/paid');
    w.remove('orders/create');
    await w.minutes(1);
    expect(w.gaps.asked).toHaveLength(1);
    const [run] = w.gaps.asked;
    expect(run?.fromAt).toEqual(new Date(lastOrderMs - 4 * HOUR));
    expect(run?.toAt).toEqual((await w.view('orders/paid')).recreatedAt);
    expect(run?.why).toBe('subscription removed: orders/create, orders/paid');
    expect((await w.view('orders/paid')).state).toBe('recreated');

    await w.minutes(30);
    expect(await w.openSignals('subscription-removed')).toHaveLength(2);
    w.gaps.proved = true;
    await w.minutes(1);
    expect(await w.openSignals()).toEqual([]);
    expect(await w.view('orders/paid')).toMatchObject({ state: 'ok', goneSince: null, recreatedBy: 'plumbline' });
    const closed = (await w.signals.signals({ state: 'closed' }, { limit: 9 })).items;
    expect(closed).toMatchObject([{ facts: { reconciliation: 'run-1' } }, { facts: { reconciliation: 'run-1' } }]);
    expect(w.gaps.asked).toHaveLength(1);
  });

  it('reaches back from when it was last seen, where no order is known', async () => {
    const seenAt = (await w.view('orders/paid')).lastSeenAt;
    w.remove('orders/paid');
    await w.minutes(1);
    expect(w.gaps.asked[0]?.fromAt).toEqual(new Date((seenAt?.getTime() ?? 0) - 4 * HOUR));
  });

  it('stays open, and asks again, when no reconciliation can be asked for', async () => {
    w.gaps.fails = true;
    w.gaps.proved = true;
    w.remove('orders/paid');
    await w.minutes(2);
    expect(await w.openSignals()).toMatchObject([{ facts: { recreatedBy: 'plumbline', reconciliation: null } }]);
    w.gaps.fails = false;
    await w.minutes(1);
    expect(await w.openSignals()).toEqual([]);
  });

  it('of which Shopify lists nothing is over when it is there again, and says what is lost', async () => {
    w.remove('customers/create');
    await w.minutes(2);
    expect(w.gaps.asked).toEqual([]);
    expect(await w.told('subscription-removed')).toEqual(['opened customers/create', 'closed customers/create']);
    const [signal] = (await w.signals.signals({ state: 'closed' }, { limit: 1 })).items;
    expect(signal?.facts).toMatchObject({ lost: expect.stringContaining('not sent again') });
  });

  it('keeps being told while it cannot be made again, with the words of Shopify, in growing pauses', async () => {
    w.world.make({ kind: 'admin', mode: 'refusing-writes' });
    w.remove('orders/paid');
    await w.minutes(1);
    expect(await w.view('orders/paid')).toMatchObject({
      state: 'removed',
      reason: 'webhookSubscription.base: Webhook subscriptions cannot be changed at the moment',
      findings: [{ kind: 'removed' }],
      uri: null,
    });
    const before = asked('CreateSubscription');
    await w.minutes(60);
    const tries = asked('CreateSubscription') - before;
    expect(tries).toBeGreaterThan(5);
    expect(tries).toBeLessThan(12);
    expect(await w.openSignals()).toMatchObject([
      {
        kind: 'subscription-removed',
        facts: { error: expect.stringContaining('cannot be changed'), recreatedAt: null },
      },
    ]);
    w.world.make({ kind: 'admin', mode: 'none' });
    // Somebody who has mended something need not wait for the pause to end.
    await w.watch.requestAudit(COFFEE, 'asked for by kim');
    await w.round();
    expect(w.actual()).toEqual(ALL_THERE);
    expect(w.gaps.asked).toHaveLength(1);
  });

  it('may be made again by somebody else, and the gap is proved all the same', async () => {
    w.world.make({ kind: 'admin', mode: 'refusing-writes' });
    w.remove('orders/paid');
    w.before = (name) => (name === 'CreateSubscription' ? { outcome: 'denied', detail: 'HTTP 403' } : null);
    await w.minutes(1);
    w.before = () => null;
    w.add('orders/paid');
    await w.minutes(1);
    expect(w.gaps.asked).toHaveLength(1);
    // We had asked for it as well, so nobody can tell: it counts as ours.
    expect(await w.view('orders/paid')).toMatchObject({ state: 'recreated', recreatedBy: 'plumbline' });
  });

  it('that goes again before the gap is proved is one case, proved anew from its beginning', async () => {
    w.remove('orders/paid');
    await w.minutes(1);
    const goneSince = (await w.view('orders/paid')).goneSince;
    w.remove('orders/paid');
    await w.minutes(1);
    expect(w.actual()).toEqual(ALL_THERE);
    expect(w.gaps.asked).toHaveLength(2);
    expect(await w.openSignals()).toMatchObject([{ facts: { removals: 2, reconciliation: 'run-2' } }]);
    expect((await w.view('orders/paid')).goneSince).toEqual(goneSince);
  });

  it('is looked for at once after a hint, not at its turn', async () => {
    w.remove('orders/paid');
    w.pass(1_000);
    await w.watch.hint('1', 'a mail says so');
    await w.round();
    expect(await w.told('subscription-removed')).toContain('opened orders/paid');
    expect(w.log).toContain('a mail says so');
  });

  it('is not removed when one look misses it and the next does not', async () => {
    let looks = 0;
    const empty: AdminAnswer = {
      outcome: 'data',
      data: { webhookSubscriptions: { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } } },
      extensions: {},
    };
    w.before = (name) => (name === 'Subscriptions' && looks++ === 0 ? empty : null);
    await w.watch.hint('1', 'test');
    await w.round();
    expect(looks).toBe(2);
    expect(await w.signals.changes('0', 10)).toEqual([]);
    expect(asked('CreateSubscription')).toBe(TOPICS.length);
  });

  it('is not removed when nobody wants it any more', async () => {
    w.topics = ['orders/create', 'orders/paid'];
    w.restart();
    w.remove('customers/create');
    await w.minutes(2);
    expect(await w.signals.changes('0', 10)).toEqual([]);
    w.topics = TOPICS;
    w.restart();
    await w.minutes(2);
    expect(w.actual()).toEqual(ALL_THERE);
    expect(await w.signals.changes('0', 10)).toEqual([]);
  });
});

describe('a crash, a restart, another leader', () => {
  beforeEach(settledShop);

  it('between the making and its record: the next look knows whose it is, and the case goes on', async () => {
    w.remove('orders/paid');
    w.before = (name) => {
      if (name !== 'CreateSubscription') return null;
      w.add('orders/paid');
      return Promise.reject(new Error('the process died'));
    };
    w.pass(MINUTE);
    await expect(w.round()).rejects.toThrow('the process died');
    w.before = () => null;
    w.restart();
    await w.minutes(2);
    expect(w.actual()).toEqual(ALL_THERE);
    expect(await w.openSignals()).toMatchObject([{ facts: { recreatedBy: 'plumbline', reconciliation: 'run-1' } }]);
    expect((await w.told('subscription-removed')).filter((each) => each.startsWith('opened'))).toHaveLength(1);
  });

  it('between the record of a removal and the word of it: the next look tells', async () => {
    w.remove('orders/paid');
    w.pass(MINUTE);
    w.restart({
      signals: Object.assign(Object.create(w.signals), { report: () => Promise.reject(new Error('died')) }),
    });
    await expect(w.round()).rejects.toThrow('died');
    expect(await w.signals.changes('0', 10)).toEqual([]);
    w.restart();
    await w.minutes(2);
    expect(await w.openSignals('subscription-removed')).toHaveLength(1);
    expect(w.actual()).toEqual(ALL_THERE);
  });

  it('between the record of what only a person can mend, or has mended, and the word of it', async () => {
    const dies = () => Promise.reject(new Error('died'));
    const found = w.world.subscriptions.of(COFFEE)[0];
    const set = (filter: string | null) => Object.assign(found ?? {}, { filter });
    set('total_price:>10');
    w.pass(MINUTE);
    w.restart({ signals: Object.assign(Object.create(w.signals), { report: dies }) });
    await expect(w.round()).rejects.toThrow('died');
    w.restart();
    await w.minutes(2);
    expect(await w.openSignals('subscription-wrong')).toHaveLength(1);
    set(null);
    w.pass(MINUTE);
    w.restart({ signals: Object.assign(Object.create(w.signals), { replace: dies }) });
    await expect(w.round()).rejects.toThrow('died');
    w.restart();
    await w.minutes(2);
    expect(await w.openSignals()).toEqual([]);
  });

  it('at the end of a case: the signal that was closed stays closed, and so does the case', async () => {
    w.remove('orders/paid');
    await w.minutes(1);
    w.gaps.proved = true;
    w.pass(MINUTE);
    w.restart({
      signals: Object.assign(Object.create(w.signals), {
        close: async (...closing: Parameters<typeof w.signals.close>) => {
          await w.signals.close(...closing);
          throw new Error('died');
        },
      }),
    });
    await expect(w.round()).rejects.toThrow('died');
    w.restart();
    await w.minutes(2);
    expect(await w.openSignals()).toEqual([]);
    expect(await w.view('orders/paid')).toMatchObject({ state: 'ok', goneSince: null });
  });

  it('forgets nothing of what it waits for', async () => {
    w.remove('orders/paid');
    await w.minutes(1);
    w.restart();
    await w.minutes(5);
    w.restart();
    w.gaps.proved = true;
    await w.minutes(1);
    expect(await w.openSignals()).toEqual([]);
    expect(w.gaps.asked).toHaveLength(1);
  });

  it('that look at the same shop at the same time make one subscription and one signal', async () => {
    w.remove('orders/paid');
    w.remove('orders/create');
    w.pass(1_000);
    const [one, other] = [w.newWatch(), w.newWatch()];
    const signal = new AbortController().signal;
    // Both have taken the shop: as when two processes believe to lead.
    let asking = 0;
    w.before = async (name) => {
      if (name !== 'Subscriptions' || asking > 1) return null;
      asking++;
      while (asking < 2) await new Promise((resolve) => setTimeout(resolve, 5));
      return null;
    };
    await w.watch.hint('1', 'first');
    const first = one.round(signal);
    while (asking === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await w.watch.hint('1', 'second');
    await Promise.all([first, other.round(signal)]);
    await w.minutes(2);
    expect(w.actual()).toEqual(ALL_THERE);
    const told = await w.told('subscription-removed');
    expect(told.filter((each) => each.startsWith('opened')).sort()).toEqual([
      'opened orders/create',
      'opened orders/paid',
    ]);
    w.gaps.proved = true;
    await w.minutes(2);
    expect(await w.openSignals()).toEqual([]);
    expect((await w.views()).map(({ state }) => state)).toEqual(['ok', 'ok', 'ok']);
  });
});

describe('what cannot be seen', () => {
  beforeEach(settledShop);

  it.each([
    ['unavailable', 'HTTP 503'],
    ['frozen', 'HTTP 402: the shop is frozen or paused'],
    ['throttled', 'Shopify throttles the queries of the app in this shop'],
  ] as const)('is unknown, never removed: the Admin API is %s', async (mode, reason) => {
    w.world.make({ kind: 'admin', mode });
    w.remove('orders/paid');
    await w.minutes(3);
    expect(await w.openSignals()).toEqual([]);
    await w.minutes(6);
    expect(await w.openSignals()).toMatchObject([
      {
        kind: 'subscription-unknown',
        subject: COFFEE,
        facts: { reason, lastAuditedAt: expect.any(String) },
        updates: 0,
      },
    ]);
    expect((await w.view('orders/create')).state).toBe('unknown');
    await w.minutes(20);
    expect(await w.openSignals()).toHaveLength(1);
    w.world.make({ kind: 'admin', mode: 'none' });
    await w.minutes(mode === 'frozen' ? 3 : 3);
    expect(await w.openSignals('subscription-unknown')).toEqual([]);
    expect(await w.openSignals('subscription-removed')).toHaveLength(1);
  });

  it('is unknown when the second page of a list does not come, although the first says it is gone', async () => {
    for (let index = 0; index < 120; index++) w.add('orders/paid', { uri: `https://elsewhere.example/${index}` });
    let pages = 0;
    w.before = (name) =>
      name === 'Subscriptions' && ++pages % 2 === 0 ? { outcome: 'unavailable', detail: 'HTTP 503' } : null;
    w.remove('customers/create');
    await w.minutes(3);
    expect(await w.signals.changes('0', 10)).toEqual([]);
  });

  it('is unknown when the token is refused for long', async () => {
    w.change({ accessToken: 'wrong' });
    await w.minutes(10);
    expect(await w.openSignals()).toMatchObject([{ kind: 'subscription-unknown', facts: { reason: 'HTTP 401' } }]);
    // A new token is tried at once, not when the pause has ended.
    w.change({ accessToken: 'test-access-token' });
    await w.round();
    expect(await w.openSignals()).toEqual([]);
  });

  it('is no failed look of Shopify’s when it is we who stop', async () => {
    w.pass(MINUTE);
    const stop = new AbortController();
    w.before = () => {
      stop.abort();
      return { outcome: 'unavailable', detail: 'aborted' };
    };
    await w.watch.round(stop.signal);
    const [row] = await w.database.rows<{ failed_looks: number }>(
      'select failed_looks from monitoring.subscription_audit',
    );
    expect(row?.failed_looks).toBe(0);
  });

  it('for want of an address is said, and nothing is done', async () => {
    w.base = null;
    await w.minutes(20);
    expect(w.asked.length).toBeGreaterThan(0);
    const before = w.asked.length;
    await w.minutes(5);
    expect(w.asked).toHaveLength(before);
    expect(await w.openSignals()).toMatchObject([
      { kind: 'subscription-unknown', facts: { reason: expect.stringContaining('shopify.publicUrl is not set') } },
    ]);
    expect(await w.views()).toMatchObject(TOPICS.map(() => ({ state: 'no-address', wantedUri: null })));
    w.base = BASE;
    await w.round();
    expect(await w.openSignals()).toEqual([]);
  });

  it('because it is the app’s own is left to silence and reconciliation, and says so', async () => {
    w.change({ subscriptions: 'app' });
    await w.round();
    const before = w.asked.length;
    w.remove('orders/paid');
    await w.minutes(30);
    expect(w.asked).toHaveLength(before);
    expect(await w.openSignals()).toEqual([]);
    expect(await w.view('orders/paid')).toMatchObject({
      state: 'app-owned',
      reason: expect.stringContaining('watched by silence and reconciliation'),
    });
  });
});

describe('an app that was uninstalled', () => {
  beforeEach(settledShop);
  const uninstall = () => w.world.make({ kind: 'uninstall', store: COFFEE });

  it('is not removed: nothing is told and nothing made again', async () => {
    uninstall();
    w.change({ uninstalledAt: w.clock.now(), accessToken: null });
    await w.minutes(30);
    expect(await w.signals.changes('0', 10)).toEqual([]);
    expect(asked('CreateSubscription')).toBe(TOPICS.length);
    expect(await w.views()).toMatchObject(TOPICS.map(() => ({ state: 'uninstalled', uri: null })));
  });

  it('is not removed when the dead token is seen before the word of it comes', async () => {
    uninstall();
    await w.minutes(3);
    w.change({ uninstalledAt: w.clock.now(), accessToken: null });
    await w.minutes(30);
    expect(await w.signals.changes('0', 10)).toEqual([]);
  });

  it('ends what was told before of its subscriptions', async () => {
    w.world.make({ kind: 'admin', mode: 'refusing-writes' });
    w.remove('orders/paid');
    await w.minutes(1);
    expect(await w.openSignals()).toHaveLength(1);
    uninstall();
    w.change({ uninstalledAt: w.clock.now(), accessToken: null });
    await w.round();
    expect(await w.openSignals()).toEqual([]);
    const [closed] = (await w.signals.signals({ state: 'closed' }, { limit: 1 })).items;
    expect(closed?.facts).toMatchObject({ ended: expect.stringContaining('removed the app') });
  });

  it.each([true, false])('is set up like a new one when it is installed again (seen uninstalled: %s)', async (seen) => {
    uninstall();
    if (seen) {
      w.change({ uninstalledAt: w.clock.now(), accessToken: null });
      await w.minutes(1);
    } else w.pass(MINUTE);
    w.world.make({ kind: 'reinstall', store: COFFEE });
    w.change({ uninstalledAt: null, accessToken: 'test-access-token', connectedAt: w.clock.now() });
    if (!seen) w.restart();
    await w.minutes(2);
    expect(w.actual()).toEqual(ALL_THERE);
    expect(await w.signals.changes('0', 10)).toEqual([]);
    // And from then on it is watched as before.
    w.remove('orders/paid');
    await w.minutes(1);
    expect(await w.openSignals('subscription-removed')).toHaveLength(1);
  });
});

describe('a subscription that is not as wanted', () => {
  const others = () => TOPICS.filter((topic) => topic !== 'orders/paid').forEach((topic) => w.add(topic));
  const findingsOf = async () => (await w.view('orders/paid')).findings.map(({ kind }) => kind);

  it.each([
    ['our intake without the key of the shop', `${BASE}/webhooks/shopify`],
    ['our intake with another key', `${BASE}/webhooks/shopify/other-key`],
    ['the host of yesterday, with the key of the shop', `https://old.example.com/webhooks/shopify/${KEY}`],
    ['the same without TLS', `http://hooks.example.com/webhooks/shopify/${KEY}`],
  ])('is pointed here in place when it sends to %s', async (_where, uri) => {
    others();
    const { id } = w.add('orders/paid', { uri });
    await w.round();
    expect(w.actual()).toEqual(ALL_THERE);
    expect(w.world.subscriptions.get(id)?.uri).toBe(URI);
    expect(await w.told('subscription-wrong')).toEqual(['opened orders/paid', 'closed orders/paid']);
    expect(await w.audit()).toEqual(['subscription.move orders/paid']);
    expect(asked('CreateSubscription')).toBe(0);
  });

  it.each([
    ['another host', 'https://analytics.example.org/hook?token=s3cret'],
    ['another path of our host', `${BASE}/legacy/hook`],
    ['a queue', 'arn:aws:events:eu-west-1::event-source/aws.partner/shopify.com/1/name'],
  ])('is somebody else’s when it sends to %s: left alone, and ours made beside it', async (_where, uri) => {
    others();
    const { id } = w.add('orders/paid', { uri });
    await w.minutes(2);
    expect(w.actual()).toEqual([...ALL_THERE, `orders/paid ${uri}`].sort());
    expect(w.world.subscriptions.get(id)?.uri).toBe(uri);
    expect(await w.openSignals()).toEqual([]);
    expect(JSON.stringify(await w.views()) + w.log).not.toContain('s3cret');
  });

  it('is deleted when it is a second one to our own address, and that is told', async () => {
    TOPICS.forEach((topic) => w.add(topic));
    w.add('orders/paid', { uri: `${BASE}/webhooks/shopify` });
    w.add('orders/paid', { uri: `${BASE}/webhooks/shopify/?again` });
    await w.round();
    expect(w.actual()).toEqual(ALL_THERE);
    expect(await w.told('subscription-wrong')).toEqual(['opened orders/paid', 'closed orders/paid']);
    expect(await w.audit()).toEqual(['subscription.delete orders/paid', 'subscription.delete orders/paid']);
  });

  it.each<[SubscriptionFinding['kind'], Partial<Subscription>]>([
    ['filter', { filter: 'total_price:>=10' }],
    ['fields', { includeFields: ['id', 'note'] }],
  ])('is told and not touched: %s', async (kind, more) => {
    others();
    const { id } = w.add('orders/paid', more);
    await w.minutes(3);
    expect(w.world.subscriptions.get(id)).toMatchObject(more);
    expect(await findingsOf()).toEqual([kind]);
    expect(await w.openSignals()).toMatchObject([
      { kind: 'subscription-wrong', subject: `${COFFEE}/orders/paid`, facts: { findings: [{ kind }] }, updates: 0 },
    ]);
    Object.assign(w.world.subscriptions.get(id) ?? {}, { filter: null, includeFields: [] });
    await w.minutes(1);
    expect(await w.openSignals()).toEqual([]);
  });

  it('is fine with includeFields that have updated_at', async () => {
    others();
    w.add('orders/paid', { includeFields: ['id', 'updated_at'] });
    await w.round();
    expect(await findingsOf()).toEqual([]);
  });

  it('with a filter may have a second one that makes up for it: a person must choose', async () => {
    others();
    w.add('orders/paid', { filter: 'total_price:>=10' });
    w.add('orders/paid', { uri: `${BASE}/webhooks/shopify`, filter: 'total_price:<10' });
    await w.minutes(2);
    expect(w.actual()).toHaveLength(4);
    expect(await findingsOf()).toEqual(['filter', 'duplicate']);
  });

  it('by its API version is told once a shop, because the version is the app’s', async () => {
    TOPICS.forEach((topic) => w.add(topic, { apiVersion: '2026-01' }));
    await w.minutes(3);
    expect(await w.openSignals()).toMatchObject([
      {
        kind: 'subscription-wrong',
        subject: `${COFFEE}/api-version`,
        facts: { findings: [{ kind: 'wrong-version', detail: expect.stringContaining('2026-01') }] },
        updates: 0,
      },
    ]);
    expect(await findingsOf()).toEqual(['wrong-version']);
    expect(new Set(w.asked)).toEqual(new Set(['Subscriptions']));
    w.apiVersion = '2026-01';
    w.restart();
    await w.minutes(2);
    expect(await w.openSignals()).toEqual([]);
  });

  it('by its format is changed to JSON', async () => {
    others();
    const { id } = w.add('orders/paid', { format: 'XML' });
    await w.minutes(1);
    expect(w.world.subscriptions.get(id)?.format).toBe('JSON');
    expect(await w.openSignals()).toEqual([]);
  });

  it('is not fought over: who points it elsewhere again is undone every ten minutes, and it stays told', async () => {
    others();
    const { id } = w.add('orders/paid', { uri: `https://other.example.com/webhooks/shopify/${KEY}` });
    for (let minute = 0; minute < 25; minute++) {
      await w.minutes(1);
      Object.assign(w.world.subscriptions.get(id) ?? {}, { uri: `https://other.example.com/webhooks/shopify/${KEY}` });
    }
    expect(asked('MoveSubscription')).toBeLessThanOrEqual(4);
    expect(await w.openSignals('subscription-wrong')).toHaveLength(1);
  });

  it('is only shown when nobody asked for the topic', async () => {
    TOPICS.forEach((topic) => w.add(topic));
    w.add('products/update');
    await w.minutes(2);
    expect(w.actual()).toContain(`products/update ${URI}`);
    expect(await w.openSignals()).toEqual([]);
    expect(await w.view('PRODUCTS_UPDATE')).toMatchObject({
      wanted: false,
      state: 'unwanted',
      uri: URI,
      wantedUri: null,
    });
    w.remove('products/update');
    await w.minutes(1);
    expect((await w.views()).map(({ topic }) => topic)).not.toContain('PRODUCTS_UPDATE');
  });

  it('is found on whichever page it is', async () => {
    for (let index = 0; index < 230; index++) w.add('orders/create', { uri: `https://elsewhere.example/${index}` });
    TOPICS.forEach((topic) => w.add(topic));
    await w.round();
    expect(asked('Subscriptions')).toBe(3);
    expect((await w.views()).map(({ state }) => state)).toEqual(['ok', 'ok', 'ok']);
  });
});

describe('the pace', () => {
  it('is a look a minute for a shop that sells, and one in ten for one that has not for a week', async () => {
    await settledShop();
    const looks = async () => {
      const before = asked('Subscriptions');
      await w.minutes(30);
      return asked('Subscriptions') - before;
    };
    expect(await looks()).toBe(30);
    w.pass(8 * 24 * HOUR);
    await w.round();
    expect(await looks()).toBe(3);
    w.orders = [{ shopId: '1', hourAt: w.clock.now(), orders: 1, lastAt: w.clock.now() }];
    await w.minutes(10);
    expect(await looks()).toBe(30);
  });

  it('costs nothing but the look while everything is as it should be', async () => {
    await settledShop();
    const query = vi.spyOn(w.database, 'query');
    w.pass(MINUTE);
    await w.round();
    const statements = query.mock.calls.map(([statement]) => statement);
    query.mockRestore();
    expect(statements).toHaveLength(3); // takes the shop, reads its topics, writes when it was looked at
  });
});
