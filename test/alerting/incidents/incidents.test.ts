import { beforeEach, describe, expect, it } from 'vitest';
import type { IncidentView } from '../../../src/alerting/contract.js';
import { HOUR, IncidentWorld, MINUTE, NOON } from './incident-world.js';

const ACME = 'acme.myshopify.com';
const BOLT = 'bolt.myshopify.com';

let world: IncidentWorld;
beforeEach(async () => {
  world = await IncidentWorld.open();
});

/** A removal that is over, with its proof asked for. */
async function mitigated(): Promise<string> {
  const alert = world.opens('subscription-removed');
  await world.settle();
  world.clock.advance(10 * MINUTE);
  world.happens(alert, 'closed');
  await world.settle();
  return (await world.one()).id;
}

const REPORTS = {
  title: 'Reports look wrong',
  severity: 3 as const,
  components: ['processing' as const],
  shops: [],
  touchesOrders: true,
  world: 'real' as const,
  actor: 'ada',
};
const desk = () => world.incidents;
async function declare(given: { shops?: string[]; world?: 'real' | 'sandbox' } = {}): Promise<IncidentView> {
  const declared = await desk().declare({ ...REPORTS, ...given });
  if ('unknownShops' in declared) throw new Error(`unknown: ${declared.unknownShops.join()}`);
  return declared.incident;
}

const complete = { state: 'complete' as const, finishedAt: new Date(NOON) };

