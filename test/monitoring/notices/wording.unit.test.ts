import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { textOfHtml } from '../../../src/monitoring/notices/html-text.js';
import { readMime } from '../../../src/monitoring/notices/mail.js';
import { readWords, shopKeyIn, type Reading } from '../../../src/monitoring/notices/wording.js';
import { ADDRESS, failingText, mailOf, removedText, samplesBeside, wordingOf } from './sample-mails.js';

const said = (text: string, more: { subject?: string; html?: string; headers?: [string, string][] } = {}) =>
  readWords({ subject: '', html: null, headers: [], ...more, text });
const one = (text: string, more: Parameters<typeof said>[1] = {}): Reading => {
  const { readings } = said(text, more);
  expect(readings).toHaveLength(1);
  return readings[0] as Reading;
};

describe('a removal', () => {
  it('is read with its topic, its address and its instant', () => {
    expect(one(removedText())).toMatchObject({
      wording: 'removed',
      topic: 'orders/create',
      url: ADDRESS,
      removedAt: new Date('2026-11-23T11:58:41Z'),
      attempts: null,
    });
  });

  it.each<[string, string]>([
    ['two blanks after the address', removedText().replace(' has been', '  has been')],
    ['lines broken anywhere', removedText().replaceAll(' ', '\r\n')],
    [
      'blanks that do not break, and soft hyphens',
      removedText().replaceAll(' ', '\u00a0').replace('removed', 're\u00admoved'),
    ],
    ['a typographic apostrophe', removedText().replaceAll("'", '\u2019')],
    ['quoting marks of a mail passed on', `FYI\n\n> > ${removedText().replaceAll('\n', '\n> > ')}`],
    ['the address twice, as some readers write links', removedText().replace(ADDRESS, `${ADDRESS} <${ADDRESS}>`)],
    ['the address in angle brackets', removedText().replace(ADDRESS, `<${ADDRESS}>`)],
    ['capital letters', removedText().toUpperCase().replace(ADDRESS.toUpperCase(), ADDRESS)],
    ['an instant with a T', removedText().replace('2026-11-23 11', '2026-11-23T11')],
  ])('is read with %s', (_, text) => {
    expect(one(text)).toMatchObject({
      wording: 'removed',
      topic: 'orders/create',
      url: ADDRESS,
      removedAt: new Date('2026-11-23T11:58:41Z'),
    });
  });

  it('is one where the instant is none, or not there', () => {
    expect(one(removedText(undefined, undefined, '2026-13-45 99:99:99'))).toMatchObject({
      wording: 'removed',
      removedAt: null,
    });
    expect(one(`Your webhook for orders/paid at ${ADDRESS} has been removed because it fails.`)).toMatchObject({
      wording: 'removed',
      topic: 'orders/paid',
      removedAt: null,
    });
  });

  it('is not swallowed by the warnings that are quoted below it', () => {
    const { readings } = said(`${removedText('orders/paid')}\n\nEarlier:\n> ${failingText('orders/paid')}`);
    expect(readings.map(({ wording, attempts }) => [wording, attempts])).toEqual([
      ['removed', null],
      ['failing', 2],
    ]);
  });

  it('is read once from text and HTML, and each of several is read', () => {
    const html = `<p>${removedText().replace('orders/create', '<b>orders/create</b>')}</p>`;
    expect(said(removedText(), { html }).readings).toHaveLength(1);
    const topics = ['orders/create', 'orders/paid', 'refunds/create'];
    expect(said(topics.map((topic) => removedText(topic)).join('\n')).readings.map(({ topic }) => topic)).toEqual(
      topics,
    );
  });

  it('is unknown beyond two hundred in one mail, so that a person looks', () => {
    const text = Array.from({ length: 250 }, (_, n) => removedText('orders/create', `${ADDRESS}/k${n}`)).join('\n');
    const { readings } = said(text);
    expect(readings.filter(({ wording }) => wording === 'removed')).toHaveLength(200);
    expect(readings.at(-1)).toMatchObject({ wording: 'unknown' });
  });
});

