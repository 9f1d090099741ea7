import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import request from 'supertest';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TokenRole } from '../../src/kernel/auth.js';
import { runCli } from '../../src/console/cli/program.js';
import { listOf } from '../../src/console/shapes.js';
import { statusEntryShape, statusShape } from '../../src/console/status.http.js';
import { ConsoleApp, NOON_MS } from './console-app.js';

const UNTIL = new Date(NOON_MS + 3_600_000).toISOString();
let app: ConsoleApp;
let cwd: string;

beforeAll(async () => {
  app = await ConsoleApp.open();
  cwd = mkdtempSync(join(tmpdir(), 'plumbline-status-'));
  mkdirSync(join(cwd, '.plumbline'));
  writeFileSync(join(cwd, '.plumbline/admin-token'), `${app.token('admin')}\n`);
});
afterAll(async () => {
  await app.close();
  rmSync(cwd, { recursive: true });
});
beforeEach(async () => {
  await app.db.database.query('truncate status_page.entry, kernel.audit');
  await app.statusPage.publish();
});

const as = (role: TokenRole, method: 'get' | 'post', path: string, body?: object) => {
  const asked = method === 'get' ? request(app.url).get(path) : request(app.url).post(path);
  return asked.set('authorization', `Bearer ${app.token(role)}`).send(body);
};

async function plumbline(...words: string[]): Promise<{ code: number; out: string; error: string }> {
  const ran = { code: -1, out: '', error: '' };
  ran.code = await runCli(words, {
    env: { PLUMBLINE_URL: app.url },
    cwd,
    width: 120,
    out: (text) => (ran.out += text),
    error: (text) => (ran.error += text),
    checkConfig: () => Promise.resolve(0),
  });
  return ran;
}

describe('the API of the status page', () => {
  it('says what the public is told, and why', async () => {
    const { body } = await as('viewer', 'get', '/api/v1/status').expect(200);
    const status = statusShape.parse(body);
    expect(status).toMatchObject({ world: 'real', state: 'unknown', confirmedAt: '2026-11-23T12:00:00.000Z' });
    expect(status.components.map(({ id, state }) => [id, state])).toEqual([
      ['intake', 'unknown'],
      ['processing', 'unknown'],
      ['reconciliation', 'unknown'],
      ['status', 'operational'],
    ]);
    expect(status.components[0]?.why[0]).toBe('No store is connected yet, so there is nothing to prove it by.');
  });

  it('lets a responder worsen and annotate, and take it back; each is audited', async () => {
    const say = (body: object) =>
      as('responder', 'post', '/api/v1/status/components/status', { note: 'Mind the gap.', until: UNTIL, ...body });
    const { body: entry } = await say({ worsen: 'partial_outage' }).expect(201);
    expect(statusEntryShape.parse(entry)).toMatchObject({
      component: 'status',
      worsen: 'partial_outage',
      actor: 'the-responder',
    });
    expect(statusEntryShape.parse((await say({}).expect(201)).body).worsen).toBeNull();
    await app.statusPage.publish();
    expect(statusShape.parse((await as('viewer', 'get', '/api/v1/status')).body).state).toBe('partial_outage');
    const id = statusEntryShape.parse(entry).id;
    const ended = await as('responder', 'post', `/api/v1/status/entries/${id}/end`).expect(200);
    expect(statusEntryShape.parse(ended.body).endedBy).toBe('the-responder');
    const again = await as('responder', 'post', `/api/v1/status/entries/${id}/end`).expect(200);
    expect(again.body).toEqual(ended.body);
    const { body: live } = await as('viewer', 'get', '/api/v1/status/entries').expect(200);
    expect(listOf(statusEntryShape).parse(live).items).toHaveLength(1);
    const { body: all } = await as('viewer', 'get', '/api/v1/status/entries?state=all&limit=1').expect(200);
    expect(listOf(statusEntryShape).parse(all)).toMatchObject({
      items: [{ worsen: null }],
      nextCursor: expect.stringMatching(/^\d+$/),
    });
    const audit = await app.db.database.rows<{ action: string }>('select action from kernel.audit order by id');
    expect(audit.map(({ action }) => action)).toEqual(['status.worsen', 'status.annotate', 'status.end']);
  });

  it('refuses to whiten, with the reason', async () => {
    const path = '/api/v1/status/components/intake';
    const better = await as('responder', 'post', path, {
      worsen: 'degraded_performance',
      note: 'Fine.',
      until: UNTIL,
    }).expect(409);
    expect(better.body).toMatchObject({
      detail: expect.stringContaining('The page says unknown now, and degraded would be better than that.'),
    });
    const well = await as('responder', 'post', path, { worsen: 'operational', note: 'Fine.', until: UNTIL }).expect(
      400,
    );
    expect(JSON.stringify(well.body)).toContain('people may worsen what the page says, never improve it');
    expect((await as('viewer', 'get', '/api/v1/status/entries?state=all')).body).toEqual({
      items: [],
      nextCursor: null,
    });
  });

  it('is not for viewers to write, and knows what there is', async () => {
    const body = { note: 'x', until: UNTIL };
    await as('viewer', 'post', '/api/v1/status/components/intake', body).expect(403);
    await as('responder', 'post', '/api/v1/status/components/delivery:fax', body).expect(404);
    await as('responder', 'post', '/api/v1/status/entries/abcdefghijkl/end').expect(404);
    await as('responder', 'post', '/api/v1/status/components/intake', { note: ' ', until: 'soon' }).expect(400);
  });
});

describe('plumbline status', () => {
  it('says what the public is told, and ends with 1 unless it is operational', async () => {
    const { code, out } = await plumbline('status');
    expect(code).toBe(1);
    expect(out).toMatch(/^Unknown: Intake, Processing and Reconciliation \(real; as of 2026-11-23 12:00:00Z\)\n/);
    expect(out).toMatch(/\nintake +unknown +- +No store is connected yet/);
    expect(JSON.parse((await plumbline('status', '--json')).out)).toMatchObject({ state: 'unknown' });
  });

  it('worsens, annotates, lists and takes back', async () => {
    const said = await plumbline(
      'status',
      'worsen',
      'status',
      '--state',
      'major_outage',
      '--note',
      'It is down.',
      '--until',
      UNTIL,
    );
    expect(said).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^Said of status until 2026-11-23 13:00:00Z \(entry [0-9a-z]{12}\)\.\n$/),
    });
    expect((await plumbline('status', 'annotate', 'intake', '--note', 'More soon.', '--until', UNTIL)).code).toBe(0);
    const listed = await plumbline('status', 'entries');
    expect(listed.out).toContain('It is down.');
    expect(listed.out).toContain('More soon.');
    const id = /entry ([0-9a-z]{12})/.exec(said.out)?.[1] ?? '';
    expect(await plumbline('status', 'end', id)).toMatchObject({ code: 0, out: `Entry ${id} is over.\n` });
    const refused = await plumbline(
      'status',
      'worsen',
      'intake',
      '--state',
      'under_maintenance',
      '--note',
      'x',
      '--until',
      UNTIL,
    );
    expect(refused.code).toBe(1);
    expect(refused.error).toContain('never improve it');
  });
});
