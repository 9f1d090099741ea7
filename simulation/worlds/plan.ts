import { Random } from '../../sandbox/random.js';
import type { Fault as FarSideFault } from '../../sandbox/receivers/faults.js';
import type { AdminTrouble } from '../../sandbox/shopify/admin-api.js';
import { TOPICS, type Topic } from '../../sandbox/shopify/lifecycle.js';
import type { FarSideName } from '../far-sides.js';

const MINUTE_MS = 60_000;

/** What goes wrong in a random world. */
export type Fault =
  | { kind: 'drop' | 'duplicate' | 'repeat' | 'reorder' | 'oversize'; share: number }
  | { kind: 'delay'; seconds: number }
  | { kind: 'door-closed' }
  | { kind: 'admin'; mode: Exclude<AdminTrouble, 'none'> }
  | { kind: 'removed'; store: number; topic: Topic | null }
  | { kind: 'far-side'; name: 'ga4' | 'segment' | 'hook'; fault: FarSideFault; share: number }
  /** Accepted, and then not there. */
  | { kind: 'lost'; name: 'ga4' | 'lake'; share: number }
  | { kind: 'killed'; afterPieces: number };

export interface PlannedFault {
  afterMs: number;
  /** How long it lasts; 0 for what happens once. */
  forMs: number;
  fault: Fault;
}

export interface WorldPlan {
  seed: number;
  stores: number;
  ordersPerHour: number;
  storyMs: number;
  farSides: readonly FarSideName[];
  faults: readonly PlannedFault[];
}

/** A small world and its faults, all drawn from the seed. Every fault is over when the story is. */
export function planWorld(seed: number): WorldPlan {
  const random = new Random(`${seed}:plan`);
  const storyMs = 2 * random.between(25, 45) * MINUTE_MS;
  const farSides: readonly FarSideName[] = ['ga4', 'segment', 'hook', 'lake'];
  const stores = random.between(1, 2);
  const faults = DRAWS.flatMap(([likely, draw]) => {
    const own = random.fork(draw.name);
    if (!own.chance(likely)) return [];
    const afterMs = own.between(2, Math.floor((storyMs / MINUTE_MS) * 0.7)) * MINUTE_MS;
    const mostMs = Math.min(45 * MINUTE_MS, storyMs - afterMs - MINUTE_MS);
    const forMs = own.between(2, Math.max(2, Math.floor(mostMs / MINUTE_MS))) * MINUTE_MS;
    return [{ afterMs, forMs, fault: draw(own, stores) }];
  });
  return { seed, stores, ordersPerHour: random.between(8, 16), storyMs, farSides, faults };
}

const share = (random: Random): number => random.pick([0.15, 0.4, 0.8]);

const DRAWS: readonly (readonly [likely: number, draw: (random: Random, stores: number) => Fault])[] = [
  [
    0.3,
    function drop(random) {
      return { kind: 'drop', share: share(random) };
    },
  ],
  [
    0.25,
    function duplicate(random) {
      return { kind: 'duplicate', share: share(random) };
    },
  ],
  [
    0.25,
    function repeat(random) {
      return { kind: 'repeat', share: share(random) };
    },
  ],
  [
    0.3,
    function reorder(random) {
      return { kind: 'reorder', share: share(random) };
    },
  ],
  [
    0.2,
    function oversize(random) {
      return { kind: 'oversize', share: share(random) };
    },
  ],
  [
    0.2,
    function delay(random) {
      return { kind: 'delay', seconds: random.between(30, 900) };
    },
  ],
  [
    0.2,
    function doorClosed() {
      return { kind: 'door-closed' };
    },
  ],
  [
    0.25,
    function admin(random) {
      return { kind: 'admin', mode: random.pick(['unavailable', 'frozen', 'throttled'] as const) };
    },
  ],
  [
    0.3,
    function removed(random, stores) {
      const topic = random.chance(0.3) ? null : random.pick(TOPICS);
      return { kind: 'removed', store: random.between(0, stores - 1), topic };
    },
  ],
  [
    0.4,
    function farSide(random) {
      return { kind: 'far-side', name: random.pick(['ga4', 'segment', 'hook'] as const), ...trouble(random) };
    },
  ],
  [
    0.3,
    function anotherFarSide(random) {
      return { kind: 'far-side', name: random.pick(['ga4', 'segment', 'hook'] as const), ...trouble(random) };
    },
  ],
  [
    0.3,
    function lost(random) {
      return { kind: 'lost', name: random.pick(['ga4', 'lake'] as const), share: share(random) };
    },
  ],
  [
    0.25,
    function killed(random) {
      return { kind: 'killed', afterPieces: random.between(0, 60) };
    },
  ],
];

function trouble(random: Random): { fault: FarSideFault; share: number } {
  const fault = random.pick<FarSideFault>([
    { mode: 'status', code: 503 },
    { mode: 'status', code: 500 },
    { mode: 'throttle', retryAfterS: random.between(1, 120) },
    { mode: 'cut-before' },
    { mode: 'apply-then-cut' },
    { mode: 'garbage-response' },
    { mode: 'slow', ms: 20 },
  ]);
  return { fault, share: random.pick([0.3, 0.7, 1]) };
}

/** One line a person can read. */
export function describe({ faults }: WorldPlan): string {
  const words = faults.map(({ afterMs, forMs, fault }) => {
    const { kind, ...rest } = fault;
    return `${kind} ${JSON.stringify(rest)} at ${afterMs / MINUTE_MS} min for ${forMs / MINUTE_MS} min`;
  });
  return words.length === 0 ? 'no faults' : words.join('; ');
}
