import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { browserIds } from '../../../src/pipeline/event/browser-ids.js';
import { campaignOf } from '../../../src/pipeline/event/campaign.js';
import { eventId } from '../../../src/pipeline/event/event-id.js';
import { microsOf, parseInstant, type Instant } from '../../../src/pipeline/event/instant.js';

describe('eventId', () => {
  const fact = { shopDomain: 'acme.myshopify.com', subjectId: '450789469', kind: 'purchase', version: '0' } as const;

  it('never changes: what was sent yesterday has the same name tomorrow', () => {
    expect(eventId(fact)).toBe('plb_81fcca9854685ef1e6181cac1b2e213b4653d7ac');
  });

  it('is one name per shop, subject, kind and version', () => {
    const others = [
      { ...fact, shopDomain: 'other.myshopify.com' },
      { ...fact, subjectId: '4507894690' },
      { ...fact, kind: 'refund' as const },
      { ...fact, version: '1' },
    ];
    expect(new Set([fact, ...others].map(eventId)).size).toBe(5);
    expect(eventId({ ...fact, shopDomain: 'ACME.myshopify.com' })).toBe(eventId(fact));
  });

  it('fits every destination and repeats itself', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (shopDomain, subjectId) => {
        const id = eventId({ ...fact, shopDomain, subjectId });
        expect(id).toMatch(/^plb_[0-9a-f]{40}$/);
        expect(eventId({ ...fact, shopDomain, subjectId })).toBe(id);
      }),
    );
  });
});

describe('browserIds', () => {
  it.each([
    [{ 'google-clientID': '1234567890.1700000000', ga_session_id: '1764250000' }, '1764250000'],
    [{ _ga: 'GA1.1.1234567890.1700000000', _ga_ABC123: 'GS1.1.1764250000.3.1.1764250100.0.0.0' }, '1764250000'],
    [{ _ga: 'GA1.2.1234567890.1700000000', _ga_abc123: 'GS2.1.s1764250000$o3$g1$t1764250100$j60$l0$h0' }, '1764250000'],
    [{ GA_CLIENT_ID: ' 1234567890.1700000000 ', _ga_X1: 'GS2.1.s1764250000%24o3' }, '1764250000'],
    [{ ga_client_id: '1234567890.1700000000', ga_session_id: 'none' }, null],
  ])('reads %j', (attributes, sessionId) => {
    const known = { clientId: '1234567890.1700000000', sessionId, synthetic: false };
    expect(browserIds(attributes as Record<string, string>, 'x')).toEqual(known);
  });

  it('makes a stable client id of its own, says so, and leaves a session it cannot attach alone', () => {
    const made = browserIds({ ga_session_id: '1764250000', _ga: 'undefined' }, 'acme\ncustomer:5');
    expect(made).toEqual({ clientId: expect.stringMatching(/^[1-9]\d*\.[1-9]\d*$/), sessionId: null, synthetic: true });
    expect(browserIds({}, 'acme\ncustomer:5').clientId).toBe(made.clientId);
    expect(browserIds({}, 'acme\ncustomer:6').clientId).not.toBe(made.clientId);
  });

  it('takes the names from configuration', () => {
    const names = { client: ['mein-client'], session: ['meine-sitzung'] };
    const found = browserIds({ 'Mein-Client': '1.2', 'meine-sitzung': '7', _ga: '3.4' }, 'x', names);
    expect(found).toEqual({ clientId: '1.2', sessionId: '7', synthetic: false });
  });
});

describe('campaignOf', () => {
  it.each([
    [
      '/products/tee?utm_source=google&utm_medium=cpc&gclid=EXAMPLE&x=1',
      { utm_source: 'google', utm_medium: 'cpc', gclid: 'EXAMPLE' },
    ],
    ['https://shop.example/?utm_campaign=Black%20Friday#top', { utm_campaign: 'Black Friday' }],
    ['/?utm_source=%E0%A4%A&utm_medium=', { utm_source: '\ufffd%A' }],
    ['/plain', {}],
    [null, {}],
  ])('%s', (landing, campaign) => {
    expect(campaignOf(landing)).toEqual(campaign);
  });
});

describe('parseInstant', () => {
  it.each([
    ['2021-12-31T19:00:00-05:00', 1640995200000000n],
    ['2026-11-23T01:02:03.123456789Z', 1795395723123456n],
    ['2026-11-23T01:02:03.5Z', 1795395723500000n],
    ['2016-12-31T23:59:60Z', 1483228799000000n],
    ['2026-11-23t06:32:03.000001+0530', 1795395723000001n],
    ['1969-12-31T23:59:59.999999Z', -1n],
  ])('%s', (text, micros) => {
    expect(microsOf(parseInstant(text) as Instant)).toBe(micros);
  });

  it.each(['2026-02-30T00:00:00Z', '2026-13-01T00:00:00Z', '2026-11-23T25:00:00Z', '2026-11-23', 'soon', 5, null])(
    'does not guess at %j',
    (text) => {
      expect(parseInstant(text)).toBeNull();
    },
  );
});
