import { beforeAll, describe, expect, it } from 'vitest';
import { chart } from '../../simulation/replay/chart.js';
import { replay, type ReplayResult } from '../../simulation/replay/replay.js';
import { report } from '../../simulation/replay/report.js';
import { STORY_2019 } from '../../simulation/replay/story.js';
import { simulatedDatabases } from './databases.js';

const HOUR_MS = 3_600_000;

const databases = simulatedDatabases();

describe('one day of the replay, with both of its removals and what is never sent', () => {
  let result: ReplayResult;
  beforeAll(async () => {
    result = await replay({
      databases,
      seed: 2019,
      story: {
        ...STORY_2019,
        days: 1,
        misfortunes: [
          { kind: 'never-sent', afterMs: 2 * HOUR_MS, forMs: 6 * HOUR_MS, share: 0.2 },
          { kind: 'deleted-by-shopify', afterMs: 10.7 * HOUR_MS, store: 1, topics: ['orders/create', 'orders/paid'] },
          { kind: 'door-closed', afterMs: 15 * HOUR_MS, forMs: 40 * 60_000 },
        ],
      },
      say: () => undefined,
    });
  }, 180_000);

  it('brings every order home at Plumbline, read back, with nothing left open', () => {
    const { plumbline, broken, settled } = result;
    expect(broken).toEqual([]);
    expect(plumbline.total.sold).toBeGreaterThan(100);
    expect(plumbline.total.arrived).toBe(plumbline.total.sold);
    expect(settled).toEqual({ waiting: 0, deadLetters: 0, openSignals: 0, disagreeing: 0, unconfirmed: 0 });
  });

  it('notices every removal at Plumbline within 90 seconds', () => {
    const { removals } = result.plumbline.evidence;
    expect(removals.length).toBeGreaterThanOrEqual(2);
    for (const { atMs, noticedAtMs } of removals) {
      expect(noticedAtMs).not.toBeNull();
      expect((noticedAtMs ?? Infinity) - atMs).toBeLessThanOrEqual(90_000);
    }
  });

  it('pages for every removed subscription, once, on its own route and in time, and for nothing else there', () => {
    const { removals } = result.plumbline.evidence;
    const pages = result.told.pages.filter(({ route }) => route === 'removed');
    expect(result.told.broken).toEqual([]);
    expect(pages.map(({ key }) => key).sort()).toEqual(
      removals.map(({ domain, topic }) => `shop:${domain}/${topic}:subscription-removed`).sort(),
    );
    for (const { atMs, sinceMs, worth, closedAtMs } of pages) {
      expect(worth).toBe('own');
      expect(atMs - (sinceMs ?? -Infinity)).toBeLessThanOrEqual(90_000 + 120_000);
      expect(closedAtMs).not.toBeNull();
    }
  });

  it('pages for the orders of a store only while some are missing there', () => {
    for (const { sinceMs } of result.told.pages.filter(({ route }) => route === 'orders')) {
      expect(sinceMs).not.toBeNull();
    }
  });

  it('ends every incident by a proof, and tells the public of the hours in which it knew of trouble', () => {
    const { hours, incidents } = result.told;
    expect(incidents.declared).toBeGreaterThan(0);
    expect(incidents.proved).toBe(incidents.declared);
    expect(hours).toHaveLength(24);
    expect(hours[10]?.worst).not.toBe('operational'); // two subscriptions deleted
    expect(hours.at(-1)?.state).toBe('operational');
  });

  it('loses at the plain handler what was told to nobody', () => {
    expect(result.plain.total.lost).toBeGreaterThan(0);
    expect(result.plain.evidence.removals.length).toBeGreaterThanOrEqual(2);
    expect(report(result)).toContain('Every promise kept.');
  });

  it('writes each bar’s words inside the chart, and over no other words, however many the mails', () => {
    const [day] = result.plain.days;
    if (day === undefined) throw new Error('a day was lived');
    const busy = Array.from({ length: 10 }, (_, index) => ({ ...day, mails: 1_000 + index, removedMails: 30 }));
    const page = chart({ ...result, story: STORY_2019, plain: { ...result.plain, days: busy } });
    const mails = /aria-labelledby="mails-from-shopify-t.*?<\/svg>/s.exec(page)?.[0] ?? '';
    const words = [...mails.matchAll(/<text class="value[^"]*" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</g)].map(
      ([, left, top, text]) => ({ middle: Number(left), baseline: Number(top), half: ((text ?? '').length * 7.4) / 2 }),
    );
    expect(words).toHaveLength(20);
    for (const [index, one] of words.entries()) {
      expect(one.middle + one.half).toBeLessThanOrEqual(960);
      expect(one.baseline).toBeGreaterThan(12);
      for (const other of words.slice(index + 1)) {
        const isApart = Math.abs(one.middle - other.middle) >= one.half + other.half;
        expect(isApart || Math.abs(one.baseline - other.baseline) >= 12).toBe(true);
      }
    }
  });
});
