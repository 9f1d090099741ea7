import { beforeEach, describe, expect, it } from 'vitest';
import { MINUTE, alertWorld, shopOf, type AlertWorld } from './alert-world.js';
import { failing, missing, notice, refusing, removed, silent } from './findings.js';

let world: AlertWorld;
beforeEach(async () => {
  world = await alertWorld();
});

const removedKey = (shop: number, topic = 'orders/paid') => `shop:${shopOf(shop)}/${topic}:subscription-removed`;
const silentKey = (shop: number) => `shop:${shopOf(shop)}:silent`;

describe('a removed subscription', () => {
  it('is told at once, on its own route, and resolved once it is over', async () => {
    await world.signals.report(removed(1));
    await world.settle();
    expect(await world.said()).toEqual([`new ${removedKey(1)}`]);
    const { items } = await world.query.alerts({}, { limit: 10 });
    expect(items).toMatchObject([
      { name: 'subscription-removed', state: 'open', class: 'page', severity: 2, route: 'removed', shop: shopOf(1) },
    ]);
    await world.signals.close('subscription-removed', removed(1).subject);
    await world.settle();
    expect(await world.said()).toEqual([`new ${removedKey(1)}`, `resolved ${removedKey(1)}`]);
    expect((await world.query.alerts({}, { limit: 10 })).items).toEqual([]);
    expect((await world.query.changes('0', 10)).map(({ change }) => change)).toEqual(['opened', 'closed']);
  });

  it('that is over before anybody looked is told all the same', async () => {
    await world.signals.report(removed(1));
    await world.signals.close('subscription-removed', removed(1).subject);
    await world.settle();
    expect(await world.said()).toEqual([`new ${removedKey(1)}`, `resolved ${removedKey(1)}`]);
  });

  it('is told for each shop and topic, however many there are, and is graver from the third shop on', async () => {
    for (let shop = 1; shop <= 9; shop++) await world.signals.report(removed(shop));
    await world.settle();
    await world.pass(MINUTE);
    const told = await world.said();
    expect(new Set(told)).toEqual(new Set(Array.from({ length: 9 }, (_, index) => `new ${removedKey(index + 1)}`)));
    const { items } = await world.query.alerts({}, { limit: 20 });
    expect(items.map(({ severity, foldedInto }) => [severity, foldedInto])).toEqual(items.map(() => [1, null]));
  });
});

describe('a flood of the same', () => {
  it('is one open alert with a count, first and last seen', async () => {
    for (let round = 1; round <= 4; round++) {
      await world.signals.report({ ...removed(1), facts: { topic: 'orders/paid', tries: round } });
      await world.settle();
      world.clock.advance(MINUTE);
    }
    expect(await world.said()).toEqual([`new ${removedKey(1)}`]);
    const [alert] = (await world.query.alerts({}, { limit: 10 })).items;
    expect(alert).toMatchObject({ count: 4, signals: 1 });
    expect(alert && alert.lastSeenAt.getTime() - alert.firstSeenAt.getTime()).toBe(3 * MINUTE);
  });

  it('of routine failures is one ticket for a kind of destination, and nobody is paged', async () => {
    for (let number = 1; number <= 40; number++) await world.signals.report(refusing(number));
    await world.pass(10 * MINUTE);
    expect(await world.said()).toEqual([]);
    const { items } = await world.query.alerts({}, { limit: 10 });
    expect(items).toMatchObject([{ dedupeKey: 'delivery:ga4:refusing', class: 'ticket', state: 'open', signals: 40 }]);
    for (let number = 1; number <= 40; number++) {
      await world.signals.close('destination-refusing', `destination-${number}`);
    }
    await world.settle();
    expect((await world.query.alerts({}, { limit: 10 })).items).toEqual([]);
  });
});

describe('one cause in many shops', () => {
  it('is one alert past five, and the shops are folded into it, not hidden', async () => {
    for (let shop = 1; shop <= 6; shop++) await world.signals.report(silent(shop));
    await world.pass(3 * MINUTE);
    expect(await world.said()).toEqual(['new fleet:shops:silent']);
    const { items } = await world.query.alerts({}, { limit: 10 });
    expect(items).toHaveLength(7);
    const fleet = items.find(({ dedupeKey }) => dedupeKey === 'fleet:shops:silent');
    expect(fleet).toMatchObject({ shops: 6, signals: 6, severity: 2 });
    expect(items.filter(({ foldedInto }) => foldedInto === fleet?.id)).toHaveLength(6);
  });

  it('speaks for the shops until they have been five or fewer for ten minutes; then each that is left is told', async () => {
    for (let shop = 1; shop <= 7; shop++) await world.signals.report(silent(shop));
    await world.pass(3 * MINUTE);
    for (let shop = 3; shop <= 7; shop++) await world.signals.close('store-silent', shopOf(shop));
    await world.pass(9 * MINUTE);
    expect(await world.said()).toEqual(['new fleet:shops:silent']);
    await world.pass(5 * MINUTE);
    expect(await world.said()).toEqual([
      'new fleet:shops:silent',
      'resolved fleet:shops:silent',
      `new ${silentKey(1)}`,
      `new ${silentKey(2)}`,
    ]);
  });

  it('is each shop for itself up to five', async () => {
    for (let shop = 1; shop <= 5; shop++) await world.signals.report(silent(shop));
    await world.pass(3 * MINUTE);
    expect(await world.said()).toEqual([1, 2, 3, 4, 5].map((shop) => `new ${silentKey(shop)}`));
  });
});

