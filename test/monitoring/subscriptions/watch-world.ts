import { ControlServer } from '../../../sandbox/control/server.js';
import type { Subscription } from '../../../sandbox/shopify/subscriptions.js';
import type { World } from '../../../sandbox/world.js';
import { ManualClock } from '../../../src/kernel/clock.js';
import { createLogger } from '../../../src/kernel/log.js';
import type { Database } from '../../../src/kernel/database.js';
import type { SignalKind, SignalView, SubscriptionView } from '../../../src/monitoring/contract.js';
import { SignalBook } from '../../../src/monitoring/signals/signal-book.js';
import type { GapProof } from '../../../src/monitoring/subscriptions/gap-proof.js';
import { SubscriptionWatch, type WatchDeps } from '../../../src/monitoring/subscriptions/subscription-watch.js';
import type { AdminAnswer, SeenHour, Shop, ShopifyAdmin } from '../../../src/pipeline/contract.js';
import { AdminApi } from '../../../src/pipeline/shopify/admin-api.js';
import { Writable } from 'node:stream';
import type { ManualClock as SandboxClock } from '../../sandbox/support/manual-clock.js';
import { COFFEE, smallWorld, TOKEN } from '../../sandbox/support/small-world.js';

export const BASE = 'https://hooks.example.com';
export const KEY = 'coffee-key';
export const URI = `${BASE}/webhooks/shopify/${KEY}`;
export const TOPICS = ['orders/create', 'orders/paid', 'customers/create'] as const;

/** Reconciliation as the watch knows it: remembers what was asked, and proves what the test says. */
export class PretendProof implements GapProof {
  readonly asked: { shopId: string; fromAt: Date; toAt: Date; why: string }[] = [];
  proved = false;
  fails = false;

  requestReconciliation(shopId: string, fromAt: Date, toAt: Date, why: string): Promise<string> {
    if (this.fails) return Promise.reject(new Error('no reconciliation today'));
    return Promise.resolve(`run-${this.asked.push({ shopId, fromAt, toAt, why })}`);
  }

  isProved(): Promise<boolean> {
    return Promise.resolve(this.proved);
  }
}

/**
 * The watch beside the sandbox's Shopify: the real Admin API client over real HTTP, the real database, and time that
 * passes for both only when the test says so.
 */
export class WatchWorld {
  readonly gaps = new PretendProof();
  readonly shop: { current: Shop };
  base: string | null = BASE;
  topics: readonly string[] = TOPICS;
  apiVersion = '2026-10';
  orders: SeenHour[] = [];
  /** Every query and mutation that went out, by its name. */
  readonly asked: string[] = [];
  /** What happens to a query before it goes out; `null` = it goes out. */
  before: (name: string) => AdminAnswer | Promise<AdminAnswer | null> | null = () => null;
  log = '';
  watch: SubscriptionWatch;
  readonly signals: SignalBook;

  private constructor(
    readonly world: World,
    private readonly sandboxClock: SandboxClock,
    readonly clock: ManualClock,
    private readonly server: ControlServer,
    readonly database: Database,
    adminUrl: string,
  ) {
    this.shop = {
      current: {
        id: '1',
        domain: COFFEE,
        key: KEY,
        world: 'real',
        adminUrl,
        accessToken: TOKEN,
        settings: {},
        destinationIds: [1],
        links: [],
        subscriptions: 'shop',
        connectedAt: new Date(clock.nowMs() - 86_400_000),
        uninstalledAt: null,
      },
    };
    this.signals = new SignalBook({ database, clock, log: this.logger(), names: this.registry() });
    this.watch = this.newWatch();
  }

  /** @param database emptied of what an earlier world has left in it */
  static async open(database: Database): Promise<WatchWorld> {
    await database.query(
      `truncate monitoring.subscription, monitoring.subscription_audit, monitoring.signal, monitoring.signal_change,
                kernel.audit`,
    );
    const { world, clock: sandboxClock } = smallWorld();
    const server = new ControlServer(world, 'http://127.0.0.1:1');
    const url = await server.start(0);
    const clock = new ManualClock(sandboxClock.now());
    return new WatchWorld(world, sandboxClock, clock, server, database, `${url}/shops/${COFFEE}`);
  }

  /** What a start of the service makes anew: everything that only memory holds is gone. */
  restart(change: Partial<WatchDeps> = {}): void {
    this.watch = this.newWatch(change);
  }

