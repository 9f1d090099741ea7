import { generateKeyPairSync, verify } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readReport, reportRange, reportRequest } from '../../../src/pipeline/destinations/ga4-report.js';
import {
  assertionOf,
  readServiceAccount,
  serviceAccountFault,
} from '../../../src/pipeline/destinations/google-account.js';
import { askingFor, pointsOf, readOverview } from '../../../src/pipeline/destinations/segment-overview.js';

// A set of samples that may lie beside the project; read in place, never copied.
const beside = join(dirname(fileURLToPath(import.meta.url)), '../../../../shared/data');
const sample = (name: string): string => readFileSync(join(beside, name), 'utf8');
const withSamples = describe.skipIf(!existsSync(join(beside, 'ga4')));

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW_MS = Date.parse('2026-11-27T10:20:30Z');
const at = (text: string): Date => new Date(text);
const json = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;

describe('the dates of a GA4 report', () => {
  it.each([
    ['2026-11-20T10:00:00Z', '2026-11-20T10:00:05Z', '2026-11-19', '2026-11-21'],
    ['2026-11-20T23:59:59Z', '2026-11-21T00:00:03Z', '2026-11-19', '2026-11-21'],
    // Arrived five days late: GA4 moved it to 72 hours before it arrived.
    ['2026-11-15T10:00:00Z', '2026-11-20T10:00:00Z', '2026-11-14', '2026-11-18'],
    ['2026-11-27T10:00:00Z', '2026-11-27T10:00:05Z', '2026-11-26', 'today'],
    ['2026-11-26T10:00:00Z', '2026-11-26T10:00:05Z', '2026-11-25', 'today'],
  ])('for what happened %s and was accepted %s are %s to %s', (occurredAt, acceptedAt, startDate, endDate) => {
    const items = [{ occurredAt: at(occurredAt), acceptedAt: at(acceptedAt) }];
    expect(reportRange(items, NOW_MS)).toEqual({ startDate, endDate });
  });

  it('hold every purchase, whatever the time zone of the property and however late it arrived', () => {
    const instant = fc.integer({ min: NOW_MS - 60 * DAY_MS, max: NOW_MS });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(instant, instant), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: -12 * 4, max: 14 * 4 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (pairs, quarterHours, early) => {
          const offsetMs = quarterHours * 15 * 60_000;
          const items = pairs.map(([one, other]) => ({
            occurredAt: new Date(Math.min(one, other)),
            acceptedAt: new Date(Math.max(one, other)),
          }));
          const { startDate, endDate } = reportRange(items, NOW_MS);
          const localDay = (ms: number): string => new Date(ms + offsetMs).toISOString().slice(0, 10);
          const end = endDate === 'today' ? localDay(NOW_MS) : endDate;
          for (const { occurredAt, acceptedAt } of items) {
            // The try that counted may have been any between the event and its acceptance.
            const arrivedMs = occurredAt.getTime() + early * (acceptedAt.getTime() - occurredAt.getTime());
            const day = localDay(Math.max(occurredAt.getTime(), arrivedMs - 72 * HOUR_MS));
            expect(day >= startDate && day <= end, `${day} in ${startDate} to ${end}`).toBe(true);
          }
        },
      ),
    );
  });
});

