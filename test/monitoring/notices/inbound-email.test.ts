import { request as httpRequest } from 'node:http';
import request from 'supertest';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NoticeView } from '../../../src/monitoring/contract.js';
import { ConsoleApp, MAIL_SECRET, NOON_MS } from '../../console/console-app.js';
import { selfSigned } from '../../support/self-signed.js';
import { DkimKey } from './dkim-key.js';
import {
  mailgun,
  MAILGUN_KEY,
  postmark,
  rawMime,
  sendgrid,
  ses,
  sns,
  TOPIC_ARN,
  type Found,
  type Posted,
} from './provider-payloads.js';
import { ADDRESS, failingText, mailOf, removedText, samplesBeside, wordingOf } from './sample-mails.js';

const ACME = 'acme.myshopify.com';
const HOUR_MS = 3_600_000;
const aws = selfSigned({ notBefore: new Date(NOON_MS - 1_000), notAfter: new Date(NOON_MS + 1_000 * HOUR_MS) });
const stranger = selfSigned({ notBefore: new Date(NOON_MS - 1_000), notAfter: new Date(NOON_MS + 1_000 * HOUR_MS) });
const dkim = new DkimKey();
const fromAws = { privateKey: aws.privateKey };

let app: ConsoleApp;
let key: string;
/** Addresses that the service has asked for. */
const fetched: string[] = [];
let awsStatus = 200;
let token = 0;

beforeAll(async () => {
  app = await ConsoleApp.open({
    notices: {
      settings: {
        secretPath: MAIL_SECRET,
        shopifySenders: ['shopify.com'],
        mailgunSigningKey: MAILGUN_KEY,
        snsTopicArns: [TOPIC_ARN],
      },
      secrets: [
        { secret: MAIL_SECRET, world: 'real' },
        { secret: 'secret-of-the-sandbox', world: 'sandbox' },
      ],
      http: {
        request: ({ url }) => {
          fetched.push(url);
          return Promise.resolve({
            kind: 'answer',
            status: awsStatus,
            headers: {},
            body: aws.certificate,
            complete: true,
          });
        },
      },
      lookUpTxt: (name) =>
        name === 's1._domainkey.shopify.com' ? Promise.resolve([[dkim.record]]) : Promise.reject(new Error(name)),
    },
  });
  const shop = await request(app.url)
    .post('/api/v1/shops')
    .set('authorization', `Bearer ${app.token('admin')}`)
    .send({ domain: ACME, accessToken: 'x', destinations: [] });
  key = String((shop.body as { webhookPath: string }).webhookPath.split('/').at(-1));
});
afterAll(() => app.close());
beforeEach(async () => {
  await app.db.database.query('truncate monitoring.notice, monitoring.notice_seen, kernel.audit');
  app.hints.length = 0;
  fetched.length = 0;
  awsStatus = 200;
  app.clock.set(NOON_MS);
});

async function post(
  { provider, contentType, body, end = '' }: Posted,
  secret = MAIL_SECRET,
): Promise<request.Response> {
  return request(app.url)
    .post(`/inbound/email/${provider}/${secret}${end}`)
    .set('content-type', contentType)
    .serialize(String)
    .send(body as unknown as string);
}

async function notices(): Promise<NoticeView[]> {
  const { body } = await request(app.url)
    .get('/api/v1/notices')
    .set('authorization', `Bearer ${app.token('viewer')}`);
  return (body as { items: NoticeView[] }).items;
}

/** One round of the process that leads. */
const round = () => app.notices.duty().round();