describe('an alert', () => {
  it('that wakes somebody opens an incident with its severity, its cause, and a public word that names no shop', async () => {
    world.opens('subscription-removed', { facts: { lastSeenAt: new Date(NOON - 5 * MINUTE).toISOString() } });
    await world.settle();
    expect(await world.one()).toMatchObject({
      id: expect.stringMatching(/^[a-z0-9]{12}$/) as string,
      world: 'real',
      title: 'Order events of 1 store delayed',
      cause: 'removal',
      severity: 2,
      severityReason: 'an alert of severity 2',
      state: 'identified',
      components: ['intake'],
      shops: [ACME],
      touchesOrders: true,
      public: true,
      startedAt: new Date(NOON - 5 * MINUTE),
      declaredAt: new Date(NOON),
      mitigatedAt: null,
      alertsOpen: 1,
      gate: ['1 of its alerts is open', 'a reconciliation begun after mitigation'],
    });
    expect(await world.timeline()).toEqual([
      `declared: subscription-removed at ${ACME}`,
      `alert-joined: subscription-removed at ${ACME}`,
      expect.stringContaining('public-update: New orders of 1 store reach their destinations late'),
    ]);
  });

  it.each([
    ['is a ticket', { class: 'ticket' as const }],
    ['is of severity 3', { severity: 3 as const }],
    ['is silenced', { silencedBy: '4' }],
    ['is told of by another one that is no incident', { inhibitedBy: '99' }],
    ['is pending', { state: 'pending' as const }],
  ])('that %s opens none', async (_what, given) => {
    world.opens('store-silent', given);
    await world.settle();
    expect(await world.all()).toEqual([]);
  });

  it('that gets worse opens one then', async () => {
    const alert = world.opens('store-silent', { severity: 3 });
    await world.settle();
    world.happens(alert, 'changed', { severity: 1 });
    await world.settle();
    expect(await world.one()).toMatchObject({ severity: 1, cause: 'silence' });
  });

  it('of the same wave joins, and three shops make it severity 1', async () => {
    world.opens('subscription-removed');
    world.opens('subscription-removed', { shop: BOLT });
    world.opens('subscription-removed', { shop: world.addShop('cart') });
    world.addShop('dusk');
    await world.settle();
    expect(await world.one()).toMatchObject({
      severity: 1,
      severityReason: 'subscriptions of 3 shops removed',
      title: 'Order events of 3 stores delayed',
      shops: [ACME, BOLT, 'cart.myshopify.com'],
      alertsOpen: 3,
    });
    expect(await world.told()).toHaveLength(1);
  });

  it('of missing orders joins the removal that explains them; another destination stays an incident of its own', async () => {
    world.opens('subscription-removed');
    await world.settle();
    world.clock.advance(20 * MINUTE);
    world.opens('orders-missing', {
      destination: 'ga4',
      facts: { oldestSoldAt: new Date(NOON + MINUTE).toISOString(), stages: ['logged'] },
    });
    world.opens('destination-outage', { shop: null, facts: { destinationKind: 'ga4' } });
    await world.settle();
    const [removal, outage, ...more] = await world.all();
    expect(more).toEqual([]);
    expect(removal).toMatchObject({ cause: 'removal', alertsOpen: 2, shops: [ACME] });
    // Every shop that its destination works for.
    expect(outage).toMatchObject({ cause: 'destination:ga4', components: ['delivery:ga4'], shops: [ACME, BOLT] });
  });

  it('of the removal, after the orders it explains, becomes the cause', async () => {
    world.opens('orders-missing', { destination: 'ga4', facts: { stages: ['logged'] } });
    await world.settle();
    expect(await world.one()).toMatchObject({ cause: 'orders', state: 'investigating' });
    world.clock.advance(5 * MINUTE);
    world.opens('subscription-removed', { facts: { goneSince: new Date(NOON - HOUR).toISOString() } });
    await world.settle();
    expect(await world.one()).toMatchObject({
      cause: 'removal',
      state: 'identified',
      startedAt: new Date(NOON - HOUR),
      title: 'Order events of 1 store delayed',
    });
  });

  it('of the sandbox never joins one of the real world', async () => {
    world.opens('subscription-removed');
    world.opens('subscription-removed', { world: 'sandbox', shop: 'toy.myshopify.com' });
    await world.settle();
    expect(await world.all('sandbox')).toHaveLength(1);
    expect(await world.all('real')).toHaveLength(1);
  });

  it('that is folded into one of an incident brings its shop', async () => {
    const chief = world.opens('store-silent', { shop: ACME });
    await world.settle();
    world.opens('store-silent', { shop: BOLT, foldedInto: chief });
    await world.settle();
    expect((await world.one()).shops).toEqual([ACME, BOLT]);
  });

  it('of many shops is about those of its signals', async () => {
    for (const shop of [ACME, BOLT]) world.opens('store-silent', { shop, severity: 3, foldedInto: '9' });
    world.addShop('calm');
    world.opens('store-silent', { id: '9', shop: null, shops: 2 });
    await world.settle();
    expect(await world.one()).toMatchObject({ shops: [ACME, BOLT], title: 'No orders arriving from 2 stores' });
  });

  it('that names no shop looks at all, tells no number, and adds none to the incident that explains it', async () => {
    const burn = world.opens('throughput-burn-fast', { shop: null, shops: 0, severity: 1 });
    await world.settle();
    expect(await world.one()).toMatchObject({
      shops: [ACME, BOLT],
      title: 'Orders of some stores delayed at their destinations',
    });
    world.happens(burn, 'closed');
    world.clock.advance(2 * HOUR);
    world.opens('subscription-removed');
    world.opens('throughput-burn-fast', { shop: null, shops: 0, severity: 1 });
    await world.settle();
    const [, removal, ...more] = await world.all();
    expect(more).toEqual([]);
    expect(removal).toMatchObject({
      cause: 'removal',
      shops: [ACME],
      alertsOpen: 2,
      title: 'Order events of 1 store delayed',
    });
  });

  it('leaves a line for all that happens to it', async () => {
    const alert = world.opens('destination-refusing', { shop: null, destination: 'ga4', summary: 'ga4 refuses' });
    await world.settle();
    world.happens(alert, 'acknowledged', {}, { actor: 'ada', detail: 'on it' });
    world.happens(alert, 'changed', { severity: 1, summary: 'ga4 refuses everything' });
    world.happens(alert, 'closed');
    await world.settle();
    const { id } = await world.one();
    const entries = await world.incidents.timeline(id);
    expect(
      entries.filter(({ kind }) => kind !== 'public-update').map(({ kind, actor, text }) => [kind, actor, text]),
    ).toEqual([
      ['declared', null, 'ga4 refuses'],
      ['alert-joined', null, 'ga4 refuses'],
      ['alert-acknowledged', 'ada', 'Acknowledged (on it): ga4 refuses'],
      ['alert-changed', null, 'ga4 refuses everything'],
      ['alert-closed', null, 'ga4 refuses everything'],
      ['state', null, 'Mitigated: the last of its alerts has closed'],
      ['severity-raised', null, 'Severity 2 raised to 1: an alert of severity 1'],
      ['proof', null, `${ACME}: reconciliation 1 asked for`],
      ['proof', null, `${BOLT}: reconciliation 2 asked for`],
    ]);
    expect(await world.incidents.alertsOf(id)).toMatchObject([{ severity: 1, closedAt: new Date(NOON) }]);
  });
});

