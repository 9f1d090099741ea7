import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Ga4Receiver } from '../../sandbox/receivers/ga4.js';
import { SegmentReceiver } from '../../sandbox/receivers/segment.js';

const NOW_MS = Date.parse('2026-11-27T10:20:30Z');
const HOUR_MS = 3_600_000;
const SCOPE = 'https://www.googleapis.com/auth/analytics.readonly';

let nowMs = NOW_MS;
let ga4: Ga4Receiver;
let segment: SegmentReceiver;
beforeEach(async () => {
  nowMs = NOW_MS;
  ga4 = new Ga4Receiver();
  segment = new SegmentReceiver();
  for (const receiver of [ga4, segment]) receiver.nowMs = () => nowMs;
  await Promise.all([ga4.start(), segment.start()]);
});
afterEach(async () => {
  await Promise.all([ga4.stop(), segment.stop()]);
});

interface Account {
  client_email: string;
  private_key: string;
  token_uri: string;
}

/** As a client does it that was written from Google's documentation alone. */
async function token(over: { claims?: object; header?: object; key?: string } = {}): Promise<Response> {
  const account = JSON.parse(ga4.serviceAccount) as Account;
  const part = (json: object): string => Buffer.from(JSON.stringify(json)).toString('base64url');
  const iat = Math.floor(nowMs / 1000);
  const claims = { iss: account.client_email, scope: SCOPE, aud: account.token_uri, iat, exp: iat + 3_600 };
  const signed = `${part({ alg: 'RS256', typ: 'JWT', ...over.header })}.${part({ ...claims, ...over.claims })}`;
  const key = createPrivateKey(over.key ?? account.private_key);
  const assertion = `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`;
  const grant_type = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
  return fetch(account.token_uri, { method: 'POST', body: new URLSearchParams({ grant_type, assertion }) });
}

async function sell(transactionId: string | undefined, atMs = nowMs): Promise<void> {
  const params = { value: 10, ...(transactionId !== undefined && { transaction_id: transactionId }) };
  const body = { client_id: '1.2', timestamp_micros: atMs * 1000, events: [{ name: 'purchase', params }] };
  await fetch(`${ga4.url}/mp/collect`, { method: 'POST', body: JSON.stringify(body) });
}

const WHOLE_REPORT = {
  dateRanges: [{ startDate: '2026-11-20', endDate: 'today' }],
  dimensions: [{ name: 'transactionId' }],
  metrics: [{ name: 'ecommercePurchases' }],
  returnPropertyQuota: true,
};