/** Every provider's shape of a mail, by which nobody but its author can have written it, or somebody else. */
const SHAPES: [string, (raw: Buffer, found: Found) => Promise<Posted>][] = [
  ['postmark', (raw, found) => postmark(raw, { found })],
  ['sendgrid', (raw, found) => sendgrid(raw, { found })],
  ['mailgun', (raw, found) => mailgun(raw, { found, atMs: app.clock.nowMs(), token: `t${++token}` })],
  [
    'mailgun, multipart',
    (raw, found) => mailgun(raw, { found, atMs: app.clock.nowMs(), token: `t${++token}`, multipart: true }),
  ],
  ['ses, signature version 1', (raw, found) => ses(raw, { ...fromAws, found, atMs: app.clock.nowMs() })],
  ['ses, signature version 2', (raw, found) => ses(raw, { ...fromAws, found, atMs: app.clock.nowMs(), version: '2' })],
  ['ses, in base64', (raw, found) => ses(raw, { ...fromAws, found, atMs: app.clock.nowMs(), base64: true })],
  [
    'postmark, with the whole mail',
    async (raw, found) => postmark(await signed(raw, found), { withRaw: true, found: 'nothing' }),
  ],
  ['sendgrid, with the whole mail', async (raw, found) => sendgrid(await signed(raw, found), { asRaw: true, found })],
  [
    'mailgun, with the whole mail',
    async (raw, found) =>
      mailgun(await signed(raw, found), { asMime: true, atMs: app.clock.nowMs(), token: `t${++token}` }),
  ],
  ['raw', async (raw, found) => rawMime(await signed(raw, found))],
];

function signed(raw: Buffer, found: Found): Promise<Buffer> {
  if (found === 'nothing') return Promise.resolve(raw);
  return dkim.sign(raw, {
    at: new Date(NOON_MS - 60_000),
    domain: found === 'aligned' ? 'shopify.com' : 'sender.example',
  });
}

describe.each(SHAPES)('%s', (_, shape) => {
  it('a removal is stored before it is answered, tied to shop and topic, and makes the watch look', async () => {
    const raw = mailOf({
      subject: 'Your webhook has been removed',
      text: removedText('orders/paid', `${ADDRESS}/${key}`),
    });
    expect((await post(await shape(raw, 'aligned'))).status).toBe(200);
    expect(await notices()).toMatchObject([
      {
        class: 'removed',
        wording: 'removed',
        world: 'real',
        senderDomain: 'shopify.com',
        shop: ACME,
        topic: 'orders/paid',
        url: `${ADDRESS}/${key}`,
        removedAt: '2026-11-23T11:58:41.000Z',
        attempts: null,
        subject: 'Your webhook has been removed',
        count: 1,
        hintedAt: null,
        needsAttention: false,
      },
    ]);
    await round();
    expect(app.hints).toEqual([expect.stringMatching(/^\d+, notice-removed$/)]);
    expect(await notices()).toMatchObject([{ hintedAt: app.clock.now().toISOString() }]);
    await round();
    expect(app.hints).toHaveLength(1);
  });

  it.each<Found>(['valid', 'nothing'])('a forged removal (%s) is listed and has no effect', async (found) => {
    const raw = mailOf({
      subject: 'Your webhook has been removed',
      text: removedText('orders/paid', `${ADDRESS}/${key}`),
    });
    expect((await post(await shape(raw, found))).status).toBe(200);
    expect(await notices()).toMatchObject([
      { class: 'untrusted', wording: 'removed', senderDomain: 'shopify.com', needsAttention: false },
    ]);
    await round();
    expect(app.hints).toEqual([]);
    expect((await app.signals.signals({}, { limit: 5 })).items).toEqual([]);
  });

  it('the same hand-over again changes nothing', async () => {
    const raw = mailOf({ text: failingText('orders/paid', `${ADDRESS}/${key}`) });
    const posted = await shape(raw, 'aligned');
    expect((await post(posted)).status).toBe(200);
    expect([200, 406]).toContain((await post(posted)).status);
    expect(await notices()).toMatchObject([{ class: 'failing', count: 1, attempts: 2 }]);
  });

  it('a From that names somebody else beside Shopify has no effect', async () => {
    const raw = mailOf({
      from: 'mailer@shopify.com, evil@example.com',
      text: removedText('orders/paid', `${ADDRESS}/${key}`),
    });
    await post(await shape(raw, 'aligned'));
    const found = await notices();
    // Postmark passes one author on; who that is, and whether it is signed by whom, it has looked at itself.
    if (found[0]?.trust !== 'postmark X-Spam-Tests') expect(found).toMatchObject([{ class: 'untrusted' }]);
  });
});

