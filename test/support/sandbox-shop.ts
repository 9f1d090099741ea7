import { ControlServer } from '../../sandbox/control/server.js';
import type { World } from '../../sandbox/world.js';
import { AddressGuard } from '../../src/kernel/address-guard.js';
import type { Clock } from '../../src/kernel/clock.js';
import { HttpOut } from '../../src/kernel/http-out.js';
import type { Shop, ShopifyAdmin, ShopifyFiles } from '../../src/pipeline/contract.js';
import { AdminApi } from '../../src/pipeline/shopify/admin-api.js';
import { ResultFiles } from '../../src/pipeline/shopify/result-files.js';
import type { ManualClock } from '../sandbox/support/manual-clock.js';
import { COFFEE, smallWorld, TOKEN } from '../sandbox/support/small-world.js';
import { shopStub } from './shop-stub.js';

/** The product's own way to one store of the sandbox, over HTTP, on one clock that passes only when told to. */
export class SandboxShop {
  readonly shop: Shop;
  readonly clock: Clock;
  readonly admin: ShopifyAdmin;
  readonly files: ShopifyFiles;
  /** Names of the queries and mutations asked, in order. */
  readonly asked: string[] = [];

  private constructor(
    readonly world: World,
    readonly time: ManualClock,
    private readonly server: ControlServer,
    private readonly http: HttpOut,
    base: string,
  ) {
    this.shop = shopStub({ domain: COFFEE, adminUrl: `${base}/shops/${COFFEE}`, accessToken: TOKEN });
    this.clock = { nowMs: () => time.now(), now: () => new Date(time.now()) };
    this.admin = new AdminApi({
      clock: this.clock,
      apiVersion: '2026-10',
      post: async (_world, url, headers, body, signal) => {
        this.asked.push(/(?:query|mutation) (\w+)/.exec(body)?.[1] ?? '?');
        const answer = await http.request({
          method: 'POST',
          url,
          headers: { ...headers, 'content-type': 'application/json' },
          body,
          bodyBytesMax: 8_000_000,
          ...(signal ? { signal } : {}),
        });
        if (answer.kind !== 'answer') throw new Error(answer.detail);
        return answer;
      },
    });
    this.files = new ResultFiles({ real: http, sandbox: http });
  }

  static async open(given: Parameters<typeof smallWorld>[0] = {}): Promise<SandboxShop> {
    const { world, clock } = smallWorld({ ordersMax: 30_000, ...given });
    const server = new ControlServer(world, 'http://127.0.0.1:1');
    const base = await server.start(0);
    return new SandboxShop(world, clock, server, new HttpOut(new AddressGuard(['127.0.0.0/8'])), base);
  }

  async close(): Promise<void> {
    this.world.stop();
    await this.http.close();
    await this.server.stop();
  }

  /** Sells one order and lets a second pass. @returns its id */
  sell(wish: Parameters<World['sellOne']>[1] = {}): string {
    const { orderId } = this.world.sellOne(COFFEE, { quiet: true, channel: 'web', lines: 1, ...wish });
    this.time.advance(1_000);
    return orderId;
  }

  step(orderId: string, step: Parameters<World['step']>[2]): void {
    this.world.step(COFFEE, Number(orderId), step);
  }
}
