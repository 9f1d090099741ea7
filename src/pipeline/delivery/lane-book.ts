import { stopwatch, type Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import { Lane, laneName, type LaneKey } from './lane.js';
import { findLanes, type Claim } from './queue.js';

const DISCOVER_EVERY_MS = 500; // how late a delivery queued by another process may start
const FLOOR_SLACK_MS = 250; // a router's commit may bring a row this much older than one already claimed; what is older still, `discover` finds

/** A lane that may claim now, and how many rows at the most. */
export interface LaneWant {
  lane: Lane;
  most: number;
}

/** The lanes this process knows: which may have something due, and whose turn it is. */
export class LaneBook {
  private readonly lanes = new Map<string, Lane>();
  private discoverAtMs = 0;
  private turn = 0;

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  lane(key: LaneKey): Lane {
    const name = laneName(key);
    let lane = this.lanes.get(name);
    if (!lane) this.lanes.set(name, (lane = new Lane(key)));
    return lane;
  }

  /** Something has been queued for these lanes. */
  nudge(keys: Iterable<LaneKey>): void {
    const nowMs = this.clock.nowMs();
    for (const key of keys) this.lane(key).dueAtMs = nowMs;
  }

  rediscover(): void {
    this.discoverAtMs = 0;
  }

  /** Looks for lanes that other processes, retries and leases that ran out have made due. Rests between two looks. */
  async discover(nowMs: number): Promise<void> {
    // A clock that was set back must not put the next look into a far future.
    if (nowMs < this.discoverAtMs && nowMs >= this.discoverAtMs - 60_000) return;
    const took = stopwatch();
    const found = await findLanes(this.database, nowMs);
    for (const { dueAt, open, ...key } of found) {
      const lane = this.lane(key);
      if (dueAt) {
        lane.dueAtMs = Math.min(lane.dueAtMs ?? Infinity, dueAt.getTime());
        // Rows at or before the floor that are due: left by a lost lease, a retry, or a commit that came late.
        if (dueAt.getTime() <= nowMs && dueAt.getTime() <= lane.floor.dueAt.getTime()) lane.resetFloor();
      }
      if (open) lane.restoreOpen(open.since.getTime(), open.retryAt.getTime(), open.lastError);
    }
    // At most a twentieth of the time goes into looking, however many lanes there are.
    this.discoverAtMs = nowMs + Math.max(DISCOVER_EVERY_MS, 20 * took());
  }

  /**
   * Whose turn it is: a request's worth for each lane in turn, then another, while the budget lasts. Each round starts
   * at the next lane, so that a small budget is shared fairly. Lanes that advance side by side also read the same
   * segments of the inbox at the same time.
   *
   * @param budget rows that may be claimed in all
   * @param perSend how many rows one request of this lane takes; `null` = nothing may be sent there now
   * @param spare how many more rows a destination may have under way
   */
  pick(
    nowMs: number,
    budget: number,
    perSend: (key: LaneKey) => number | null,
    spare: (destinationId: number) => number = () => budget,
  ): LaneWant[] {
    const lanes = [...this.lanes.values()];
    const ready: { lane: Lane; rows: number; atMost: number; most: number }[] = [];
    const wanted = new Map<number, number>();
    let left = budget;
    const give = (to: (typeof ready)[number]): void => {
      const { destinationId } = to.lane.key;
      const spared = spare(destinationId) - (wanted.get(destinationId) ?? 0);
      const more = Math.max(0, Math.min(left, spared, to.rows, to.atMost - to.most));
      wanted.set(destinationId, (wanted.get(destinationId) ?? 0) + more);
      to.most += more;
      left -= more;
    };
    const start = lanes.length === 0 ? 0 : this.turn++ % lanes.length;
    for (let i = 0; i < lanes.length && left > 0; i++) {
      const lane = lanes[(start + i) % lanes.length] as Lane;
      if (lane.dueAtMs === null || lane.dueAtMs > nowMs) continue;
      const room = lane.room(nowMs);
      if (room === 0) continue;
      const rows = perSend(lane.key);
      if (rows === null) continue;
      const one = { lane, rows, atMost: lane.state === 'open' ? 1 : room * rows, most: 0 };
      give(one);
      if (one.most === 0) continue;
      ready.push(one);
      // Before the claim, not after it: a nudge that comes while the claim is under way must not be lost.
      lane.dueAtMs = null;
    }
    for (let before = Infinity; left > 0 && left < before;) {
      before = left;
      for (const one of ready) give(one);
    }
    return ready.map(({ lane, most }) => ({ lane, most }));
  }

  /** Moves the floors past what was claimed. */
  noteClaims(wants: readonly LaneWant[], claims: readonly Claim[], nowMs: number): void {
    const counts = new Map<string, { count: number; last: Claim }>();
    for (const claim of claims) {
      const name = laneName(claim);
      counts.set(name, { count: (counts.get(name)?.count ?? 0) + 1, last: claim });
    }
    for (const { lane, most } of wants) {
      const claimed = counts.get(laneName(lane.key));
      if (!claimed) continue;
      if (claimed.count >= most) lane.dueAtMs = nowMs; // there may be more
      const newestSafeMs = nowMs - FLOOR_SLACK_MS;
      const floor =
        claimed.last.dueAt.getTime() <= newestSafeMs
          ? { dueAt: claimed.last.dueAt, id: claimed.last.id }
          : { dueAt: new Date(newestSafeMs), id: '0' };
      if (floor.dueAt.getTime() >= lane.floor.dueAt.getTime()) lane.floor = floor;
    }
  }
}