describe.skipIf(samplesBeside('eml').length === 0)('the samples beside the project', () => {
  const samples = samplesBeside('eml').flatMap(({ name, raw }) =>
    SHAPES.map(([shape, make]) => ({ name, raw, shape, make })),
  );

  it.each(samples)('$name by $shape is judged right', async ({ name, raw, make }) => {
    // Signed by its author, whoever that is: a near-miss is no mail of Shopify's however well it is signed.
    const posted = await make(Buffer.from(raw.toString().replaceAll('\r\n', '\n').replaceAll('\n', '\r\n')), 'aligned');
    expect((await post(posted)).status).toBe(200);
    const isNearMiss = name.startsWith('negative');
    expect(await notices()).toMatchObject([
      { class: isNearMiss ? 'untrusted' : wordingOf(name), wording: wordingOf(name) },
    ]);
    await round();
    expect(app.hints.length > 0).toBe(!isNearMiss);
  });
});

describe('who does not know the address', () => {
  it.each<[string, string]>([
    ['another secret', '/inbound/email/postmark/another-secret-path'],
    ['no secret', '/inbound/email/postmark/x'],
    ['the secret of another length', `/inbound/email/postmark/${MAIL_SECRET}x`],
  ])('gets 401 for %s, and nothing is kept', async (_, path) => {
    app.clock.advance(61_000);
    const { body } = await postmark(mailOf());
    const response = await request(app.url).post(path).set('content-type', 'application/json').send(body.toString());
    expect(response.status).toBe(401);
    expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(await notices()).toEqual([]);
  });

  it('gets 404 for a provider that there is not, and for a path that is shorter or longer', async () => {
    const to = async (path: string) => (await request(app.url).post(path).send({})).status;
    expect(await to(`/inbound/email/hotmail/${MAIL_SECRET}`)).toBe(404);
    expect(await to('/inbound/email/postmark')).toBe(404);
    expect(await to(`/inbound/email/postmark/${MAIL_SECRET}/more`)).toBe(404);
    expect((await request(app.url).get(`/inbound/email/postmark/${MAIL_SECRET}`)).status).toBe(404);
  });

  it('is answered 429 after twenty tries in a minute, and who knows it is let in all the while', async () => {
    app.clock.advance(200_000);
    const wrong = () => request(app.url).post('/inbound/email/postmark/wrong-secret').send({});
    for (let tries = 0; tries < 20; tries++) expect((await wrong()).status).toBe(401);
    expect((await wrong()).status).toBe(429);
    expect((await post(await postmark(mailOf()))).status).toBe(200);
    app.clock.advance(61_000);
    expect((await wrong()).status).toBe(401);
  });

  it('is refused before it has sent a body, and leaves no secret in the log', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const call = httpRequest(`${app.url}/inbound/email/postmark/wrong-secret-here`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': 1_000_000 },
      });
      call.on('response', (response) => {
        resolve(response.statusCode);
        call.destroy();
      });
      call.on('error', reject);
      call.write('{');
    });
    expect([401, 429]).toContain(status);
    expect(app.log).not.toContain(MAIL_SECRET);
    expect(app.log).not.toContain('wrong-secret-here');
  });
});

