import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import request from 'supertest';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { alertDetailShape, alertShape } from '../../src/console/alerts.http.js';
import { runCli } from '../../src/console/cli/program.js';
import { notificationShape } from '../../src/console/notifications.http.js';
import { listOf } from '../../src/console/shapes.js';
import { silenceShape } from '../../src/console/silences.http.js';
import { ConsoleApp, NOON_MS } from './console-app.js';

const SHOP = 'acme.myshopify.com';
const HOUR_MS = 3_600_000;
let app: ConsoleApp;
let cwd: string;

beforeAll(async () => {
  app = await ConsoleApp.open();
  cwd = mkdtempSync(join(tmpdir(), 'plumbline-alerts-'));
  mkdirSync(join(cwd, '.plumbline'));
  writeFileSync(join(cwd, '.plumbline/admin-token'), `${app.token('admin')}\n`);
  await call('POST', '/api/v1/shops', { domain: SHOP, accessToken: 'SECRET-shpat' }).expect(201);
});
afterAll(async () => {
  await app.close();
  rmSync(cwd, { recursive: true });
});
beforeEach(async () => {
  app.clock.set(NOON_MS);
  await app.db.database.query(
    `alter table alerting.alert_change disable trigger never_emptied;
     truncate monitoring.signal, monitoring.signal_change, alerting.alert, alerting.alert_signal, alerting.alert_change,
              alerting.notification, alerting.cursor, alerting.silence, kernel.audit restart identity cascade;
     alter table alerting.alert_change enable trigger never_emptied`,
  );
});

type Method = 'GET' | 'POST' | 'DELETE';

function call(method: Method, path: string, body?: object, role: 'viewer' | 'responder' | 'admin' = 'admin') {
  const asked = request(app.url)[method === 'GET' ? 'get' : method === 'POST' ? 'post' : 'delete'](path);
  return asked.set('authorization', `Bearer ${app.token(role)}`).send(body);
}

async function read<Shape extends z.ZodType>(shape: Shape, path: string): Promise<z.output<Shape>> {
  const { body } = await call('GET', path, undefined, 'viewer').expect(200);
  return shape.parse(body);
}

async function cli(...args: string[]): Promise<{ exit: number; out: string; error: string }> {
  let out = '';
  let error = '';
  const exit = await runCli(args, {
    env: { PLUMBLINE_URL: app.url },
    cwd,
    width: 300,
    out: (text) => (out += text),
    error: (text) => (error += text),
    checkConfig: () => Promise.resolve(0),
  });
  return { exit, out, error };
}

async function removed(): Promise<string> {
  const shopId = app.registry.current.allShops.find(({ domain }) => domain === SHOP)?.id ?? null;
  await app.signals.report({
    kind: 'subscription-removed',
    subject: `${SHOP}/orders/paid`,
    shopId,
    facts: { topic: 'orders/paid', goneSince: '2026-11-23T11:58:00.000Z' },
    evidence: `/api/v1/subscriptions?shop=${SHOP}`,
  });
  await app.foldAlerts();
  const { items } = await read(listOf(alertShape), '/api/v1/alerts?name=subscription-removed');
  return items[0]?.id ?? '';
}

