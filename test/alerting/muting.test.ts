import { beforeEach, describe, expect, it } from 'vitest';
import { CATALOGUE, isNeverMuted, ruleNamed, type AlertRule, type Fixture } from '../../src/alerting/catalogue.js';
import type { Finding } from '../../src/monitoring/contract.js';
import { MINUTE, NOON, alertWorld, shopOf, type AlertWorld } from './alert-world.js';
import { fleetSilent, missing, removed, silent } from './findings.js';

let world: AlertWorld;
beforeEach(async () => {
  world = await alertWorld();
});

const HOUR = 60 * MINUTE;
const silentKey = (shop: number) => `new shop:${shopOf(shop)}:silent`;
const alertNamed = async (name: string) => (await world.query.alerts({ name }, { limit: 10 })).items[0];

/** A fixture of the catalogue as monitoring would report it, about a shop and a destination. */
function findingOf(rule: AlertRule, fixture: Fixture, place: number): Finding {
  const isShops = fixture.shop !== null;
  return {
    kind: rule.kind ?? 'inbox-gap',
    subject: fixture.subject === undefined || isShops ? `${shopOf(place)}/orders/paid` : fixture.subject,
    shopId: isShops ? String(place) : null,
    destinationId: fixture.destination == null ? null : place,
    facts: fixture.facts ?? {},
    evidence: '/api/v1/signals',
  };
}

/** Whoever is muted says nothing, whatever it would have said. */
const PAIRS = CATALOGUE.flatMap((rule) => rule.inhibitedBy.map(({ by, equal }) => ({ by, name: rule.name, equal })));

const sourceOf = (pair: (typeof PAIRS)[number]): Finding => {
  const rule = ruleNamed(pair.by) as AlertRule;
  return findingOf(rule, rule.firing[0] ?? {}, 1);
};
const targetOf = (pair: (typeof PAIRS)[number], place: number): Finding => {
  const rule = ruleNamed(pair.name) as AlertRule;
  return findingOf(rule, rule.firing[0] ?? {}, place);
};
const waitOf = ({ name }: (typeof PAIRS)[number]): number => (ruleNamed(name)?.forMs ?? 0) + MINUTE;

describe.each(PAIRS)('$name while $by is open', (pair) => {
  const { by, name } = pair;

  it('is no news, and is told when that is over and it is still open', async () => {
    const first = sourceOf(pair);
    await world.signals.report(targetOf(pair, 1));
    await world.signals.report(first);
    await world.pass(waitOf(pair));
    const muted = await alertNamed(name);
    expect(muted).toMatchObject({ state: 'open', inhibitedBy: (await alertNamed(by))?.id });
    const ofIt = async () => (await world.said()).filter((line) => line.endsWith(muted?.dedupeKey ?? ''));
    expect(await ofIt()).toEqual([]);
    await world.signals.close(first.kind, first.subject);
    await world.pass(waitOf(pair));
    expect(await alertNamed(name)).toMatchObject({ state: 'open', inhibitedBy: null });
    expect(await ofIt()).toEqual(muted?.class === 'page' ? [`new ${muted.dedupeKey}`] : []);
  });
});

describe.each(PAIRS.filter(({ equal }) => equal.includes('shop')))('$name of one shop while $by is open', (pair) => {
  it('is news when that is about another shop', async () => {
    await world.signals.report(sourceOf(pair));
    await world.signals.report(targetOf(pair, 2));
    await world.pass(waitOf(pair));
    expect(await alertNamed(pair.name)).toMatchObject({ state: 'open', inhibitedBy: null });
  });
});

describe.each(PAIRS.filter(({ equal }) => equal.includes('scope')))('$name of one kind while $by is open', (pair) => {
  it('is news when that is about another kind or objective', async () => {
    const target = targetOf(pair, 2);
    await world.signals.report(sourceOf(pair));
    await world.signals.report({ ...target, facts: { ...target.facts, slo: 'another', destinationKind: 'segment' } });
    await world.pass(waitOf(pair));
    expect(await alertNamed(pair.name)).toMatchObject({ state: 'open', inhibitedBy: null });
  });
});

