import type { Clock } from '../../kernel/clock.js';
import type { Database, Queryable } from '../../kernel/database.js';
import type { ListedOrder } from './listed-order.js';

/** Index: the primary key. */
const LISTED_BEFORE = `
select s.order_id from unnest($2::text[], $3::date[]) as i (order_id, day)
  join monitoring.sold s on s.shop_id = $1 and s.order_id = i.order_id and s.day = i.day
 where s.reconciliation_id = $4`;

/** Newer truth only: a listing that was cut off and goes on later may be behind another. */
const PUT = `
insert into monitoring.sold as s
  (shop_id, order_id, day, sold_at, updated_at, payment, cancelled, test, reconciliation_id, changed_at)
select $1, order_id, (sold_at at time zone 'UTC')::date, sold_at, updated_at, payment, cancelled, test, $8, $9
  from unnest($2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::boolean[], $7::boolean[])
    as i (order_id, sold_at, updated_at, payment, cancelled, test)
on conflict (shop_id, order_id, day) do update set
  updated_at = greatest(s.updated_at, excluded.updated_at),
  payment = case when excluded.updated_at >= s.updated_at then excluded.payment else s.payment end,
  cancelled = case when excluded.updated_at >= s.updated_at then excluded.cancelled else s.cancelled end,
  changed_at = case when excluded.updated_at >= s.updated_at
                     and (excluded.payment, excluded.cancelled) is distinct from (s.payment, s.cancelled)
                    then excluded.changed_at else s.changed_at end,
  reconciliation_id = excluded.reconciliation_id`;

/** What Shopify has listed, each order once. */
export class SoldStore {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /** @returns those of the orders that this run has not listed before; each once */
  async fresh(shopId: string, runId: string, orders: readonly ListedOrder[]): Promise<ListedOrder[]> {
    const byId = new Map(orders.map((order) => [order.orderId, order]));
    const rows = await this.database.rows<{ order_id: string }>(LISTED_BEFORE, [
      shopId,
      [...byId.keys()],
      [...byId.values()].map(({ createdAt }) => createdAt.toISOString().slice(0, 10)),
      runId,
    ]);
    for (const { order_id } of rows) byId.delete(order_id);
    return [...byId.values()];
  }

  /** @param orders each once */
  async put(client: Queryable, shopId: string, runId: string, orders: readonly ListedOrder[]): Promise<void> {
    if (orders.length === 0) return;
    await client.query(PUT, [
      shopId,
      orders.map(({ orderId }) => orderId),
      orders.map(({ createdAt }) => createdAt),
      orders.map(({ updatedAt }) => updatedAt),
      orders.map(({ payment }) => payment),
      orders.map(({ cancelledAt }) => cancelledAt !== null),
      orders.map(({ test }) => test),
      runId,
      this.clock.now(),
    ]);
  }
}
