import { describe, expect, it } from 'vitest';
import { Incidents, type PagerEvent } from '../../sandbox/pagerduty/incidents.js';
import { STORY_2019 } from '../../simulation/replay/story.js';
import { told, type Told } from '../../simulation/replay/telling.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START_MS = STORY_2019.startAtMs;
const DOMAIN = 'acme.myshopify.com';
const KEY = `shop:${DOMAIN}/orders/paid:subscription-removed`;

type Heard = Parameters<typeof told>[0];

const removal = (atMs: number) => ({
  domain: DOMAIN,
  topic: 'orders/paid',
  atMs,
  noticedAtMs: atMs + MINUTE_MS,
  restoredAtMs: null,
});

/** Each is `[minute, route, key, name, action]`. */
type Sent = readonly [number, string, string, string, PagerEvent['action']];
const page = (minute: number, key = KEY): Sent => [minute, 'removed', key, 'subscription-removed', 'trigger'];

function tell(sent: readonly Sent[], more: Partial<Heard> = {}): Told {
  const incidents = new Incidents(() => undefined);
  const received = sent.map(([minute, routingKey, dedupKey, name, action]) => {
    const atMs = START_MS + minute * MINUTE_MS;
    const event = {
      routingKey,
      action,
      dedupKey,
      summary: name,
      severity: 'error',
      payload: { class: name },
      links: [],
    };
    incidents.take(event, atMs);
    return { atMs, status: 202, event };
  });
  return told({
    story: {
      ...STORY_2019,
      days: 1,
      misfortunes: [{ kind: 'door-closed', afterMs: 60 * MINUTE_MS, forMs: 40 * MINUTE_MS }],
    },
    endMs: START_MS + 30 * HOUR_MS,
    pager: { incidents, received, routeOf: ({ routingKey }) => routingKey },
    said: [],
    orders: [],
    arrivedAtMs: { plain: new Map(), plumbline: new Map() },
    removals: [removal(START_MS + 61 * MINUTE_MS)],
    known: [],
    incidents: [],
    ...more,
  });
}

describe('what the replay promises of telling', () => {
  it('is kept by one page in time for a removal, with the minutes from the removal to it', () => {
    const { broken, pages, events } = tell([page(63), [80, 'removed', KEY, 'subscription-removed', 'resolve']]);
    expect(broken).toEqual([]);
    expect(pages).toMatchObject([{ key: KEY, route: 'removed', worth: 'own', sinceMs: START_MS + 61 * MINUTE_MS }]);
    expect(events).toEqual({ trigger: 1, acknowledge: 0, resolve: 1 });
  });

  it('is broken by a removal that nobody was paged for, or too late', () => {
    expect(tell([]).broken).toEqual([expect.stringContaining('nobody was paged in time')]);
    expect(tell([page(65)]).broken).toEqual([expect.stringContaining('nobody was paged in time')]);
  });

  it('is broken by a page on another route, by two for one removal, and by one for no removal', () => {
    expect(tell([[62, 'routine', KEY, 'subscription-removed', 'trigger']]).broken).toHaveLength(1);
    const twice = [page(62), [70, 'removed', KEY, 'subscription-removed', 'resolve'] as const, page(75)];
    expect(tell(twice).broken).toEqual([expect.stringContaining('2 pages for 1 removals')]);
    const other = `shop:${DOMAIN}/orders/create:subscription-removed`;
    expect(tell([page(62), page(62, other)]).broken).toEqual([expect.stringContaining(other)]);
  });

  it('is broken by a page that said operational while orders were known missing, and not by one that said it before', () => {
    const known = [{ fromMs: START_MS + HOUR_MS, toMs: START_MS + 2 * HOUR_MS }];
    const green = (hour: number) => ({ atMs: START_MS + hour * HOUR_MS, state: 'operational' as const, headline: '' });
    const red = { atMs: START_MS + HOUR_MS, state: 'partial_outage' as const, headline: '' };
    expect(tell([page(62)], { known, said: [green(0), red, green(2)] }).broken).toEqual([]);
    expect(tell([page(62)], { known, said: [green(0), red, green(1.5)] }).broken).toHaveLength(1);
    expect(tell([page(62)], { known, said: [green(0)] }).broken).toHaveLength(1);
  });

  it('is broken by an incident that is open, or was resolved without a proof although orders were touched', () => {
    const incident = { cause: 'removal', isResolved: true, touchesOrders: true, proofs: 1 };
    expect(tell([page(62)], { incidents: [incident] }).broken).toEqual([]);
    expect(tell([page(62)], { incidents: [{ ...incident, proofs: 0 }] }).broken).toHaveLength(1);
    expect(tell([page(62)], { incidents: [{ ...incident, isResolved: false }] }).broken).toHaveLength(1);
  });

  it('counts as noise what tells of a misfortune once more, and what tells of nothing', () => {
    const routine = (minute: number, key: string): Sent => [minute, 'routine', key, 'fleet-silent', 'trigger'];
    const { pages } = tell([routine(30, 'a'), routine(61, 'b'), page(62), routine(70, 'c')]);
    expect(pages.map(({ worth }) => worth)).toEqual(['nothing', 'own', 'own', 'again']);
  });

  it('tells of each hour what the page said at its end and at its worst, beside the orders that were late and not there', () => {
    const said = [
      { atMs: START_MS, state: 'operational' as const, headline: 'well' },
      { atMs: START_MS + 70 * MINUTE_MS, state: 'partial_outage' as const, headline: 'not well' },
      { atMs: START_MS + 100 * MINUTE_MS, state: 'operational' as const, headline: 'well again' },
    ];
    const orders = [{ id: 1, domain: DOMAIN, dueAtMs: START_MS + 62 * MINUTE_MS }];
    const arrivedAtMs = { plain: new Map<number, number>(), plumbline: new Map([[1, START_MS + 90 * MINUTE_MS]]) };
    const { hours } = tell([page(62)], { said, orders, arrivedAtMs });
    expect(hours).toHaveLength(24);
    expect(hours[0]).toMatchObject({ state: 'operational', worst: 'operational', missingWithin: { plain: 0 } });
    expect(hours[1]).toEqual({
      atMs: START_MS + 2 * HOUR_MS,
      state: 'operational',
      headline: 'well again',
      worst: 'partial_outage',
      missing: { plain: 1, plumbline: 0 },
      missingWithin: { plain: 1, plumbline: 1 },
    });
    expect(hours[2]).toMatchObject({ worst: 'operational', missingWithin: { plain: 1, plumbline: 0 } });
  });
});
