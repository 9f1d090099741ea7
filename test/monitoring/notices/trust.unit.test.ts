import { describe, expect, it } from 'vitest';
import { checkDkim, type DkimCheck } from '../../../src/monitoring/notices/dkim.js';
import { judgeTrust, type Verdict } from '../../../src/monitoring/notices/trust.js';
import { DkimKey } from './dkim-key.js';
import { mailOf } from './sample-mails.js';

const SHOPIFY = ['shopify.com'];
const signedBy = (...dkimDomains: string[]): Verdict => ({ by: 'test', dkimDomains, isAligned: false });
const ALIGNED: Verdict = { by: 'test', dkimDomains: [], isAligned: true };

describe('a mail is believed', () => {
  it.each<[string, string[], Verdict | null, boolean]>([
    ['signed by its author', ['mailer@shopify.com'], signedBy('shopify.com'), true],
    ['by a subdomain, signed by the domain', ['x@mail.shopify.com'], signedBy('shopify.com'), true],
    ['by the domain, signed by a subdomain', ['x@shopify.com'], signedBy('email.shopify.com'), true],
    ['in capital letters', ['X@SHOPIFY.COM'], signedBy('Shopify.COM'), true],
    ['with DMARC passed', ['mailer@shopify.com'], ALIGNED, true],
    ['with two signatures, one of its author', ['x@shopify.com'], signedBy('sendgrid.net', 'shopify.com'), true],
    ['not when signed by somebody else', ['mailer@shopify.com'], signedBy('evil.example'), false],
    ['not when signed by nobody', ['mailer@shopify.com'], signedBy(), false],
    ['not when nobody has looked', ['mailer@shopify.com'], null, false],
    ['not when its author is somebody else, however well signed', ['x@evil.example'], ALIGNED, false],
    ['not from a look-alike', ['x@notshopify.com'], ALIGNED, false],
    ['not from a domain that only begins so', ['x@shopify.com.evil.example'], ALIGNED, false],
    ['not from a shop', ['x@acme.myshopify.com'], ALIGNED, false],
    ['not with two authors', ['x@shopify.com', 'y@evil.example'], ALIGNED, false],
    ['not without an author', [], ALIGNED, false],
    ['not with an author without a domain', ['shopify.com'], ALIGNED, false],
  ])('%s', (_, from, verdict, isTrusted) => {
    expect(judgeTrust(from, verdict, SHOPIFY)).toMatchObject({ isTrusted });
  });

  it('of other senders that are expected, and no more of those that are not', () => {
    expect(judgeTrust(['x@a.example'], ALIGNED, ['a.example']).isTrusted).toBe(true);
    expect(judgeTrust(['x@shopify.com'], ALIGNED, ['a.example']).isTrusted).toBe(false);
    // Both are expected; one does not vouch for the other.
    expect(judgeTrust(['x@shopify.com'], signedBy('a.example'), ['shopify.com', 'a.example']).isTrusted).toBe(false);
  });
});

describe('a signature that we check ourselves', () => {
  const key = new DkimKey();
  const NOW = new Date('2026-11-23T12:00:00Z');
  let asked: string[] = [];

  const sign = (mail: Buffer, options: { domain?: string; maxBodyLength?: number } = {}): Promise<Buffer> =>
    key.sign(mail, { at: new Date(NOW.getTime() - 60_000), ...options });

  function check(raw: Buffer, lookUp?: (name: string) => Promise<string[][]>, deadlineMs = 2_000): Promise<DkimCheck> {
    asked = [];
    const found = lookUp ?? (() => Promise.resolve([[key.record]]));
    return checkDkim(raw, {
      lookUp: (name) => {
        asked.push(name);
        return found(name);
      },
      allowed: SHOPIFY,
      nowAt: NOW,
      deadlineMs,
    });
  }
  const domainsOf = (checked: DkimCheck) =>
    checked.outcome === 'checked' ? checked.verdict.dkimDomains : checked.outcome;

  it('is valid when it is', async () => {
    expect(domainsOf(await check(await sign(mailOf())))).toEqual(['shopify.com']);
    expect(asked).toEqual(['s1._domainkey.shopify.com']);
  });

  it.each<[string, () => Promise<Buffer>]>([
    [
      'with another word in the mail',
      async () =>
        Buffer.from(
          (await sign(mailOf()))
            .toString()
            .replace('MIME-Version: 1.0', 'MIME-Version: 1.1')
            .replace('Shopify <', 'Shopify. <'),
        ),
    ],
    ['with something added below', async () => Buffer.concat([await sign(mailOf()), Buffer.from('more\r\n')])],
    [
      'with a length that leaves room to add something',
      async () => Buffer.concat([await sign(mailOf(), { maxBodyLength: 10 }), Buffer.from('more\r\n')]),
    ],
    [
      'with a second author above',
      async () => Buffer.concat([Buffer.from('From: x@evil.example\r\n'), await sign(mailOf())]),
    ],
    ['without a signature', async () => mailOf()],
    [
      'with a signature that is noise',
      async () =>
        Buffer.concat([
          Buffer.from('DKIM-Signature: v=1; a=rsa-sha256; d=shopify.com; s=s1; h=from; bh=AA==; b=AA==\r\n'),
          mailOf(),
        ]),
    ],
    ['out of nothing but noise', async () => Buffer.from([0, 1, 2, 255, 254])],
  ])('is none %s', async (_, mail) => {
    expect(domainsOf(await check(await mail()))).toEqual([]);
  });

  it('is none when the key is gone, or another', async () => {
    const mail = await sign(mailOf());
    const gone = Object.assign(new Error('queryTxt ENOTFOUND'), { code: 'ENOTFOUND' });
    expect(domainsOf(await check(mail, () => Promise.reject(gone)))).toEqual([]);
    const other = new DkimKey().record;
    expect(domainsOf(await check(mail, () => Promise.resolve([[other]])))).toEqual([]);
  });

  it('makes us ask no stranger for a key, and not often', async () => {
    expect(domainsOf(await check(await sign(mailOf(), { domain: 'evil.example' })))).toEqual([]);
    expect(asked).toEqual([]);
    const noise = Array.from({ length: 100 }, (_, n) => (signature: string) => signature.replace('s=s1', `s=s${n}`));
    const [signature = ''] = (await sign(mailOf())).toString().split('From: ');
    const many = Buffer.concat([Buffer.from(noise.map((change) => change(signature)).join('')), mailOf()]);
    await check(many);
    expect(asked.length).toBeLessThanOrEqual(8);
  });

  it('is asked for again when the name server does not answer, or not in time', async () => {
    const mail = await sign(mailOf());
    const away = Object.assign(new Error('queryTxt ETIMEOUT'), { code: 'ETIMEOUT' });
    expect(await check(mail, () => Promise.reject(away))).toMatchObject({ outcome: 'later' });
    expect(await check(mail, () => new Promise(() => undefined), 50)).toMatchObject({ outcome: 'later' });
  });
});
