import { PlainHandler } from '../../sandbox/plain-handler/handler.js';
import { glance, isWorkingDay, type FiledMail, type PeopleSettings } from '../../sandbox/plain-handler/people.js';
import { Pool } from '../../sandbox/plain-handler/pool.js';
import type { PlainSettings } from '../../sandbox/plain-handler/settings.js';
import { Random } from '../../sandbox/random.js';
import type { Topic } from '../../sandbox/shopify/lifecycle.js';
import { Numbers } from '../../sandbox/shopify/numbers.js';
import { Subscriptions } from '../../sandbox/shopify/subscriptions.js';
import { WebhookSender, type Announcement } from '../../sandbox/shopify/webhook-sender.js';
import type { Timeline } from '../timeline.js';
import type { Removal } from './removals.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** orders/create, most of orders/paid at the same time, and some refunds: what the topics of the story come to. */
const WEBHOOKS_PER_ORDER = 2.05;

export interface PlainAppOptions {
  timeline: Timeline;
  seed: number;
  domains: readonly string[];
  topics: readonly Topic[];
  settings: PlainSettings;
  people: PeopleSettings;
  /** Orders of all stores together in this minute, before chance. */
  ordersPerMinute: (atMs: number) => number;
  /** Orders of a store that became due in `[fromMs, toMs)`. */
  due: (domain: string, fromMs: number, toMs: number) => readonly { id: number }[];
}

/** The company of 2019: its handler, its subscriptions in the same stores, and its people. */
export class PlainApp {
  readonly handler: PlainHandler;
  readonly pool: Pool;
  readonly removals: Removal[] = [];
  readonly folder: FiledMail[] = [];
  readonly attempts: { atMs: number; isOk: boolean }[] = [];
  /** Of the folder, what somebody has glanced over. */
  readonly read = new Set<FiledMail>();
  /** What the people did, for the report. */
  readonly diary: { atMs: number; text: string }[] = [];
  private readonly subscriptions: Subscriptions;
  private readonly sender: WebhookSender;
  private readonly random: Random;
  private readonly told = new Set<string>();
  private isDigging = false;

  constructor(private readonly options: PlainAppOptions) {
    const { timeline, seed, settings } = options;
    const numbers = new Numbers(seed + 1, timeline.nowMs);
    this.random = new Random(`${seed}:people`);
    this.pool = new Pool(settings, new Random(`${seed}:engines`));
    this.handler = new PlainHandler(timeline.world, this.pool);
    this.subscriptions = new Subscriptions(numbers);
    this.sender = new WebhookSender({
      clock: timeline.world,
      numbers,
      subscriptions: this.subscriptions,
      secret: 'the secret of 2019',
      apiVersion: '2019-10',
      timeScale: 1,
      removal: 'subscription',
      concurrency: 10_000,
      transport: this.handler,
      onAttempt: (delivery, _answer, isOk) => {
        this.attempts.push({ atMs: timeline.nowMs, isOk });
        if (isOk || this.subscriptions.get(delivery.subscription.id) !== undefined) return;
        this.noteRemoval(delivery.domain, delivery.topic);
      },
      onMail: (mail) => this.folder.push({ ...mail, domain: new URL(mail.uri).pathname.slice(1) }),
    });
    for (const domain of options.domains) this.subscribe(domain);
    this.everyMinute();
    this.everyLook();
    this.everyDay();
  }

  /** What Shopify tells of a store. */
  tell(announcement: Announcement, delayMs: number): void {
    this.sender.announce(announcement, delayMs);
  }

  deletedByShopify(domain: string, topics: readonly Topic[]): void {
    for (const subscription of this.subscriptions.of(domain)) {
      const isMeant = topics.some((topic) => topic === subscription.topic);
      if (!isMeant) continue;
      this.subscriptions.remove(subscription.id, 'by hand', this.options.timeline.nowMs);
      this.noteRemoval(domain, subscription.topic);
    }
  }

  stop(): void {
    this.sender.stop();
  }

  private subscribe(domain: string): void {
    const { topics, timeline } = this.options;
    for (const topic of topics) {
      const uri = `https://plain.example/${domain}`;
      this.subscriptions.add({ domain, topic, uri, owner: 'shop', name: null }, timeline.nowMs);
    }
  }

