import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Numbers } from '../../sandbox/shopify/numbers.js';
import { Mailer } from '../../sandbox/shopify/mailer.js';
import { until } from '../support/until.js';
import { Callback } from './support/callback.js';
import { ManualClock } from './support/manual-clock.js';

const MAIL = { subject: 'Your webhook has been removed', body: 'Your webhook for …', atMs: Date.UTC(2026, 10, 27, 12) };

let callback: Callback;
let clock: ManualClock;
let mailer: Mailer;
beforeEach(async () => {
  callback = await new Callback().start();
  clock = new ManualClock();
  mailer = new Mailer(`${callback.url}/inbound/email/postmark/secret`, clock, new Numbers(3, clock.now()));
});
afterEach(async () => {
  mailer.stop();
  await callback.stop();
});

const bodies = () => callback.calls.map(({ body }) => JSON.parse(body.toString()) as Record<string, unknown>);
const testsOf = (body: Record<string, unknown> | undefined) =>
  (body?.['Headers'] as { Name: string; Value: string }[]).find(({ Name }) => Name === 'X-Spam-Tests')?.Value;

describe('a mail', () => {
  it('is handed in as Postmark does, found to be signed by its author', async () => {
    mailer.send(MAIL);
    await until(() => mailer.handedIn === 1);
    expect(callback.calls[0]).toMatchObject({ path: '/inbound/email/postmark/secret' });
    const [body] = bodies();
    expect(body).toMatchObject({
      From: 'mailer@shopify.com',
      Subject: MAIL.subject,
      TextBody: MAIL.body,
      Date: 'Fri, 27 Nov 2026 12:00:00 GMT',
      MessageID: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(testsOf(body)?.split(',')).toContain('DKIM_VALID_AU');
  });

  it('that is forged is signed by somebody, and not by its author', async () => {
    mailer.send(MAIL, 'forged');
    await until(() => mailer.handedIn === 1);
    expect(testsOf(bodies()[0])?.split(',')).toEqual(['DKIM_SIGNED', 'DKIM_VALID', 'SPF_PASS']);
  });

  it('is repeated, the same, until it is taken', async () => {
    callback.status = 503;
    mailer.send(MAIL);
    await until(() => callback.calls.length === 1 && clock.ahead.length > 0);
    callback.status = 200;
    clock.advance(1_000);
    await until(() => mailer.handedIn === 1);
    const [first, second] = bodies();
    expect(second).toEqual(first);
  });

  it('is given up when it is refused for good', async () => {
    callback.status = 403;
    mailer.send(MAIL);
    await until(() => mailer.lost === 1);
    expect(callback.calls).toHaveLength(1);
  });
});
