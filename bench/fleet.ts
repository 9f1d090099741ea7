const HOUR_MS = 3_600_000;
/** Every fiftieth shop sells fifteen times what the others do, as in any fleet: a few of them need several pages. */
const GREAT_EVERY = 50;
const GREAT_ORDERS = 1_000;
const SMALL_ORDERS = 64.6;
const REFUNDED_EVERY = 50;
const FIRST_ID = 6_000_000_000_000;

/** Shops, and what they sold in one hour: the same in every process that is told these numbers. */
export interface Fleet {
  shops: number;
  /** 1 = 417,000 orders an hour over 5,000 shops, which is 300 million a month. */
  scale: number;
  /** When the hour began. */
  fromMs: number;
}

export interface FleetOrder {
  id: string;
  createdAt: Date;
  updatedAt: Date;
  refundId: string | null;
}

export function domainOf(shop: number): string {
  return `bench-${shop}.myshopify.com`;
}

/** What one shop sold in the hour, oldest first. Ids grow with time over all shops, as Shopify's do. */
export function ordersOf({ shops, scale, fromMs }: Fleet, shop: number): FleetOrder[] {
  const wanted = scale * (shop % GREAT_EVERY === 0 ? GREAT_ORDERS : SMALL_ORDERS);
  // Halves are shared out among neighbours, so that the sum holds at any scale.
  const count = Math.floor(wanted * (shop + 1)) - Math.floor(wanted * shop);
  return Array.from({ length: count }, (_, at) => {
    const offsetMs = Math.floor(((at + 0.5) * HOUR_MS) / count);
    const id = FIRST_ID + (offsetMs * shops + shop) * 2;
    const createdAtMs = fromMs + offsetMs;
    return {
      id: String(id),
      createdAt: new Date(createdAtMs),
      updatedAt: new Date(createdAtMs + 60_000),
      refundId: at % REFUNDED_EVERY === 0 ? String(id + 1) : null,
    };
  });
}
