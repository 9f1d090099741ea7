import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PagerDutySide } from '../../sandbox/pagerduty/pagerduty.js';
import { until } from '../support/until.js';
import { ManualClock } from './support/manual-clock.js';

let clock: ManualClock;
let pager: PagerDutySide;
let subscriber: Server;
let answer: number;
let told: { headers: IncomingHttpHeaders; body: string }[];

beforeEach(async () => {
  clock = new ManualClock();
  answer = 200;
  told = [];
  subscriber = createServer((incoming, response) => {
    let body = '';
    incoming.on('data', (chunk: Buffer) => (body += chunk.toString()));
    incoming.on('end', () => {
      told.push({ headers: incoming.headers, body });
      response.writeHead(answer).end();
    });
  });
  await new Promise<void>((resolve) => subscriber.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(subscriber.address() as AddressInfo).port}/`;
  pager = new PagerDutySide({ clock, webhookUrl: () => url, webhookSecrets: ['newest', 'older'] });
  await pager.start();
});
afterEach(async () => {
  await pager.stop();
  subscriber.closeAllConnections();
  subscriber.close();
});

interface Answered {
  status: number;
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
}

function call(method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const [host, port] = pager.host.split(':');
    const sent = request({ host, port, method, path, ca: pager.ca, headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: JSON.parse(text) as Record<string, unknown>,
        }),
      );
    });
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const send = (action: string, more: object = {}) =>
  call('POST', '/v2/enqueue', {
    routing_key: pager.routingKeys.routine,
    event_action: action,
    dedup_key: 'key',
    payload: { summary: 'It burns', source: 'acme', severity: 'critical' },
    ...more,
  });
const states = () => pager.incidents.list.map(({ status }) => status);

describe('an event', () => {
  it('is taken in and answered with its key, over a certificate that is trusted by itself', async () => {
    expect(await send('trigger')).toMatchObject({
      status: 202,
      body: { status: 'success', message: 'Event processed', dedup_key: 'key' },
    });
    expect(pager.incidents.list).toMatchObject([
      { key: 'key', status: 'triggered', title: 'It burns', severity: 'critical' },
    ]);
  });

  it('joins the open incident of its key and routing key, and notifies nobody again once it is acknowledged', async () => {
    await send('trigger');
    await send('acknowledge');
    await send('trigger');
    await send('trigger', { routing_key: pager.routingKeys.orders });
    expect(pager.incidents.list).toMatchObject([
      { status: 'acknowledged', triggers: 2, pagedAtMs: [expect.any(Number)] },
      { status: 'triggered', triggers: 1 },
    ]);
  });

  it('makes a new incident after a resolve, and is dropped with 202 when there is nothing to resolve', async () => {
    await send('trigger');
    await send('resolve');
    expect((await send('resolve')).status).toBe(202);
    expect((await send('acknowledge', { dedup_key: 'unknown' })).status).toBe(202);
    await send('trigger');
    expect(states()).toEqual(['resolved', 'triggered']);
  });

  it.each([
    ['a routing key that is too short', { routing_key: 'short' }, /Length of 'routing_key'/],
    ['a routing key of nobody', { routing_key: 'x'.repeat(32) }, /Invalid routing key/],
    ['an action that is none', { event_action: 'shout' }, /event_action/],
    ['a key that is too long', { dedup_key: 'x'.repeat(256) }, /255/],
    ['no summary', { payload: { source: 'acme', severity: 'critical' } }, /summary/],
    ['a severity that is none', { payload: { summary: 's', source: 'acme', severity: 'bad' } }, /severity/],
  ])('is refused with 400 for %s', async (_, more, reason) => {
    const { status, body } = await send('trigger', more);
    expect([status, String(body['errors'])]).toEqual([400, expect.stringMatching(reason)]);
    expect(pager.incidents.list).toEqual([]);
  });

  it('is the 121st of its key in a minute: 429, and the other keys are as free as before', async () => {
    for (let index = 0; index < 120; index++) expect((await send('trigger')).status).toBe(202);
    expect(await send('trigger')).toMatchObject({ status: 429, headers: { 'retry-after': '5' } });
    expect((await send('trigger', { routing_key: pager.routingKeys.removed })).status).toBe(202);
    clock.advance(60_001);
    expect((await send('trigger')).status).toBe(202);
  });

  it('is taken with 202 and never heard of, when it says so', async () => {
    await pager.become('unheard');
    expect((await send('trigger')).status).toBe(202);
    expect(pager.incidents.list).toEqual([]);
  });

  it('meets a closed door while it is down, and the same address afterwards', async () => {
    const { host } = pager;
    await pager.become('down');
    await expect(send('trigger')).rejects.toThrow(/ECONNREFUSED/);
    await pager.become('calm');
    expect([(await send('trigger')).status, pager.host]).toEqual([202, host]);
  });
});

describe('its REST API', () => {
  const rest = (path: string) => call('GET', path, undefined, { authorization: `Token token=${pager.token}` });

  it('wants its token', async () => {
    expect((await call('GET', '/oncalls')).status).toBe(401);
  });

  it('finds incidents by key and status, the newest first', async () => {
    await send('trigger');
    await send('resolve');
    await send('trigger');
    const of = async (path: string) =>
      ((await rest(path)).body['incidents'] as { status: string }[]).map(({ status }) => status);
    expect(await of('/incidents?incident_key=key')).toEqual(['triggered', 'resolved']);
    expect(await of('/incidents?incident_key=key&statuses[]=resolved')).toEqual(['resolved']);
    expect(await of('/incidents?incident_key=other')).toEqual([]);
  });

  it('says who is on call for a policy, as long as anybody is', async () => {
    const oncalls = async () =>
      (await rest(`/oncalls?escalation_policy_ids[]=${pager.escalationPolicy}`)).body['oncalls'];
    expect(await oncalls()).toMatchObject([{ user: { summary: 'Robin On-Call' }, end: null }]);
    pager.onCall = [];
    expect(await oncalls()).toEqual([]);
  });
});

describe('its webhooks', () => {
  it('tell what becomes of an incident, in order, signed with every secret over the body', async () => {
    await send('trigger');
    await until(() => told.length === 1, { what: 'it is told' });
    const [{ id = '' } = {}] = pager.incidents.list;
    pager.act(id, 'acknowledged');
    await until(() => told.length === 2, { what: 'the acknowledgement is told' });
    await send('resolve');
    await until(() => told.length === 3, { what: 'the resolve is told' });
    const events = told.map(({ body }) => (JSON.parse(body) as { event: Record<string, unknown> }).event);
    expect(
      events.map((event) => [event['event_type'], (event['agent'] as { type?: string } | null)?.type ?? null]),
    ).toEqual([
      ['incident.triggered', null],
      ['incident.acknowledged', 'user_reference'],
      ['incident.resolved', 'service_reference'],
    ]);
    expect(events[0]).toMatchObject({ data: { id, incident_key: 'key', status: 'triggered' } });
    for (const { headers, body } of told) {
      const signatures = ['newest', 'older'].map(
        (secret) => `v1=${createHmac('sha256', secret).update(body).digest('hex')}`,
      );
      expect(headers['x-pagerduty-signature']).toBe(signatures.join(','));
    }
    expect(new Set(told.map(({ headers }) => headers['x-webhook-id'])).size).toBe(3);
  });

  it('come again under the same id after a 5xx', async () => {
    answer = 503;
    await send('trigger');
    await until(() => told.length === 1, { what: 'it is told' });
    answer = 200;
    await until(() => clock.ahead.length > 0, { what: 'it waits for its retry' });
    clock.advance(1_000);
    await until(() => told.length === 2, { what: 'it is told again' });
    expect(told[1]?.headers['x-webhook-id']).toBe(told[0]?.headers['x-webhook-id']);
  });

  it('stop for a day after three refusals in a row', async () => {
    answer = 401;
    for (const key of ['a', 'b', 'c']) await send('trigger', { dedup_key: key });
    await until(() => pager.webhooks.isDisabled, { what: 'the subscription is switched off' });
    await send('trigger', { dedup_key: 'd' });
    expect(told).toHaveLength(3);
    clock.advance(86_400_001);
    answer = 200;
    await send('trigger', { dedup_key: 'e' });
    await until(() => told.length === 4, { what: 'it is told again' });
  });
});