describe('a GA4 report', () => {
  const report = (over: object): string =>
    JSON.stringify({
      kind: 'analyticsData#runReport',
      dimensionHeaders: [{ name: 'transactionId' }],
      metricHeaders: [{ name: 'ecommercePurchases', type: 'TYPE_INTEGER' }],
      ...over,
    });
  const row = (id: string, count: string): object => ({
    dimensionValues: [{ value: id }],
    metricValues: [{ value: count }],
  });

  it('asks for the transactions by name, for purchases alone, with the state of the quota', () => {
    const range = { startDate: '2026-11-20', endDate: 'today' };
    expect(json(reportRequest(['1', '2'], range, { limit: 10, offset: 20 }))).toEqual({
      dateRanges: [range],
      dimensions: [{ name: 'transactionId' }],
      metrics: [{ name: 'ecommercePurchases' }],
      dimensionFilter: {
        andGroup: {
          expressions: [
            { filter: { fieldName: 'eventName', stringFilter: { matchType: 'EXACT', value: 'purchase' } } },
            { filter: { fieldName: 'transactionId', inListFilter: { values: ['1', '2'] } } },
          ],
        },
      },
      limit: '10',
      offset: '20',
      returnPropertyQuota: true,
    });
  });

  it('without rows is an empty report, when it says that it is a report', () => {
    expect(readReport('{"kind":"analyticsData#runReport"}')).toMatchObject({ rows: 0, rowCount: 0, withheld: null });
  });

  it.each([
    ['nothing', ''],
    ['a page for people', '<html>busy</html>'],
    ['an empty object, which is not "nothing was sold"', '{}'],
    ['null', 'null'],
    ['another report', '{"kind":"analyticsData#runRealtimeReport"}'],
    ['rows without headers', '{"kind":"analyticsData#runReport","rows":[{"dimensionValues":[],"metricValues":[]}]}'],
    ['a row without its id', report({ rows: [{ dimensionValues: [], metricValues: [{ value: '1' }] }] })],
    ['a count that is none', report({ rows: [row('1', 'many')] })],
    ['a report cut in the middle', report({ rows: [row('1', '1')] }).slice(0, -10)],
  ])('is not %s', (_what, body) => {
    expect(readReport(body)).toBeNull();
  });

  it('is read by the names of its columns, and sums one transaction over days', () => {
    const read = readReport(
      JSON.stringify({
        kind: 'analyticsData#runReport',
        dimensionHeaders: [{ name: 'date' }, { name: 'transactionId' }],
        metricHeaders: [{ name: 'purchaseRevenue' }, { name: 'ecommercePurchases' }],
        rows: ['20261120', '20261121'].map((day) => ({
          dimensionValues: [{ value: day }, { value: '77' }],
          metricValues: [{ value: '9.5' }, { value: '1' }],
        })),
        rowCount: 5,
      }),
    );
    expect(read).toMatchObject({ rows: 2, rowCount: 5 });
    expect(read?.purchases.get('77')).toBe(2);
  });

  it.each([
    [{ dataLossFromOtherRow: true }, /other/],
    [{ subjectToThresholding: true }, /threshold/],
    [{ samplingMetadatas: [{ samplesReadCount: '1', samplingSpaceSize: '2' }] }, /sample/],
  ])('with %j says that rows may be lacking', (metadata, why) => {
    expect(readReport(report({ metadata }))?.withheld).toMatch(why);
  });

  it('tells the scarcest of its token buckets', () => {
    const propertyQuota = {
      tokensPerDay: { consumed: 5, remaining: 900 },
      tokensPerHour: { consumed: 5, remaining: 30 },
      tokensPerProjectPerHour: { consumed: 5, remaining: 700 },
      concurrentRequests: { consumed: 0, remaining: 2 },
    };
    expect(readReport(report({ propertyQuota }))?.tokensLeft).toBe(30);
    expect(readReport(report({}))?.tokensLeft).toBeNull();
    expect(readReport(report({ propertyQuota: { tokensPerDay: {} } }))?.tokensLeft).toBeNull();
  });
});

withSamples('the sample of a GA4 report', () => {
  it('shows its transaction, and "(not set)" counts for no order', () => {
    const read = readReport(sample('ga4/runReport.response.json'));
    expect(read).toMatchObject({ rows: 2, rowCount: 2, withheld: null, tokensLeft: 13_995 });
    expect(read?.purchases.get('450789469')).toBe(1);
    expect([...(read?.purchases.keys() ?? [])]).toEqual(['450789469', '(not set)']);
  });
});

