import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { minorOf } from './money.js';
import type { OrderBody } from './order-body.js';

/** What the shop's own search knows of an order without opening it. */
export interface OrderRow {
  id: number;
  name: string;
  createdAtMs: number;
  updatedAtMs: number;
  test: boolean;
  isCancelled: boolean;
  financialStatus: string;
  sourceName: string;
  totalMinor: number;
}

type Stored = OrderRow & { packed: Buffer; refundIds: readonly number[] };

/** The orders of one shop, packed to some 2 KB each; past `ordersMax` the oldest are forgotten, as a shop's never are. */
export class OrderBook {
  private readonly byId = new Map<number, Stored>();
  private readonly orderOfRefund = new Map<number, number>();

  constructor(private readonly ordersMax: number) {}

  get size(): number {
    return this.byId.size;
  }

  put(order: OrderBody): void {
    const refundIds = order.refunds.map(({ id }) => id);
    for (const id of refundIds) this.orderOfRefund.set(id, order.id);
    this.byId.set(order.id, {
      id: order.id,
      name: order.name,
      createdAtMs: Date.parse(order.created_at),
      updatedAtMs: Date.parse(order.updated_at),
      test: order.test,
      isCancelled: order.cancelled_at !== null,
      financialStatus: order.financial_status,
      sourceName: order.source_name,
      totalMinor: minorOf(order.total_price, order.currency),
      refundIds,
      packed: deflateRawSync(JSON.stringify(order), { level: 1 }),
    });
    if (this.byId.size <= this.ordersMax) return;
    for (const oldest of this.byId.values()) {
      this.byId.delete(oldest.id);
      for (const id of oldest.refundIds) this.orderOfRefund.delete(id);
      break;
    }
  }

  get(id: number): OrderBody | undefined {
    const stored = this.byId.get(id);
    return stored && unpack(stored.packed);
  }

  /** The order that holds a refund. */
  withRefund(refundId: number): OrderBody | undefined {
    const orderId = this.orderOfRefund.get(refundId);
    return orderId === undefined ? undefined : this.get(orderId);
  }

  rows(): OrderRow[] {
    return [...this.byId.values()];
  }
}

/** The only way in is `put`, so what comes out is an `OrderBody` again. */
function unpack(packed: Buffer): OrderBody {
  return JSON.parse(inflateRawSync(packed).toString()) as OrderBody;
}
