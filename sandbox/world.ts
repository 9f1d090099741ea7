import type { Clock } from './clock.js';
import type { Destination } from './destination.js';
import { Latencies } from './latencies.js';
import { Random } from './random.js';
import type { Responders } from './responders.js';
import { AdminApi, type AdminShop } from './shopify/admin-api.js';
import { BulkOperations } from './shopify/bulk-operations.js';
import { Sales } from './sales.js';
import { stores, type StoreProfile } from './shopify/catalogue.js';
import { ON_CALL } from './pagerduty/pagerduty.js';
import { happen, payAtOnce, TOPICS, type Step, type Topic } from './shopify/lifecycle.js';
import { Numbers } from './shopify/numbers.js';
import { checkoutBody, customerBody, type OrderBody } from './shopify/order-body.js';
import { OrderBook } from './shopify/order-book.js';
import { Till, type Sale, type Wish } from './shopify/orders.js';
import { shopBody } from './shopify/shop-body.js';
import type { Transport } from './shopify/post.js';
import { Subscriptions, type Subscription } from './shopify/subscriptions.js';
import { WebhookSender, type Announcement, type Mail, type RemovalReading } from './shopify/webhook-sender.js';
import { BadRequest, CALM, sentence, type StoreTrouble, type Trouble } from './trouble.js';
import { Truth } from './truth.js';

export interface WorldOptions {
  seed: number;
  clock: Clock;
  storeCount: number;
  /** All stores together. */
  ordersPerSecond: number;
  secret: string;
  /** What an unrotated app still signed with. */
  oldSecret: string;
  accessToken: string;
  /** Base URL of the service under test. */
  serviceUrl: string;
  apiVersion: string;
  /** How many times faster than real Shopify's retry clock runs. */
  timeScale: number;
  removal: RemovalReading;
  /** Orders remembered whole; older ones live on as counts. */
  ordersMax: number;
  /** Whether the app may see orders that are older than 60 days; by default it may not. */
  readAllOrders?: boolean;
  /** Where paging through one search ends; Shopify's 25,000 by default. */
  pagedMax?: number;
  destinations: readonly Destination[];
  /** Whom the service tells; nobody by default. */
  responders?: Responders;
  /** Topics the app subscribes to. All of them by default. */
  topics?: readonly Topic[];
  /** How requests travel; HTTP by default. */
  transport?: Transport;
  /** Told of all that Shopify tells anybody: how another app in the same stores hears of it. */
  alsoTell?: (announcement: Announcement, delayMs: number) => void;
  /** Told of every mail that Shopify sends. */
  onMail?: (mail: Mail) => void;
  /** Told of every attempt of a webhook that ended. */
  onAttempt?: (isOk: boolean) => void;
}

/** One store with all that belongs to it. */
export interface Shop extends AdminShop {
  /** The opaque key of its callback address; `null` = not told yet. */
  key: string | null;
  trouble: StoreTrouble;
  stats: ShopStats;
  /** A part of the world's rate; they need not sum to 1. */
  weight: number;
}

export interface ShopStats {
  sold: number;
  /** First attempts, what trouble sends twice included. */
  sent: number;
  answered: number;
  /** Attempts after the first. */
  retried: number;
  failed: number;
  dropped: number;
  unheard: number;
  answerMs: Latencies;
}

export interface LogEntry {
  atMs: number;
  text: string;
}

const WEIGHTS = [5, 3, 2] as const;
const LOG_KEPT = 200;
const CONCURRENCY = 64;
const PAGED_MAX = 25_000; // shopify.dev/api/usage/limits
/** Topics whose body can be fetched by its id; the others are never cut down to one. */
const FETCHABLE: ReadonlySet<Topic> = new Set<Topic>([
  'orders/create',
  'orders/paid',
  'orders/updated',
  'orders/cancelled',
  'refunds/create',
  'customers/create',
]);

/** The world outside: stores that sell whether or not anybody listens, and the truth about every order. */
export class World {
  readonly shops = new Map<string, Shop>();
  readonly subscriptions: Subscriptions;
  readonly sender: WebhookSender;
  readonly admin: AdminApi;
  readonly truth: Truth;
  readonly log: LogEntry[] = [];
  readonly startedAtMs: number;
  ordersPerSecond: number;
  isSelling = false;

  private readonly numbers: Numbers;
  private readonly sales: Sales;
  private readonly chance: Random;