describe('alerts', () => {
  it('are listed with what a person woken by one needs, and each is shown with all that happened and was said', async () => {
    const id = await removed();
    const { alert, changes, notifications, signals } = await read(alertDetailShape, `/api/v1/alerts/${id}`);
    expect(alert).toMatchObject({
      dedupeKey: `shop:${SHOP}/orders/paid:subscription-removed`,
      class: 'page',
      severity: 2,
      state: 'open',
      route: 'removed',
      runbook: 'subscription-removed',
      evidence: `/api/v1/subscriptions?shop=${SHOP}`,
      count: 1,
    });
    expect(alert.summary).toContain('Shopify removed orders/paid of acme.myshopify.com, since 2026-11-23 11:58 UTC');
    expect(changes.map(({ change }) => change)).toEqual(['opened']);
    expect(notifications).toMatchObject([
      { channel: 'pagerduty', recipient: 'removed', action: 'trigger', reason: 'new', state: 'waiting' },
    ]);
    expect(signals).toHaveLength(1);
    await call('GET', '/api/v1/alerts/999', undefined, 'viewer').expect(404);
    await call('GET', '/api/v1/alerts?state=loud', undefined, 'viewer').expect(400);
    await call('GET', '/api/v1/alerts?cursor=nonsense', undefined, 'viewer').expect(400);
  });

  it('are listed page by page, pages first and the worst first, and none twice', async () => {
    await removed();
    for (let number = 1; number <= 3; number++) {
      await app.signals.report({ kind: 'inbox-gap', subject: `1/${number}-9`, facts: { segments: 1 }, evidence: '/' });
    }
    await app.signals.report({ kind: 'on-call-gap', subject: 'real/P1', facts: {}, evidence: '/' });
    await app.foldAlerts();
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const path: string = `/api/v1/alerts?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`;
      const page: { items: { name: string }[]; nextCursor: string | null } = await read(listOf(alertShape), path);
      seen.push(...page.items.map(({ name }) => name));
      cursor = page.nextCursor;
    }
    expect(seen).toEqual(['inbox-gap', 'inbox-gap', 'inbox-gap', 'subscription-removed', 'on-call-gap']);
  });

  it('are taken on with a name and a next look, and given back; both are audited', async () => {
    const id = await removed();
    const path = `/api/v1/alerts/${id}/acknowledge`;
    await call('POST', path, { inMinutes: 30 }, 'viewer').expect(403);
    await call('POST', path, {}, 'responder').expect(400);
    await call('POST', path, { nextLookAt: '2026-11-23T11:00:00Z' }, 'responder').expect(400);
    await call('POST', path, { nextLookAt: '2026-11-25T12:00:00Z' }, 'responder').expect(400);
    const { body } = await call('POST', path, { inMinutes: 30, note: 're-subscribing' }, 'responder').expect(200);
    expect(alertShape.parse(body).acknowledged).toEqual({
      by: 'the-responder',
      at: '2026-11-23T12:00:00.000Z',
      note: 're-subscribing',
      nextLookAt: '2026-11-23T12:30:00.000Z',
    });
    await call('DELETE', path, undefined, 'responder').expect(200);
    await call('POST', '/api/v1/alerts/999/acknowledge', { inMinutes: 5 }, 'responder').expect(404);
    const audit = await app.db.database.rows<{ actor: string; action: string }>(
      'select actor, action from kernel.audit order by id',
    );
    expect(audit).toEqual([
      { actor: 'the-responder', action: 'alert.acknowledge' },
      { actor: 'the-responder', action: 'alert.unacknowledge' },
    ]);
  });

  it('are read and taken on at the command line', async () => {
    const id = await removed();
    expect((await cli('alerts')).out).toMatch(/page +2 +open +1 .*Shopify removed orders\/paid/);
    expect((await cli('alert', 'ack', id, '--minutes', '20', '--note', 'on it')).out).toContain(
      'until 2026-11-23 12:20',
    );
    const shown = await cli('alert', 'show', id);
    expect(shown.out).toContain('acknowledged by the-admin');
    expect(shown.out).toContain('trigger (new) to pagerduty removed: waiting');
    expect((await cli('alert', 'unack', id)).exit).toBe(0);
    expect((await cli('notifications')).out).toContain('pagerduty removed');
    expect((await cli('alert', 'ack', '999')).exit).toBe(1);
    expect((await cli('alerts', '--state', 'closed')).out).toContain('There is no alert.');
  });
});

describe('silences', () => {
  it('are made with an owner, a reason and an end, listed, and ended; each write is audited', async () => {
    await call('POST', '/api/v1/silences', { shop: SHOP, hours: 2 }, 'responder').expect(400);
    await call('POST', '/api/v1/silences', { shop: SHOP, reason: 'moving' }, 'responder').expect(400);
    const made = await call('POST', '/api/v1/silences', { shop: SHOP, reason: 'moving', hours: 2 }, 'responder').expect(
      201,
    );
    const silence = silenceShape.parse(made.body);
    expect(silence).toMatchObject({ owner: 'the-responder', reason: 'moving', endsAt: '2026-11-23T14:00:00.000Z' });
    expect((await read(listOf(silenceShape), '/api/v1/silences')).items).toHaveLength(1);
    const ended = await call('DELETE', `/api/v1/silences/${silence.id}`, undefined, 'responder').expect(200);
    expect(silenceShape.parse(ended.body)).toMatchObject({ endedBy: 'the-responder' });
    expect((await read(listOf(silenceShape), '/api/v1/silences')).items).toEqual([]);
    await call('DELETE', '/api/v1/silences/999', undefined, 'responder').expect(404);
    const audit = await app.db.database.rows<{ action: string }>('select action from kernel.audit order by id');
    expect(audit.map(({ action }) => action)).toEqual(['silence.create', 'silence.end']);
  });

  it.each(['subscription-removed', 'orders-missing'])('of %s are refused, and the answer says why', async (name) => {
    const { body } = await call('POST', '/api/v1/silences', { name, reason: 'too loud', hours: 1 }, 'admin').expect(
      409,
    );
    expect(body).toMatchObject({ detail: expect.stringContaining('never silenced') as string });
    expect((await cli('silences', 'create', '--name', name, '--hours', '1', '--reason', 'too loud')).exit).toBe(1);
  });

  it('are made, seen and ended at the command line', async () => {
    const made = await cli('silences', 'create', '--name', 'store-silent', '--hours', '8', '--reason', 'holidays');
    expect(made.out).toContain('until 2026-11-23 20:00');
    expect((await cli('silences')).out).toContain('holidays');
    expect((await cli('silences', 'end', '1')).out).toContain('has ended');
    expect((await cli('silences')).out).toContain('Nothing is silenced.');
  });
});

