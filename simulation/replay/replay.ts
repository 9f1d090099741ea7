import { PEOPLE_2019 } from '../../sandbox/plain-handler/people.js';
import { PLAIN_2019 } from '../../sandbox/plain-handler/settings.js';
import type { Mail } from '../../sandbox/shopify/webhook-sender.js';
import type { Databases } from '../databases.js';
import { Stage } from '../stage.js';
import { PlainApp } from './plain-app.js';
import { knownTroubles, ownIncidents, plumblineEvidence, type Settled } from './plumbline-evidence.js';
import { ordersPerMinute, type Misfortune, type Story } from './story.js';
import { told, type Said, type Told } from './telling.js';
import { count, day, type Counts, type DayOfSystem, type DueOrder, type Evidence } from './tally.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** After the last day nobody buys any more, and both may finish: Shopify's retries take four hours, a reconciliation one. */
const EPILOGUE_MS = 6 * HOUR_MS;
/** Of Plumbline, whatever is not the subscription watch: longer makes it later than it is, and the replay shorter. */
const RESTS_MS = 15 * MINUTE_MS;

/** One hour of the story, for the chart. */
export interface Hour {
  atMs: number;
  sold: number;
  arrived: { plain: number; plumbline: number };
  /** Share of the attempts that Shopify got no good answer to; `null` = there were none. */
  failedShare: { plain: number | null; plumbline: number | null };
  enginesAlive: number;
  engines: number;
  hostMemoryMb: number;
  mails: number;
}

export interface System {
  days: DayOfSystem[];
  total: Counts;
  evidence: Evidence;
}

export interface ReplayResult {
  seed: number;
  story: Story;
  realSeconds: number;
  hours: Hour[];
  plain: System;
  plumbline: System;
  /** What the people behind the plain handler did. */
  diary: readonly { atMs: number; text: string }[];
  pings: { asked: number; answered: number };
  /** Of the mails to the plain handler's people, how many somebody glanced over, by the day they came. */
  readMails: readonly number[];
  /** Whom Plumbline told what. */
  told: Told;
  settled: Settled;
  /** What Plumbline promised and did not keep; empty = all kept. */
  broken: string[];
}

export interface ReplayOptions {
  databases: Databases;
  seed: number;
  story: Story;
  say: (line: string) => void;
}

/** Lives through the story with both systems. */
export async function replay({ databases, seed, story, say }: ReplayOptions): Promise<ReplayResult> {
  const startedMs = performance.now();
  const attempts: { atMs: number; isOk: boolean }[] = [];
  const mails: Mail[] = [];
  let plain: PlainApp | null = null;
  const stage = await Stage.start({
    databases,
    seed,
    startAtMs: story.startAtMs,
    storeCount: story.stores,
    ordersPerSecond: ordersPerMinute(story, story.startAtMs) / 60,
    removal: 'subscription',
    topics: story.topics,
    farSides: ['ga4', 'lake'],
    restsMs: RESTS_MS,
    telling: true,
    alsoTell: (announcement, delayMs) => plain?.tell(announcement, delayMs),
    onAttempt: (isOk) => attempts.push({ atMs: stage.timeline.nowMs, isOk }),
    onMail: (mail) => mails.push(mail),
  });
  try {
    const { timeline, world, pager } = stage;
    if (pager === null) throw new Error('this story has a pager');
    const domains = [...world.shops.keys()];
    const app = new PlainApp({
      timeline,
      seed,
      domains,
      topics: story.topics,
      settings: PLAIN_2019,
      people: PEOPLE_2019,
      ordersPerMinute: (atMs) => ordersPerMinute(story, atMs),
      due: (domain, fromMs, toMs) =>
        world.truth
          .dueOrders()
          .filter((order) => order.domain === domain && order.dueAtMs >= fromMs && order.dueAtMs < toMs),
    });
    plain = app;
    for (const misfortune of story.misfortunes) {
      timeline.at(story.startAtMs + misfortune.afterMs, () => befall(misfortune, stage, app, domains));
    }
    stage.open();
    const endMs = story.startAtMs + story.days * DAY_MS;
    const gauges: Pick<Hour, 'enginesAlive' | 'engines' | 'hostMemoryMb'>[] = [];
    const said: Said[] = [];
    for (let atMs = story.startAtMs; atMs < endMs + EPILOGUE_MS; atMs += MINUTE_MS) {
      if (atMs === endMs) world.stopSelling();
      if (atMs < endMs && atMs % HOUR_MS === 0) {
        world.make({ kind: 'rate', ordersPerSecond: ordersPerMinute(story, atMs) / 60 });
        await stage.product.pipeline.keepHouse();
      }
      // At each full hour the page is read, so it is looked at everything just before.
      await stage.live(atMs + MINUTE_MS, null, (atMs + MINUTE_MS) % HOUR_MS === 0);
      hear(stage, said);
      if (atMs < endMs && (atMs + MINUTE_MS) % HOUR_MS === 0) {
        const { alive, engines, hostMemoryMb } = app.pool;
        gauges.push({ enginesAlive: alive, engines: engines.length, hostMemoryMb });
      }
      if (atMs < endMs && (atMs + MINUTE_MS) % DAY_MS === 0) {
        const lived = Math.round((atMs + MINUTE_MS - story.startAtMs) / DAY_MS);
        say(`day ${lived} of ${story.days} lived, ${Math.round((performance.now() - startedMs) / 1000)} s`);
      }
    }
    app.stop();
    const orders: DueOrder[] = world.truth.dueOrders();
    const { evidence, settled } = await plumblineEvidence(stage, orders, mails);
    const plainEvidence: Evidence = {
      arrivedAtMs: app.handler.arrivedAtMs,
      removals: app.removals,
      mails: app.folder,
      signalsAtMs: [],
    };
    const hours = gauges.map((gauge, index): Hour => {
      const fromMs = story.startAtMs + index * HOUR_MS;
      const isWithin = (atMs: number): boolean => atMs >= fromMs && atMs < fromMs + HOUR_MS;
      const sold = orders.filter(({ dueAtMs }) => isWithin(dueAtMs));
      const failed = (all: readonly { atMs: number; isOk: boolean }[]): number | null => {
        const within = all.filter((attempt) => isWithin(attempt.atMs));
        return within.length === 0 ? null : within.filter(({ isOk }) => !isOk).length / within.length;
      };
      return {
        atMs: fromMs,
        sold: sold.length,
        arrived: {
          plain: count(sold, plainEvidence.arrivedAtMs).arrived,
          plumbline: count(sold, evidence.arrivedAtMs).arrived,
        },
        failedShare: { plain: failed(app.attempts), plumbline: failed(attempts) },
        mails: plainEvidence.mails.filter(({ atMs }) => isWithin(atMs)).length,
        ...gauge,
      };
    });
    const heard = told({
      story,
      endMs: timeline.nowMs,
      pager,
      said,
      orders,
      arrivedAtMs: { plain: plainEvidence.arrivedAtMs, plumbline: evidence.arrivedAtMs },
      removals: evidence.removals,
      known: await knownTroubles(stage),
      incidents: await ownIncidents(stage),
    });
    const minutes = (story.days * DAY_MS) / MINUTE_MS;
    const plumbline = judge(orders, evidence, story);
    return {
      seed,
      story,
      realSeconds: (performance.now() - startedMs) / 1000,
      hours,
      plain: judge(orders, plainEvidence, story),
      plumbline,
      diary: app.diary,
      pings: { asked: minutes, answered: app.pool.isPingAnswered ? minutes : 0 },
      readMails: Array.from({ length: story.days }, (_, index) => {
        const fromMs = story.startAtMs + index * DAY_MS;
        return [...app.read].filter((mail) => mail.atMs >= fromMs && mail.atMs < fromMs + DAY_MS).length;
      }),
      told: heard,
      settled,
      broken: [...broken(plumbline, settled), ...heard.broken, ...stage.product.failures],
    };
  } finally {
    await stage.stop();
  }
}

