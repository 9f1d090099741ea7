import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/console/cli/program.js';
import { incidentShape, openedIncidentShape } from '../../src/console/incidents.http.js';
import { listOf } from '../../src/console/shapes.js';
import type { TokenRole } from '../../src/kernel/auth.js';
import { ConsoleApp } from './console-app.js';

const ACME = 'acme.myshopify.com';
let app: ConsoleApp;
let cwd: string;

beforeAll(async () => {
  app = await ConsoleApp.open();
  cwd = mkdtempSync(join(tmpdir(), 'plumbline-incidents-'));
  mkdirSync(join(cwd, '.plumbline'));
  writeFileSync(join(cwd, '.plumbline/admin-token'), `${app.token('responder')}\n`);
  const connected = await request(app.url)
    .post('/api/v1/shops')
    .set('authorization', `Bearer ${app.token('admin')}`)
    .send({ domain: ACME, accessToken: 'SECRET-shpat' });
  expect(connected.status).toBe(201);
  await app.db.database.query('truncate kernel.audit');
});
afterAll(async () => {
  await app.close();
  rmSync(cwd, { recursive: true });
});

const ask = (method: 'get' | 'post', path: string, body?: object, role: TokenRole = 'responder') => {
  const api = request(app.url);
  const asked = method === 'get' ? api.get(`/api/v1${path}`) : api.post(`/api/v1${path}`);
  const allowed = asked.set('authorization', `Bearer ${app.token(role)}`);
  return body === undefined ? allowed : allowed.send(body);
};

const DECLARED = { title: 'Orders arrive late', severity: 2, touchesOrders: true, components: ['delivery:ga4'] };

async function declare(given: object = {}): Promise<string> {
  const { body } = await ask('post', '/incidents', { ...DECLARED, ...given }).expect(201);
  return incidentShape.parse(body).id;
}

async function plumbline(args: string[]): Promise<{ code: number; out: string; error: string }> {
  const ran = { code: -1, out: '', error: '' };
  ran.code = await runCli(args, {
    env: { PLUMBLINE_URL: app.url },
    cwd,
    width: 0,
    out: (text) => (ran.out += text),
    error: (text) => (ran.error += text),
    checkConfig: () => Promise.resolve(0),
  });
  return ran;
}

