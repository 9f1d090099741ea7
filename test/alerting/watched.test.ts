import { beforeEach, describe, expect, it } from 'vitest';
import { PageVolume, pageVolumeFindings } from '../../src/alerting/alerts/page-volume.js';
import { Watchdog } from '../../src/alerting/alerts/watchdog.js';
import { UNWATCHED_AFTER_MS, Watched } from '../../src/alerting/alerts/watched.js';
import { MINUTE, NOON, alertWorld, type AlertWorld } from './alert-world.js';
import { missing, removed } from './findings.js';

let world: AlertWorld;
beforeEach(async () => {
  world = await alertWorld();
});

const named = async (name: string) => (await world.query.alerts({ name }, { limit: 10 })).items;

describe('an alert that nobody looks after', () => {
  it('stays as it was, says since when, and says when it is looked at again', async () => {
    let beatAt = new Date(NOON);
    const watched = new Watched({
      database: world.database,
      clock: world.clock,
      heartbeats: {
        heartbeats: () =>
          Promise.resolve([
            { name: 'reconciliation-signals', beatAt },
            { name: 'subscription-audit', beatAt: world.clock.now() },
          ]),
      },
    });
    await world.signals.report(missing(1, 1));
    await world.signals.report(removed(2));
    await world.settle();
    await watched.round();
    expect((await named('orders-missing'))[0]).toMatchObject({ unwatchedSince: null });

    world.clock.advance(UNWATCHED_AFTER_MS + MINUTE);
    await watched.round();
    await watched.round();
    expect((await named('orders-missing'))[0]).toMatchObject({ state: 'open', unwatchedSince: beatAt });
    expect((await named('subscription-removed'))[0]).toMatchObject({ unwatchedSince: null });

    beatAt = world.clock.now();
    await watched.round();
    expect((await named('orders-missing'))[0]).toMatchObject({ state: 'open', unwatchedSince: null });
    const details = (await world.query.changes('0', 20)).flatMap(({ change, detail }) =>
      change === 'changed' ? [detail] : [],
    );
    expect(details).toEqual([
      'nobody has looked whether it is still so since 2026-11-27T12:00:00.000Z',
      'it is looked at again',
    ]);
  });

  it('pages somebody for the stalled watch where not knowing is as bad as the worst, and is a ticket elsewhere', async () => {
    const stalled = (duty: string) => ({
      kind: 'watch-stalled' as const,
      subject: duty,
      facts: { duties: [duty], lastAt: null },
      evidence: '/healthz',
    });
    await world.signals.report(stalled('subscription-audit'));
    await world.pass(10 * MINUTE);
    expect(await world.said()).toEqual(['new watch:subscription-audit:stalled']);
    await world.signals.close('watch-stalled', 'subscription-audit');
    await world.signals.report(stalled('dead-letter-watch'));
    await world.pass(10 * MINUTE);
    expect(await world.said()).toHaveLength(2);
    expect((await named('watch-stalled-minor'))[0]).toMatchObject({ class: 'ticket', state: 'open' });
  });
});

describe('page volume', () => {
  const count = (name: string, pages: number) => ({ world: 'real' as const, name, pages });

  it('is high from the fifth page within a day on, and names the three that page most', async () => {
    expect(pageVolumeFindings([count('a', 2), count('b', 2)])).toEqual([]);
    expect(pageVolumeFindings([count('a', 1), count('b', 7), count('c', 2), count('d', 3)])).toMatchObject([
      { subject: 'real', world: 'real', facts: { pagesAtLeast: 10, offenders: ['b (5)', 'd (3)', 'c (2)'] } },
    ]);
    const volume = new PageVolume({ database: world.database, clock: world.clock, signals: world.signals });
    for (let shop = 1; shop <= 5; shop++) await world.signals.report(removed(shop));
    await world.settle();
    await volume.round();
    await world.settle();
    expect(await named('page-volume-high')).toMatchObject([
      { class: 'ticket', summary: expect.stringContaining('subscription-removed (5)') as string },
    ]);
    for (let shop = 1; shop <= 5; shop++) await world.signals.close('subscription-removed', removed(shop).subject);
    await world.settle();
    world.clock.advance(25 * 60 * MINUTE);
    await volume.round();
    await world.settle();
    expect(await named('page-volume-high')).toEqual([]);
  });
});

it('keeps one alert open for ever, and moves it with every beat', async () => {
  const { database, clock } = world;
  const watchdog = new Watchdog({ database, clock, worldOfService: () => 'real' });
  await watchdog.round();
  clock.advance(MINUTE);
  await watchdog.round();
  await world.pass(5 * MINUTE);
  expect(await named('watchdog')).toMatchObject([
    { class: 'log', state: 'open', lastSeenAt: new Date(NOON + MINUTE), count: 2 },
  ]);
  expect(await world.said()).toEqual([]);
});
