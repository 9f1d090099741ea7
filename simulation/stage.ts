import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { PagerDutySide } from '../sandbox/pagerduty/pagerduty.js';
import type { Topic } from '../sandbox/shopify/lifecycle.js';
import type { RemovalReading } from '../sandbox/shopify/webhook-sender.js';
import { World, type WorldOptions } from '../sandbox/world.js';
import { CollectedPost } from './collected-post.js';
import type { Databases } from './databases.js';
import { FarSides, type FarSideName } from './far-sides.js';
import { PgProxy } from './pg-proxy.js';
import {
  API_VERSION,
  PAGER_PATH,
  Product,
  freePort,
  type Declared,
  type ProductOptions,
  type Telling,
} from './product.js';
import { Timeline } from './timeline.js';

const SECRET = 'simulated-client-secret';

export interface StageOptions {
  databases: Databases;
  seed: number;
  startAtMs: number;
  storeCount: number;
  ordersPerSecond: number;
  removal: RemovalReading;
  topics: readonly Topic[];
  farSides: readonly FarSideName[];
  alsoTell?: WorldOptions['alsoTell'];
  onAttempt?: WorldOptions['onAttempt'];
  onMail?: WorldOptions['onMail'];
  restsMs?: ProductOptions['restsMs'];
  /** The product can be killed. Costs a detour on its way to the database. */
  mortal?: boolean;
  /** People are paged through a pretended PagerDuty, and the status page is published. */
  telling?: boolean;
}

/** The pretended world and the real product on one timeline. */
export class Stage {
  readonly world: World;
  /** How often the product was killed. */
  kills = 0;
  /** What happens outside before Plumbline's turn at each instant, and takes real time. */
  readonly errands: (() => Promise<void>)[] = [];
  private taken: Product | null = null;
  private proxy: PgProxy | null = null;
  private killed: (() => void) | null = null;

  private constructor(
    readonly timeline: Timeline,
    readonly post: CollectedPost,
    readonly farSides: FarSides,
    /** `null` = nobody is paged. */
    readonly pager: PagerDutySide | null,
    private readonly admin: Server,
    private readonly given: { options: StageOptions; product: ProductOptions; drop: () => Promise<void> },
  ) {
    const { options, product } = given;
    this.world = new World({
      seed: options.seed,
      clock: timeline.world,
      storeCount: options.storeCount,
      ordersPerSecond: options.ordersPerSecond,
      secret: SECRET,
      oldSecret: `${SECRET}-of-before`,
      accessToken: 'simulated-token',
      serviceUrl: `http://127.0.0.1:${product.port}`,
      apiVersion: API_VERSION,
      timeScale: 1,
      removal: options.removal,
      ordersMax: 1_000_000,
      destinations: [],
      topics: options.topics,
      transport: post,
      ...(options.alsoTell && { alsoTell: options.alsoTell }),
      ...(options.onAttempt && { onAttempt: options.onAttempt }),
      ...(options.onMail && { onMail: options.onMail }),
    });
    admin.on('request', (request, response) => {
      void this.world.admin.serve(request, response).then((served) => {
        if (!served) response.writeHead(404).end();
      });
    });
  }

  /** The stores are connected and subscribed, and do not sell yet. */
  static async start(options: StageOptions): Promise<Stage> {
    const timeline = new Timeline(options.startAtMs);
    const { own, warehouse, drop } = await options.databases.pair();
    const farSides = await FarSides.start({
      warehouseUrl: warehouse,
      names: options.farSides,
      nowMs: () => timeline.nowMs,
      seed: options.seed,
    });
    const admin = createServer();
    await new Promise<void>((resolve) => admin.listen(0, '127.0.0.1', resolve));
    const port = await freePort();
    const pager = options.telling === true ? await startPager(timeline, port) : null;
    const product: ProductOptions = {
      databaseUrl: own,
      dataDir: await mkdtemp(join(tmpdir(), 'plumbline-stage-')),
      secret: SECRET,
      clock: timeline.clock,
      seed: options.seed,
      port,
      topics: options.topics,
      ...(options.restsMs !== undefined && { restsMs: options.restsMs }),
      ...(pager && { telling: { settings: settingsFor(pager), ca: pager.ca } }),
    };
    const stage = new Stage(timeline, new CollectedPost(), farSides, pager, admin, { options, product, drop });
    try {
      await stage.boot();
    } catch (error) {
      await stage.stop();
      throw error;
    }
    return stage;
  }