describe('a warning', () => {
  it('is read with its topic, its address and the number of attempts', () => {
    expect(one(failingText('orders/paid', ADDRESS, 15))).toMatchObject({
      wording: 'failing',
      topic: 'orders/paid',
      url: ADDRESS,
      removedAt: null,
      attempts: 15,
    });
  });

  it('is one although it says that the webhook will be removed', () => {
    expect(one(failingText())).toMatchObject({ wording: 'failing' });
  });

  it('is read from HTML alone, with the address from the link where the words are none', () => {
    const html =
      `<html><head><title>x</title><style>p { }</style></head><body><p>Your webhook for <b>orders/paid</b> at ` +
      `<a href="${ADDRESS}/key-1">your&nbsp;endpoint</a> is failing to return a successful response.</p></body></html>`;
    expect(readWords({ subject: '', text: null, html, headers: [] }).readings).toMatchObject([
      { wording: 'failing', topic: 'orders/paid', url: `${ADDRESS}/key-1` },
    ]);
  });

  it('keeps the words of a link that are an address: what is counted on the way is not ours', () => {
    const html = `<p>Your webhook for orders/paid at <a href="https://click.example/?x">${ADDRESS}/key-1</a> is failing to return a successful response.</p>`;
    expect(readWords({ subject: '', text: null, html, headers: [] }).readings).toMatchObject([
      { url: `${ADDRESS}/key-1` },
    ]);
  });
});

describe('words that nobody has taught us', () => {
  it.each<[string, string, string]>([
    ['another wording', '', 'We have deleted the webhook subscription orders/create of your app.'],
    ['another language', '', `Votre webhook pour orders/create (${ADDRESS}/key-1) a été supprimé.`],
    ['another language without the word', '', `Ihr Abonnement ${ADDRESS}/key-1 wurde entfernt.`],
    ['a subject alone', 'Your webhook has been removed', ''],
    ['a changelog', 'Webhook subscriptions subTopic has been removed', 'the subTopic argument has been removed'],
  ])('are unknown: %s', (_, subject, text) => {
    expect(one(text, { subject })).toMatchObject({ wording: 'unknown', topic: null });
  });

  it('name our address where they do', () => {
    expect(one(`Ihr Abonnement (${ADDRESS}/key-1) wurde entfernt.`)).toMatchObject({ url: `${ADDRESS}/key-1` });
  });

  it.each<[string, string, [string, string][]]>([
    ['an invoice', 'Your invoice for November', []],
    ['an automatic reply', 'Automatic reply: Your webhook has been removed', [['Auto-Submitted', 'auto-replied']]],
  ])('are nothing where they are about something else: %s', (_, subject, headers) => {
    expect(one('I am out of the office.', { subject, headers })).toMatchObject({ wording: 'other' });
  });
});

describe.skipIf(samplesBeside('eml').length === 0)('the samples beside the project', () => {
  it.each(samplesBeside('eml'))('$name is read as what it is', async ({ name, raw }) => {
    const { readings } = readWords(await readMime(raw));
    expect(readings.map(({ wording }) => wording)).toEqual([wordingOf(name)]);
    const [reading] = readings;
    if (reading?.wording === 'removed' || reading?.wording === 'failing') {
      expect(reading).toMatchObject({
        topic: expect.stringMatching(/^[a-z]+\/[a-z]+$/),
        url: expect.stringMatching(/\/webhooks\/shopify$/),
      });
      expect(reading.attempts === null).toBe(reading.wording === 'removed');
      expect(reading.removedAt === null).toBe(reading.wording === 'failing');
    }
  });

  it.each(samplesBeside('txt'))('$name, word for word as it was found, is read as what it is', ({ name, raw }) => {
    expect(one(raw.toString())).toMatchObject({ wording: wordingOf(name) });
  });
});