describe('a Google service account', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const file = (over: object = {}): string =>
    JSON.stringify({
      client_email: 'reader@p.iam.gserviceaccount.com',
      private_key: pem,
      private_key_id: 'k1',
      ...over,
    });

  it('signs for one scope, one hour and one address', () => {
    const assertion = assertionOf(readServiceAccount(file()), 'scope-1', NOW_MS);
    const [header = '', claims = '', signature = ''] = assertion.split('.');
    const read = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString());
    expect(read(header)).toEqual({ alg: 'RS256', typ: 'JWT', kid: 'k1' });
    expect(read(claims)).toEqual({
      iss: 'reader@p.iam.gserviceaccount.com',
      scope: 'scope-1',
      aud: 'https://oauth2.googleapis.com/token',
      iat: NOW_MS / 1000,
      exp: NOW_MS / 1000 + 3_600,
    });
    const signed = Buffer.from(`${header}.${claims}`);
    expect(verify('sha256', signed, publicKey, Buffer.from(signature, 'base64url'))).toBe(true);
  });

  const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  });
  it.each([
    ['no JSON', 'reader@example.com', 'must be the JSON of a Google service account key'],
    ['a list', '[]', 'must be the JSON of a Google service account key, with a right content'],
    ['a file without its key', file({ private_key: undefined }), /with a right private_key$/],
    ['a file without an address', file({ client_email: '', token_uri: 'ftp://x' }), /client_email and token_uri$/],
    ['a key that is none', file({ private_key: 'very-s3cret' }), 'has a private_key that is no PEM key'],
    ['another sort of key', file({ private_key: elliptic.toString() }), 'has a private_key that is no RSA key'],
  ])('is not %s, and the fault repeats nothing of it', (_what, text, fault) => {
    const said = serviceAccountFault(text);
    expect(said).toEqual(typeof fault === 'string' ? fault : expect.stringMatching(fault));
    for (const part of ['s3cret', 'reader@', 'BEGIN']) expect(said).not.toContain(part);
  });

  it('that is right has no fault', () => {
    expect(serviceAccountFault(file())).toBeNull();
  });
});

describe('asking Segment for a time', () => {
  const minutesAgo = (minutes: number): number => Math.floor(NOW_MS / 60_000) * 60_000 - minutes * 60_000;
  const hoursAgo = (hours: number): number => Math.floor(NOW_MS / HOUR_MS) * HOUR_MS - hours * HOUR_MS;

  it.each([
    ['five minutes', minutesAgo(10), minutesAgo(5), 'minute', 1],
    ['one hour of today', hoursAgo(3), hoursAgo(2), 'minute', 1],
    ['ten whole hours of today, which minutes would take three requests for', hoursAgo(10), hoursAgo(0), 'hour', 1],
    ['ten hours that are not whole', minutesAgo(600), minutesAgo(0), 'minute', 3],
    ['one hour of last week', hoursAgo(170), hoursAgo(169), 'hour', 1],
    ['twenty-nine days', hoursAgo(29 * 24), hoursAgo(0), 'hour', 3],
  ])('of %s', (_what, fromMs, toMs, granularity, slices) => {
    const asking = askingFor(fromMs, toMs, NOW_MS);
    expect(asking).toMatchObject({ granularity });
    expect(typeof asking === 'string' ? [] : asking.slices).toHaveLength(slices);
  });

  it.each([
    ['minutes of last week', minutesAgo(10_005), minutesAgo(10_000)],
    ['half a minute', minutesAgo(5), minutesAgo(4) + 30_000],
    ['more than thirty days ago', hoursAgo(31 * 24), hoursAgo(31 * 24 - 1)],
  ])('refuses %s, which it could not count exactly', (_what, fromMs, toMs) => {
    expect(askingFor(fromMs, toMs, NOW_MS)).toMatch(/nothing else/);
  });

  it('leaves no gap, overlaps nowhere, and stays within what Segment allows', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 43_000 }), fc.integer({ min: 1, max: 43_000 }), (one, other) => {
        const [fromMs, toMs] = [minutesAgo(Math.max(one, other) + 1), minutesAgo(Math.min(one, other))];
        const asking = askingFor(fromMs, toMs, NOW_MS);
        if (typeof asking === 'string') return;
        const widestMs = asking.granularity === 'minute' ? 4 * HOUR_MS : 14 * DAY_MS;
        expect(asking.slices[0]?.fromMs).toBe(fromMs);
        expect(asking.slices.at(-1)?.toMs).toBe(toMs);
        asking.slices.forEach((slice, index) => {
          expect(slice.toMs - slice.fromMs).toBeLessThanOrEqual(widestMs);
          expect(slice.toMs).toBeGreaterThan(slice.fromMs);
          expect(asking.slices[index + 1]?.fromMs ?? toMs).toBe(slice.toMs);
        });
      }),
    );
  });
});

