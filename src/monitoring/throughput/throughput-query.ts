import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { DestinationKind, RegistryReader } from '../../pipeline/contract.js';
import {
  STAGES,
  type FleetItem,
  type Granularity,
  type ThroughputCounts,
  type ThroughputFilter,
  type ThroughputItem,
  type ThroughputReader,
} from '../contract.js';
import { HOUR_MS, isProved } from './hour-row.js';
import type { ProvedShop, SoldCounts } from './sold-counts.js';
import { dayOf } from './throughput-table.js';

/** Sums over rows of `monitoring.throughput` that stand together. */
interface Sums {
  sold: number | null;
  logged: number;
  processed: number;
  accepted: number;
  confirmed: number;
  ignored: number;
  failed: number;
  missing: number;
  recovered: number;
  late: number;
  /** Owed and not ignored, where it is known; and what of it has arrived. */
  owed: number;
  arrived: number;
  confirmable: boolean;
  /** Accepted at destinations that can be read back, in hours that have not settled, with nothing read back yet. */
  unread: number;
}

// An hour cannot show more arrived than the comparison by id leaves: counts that happen to agree prove nothing.
export const OWED = `greatest(0, t.sold - t.ignored)`;
export const LOST = `(t.lost_logged + t.lost_processed + t.lost_accepted + t.lost_received)`;
export const RECEIVED = `case when t.settled_at is not null and t.confirmable then t.confirmed else t.accepted end`;

const SUMS = `
       (case when bool_and(t.sold is not null) then sum(t.sold) end)::integer as sold,
       sum(t.logged)::integer as logged, sum(t.processed)::integer as processed,
       sum(t.accepted)::integer as accepted, sum(t.confirmed)::integer as confirmed,
       sum(t.ignored)::integer as ignored, sum(t.failed)::integer as failed, sum(t.missing)::integer as missing,
       sum(t.recovered)::integer as recovered, sum(t.late)::integer as late,
       coalesce(sum(${OWED}), 0)::integer as owed,
       coalesce(sum(greatest(0, least(${RECEIVED}, ${OWED} - ${LOST}))), 0)::integer as arrived,
       bool_or(t.confirmable) as confirmable,
       coalesce(sum(t.accepted) filter (where t.settled_at is null and t.confirmable and t.confirmed = 0), 0)::integer
         as unread`;

const WITHIN = `t.day >= $1 and t.day <= $3 and (t.day, t.hour) >= ($1::date, $2::smallint) and (t.day, t.hour) < ($3::date, $4::smallint)`;

// Index: throughput_page from the cursor on, or the primary key where one shop is meant. An hour is a group of one.
function itemsStatement(granularity: Granularity): string {
  const hour = granularity === 'hour' ? 't.hour' : '0::smallint';
  return `
select t.day::text as day, ${hour} as hour, t.shop_id::text as shop_id, t.destination_id,${SUMS},
       case when bool_and(t.settled_at is not null) then max(t.settled_at) end as settled_at
  from monitoring.throughput t
 where ${WITHIN}
   and ($5::bigint is null or t.shop_id = $5) and ($6::integer is null or t.destination_id = $6)
   and (t.day, t.shop_id, t.destination_id${granularity === 'hour' ? ', t.hour' : ''})
     > ($7::date, $8::bigint, $9::integer${granularity === 'hour' ? ', $10::smallint' : ''})
 group by t.day, t.shop_id, t.destination_id${granularity === 'hour' ? ', t.hour' : ''}
 order by t.day, t.shop_id, t.destination_id${granularity === 'hour' ? ', t.hour' : ''}
 limit $${granularity === 'hour' ? 11 : 10}`;
}

// Partitions and index: the days of the page, which is why the page counts hours or days and not rows.
function fleetStatement(granularity: Granularity): string {
  const hour = granularity === 'hour' ? 't.hour' : '0::smallint';
  return `
select t.day::text as day, ${hour} as hour, d.kind,
       case when t.sold is null then 'unproved' when t.settled_at is null then 'provisional' else 'settled' end as bucket,
       ${STAGES.map((stage) => `sum(t.lost_${stage})::integer as lost_${stage}`).join(', ')},${SUMS}
  from monitoring.throughput t
  join unnest($5::integer[], $6::text[]) as d (id, kind) on d.id = t.destination_id
 where ${WITHIN}
 group by 1, 2, 3, 4 order by 1, 2, 3`;
}

