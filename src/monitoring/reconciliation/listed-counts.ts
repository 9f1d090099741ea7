import type { Database } from '../../kernel/database.js';
import { KIND_CODES, type ShopHour } from '../../pipeline/contract.js';
import type { GapCount, ProvedShop, SoldCounts, SoldHour } from '../throughput/sold-counts.js';

/** Index: sold_by_hour, one range an hour. */
const HOURS = `
select i.shop_id::text as "shopId", i.hour as "hourAt", count(*)::integer as orders,
       count(*) filter (where s.payment <> 'unpaid')::integer as due
  from unnest($1::bigint[], $2::timestamptz[]) as i (shop_id, hour)
  join monitoring.sold s on s.shop_id = i.shop_id and s.sold_at >= i.hour and s.sold_at < i.hour + interval '1 hour'
   and s.day = (i.hour at time zone 'UTC')::date
 group by i.shop_id, i.hour`;

/** Index: gap_by_sale. The newest gap of an obligation stands for it. */
const GAPS = `
select newest.shop_id::text as "shopId", newest.hour as "hourAt", newest.destination_id as "destinationId", newest.stage,
       count(*) filter (where newest.state in ('open', 'requeued'))::integer as missing,
       count(*) filter (where newest.state = 'dead')::integer as dead,
       count(*) filter (where newest.state = 'recovered')::integer as recovered
  from (
    select distinct on (g.shop_id, g.subject_id, g.destination_id) g.*, i.hour
      from unnest($1::bigint[], $2::timestamptz[]) as i (shop_id, hour)
      join monitoring.gap g on g.shop_id = i.shop_id and g.sold_at >= i.hour and g.sold_at < i.hour + interval '1 hour'
     where g.kind = ${KIND_CODES.purchase} and g.state <> 'excluded'
     order by g.shop_id, g.subject_id, g.destination_id, g.id desc
  ) newest
 group by 1, 2, 3, 4`;

const PROVED = `
select shop_id::text as "shopId", compared_from_at as "fromAt", compared_until_at as "untilAt" from monitoring.shop_turn
 where compared_until_at is not null and ($1::bigint[] is null or shop_id = any ($1))`;

/** Index: sold_changed, gap_changed. */
const TOUCHED = `
select distinct shop_id::text as "shopId", date_trunc('hour', sold_at, 'UTC') as "hourAt" from (
  select shop_id, sold_at from monitoring.sold where changed_at >= $1 and changed_at < $2
  union all
  select shop_id, sold_at from monitoring.gap where changed_at >= $1 and changed_at < $2
) changed`;

/** What reconciliation knows of hours, for throughput. */
export class ListedCounts implements SoldCounts {
  constructor(private readonly database: Database) {}

  hours(hours: readonly ShopHour[]): Promise<SoldHour[]> {
    return this.database.rows<SoldHour & Record<string, unknown>>(HOURS, columnsOf(hours));
  }

  gaps(hours: readonly ShopHour[]): Promise<GapCount[]> {
    return this.database.rows<GapCount & Record<string, unknown>>(GAPS, columnsOf(hours));
  }

  async proved(shopIds?: readonly string[]): Promise<ProvedShop[]> {
    const rows = await this.database.rows<{ shopId: string; fromAt: Date; untilAt: Date }>(PROVED, [shopIds ?? null]);
    return rows.map(({ shopId, fromAt, untilAt }) => ({ shopId, spans: [{ fromAt, untilAt }] }));
  }

  touchedHours(sinceAt: Date, untilAt: Date): Promise<ShopHour[]> {
    return this.database.rows<ShopHour & Record<string, unknown>>(TOUCHED, [sinceAt, untilAt]);
  }
}

function columnsOf(hours: readonly ShopHour[]): unknown[][] {
  return [hours.map(({ shopId }) => shopId), hours.map(({ hourAt }) => hourAt)];
}
