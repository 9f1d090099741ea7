import type { Clock } from '../../kernel/clock.js';
import type { Logger } from '../../kernel/log.js';
import type { Round } from '../../kernel/loop.js';
import type {
  FetchedOrder,
  LedgerReader,
  LedgerVerdicts,
  ReadBack,
  RegistryReader,
  Requeue,
  Shop,
  Standing,
} from '../../pipeline/contract.js';
import type { Gap, GapStore } from './gap-store.js';
import { nextStep } from './recover.js';

const LOOK_AT_ONCE = 500;
const FETCH_AT_ONCE = 25; // orders a query: some 100 points of Shopify's 2,000
/**
 * Recovery goes through the same lanes as live orders, in order of age. So few of a shop are on their way at a time
 * that a live order never waits behind more than these.
 */
const UNDER_WAY_MAX = 200;
/** The cause that `judge` gives to what is queued and has no delivery. */
const DELIVERY_GONE = 'delivery-gone';
const LOOK_SOON_MS = 3_000;
const FETCH_AGAIN_MS = 60_000;

export interface RecoveryDeps {
  gaps: GapStore;
  ledger: Pick<LedgerReader, 'standings'>;
  verdicts: Pick<LedgerVerdicts, 'markMissing' | 'restart'>;
  requeue: Requeue;
  readBack: Pick<ReadBack, 'ability'>;
  registry: RegistryReader;
  clock: Clock;
  log: Logger;
}

/** Brings back what is missing, and looks again until it is there or nothing more can be done. */
export class Recovery {
  constructor(private readonly deps: RecoveryDeps) {}

  async round(signal: AbortSignal): Promise<Round> {
    const due = await this.deps.gaps.due(LOOK_AT_ONCE);
    if (due.length === 0) return 'idle';
    const underWay = await this.deps.gaps.underWay();
    let acted = false;
    for (const [shopId, gaps] of Map.groupBy(due, (gap) => gap.shopId)) {
      if (signal.aborted) return 'idle';
      const shop = this.deps.registry.shopById(shopId);
      if (shop) acted = (await this.ofShop(shop, gaps, underWay.get(shopId) ?? 0, signal)) || acted;
    }
    return acted && due.length === LOOK_AT_ONCE ? 'busy' : 'idle';
  }

  /**
   * What was given up lately, and is there after all because a person has replayed it: said, so that nothing is called
   * missing that has arrived.
   */
  async recallGivenUp(sinceAt: Date): Promise<void> {
    for (const [shopId, gaps] of Map.groupBy(await this.deps.gaps.givenUp(sinceAt, 1_000), (gap) => gap.shopId)) {
      const standings = new Map((await this.deps.ledger.standings(gaps)).map((one) => [keyOf(one), one]));
      const back = gaps.filter((gap) => {
        const standing = standings.get(keyOf(gap));
        const isThere = standing?.state === 'accepted' || standing?.state === 'confirmed';
        return isThere && (standing.acceptedAt ?? standing.updatedAt) > gap.foundAt;
      });
      if (back.length > 0) await this.deps.gaps.close(shopId, idsOf(back), 'recovered', 'replayed');
    }
  }

  /** @returns whether anything changed */
  private async ofShop(shop: Shop, gaps: readonly Gap[], underWay: number, signal: AbortSignal): Promise<boolean> {
    const { clock, gaps: store } = this.deps;
    const standings = new Map<string, Standing>();
    for (const standing of await this.deps.ledger.standings(gaps)) standings.set(keyOf(standing), standing);
    const nowMs = clock.nowMs();
    const wanted: Gap[] = [];
    const restarts: Gap[] = [];
    const closing = new Map<string, { gaps: Gap[]; state: 'recovered' | 'dead' | 'excluded'; reason: string | null }>();
    const waiting = new Map<number, Gap[]>();
    for (const gap of gaps) {
      const next = nextStep(gap, standings.get(keyOf(gap)) ?? null, this.canConfirm(gap), nowMs);
      if (next.step === 'requeue') wanted.push(gap);
      else if (next.step === 'restart') restarts.push(gap);
      else if (next.step === 'wait') append(waiting, next.untilAt.getTime(), gap);
      else {
        const key = `${next.state}/${next.reason ?? ''}`;
        const group = closing.get(key) ?? { gaps: [], state: next.state, reason: next.reason };
        group.gaps.push(gap);
        closing.set(key, group);
      }
    }
    for (const { gaps: closed, state, reason } of closing.values()) {
      await store.close(shop.id, idsOf(closed), state, reason);
      this.deps.log.info({ shop: shop.domain, gaps: closed.length, state, reason }, 'gaps closed');
    }
    for (const [untilMs, some] of waiting) await store.lookAgain(shop.id, idsOf(some), new Date(untilMs), null);
    const stillUnderWay = underWay - closedUnderWay(closing);
    const restarted = await this.restart(shop, restarts, stillUnderWay);
    if (wanted.length > 0) await this.bringBack(shop, wanted, stillUnderWay + restarted, signal);
    return closing.size > 0 || wanted.length > 0 || restarted > 0;
  }