describe('mitigation', () => {
  it('is when the last alert closes, and is taken back by one that joins within an hour', async () => {
    const one = world.opens('subscription-removed');
    const other = world.opens('subscription-removed', { shop: BOLT });
    await world.settle();
    world.happens(one, 'closed');
    await world.settle();
    expect(await world.one()).toMatchObject({ mitigatedAt: null, alertsOpen: 1 });
    world.clock.advance(MINUTE);
    world.happens(other, 'closed');
    await world.settle();
    expect(await world.one()).toMatchObject({ mitigatedAt: new Date(NOON + MINUTE), state: 'monitoring' });
    world.clock.advance(59 * MINUTE);
    world.opens('subscription-removed');
    await world.settle();
    expect(await world.one()).toMatchObject({ mitigatedAt: null, state: 'identified' });
    expect((await world.told()).at(-1)).toMatch(/^identified: It goes on again\./);
  });

  it('that is older than an hour is not taken back: the next is another incident', async () => {
    await mitigated();
    world.clock.advance(61 * MINUTE);
    world.opens('subscription-removed');
    await world.settle();
    expect(await world.all()).toHaveLength(2);
  });
});

describe('the gate', () => {
  it('asks for a reconciliation of each shop from four hours before until mitigation, and resolves with it as the proof', async () => {
    const id = await mitigated();
    expect(world.desk.runs).toMatchObject([
      { shop: ACME, from: new Date(NOON - 4 * HOUR), to: new Date(NOON + 10 * MINUTE), requestedBy: 'incident' },
    ]);
    expect((await world.one()).gate).toEqual([`${ACME}: reconciliation 1 is queued`]);
    await world.lives(5 * MINUTE);
    expect((await world.one()).resolvedAt).toBeNull();
    world.desk.become('1', complete);
    await world.lives(MINUTE);
    expect(await world.one()).toMatchObject({ state: 'resolved', proofs: ['1'], gate: [] });
    expect(await world.timeline()).toContain('resolved: Resolved: no order lost; proved by reconciliation 1');
    expect((await world.told()).at(-1)).toMatch(/^resolved: Resolved\. Proved at .* Data loss: none\./);
    expect(world.desk.runs).toHaveLength(1);
    expect(await world.incidents.resolve(id, 'ada')).toMatchObject({ incident: { state: 'resolved' } });
  });

  it('cannot be passed by hand before the proof', async () => {
    const alert = world.opens('subscription-removed');
    await world.settle();
    const { id } = await world.one();
    expect(await world.incidents.resolve(id, 'ada')).toMatchObject({
      refused: '1 of its alerts is open; a reconciliation begun after mitigation',
    });
    world.happens(alert, 'closed');
    await world.settle();
    expect(await world.incidents.resolve(id, 'ada')).toMatchObject({ refused: `${ACME}: reconciliation 1 is queued` });
    world.desk.become('1', complete);
    expect(await world.incidents.resolve(id, 'ada')).toMatchObject({ incident: { state: 'resolved', proofs: ['1'] } });
  });

  it('is not opened by a run begun before mitigation', async () => {
    world.opens('subscription-removed');
    await world.settle();
    const early = await world.desk.request(ACME, new Date(NOON - 9 * HOUR), new Date(NOON + 9 * HOUR), 'ada');
    world.desk.become(early ?? '', complete);
    world.clock.advance(MINUTE);
    world.happens('1', 'closed');
    await world.settle();
    const { id } = await world.one();
    expect(await world.incidents.resolve(id, 'ada')).toMatchObject({ refused: `${ACME}: reconciliation 2 is queued` });
  });

  it('is not opened by a run that covers half of the time, and is by a wider one that somebody else asked for', async () => {
    const id = await mitigated();
    const half = await world.desk.request(ACME, new Date(NOON), new Date(NOON + 10 * MINUTE), 'ada');
    world.desk.become(half ?? '', complete);
    expect(await world.incidents.resolve(id, 'ada')).toHaveProperty('refused');
    const wide = await world.desk.request(ACME, new Date(NOON - 5 * HOUR), new Date(NOON + 11 * MINUTE), 'ada');
    world.desk.become(wide ?? '', complete);
    expect(await world.incidents.resolve(id, 'ada')).toMatchObject({ incident: { proofs: [wide] } });
  });

  it('is not opened while gaps are open, whoever found them; dead ones are lost, and said to be', async () => {
    const id = await mitigated();
    world.desk.become('1', { state: 'settling', open: 1 });
    expect(await world.incidents.resolve(id, 'ada')).toEqual({
      refused: `${ACME}: 1 order of reconciliation 1 not recovered yet`,
    });
    world.desk.become('1', { ...complete, open: 0 });
    world.desk.gapList = [world.gap('77', { state: 'requeued', soldAt: new Date(NOON) })];
    expect(await world.incidents.resolve(id, 'ada')).toEqual({ refused: '1 order of its time not recovered yet' });
    world.desk.gapList = [world.gap('77', { state: 'dead', reason: 'erased', soldAt: new Date(NOON) })];
    expect(await world.incidents.resolve(id, 'ada')).toMatchObject({
      incident: { state: 'resolved', severity: 1, ordersLost: 1, ordersUnrecoverable: 1 },
    });
    expect((await world.told()).at(-1)).toContain('Data loss: 1 order could not be brought to every destination.');
  });

  it.each(['partial', 'blind'] as const)(
    'is not opened by a run that is %s; it goes on, and counts when complete',
    async (state) => {
      await mitigated();
      world.desk.become('1', { state, detail: 'HTTP 503' });
      await world.lives(30 * MINUTE);
      expect(await world.one()).toMatchObject({
        resolvedAt: null,
        gate: [`${ACME}: reconciliation 1 is ${state}: HTTP 503`],
      });
      expect(world.desk.runs).toHaveLength(1);
      await world.lives(6 * HOUR, 10 * MINUTE);
      expect(world.desk.runs).toHaveLength(2);
      world.desk.become('1', { ...complete, detail: null });
      await world.lives(MINUTE);
      expect(await world.one()).toMatchObject({ state: 'resolved', proofs: ['1'] });
    },
  );

  it('asks again for a run that failed', async () => {
    await mitigated();
    world.desk.become('1', { state: 'failed', detail: 'no token' });
    await world.lives(MINUTE);
    expect(world.desk.runs).toHaveLength(1);
    await world.lives(6 * MINUTE);
    expect(world.desk.runs).toHaveLength(2);
    expect((await world.one()).gate).toEqual([`${ACME}: reconciliation 2 is queued`]);
  });

  it('forgets the proof of a mitigation that was none', async () => {
    await mitigated();
    world.opens('subscription-removed', { id: '9' });
    await world.settle();
    world.desk.become('1', complete);
    world.clock.advance(MINUTE);
    world.happens('9', 'closed');
    await world.settle();
    expect(await world.one()).toMatchObject({ state: 'monitoring', gate: [`${ACME}: reconciliation 2 is queued`] });
  });

  it('is not passed by a proof that was looked up while the trouble came back', async () => {
    const id = await mitigated();
    world.desk.become('1', complete);
    const { signal } = new AbortController();
    world.desk.meanwhile = async () => {
      world.desk.meanwhile = () => Promise.resolve();
      world.opens('subscription-removed');
      await world.incidents.duties()[0]?.round(signal);
    };
    expect(await world.incidents.resolve(id, 'ada')).toHaveProperty('refused');
    expect(await world.one()).toMatchObject({ state: 'identified', mitigatedAt: null, proofs: [], alertsOpen: 1 });
  });

  it('waits for no shop that has left, and says so', async () => {
    const alerts = [ACME, BOLT].map((shop) => world.opens('subscription-removed', { shop }));
    await world.settle();
    for (const alert of alerts) world.happens(alert, 'closed');
    world.uninstall(BOLT);
    await world.settle();
    world.desk.become('1', complete);
    await world.lives(MINUTE);
    expect(await world.one()).toMatchObject({ state: 'resolved', proofs: ['1'] });
    expect((await world.told()).at(-1)).toContain('1 store could not be compared.');
  });

  it('has twenty shops compared at a time, and a blind one holds up no other', async () => {
    for (let shop = 0; shop < 58; shop++) world.addShop(`shop-${shop}`);
    const alert = world.opens('destination-refusing', { shop: null, destination: 'ga4' });
    await world.settle();
    world.happens(alert, 'closed');
    await world.settle();
    expect(world.desk.runs).toHaveLength(20);
    for (let done = 0; done < 60;) {
      const waiting = world.desk.runs.filter(({ state }) => state === 'queued');
      expect(waiting.length).toBeLessThanOrEqual(20);
      for (const { id } of waiting) world.desk.become(id, done++ === 3 ? { state: 'blind' } : complete);
      await world.lives(20_000, 10_000);
    }
    expect(await world.one()).toMatchObject({ state: 'monitoring' });
    expect((await world.one()).gate).toHaveLength(1);
    world.desk.become('4', complete);
    await world.lives(MINUTE, 10_000);
    expect((await world.one()).state).toBe('resolved');
    expect((await world.one()).proofs).toHaveLength(60);
  });

  it('of an incident that touches no orders opens when it has been quiet for fifteen minutes', async () => {
    const alert = world.opens('notifier-failing', { shop: null });
    await world.settle();
    world.happens(alert, 'closed');
    await world.lives(14 * MINUTE);
    expect(await world.one()).toMatchObject({ state: 'monitoring', public: false, nextUpdateAt: null });
    await world.lives(2 * MINUTE);
    expect((await world.one()).state).toBe('resolved');
    expect(world.desk.runs).toEqual([]);
    expect(await world.told()).toEqual([]);
  });
});

