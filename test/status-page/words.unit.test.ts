import { describe, expect, it } from 'vitest';
import { daysOf, pageDays, settledArrivals } from '../../src/status-page/days.js';
import { refusalOf } from '../../src/status-page/entries.js';
import { nextUpdateWords, orderFacts } from '../../src/status-page/incident-words.js';
import { instantWords, numberWords, percentWords, publicText, spanWords } from '../../src/status-page/public-words.js';
import { publicId, type SnapshotIncident } from '../../src/status-page/snapshot.js';
import { levelOf, stripDays, stripSummary } from '../../src/status-page/strip.js';
import { DAY_MS, fleetDay, HOUR_MS, MINUTE_MS, NOON_MS } from './page-rig.js';

const TODAY = NOON_MS - 12 * HOUR_MS;

const INCIDENT: SnapshotIncident = {
  id: 'inc000000001',
  title: 'Late orders',
  severity: 1,
  state: 'investigating',
  components: [{ id: 'intake', before: 'operational' }],
  stores: 2,
  touchesOrders: true,
  ordersLost: 0,
  ordersUnrecoverable: 0,
  ordersLate: 1_204,
  ordersRecovered: 0,
  startedAtMs: NOON_MS,
  declaredAtMs: NOON_MS,
  mitigatedAtMs: null,
  resolvedAtMs: null,
  nextUpdateAtMs: NOON_MS + 20 * MINUTE_MS,
  updates: [{ id: 'upd000000001', atMs: NOON_MS, state: 'investigating', body: 'We look.' }],
};

describe('words', () => {
  it.each([
    [9_999, 10_000, '99.99 %'],
    [99_998, 100_000, '99.998 %'],
    [999_999, 1_000_000, '99.999 %'],
    [9_899, 10_000, '98.99 %'],
    [10, 10, '100 %'],
    [11, 10, '100 %'],
    [0, 10, '0.00 %'],
    [0, 0, null],
  ])('%i of %i are %s: cut, never rounded up', (arrived, owed, words) => {
    expect(percentWords(arrived, owed)).toBe(words);
  });

  it.each([
    [59_999, 'less than a minute'],
    [60_000, '1 minute'],
    [119 * MINUTE_MS, '119 minutes'],
    [120 * MINUTE_MS, '2 hours'],
    [47 * HOUR_MS, '47 hours'],
    [50 * HOUR_MS, '2 days'],
  ])('%i ms are %s', (ms, words) => {
    expect(spanWords(ms)).toBe(words);
  });

  it('names the day of an instant that is not of today', () => {
    expect(instantWords(NOON_MS, NOON_MS)).toBe('12:00 UTC');
    expect(instantWords(NOON_MS - DAY_MS, NOON_MS)).toBe('22 Nov 2026, 12:00 UTC');
    expect(numberWords(1_234_567)).toBe('1,234,567');
  });

  it.each([
    ['Gone at acme.myshopify.com since noon', 'Gone at a store since noon'],
    ['Ask jo.doe@example.com about Shop.Example', 'Ask [withheld] about [withheld]'],
    ['acme-ga4 refuses; ga4 does not', '[withheld] refuses; ga4 does not'],
    ['Order 6123456789012 of #1042 is late', 'Order [withheld] of #1042 is late'],
    ['<b>As it is & stays</b>', '<b>As it is & stays</b>'],
  ])('withholds what is nobody else’s: %s', (text, published) => {
    expect(publicText(text, new Set(['acme-ga4', 'shop.example']))).toBe(published);
  });

  it('gives the same id for the same name for ever', () => {
    expect(publicId('component:intake')).toBe('9udluiresd63');
    expect(publicId('component:status')).toMatch(/^[0-9a-z]{12}$/);
    expect(publicId('component:status')).not.toBe(publicId('component:intake'));
  });
});

describe('a promise of the next word', () => {
  it.each<[string, Partial<SnapshotIncident>, number, string | null]>([
    ['is told while it stands', {}, NOON_MS, 'Next update by 12:20 UTC.'],
    [
      'is told to be broken when it was not kept',
      {},
      NOON_MS + 21 * MINUTE_MS,
      'An update was due by 12:20 UTC and has not come yet.',
    ],
    ['is not made up', { nextUpdateAtMs: null }, NOON_MS, null],
    ['is over with the incident', { state: 'resolved', resolvedAtMs: NOON_MS }, NOON_MS, null],
  ])('%s', (_when, given, nowMs, words) => {
    expect(nextUpdateWords({ ...INCIDENT, ...given }, nowMs)).toBe(words);
  });

  it('says outright that no order was lost, once that is known', () => {
    expect(Object.fromEntries(orderFacts(INCIDENT))['Orders missing now']).toBe('none known so far');
    expect(Object.fromEntries(orderFacts({ ...INCIDENT, state: 'resolved' }))).toEqual({
      'Orders lost': 'none',
      'Orders late': '1,204',
      'Orders brought in since': 'none',
    });
  });
});

