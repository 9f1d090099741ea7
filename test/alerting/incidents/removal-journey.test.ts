import { afterAll, expect, inject, it } from 'vitest';
import { Databases } from '../../../simulation/databases.js';
import { Stage } from '../../../simulation/stage.js';
import type { IncidentView } from '../../../src/alerting/contract.js';

const START = Date.UTC(2026, 10, 27, 12);
const SECOND = 1_000;
const MINUTE = 60 * SECOND;

const databases = new Databases((name) => inject('serverUrl').replace('{database}', name), `incidents_${process.pid}`);
afterAll(() => databases.end());

it('a removed subscription becomes one incident, which ends by itself with a proof, and told the truth throughout', async () => {
  const stage = await Stage.start({
    databases,
    seed: 7,
    startAtMs: START,
    storeCount: 2,
    ordersPerSecond: 0,
    removal: 'subscription',
    topics: ['orders/create', 'orders/paid', 'orders/updated', 'orders/cancelled', 'refunds/create'],
    farSides: ['lake', 'hook'],
    restsMs: 30 * SECOND,
  });
  try {
    const [acme = '', other = ''] = [...stage.world.shops.keys()];
    const { incidents, alerts } = stage.product.alerting;
    const live = async (ms: number): Promise<void> => {
      for (const untilMs = stage.timeline.nowMs + ms; stage.timeline.nowMs < untilMs;) {
        await stage.live(Math.min(untilMs, stage.timeline.nowMs + 30 * SECOND));
      }
    };
    // At a till: paid at once.
    const sell = (domain: string): string => stage.world.sellOne(domain, { quiet: true, channel: 'pos' }).orderId;
    const all = async (): Promise<IncidentView[]> => (await incidents.incidents({}, { limit: 10 })).items;

    // Two stores sell, and every order arrives.
    stage.open();
    await live(5 * MINUTE);
    for (const domain of [acme, other]) sell(domain);
    await live(5 * MINUTE);
    expect(await all()).toEqual([]);

    // Shopify removes two topics of one of them. It sells on: nobody is told of it.
    const removedMs = stage.timeline.nowMs;
    for (const topic of ['orders/create', 'orders/paid']) {
      stage.world.make({ kind: 'remove-subscription', store: acme, topic });
    }
    const untold = [sell(acme), sell(acme), sell(acme)];
    let [incident] = await all();
    for (let step = 0; step < 20 && !incident; step++) {
      await live(30 * SECOND);
      [incident] = await all();
    }
    // One incident for both topics, of the shop that is concerned and no other.
    expect(await all()).toHaveLength(1);
    expect(incident).toMatchObject({
      world: 'real',
      cause: 'removal',
      severity: 2,
      shops: [acme],
      touchesOrders: true,
      public: true,
      resolvedAt: null,
    });
    const id = incident?.id ?? '';
    const refused = await incidents.resolve(id, 'somebody in a hurry');
    expect(refused).toMatchObject({ refused: expect.stringContaining('are open') as string });

    // It is re-created, the gap is reconciled, the alerts close: mitigated, and not over.
    let mitigated: IncidentView | null = null;
    for (let step = 0; step < 240 && mitigated === null; step++) {
      await live(30 * SECOND);
      const now = await incidents.incident(id);
      if (now?.mitigatedAt != null) mitigated = now;
    }
    expect(mitigated).toMatchObject({ alertsOpen: 0, state: 'monitoring' });
    expect(mitigated?.gate.join()).toContain(`${acme}: reconciliation `);
    expect(await incidents.resolve(id, 'somebody in a hurry')).toHaveProperty('refused');
    // What was sold meanwhile is in, although its webhooks never came.
    const warehouse = async (): Promise<Set<string>> =>
      new Set(
        (await stage.farSides.warehouseRows()).filter(({ kind }) => kind === 'purchase').map((row) => row.subjectId),
      );
    for (const order of untold) expect(await warehouse()).toContain(order);

    // A reconciliation begun after mitigation proves all of its time: resolved, by nobody.
    let resolved: IncidentView | null = null;
    for (let step = 0; step < 60 && resolved === null; step++) {
      await live(30 * SECOND);
      const now = await incidents.incident(id);
      if (now?.resolvedAt != null) resolved = now;
    }
    expect(resolved).toMatchObject({ state: 'resolved', ordersLost: 0, gate: [] });
    const proof = await stage.product.monitoring.reconciliation.reconciliation(resolved?.proofs[0] ?? '');
    expect(proof).toMatchObject({ shop: acme, state: 'complete', open: 0, requestedBy: 'incident' });
    expect(proof?.startedAt?.getTime()).toBeGreaterThanOrEqual(resolved?.mitigatedAt?.getTime() ?? Infinity);
    expect(proof?.from.getTime()).toBeLessThanOrEqual(removedMs - 4 * 60 * MINUTE);
    expect(proof?.to).toEqual(resolved?.mitigatedAt);

    // The timeline tells it in order, and the public heard of it, of no store's name, and of what was lost.
    const kinds = (await incidents.timeline(id)).map(({ kind }) => kind);
    expect(kinds[0]).toBe('declared');
    expect(kinds.at(-1)).toBe('resolved');
    for (const kind of ['alert-joined', 'alert-closed', 'recovery', 'proof']) expect(kinds).toContain(kind);
    expect(kinds.filter((kind) => kind === 'declared')).toHaveLength(1);
    const updates = (await incidents.updates(id)).reverse();
    expect(updates.map(({ state }) => state)).toEqual(expect.arrayContaining(['identified', 'monitoring', 'resolved']));
    for (const { body } of updates) expect(body).not.toContain('myshopify');
    expect(updates.at(-1)?.body).toMatch(/Proved at \d\d:\d\d UTC by reconciliation.*Data loss: none\./);
    expect(await alerts.alerts({ state: 'live', class: 'page' }, { limit: 10 })).toMatchObject({ items: [] });
    expect([...stage.product.failures]).toEqual([]);
  } finally {
    await stage.stop();
  }
}, 120_000);
