import type { Queryable } from '../../kernel/database.js';
import { KIND_CODES, type Shop } from '../../pipeline/contract.js';
import type { Stage } from '../contract.js';

/** Purchases found missing at one destination since each instant, and not recovered. */
export interface LostOrders {
  destinationId: number;
  stage: Stage;
  counts: readonly number[];
}

/**
 * Bad by reconciliation: open, or given up. What lies in a dead letter is counted there, so it is left out here; and what
 * was sold before its shop was connected is a back-fill, and nobody's loss.
 *
 * Index: gap_next_look for the open ones, gap_dead for those given up.
 */
const LOST = `
select g.destination_id as "destinationId", g.stage, width_bucket(g.found_at, $3::timestamptz[]) as place,
       count(*)::integer as count
  from (select shop_id, destination_id, kind, stage, cause, sold_at, found_at from monitoring.gap where closed_at is null
        union all
        select shop_id, destination_id, kind, stage, cause, sold_at, found_at from monitoring.gap
         where state = 'dead' and found_at >= $4) g
  join unnest($1::bigint[], $2::timestamptz[]) as shop (id, connected_at) on shop.id = g.shop_id
 where g.kind = ${KIND_CODES.purchase} and g.sold_at >= shop.connected_at and g.found_at >= $4
   and not (g.stage = 'accepted' and starts_with(g.cause, 'dead-letter:'))
 group by 1, 2, 3`;

export async function readLostOrders(
  database: Queryable,
  shops: readonly Pick<Shop, 'id' | 'connectedAt'>[],
  sinceAts: readonly Date[],
): Promise<LostOrders[]> {
  const edges = [...sinceAts].sort((one, other) => +one - +other);
  const { rows } = await database.query<{ destinationId: number; stage: Stage; place: number; count: number }>(LOST, [
    shops.map(({ id }) => id),
    shops.map(({ connectedAt }) => connectedAt),
    edges,
    edges[0],
  ]);
  return [...Map.groupBy(rows, (row) => `${row.destinationId}/${row.stage}`).values()].flatMap((same) => {
    const [first] = same;
    if (!first) return [];
    return [
      {
        destinationId: first.destinationId,
        stage: first.stage,
        counts: sinceAts.map((sinceAt) =>
          same.reduce((sum, row) => sum + ((edges[row.place - 1] ?? new Date(0)) >= sinceAt ? row.count : 0), 0),
        ),
      },
    ];
  });
}
