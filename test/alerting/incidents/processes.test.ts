import { expect, it } from 'vitest';
import { PgProxy } from '../../../simulation/pg-proxy.js';
import { Database } from '../../../src/kernel/database.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { IncidentWorld, MINUTE } from './incident-world.js';

/** A storm: thirty shops lose four topics each; some of it is acknowledged, and all of it ends. */
function storm(world: IncidentWorld): { joined: number; acknowledged: number } {
  const alerts: string[] = [];
  for (let shop = 0; shop < 30; shop++) {
    const domain = world.addShop(`shop-${shop}`);
    for (let topic = 0; topic < 4; topic++) {
      alerts.push(world.opens('subscription-removed', { shop: domain, summary: `${domain} lost topic ${topic}` }));
    }
  }
  for (let index = 0; index < alerts.length; index += 3) {
    world.happens(alerts[index] ?? '', 'acknowledged', {}, { actor: 'ada' });
  }
  world.clock.advance(MINUTE);
  for (const alert of alerts) world.happens(alert, 'closed');
  return { joined: alerts.length, acknowledged: Math.ceil(alerts.length / 3) };
}

async function expectEachOnce(world: IncidentWorld, told: { joined: number; acknowledged: number }): Promise<void> {
  const incident = await world.one();
  expect(incident).toMatchObject({ alertsOpen: 0, severity: 1, state: 'monitoring', mitigatedAt: world.clock.now() });
  expect(incident.shops).toHaveLength(30);
  const entries = await world.incidents.timeline(incident.id);
  const count = (kind: string): number => entries.filter((entry) => entry.kind === kind).length;
  expect(count('declared')).toBe(1);
  expect(count('alert-joined')).toBe(told.joined);
  expect(count('alert-acknowledged')).toBe(told.acknowledged);
  expect(count('alert-closed')).toBe(told.joined);
  expect(count('state')).toBe(1);
  const updates = await world.incidents.updates(incident.id);
  expect(updates.map(({ state }) => state).reverse()).toEqual(['identified', 'monitoring']);
  expect(count('public-update')).toBe(2);
}

it('writes each line once, however many processes follow at once', async () => {
  const world = await IncidentWorld.open();
  const others = [2, 3].map((seed) => {
    const database = new Database({ url: world.db.url, log: silentLogger, poolSize: 4 });
    return { database, incidents: world.process(database, seed) };
  });
  const told = storm(world);
  const { signal } = new AbortController();
  const follow = async (incidents: IncidentWorld['incidents']): Promise<void> => {
    const duty = incidents.duties().find(({ name }) => name === 'incidents');
    for (let round = 0; round < 10; round++) await duty?.round(signal);
  };
  await Promise.all([world.incidents, ...others.map(({ incidents }) => incidents)].map(follow));
  await expectEachOnce(world, told);

  // Looks are claimed: each shop's reconciliation is asked for once as well.
  const settled = [world.incidents, ...others.map(({ incidents }) => incidents)].map((each) => world.settle(each));
  await Promise.all(settled);
  expect(world.desk.runs).toHaveLength(20);
  expect(new Set(world.desk.runs.map(({ shop }) => shop)).size).toBe(20);
  await Promise.all(others.map(({ database }) => database.end()));
});

it('writes each line once when a process is killed anywhere on its way', async () => {
  const world = await IncidentWorld.open();
  const told = storm(world);
  const { signal } = new AbortController();
  let kills = 0;
  // Later each time, by steps that meet every statement of a round sooner or later; then one that is let live.
  for (let pieces = 1; pieces < 900; pieces += 1 + Math.floor(pieces / 7)) {
    const proxy = await PgProxy.to(world.db.url);
    const database = new Database({ url: proxy.url, log: silentLogger, poolSize: 2 });
    const incidents = world.process(database, pieces);
    let killed = false;
    proxy.arm(pieces, () => {
      killed = true;
      proxy.refuse();
    });
    const duty = incidents.duties().find(({ name }) => name === 'incidents');
    await duty?.round(signal).catch(() => undefined);
    if (killed) kills++;
    await database.end();
    await proxy.close();
  }
  expect(kills).toBeGreaterThan(10);
  for (let round = 0; round < 5; round++) await world.incidents.duties()[0]?.round(signal);
  await expectEachOnce(world, told);
});
