import { Random } from '../../sandbox/random.js';
import { TOPICS } from '../../sandbox/shopify/lifecycle.js';
import type { Databases } from '../databases.js';
import { Stage } from '../stage.js';
import { planWorld, type PlannedFault, type WorldPlan } from './plan.js';
import { verdict } from './verdict.js';

const MINUTE_MS = 60_000;
const STEP_MS = 2 * MINUTE_MS;
/** After the story: long enough for Shopify's retries (4 h), two reconciliations, and the pause after an outage. */
const EPILOGUE_MS = 7 * 60 * MINUTE_MS;
const EPILOGUE_STEP_MS = 15 * MINUTE_MS;
const START_AT_MS = Date.parse('2026-11-27T14:00:00Z');

export interface WorldResult {
  seed: number;
  plan: WorldPlan;
  orders: number;
  kills: number;
  /** What must be empty: each line names one broken promise. */
  broken: string[];
}

/** Lives through one random world and holds it against the invariants. */
export async function runWorld(databases: Databases, seed: number): Promise<WorldResult> {
  const plan = planWorld(seed);
  const stage = await Stage.start({
    databases,
    seed,
    // Each world has a day of its own, so that midnights, weeks and months come up at every point of a story.
    startAtMs: START_AT_MS + (seed % 1_000) * 7 * 60 * MINUTE_MS,
    storeCount: plan.stores,
    ordersPerSecond: plan.ordersPerHour / 3_600,
    removal: seed % 2 === 0 ? 'subscription' : 'delivery',
    topics: TOPICS,
    farSides: plan.farSides,
    mortal: plan.faults.some(({ fault }) => fault.kind === 'killed'),
  });
  try {
    const { timeline, world } = stage;
    const startedMs = timeline.nowMs;
    const kills: number[] = [];
    for (const planned of plan.faults) {
      timeline.at(startedMs + planned.afterMs, () => {
        if (planned.fault.kind === 'killed') kills.push(planned.fault.afterPieces);
        else begin(stage, planned);
      });
    }
    stage.open();
    const storyEndMs = startedMs + plan.storyMs;
    while (timeline.nowMs < storyEndMs) {
      await stage.live(timeline.nowMs + STEP_MS, kills.shift() ?? null);
    }
    world.stopSelling();
    while (timeline.nowMs < storyEndMs + EPILOGUE_MS) await stage.live(timeline.nowMs + EPILOGUE_STEP_MS);
    const broken = await verdict(stage, plan);
    return { seed, plan, orders: world.truth.due, kills: stage.kills, broken };
  } finally {
    await stage.stop();
  }
}

function begin(stage: Stage, { fault, forMs }: PlannedFault): void {
  const { world, timeline, post, farSides } = stage;
  const afterwards = (end: () => void): void => void timeline.world.after(forMs, end);
  switch (fault.kind) {
    case 'drop':
    case 'duplicate':
    case 'repeat':
    case 'reorder':
    case 'oversize': {
      const { kind } = fault;
      world.make({ kind, store: null, share: fault.share });
      return afterwards(() => world.make({ kind, store: null, share: 0 }));
    }
    case 'delay':
      world.make({ kind: 'delay', store: null, seconds: fault.seconds });
      return afterwards(() => world.make({ kind: 'delay', store: null, seconds: 0 }));
    case 'door-closed':
      post.isDoorOpen = false;
      return afterwards(() => {
        post.isDoorOpen = true;
      });
    case 'admin':
      world.make({ kind: 'admin', mode: fault.mode });
      return afterwards(() => world.make({ kind: 'admin', mode: 'none' }));
    case 'removed': {
      const store = [...world.shops.keys()][fault.store] ?? null;
      return world.make({ kind: 'remove-subscription', store, topic: fault.topic });
    }
    case 'far-side': {
      const receiver = farSides[fault.name];
      receiver.misbehave(fault.fault, { share: fault.share });
      return afterwards(() => receiver.misbehave({ mode: 'ok' }));
    }
    case 'lost':
      if (fault.name === 'ga4') {
        farSides.ga4.acceptThenLoseShare = fault.share;
        return afterwards(() => {
          farSides.ga4.acceptThenLoseShare = 0;
        });
      }
      return loseRows(stage, fault.share, forMs);
    case 'killed':
      return;
  }
}

/** Each row may be lost once, soon after it came: what Plumbline has seen settled is its owner's to keep. */
function loseRows({ errands, farSides, timeline, world }: Stage, share: number, forMs: number): void {
  const untilMs = timeline.nowMs + forMs;
  const random = new Random(`${world.startedAtMs}:rows`);
  const seen = new Set<string>();
  let isFirst = true;
  errands.push(async () => {
    if (timeline.nowMs > untilMs) return;
    const fresh = (await farSides.warehouseRows()).map(({ eventId }) => eventId).filter((id) => !seen.has(id));
    for (const id of fresh) seen.add(id);
    if (!isFirst) await farSides.loseRows(fresh.sort().filter(() => random.chance(share)));
    isFirst = false;
  });
}