  constructor(private readonly options: WorldOptions) {
    const { seed, clock, ordersMax } = options;
    this.startedAtMs = clock.now();
    this.numbers = new Numbers(seed, this.startedAtMs);
    const story = new Random(`${seed}:story`);
    this.sales = new Sales(
      clock,
      story,
      () => this.salesPerSecond(),
      () => {
        const shop = story.pickWeighted(this.weighted());
        this.sell(shop, shop.till.decide(clock.now()));
      },
    );
    this.chance = new Random(`${seed}:trouble`);
    this.ordersPerSecond = options.ordersPerSecond;
    this.truth = new Truth(
      ordersMax,
      options.destinations.map(({ name }) => name),
    );
    this.subscriptions = new Subscriptions(this.numbers);
    this.sender = new WebhookSender({
      ...options,
      numbers: this.numbers,
      subscriptions: this.subscriptions,
      concurrency: CONCURRENCY,
      onAttempt: (delivery, answer, isOk) => {
        options.onAttempt?.(isOk);
        const stats = this.shops.get(delivery.domain)?.stats;
        if (stats === undefined) return;
        if (answer.outcome === 'answered') stats.answerMs.add(answer.tookMs);
        if (delivery.attempts > 1) stats.retried++;
        if (isOk) stats.answered++;
        else stats.failed++;
        if (isOk) this.truth.count('answered', delivery.orderId);
      },
    });
    stores(options.storeCount, seed, options.accessToken).forEach((store, index) => {
      this.shops.set(store.domain, this.shop(store, WEIGHTS[index % WEIGHTS.length] ?? 1));
    });
    this.admin = new AdminApi(
      this.shops,
      this.subscriptions,
      new BulkOperations(clock, this.numbers, options.timeScale),
      clock,
      options.apiVersion,
      options.pagedMax ?? PAGED_MAX,
    );
  }

  get nowMs(): number {
    return this.options.clock.now();
  }

  get destinations(): readonly Destination[] {
    return this.options.destinations;
  }

  get responders(): Responders | null {
    return this.options.responders ?? null;
  }

  /**
   * Opens the stores.
   *
   * @param keys callback key by domain; their subscriptions are made where they are not there yet
   */
  start(keys: Readonly<Record<string, string>>): void {
    for (const [domain, key] of Object.entries(keys)) {
      const shop = this.shopOf(domain);
      shop.key = key;
      this.subscribe(shop);
    }
    if (this.isSelling) return;
    this.isSelling = true;
    this.say('The stores are open');
    this.sales.draw();
  }

  /** Closes the stores. What was sold goes on: payments, refunds and retries still happen. */
  stopSelling(): void {
    if (this.isSelling) this.say('The stores are closed');
    this.isSelling = false;
    this.sales.stop();
  }

  stop(): void {
    this.stopSelling();
    this.sender.stop();
  }

  /**
   * Sells one order at once.
   *
   * @param wish `quiet`: no checkout before it and nothing after it but its payment
   * @throws BadRequest when there is no such store
   */
  sellOne(domain: string, wish: Wish & { quiet?: boolean } = {}): { orderId: string; name: string } {
    const shop = this.shopOf(domain);
    const decided = shop.till.decide(this.nowMs, wish);
    const isQuiet = wish.quiet === true;
    const sale = isQuiet
      ? { ...decided, checkoutMs: null, steps: decided.steps.filter(({ step }) => step === 'pay') }
      : decided;
    this.sell(shop, sale);
    return { orderId: String(sale.numbers.id), name: `#${sale.numbers.number}` };
  }

  /** Lets something happen to an order now. @returns false when its state does not allow it or nobody knows it */
  step(domain: string, orderId: number, step: Step): boolean {
    const shop = this.shopOf(domain);
    return this.take(shop, orderId, step, this.chance.fork(`${orderId}:${step}`));
  }

  make(trouble: Trouble): void {
    const { destinations } = this.options;
    if ('store' in trouble) {
      for (const shop of this.shopsOf(trouble.store)) this.troubleShop(shop, trouble);
    }
    if (trouble.kind === 'admin') this.admin.trouble = trouble.mode;
    if (trouble.kind === 'bulk') this.admin.bulk.trouble = trouble.mode;
    if (trouble.kind === 'rate') this.ordersPerSecond = trouble.ordersPerSecond;
    if (trouble.kind === 'destination') {
      const meant = destinations.filter(({ name }) => trouble.destination === null || name === trouble.destination);
      if (meant.length === 0) throw new BadRequest(`no destination ${trouble.destination ?? ''}`);
      for (const destination of meant) destination.mode = trouble.mode;
    }
    if (trouble.kind === 'reports') {
      const meant = destinations.filter(({ name }) => trouble.destination === null || name === trouble.destination);
      const reports = meant.flatMap((destination) => destination.reports ?? []);
      if (reports.length === 0) throw new BadRequest(`no destination ${trouble.destination ?? ''} that has reports`);
      for (const each of reports) each.mode = trouble.mode;
    }
    if (trouble.kind === 'pager' || trouble.kind === 'on-call' || trouble.kind === 'mail')
      this.troubleResponders(trouble);
    if (trouble.kind === 'calm') this.calm();
    // A new rate counts at once, not after a gap drawn from the old one.
    if (this.isSelling && (trouble.kind === 'rate' || trouble.kind === 'flood' || trouble.kind === 'calm')) {
      this.sales.draw();
    }
    this.say(sentence(trouble));
  }

