import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import { IntakeRefused } from '../../../src/pipeline/inbox/inbox-writer.js';
import { AnswerTally } from '../../../src/pipeline/intake/answer-tally.js';
import { testDatabase } from '../../support/test-database.js';
import { until } from '../../support/until.js';
import { RawSender, send, serveIntake, shopifyHeaders, sign, type IntakeServer } from './intake-server.js';

const { database } = await testDatabase();
const NOON_MS = Date.parse('2026-11-23T12:00:00Z');
const ACME = 'acme.myshopify.com';
let clock: ManualClock;
let known: Set<string> | null;

beforeEach(async () => {
  clock = new ManualClock(NOON_MS);
  known = new Set([ACME, 'beta.myshopify.com']);
  await database.query('truncate pipeline.intake_tally');
});

const process = (name = 'one') =>
  new AnswerTally({ database, clock, process: name, knows: (domain) => known?.has(domain) ?? null });

const of = (shop = ACME, topic = 'orders/paid') => ({ 'x-shopify-shop-domain': shop, 'x-shopify-topic': topic });

function answer(tally: AnswerTally, statuses: readonly number[], headers = of()): void {
  for (const status of statuses) {
    clock.advance(10);
    tally.answered(status, headers);
  }
}

const counts = async (tally = process('asks')) =>
  (await tally.failing()).map((one) => `${one.shopDomain} ${one.topic}: ${one.failuresInRow} (${one.lastStatus})`);

describe('failures in a row', () => {
  it('are counted by shop and topic, over all processes, with the last of them', async () => {
    const [one, two] = [process('one'), process('two')];
    answer(one, [503, 503, 408]);
    answer(two, [413]);
    answer(two, [503], of(ACME, 'refunds/create'));
    answer(one, [0], of('BETA.myshopify.com'));
    await one.round();
    await two.round();
    expect(await one.failing()).toEqual([
      {
        shopDomain: ACME,
        topic: 'orders/paid',
        failuresInRow: 4,
        lastFailureAt: new Date(NOON_MS + 40),
        lastStatus: 413,
      },
      expect.objectContaining({ topic: 'refunds/create', failuresInRow: 1, lastStatus: 503 }),
      expect.objectContaining({ shopDomain: 'beta.myshopify.com', failuresInRow: 1, lastStatus: 0 }),
    ]);
  });

  it('end with a 2xx, and begin again after it', async () => {
    const tally = process();
    answer(tally, [503, 503]);
    await tally.round();
    answer(tally, [200]);
    await tally.round();
    expect(await counts()).toEqual([]);
    answer(tally, [503, 200, 503]);
    await tally.round();
    expect(await counts()).toEqual([`${ACME} orders/paid: 1 (503)`]);
  });

  it('that a 2xx and another failure follow within a second are one failure, whoever had counted the others', async () => {
    const [one, two] = [process('one'), process('two')];
    answer(one, [503, 503]);
    answer(two, [503]);
    for (const tally of [one, two]) await tally.round();
    for (const tally of [one, two]) await tally.round();
    answer(two, [200, 503]);
    await two.round();
    expect(await counts()).toEqual([`${ACME} orders/paid: 1 (503)`]);
  });

  it("end with another process's 2xx; what came after it counts", async () => {
    const [one, two] = [process('one'), process('two')];
    answer(one, [503, 503, 503]);
    await one.round();
    await two.round(); // learns of it
    answer(two, [200]);
    await two.round();
    expect(await counts()).toEqual([]);
    answer(one, [503]);
    await one.round();
    expect(await counts()).toEqual([`${ACME} orders/paid: 1 (503)`]);
  });

  it('of a process that is gone end with a 2xx of its successor', async () => {
    const before = process('before');
    answer(before, [503, 503]);
    await before.round();
    const after = process('after');
    await after.round();
    answer(after, [503]);
    await after.round();
    expect(await counts()).toEqual([`${ACME} orders/paid: 3 (503)`]);
    answer(after, [200]);
    await after.round();
    expect(await counts()).toEqual([]);
  });

  it('are not lost when the database is away for a while', async () => {
    const tally = process();
    await database.query('alter table pipeline.intake_tally rename to away');
    answer(tally, [503, 503]);
    await expect(tally.round()).rejects.toThrow();
    await database.query('alter table pipeline.away rename to intake_tally');
    await tally.round();
    expect(await counts()).toEqual([`${ACME} orders/paid: 2 (503)`]);
  });

  it('are not what anybody can cause: a wrong signature, a wrong method, a domain that is no shop of ours', async () => {
    const tally = process();
    answer(tally, [401, 400, 405]);
    answer(tally, [503], of('stranger.myshopify.com'));
    answer(tally, [503], of('no domain'));
    tally.answered(503, {});
    await tally.round();
    expect(await counts()).toEqual([]);
  });

  it('wait for the registry to be read before a domain is taken for a stranger', async () => {
    const tally = process();
    known = null;
    answer(tally, [503]);
    await tally.round();
    expect(await counts()).toEqual([]);
    known = new Set([ACME]);
    await tally.round();
    expect(await counts()).toEqual([`${ACME} orders/paid: 1 (503)`]);
  });

  it('take no more room than they may, however many names are made up', async () => {
    const tally = process();
    known = null;
    answer(tally, [503]);
    for (let n = 0; n < 20_000; n++) tally.answered(503, of(`shop-${n}.myshopify.com`));
    known = new Set(Array.from({ length: 20_000 }, (_, n) => `shop-${n}.myshopify.com`)).add(ACME);
    await tally.round();
    const all = await counts();
    expect(all).toHaveLength(10_000);
    expect(all).toContain(`${ACME} orders/paid: 1 (503)`);
  });

  it('are forgotten after a week without another answer', async () => {
    const tally = process();
    answer(tally, [503]);
    await tally.round();
    clock.advance(8 * 86_400_000);
    await process('later').round();
    expect(await counts()).toEqual([]);
  });
});

describe('intake tells the tally', () => {
  const BODY = '{"id":1}';
  let at: IntakeServer;
  let tally: AnswerTally;
  let stores: () => Promise<unknown>;
  beforeEach(async () => {
    stores = () => Promise.resolve();
    tally = process();
    at = await serveIntake(() => stores(), undefined, tally);
  });
  afterEach(() => at.close());

  it('of what could not be stored, what was too large, and who left; and of nothing else', async () => {
    stores = () => Promise.reject(new IntakeRefused('full'));
    await send(at.port, BODY);
    await send(at.port, BODY, { headers: shopifyHeaders(BODY, { 'X-Shopify-Hmac-Sha256': sign('other') }) });
    await send(at.port, '', { headers: shopifyHeaders('') });
    const large = await RawSender.connect(at.port);
    large.head({ ...shopifyHeaders(BODY), 'Content-Length': String(9 * 1024 * 1024) });
    await until(() => large.received.includes('"status":413'));
    const leaves = await RawSender.connect(at.port);
    leaves.head({ ...shopifyHeaders(BODY), 'Content-Length': '1000' });
    leaves.socket.write('{');
    leaves.socket.destroy();
    await until(async () => {
      await tally.round();
      return (await counts()).includes(`${ACME} orders/create: 3 (0)`);
    });
    stores = () => Promise.resolve();
    expect((await send(at.port, BODY)).status).toBe(200);
    await tally.round();
    expect(await counts()).toEqual([]);
  });
});