type ItemRow = Sums & {
  day: string;
  hour: number;
  shop_id: string;
  destination_id: number;
  settled_at: Date | null;
} & Record<string, unknown>;

type FleetRow = Sums & {
  day: string;
  hour: number;
  kind: DestinationKind;
  bucket: 'settled' | 'provisional' | 'unproved';
} & Record<`lost_${(typeof STAGES)[number]}`, number> &
  Record<string, unknown>;

/** Hours or days of a page over the whole fleet: more would be a long read. */
const FLEET_PAGE_MAX: Record<Granularity, number> = { hour: 24, day: 7 };

/** Throughput as people and later areas read it. */
export class ThroughputQuery implements ThroughputReader {
  constructor(
    private readonly deps: {
      database: Database;
      clock: Clock;
      registry: RegistryReader;
      sold: Pick<SoldCounts, 'proved'>;
    },
  ) {}

  async items(
    filter: ThroughputFilter & { shop?: string; destination?: string },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: ThroughputItem[]; nextCursor: string | null }> {
    const { database, registry, sold } = this.deps;
    const { granularity } = filter;
    const shopId = filter.shop === undefined ? null : registry.shops().find((s) => s.domain === filter.shop)?.id;
    const destinationId =
      filter.destination === undefined ? null : registry.destinations().find((d) => d.name === filter.destination)?.id;
    if (shopId === undefined || destinationId === undefined) return { items: [], nextCursor: null };
    const cursor = cursorOf(page.cursor);
    const rows = await database.rows<ItemRow>(itemsStatement(granularity), [
      ...boundsOf(filter),
      shopId,
      destinationId,
      ...(granularity === 'hour' ? cursor : cursor.slice(0, 3)),
      page.limit + 1,
    ]);
    const shown = rows.slice(0, page.limit);
    const proofs =
      granularity === 'hour' ? null : mapByShop(await sold.proved([...new Set(shown.map((row) => row.shop_id))]));
    const last = rows.length > page.limit ? shown.at(-1) : undefined;
    return {
      items: shown.map((row) => this.itemOf(row, proofs)),
      nextCursor:
        last === undefined ? null : [last.day, last.shop_id, last.destination_id, last.hour].map(String).join('.'),
    };
  }

  async fleet(
    filter: ThroughputFilter & { world: FleetWorld },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: FleetItem[]; nextCursor: string | null }> {
    const { database, registry, sold } = this.deps;
    const { granularity } = filter;
    const stepMs = stepOf(granularity);
    const firstMs = Math.max(floor(filter.from, stepMs), page.cursor === undefined ? 0 : Number(page.cursor));
    const limit = Math.min(page.limit, FLEET_PAGE_MAX[granularity]);
    const endMs = Math.min(filter.to.getTime(), firstMs + limit * stepMs);
    const shops = registry.shops().filter(({ world }) => world === filter.world);
    const destinations = registry.destinations().filter(({ world }) => world === filter.world);
    const rows = await database.rows<FleetRow>(fleetStatement(granularity), [
      ...boundsOf({ from: new Date(firstMs), to: new Date(endMs), granularity }),
      destinations.map(({ id }) => id),
      destinations.map(({ kind }) => kind),
    ]);
    const proofs = mapByShop(await sold.proved());
    const connected = shops.filter(({ uninstalledAt }) => uninstalledAt === null);
    const items: FleetItem[] = [];
    for (let startMs = firstMs; startMs < endMs; startMs += stepMs) {
      const ofStart = rows.filter((row) => startOf(row).getTime() === startMs);
      const kinds = [...new Set(ofStart.map(({ kind }) => kind))];
      const proved = connected.filter(({ id }) => isProved(proofs.get(id), startMs, startMs + stepMs)).length;
      for (const kind of kinds.length === 0 ? [] : [null, ...kinds]) {
        const ofKind = ofStart.filter((row) => kind === null || row.kind === kind);
        items.push({
          start: new Date(startMs),
          kind,
          shops: connected.length,
          shopsProved: proved,
          settled: countsOf(sumOf(ofKind.filter(({ bucket }) => bucket === 'settled'))),
          provisional: countsOf(sumOf(ofKind.filter(({ bucket }) => bucket === 'provisional'))),
          unproved: countsOf(sumOf(ofKind.filter(({ bucket }) => bucket === 'unproved'))),
          lost: STAGES.map((stage) => ({
            stage,
            orders: ofKind.reduce((sum, row) => sum + row[`lost_${stage}`], 0),
          })),
        });
      }
    }
    return { items, nextCursor: endMs < filter.to.getTime() ? String(endMs) : null };
  }