  private troubleResponders(trouble: Extract<Trouble, { kind: 'pager' | 'on-call' | 'mail' }>): void {
    const { responders } = this;
    if (responders === null) throw new BadRequest('nobody is told by this sandbox');
    const { pager, mail } = responders;
    // Ports close and open again within the moment; what fails shows in the mode that the page reads.
    const quietly = (work: Promise<unknown>): void => void work.catch((error: unknown) => this.say(String(error)));
    if (trouble.kind === 'pager') quietly(pager.become(trouble.mode));
    else if (trouble.kind === 'mail') quietly(trouble.mode === 'down' ? mail.stop() : mail.start());
    else pager.onCall = trouble.mode === 'nobody' ? [] : [...ON_CALL];
  }

  private troubleShop(shop: Shop, trouble: Extract<Trouble, { store: string | null }>): void {
    switch (trouble.kind) {
      case 'delay':
        shop.trouble.delay = trouble.seconds;
        break;
      case 'flood':
        shop.trouble.flood = trouble.factor;
        break;
      case 'old-secret':
        shop.trouble.oldSecretUntilMs = trouble.seconds === 0 ? 0 : this.nowMs + trouble.seconds * 1_000;
        break;
      case 'remove-subscription':
        // As after eight failures: Shopify sends a mail too.
        for (const gone of this.unsubscribe(shop, trouble.topic)) this.sender.tellRemoved(gone);
        break;
      case 'forged-mail':
        for (const untouched of this.owned(shop, trouble.topic)) this.sender.tellRemoved(untouched, true);
        break;
      case 'uninstall':
        this.announce(shop, 'app/uninstalled', shopBody(shop.store), this.numbers.uuid(), null);
        this.unsubscribe(shop, null);
        shop.isInstalled = false;
        break;
      case 'reinstall':
        shop.isInstalled = true;
        break;
      default:
        shop.trouble[trouble.kind] = trouble.share;
    }
  }

  /** Reads what the destinations received since the last call into the truth. */
  readArrivals(): void {
    for (const destination of this.destinations) {
      for (const orderId of destination.takePurchases())
        this.truth.arrive(Number(orderId), destination.name, this.nowMs);
    }
  }

  private shop(store: StoreProfile, weight: number): Shop {
    const { seed, ordersMax, storeCount } = this.options;
    return {
      store,
      weight,
      till: new Till(store, seed, this.numbers),
      book: new OrderBook(Math.ceil(ordersMax / storeCount)),
      readAllOrders: this.options.readAllOrders ?? false,
      key: null,
      isInstalled: true,
      trouble: { ...CALM },
      stats: {
        sold: 0,
        sent: 0,
        answered: 0,
        retried: 0,
        failed: 0,
        dropped: 0,
        unheard: 0,
        answerMs: new Latencies(),
      },
    };
  }

  private shopOf(domain: string): Shop {
    const shop = this.shops.get(domain);
    if (shop === undefined) throw new BadRequest(`no store ${domain}; there are ${[...this.shops.keys()].join(', ')}`);
    return shop;
  }

  private shopsOf(domain: string | null): Shop[] {
    return domain === null ? [...this.shops.values()] : [this.shopOf(domain)];
  }

  private subscribe(shop: Shop): void {
    if (shop.key === null) return;
    const uri = `${this.options.serviceUrl}/webhooks/shopify/${shop.key}`;
    const { domain } = shop.store;
    for (const topic of this.options.topics ?? TOPICS)
      this.subscriptions.add({ domain, topic, uri, owner: 'shop', name: null }, this.nowMs);
  }

  /** @returns what is gone */
  private unsubscribe(shop: Shop, topic: string | null): Subscription[] {
    const meant = this.owned(shop, topic);
    for (const { id } of meant) this.subscriptions.remove(id, 'by hand', this.nowMs);
    return meant;
  }

  private owned(shop: Shop, topic: string | null): Subscription[] {
    return this.subscriptions
      .of(shop.store.domain)
      .filter((subscription) => subscription.owner === 'shop' && (topic === null || subscription.topic === topic));
  }

  private calm(): void {
    for (const shop of this.shops.values()) {
      shop.trouble = { ...CALM };
      shop.isInstalled = true;
      this.subscribe(shop);
    }
    for (const destination of this.destinations) {
      destination.mode = 'calm';
      if (destination.reports !== null) destination.reports.mode = 'calm';
    }
    if (this.responders !== null) {
      this.troubleResponders({ kind: 'pager', mode: 'calm' });
      this.troubleResponders({ kind: 'mail', mode: 'calm' });
      this.troubleResponders({ kind: 'on-call', mode: 'somebody' });
    }
    this.admin.trouble = 'none';
    this.admin.bulk.trouble = 'none';
    this.ordersPerSecond = this.options.ordersPerSecond;
  }

