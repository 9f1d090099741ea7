import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import type { Database } from '../../../src/kernel/database.js';
import { readAudit } from '../../../src/kernel/audit.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { draftsOf, EXCERPT_MAX } from '../../../src/monitoring/notices/draft.js';
import {
  IDLE_ROWS_MAX,
  NoticeBook,
  NOTICES_KEPT_MS,
  onceKey,
  type Stored,
  type World,
} from '../../../src/monitoring/notices/notice-book.js';
import { NoticeRound } from '../../../src/monitoring/notices/notice-round.js';
import { readWords } from '../../../src/monitoring/notices/wording.js';
import { SignalBook } from '../../../src/monitoring/signals/signal-book.js';
import type { Shop } from '../../../src/pipeline/contract.js';
import { testDatabase } from '../../support/test-database.js';
import { ADDRESS, failingText, removedText } from './sample-mails.js';

const NOON = Date.UTC(2026, 10, 27, 12);
const MINUTE_MS = 60_000;
const SHOPS = ['1', '2', '3'].map((id) => ({
  id,
  domain: `shop-${id}.myshopify.com`,
  key: `key-${id}`,
  world: id === '3' ? ('sandbox' as const) : ('real' as const),
  uninstalledAt: null,
})) as unknown as Shop[];
const NAMES = { shops: () => SHOPS, shopById: (id: string) => SHOPS.find((shop) => shop.id === id) };

let database: Database;
let clock: ManualClock;
let book: NoticeBook;
let signals: SignalBook;
let round: NoticeRound;
let hints: string[];
let failHints = false;
beforeEach(async () => {
  ({ database } = await testDatabase());
  clock = new ManualClock(NOON);
  book = new NoticeBook({ database, clock, names: NAMES });
  signals = new SignalBook({
    database,
    clock,
    log: silentLogger,
    names: { ...NAMES, destinations: () => [], destinationById: () => undefined },
  });
  hints = [];
  failHints = false;
  round = new NoticeRound({
    book,
    signals,
    shops: () => SHOPS,
    hint: (shopId, why) => {
      if (failHints) return Promise.reject(new Error('away'));
      hints.push(`${shopId} ${why}`);
    },
    clock,
    log: silentLogger,
  });
});

interface Mail {
  subject?: string;
  isTrusted?: boolean;
  sender?: string;
  world?: World;
  id?: string;
}

function arrive(text: string, mail: Mail = {}): Promise<Stored> {
  const { subject = 'Your webhook', isTrusted = true, sender = 'shopify.com', world = 'real', id } = mail;
  const trust = { isTrusted, why: 'test', senderDomain: sender };
  const shopIdOf = (key: string) => SHOPS.find((shop) => shop.world === world && shop.key === key)?.id ?? null;
  return book.store({
    world,
    provider: 'test',
    drafts: draftsOf({ subject }, readWords({ subject, text, html: null, headers: [] }), trust, shopIdOf),
    mailKey: id === undefined ? null : onceKey(id),
    nonce: null,
  });
}

const list = async () => (await book.notices({}, { limit: 200 })).items;
const open = async () => (await signals.signals({}, { limit: 50 })).items;
const of = (shop: number, topic = 'orders/create'): string => failingText(topic, `${ADDRESS}/key-${shop}`);
const removal = (shop: number, topic = 'orders/create', at = '2026-11-27 11:58:41'): string =>
  removedText(topic, `${ADDRESS}/key-${shop}`, at);

describe('the same thing said again', () => {
  it('within an hour counts in the notice that is there, with the highest number of attempts', async () => {
    for (const attempts of [2, 7, 3]) {
      await arrive(failingText('orders/create', `${ADDRESS}/key-1`, attempts));
      clock.advance(MINUTE_MS);
    }
    expect(await list()).toMatchObject([
      { class: 'failing', count: 3, attempts: 7, receivedAt: new Date(NOON), lastAt: new Date(NOON + 2 * MINUTE_MS) },
    ]);
  });

  it('after an hour is news, and the watch looks again', async () => {
    await arrive(of(1));
    await round.run();
    clock.advance(61 * MINUTE_MS);
    await arrive(of(1));
    await round.run();
    expect(await list()).toHaveLength(2);
    expect(hints).toEqual(['1 notice-failing', '1 notice-failing']);
  });

  it('of another shop, topic, world or instant is another thing', async () => {
    await arrive(removal(1));
    await arrive(removal(1));
    await arrive(removal(2));
    await arrive(removal(1, 'orders/paid'));
    await arrive(removal(1, 'orders/create', '2026-11-27 11:59:00'));
    await arrive(removal(1), { world: 'sandbox' });
    expect((await list()).map(({ count }) => count).sort()).toEqual([1, 1, 1, 1, 2]);
  });

  it('by fifty at once makes one notice, and loses no count', async () => {
    await Promise.all(Array.from({ length: 50 }, () => arrive(of(1))));
    expect(await list()).toMatchObject([{ count: 50 }]);
  });

  it('under the same name is the same mail: not even counted', async () => {
    const stored = await Promise.all(Array.from({ length: 10 }, () => arrive(of(1), { id: 'mail-1' })));
    expect(stored.filter(({ outcome }) => outcome === 'stored')).toHaveLength(1);
    expect(await list()).toMatchObject([{ count: 1 }]);
  });
});

