import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Logger } from '../../kernel/log.js';
import { Loop, type LoopHealth, type Round } from '../../kernel/loop.js';
import type { Destination, Shop } from '../contract.js';
import type { AdapterOf } from '../destinations/adapter.js';
import { LaneBook, type LaneWant } from './lane-book.js';
import { laneName, type Lane, type LaneKey } from './lane.js';
import { claimDue, type Claim } from './queue.js';
import type { Route, Sender } from './sender.js';

const IN_FLIGHT_MAX = 3_000; // items, some 30 MB of events at the most
// Items that wait for their turn to be read and formatted. Claimed any sooner they would not go out any sooner, and what waits in
// memory is copied by the garbage collector in the meantime.
const WAITING_MAX = 600;
const CLAIM_MIN = WAITING_MAX / 2; // below it a claim's own cost shows
const DESTINATION_IN_FLIGHT_MAX = IN_FLIGHT_MAX / 4; // however slow one is, there is room for the others
const STOP_WITHIN_MS = 6_000; // of the 10 s the whole service has, its database's end included

export interface WorkerDeps {
  database: Database;
  shops: { shopById(id: string): Shop | undefined; destinationById(id: number): Destination | undefined };
  adapters: AdapterOf;
  sender: Sender;
  clock: Clock;
  log: Logger;
}

/**
 * Delivers what is due: claims by lane and hands each lane's claims to the sender. Any number of these run beside each
 * other, in one process or many; the claim's row lock and lease are what keeps them apart.
 */
export class DeliveryWorker {
  private readonly lanes: LaneBook;
  private readonly loop: Loop;
  private readonly underWay = new Set<Promise<void>>();
  private inFlight = 0;
  private waiting = 0;
  private readonly inFlightAt = new Map<number, number>(); // by destination

  constructor(private readonly deps: WorkerDeps) {
    this.lanes = new LaneBook(deps.database, deps.clock);
    this.loop = new Loop({
      name: 'delivery',
      pauseMs: 25,
      clock: deps.clock,
      log: deps.log,
      round: () => this.round(),
    });
  }

  start(): this {
    this.loop.start();
    return this;
  }

  health(): LoopHealth {
    return this.loop.health();
  }

  /** The router has queued something for these lanes. */
  nudge(keys: Iterable<LaneKey>): void {
    this.lanes.nudge(keys);
    this.loop.wake();
  }

  /** Looks for due lanes at once; after a registry change, and for tests that move the clock. */
  rediscover(): void {
    this.lanes.rediscover();
    this.loop.wake();
  }

  /**
   * Delivers until nothing more is due at this instant, and nothing is under way. For who drives the clock, instead of
   * `start`.
   */
  async settle(): Promise<void> {
    this.lanes.rediscover();
    while ((await this.round()) === 'busy' || this.underWay.size > 0) {
      await Promise.race(this.underWay);
    }
  }

  /** Stops taking; waits for what is under way, up to 6 s. What is cut off then keeps its lease and goes out again. */
  async stop(): Promise<void> {
    await this.loop.stop();
    const deadline = new Promise<void>((resolve) => setTimeout(resolve, STOP_WITHIN_MS).unref());
    await Promise.race([Promise.allSettled(this.underWay), deadline]);
  }

  private async round(): Promise<Round> {
    const nowMs = this.deps.clock.nowMs();
    await this.lanes.discover(nowMs);
    if (this.waiting > WAITING_MAX - CLAIM_MIN) return 'idle'; // until some of them have had their turn
    const budget = Math.min(WAITING_MAX - this.waiting, IN_FLIGHT_MAX - this.inFlight);
    const wants = this.lanes.pick(
      nowMs,
      budget,
      (key) => this.route(key)?.adapter.batch.items ?? null,
      (destinationId) => DESTINATION_IN_FLIGHT_MAX - (this.inFlightAt.get(destinationId) ?? 0),
    );
    if (wants.length === 0) return 'idle';
    const claims = await this.claim(wants, nowMs);
    this.lanes.noteClaims(wants, claims, nowMs);
    for (const claimed of Map.groupBy(claims, laneName).values()) this.deliver(claimed);
    return claims.length > 0 ? 'busy' : 'idle';
  }

  private async claim(wants: readonly LaneWant[], nowMs: number): Promise<Claim[]> {
    try {
      return await claimDue(this.deps.database, wants, nowMs);
    } catch (error) {
      for (const { lane } of wants) lane.dueAtMs = nowMs;
      throw error;
    }
  }

  /** @returns `null` while the destination is disabled, or this process does not know the shop (yet) */
  private route({ shopId, destinationId }: LaneKey): Route | null {
    const shop = this.deps.shops.shopById(shopId);
    const destination = this.deps.shops.destinationById(destinationId);
    const adapter = destination && this.deps.adapters(destination);
    return shop && destination?.enabled && adapter ? { shop, destination, adapter } : null;
  }

  private deliver(claims: readonly Claim[]): void {
    const [first] = claims;
    if (!first) return;
    const route = this.route(first);
    const lane: Lane = this.lanes.lane(first);
    this.count(first.destinationId, claims.length);
    const { sender } = this.deps;
    let waiting = claims.length;
    const turned = (some: number): void => {
      waiting -= some;
      this.waiting -= some;
      this.loop.wake();
    };
    this.waiting += waiting;
    // Without a route the destination was disabled between pick and claim.
    const work = (
      route ? sender.deliver(lane, claims, route, { turned, sent: () => this.loop.wake() }) : sender.giveBack(claims)
    )
      .catch((error: unknown) => {
        this.deps.log.error({ err: error }, 'delivery failed before an outcome; the lease returns it');
      })
      .finally(() => {
        this.count(first.destinationId, -claims.length);
        turned(waiting);
        this.underWay.delete(work);
        this.loop.wake();
      });
    this.underWay.add(work);
  }

  private count(destinationId: number, claims: number): void {
    this.inFlight += claims;
    this.inFlightAt.set(destinationId, (this.inFlightAt.get(destinationId) ?? 0) + claims);
  }
}
