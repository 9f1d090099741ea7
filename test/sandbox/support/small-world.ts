import type { Destination, DestinationName } from '../../../sandbox/destination.js';
import type { DestinationMode } from '../../../sandbox/trouble.js';
import { World, type WorldOptions } from '../../../sandbox/world.js';
import { ManualClock } from './manual-clock.js';

export const SECRET = 'test-client-secret';
export const TOKEN = 'test-access-token';

/** A destination that arrives when the test says so. */
export class PretendDestination implements Destination {
  readonly url = 'http://127.0.0.1:1/';
  readonly secret = null;
  mode: DestinationMode = 'calm';
  readonly reports = null;
  purchases: string[] = [];

  constructor(readonly name: DestinationName) {}

  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  counts() {
    return { received: 0, distinct: 0, repeats: 0, lost: 0 };
  }
  takePurchases(): string[] {
    return this.purchases.splice(0);
  }
}

export function smallWorld(given: Partial<WorldOptions> = {}): { world: World; clock: ManualClock } {
  const clock = new ManualClock();
  const world = new World({
    seed: 7,
    clock,
    storeCount: 3,
    ordersPerSecond: 2,
    secret: SECRET,
    oldSecret: 'old-secret',
    accessToken: TOKEN,
    serviceUrl: 'http://127.0.0.1:1',
    apiVersion: '2026-10',
    timeScale: 1,
    removal: 'subscription',
    ordersMax: 1_000,
    destinations: [],
    ...given,
  });
  return { world, clock };
}

export const COFFEE = 'sandbox-harbour-coffee.myshopify.com';
export const TEXTIL = 'sandbox-alpen-textil.myshopify.com';
export const KUMO = 'sandbox-kumo-stationery.myshopify.com';