  private itemOf(row: ItemRow, proofs: ReadonlyMap<string, ProvedShop> | null): ThroughputItem {
    const { registry } = this.deps;
    const start = startOf(row);
    // A day of which an hour is unproved is not known, also when none of its orders has shown up at all.
    const known = proofs === null || isProved(proofs.get(row.shop_id), start.getTime(), start.getTime() + DAY_MS);
    const counts = countsOf(known ? row : { ...row, sold: null });
    const settledAt = counts.sold === null ? null : row.settled_at;
    return {
      shop: registry.shopById(row.shop_id)?.domain ?? '',
      destination: registry.destinationById(row.destination_id)?.name ?? '',
      start,
      ...counts,
      confirmation: row.confirmable ? 'confirmable' : 'unconfirmable',
      settledAt,
      settledThroughput: settledAt === null ? null : counts.throughput,
    };
  }
}

type FleetWorld = Parameters<ThroughputReader['fleet']>[0]['world'];

const DAY_MS = 24 * HOUR_MS;

/** What may be said of sums: a count that is not known yet is `null`, never 0. */
function countsOf(sums: Sums): ThroughputCounts {
  const { sold, owed, arrived } = sums;
  const found = (count: number): number | null => (sold === null && count === 0 ? null : count);
  return {
    sold,
    logged: sums.logged,
    processed: sums.processed,
    accepted: sums.accepted,
    confirmed: !sums.confirmable || (sums.confirmed === 0 && sums.unread > 0) ? null : sums.confirmed,
    ignored: sums.ignored,
    failed: sums.failed,
    missing: found(sums.missing),
    recovered: found(sums.recovered),
    late: sums.late,
    throughput: sold === null || owed === 0 ? null : arrived / owed,
  };
}

const NOTHING: Sums = {
  sold: 0,
  logged: 0,
  processed: 0,
  accepted: 0,
  confirmed: 0,
  ignored: 0,
  failed: 0,
  missing: 0,
  recovered: 0,
  late: 0,
  owed: 0,
  arrived: 0,
  confirmable: false,
  unread: 0,
};

function sumOf(rows: readonly Sums[]): Sums {
  const add = (one: Sums, other: Sums): Sums => ({
    sold: one.sold === null || other.sold === null ? null : one.sold + other.sold,
    logged: one.logged + other.logged,
    processed: one.processed + other.processed,
    accepted: one.accepted + other.accepted,
    confirmed: one.confirmed + other.confirmed,
    ignored: one.ignored + other.ignored,
    failed: one.failed + other.failed,
    missing: one.missing + other.missing,
    recovered: one.recovered + other.recovered,
    late: one.late + other.late,
    owed: one.owed + other.owed,
    arrived: one.arrived + other.arrived,
    confirmable: one.confirmable || other.confirmable,
    unread: one.unread + other.unread,
  });
  return rows.reduce(add, NOTHING);
}

function mapByShop(proofs: readonly ProvedShop[]): Map<string, ProvedShop> {
  return new Map(proofs.map((proof) => [proof.shopId, proof]));
}

function stepOf(granularity: Granularity): number {
  return granularity === 'hour' ? HOUR_MS : DAY_MS;
}

function floor(at: Date, stepMs: number): number {
  return Math.floor(at.getTime() / stepMs) * stepMs;
}

function startOf({ day, hour }: { day: string; hour: number }): Date {
  return new Date(Date.parse(day) + hour * HOUR_MS);
}

/** First hour, inclusive, and the hour at which it ends, exclusive; as day and hour. */
function boundsOf({ from, to, granularity }: ThroughputFilter): [string, number, string, number] {
  const stepMs = stepOf(granularity);
  const first = new Date(floor(from, stepMs));
  const end = new Date(Math.ceil(to.getTime() / stepMs) * stepMs);
  return [dayOf(first), first.getUTCHours(), dayOf(end), end.getUTCHours()];
}

/** `day.shop.destination.hour` of the last item shown; anything else begins at the beginning. */
function cursorOf(text: string | undefined): [string, string, number, number] {
  const parsed = /^(\d{4}-\d{2}-\d{2})\.(\d{1,18})\.(\d{1,9})\.(\d{1,2})$/.exec(text ?? '');
  if (!parsed) return ['0001-01-01', '0', 0, -1];
  const [, day = '', shopId = '', destinationId, hour] = parsed;
  return [day, shopId, Number(destinationId), Number(hour)];
}