  private noteRemoval(domain: string, topic: string): void {
    this.removals.push({ domain, topic, atMs: this.options.timeline.nowMs, noticedAtMs: null, restoredAtMs: null });
  }

  private everyMinute(): void {
    const { timeline, settings, ordersPerMinute, domains, topics } = this.options;
    timeline.world.after(60_000, () => {
      // The fleet's other stores lose their subscriptions as the ones that are looked at do.
      const subscribed = domains.reduce((sum, domain) => sum + this.subscriptions.of(domain).length, 0);
      const share = subscribed / (domains.length * topics.length);
      const isOpen = this.handler.isDoorOpen;
      const orders = ordersPerMinute(timeline.nowMs) * settings.fleet;
      const before = this.pool.alive;
      this.pool.flow(isOpen ? orders * WEBHOOKS_PER_ORDER * share : 0, timeline.nowMs);
      if (this.pool.alive < before)
        this.write(`engine out of memory; ${this.pool.alive} of ${this.pool.engines.length} left`);
      this.everyMinute();
    });
  }

  private everyLook(): void {
    const { timeline, people } = this.options;
    const next = people.looksAtHours
      .flatMap((hour) => [0, 1].map((days) => startOfDay(timeline.nowMs) + days * DAY_MS + hour * HOUR_MS))
      .filter((atMs) => atMs > timeline.nowMs)
      .reduce((one, other) => Math.min(one, other));
    timeline.at(next, () => {
      if (isWorkingDay(timeline.nowMs)) this.look();
      this.everyLook();
    });
  }

  private look(): void {
    const { people } = this.options;
    for (const mail of this.folder.slice(-people.glancesOver)) this.read.add(mail);
    for (const { domain, topic } of glance(this.folder, people, this.random)) {
      if (this.missing(domain).length === 0) continue;
      this.write(`a removal is recognised among the mails: ${topic} of ${domain}`);
      this.notice(domain);
    }
  }

  /** Who has noticed one removal looks at the store's other subscriptions too. */
  private notice(domain: string): void {
    const { timeline, people } = this.options;
    const atMs = timeline.nowMs;
    for (const removal of this.missing(domain)) removal.noticedAtMs ??= atMs;
    timeline.world.after(people.recreatesWithinMs, () => {
      this.subscribe(domain);
      for (const removal of this.missing(domain)) {
        removal.noticedAtMs ??= timeline.nowMs;
        removal.restoredAtMs = timeline.nowMs;
      }
    });
  }

  private missing(domain: string): Removal[] {
    return this.removals.filter((removal) => removal.domain === domain && removal.restoredAtMs === null);
  }

  private everyDay(): void {
    const { timeline } = this.options;
    timeline.at(startOfDay(timeline.nowMs) + DAY_MS, () => {
      for (const domain of this.options.domains) this.compare(domain);
      this.everyDay();
    });
  }

  /** A store looks at its reports of the day before. */
  private compare(domain: string): void {
    const { timeline, people, due } = this.options;
    const todayMs = startOfDay(timeline.nowMs);
    const orders = due(domain, todayMs - DAY_MS, todayMs);
    const absent = orders.filter(({ id }) => !this.handler.arrivedAtMs.has(id)).length;
    if (orders.length === 0 || absent / orders.length <= people.complainsAboveShare) return;
    let atMs = todayMs + people.complainsAtHour * HOUR_MS;
    while (!isWorkingDay(atMs)) atMs += DAY_MS;
    const name = `${domain} ${atMs}`;
    if (this.told.has(name)) return;
    this.told.add(name);
    timeline.at(atMs, () => this.hear(domain));
  }

  private hear(domain: string): void {
    const { timeline, people } = this.options;
    this.write(`${domain} complains of missing orders`);
    if (this.missing(domain).length > 0) this.notice(domain);
    if (this.isDigging || this.pool.alive === this.pool.engines.length) return;
    this.isDigging = true;
    timeline.world.after(people.digsForMs, () => {
      this.isDigging = false;
      this.write(`the dead engines are found: all restarted, ${people.enginesThen} from now on`);
      this.pool.restart(people.enginesThen);
      for (const each of this.options.domains) if (this.missing(each).length > 0) this.notice(each);
    });
  }

  private write(text: string): void {
    this.diary.push({ atMs: this.options.timeline.nowMs, text });
  }
}

function startOfDay(atMs: number): number {
  return atMs - (atMs % DAY_MS);
}
