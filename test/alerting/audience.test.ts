import { describe, expect, it } from 'vitest';
import { listenersOf } from '../../src/alerting/alerting.js';
import type { Audience } from '../../src/alerting/notify/world-channels.js';
import { MINUTE, alertWorld, shopOf } from './alert-world.js';
import { refusing, removed } from './findings.js';

const PAGER: Audience = { hasPager: true, second: 'email', tickets: 'pagerduty' };
const keyOf = (shop: number): string => `shop:${shopOf(shop)}/orders/paid:subscription-removed`;

describe('while nobody is there to be told', () => {
  it('nothing is written; what is still open is told when somebody is there, and what is over is not', async () => {
    let audience: Audience | null = null;
    const world = await alertWorld({ listeners: (alert) => listenersOf(alert, audience, { alertmanagerUrl: null }) });
    await world.signals.report(removed(1));
    await world.signals.report(removed(2));
    await world.signals.report(refusing(1));
    await world.pass(10 * MINUTE);
    await world.signals.close('subscription-removed', `${shopOf(2)}/orders/paid`);
    await world.pass(10 * MINUTE);
    expect(await world.said()).toEqual([]);
    audience = PAGER;
    const listening = [{ world: 'real' as const, class: 'page' as const }];
    await world.rounds.wakeUntold(listening);
    await world.settle();
    expect(await world.said()).toEqual([`new ${keyOf(1)}`]);
    await world.rounds.wakeUntold([...listening, { world: 'real', class: 'ticket' }]);
    await world.settle();
    expect(await world.said()).toEqual([`new ${keyOf(1)}`, 'new delivery:ga4:refusing']);
  });
});

describe('who is told', () => {
  const alert = { name: 'orders-late', class: 'page', route: 'routine', world: 'sandbox' } as const;
  const told = (given: { class: 'page' | 'ticket' }, audience: Audience | null) =>
    listenersOf({ ...alert, ...given }, audience, { alertmanagerUrl: null }).map(
      ({ channel, recipient }) => `${channel}/${recipient}`,
    );

  it.each<[Audience | null, string[], string[]]>([
    [PAGER, ['pagerduty/routine'], ['pagerduty/routine']],
    [{ ...PAGER, tickets: 'second' }, ['pagerduty/routine'], ['second/tickets']],
    [{ ...PAGER, tickets: 'none' }, ['pagerduty/routine'], []],
    [{ ...PAGER, hasPager: false }, ['second/email'], []],
    [{ hasPager: false, second: null, tickets: 'second' }, [], []],
    [null, [], []],
  ])('of %j', (audience, pages, tickets) => {
    expect(told({ class: 'page' }, audience)).toEqual(pages);
    expect(told({ class: 'ticket' }, audience)).toEqual(tickets);
  });
});