  /** Another process that leads as well, if only for a moment. */
  newWatch(change: Partial<WatchDeps> = {}): SubscriptionWatch {
    const client = new AdminApi({ clock: this.clock, apiVersion: '2026-10', post });
    const admin: ShopifyAdmin = {
      query: async (shop, query, variables, signal) => {
        const name = /(?:query|mutation) (\w+)/.exec(query)?.[1] ?? '';
        this.asked.push(name);
        return (await this.before(name)) ?? client.query(shop, query, variables, signal);
      },
    };
    return new SubscriptionWatch({
      database: this.database,
      registry: this.registry(),
      admin,
      ledger: { ordersSeen: () => Promise.resolve(this.orders) },
      signals: this.signals,
      settings: {
        topics: this.topics,
        apiVersion: this.apiVersion,
        callbackBase: () => this.base,
      },
      gaps: this.gaps,
      clock: this.clock,
      log: this.logger(),
      ...change,
    });
  }

  change(shop: Partial<Shop>): void {
    this.shop.current = { ...this.shop.current, ...shop };
    this.shops = [this.shop.current];
  }

  private shops: Shop[] = [];

  registry(): WatchDeps['registry'] {
    return {
      shops: () => (this.shops[0] === this.shop.current ? this.shops : (this.shops = [this.shop.current])),
      shopById: (id) => (id === this.shop.current.id ? this.shop.current : undefined),
      destinationById: () => undefined,
      destinations: () => [],
    };
  }

  pass(ms: number): void {
    this.clock.advance(ms);
    this.sandboxClock.advance(ms);
  }

  /** One round now, whoever's turn it is. */
  async round(): Promise<void> {
    await this.watch.round(new AbortController().signal);
  }

  /** A minute passes, second by second, as the duty would live it. */
  async minutes(count: number): Promise<void> {
    for (let second = 0; second < 60 * count; second += 5) {
      this.pass(5_000);
      await this.round();
    }
  }

  /** What Shopify has, as `topic uri`. */
  actual(): string[] {
    return this.world.subscriptions
      .of(COFFEE)
      .map(({ topic, uri }) => `${topic} ${uri}`)
      .sort();
  }

  add(topic: string, more: Partial<Subscription> = {}): Subscription {
    const { uri = URI, owner = 'shop', name = null, ...rest } = more;
    const made = this.world.subscriptions.add({ domain: COFFEE, topic, uri, owner, name, ...rest }, this.clock.nowMs());
    if (made === null) throw new Error(`${topic} has that address already`);
    return made;
  }

  /** Shopify removes it, as it does after eight failures. */
  remove(topic: string): void {
    const [found] = this.world.subscriptions.listening(COFFEE, topic);
    if (found === undefined) throw new Error(`no subscription for ${topic}`);
    this.world.subscriptions.remove(found.id, 'failures', this.clock.nowMs());
  }

  async views(): Promise<SubscriptionView[]> {
    return (await this.watch.subscriptions({}, { limit: 200 })).items;
  }

  async view(topic: string): Promise<SubscriptionView> {
    const found = (await this.views()).find((view) => view.topic === topic);
    if (found === undefined) throw new Error(`no view of ${topic}`);
    return found;
  }

  async openSignals(kind?: SignalKind): Promise<SignalView[]> {
    return (await this.signals.signals(kind === undefined ? {} : { kind }, { limit: 200 })).items;
  }

  /** Every change of a kind so far: `opened acme…/orders/paid`. */
  async told(kind: SignalKind): Promise<string[]> {
    const changes = await this.signals.changes('0', 1_000);
    return changes
      .filter(({ signal }) => signal.kind === kind)
      .map(({ change, signal }) => `${change} ${signal.subject.slice(COFFEE.length + 1)}`);
  }

  async audit(): Promise<string[]> {
    const rows = await this.database.rows<{ entry: string }>(
      `select action || ' ' || subject as entry from kernel.audit order by id`,
    );
    return rows.map(({ entry }) => entry.replace(`${COFFEE}/`, ''));
  }

  async stop(): Promise<void> {
    this.world.stop();
    await this.server.stop();
  }

  private logger() {
    const sink = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.log += chunk.toString();
        done();
      },
    });
    return createLogger('debug', sink);
  }
}

async function post(
  _world: unknown,
  url: string,
  headers: Record<string, string>,
  body: string,
  signal?: AbortSignal,
): Promise<{ status: number; body: string }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body,
    ...(signal ? { signal } : {}),
  });
  return { status: response.status, body: await response.text() };
}
