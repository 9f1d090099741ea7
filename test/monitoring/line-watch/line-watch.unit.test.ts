import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { growingDeadLetters } from '../../../src/monitoring/line-watch/dead-letters-growing.js';
import { refusingDestinations, troubleOf } from '../../../src/monitoring/line-watch/destination-refusing.js';
import { staleProofs } from '../../../src/monitoring/line-watch/stale-proof.js';
import { atLeast } from '../../../src/monitoring/signals/steps.js';
import type { LaneView } from '../../../src/pipeline/contract.js';
import { destination } from '../../support/events.js';
import { shopOf } from '../throughput/order-books.js';

const NOON = Date.UTC(2026, 10, 27, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

it('tells a count exactly while it is small, then the step it has passed, and never more than it is', () => {
  expect([0, 1, 10, 11, 19, 20, 49, 50, 99, 100, 4_999].map(atLeast)).toEqual([
    0, 1, 10, 10, 10, 20, 20, 50, 50, 100, 2_000,
  ]);
  fc.assert(
    fc.property(fc.nat(), (count) => {
      expect(atLeast(count)).toBeLessThanOrEqual(count);
      expect(atLeast(count) * 2.5 + 1).toBeGreaterThan(count);
      expect(atLeast(atLeast(count))).toBe(atLeast(count));
    }),
  );
});

describe('a destination', () => {
  const ga4 = destination({ id: 7, name: 'acme-ga4', kind: 'ga4' });

  function lane(shop: string, openForMs: number | null, lastError: string | null = null): LaneView {
    return {
      destination: 'acme-ga4',
      shop,
      state: openForMs === null ? 'closed' : 'open',
      since: openForMs === null ? null : new Date(NOON - openForMs),
      retryAt: null,
      failures: 3,
      lastError,
      backlog: 5,
      oldestQueuedAt: null,
    };
  }

  const tried = (attempts: number, failures: number) => [
    { destination: 'acme-ga4', attempts, failures, retryable: failures, credentialsRejected: 0 },
  ];

  it.each([
    ['has been blocked for ten minutes in one shop', [lane('a', 10 * MINUTE)], [], true],
    ['is blocked for a blink', [lane('a', 9 * MINUTE), lane('b', MINUTE)], [], false],
    ['flows', [lane('a', null)], tried(1_000, 0), false],
    ['fails half of its tries', [lane('a', null)], tried(20, 10), true],
    ['fails few of many', [lane('a', null)], tried(1_000, 499), false],
    ['fails the one try there was', [lane('a', null)], tried(1, 1), false],
  ])('that %s is refusing or not', (_, lanes, attempts, isRefusing) => {
    expect(refusingDestinations(lanes, attempts, [ga4], NOON)).toHaveLength(isRefusing ? 1 : 0);
  });

  it('is one finding, however many of its shops are blocked, and says what the trouble is without its words', () => {
    const lanes = Array.from({ length: 70 }, (_, i) =>
      lane(`${i}`, 20 * MINUTE + i, 'answered 503: {"email":"buyer@example.com"}'),
    );
    expect(refusingDestinations(lanes, tried(100, 93), [ga4], NOON)).toEqual([
      {
        kind: 'destination-refusing',
        subject: 'acme-ga4',
        destinationId: 7,
        facts: {
          blockedSince: new Date(NOON - 20 * MINUTE - 69),
          shopsAtLeast: 50,
          trouble: 'answered 503',
          failingPercentAtLeast: 75,
        },
        evidence: '/api/v1/destinations',
      },
    ]);
  });

  it('that is disabled refuses nothing', () => {
    expect(refusingDestinations([lane('a', HOUR)], tried(50, 50), [{ ...ga4, enabled: false }], NOON)).toEqual([]);
  });

  it.each([
    ['credentials rejected: answered 401: who are you', 'credentials rejected'],
    ['redirect not followed: answered 301', 'redirect not followed'],
    ['answered 429: slow down', 'answered 429'],
    ['connect ECONNREFUSED 10.0.0.1:443', 'no answer'],
    [null, 'unknown'],
  ])('says of %s: %s', (lastError, trouble) => {
    expect(troubleOf(lastError)).toBe(trouble);
  });
});

describe('dead letters', () => {
  const oldestAt = new Date(NOON - HOUR);

  it('are told by destination and lane, only where new ones came', () => {
    const found = growingDeadLetters(
      [
        { destination: 'acme-ga4', lane: 'theirs', open: 12, fresh: 3, oldestAt },
        { destination: 'acme-ga4', lane: 'ours', open: 4, fresh: 0, oldestAt },
        { destination: null, lane: 'ours', open: 1, fresh: 1, oldestAt },
      ],
      [{ id: 7, name: 'acme-ga4' }],
    );
    expect(found).toMatchObject([
      {
        subject: 'acme-ga4/theirs',
        destinationId: 7,
        facts: { lane: 'theirs', freshAtLeast: 3, openAtLeast: 10, oldestAt },
        evidence: '/api/v1/dead-letters?lane=theirs&destination=acme-ga4',
      },
      { subject: 'unmapped/ours', destinationId: null, evidence: '/api/v1/dead-letters?lane=ours' },
    ]);
  });
});

describe('a proof', () => {
  const provedUntil = (hoursAgo: number): Date => new Date(NOON - hoursAgo * HOUR);

  it('is stale after two hours, and from the connecting on where there never was one', () => {
    const shops = [
      shopOf('1', { accessToken: 't' }),
      shopOf('2', { accessToken: 't' }),
      shopOf('3', { connectedAt: provedUntil(1) }),
      shopOf('4', { connectedAt: provedUntil(3) }),
      shopOf('5', { uninstalledAt: provedUntil(1) }),
    ];
    const found = staleProofs(
      shops,
      new Map([
        ['1', provedUntil(2)],
        ['2', provedUntil(2.01)],
      ]),
      NOON,
      false,
    );
    expect(found.map(({ subject, facts }) => [subject, facts['provedUntilAt'], facts['why']])).toEqual([
      ['shop-2.myshopify.com', provedUntil(2.01), undefined],
      ['shop-4.myshopify.com', null, 'no access token'],
    ]);
  });

  it('is told of the fleet when more than five shops lack one, and of each again when fewer than three do', () => {
    const shops = Array.from({ length: 40 }, (_, i) => shopOf(`${i}`));
    const subjects = (stale: number, folded: boolean): number | string => {
      const until = new Map(shops.map(({ id }, i) => [id, provedUntil(i < stale ? 5 : 1)]));
      const found = staleProofs(shops, until, NOON, folded);
      return found[0]?.subject === 'fleet' ? `fleet of ${String(found[0].facts['shopsAtLeast'])}` : found.length;
    };
    expect(subjects(5, false)).toBe(5);
    expect(subjects(6, false)).toBe('fleet of 6');
    expect(subjects(39, true)).toBe('fleet of 20');
    expect(subjects(3, true)).toBe('fleet of 3');
    expect(subjects(2, true)).toBe(2);
    expect(subjects(0, true)).toBe(0);
  });
});