describe('a silence', () => {
  const create = async (match: Parameters<AlertWorld['silences']['silence']>[0], hours = 1) =>
    world.silences.silence(match, 'ann', 'works on it', new Date(world.clock.nowMs() + hours * HOUR));

  it('keeps an alert quiet until its end, and what is still open then is told', async () => {
    await create({ name: 'store-silent', shop: shopOf(1) });
    await world.signals.report(silent(1));
    await world.signals.report(silent(2));
    await world.pass(10 * MINUTE);
    expect(await world.said()).toEqual([silentKey(2)]);
    const quiet = (await world.query.alerts({ shop: shopOf(1) }, { limit: 5 })).items[0];
    expect(quiet).toMatchObject({ state: 'open', silencedBy: '1' });
    await world.pass(HOUR);
    expect((await world.said()).filter((line) => line === silentKey(1))).toHaveLength(1);
  });

  it('ends by hand', async () => {
    await create({ shop: shopOf(1) });
    await world.signals.report(silent(1));
    await world.pass(10 * MINUTE);
    expect(await world.said()).toEqual([]);
    expect(await world.silences.endSilence('1', 'bob')).toMatchObject({ endedBy: 'bob' });
    await world.pass(10 * MINUTE);
    expect(await world.said()).toEqual([silentKey(1)]);
    expect((await world.silences.silences({}, { limit: 5 })).items).toEqual([]);
    expect((await world.silences.silences({ state: 'ended' }, { limit: 5 })).items).toHaveLength(1);
  });

  it('of an alert that was told keeps its repetitions quiet, and its end is told all the same', async () => {
    await world.signals.report(silent(1));
    await world.pass(10 * MINUTE);
    await create({ shop: shopOf(1) }, 20);
    await world.pass(10 * HOUR);
    await world.signals.close('store-silent', shopOf(1));
    await world.settle();
    expect(await world.said()).toEqual([silentKey(1), `resolved shop:${shopOf(1)}:silent`]);
  });

  it.each(CATALOGUE.filter(isNeverMuted).map(({ name }) => name))('of %s is refused', async (name) => {
    expect(await create({ name })).toMatchObject({ refused: expect.stringContaining('never silenced') as string });
    expect(await create({ name, shop: shopOf(1) })).toHaveProperty('refused');
    expect((await world.silences.silences({ state: 'all' }, { limit: 5 })).items).toEqual([]);
  });

  it('of a whole shop or destination touches no removal and no missing order', async () => {
    await create({ shop: shopOf(1) });
    await create({ destination: 'destination-1' });
    await world.signals.report(fleetSilent());
    await world.signals.report(removed(1));
    await world.signals.report(missing(1, 1));
    await world.settle();
    expect((await world.said()).filter((line) => line.includes(shopOf(1)))).toEqual([
      `new shop:${shopOf(1)}/orders/paid:subscription-removed`,
      `new shop:${shopOf(1)}/destination-1:order-missing`,
    ]);
  });

  it.each([
    ['nothing', {}, 1, 'say what'],
    ['an alert that there is not', { name: 'store-slient' }, 1, 'there is no alert'],
    ['an end that is past', { shop: 'a.b' }, -1, 'past'],
    ['more than 30 days', { shop: 'a.b' }, 721, '30 days'],
  ])('of %s is refused', async (_, match, hours, why) => {
    expect(await create(match, hours)).toMatchObject({ refused: expect.stringContaining(why) as string });
  });
});

describe('whoever takes an alert on', () => {
  const openAlert = async (): Promise<string> => {
    await world.signals.report(removed(1));
    await world.settle();
    return (await world.query.alerts({}, { limit: 5 })).items[0]?.id ?? '';
  };
  const KEY = `shop:${shopOf(1)}/orders/paid:subscription-removed`;

  it('is not told of it again until the next look that they named; then whoever is on call is', async () => {
    const id = await openAlert();
    const nextLookAt = new Date(NOON + 3 * HOUR);
    expect(await world.desk.acknowledge(id, 'ann', 're-subscribing', nextLookAt)).toMatchObject({
      acknowledged: { by: 'ann', note: 're-subscribing', nextLookAt },
    });
    await world.pass(2 * HOUR);
    expect(await world.said()).toEqual([`new ${KEY}`, `acknowledged ${KEY}`]);
    await world.pass(HOUR + MINUTE);
    expect(await world.said()).toEqual([`new ${KEY}`, `acknowledged ${KEY}`, `repeated ${KEY}`]);
    expect(await world.query.alert(id)).toMatchObject({ acknowledged: null });
    const history = await world.query.history(id, 10);
    expect(history.map(({ change, actor }) => [change, actor])).toEqual([
      ['opened', null],
      ['acknowledged', 'ann'],
      ['unacknowledged', null],
    ]);
  });

  it('hears of it when it becomes graver', async () => {
    await openAlert();
    const id = (await world.query.alerts({}, { limit: 5 })).items[0]?.id ?? '';
    await world.desk.acknowledge(id, 'ann', null, new Date(NOON + 10 * HOUR));
    await world.signals.report(removed(2));
    await world.signals.report(removed(3));
    await world.pass(MINUTE);
    expect(await world.said()).toContain(`changed ${KEY}`);
  });

  it('can give it back, and cannot take on what is closed', async () => {
    const id = await openAlert();
    await world.desk.acknowledge(id, 'ann', null, new Date(NOON + HOUR));
    expect(await world.desk.unacknowledge(id, 'ann')).toMatchObject({ acknowledged: null });
    await world.signals.close('subscription-removed', removed(1).subject);
    await world.settle();
    expect(await world.desk.acknowledge(id, 'ann', null, new Date(NOON + HOUR))).toBeNull();
    expect(await world.desk.acknowledge('999', 'ann', null, new Date(NOON + HOUR))).toBeNull();
  });
});

describe('many shops that are each quiet', () => {
  it('are quiet together, and are heard together when they are not quiet any more', async () => {
    for (let shop = 1; shop <= 7; shop++) {
      await world.silences.silence({ shop: shopOf(shop) }, 'ann', 'moving house', new Date(NOON + HOUR));
      await world.signals.report(silent(shop));
    }
    await world.pass(20 * MINUTE);
    expect(await world.said()).toEqual([]);
    await world.pass(HOUR);
    expect(await world.said()).toEqual(['new fleet:shops:silent']);
  });

  it('are counted once each, whoever is looked at together', async () => {
    for (let shop = 1; shop <= 7; shop++) await world.signals.report(silent(shop));
    await world.pass(5 * MINUTE);
    for (let shop = 8; shop <= 9; shop++) await world.signals.report(silent(shop));
    await world.pass(5 * MINUTE);
    expect((await world.query.alerts({}, { limit: 20 })).items.find(({ shop }) => shop === null)).toMatchObject({
      signals: 9,
      shops: 9,
    });
  });
});