async function report(over: object = {}, path = `/v1beta/properties/${ga4.reports.propertyId}:runReport`) {
  const { access_token: access } = (await (await token()).json()) as { access_token: string };
  const response = await fetch(ga4.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${access}` },
    body: JSON.stringify({ ...WHOLE_REPORT, ...over }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function ids(over: object = {}): Promise<string[]> {
  const { body } = await report(over);
  const rows = (body['rows'] ?? []) as { dimensionValues: { value: string }[] }[];
  return rows.map(({ dimensionValues }) => dimensionValues.map(({ value }) => value).join(' '));
}

describe("the pretended Google's token endpoint", () => {
  it('gives an access token for a signed assertion', async () => {
    const response = await token();
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      access_token: expect.stringMatching(/^ya29\./),
      expires_in: 3_599,
      token_type: 'Bearer',
    });
  });

  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const otherKey = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  it.each([
    ['signed with another key', { key: otherKey }, 'Invalid JWT Signature.'],
    ['of somebody else', { claims: { iss: 'eve@example.com' } }, 'Invalid issuer.'],
    ['meant for another address', { claims: { aud: 'https://example.com' } }, /audience/],
    ['for another scope', { claims: { scope: 'https://www.googleapis.com/auth/drive' } }, /scope/],
    ['that is over', { claims: { iat: 1, exp: 3_601 } }, /timeframe/],
    ['for longer than an hour', { claims: { exp: NOW_MS / 1000 + 7_200 } }, /timeframe/],
    ['signed by no algorithm', { header: { alg: 'none' } }, /algorithm/],
  ])('refuses an assertion %s', async (_what, over, description) => {
    const response = await token(over);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      error: 'invalid_grant',
      error_description: typeof description === 'string' ? description : expect.stringMatching(description),
    });
  });
});

describe("the pretended GA4's report", () => {
  it('leaves out what is empty, and says what is left of the quota', async () => {
    const { body } = await report();
    expect(body).not.toHaveProperty('rows');
    expect(body).not.toHaveProperty('rowCount');
    expect(body).toMatchObject({
      kind: 'analyticsData#runReport',
      metadata: { timeZone: 'America/New_York' },
      propertyQuota: { tokensPerHour: { consumed: 5, remaining: 39_995 }, concurrentRequests: { remaining: 9 } },
    });
  });

  it('is for those who have a token that is not over', async () => {
    const path = `${ga4.url}/v1beta/properties/${ga4.reports.propertyId}:runReport`;
    const { access_token: access } = (await (await token()).json()) as { access_token: string };
    const status = async (authorization: string) =>
      (await fetch(path, { method: 'POST', headers: { authorization }, body: JSON.stringify(WHOLE_REPORT) })).status;
    expect(await status('')).toBe(401);
    expect(await status(`Bearer ${access}`)).toBe(200);
    nowMs += HOUR_MS;
    expect(await status(`Bearer ${access}`)).toBe(401);
  });

  it('counts each transaction once, and what has no id under "(not set)"', async () => {
    for (const id of ['1001', '1001', '1002', undefined, undefined]) await sell(id);
    const { body } = await report();
    expect(body['rowCount']).toBe(3);
    expect((body['rows'] as object[]).at(-1)).toEqual({
      dimensionValues: [{ value: '(not set)' }],
      metricValues: [{ value: '2' }],
    });
  });

  it('shows a purchase when it has been worked on, on the day of the property, and not before 72 hours ago', async () => {
    ga4.reports.processing = { leastMs: HOUR_MS, mostMs: 2 * HOUR_MS };
    await sell('late-at-night', Date.parse('2026-11-26T04:30:00Z')); // 23:30 the day before, in New York
    await sell('ancient', Date.parse('2026-11-01T12:00:00Z'));
    expect(await ids()).toEqual([]);
    nowMs += 2 * HOUR_MS;
    expect(await ids({ dimensions: [{ name: 'date' }, { name: 'transactionId' }] })).toEqual([
      '20261125 late-at-night',
      '20261124 ancient',
    ]);
    expect(await ids({ dateRanges: [{ startDate: '2026-11-25', endDate: '2026-11-25' }] })).toEqual(['late-at-night']);
  });

  it('gives pages', async () => {
    for (const id of ['1', '2', '3']) await sell(id);
    expect(await ids({ limit: '2' })).toEqual(['1', '2']);
    expect(await ids({ limit: '2', offset: '2' })).toEqual(['3']);
  });

  it('refuses what it cannot compute rather than guess', async () => {
    const refused = [
      { dimensions: [{ name: 'city' }] },
      { metrics: [{ name: 'transactions' }] },
      { dateRanges: [] },
      { dateRanges: [{ startDate: '2026-11-21', endDate: '2026-11-20' }] },
      { dimensionFilter: { filter: { fieldName: 'transactionId', inListFilter: { values: [] } } } },
      { dimensionFilter: { filter: { fieldName: 'eventName', stringFilter: { matchType: 'CONTAINS', value: 'x' } } } },
      { limit: '0' },
    ];
    for (const over of refused) {
      expect(await report(over), JSON.stringify(over)).toMatchObject({
        status: 400,
        body: { error: { status: 'INVALID_ARGUMENT' } },
      });
    }
    expect(await report({}, '/v1beta/properties/1:runReport')).toMatchObject({ status: 403 });
    expect(await report({}, '/v1beta/properties/1:runFunnelReport')).toMatchObject({ status: 404 });
  });

  it('ends with the quota of the hour, and comes back with the next', async () => {
    ga4.reports.quota.takenByOthers = 13_990;
    expect((await report()).status).toBe(200);
    expect((await report()).status).toBe(200);
    expect(await report()).toMatchObject({ status: 429, body: { error: { status: 'RESOURCE_EXHAUSTED' } } });
    nowMs += HOUR_MS;
    expect((await report()).status).toBe(200);
  });
});

describe("the pretended Segment's delivery overview", () => {
  async function send(...messages: { messageId: string; event?: string; type?: string }[]): Promise<void> {
    const batch = messages.map((message) => ({ type: 'track', event: 'Order Completed', userId: 'u', ...message }));
    await fetch(`${segment.url}/v1/batch`, { method: 'POST', body: JSON.stringify({ batch }) });
  }
  async function overview(over: Record<string, string> = {}, bearer = segment.overview.publicToken) {
    const query = new URLSearchParams({
      sourceId: segment.overview.sourceId,
      startTime: '2026-11-27T09:00:00Z',
      endTime: '2026-11-27T12:00:00Z',
      granularity: 'minute',
      'groupBy.0': 'eventName',
      'pagination.count': '10',
      ...over,
    });
    const response = await fetch(`${segment.url}/delivery-overview/successfully-received?${query.toString()}`, {
      headers: { authorization: `Bearer ${bearer}` },
    });
    return { status: response.status, body: (await response.json()) as { data: { dataset: { total: number }[] } } };
  }

  it('counts each message id once in a day, by name and minute', async () => {
    await send({ messageId: 'a' }, { messageId: 'b' }, { messageId: 'a' }, { messageId: 'c', event: 'Order Updated' });
    nowMs += HOUR_MS;
    await send({ messageId: 'a' }, { messageId: 'd' });
    expect((await overview()).body.data).toMatchObject({
      total: 4,
      dataset: [
        {
          eventName: 'Order Completed',
          total: 3,
          series: [
            { time: '2026-11-27T10:20:00.000Z', count: 2 },
            { time: '2026-11-27T11:20:00.000Z', count: 1 },
          ],
        },
        { eventName: 'Order Updated', total: 1 },
      ],
    });
    nowMs += 24 * HOUR_MS;
    await send({ messageId: 'a' });
    expect(segment.overview.shown).toBe(5);
  });

  it('is some seconds behind', async () => {
    segment.overview.latencyMs = 30_000;
    await send({ messageId: 'a' });
    expect((await overview()).body.data.dataset).toEqual([]);
    nowMs += 30_000;
    expect((await overview()).body.data.dataset).toMatchObject([{ total: 1 }]);
  });

  it('does not count what it took and lost', async () => {
    segment.acceptThenLoseShare = 1;
    await send({ messageId: 'a' });
    expect(segment.overview.shown).toBe(0);
    expect(segment.dropped).toMatchObject([{ reason: 'lost on purpose' }]);
  });

  it('gives pages, in both ways of writing them', async () => {
    await send(...['x', 'y', 'z'].map((event) => ({ messageId: event, event })));
    const first = (await overview({ 'pagination.count': '2' })).body.data as unknown as {
      dataset: object[];
      pagination: { next: string };
    };
    expect(first.dataset).toHaveLength(2);
    const next = { 'pagination[count]': '2', 'pagination[cursor]': first.pagination.next, 'groupBy[0]': 'eventName' };
    expect((await overview(next)).body.data).toMatchObject({
      dataset: [{ eventName: 'z' }],
      pagination: { totalEntries: 3 },
    });
  });

  it.each([
    ['a wrong token', 401, {}, 'wrong'],
    ['another source', 404, { sourceId: 'another' }, undefined],
    ['no granularity', 400, { granularity: 'second' }, undefined],
    ['minutes of more than four hours', 400, { startTime: '2026-11-27T07:59:00Z' }, undefined],
    [
      'minutes older than two days',
      400,
      { startTime: '2026-11-25T09:00:00Z', endTime: '2026-11-25T10:00:00Z' },
      undefined,
    ],
    ['no time at all', 400, { endTime: '2026-11-27T09:00:00Z' }, undefined],
    ['a page of nothing', 400, { 'pagination.count': '0' }, undefined],
    ['a group it does not know', 400, { 'groupBy.0': 'weather' }, undefined],
  ])('refuses %s', async (_what, status, over, bearer) => {
    expect((await overview(over, bearer)).status).toBe(status);
  });
});

describe('reports', () => {
  it('can be in trouble while what is sent arrives, and the other way round', async () => {
    ga4.misreport({ mode: 'status', code: 503 });
    await sell('1');
    expect(ga4.reports.shown).toBe(1);
    expect((await token()).status).toBe(503);
    ga4.misreport({ mode: 'ok' });
    ga4.misbehave({ mode: 'status', code: 204 }); // accepts and keeps nothing
    await sell('2');
    expect(await ids()).toEqual(['1']);
  });
});