describe('what cannot be read', () => {
  it.each<[string, Posted]>([
    ['no JSON to Postmark', { provider: 'postmark', contentType: 'application/json', body: Buffer.from('{') }],
    ['another JSON to Postmark', { provider: 'postmark', contentType: 'application/json', body: Buffer.from('[]') }],
    [
      'no form to SendGrid',
      { provider: 'sendgrid', contentType: 'multipart/form-data; boundary=x', body: Buffer.from('--y') },
    ],
    ['no form to Mailgun', { provider: 'mailgun', contentType: 'multipart/form-data', body: Buffer.from('x') }],
    [
      'no envelope to SES',
      { provider: 'ses', contentType: 'text/plain', body: Buffer.from('{"Type":"Notification"}') },
    ],
    ['nothing', { provider: 'raw', contentType: 'message/rfc822', body: Buffer.alloc(0) }],
  ])('is answered 400 and not kept: %s', async (_, posted) => {
    expect((await post(posted)).status).toBe(400);
    expect(await notices()).toEqual([]);
  });

  it('is answered 413 over 4 MiB, whether announced or not', async () => {
    const body = Buffer.alloc(4 * 1024 * 1024 + 1, 0x61);
    expect((await post({ provider: 'raw', contentType: 'message/rfc822', body })).status).toBe(413);
    const status = await new Promise<number | undefined>((resolve) => {
      const call = httpRequest(`${app.url}/inbound/email/raw/${MAIL_SECRET}`, {
        method: 'POST',
        headers: { 'content-type': 'message/rfc822' },
      });
      call.on('response', (response) => resolve(response.statusCode));
      call.on('error', () => undefined);
      call.end(body);
    });
    expect(status).toBe(413);
    expect(await notices()).toEqual([]);
  });

  it('is kept as a mail by nobody where the address is right: noise is no reason to lose one', async () => {
    expect((await post(rawMime(Buffer.from([0, 1, 2, 3, 255, 254])))).status).toBe(200);
    expect(await notices()).toMatchObject([{ class: 'untrusted', senderDomain: null, trust: 'no author in From' }]);
  });
});

describe('mailgun', () => {
  const at = { atMs: NOON_MS };

  it.each<[string, Parameters<typeof mailgun>[1]]>([
    ['with another key', { ...at, key: 'another' }],
    ['with another token', { ...at, fields: { token: 'b' } }],
    ['with another timestamp', { ...at, fields: { timestamp: '1795399201' } }],
    ['with no signature', { ...at, fields: { signature: '' } }],
    ['with a signature in another alphabet', { ...at, fields: { signature: 'z'.repeat(64) } }],
    ['signed ten hours ago', { atMs: NOON_MS - 10 * HOUR_MS }],
    ['signed in an hour', { atMs: NOON_MS + HOUR_MS }],
  ])('is refused %s', async (_, options) => {
    expect((await post(await mailgun(mailOf(), options))).status).toBe(401);
    expect(await notices()).toEqual([]);
  });

  it('takes a token once, with whatever mail it comes', async () => {
    const first = await mailgun(mailOf({ text: failingText('orders/paid') }), { ...at, token: 'once' });
    const replay = await mailgun(mailOf({ text: removedText('orders/paid') }), { ...at, token: 'once' });
    expect((await post(first)).status).toBe(200);
    expect((await post(replay)).status).toBe(406);
    expect(await notices()).toMatchObject([{ class: 'failing', count: 1 }]);
  });

  it.each<[string, [string, string][]]>([
    [
      'a verdict below the first Received',
      [
        ['Received', 'x'],
        ['X-Mailgun-Dkim-Check-Result', 'Pass'],
        ['Dkim-Signature', 'd=shopify.com; h=from'],
      ],
    ],
    [
      'two verdicts',
      [
        ['X-Mailgun-Dkim-Check-Result', 'Pass'],
        ['Received', 'x'],
        ['X-Mailgun-Dkim-Check-Result', 'Pass'],
        ['Dkim-Signature', 'd=shopify.com; h=from'],
      ],
    ],
    [
      'two signatures by two',
      [
        ['X-Mailgun-Dkim-Check-Result', 'Pass'],
        ['Dkim-Signature', 'd=evil.example; h=from'],
        ['Dkim-Signature', 'd=shopify.com; h=from'],
      ],
    ],
    [
      'a signature with two domains',
      [
        ['X-Mailgun-Dkim-Check-Result', 'Pass'],
        ['Dkim-Signature', 'd=evil.example; d=shopify.com; h=from'],
      ],
    ],
    [
      'a signature that leaves From out',
      [
        ['X-Mailgun-Dkim-Check-Result', 'Pass'],
        ['Dkim-Signature', 'd=shopify.com; h=to:subject'],
      ],
    ],
    ['no signature', [['X-Mailgun-Dkim-Check-Result', 'Pass']]],
    ['no verdict', [['Dkim-Signature', 'd=shopify.com; h=from']]],
  ])('believes none of a sender’s own inventions: %s', async (_, headers) => {
    await post(await mailgun(mailOf({ text: removedText() }), { ...at, token: `h${++token}`, headers }));
    expect(await notices()).toMatchObject([{ class: 'untrusted' }]);
  });
});

