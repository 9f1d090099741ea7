import { describe, expect, it } from 'vitest';
import { Engine } from '../../sandbox/plain-handler/engine.js';
import { PlainHandler } from '../../sandbox/plain-handler/handler.js';
import { PEOPLE_2019, glance, isWorkingDay, type FiledMail } from '../../sandbox/plain-handler/people.js';
import { Pool } from '../../sandbox/plain-handler/pool.js';
import { PLAIN_2019 } from '../../sandbox/plain-handler/settings.js';
import { Random } from '../../sandbox/random.js';
import { ManualClock } from './support/manual-clock.js';

const HEADERS = { 'X-Shopify-Topic': 'orders/paid' };
const order = (id: number): Buffer => Buffer.from(JSON.stringify({ id, financial_status: 'paid', test: false }));

/** Load until so many engines are out of memory. */
function wearOut(pool: Pool, dead: number): void {
  for (let minute = 0; pool.engines.length - pool.alive < dead; minute++) pool.flow(600, minute);
}

describe('an engine', () => {
  it('ends by what its webhooks leave behind, and never by time alone', () => {
    const engine = new Engine(PLAIN_2019, new Random(1));
    for (let hour = 0; hour < 10_000; hour++) engine.flow(0, 3_600, hour);
    expect(engine.isDead).toBe(false);
    let done = 0;
    for (; !engine.isDead; done += 60) engine.flow(60, 60, done);
    expect(engine.diedAtMs).toBe(done - 60);
    expect(engine.waitMs).toBe(Infinity);
  });

  it('becomes slower before its end, and is as new after a restart', () => {
    const engine = new Engine(PLAIN_2019, new Random(1));
    const fresh = engine.perSecond;
    while (engine.slowness < 2) engine.flow(120, 60, 0);
    expect(engine.perSecond).toBeLessThanOrEqual(fresh / 2);
    engine.restart();
    expect(engine.perSecond).toBe(fresh);
  });

  it('lets webhooks wait that are more than it can do', () => {
    const engine = new Engine(PLAIN_2019, new Random(1));
    expect(engine.waitMs).toBe(0);
    engine.flow(engine.perSecond * 60 + 100, 60, 0);
    expect(engine.waitMs).toBeGreaterThan(10_000);
  });
});

describe('the pool', () => {
  it('goes on sending to engines that are dead, while the ping is answered and the host has memory to spare', () => {
    const pool = new Pool(PLAIN_2019, new Random(3));
    const before = pool.hostMemoryMb;
    wearOut(pool, 4);
    const unanswered = Array.from({ length: 100 }, () => pool.take()).filter(({ engine }) => engine === null);
    expect(unanswered).toHaveLength(10 * (10 - pool.alive));
    expect(pool.isPingAnswered).toBe(true);
    expect(pool.hostMemoryMb).toBeLessThan(before + 10 * PLAIN_2019.memoryMb.limit * (pool.alive / 10));
  });

  it('is met again by what failed, at the minutes of Shopify’s retries and no more than eight times', () => {
    const pool = new Pool({ ...PLAIN_2019, engines: 1 }, new Random(3));
    wearOut(pool, 1);
    // What failed while it was worn out comes back for four hours and is over then.
    for (let minute = 0; minute < 241; minute++) pool.flow(0, minute);
    expect(pool.flow(90, 0)).toEqual({ attempts: 90, failed: 90 });
    const later = Array.from({ length: 300 }, (_, minute) => pool.flow(0, minute).attempts);
    const met = later.flatMap((attempts, index) => (attempts > 0 ? [[index + 1, attempts]] : []));
    expect(met).toEqual([1, 4, 10, 22, 46, 90, 155, 240].map((minute) => [minute, 90]));
  });
});

describe('the handler', () => {
  it('answers 200 only when the order has arrived, which takes as long as its calls take', async () => {
    const clock = new ManualClock();
    const handler = new PlainHandler(clock, new Pool(PLAIN_2019, new Random(1)));
    const answer = handler.post('', HEADERS, order(7));
    expect(handler.arrivedAtMs.has(7)).toBe(false);
    clock.advance(5_000);
    expect(await answer).toMatchObject({ outcome: 'answered', status: 200 });
    expect(handler.arrivedAtMs.has(7)).toBe(true);
  });

  it('ends what it has begun, although Shopify has given up waiting', async () => {
    const clock = new ManualClock();
    const pool = new Pool({ ...PLAIN_2019, engines: 1 }, new Random(1));
    pool.flow(60 * 9, 0); // a minute's load that it cannot do within the minute
    const handler = new PlainHandler(clock, pool);
    const answer = handler.post('', HEADERS, order(7));
    clock.advance(5_000);
    expect(await answer).toMatchObject({ outcome: 'timeout', tookMs: 5_000 });
    expect(handler.arrivedAtMs.has(7)).toBe(false);
    clock.advance(60_000);
    expect(handler.arrivedAtMs.has(7)).toBe(true);
  });

  it('passes an order on once, however often Shopify tells of it', async () => {
    const clock = new ManualClock();
    const handler = new PlainHandler(clock, new Pool(PLAIN_2019, new Random(1)));
    void handler.post('', HEADERS, order(7));
    clock.advance(5_000);
    const first = handler.arrivedAtMs.get(7);
    void handler.post('', HEADERS, order(7));
    clock.advance(5_000);
    expect(handler.arrivedAtMs.get(7)).toBe(first);
  });
});

describe('the people', () => {
  const mail = (kind: FiledMail['kind'], atMs: number): FiledMail => ({
    kind,
    atMs,
    domain: 'a.myshopify.com',
    subject: '',
    body: '',
    topic: 'orders/paid',
    uri: '',
    attempts: 2,
  });

  it('glance over the newest screen of mails, so that a removal below a hundred others is not seen', () => {
    const buried = [mail('removed', 0), ...Array.from({ length: 100 }, (_, index) => mail('failing', index + 1))];
    const sure = { ...PEOPLE_2019, recognises: 1 };
    expect(glance(buried, sure, new Random(1))).toEqual([]);
    expect(glance(buried.slice(0, 20), sure, new Random(1))).toHaveLength(1);
  });

  it('take one removal in a few for what it is', () => {
    const folder = Array.from({ length: 30 }, (_, index) => mail('removed', index));
    const seen = Array.from({ length: 100 }, (_, seed) => glance(folder, PEOPLE_2019, new Random(seed)).length);
    const share = seen.reduce((sum, count) => sum + count, 0) / 3_000;
    expect(share).toBeGreaterThan(0.2);
    expect(share).toBeLessThan(0.3);
  });

  it('rest at the weekend', () => {
    expect(isWorkingDay(Date.parse('2019-10-11T08:00:00Z'))).toBe(true);
    expect(isWorkingDay(Date.parse('2019-10-12T08:00:00Z'))).toBe(false);
  });
});