describe('what people may not say', () => {
  const may = (given: Partial<Parameters<typeof refusalOf>[0]>) =>
    refusalOf({
      worsen: 'partial_outage',
      from: new Date(NOON_MS),
      until: new Date(NOON_MS + HOUR_MS),
      shown: 'operational',
      now: new Date(NOON_MS),
      ...given,
    });

  it.each([
    ['worse', {}],
    ['the same, so that it stays', { shown: 'partial_outage' as const }],
    ['only a note', { worsen: null, shown: 'major_outage' as const }],
    [
      'maintenance that is still to come',
      {
        worsen: 'under_maintenance' as const,
        shown: 'major_outage' as const,
        from: new Date(NOON_MS + 1),
        until: new Date(NOON_MS + HOUR_MS),
      },
    ],
  ])('%s is heard', (_what, given) => {
    expect(may(given)).toBeNull();
  });

  it.each([
    ['better', { shown: 'major_outage' as const }, /never improve it/],
    [
      'maintenance of what nobody knows',
      { worsen: 'under_maintenance' as const, shown: 'unknown' as const },
      /says unknown now/,
    ],
    ['what is over', { until: new Date(NOON_MS) }, /over before it began/],
    ['for longer than anybody remembers', { until: new Date(NOON_MS + 15 * DAY_MS) }, /more than 14 days/],
  ])('%s is refused, with the reason', (_what, given, reason) => {
    expect(may(given)).toMatch(reason);
  });
});

describe('days', () => {
  it('counts each component by its own formula', () => {
    const [all] = [fleetDay(TODAY - DAY_MS, null, { sold: 200, lost: 3 })];
    const items = [
      {
        ...all,
        lost: [
          { stage: 'logged' as const, orders: 2 },
          { stage: 'processed' as const, orders: 1 },
        ],
      },
      fleetDay(TODAY - DAY_MS, 'ga4', { sold: 100, lost: 3 }),
    ];
    const day = '2026-11-22';
    const orders = { unit: 'orders', day, isSettled: true };
    expect(daysOf(items, NOON_MS)).toEqual([
      { component: 'reconciliation', unit: 'stores', day, owed: 4, arrived: 4, isSettled: true },
      { component: 'settled', ...orders, owed: 200, arrived: 197 },
      { component: 'intake', ...orders, owed: 200, arrived: 198 },
      { component: 'processing', ...orders, owed: 198, arrived: 197 },
      { component: 'delivery:ga4', ...orders, owed: 100, arrived: 97 },
    ]);
  });

  it('has no figure of a day in which nothing was sold, and none of reconciliation before the day is over', () => {
    expect(daysOf([fleetDay(TODAY, null, { sold: 0 })], NOON_MS)).toEqual([]);
  });

  it('calls a figure final only once all of the day has settled', () => {
    expect(daysOf([fleetDay(TODAY, 'ga4', { sold: 10, isSettled: false })], NOON_MS)).toMatchObject([
      { isSettled: false },
    ]);
  });

  it('counts a day without a minute published as a day of nothing', () => {
    const days = pageDays(new Map([['2026-11-23', 700]]), TODAY - 2 * DAY_MS + 6 * HOUR_MS, NOON_MS);
    expect(days.map(({ day, owed, arrived }) => [day, owed, arrived])).toEqual([
      ['2026-11-21', 1_080, 0],
      ['2026-11-22', 1_440, 0],
      ['2026-11-23', 720, 700],
    ]);
  });

  it('adds up only what has settled', () => {
    const kept = daysOf(
      [fleetDay(TODAY - DAY_MS, null, { sold: 50, lost: 1 }), fleetDay(TODAY, null, { sold: 9, isSettled: false })],
      NOON_MS,
    );
    expect(settledArrivals(kept, '2026-11-01', '2026-11-24')).toEqual({ owed: 50, arrived: 49, days: 1 });
    expect(settledArrivals(kept, '2026-11-23', '2026-11-24')).toBeNull();
  });

  it.each([
    [undefined, 'none'],
    [{ owed: 0, arrived: 0, isSettled: true }, 'none'],
    [{ owed: 10, arrived: 10, isSettled: true }, 'full'],
    [{ owed: 10, arrived: 10, isSettled: false }, 'counting'],
    [{ owed: 10_000, arrived: 9_999, isSettled: true }, 'slight'],
    [{ owed: 10_000, arrived: 9_998, isSettled: false }, 'some'],
    [{ owed: 100, arrived: 98, isSettled: true }, 'heavy'],
  ])('shows %o as %s', (figure, level) => {
    expect(levelOf(figure && { day: '2026-11-22', ...figure })).toBe(level);
  });

  it('names each of 90 days, what was lost in it and how many incidents it had', () => {
    const strip = {
      unit: 'orders' as const,
      days: [
        { day: '2026-11-22', owed: 10_000, arrived: 9_999, isSettled: true },
        { day: '2026-11-23', owed: 10, arrived: 10, isSettled: false },
      ],
    };
    const days = stripDays(
      strip,
      [{ ...INCIDENT, startedAtMs: NOON_MS - DAY_MS, resolvedAtMs: NOON_MS - HOUR_MS }],
      NOON_MS,
    );
    expect(days).toHaveLength(90);
    expect(days.slice(-3).map(({ words }) => words)).toEqual([
      '21 Nov 2026: no data',
      '22 Nov 2026: 99.99 %, 1 incident',
      '23 Nov 2026: 100 %, not final, 1 incident',
    ]);
    expect(days[0]?.words).toBe('26 Aug 2026: no data');
    expect(stripSummary(strip, days, 1)).toBe('99.99 % of 10,010 orders in 2 days of 90, 1 incident');
    expect(stripSummary(undefined, stripDays(undefined, [], NOON_MS), 0)).toBe('No data in 90 days');
  });
});