describe('an incident', () => {
  it('is declared by a responder and no viewer, and shows what stands before its end', async () => {
    await ask('post', '/incidents', DECLARED, 'viewer').expect(403);
    const id = await declare();
    const { body } = await ask('get', `/incidents/${id}`, undefined, 'viewer').expect(200);
    const shown = openedIncidentShape.parse(body);
    expect(shown).toMatchObject({
      title: 'Orders arrive late',
      severity: 2,
      shops: [ACME],
      components: ['delivery:ga4'],
      public: true,
      gate: ['it is not mitigated: nobody has said that it goes on no more', 'a reconciliation begun after mitigation'],
      timeline: [{ kind: 'declared', actor: 'the-responder' }, { kind: 'public-update' }],
      updates: [{ state: 'investigating', actor: null }],
    });
    const list = await ask('get', '/incidents?state=open&world=real', undefined, 'viewer').expect(200);
    expect(
      listOf(incidentShape)
        .parse(list.body)
        .items.map((each) => each.id),
    ).toContain(id);
    expect((await ask('get', '/incidents?world=sandbox').expect(200)).body).toEqual({ items: [], nextCursor: null });
  });

  it('is not resolved while its gate is closed: 409, with what is missing', async () => {
    const id = await declare();
    const early = await ask('post', `/incidents/${id}/resolve`).expect(409);
    expect((early.body as { detail: string }).detail).toContain('a reconciliation begun after mitigation');
    await ask('post', `/incidents/${id}/updates`, { state: 'resolved', body: 'Over.' }).expect(409);
    await ask('post', `/incidents/${id}/updates`, { state: 'monitoring', body: 'Fixed; we look.' }).expect(200);
    const unproved = await ask('post', `/incidents/${id}/resolve`).expect(409);
    expect((unproved.body as { detail: string }).detail).toMatch(`${ACME}: reconciliation 1 is queued`);
    // What the reconciler would write: first one that was begun too early, then one that counts.
    const become = (startedAt: Date) =>
      app.db.database.query(
        `update monitoring.reconciliation set state = 'complete', started_at = $1, listed_at = $1, finished_at = $1`,
        [startedAt],
      );
    await become(new Date(app.clock.nowMs() - 1));
    await ask('post', `/incidents/${id}/resolve`).expect(409);
    await become(app.clock.now());
    const { body } = await ask('post', `/incidents/${id}/resolve`).expect(200);
    expect(incidentShape.parse(body)).toMatchObject({ state: 'resolved', gate: [] });
  });

  it('takes notes and a worse severity, never a better one', async () => {
    const id = await declare({ severity: 3 });
    await ask('post', `/incidents/${id}/notes`, { text: 'looked at it' }).expect(200);
    await ask('post', `/incidents/${id}/raise`, { severity: 4, reason: 'it is nothing' }).expect(409);
    const { body } = await ask('post', `/incidents/${id}/raise`, { severity: 1, reason: 'all of it' }).expect(200);
    expect(body).toMatchObject({ severity: 1, severityReason: 'all of it' });
  });

  it('that is not there is 404, and what cannot be one is 400', async () => {
    await ask('get', '/incidents/abcdefabcdef').expect(404);
    const writes: [string, object | undefined][] = [
      ['resolve', undefined],
      ['notes', { text: 'x' }],
      ['raise', { severity: 1, reason: 'x' }],
      ['updates', { state: 'identified', body: 'x' }],
    ];
    for (const [what, given] of writes) await ask('post', `/incidents/abcdefabcdef/${what}`, given).expect(404);
    await ask('get', '/incidents/NOT-AN-ID').expect(400);
    await ask('post', '/incidents', { ...DECLARED, severity: 5 }).expect(400);
    await ask('post', '/incidents', { ...DECLARED, components: ['moon'] }).expect(400);
    const typo = await ask('post', '/incidents', { ...DECLARED, shops: [ACME, 'acne.myshopify.com'] }).expect(400);
    expect(typo.body).toMatchObject({
      errors: [{ key: 'shops', message: 'not registered in the real world: acne.myshopify.com' }],
    });
    await ask('post', '/incidents', { ...DECLARED, shops: [ACME], world: 'sandbox' }).expect(400);
  });

  it('leaves every write in the audit log', async () => {
    const id = await declare();
    await ask('post', `/incidents/${id}/notes`, { text: 'x' }).expect(200);
    const rows = await app.db.database.rows<{ actor: string; action: string }>(
      'select actor, action from kernel.audit where subject = $1 order by id',
      [id],
    );
    expect(rows).toEqual([
      { actor: 'the-responder', action: 'incident.declare' },
      { actor: 'the-responder', action: 'incident.note' },
    ]);
  });
});

describe('plumbline incident', () => {
  it('declares, shows, tells, raises and lists; what is refused ends with 1', async () => {
    const declared = await plumbline(['incident', 'declare', 'Something is wrong', '--severity', '3', '--json']);
    expect(declared.code).toBe(0);
    const { id } = incidentShape.parse(JSON.parse(declared.out));
    expect(await plumbline(['incident', 'note', id, 'a closer look'])).toMatchObject({ code: 0 });
    expect(await plumbline(['incident', 'update', id, 'We know.', '--state', 'identified'])).toMatchObject({ code: 0 });
    expect(await plumbline(['incident', 'raise', id, '2', 'it is worse'])).toMatchObject({
      code: 0,
      out: expect.stringContaining(`Incident ${id}, severity 2, identified`) as string,
    });
    expect(await plumbline(['incident', 'raise', id, '3', 'no'])).toMatchObject({ code: 1 });
    const resolved = await plumbline(['incident', 'resolve', id]);
    expect(resolved).toMatchObject({ code: 1, error: expect.stringContaining('not mitigated') as string });
    const shown = await plumbline(['incident', 'show', id]);
    for (const text of ['Something is wrong', 'a closer look', 'Before its end:', 'We know.', 'it is worse']) {
      expect(shown.out).toContain(text);
    }
    expect((await plumbline(['incident', 'list'])).out).toContain(id);
    await plumbline(['incident', 'update', id, 'Over.', '--state', 'monitoring']);
    app.clock.advance(15 * 60_000);
    expect(await plumbline(['incident', 'resolve', id])).toMatchObject({ code: 0 });
    expect((await plumbline(['incident', 'list'])).out).not.toContain(id);
  });
});