describe('postmark', () => {
  it.each<[string, Parameters<typeof postmark>[1]]>([
    ['a second list of findings', { below: ['X-Spam-Tests'] }],
    ['a list where Postmark has skipped its check', { found: 'nothing', below: ['X-Spam-Tests'] }],
    ['a list above Postmark’s own', { found: 'valid', above: ['X-Spam-Tests'] }],
  ])('believes none of a sender’s own inventions: %s', async (_, options) => {
    await post(await postmark(mailOf({ text: removedText() }), options));
    expect(await notices()).toMatchObject([{ class: 'untrusted' }]);
  });

  it('is not believed about a mail that is there whole and not signed', async () => {
    await post(await postmark(mailOf({ text: removedText() }), { withRaw: true, found: 'aligned' }));
    expect(await notices()).toMatchObject([{ class: 'untrusted' }]);
  });
});

describe('ses', () => {
  const mail = mailOf({ text: removedText() });
  const at = { ...fromAws, atMs: NOON_MS };

  it.each<[string, Parameters<typeof ses>[1], number]>([
    ['signed by somebody else', { ...at, privateKey: stranger.privateKey }, 401],
    ['changed after it was signed', { ...at, change: { Message: '{}' } }, 401],
    ['of another topic', { ...at, topicArn: TOPIC_ARN.replace(':inbound', ':other') }, 403],
    ['of three days ago', { ...at, atMs: NOON_MS - 80 * HOUR_MS }, 401],
    ['of an instant that is none', { ...at, change: { Timestamp: 'today' } }, 401],
    ['with a certificate by http', { ...at, certificateUrl: 'http://sns.us-east-1.amazonaws.com/x.pem' }, 401],
    ['with a certificate from elsewhere', { ...at, certificateUrl: 'https://evil.example/x.pem' }, 401],
    [
      'with a certificate from a bucket',
      { ...at, certificateUrl: 'https://sns.s3-us-east-1.amazonaws.com/x.pem' },
      401,
    ],
    [
      'with a certificate from a look-alike',
      { ...at, certificateUrl: 'https://sns.us-east-1.amazonaws.com.evil.example/x.pem' },
      401,
    ],
    [
      'with a certificate of another region',
      { ...at, certificateUrl: 'https://sns.eu-west-1.amazonaws.com/x.pem' },
      401,
    ],
    [
      'with a certificate from another port',
      { ...at, certificateUrl: 'https://sns.us-east-1.amazonaws.com:8443/x.pem' },
      401,
    ],
    [
      'with something that is no certificate',
      { ...at, certificateUrl: 'https://sns.us-east-1.amazonaws.com/x.html' },
      401,
    ],
  ])('is refused %s', async (_, options, status) => {
    expect((await post(await ses(mail, options))).status).toBe(status);
    expect(await notices()).toEqual([]);
    // Only SNS's own address is ever asked for.
    expect(fetched.filter((url) => !url.startsWith('https://sns.us-east-1.amazonaws.com/'))).toEqual([]);
  });

  it('asks for the certificate once', async () => {
    const certificateUrl = 'https://sns.us-east-1.amazonaws.com/once.pem';
    await post(await ses(mail, { ...at, certificateUrl }));
    await post(await ses(mail, { ...at, certificateUrl, version: '2', messageId: 'another' }));
    expect(fetched).toEqual([certificateUrl]);
    expect(await notices()).toMatchObject([{ class: 'removed', count: 2 }]);
  });

  it('is asked to come again while the certificate cannot be had', async () => {
    awsStatus = 500;
    const posted = await ses(mail, { ...at, certificateUrl: 'https://sns.us-east-1.amazonaws.com/away.pem' });
    const response = await post(posted);
    expect(response.status).toBe(503);
    expect(response.headers['retry-after']).toBe('60');
    expect(await notices()).toEqual([]);
    awsStatus = 200;
    expect((await post(posted)).status).toBe(200);
    expect(await notices()).toHaveLength(1);
  });

  it('is refused with a certificate that is not valid any more', async () => {
    app.clock.set(NOON_MS + 2_000 * HOUR_MS);
    expect((await post(await ses(mail, { ...at, atMs: app.clock.nowMs() }))).status).toBe(401);
  });

  it('without the content is unknown: a subject alone is no fact', async () => {
    const raw = mailOf({ subject: 'Your webhook has been removed', text: removedText() });
    await post(await ses(raw, { ...at, withContent: false }));
    expect(await notices()).toMatchObject([{ class: 'unknown', needsAttention: true }]);
  });

  const CONFIRM = `https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${TOPIC_ARN}&Token=t`;

  it('is subscribed to the topics that are configured', async () => {
    const confirmation = sns('SubscriptionConfirmation', { Message: 'm', Token: 't', SubscribeURL: CONFIRM }, at);
    expect((await post(confirmation)).status).toBe(200);
    expect(fetched.filter((url) => url.includes('Action'))).toEqual([CONFIRM]);
  });

  it.each<[string, string, string]>([
    ['another topic', TOPIC_ARN.replace(':inbound', ':other'), CONFIRM.replace(':inbound', ':other')],
    ['an address of somebody else', TOPIC_ARN, 'https://evil.example/?Action=ConfirmSubscription'],
    ['another action', TOPIC_ARN, CONFIRM.replace('ConfirmSubscription', 'Unsubscribe')],
    ['a confirmation of another topic', TOPIC_ARN, CONFIRM.replace(':inbound', ':other')],
  ])('is not subscribed to %s', async (_, topicArn, SubscribeURL) => {
    const confirmation = sns(
      'SubscriptionConfirmation',
      { Message: 'm', Token: 't', SubscribeURL },
      { ...at, topicArn },
    );
    expect((await post(confirmation)).status).toBeGreaterThanOrEqual(401);
    expect(fetched.filter((url) => url.includes('Action'))).toEqual([]);
  });

  it('says that it was unsubscribed, and does nothing about it', async () => {
    const goodbye = sns('UnsubscribeConfirmation', { Message: 'm', Token: 't', SubscribeURL: CONFIRM }, at);
    expect((await post(goodbye)).status).toBe(200);
    expect(fetched.filter((url) => url.includes('Action'))).toEqual([]);
    expect(app.log).toContain('the subscription has been ended');
  });
});

describe('the database away', () => {
  it('is answered 503, so that the provider keeps the mail', async () => {
    const away = await ConsoleApp.open({ databaseAway: true });
    try {
      const { body, contentType } = await postmark(mailOf());
      const response = await request(away.url)
        .post(`/inbound/email/postmark/${MAIL_SECRET}`)
        .set('content-type', contentType)
        .send(body.toString());
      expect(response.status).toBe(503);
    } finally {
      await away.close();
    }
  });
});

describe('the sandbox', () => {
  it('speaks of its own shops only', async () => {
    const text = removedText('orders/paid', `${ADDRESS}/${key}`);
    expect((await post(await postmark(mailOf({ text })), 'secret-of-the-sandbox')).status).toBe(200);
    expect(await notices()).toMatchObject([{ world: 'sandbox', class: 'removed', shop: null }]);
    await round();
    expect(app.hints).toEqual([]);
  });
});