it('says nothing of what is over before its wait is', async () => {
  await world.signals.report(silent(1));
  await world.settle();
  world.clock.advance(MINUTE);
  await world.signals.close('store-silent', shopOf(1));
  await world.pass(5 * MINUTE);
  expect(await world.said()).toEqual([]);
});

it('says it again while nobody acknowledges it: every hour at severity 2', async () => {
  await world.signals.report(removed(1));
  await world.pass(130 * MINUTE);
  expect(await world.said()).toEqual([
    `new ${removedKey(1)}`,
    `repeated ${removedKey(1)}`,
    `repeated ${removedKey(1)}`,
  ]);
});

describe('the flood of 2019', () => {
  const TOPICS = ['orders/create', 'orders/paid', 'orders/updated', 'refunds/create'];
  const REMOVED: [number, string][] = [
    [17, 'orders/paid'],
    [17, 'orders/updated'],
    [140, 'orders/create'],
    [333, 'orders/paid'],
  ];

  it('pages once for each shop and topic that was removed, for nothing else more than once, and swallows none', async () => {
    const { signals } = world;
    // Hundreds of "failing" over some hours, and a few "removed" somewhere between them.
    for (let hour = 0; hour < 4; hour++) {
      for (let number = 1; number <= 100; number++) {
        const shop = hour * 100 + number;
        for (const topic of TOPICS) await signals.report(failing(shop, 1 + ((number + hour) % 3), topic));
        if (number % 5 === 0) await signals.report(notice(shop));
        for (const [gone, topic] of REMOVED) if (gone === shop) await signals.report(removed(shop, topic));
      }
      for (let destination = 1; destination <= 30; destination++) await signals.report(refusing(destination));
      await world.pass(10 * MINUTE);
    }
    const said = await world.said();
    const removals = said.filter((line) => line.startsWith('new ') && line.includes('subscription-removed'));
    expect(removals.sort()).toEqual(REMOVED.map(([shop, topic]) => `new ${removedKey(shop, topic)}`).sort());
    const routine = said.filter((line) => !line.includes('subscription-removed'));
    expect(routine).toEqual([]);
    const { items } = await world.query.alerts({}, { limit: 50 });
    expect(
      items
        .filter(({ class: grade }) => grade === 'ticket')
        .map(({ dedupeKey, signals: count }) => [dedupeKey, count])
        .sort(),
    ).toEqual([
      ['delivery:ga4:refusing', 30],
      ['fleet:subscriptions:failing', 1_600],
      ['shopify:notices:unclassified', 80],
    ]);
  }, 60_000);

  it('pages once for all topics that are near their removal', async () => {
    for (let shop = 1; shop <= 60; shop++)
      for (const topic of TOPICS) await world.signals.report(failing(shop, 5, topic));
    await world.signals.report(removed(7));
    await world.pass(10 * MINUTE);
    expect(await world.said()).toEqual([`new ${removedKey(7)}`, 'new fleet:subscriptions:countdown']);
  });
});

describe('orders that are missing', () => {
  it('are told for each shop and destination, and again as graver when they become ten or cannot be brought in', async () => {
    await world.signals.report(missing(1, 1));
    await world.signals.report(missing(1, 2, 1, 1));
    await world.settle();
    await world.signals.report(missing(1, 1, 12));
    await world.settle();
    await world.signals.report(missing(1, 1, 3));
    await world.settle();
    const key = (destination: number) => `shop:${shopOf(1)}/destination-${destination}:order-missing`;
    expect(await world.said()).toEqual([`new ${key(1)}`, `new ${key(2)}`, `changed ${key(1)}`]);
    const { items } = await world.query.alerts({}, { limit: 5 });
    expect(items.map(({ severity }) => severity)).toEqual([1, 1]);
  });
});