  get product(): Product {
    if (this.taken === null) throw new Error('the product is not running');
    return this.taken;
  }

  get databaseUrl(): string {
    return this.given.product.databaseUrl;
  }

  /** Subscribes and opens the stores. */
  open(): void {
    this.world.start(this.product.keys());
  }

  /**
   * Lives to an instant; then Plumbline does all that is due by then.
   *
   * @param killAfter kill the product in the middle of it, when it has sent so many pieces to its database
   * @param isAwake nothing of Plumbline's rests longer than in production
   */
  async live(untilMs: number, killAfter: number | null = null, isAwake = false): Promise<void> {
    await this.timeline.live(untilMs);
    if (killAfter !== null) await this.untilKilled(killAfter);
    await this.work(isAwake);
  }

  private async work(isAwake = false): Promise<void> {
    for (const errand of this.errands) await errand();
    do await this.product.settle((await this.post.flush()) > 0, isAwake);
    while (this.post.waiting > 0);
    // The pager's webhooks take real time, and none of the story's.
    while (this.pager !== null && this.pager.webhooks.underWay > 0) await turn();
  }

  /** Works until it is killed, or is done first; then another process takes its place. */
  private async untilKilled(pieces: number): Promise<void> {
    const { proxy, product } = this;
    if (proxy === null) throw new Error('this product was not made to be killed');
    const killed = new Promise<void>((resolve) => {
      this.killed = resolve;
    });
    const kill = (): void => {
      proxy.refuse();
      product.die();
      this.killed?.();
    };
    proxy.arm(pieces, kill);
    // A killed process's work never ends well, and nobody waits for it.
    await Promise.race([this.work().then(kill, () => undefined), killed]);
    await killed;
    this.kills++;
    this.taken = null;
    await this.boot();
  }

  private async boot(): Promise<void> {
    const { options, product } = this.given;
    if (options.mortal === true) {
      await this.proxy?.close();
      this.proxy = await PgProxy.to(product.databaseUrl);
    }
    const databaseUrl = this.proxy?.url ?? product.databaseUrl;
    this.taken = await Product.start({ ...product, databaseUrl }, this.declared());
  }

  async stop(): Promise<void> {
    this.world.stop();
    this.post.close();
    await this.taken?.stop();
    await this.proxy?.close();
    this.admin.closeAllConnections();
    await new Promise((resolve) => this.admin.close(resolve));
    await this.farSides.stop();
    await this.pager?.stop();
    await rm(this.given.product.dataDir, { recursive: true, force: true });
    await this.given.drop();
  }

  private declared(): Declared {
    const destinations = this.farSides.declarations();
    const base = `http://127.0.0.1:${(this.admin.address() as AddressInfo).port}`;
    const shops = [...this.world.shops.values()].map(({ store }) => ({
      domain: store.domain,
      accessToken: store.accessToken,
      adminUrl: `${base}/shops/${store.domain}`,
      subscriptions: 'shop' as const,
      destinations: destinations.map(({ name }) => name),
      settings: {},
    }));
    return { shops, destinations };
  }
}

async function startPager(timeline: Timeline, productPort: number): Promise<PagerDutySide> {
  const pager = new PagerDutySide({
    clock: timeline.world,
    webhookUrl: () => `http://127.0.0.1:${productPort}${PAGER_PATH}`,
    certifiedAtMs: Date.now(), // TLS goes by the machine's own clock
  });
  await pager.start();
  return pager;
}

/** As a configuration file would have it. Without a token: pages are confirmed by PagerDuty's webhooks alone. */
function settingsFor({ routingKeys, host, webhookSecrets }: PagerDutySide): Telling['settings'] {
  return {
    publicUrl: 'https://plumbline.example',
    pagerduty: {
      routingKeys,
      eventsHost: host,
      restHost: host,
      webhookSecrets: [...webhookSecrets],
      escalationPolicies: [],
    },
    tickets: 'pagerduty',
  };
}