describe("a page of Segment's overview", () => {
  const page = (dataset: unknown, pagination: unknown = { current: 'MA==' }): string =>
    JSON.stringify({ data: { total: 9, dataset, pagination } });
  const line = (eventName: unknown, ...points: [string, number][]): object => ({
    ...(eventName !== undefined && { eventName }),
    total: points.reduce((sum, [, count]) => sum + count, 0),
    series: points.map(([time, count]) => ({ time, count })),
  });
  const counts = (body: string, eventName: string): Record<string, number> | null => {
    const read = readOverview(body, eventName);
    return read && Object.fromEntries([...read.counts].map(([atMs, count]) => [new Date(atMs).toISOString(), count]));
  };

  it('counts one event, and no other', () => {
    const body = page([
      line('Order Completed', ['2026-11-22T23:00:00Z', 2], ['2026-11-23T02:00:00Z', 5]),
      line('Order Refunded', ['2026-11-22T23:00:00Z', 50]),
      line(null, ['2026-11-22T23:00:00Z', 50]),
    ]);
    expect(counts(body, 'Order Completed')).toEqual({
      '2026-11-22T23:00:00.000Z': 2,
      '2026-11-23T02:00:00.000Z': 5,
    });
    expect(counts(body, 'Order Updated')).toEqual({});
  });

  it('says where the next one is', () => {
    expect(readOverview(page([], { current: 'MA==', next: 'NTA=' }), 'x')).toEqual({ counts: new Map(), next: 'NTA=' });
  });

  it('is laid over the time that was asked for: what it leaves out is none, what lies outside is not ours', () => {
    const [fromMs, toMs] = [NOW_MS - (NOW_MS % HOUR_MS) - HOUR_MS, NOW_MS - (NOW_MS % HOUR_MS)];
    const asking = askingFor(fromMs, toMs, NOW_MS);
    if (typeof asking === 'string') throw new Error(asking);
    const points = pointsOf(
      asking,
      new Map([
        [fromMs - 60_000, 9],
        [fromMs, 1],
        [toMs - 60_000, 2],
        [toMs, 9],
      ]),
    );
    expect(points).toHaveLength(60);
    expect(points[0]).toEqual({ fromMs, toMs: fromMs + 60_000, received: 1 });
    expect(points.at(-1)).toEqual({ fromMs: toMs - 60_000, toMs, received: 2 });
    expect(points.reduce((sum, { received }) => sum + received, 0)).toBe(3);
  });

  it.each([
    ['garbage', '\u0000<<garbage>>{{{'],
    ['an empty object', '{}'],
    ['an error', '{"errors":[{"type":"bad-request"}]}'],
    ['counts that are not by name', page([line(undefined, ['2026-11-22T23:00:00Z', 5])])],
    ['a time that is none', page([line('Order Completed', ['yesterday', 5])])],
    [
      'a count that is none',
      page([{ eventName: 'Order Completed', total: 1, series: [{ time: '2026-11-22T23:00:00Z' }] }]),
    ],
  ])('is not %s', (_what, body) => {
    expect(readOverview(body, 'Order Completed')).toBeNull();
  });

  withSamples('in the sample', () => {
    it('has one order in each of two hours', () => {
      expect(counts(sample('segment/delivery-overview-successful.response.json'), 'Order Completed')).toEqual({
        '2026-11-22T23:00:00.000Z': 1,
        '2026-11-23T00:00:00.000Z': 1,
      });
    });
  });
});