describe('every way to write a mail', () => {
  it.each<[string, Buffer]>([
    ['base64', mailOf({ subject: 'Your webhook has been removed', text: removedText() })],
    ['HTML beside text', mailOf({ text: removedText(), html: `<p>${removedText()}</p>` })],
    ['HTML alone', mailOf({ html: `<p>${removedText()}</p>` })],
    ['a folded subject', mailOf({ subject: 'Your webhook\r\n has been removed', text: removedText() })],
    ['an encoded subject', mailOf({ subject: '=?utf-8?B?WW91ciB3ZWJob29r?=', text: removedText() })],
    [
      'a mail within a mail',
      Buffer.from(
        [
          'From: a@example.com',
          'Subject: Fwd: removed',
          'MIME-Version: 1.0',
          'Content-Type: multipart/mixed; boundary=o',
          '',
          '--o',
          'Content-Type: message/rfc822',
          '',
          mailOf({ text: removedText() }).toString(),
          '--o--',
          '',
        ].join('\r\n'),
      ),
    ],
  ])('comes to the same: %s', async (_, raw) => {
    const mail = await readMime(raw);
    expect(readWords(mail).readings).toMatchObject([{ wording: 'removed', topic: 'orders/create', url: ADDRESS }]);
  });

  it('keeps every From, so that nobody hides behind a second one', async () => {
    const raw = Buffer.from(`From: evil@example.com\r\n${mailOf().toString()}`);
    expect((await readMime(raw)).from).toEqual(['evil@example.com', 'mailer@shopify.com']);
  });
});

describe('whatever the bytes', () => {
  it('says something and never throws', async () => {
    const pieces = fc.constantFrom(
      'webhook for ',
      'at ',
      'https://',
      '/webhooks/shopify/',
      ' has been removed on ',
      '<a href=',
      '&#',
      '<',
      '>',
      '\n',
      '\r\n\r\n',
      'Content-Type: text/html',
      '=?utf-8?Q?',
      '--b',
      '> ',
    );
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array)),
      fc
        .array(fc.oneof(pieces, fc.string({ unit: 'binary', maxLength: 8 })), { maxLength: 60 })
        .map((parts) => Buffer.from(parts.join(''))),
    );
    await fc.assert(
      fc.asyncProperty(bytes, async (raw) => {
        expect(readWords(await readMime(raw)).readings.length).toBeGreaterThan(0);
        const text = raw.toString('latin1');
        expect(readWords({ subject: text, text, html: text, headers: [] }).readings.length).toBeGreaterThan(0);
      }),
      { numRuns: 400 },
    );
  });

  it('finds a removal among any other words', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), fc.string({ maxLength: 300 }), (before, after) => {
        const { readings } = said(`${before} \n${removedText()}\n ${after}`);
        expect(readings.some(({ wording, url }) => wording === 'removed' && url === ADDRESS)).toBe(true);
      }),
    );
  });

  it.each<[string, string]>([
    ['tags without an end', '<'.repeat(1_000_000)],
    ['comments without an end', '<!--'.repeat(300_000)],
    ['sentences without an end', 'your webhook for a at b '.repeat(50_000)],
    ['addresses without an end', 'https://a/webhooks/shopify'.repeat(50_000)],
    ['one word', 'webhook for x at ' + ')'.repeat(1_000_000)],
    ['entities', '&amp;&#1;&#x'.repeat(100_000)],
  ])('takes time in proportion to the length: %s', (_, text) => {
    const startedMs = performance.now();
    readWords({ subject: text, text, html: text, headers: [] });
    textOfHtml(text);
    expect(performance.now() - startedMs).toBeLessThan(3_000);
  });
});

describe('the key of a shop', () => {
  it.each<[string, string | null]>([
    [`${ADDRESS}/Ab_9-x`, 'Ab_9-x'],
    [`${ADDRESS}/Ab_9-x/`, 'Ab_9-x'],
    [`${ADDRESS}/Ab_9-x?utm=1`, 'Ab_9-x'],
    [ADDRESS, null],
    [`${ADDRESS}/`, null],
    [`${ADDRESS}/a/b`, null],
    ['https://x.test/webhooks/stripe/abc', null],
  ])('%s → %s', (url, key) => {
    expect(shopKeyIn(url)).toBe(key);
  });
});