describe('what was said', () => {
  it('is listed newest first, by alert and by state', async () => {
    const id = await removed();
    app.clock.advance(2 * HOUR_MS);
    await app.foldAlerts();
    const { items } = await read(listOf(notificationShape), `/api/v1/notifications?alert=${id}&state=waiting`);
    expect(items.map(({ reason }) => reason)).toEqual(['repeated', 'new']);
    expect((await read(listOf(notificationShape), '/api/v1/notifications?state=taken')).items).toEqual([]);
  });
});

describe('an Alertmanager that posts', () => {
  const alert = (more: object = {}) => ({
    status: 'firing',
    labels: { alertname: 'DiskFull', severity: 'critical', instance: 'db-1' },
    annotations: { summary: 'The disk of db-1\nis full', runbook_url: 'https://example.com/disk' },
    startsAt: '2026-11-23T11:50:00.000Z',
    endsAt: '0001-01-01T00:00:00Z',
    generatorURL: 'https://example.com/g',
    fingerprint: 'bb7678daa9b8a2db',
    ...more,
  });
  const payload = (alerts: object[], more: object = {}) => ({
    receiver: 'plumbline',
    status: 'firing',
    alerts,
    groupLabels: {},
    commonLabels: {},
    commonAnnotations: {},
    externalURL: 'http://alertmanager.example.com:9093',
    version: '4',
    groupKey: '{}:{}',
    truncatedAlerts: 0,
    ...more,
  });
  const post = (body: object, role: 'viewer' | 'responder' = 'responder') =>
    call('POST', '/inbound/alertmanager', body, role);

  it('opens a page by its label, once however often it repeats, and closes it', async () => {
    await post(payload([alert()])).expect(200, { firing: 1, resolved: 0, ours: 0 });
    await post(payload([alert()], { notification_reason: 'repeat' })).expect(200);
    await app.foldAlerts();
    const { items } = await read(listOf(alertShape), '/api/v1/alerts');
    expect(items).toMatchObject([{ name: 'external-page', class: 'page', route: 'routine', count: 1 }]);
    expect(items[0]?.summary).toBe('DiskFull from outside: The disk of db-1 is full, since 2026-11-23 11:50 UTC');
    await post(payload([alert({ status: 'resolved', endsAt: '2026-11-23T12:00:00.000Z' })])).expect(200);
    await app.foldAlerts();
    expect((await read(listOf(alertShape), '/api/v1/alerts')).items).toEqual([]);
  });

  it.each([
    ['another version', { ...payload([alert()]), version: '3' }, 'expected a webhook of version 4'],
    ['no list', { version: '4' }, 'alerts'],
    ['a fingerprint that is none', payload([alert({ fingerprint: 'x' })]), '16 hexadecimal digits'],
    ['an alert without labels', payload([alert({ labels: {} })]), 'at least one label'],
  ])('is told what is wrong with %s', async (_, body, why) => {
    const answer = await post(body).expect(400);
    expect(JSON.stringify(answer.body)).toContain(why);
  });

  it('cannot make an echo of our own alerts', async () => {
    const labels = { alertname: 'subscription-removed', service: 'plumbline' };
    await post(payload([alert({ labels })])).expect(200, { firing: 0, resolved: 0, ours: 1 });
    expect((await app.signals.signals({ kind: 'external', state: 'all' }, { limit: 5 })).items).toEqual([]);
  });

  it('needs the token of a responder', async () => {
    await post(payload([alert()]), 'viewer').expect(403);
    await request(app.url)
      .post('/inbound/alertmanager')
      .send(payload([alert()]))
      .expect(401);
  });

  it('keeps what it says within limits', async () => {
    const labels = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`label_${n}`, 'x'.repeat(500)]));
    await post(payload([alert({ labels, annotations: { description: 'y'.repeat(9_000) } })])).expect(200);
    const { items } = await app.signals.signals({ kind: 'external' }, { limit: 1 });
    const facts = items[0]?.facts ?? {};
    expect(Object.keys(facts['labels'] as object)).toHaveLength(32);
    expect(JSON.stringify(facts).length).toBeLessThan(12_000);
  });
});