describe('the figures', () => {
  it('of orders lost, late and recovered are live, raise the severity, and leave a line', async () => {
    world.opens('subscription-removed');
    await world.settle();
    world.desk.gapList = Array.from({ length: 10 }, (_, order) => world.gap(String(order)));
    world.throughput.late = [{ shop: ACME, destination: 'ga4', start: new Date(NOON), late: 4 }];
    await world.lives(MINUTE);
    expect(await world.one()).toMatchObject({
      ordersLost: 10,
      ordersLate: 4,
      severity: 1,
      severityReason: '10 orders missing',
    });
    world.desk.gapList = world.desk.gapList.map((gap) => ({ ...gap, state: 'recovered' }));
    await world.lives(MINUTE);
    expect(await world.one()).toMatchObject({ ordersLost: 0, ordersRecovered: 10, severity: 1 });
    await world.lives(5 * MINUTE);
    expect((await world.timeline()).filter((line) => line.startsWith('recovery'))).toEqual([
      'recovery: 10 orders recovered so far, none missing',
    ]);
  });

  it('of an outage say how many are held', async () => {
    world.lanes = [
      {
        destination: 'ga4',
        shop: ACME,
        state: 'open',
        since: null,
        retryAt: null,
        failures: 3,
        lastError: null,
        backlog: 42,
        oldestQueuedAt: null,
      },
    ];
    world.opens('destination-refusing', { shop: null, destination: 'ga4' });
    await world.settle();
    await world.lives(31 * MINUTE);
    expect((await world.told()).at(-1)).toContain('Held, not lost: 42 orders queued.');
  });

  it('that grow for two hours make a 2 a 1', async () => {
    world.opens('destination-refusing', { shop: null, destination: 'ga4' });
    await world.settle();
    for (let late = 1; late <= 13; late++) {
      world.throughput.soldAnHour = 100_000;
      world.throughput.late = [{ shop: ACME, destination: 'ga4', start: new Date(NOON), late }];
      await world.lives(10 * MINUTE, 10 * MINUTE);
    }
    expect(await world.one()).toMatchObject({
      severity: 1,
      severityReason: 'not mitigated for over 2 hours, and the loss is growing',
    });
  });
});