describe('a flood', () => {
  it('of hundreds of warnings swallows none of the removals among them', async () => {
    const topics = ['orders/create', 'orders/paid', 'orders/updated', 'refunds/create'];
    const mails: string[] = [];
    for (let n = 0; n < 600; n++) mails.push(of(1 + (n % 2), topics[n % topics.length]));
    for (const [n, topic] of [
      [77, 'orders/create'],
      [78, 'orders/paid'],
      [590, 'refunds/create'],
    ] as const) {
      mails.splice(n, 0, removal(1, topic));
    }
    for (let n = 0; n < mails.length; n += 20) await Promise.all(mails.slice(n, n + 20).map((text) => arrive(text)));
    const notices = await list();
    expect(
      notices
        .filter((each) => each.class === 'removed')
        .map(({ topic, count }) => `${topic} ${count}`)
        .sort(),
    ).toEqual(['orders/create 1', 'orders/paid 1', 'refunds/create 1']);
    const warnings = notices.filter((each) => each.class === 'failing');
    expect(warnings).toHaveLength(4); // a shop and topic each: the topics alternate with the shops
    expect(warnings.reduce((sum, { count }) => sum + count, 0)).toBe(600);
    await round.run();
    // One look a shop, and the gravest reason is the one that is said.
    expect(hints).toEqual(['1 notice-removed', '2 notice-failing']);
  });

  it('of a thousand different warnings is worked off with the removal first', async () => {
    for (let n = 0; n < 250; n++)
      await arrive(of(2, `orders/t${'x'.repeat(1 + (n % 20))}${'y'.repeat(Math.floor(n / 20))}`));
    await arrive(removal(1));
    expect(await round.run()).toBe('busy');
    expect(hints[0]).toBe('1 notice-removed');
    expect(await round.run()).toBe('idle');
    expect(await book.hintsDue(10)).toEqual([]);
  });

  it('of mails that have no effect fills no table', async () => {
    for (let n = 0; n < IDLE_ROWS_MAX + 30; n++) await arrive('Buy!', { isTrusted: false, sender: `d${n}.example` });
    const [{ rows } = { rows: 0 }] = await database.rows<{ rows: number }>(
      'select count(*)::int as rows from monitoring.notice',
    );
    expect(rows).toBe(IDLE_ROWS_MAX + 1);
    expect(await list()).toMatchObject([
      { class: 'untrusted', count: 30, subject: '(many)' },
      ...Array<object>(199).fill({}),
    ]);
    // What has an effect is not among what is cut.
    await arrive(removal(1));
    expect((await list())[0]).toMatchObject({ class: 'removed' });
  });
});

describe('hints', () => {
  it('are given again until they have been taken', async () => {
    await arrive(removal(1));
    failHints = true;
    await round.run();
    expect(await list()).toMatchObject([{ hintedAt: null }]);
    failHints = false;
    await round.run();
    expect(hints).toEqual(['1 notice-removed']);
    expect(await list()).toMatchObject([{ hintedAt: new Date(NOON) }]);
  });

  it('are about every shop of the world where the mail names none', async () => {
    await arrive(removedText());
    await round.run();
    expect(hints).toEqual(['1 notice-removed', '2 notice-removed']);
  });

  it('are never given for what is untrusted, unknown or about something else', async () => {
    await arrive(removal(1), { isTrusted: false });
    await arrive('Something about your webhook.');
    await arrive('Your invoice.', { subject: 'Invoice' });
    await round.run();
    expect(hints).toEqual([]);
  });
});