  /** @returns how many are on their way now */
  private async restart(shop: Shop, restarts: readonly Gap[], underWay: number): Promise<number> {
    if (restarts.length === 0) return 0;
    const { gaps: store, verdicts, clock } = this.deps;
    const now = restarts.slice(0, Math.max(0, UNDER_WAY_MAX - underWay));
    const later = restarts.slice(now.length);
    const soonAt = new Date(clock.nowMs() + LOOK_SOON_MS);
    if (later.length > 0) await store.lookAgain(shop.id, idsOf(later), soonAt, null);
    if (now.length === 0) return 0;
    // Written first: a crash in between makes it look again later than it might, never forget that it asked.
    await store.requeued(shop.id, idsOf(now), soonAt);
    // Where the ledger still says queued, it must know first that nothing waits.
    const unqueued = now.filter(({ cause }) => cause === DELIVERY_GONE);
    if (unqueued.length > 0) {
      await verdicts.markMissing(unqueued.map((gap) => ({ ...gap, reason: gap.cause, detail: null })));
    }
    await verdicts.restart(now);
    return now.length;
  }

  private async bringBack(shop: Shop, wanted: readonly Gap[], underWay: number, signal: AbortSignal): Promise<void> {
    const { gaps: store, clock } = this.deps;
    const room = Math.max(0, UNDER_WAY_MAX - underWay);
    const now = wanted.slice(0, room);
    const later = wanted.slice(room);
    if (later.length > 0) {
      await store.lookAgain(shop.id, idsOf(later), new Date(clock.nowMs() + LOOK_SOON_MS), null);
    }
    const byOrder = [...Map.groupBy(now, (gap) => gap.orderId)];
    for (let from = 0; from < byOrder.length && !signal.aborted; from += FETCH_AT_ONCE) {
      const part = byOrder.slice(from, from + FETCH_AT_ONCE);
      const orderIds = part.map(([orderId]) => orderId);
      const fetched = await this.deps.requeue.fetchOrders(shop, orderIds, signal);
      if (fetched.outcome === 'later') {
        const againAt = new Date(clock.nowMs() + (fetched.retryAfterMs ?? FETCH_AGAIN_MS));
        const ids = byOrder.slice(from).flatMap(([, gaps]) => idsOf(gaps));
        await store.lookAgain(shop.id, ids, againAt, `not fetched yet: ${fetched.detail}`);
        return;
      }
      const orders = new Map(fetched.orders.map((order) => [order.orderId, order]));
      for (const [orderId, gaps] of part) await this.requeueOrder(shop, gaps, orders.get(orderId));
    }
  }

  private async requeueOrder(shop: Shop, gaps: readonly Gap[], order: FetchedOrder | undefined): Promise<void> {
    const { gaps: store, clock } = this.deps;
    const items = order ? requeueItems(order, gaps) : [];
    const found = new Set(items.flatMap((item) => item.gapIds));
    const gone = gaps.filter((gap) => !found.has(gap.id));
    if (gone.length > 0) await store.close(shop.id, idsOf(gone), 'dead', 'Shopify has no such record any more');
    if (items.length === 0) return;
    // Written first: a crash in between makes it look again later than it might, never forget that it asked.
    const asked = gaps.filter((gap) => found.has(gap.id));
    await store.requeued(shop.id, idsOf(asked), new Date(clock.nowMs() + LOOK_SOON_MS));
    await this.deps.requeue.requeue(
      shop,
      items.map(({ gapIds: _, ...item }) => item),
    );
  }

  private canConfirm({ destinationId, kind }: Gap): boolean {
    const destination = this.deps.registry.destinationById(destinationId);
    if (!destination) return false;
    const ability = this.deps.readBack.ability(destination);
    return ability.means !== 'none' && ability.kinds.has(kind);
  }
}

/** The kind that each webhook of a fetched order proves. */
const KIND_OF_TOPIC: Readonly<Record<string, Gap['kind']>> = {
  'orders/create': 'purchase',
  'orders/paid': 'purchase',
  'orders/updated': 'order-updated',
  'orders/cancelled': 'order-cancelled',
  'refunds/create': 'refund',
};

/**
 * The webhooks that fill an order's gaps: for each fact, one for every destination that lacks it. The key is the gap and
 * the attempt, so the same attempt twice has one effect. Pure.
 */
export function requeueItems(
  order: FetchedOrder,
  gaps: readonly Gap[],
): { topic: string; body: Buffer; key: string; destinationId: number; gapIds: string[] }[] {
  return order.webhooks.flatMap(({ topic, subjectId, body }) =>
    gaps
      .filter((gap) => gap.subjectId === subjectId && gap.kind === KIND_OF_TOPIC[topic])
      .map((gap) => ({
        topic,
        body,
        key: `${gap.id}-${gap.requeues + 1}`,
        destinationId: gap.destinationId,
        gapIds: [gap.id],
      })),
  );
}

function keyOf(one: { subjectId: string; kind: string; destinationId: number }): string {
  return `${one.subjectId}/${one.kind}/${one.destinationId}`;
}

function idsOf(gaps: readonly Gap[]): string[] {
  return gaps.map(({ id }) => id);
}

function append<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const known = map.get(key);
  if (known) known.push(value);
  else map.set(key, [value]);
}

function closedUnderWay(closing: ReadonlyMap<string, { gaps: readonly Gap[] }>): number {
  return [...closing.values()].flatMap(({ gaps }) => gaps).filter(({ state }) => state === 'requeued').length;
}
