import request from 'supertest';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TokenRole } from '../../src/kernel/auth.js';
import { readAudit } from '../../src/kernel/audit.js';
import { runCli } from '../../src/console/cli/program.js';
import { noticeShape } from '../../src/console/notices.http.js';
import { listOf } from '../../src/console/shapes.js';
import { postmark, type Posted } from '../monitoring/notices/provider-payloads.js';
import { ADDRESS, failingText, mailOf, removedText } from '../monitoring/notices/sample-mails.js';
import { ConsoleApp, MAIL_SECRET } from './console-app.js';

let app: ConsoleApp;
beforeAll(async () => {
  app = await ConsoleApp.open();
});
afterAll(() => app.close());
beforeEach(() => app.db.database.query('truncate monitoring.notice, monitoring.notice_seen, kernel.audit'));

async function arrive(subject: string, text: string, found: 'aligned' | 'valid' = 'aligned'): Promise<void> {
  const { body, contentType }: Posted = await postmark(mailOf({ subject, text }), { found, id: subject });
  const address = `/inbound/email/postmark/${MAIL_SECRET}`;
  const { status } = await request(app.url).post(address).set('content-type', contentType).send(body.toString());
  expect(status).toBe(200);
}

async function ask(method: 'get' | 'post', path: string, as: TokenRole, body: object = {}): Promise<request.Response> {
  const verb = method === 'get' ? request(app.url).get(path) : request(app.url).post(path).send(body);
  return verb.set('authorization', `Bearer ${app.token(as)}`);
}

const list = async (query = '') => {
  const { status, body } = await ask('get', `/api/v1/notices${query}`, 'viewer');
  expect(status).toBe(200);
  return listOf(noticeShape).parse(body).items;
};

describe('notices over the API', () => {
  it('are listed by class, and nobody is shown more than is kept', async () => {
    await arrive('Your webhook has been removed', removedText());
    await arrive('Forged', removedText('orders/paid'), 'valid');
    await arrive('Your webhook is failing', failingText());
    expect((await list()).map((each) => each.class)).toEqual(['failing', 'untrusted', 'removed']);
    expect(await list('?class=untrusted')).toMatchObject([{ wording: 'removed', subject: 'Forged' }]);
    expect(await list('?shop=nobody.myshopify.com')).toEqual([]);
    const wrong = await ask('get', '/api/v1/notices?class=lost', 'viewer');
    expect(wrong.status).toBe(400);
    expect(JSON.stringify(wrong.body)).toContain('expected removed, failing, other, unknown, untrusted');
  });

  it('are classified by responders, and that is audited', async () => {
    await arrive('News', 'Something new about your webhook.');
    const [notice] = await list('?class=unknown');
    expect(notice).toMatchObject({ needsAttention: true });
    const path = `/api/v1/notices/${notice?.id}/classify`;
    expect((await ask('post', path, 'viewer', { class: 'removed' })).status).toBe(403);
    expect((await ask('post', path, 'responder', { class: 'untrusted' })).status).toBe(400);
    expect((await ask('post', '/api/v1/notices/999999/classify', 'responder', { class: 'other' })).status).toBe(404);
    const answer = await ask('post', path, 'responder', { class: 'removed' });
    expect(noticeShape.parse(answer.body)).toMatchObject({
      class: 'removed',
      classifiedBy: 'the-responder',
      needsAttention: false,
    });
    expect((await readAudit(app.db.database, { limit: 5 })).items).toMatchObject([
      { actor: 'the-responder', action: 'notice.classify', subject: `notice ${notice?.id}` },
    ]);
  });

  it('are read by responders', async () => {
    await arrive('News', 'Something new about your webhook.');
    const [notice] = await list();
    const answer = await ask('post', `/api/v1/notices/${notice?.id}/read`, 'responder');
    expect(noticeShape.parse(answer.body)).toMatchObject({ needsAttention: false, class: 'unknown' });
    expect((await ask('post', '/api/v1/notices/999999/read', 'responder')).status).toBe(404);
  });
});

describe('notices on the command line', () => {
  async function plumbline(...args: string[]): Promise<{ code: number; out: string }> {
    const ran = { code: -1, out: '' };
    ran.code = await runCli(args, {
      env: { PLUMBLINE_URL: app.url, PLUMBLINE_TOKEN: app.token('admin') },
      cwd: '/',
      width: 80,
      out: (text) => (ran.out += text),
      error: (text) => (ran.out += text),
      checkConfig: () => Promise.resolve(0),
    });
    return ran;
  }

  it('are listed, shown and classified', async () => {
    expect((await plumbline('notices')).out).toBe('No mail of Shopify so far.\n');
    await arrive('News', `Ihr Abonnement ${ADDRESS} wurde entfernt.`);
    const [notice] = await list();
    const listed = await plumbline('notices');
    expect(listed.out).toMatch(/^ID +LAST +CLASS/);
    expect(listed.out).toContain(`${notice?.id} !`);
    expect(Math.max(...listed.out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect((await plumbline('notices', 'list', '--class', 'removed')).out).toBe('No mail of Shopify so far.\n');
    expect(JSON.parse((await plumbline('notices', '--json')).out)).toMatchObject({ items: [{ subject: 'News' }] });
    const read = await plumbline('notices', 'read', notice?.id ?? '');
    expect(read.out).toBe(`Notice ${notice?.id}, unknown: News\nIhr Abonnement ${ADDRESS} wurde entfernt.\n`);
    const classified = await plumbline('notices', 'classify', notice?.id ?? '', 'removed');
    expect(classified).toEqual({ code: 0, out: `Notice ${notice?.id} is removed.\n` });
    expect((await plumbline('notices', 'read', '999999')).code).not.toBe(0);
  });
});