describe('a person is asked', () => {
  it('to read what is unknown, and asked no more once it has been read', async () => {
    await arrive(`Ihr Abonnement ${ADDRESS}/key-1 wurde entfernt.`);
    await round.run();
    expect(await open()).toMatchObject([
      {
        kind: 'notice-unclassified',
        subject: 'shop-1.myshopify.com',
        shop: 'shop-1.myshopify.com',
        facts: { notices: 1, hasRemoval: false },
        evidence: '/api/v1/notices?shop=shop-1.myshopify.com',
      },
    ]);
    await round.run();
    expect((await open())[0]?.updates).toBe(0);
    const [notice] = await list();
    expect(await book.markRead(notice?.id ?? '', 'ada')).toMatchObject({
      readAt: new Date(NOON),
      needsAttention: false,
    });
    await round.run();
    expect(await open()).toEqual([]);
    expect((await readAudit(database, { limit: 5 })).items).toMatchObject([{ actor: 'ada', action: 'notice.read' }]);
  });

  it('what it is: a removal then makes the watch look', async () => {
    await arrive(`Ihr Abonnement ${ADDRESS}/key-2 wurde entfernt.`);
    await round.run();
    const [notice] = await list();
    expect(await book.classify(notice?.id ?? '', 'removed', 'ada')).toMatchObject({
      class: 'removed',
      wording: 'unknown',
      classifiedBy: 'ada',
      needsAttention: false,
    });
    await round.run();
    expect(hints).toEqual(['2 notice-removed']);
    expect(await open()).toEqual([]);
    expect((await readAudit(database, { limit: 5 })).items).toMatchObject([
      { actor: 'ada', action: 'notice.classify', subject: `notice ${notice?.id}`, detail: { class: 'removed' } },
    ]);
  });

  it('no more about what turns out to be something else, and told of what nobody has', async () => {
    await arrive('About webhooks.');
    const [notice] = await list();
    expect(await book.classify(notice?.id ?? '', 'other', 'ada')).toMatchObject({
      class: 'other',
      needsAttention: false,
    });
    expect(await book.classify('999', 'other', 'ada')).toBeNull();
    expect(await book.markRead('999', 'ada')).toBeNull();
    await round.run();
    expect(await open()).toEqual([]);
    expect(hints).toEqual([]);
  });

  it('about a removal that names no shop: nobody else could look into it', async () => {
    await arrive(removedText());
    await round.run();
    expect(await open()).toMatchObject([{ subject: 'no-shop', shop: null, facts: { notices: 1, hasRemoval: true } }]);
  });

  it('once, however often it is said', async () => {
    for (let n = 0; n < 20; n++) await arrive(`A new wording about your webhook number ${n}.`);
    await round.run();
    expect(await open()).toMatchObject([{ facts: { notices: 1 }, updates: 0 }]);
  });
});

describe('what is kept', () => {
  it('is a subject, the facts and a little around them, and nobody’s address', async () => {
    const subject = `Fwd: mail of jane.doe@example.com ${'x'.repeat(500)}`;
    await arrive(`Dear Jane, jane.doe@example.com said: ${removal(1)} ${'y'.repeat(2_000)}`, { subject });
    const [notice] = await list();
    expect(notice?.subject).toMatch(/^Fwd: mail of \[address\] x+$/);
    expect(notice?.subject.length).toBeLessThanOrEqual(200);
    expect(notice?.excerpt).toMatch(/^Your webhook for orders\/create at /);
    expect(notice?.excerpt?.length).toBe(EXCERPT_MAX);
    expect(JSON.stringify(notice)).not.toContain('jane.doe');
  });

  it('is nothing of a mail about something else', async () => {
    await arrive('Dear Jane, your invoice.', { subject: 'Invoice' });
    expect(await list()).toMatchObject([{ class: 'other', excerpt: null, topic: null, url: null }]);
  });

  it('is kept ninety days, and longer what a person still has to read', async () => {
    await arrive(removal(1), { id: 'old' });
    await arrive('About your webhook.');
    await round.run();
    clock.advance(NOTICES_KEPT_MS + MINUTE_MS);
    await round.run();
    expect(await list()).toMatchObject([{ class: 'unknown' }]);
    expect(await database.rows('select key from monitoring.notice_seen')).toEqual([]);
  });

  it('is whatever somebody may write: nothing cannot be stored', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 80 }), fc.boolean(), async (noise, isTrusted) => {
        const stored = await arrive(`webhook ${noise}\u0000\ud800 ${removal(1)}`, { subject: noise, isTrusted });
        expect(stored.outcome).toBe('stored');
      }),
      { numRuns: 60 },
    );
  });
});

describe('the list', () => {
  it('is of one class, of one shop, newest first, page by page', async () => {
    await arrive(removal(1));
    await arrive(removal(2));
    await arrive(of(1));
    await arrive(of(1, 'orders/paid'));
    const shop = 'shop-1.myshopify.com';
    const classes = async (filter: Parameters<NoticeBook['notices']>[0]) =>
      (await book.notices(filter, { limit: 10 })).items.map((each) => `${each.class} ${each.shop} ${each.topic}`);
    expect(await classes({ class: 'removed' })).toEqual([
      'removed shop-2.myshopify.com orders/create',
      `removed ${shop} orders/create`,
    ]);
    expect(await classes({ shop })).toEqual([
      `failing ${shop} orders/paid`,
      `failing ${shop} orders/create`,
      `removed ${shop} orders/create`,
    ]);
    expect(await classes({ shop: 'nobody.myshopify.com' })).toEqual([]);
    const first = await book.notices({}, { limit: 3 });
    expect(first.items).toHaveLength(3);
    const second = await book.notices({}, { limit: 3, cursor: first.nextCursor ?? '' });
    expect(second).toMatchObject({ items: [{ class: 'removed', shop }], nextCursor: null });
  });
});