describe('the public', () => {
  it('hears of it again by the promised time, and of more stores', async () => {
    world.opens('subscription-removed');
    await world.settle();
    expect((await world.one()).nextUpdateAt).toEqual(new Date(NOON + 30 * MINUTE));
    world.clock.advance(MINUTE);
    world.opens('subscription-removed', { shop: BOLT });
    await world.settle();
    await world.lives(2 * MINUTE);
    expect((await world.told()).at(-1)).toContain('2 stores are affected by now.');
    const promisedAt = (await world.one()).nextUpdateAt;
    await world.lives(40 * MINUTE);
    const updates = await world.incidents.updates((await world.one()).id);
    expect(updates).toHaveLength(4);
    expect(updates[1]?.at.getTime()).toBeLessThanOrEqual(promisedAt?.getTime() ?? 0);
    for (const { body } of updates) {
      expect(body).toMatch(/Next update by \d\d:\d\d UTC\.$/);
      expect(body).not.toMatch(/acme|bolt/);
    }
  });
});

describe('people', () => {
  it('declare, note, raise, tell the public, and end what nobody else noticed', async () => {
    const { id, ...declared } = await declare();
    expect(declared).toMatchObject({ state: 'investigating', shops: [ACME, BOLT], public: false, cause: 'declared' });
    expect(await world.incidents.note(id, 'looked at the ledger', 'ada')).toMatchObject({ id });
    expect(await world.incidents.raise(id, 3, 'same', 'ada')).toHaveProperty('refused');
    expect(await world.incidents.raise(id, 4, 'less', 'ada')).toHaveProperty('refused');
    expect(await world.incidents.raise(id, 1, 'it is worse', 'ada')).toMatchObject({
      incident: { severity: 1, severityReason: 'it is worse' },
    });
    expect(await world.incidents.update(id, 'resolved', 'Over.', 'ada')).toHaveProperty('refused');
    expect(await world.incidents.update(id, 'monitoring', 'We changed it back.', 'ada')).toMatchObject({
      incident: { state: 'monitoring', public: true, mitigatedAt: new Date(NOON), title: 'Reports look wrong' },
    });
    expect(await world.incidents.update(id, 'investigating', 'It came back.', 'ada')).toMatchObject({
      incident: { mitigatedAt: null },
    });
    await world.incidents.update(id, 'monitoring', 'Once more.', 'ada');
    await world.settle();
    for (const run of world.desk.runs) world.desk.become(run.id, complete);
    expect(await world.incidents.resolve(id, 'ada')).toMatchObject({ incident: { state: 'resolved' } });
    expect(await world.incidents.raise(id, 1, 'late', 'ada')).toHaveProperty('refused');
    expect(await world.incidents.update(id, 'investigating', 'Again?', 'ada')).toHaveProperty('refused');
    expect(await world.incidents.update(id, 'resolved', 'The report is at …', 'ada')).toHaveProperty('incident');
  });

  it('declare it of shops that are registered in its world, so that every one of them is compared', async () => {
    const pretended = world.addShop('pretended', { world: 'sandbox' });
    for (const shops of [['acne.myshopify.com'], [ACME, pretended]]) {
      expect(await desk().declare({ ...REPORTS, shops })).toEqual({ unknownShops: [shops.at(-1)] });
    }
    expect(await world.all()).toEqual([]);
    expect(await declare({ shops: [pretended], world: 'sandbox' })).toMatchObject({ shops: [pretended] });
    // Nobody names a shop: every one of its world, and none of the other.
    expect(await declare()).toMatchObject({ shops: [ACME, BOLT] });
  });

  it('wait for ever for a shop that its world does not know: nothing compared is no proof', async () => {
    const { id } = await declare();
    await world.db.database.query('insert into alerting.incident_shop (incident_id, shop) values ($1, $2)', [
      id,
      world.addShop('pretended', { world: 'sandbox', uninstalledAt: world.clock.now() }),
    ]);
    await desk().update(id, 'monitoring', 'Over.', 'ada');
    await world.settle();
    for (const run of world.desk.runs) world.desk.become(run.id, complete);
    world.clock.advance(HOUR);
    expect(await desk().resolve(id, 'ada')).toEqual({
      refused: 'pretended.myshopify.com: it is not registered in the world of the incident, so nothing can be compared',
    });
  });

  it('have what they do in the audit log, or have not done it', async () => {
    const { id } = await declare();
    await world.db.database.query(`alter table kernel.audit add constraint full_disk check (actor <> 'eve')`);
    const before = await world.timeline();
    await expect(desk().note(id, 'x', 'eve')).rejects.toThrow('full_disk');
    await expect(desk().update(id, 'identified', 'x', 'eve')).rejects.toThrow('full_disk');
    await expect(desk().raise(id, 1, 'x', 'eve')).rejects.toThrow('full_disk');
    await expect(desk().declare({ ...REPORTS, actor: 'eve' })).rejects.toThrow('full_disk');
    expect(await world.timeline()).toEqual(before);
    expect(await world.one()).toMatchObject({ id, severity: 3, state: 'investigating' });
  });

  it('cannot say that it is over while its alerts are open', async () => {
    world.opens('subscription-removed');
    await world.settle();
    const { id } = await world.one();
    expect(await world.incidents.update(id, 'monitoring', 'Fixed.', 'ada')).toEqual({
      refused: '1 of its alerts is open',
    });
    expect(await world.incidents.note('nosuchone', 'x', 'ada')).toBeNull();
    expect(await world.incidents.resolve('nosuchone', 'ada')).toBeNull();
  });
});

describe('history', () => {
  it.each(['incident_event', 'incident_update'])('of %s is edited by nobody', async (table) => {
    world.opens('subscription-removed');
    await world.settle();
    const { database } = world.db;
    const refused = /appended to, never changed/;
    await expect(database.query(`update alerting.${table} set actor = 'me'`)).rejects.toThrow(refused);
    await expect(database.query(`delete from alerting.${table}`)).rejects.toThrow(refused);
    await expect(database.query(`truncate alerting.${table}`)).rejects.toThrow(refused);
  });
});