  private weighted(): (readonly [Shop, number])[] {
    return [...this.shops.values()].map((shop) => [shop, shop.weight * shop.trouble.flood] as const);
  }

  /** A flood comes on top: the other stores sell what they sold before. */
  private salesPerSecond(): number {
    const weighted = this.weighted();
    const weight = weighted.reduce((sum, [, one]) => sum + one, 0);
    const calmWeight = weighted.reduce((sum, [shop]) => sum + shop.weight, 0);
    return (this.ordersPerSecond * weight) / calmWeight;
  }

  private sell(shop: Shop, sale: Sale): void {
    const { clock } = this.options;
    const { customer } = sale.basket;
    if (sale.isNewCustomer && customer !== null) {
      this.announce(shop, 'customers/create', customerBody(customer, shop.store), this.numbers.uuid(), null);
    }
    if (sale.checkoutMs === null) {
      this.place(shop, sale);
      return;
    }
    this.announce(
      shop,
      'checkouts/create',
      checkoutBody(shop.store, sale.basket, this.nowMs),
      this.numbers.uuid(),
      null,
    );
    clock.after(sale.checkoutMs, () => {
      this.place(shop, sale);
    });
  }

  private place(shop: Shop, sale: Sale): void {
    const order = shop.till.place(sale, this.nowMs);
    if (sale.paidAtOnce) payAtOnce(order);
    shop.book.put(order);
    shop.stats.sold++;
    this.truth.sell({ id: order.id, domain: shop.store.domain, name: order.name, soldAtMs: this.nowMs });
    this.noteDue(order);
    const eventId = this.numbers.uuid();
    this.announce(shop, 'orders/create', order, eventId, order.id);
    if (sale.paidAtOnce) this.announce(shop, 'orders/paid', order, eventId, order.id);
    for (const { afterMs, step } of sale.steps) {
      this.options.clock.after(afterMs, () => this.take(shop, order.id, step, sale.random));
    }
  }

  private take(shop: Shop, orderId: number, step: Step, random: Random): boolean {
    const before = shop.book.get(orderId);
    const happened = before && happen(before, step, shop.store, this.nowMs, this.numbers, random);
    if (!happened) return false;
    shop.book.put(happened.order);
    this.noteDue(happened.order);
    const eventId = this.numbers.uuid();
    for (const { topic, body } of happened.announcements) this.announce(shop, topic, body, eventId, orderId);
    return true;
  }

  /** A purchase is due once it is paid for (a free order is when placed); a test order never is. */
  private noteDue(order: OrderBody): void {
    if (order.financial_status === 'paid' && !order.test) this.truth.becomeDue(order.id, this.nowMs);
  }

  private announce(shop: Shop, topic: Topic, body: object, eventId: string, orderId: number | null): void {
    const { trouble, stats } = shop;
    const { clock, oldSecret } = this.options;
    if (this.chance.chance(trouble.drop)) {
      stats.dropped++;
      this.truth.count('dropped', orderId);
      return;
    }
    const isOversize = FETCHABLE.has(topic) && 'id' in body && this.chance.chance(trouble.oversize);
    const isOldSecret = trouble.oldSecretUntilMs > clock.now();
    const announcement = {
      domain: shop.store.domain,
      topic,
      body: Buffer.from(JSON.stringify(isOversize ? { id: body.id } : body)),
      eventId,
      triggeredAtMs: clock.now(),
      orderId,
      ...(isOldSecret && { secret: oldSecret }),
    };
    const heldBackMs = this.chance.chance(trouble.reorder) ? this.chance.between(1_000, 8_000) : 0;
    const delayMs = trouble.delay * 1_000 + heldBackMs;
    this.options.alsoTell?.(announcement, delayMs);
    const deliveries = this.sender.announce(announcement, delayMs);
    stats.sent += deliveries.length;
    if (deliveries.length === 0) {
      stats.unheard++;
      this.truth.count('unheard', orderId);
      return;
    }
    this.truth.count('sent', orderId);
    for (const delivery of deliveries) {
      if (!this.chance.chance(trouble.duplicate)) continue;
      this.sender.repeat(delivery, delayMs + this.chance.between(50, 3_000));
      stats.sent++;
    }
    if (!this.chance.chance(trouble.repeat)) return;
    stats.sent += this.sender.announce(announcement, delayMs + this.chance.between(50, 3_000)).length;
  }

  private say(text: string): void {
    this.log.unshift({ atMs: this.nowMs, text });
    if (this.log.length > LOG_KEPT) this.log.pop();
  }
}
