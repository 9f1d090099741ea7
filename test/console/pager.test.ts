import { createHmac } from 'node:crypto';
import request from 'supertest';
import { afterAll, beforeAll, expect, describe, it } from 'vitest';
import { worldChannelsShape } from '../../src/console/channels.http.js';
import { runCli } from '../../src/console/cli/program.js';
import { listOf } from '../../src/console/shapes.js';
import { ConsoleApp } from './console-app.js';

const SECRET = 'a-webhook-secret';

let app: ConsoleApp;
beforeAll(async () => {
  app = await ConsoleApp.open();
  app.notifier.configure('real', {
    tickets: 'pagerduty',
    pagerduty: {
      routingKeys: { removed: 'a'.repeat(32), orders: 'b'.repeat(32), routine: 'c'.repeat(32) },
      eventsHost: '127.0.0.1:1',
      restHost: '127.0.0.1:1',
      webhookSecrets: [SECRET],
      escalationPolicies: [],
    },
  });
});
afterAll(() => app.close());

const BODY = JSON.stringify({
  event: {
    id: 'e-1',
    event_type: 'incident.triggered',
    occurred_at: '2026-11-23T11:59:59.000Z',
    agent: null,
    data: { id: 'Q1', type: 'incident', incident_key: 'fleet:orders:late' },
  },
});
const sign = (body: string): string => `v1=${createHmac('sha256', SECRET).update(body).digest('hex')}`;

function post(body: string, signature: string, type = 'application/json'): request.Test {
  return request(app.url)
    .post('/inbound/pagerduty')
    .set({ 'content-type': type, 'x-pagerduty-signature': signature, 'x-webhook-id': 'w-1' })
    .send(body);
}

describe('POST /inbound/pagerduty', () => {
  it('needs no token and takes what is signed over the bytes as they came', async () => {
    // Blanks that a parser would lose are signed too.
    const body = ` ${BODY}\n`;
    expect((await post(body, sign(body))).status).toBe(200);
    expect((await post(body, sign(body))).text).toBe('Known already.\n');
    expect((await post(BODY, sign(body))).status).toBe(401);
    expect((await post(BODY, sign(BODY), 'text/plain')).status).toBe(200);
  });

  it('refuses as a problem that quotes nothing', async () => {
    const { status, headers, text } = await post(BODY, 'v1=00');
    expect([status, headers['content-type']]).toEqual([401, expect.stringMatching(/^application\/problem\+json/)]);
    expect(text).not.toContain('fleet:orders');
  });

  it('refuses what is larger than PagerDuty sends', async () => {
    const body = 'x'.repeat(300_000);
    expect((await post(body, sign(body))).status).toBe(413);
  });

  it('asks for it again while the database is away', async () => {
    const away = await ConsoleApp.open({ databaseAway: true });
    away.notifier.configure('real', {
      tickets: 'none',
      pagerduty: {
        routingKeys: { removed: 'a'.repeat(32), orders: 'b'.repeat(32), routine: 'c'.repeat(32) },
        eventsHost: '127.0.0.1:1',
        restHost: '127.0.0.1:1',
        webhookSecrets: [SECRET],
        escalationPolicies: [],
      },
    });
    const { status, headers } = await request(away.url)
      .post('/inbound/pagerduty')
      .set({ 'content-type': 'application/json', 'x-pagerduty-signature': sign(BODY) })
      .send(BODY);
    await away.close();
    expect([status, headers['retry-after']]).toEqual([503, '60']);
  });
});

describe('GET /api/v1/channels', () => {
  it('says how each world is told, what proves a page, and no secret', async () => {
    await app.db.database.query(
      `insert into alerting.recipient (world, channel, recipient, paced_until, failures, failing_since, last_error)
       values ('real', 'pagerduty', 'removed', $1, 4, $1, 'connect ECONNREFUSED')`,
      [new Date(app.clock.nowMs() - 120_000)],
    );
    const { status, body, text } = await request(app.url)
      .get('/api/v1/channels')
      .set('authorization', `Bearer ${app.token('viewer')}`);
    expect(status).toBe(200);
    expect(listOf(worldChannelsShape).parse(body).items).toMatchObject([
      {
        world: 'real',
        confirmation: 'webhooks',
        recipients: [{ channel: 'pagerduty', recipient: 'removed', state: 'failing', takenAt: null, waiting: 0 }],
      },
    ]);
    expect(text).not.toMatch(/a{32}|a-webhook-secret/);
    expect((await request(app.url).get('/api/v1/channels')).status).toBe(401);
    expect(await app.notifier.health()).toEqual({
      state: 'failing',
      ageMs: null,
      detail: 'not telling: real pagerduty removed',
    });
  });
});

describe('plumbline channels', () => {
  it('lists each recipient, how it is, and why not', async () => {
    let out = '';
    const code = await runCli(['channels'], {
      env: { PLUMBLINE_URL: app.url, PLUMBLINE_TOKEN: app.token('viewer') },
      cwd: '/',
      width: 160,
      out: (text) => (out += text),
      error: () => undefined,
      checkConfig: () => Promise.resolve(0),
    });
    expect(code).toBe(0);
    expect(out).toMatch(/real +pagerduty removed +failing +0 +webhooks +connect ECONNREFUSED/);
  });
});
