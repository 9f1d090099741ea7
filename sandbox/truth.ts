/** What really happened to one order: the sandbox knows, the service has to find out. */
export interface OrderTruth {
  id: number;
  domain: string;
  name: string;
  soldAtMs: number;
  /** When it became a purchase (paid, or free and placed); `null` = not yet, or never. Test orders stay `null`. */
  dueAtMs: number | null;
  /** Webhooks about it: sent, answered 2xx, dropped on purpose, told to nobody for want of a subscription. */
  sent: number;
  answered: number;
  dropped: number;
  unheard: number;
  /** When its purchase first arrived, by destination. */
  arrivedAtMs: Record<string, number>;
}

export interface DestinationTruth {
  arrived: number;
  /** Due for 10 s or longer and not there. */
  missing: number;
  /** Due for less than 10 s and not there: on its way, nothing can be said. */
  young: number;
}

const YOUNG_MS = 10_000;

/** Sold against arrived. Bounded: past `ordersMax` the oldest orders live on as counts only. */
export class Truth {
  private readonly byId = new Map<number, OrderTruth>();
  /** In order of becoming due; those not young any more are cut off the front when next looked at. */
  private young: OrderTruth[] = [];
  private readonly arrivals: Record<string, number> = {};
  sold = 0;
  due = 0;

  constructor(
    private readonly ordersMax: number,
    destinations: readonly string[],
  ) {
    for (const destination of destinations) this.arrivals[destination] = 0;
  }

  sell(order: Pick<OrderTruth, 'id' | 'domain' | 'name' | 'soldAtMs'>): void {
    const fresh = { dueAtMs: null, sent: 0, answered: 0, dropped: 0, unheard: 0, arrivedAtMs: {} };
    this.byId.set(order.id, { ...order, ...fresh });
    this.sold++;
    if (this.byId.size <= this.ordersMax) return;
    for (const oldest of this.byId.keys()) {
      this.byId.delete(oldest);
      break;
    }
  }

  becomeDue(id: number, atMs: number): void {
    const order = this.byId.get(id);
    if (order === undefined || order.dueAtMs !== null) return;
    order.dueAtMs = atMs;
    this.due++;
    this.young.push(order);
    for (const destination of Object.keys(order.arrivedAtMs)) this.countArrival(destination);
  }

  arrive(id: number, destination: string, atMs: number): void {
    const order = this.byId.get(id);
    if (order === undefined || order.arrivedAtMs[destination] !== undefined) return;
    order.arrivedAtMs[destination] = atMs;
    // Invariant: only what is due counts, so that sold and arrived speak of the same orders.
    if (order.dueAtMs !== null) this.countArrival(destination);
  }

  private countArrival(destination: string): void {
    this.arrivals[destination] = (this.arrivals[destination] ?? 0) + 1;
  }

  of(id: number): OrderTruth | undefined {
    return this.byId.get(id);
  }

  /** Every order remembered that is due. */
  dueOrders(): (OrderTruth & { dueAtMs: number })[] {
    return [...this.byId.values()].filter((order): order is OrderTruth & { dueAtMs: number } => order.dueAtMs !== null);
  }

  count(field: 'sent' | 'answered' | 'dropped' | 'unheard', id: number | null): void {
    const order = id === null ? undefined : this.byId.get(id);
    if (order !== undefined) order[field]++;
  }

  at(nowMs: number): Record<string, DestinationTruth> {
    const old = this.young.findIndex(({ dueAtMs }) => dueAtMs !== null && dueAtMs > nowMs - YOUNG_MS);
    this.young = old < 0 ? [] : this.young.slice(old);
    return Object.fromEntries(
      Object.entries(this.arrivals).map(([destination, arrived]) => {
        const young = this.young.filter(({ arrivedAtMs }) => arrivedAtMs[destination] === undefined).length;
        return [destination, { arrived, young, missing: this.due - arrived - young }];
      }),
    );
  }

  /** Orders due and not arrived at a destination, newest first: where to look. */
  missing(destination: string, nowMs: number, most: number): OrderTruth[] {
    const found: OrderTruth[] = [];
    for (const order of [...this.byId.values()].reverse()) {
      if (found.length >= most) break;
      const isOverdue = order.dueAtMs !== null && order.dueAtMs <= nowMs - YOUNG_MS;
      if (isOverdue && order.arrivedAtMs[destination] === undefined) found.push(order);
    }
    return found;
  }
}