/** What the public page says, when it says something else than before. */
function hear({ product, timeline }: Stage, said: Said[]): void {
  const { publication, state, headline } = product.statusPage.page.now();
  // In production it is published every few seconds; what it says between two publications here is the last.
  if (publication.confirmedAtMs !== timeline.nowMs) return;
  const last = said.at(-1);
  if (last?.state !== state || last.headline !== headline) said.push({ atMs: timeline.nowMs, state, headline });
}

const NOTICED_WITHIN_MS = 90_000;

function broken({ total, evidence }: System, settled: Settled): string[] {
  const slow = evidence.removals.filter(
    ({ atMs, noticedAtMs }) => noticedAtMs === null || noticedAtMs - atMs > NOTICED_WITHIN_MS,
  );
  return [
    ...(total.lost > 0 ? [`${total.lost} orders did not arrive`] : []),
    ...(slow.length > 0 ? [`${slow.length} removals were not noticed within 90 seconds`] : []),
    ...(settled.waiting > 0 ? [`${settled.waiting} deliveries wait`] : []),
    ...(settled.deadLetters > 0 ? [`${settled.deadLetters} dead letters`] : []),
    ...(settled.openSignals > 0 ? [`${settled.openSignals} signals are open`] : []),
    ...(settled.unconfirmed > 0 ? [`${settled.unconfirmed} orders arrived and are not confirmed`] : []),
    ...(settled.disagreeing > 0 ? [`books and far sides disagree about ${settled.disagreeing} orders`] : []),
  ];
}

function judge(orders: readonly DueOrder[], evidence: Evidence, story: Story): System {
  const days = Array.from({ length: story.days }, (_, index) => {
    const fromMs = story.startAtMs + index * DAY_MS;
    return day(orders, evidence, fromMs, fromMs + DAY_MS);
  });
  return { days, total: count(orders, evidence.arrivedAtMs), evidence };
}

function befall(misfortune: Misfortune, stage: Stage, plain: PlainApp, domains: readonly string[]): void {
  const { timeline, world, post } = stage;
  switch (misfortune.kind) {
    case 'door-closed':
      post.isDoorOpen = false;
      plain.handler.isDoorOpen = false;
      timeline.world.after(misfortune.forMs, () => {
        post.isDoorOpen = true;
        plain.handler.isDoorOpen = true;
      });
      return;
    case 'deleted-by-shopify': {
      const domain = domains[misfortune.store] ?? '';
      for (const topic of misfortune.topics) world.make({ kind: 'remove-subscription', store: domain, topic });
      plain.deletedByShopify(domain, misfortune.topics);
      return;
    }
    case 'never-sent':
      world.make({ kind: 'drop', store: null, share: misfortune.share });
      timeline.world.after(misfortune.forMs, () => world.make({ kind: 'drop', store: null, share: 0 }));
  }
}
