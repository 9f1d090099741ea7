import type { QueryResultRow } from 'pg';
import type { Clock } from '../kernel/clock.js';
import type { Queryable } from '../kernel/database.js';
import { messageOf } from '../kernel/errors.js';
import { redactText, type Logger } from '../kernel/log.js';
import type { EventLine, PipelineEvent, Shop } from './contract.js';

export interface Product {
  productType: string | null;
  vendor: string | null;
}

/** What the Admin API can add to an event. */
export interface Found {
  /** By product id. A product Shopify does not know (any more) is left out. */
  products: ReadonlyMap<string, Product>;
  /** `null` = not asked for, or not known. */
  ordersCount: number | null;
}

/** The Admin API as enrichment sees it: one call for everything an event lacks. It may fail, and it may be slow. */
export interface ProductSource {
  /** @param customerId asks for the customer's number of orders; `null` = not needed */
  lookup(shop: Shop, productIds: readonly string[], customerId: string | null, signal: AbortSignal): Promise<Found>;
}

const DEADLINE_MS = 1_500; // enrichment is a courtesy; delivery's p50 goal is 25 ms and no order waits for a product type
const KNOWN_MAX = 50_000; // products in memory, some 150 bytes each
const FRESH_MS = 24 * 60 * 60 * 1000; // product types change rarely; a day-old one is right often enough
const ABSENT_MS = 60_000; // what another process learns meanwhile is asked for once more: one call a minute at the most
const IDS_PER_LOOKUP = 100;
const FAILURES_TO_OPEN = 3;
const OPEN_MS = 60_000;

const READ_PRODUCTS = `
  select product_id, product_type, vendor from pipeline.product
   where shop_id = $1 and product_id = any($2::text[]) and fetched_at > $3`;

/** Two processes may learn the same product at once: the later row wins, and both say the same. */
const KEEP_PRODUCTS = `
  insert into pipeline.product (shop_id, product_id, product_type, vendor, fetched_at)
  select $1, product_id, product_type, vendor, $5
    from unnest($2::text[], $3::text[], $4::text[]) as learnt (product_id, product_type, vendor)
   order by product_id -- the same order everywhere: two processes cannot deadlock
  on conflict (shop_id, product_id) do update
     set product_type = excluded.product_type, vendor = excluded.vendor, fetched_at = excluded.fetched_at`;

/**
 * Adds to an event what its webhook leaves out: product type, vendor, and whether the customer returns.
 *
 * Invariant: it never fails an event and never holds one longer than the deadline. What could not be had in time
 * stays `null`, which says so at the destination. Answers that come late still fill the cache for the next event.
 */
export class Enricher {
  private readonly known = new Map<string, { product: Product; untilMs: number }>();
  /** Products the database does not have, each with the end of that knowledge. */
  private readonly absent = new Map<string, number>();
  /** By order, not by customer: the same order must say the same to every destination, and on every retry. */
  private readonly ordersCounts = new Map<string, number>();
  private readonly asking = new Map<string, Promise<void>>();
  private readonly breakers = new Map<string, { failures: number; openUntilMs: number }>();

  constructor(
    private readonly database: Queryable,
    private readonly source: ProductSource | null,
    private readonly clock: Clock,
    private readonly log: Logger,
    private readonly deadlineMs = DEADLINE_MS,
  ) {}

  async enrich(shop: Shop, event: PipelineEvent): Promise<PipelineEvent> {
    return (await this.enrichAll(shop, [event]))[0] ?? event;
  }

  /**
   * Events of one shop under one deadline, with one look into the database for all of them. In their order.
   *
   * @returns at once when there is nothing to wait for: who formats them in the same turn keeps none of them alive
   */
  enrichAll(
    shop: Shop,
    events: readonly PipelineEvent[],
  ): readonly PipelineEvent[] | Promise<readonly PipelineEvent[]> {
    // Nobody can be asked, now or ever before: then there is nothing to read either.
    if (this.source === null || shop.accessToken === null) return events;
    const lacks = events.map((event) => this.lackOf(shop, event));
    const open = lacks.filter((lack) => !this.isFilled(lack));
    const applied = (): readonly PipelineEvent[] =>
      events.map((event, index) => applyFound(event, lacks[index] as Lack));
    return open.length > 0 ? this.fill(shop, open).then(applied) : applied();
  }

  private lackOf(shop: Shop, event: PipelineEvent): Lack {
    const customerId = customerWanted(event);
    const countKey = `${shop.id}/${event.orderId}`;
    const lack: Lack = {
      productIds: productsWanted(event),
      customerId,
      countKey,
      products: new Map(),
      ordersCount: customerId === null ? null : (this.ordersCounts.get(countKey) ?? null),
    };
    this.takeKnown(shop.id, lack);
    return lack;
  }

  private isFilled({ productIds, products, customerId, ordersCount }: Lack): boolean {
    return products.size === productIds.length && (customerId === null || ordersCount !== null);
  }

  /** Fills up what is lacking as answers come; at the deadline the events take what is there. */
  private async fill(shop: Shop, lacks: readonly Lack[]): Promise<void> {
    const deadline = new AbortController();
    const gaveUp = new Promise<void>((resolve) => {
      deadline.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    const timer = setTimeout(() => deadline.abort(), this.deadlineMs);
    try {
      await Promise.race([this.gatherAll(shop, lacks, deadline.signal), gaveUp]);
    } finally {
      clearTimeout(timer);
    }
  }

  private async gatherAll(shop: Shop, lacks: readonly Lack[], signal: AbortSignal): Promise<void> {
    try {
      await this.readKept(shop.id, new Set(lacks.flatMap(lackingIds)));
    } catch (error) {
      this.goWithout(shop, error);
      return;
    }
    await Promise.all(
      lacks.map((lack) => this.gather(shop, lack, signal).catch((error: unknown) => this.goWithout(shop, error))),
    );
  }

  private async gather(shop: Shop, lack: Lack, signal: AbortSignal): Promise<void> {
    this.takeKnown(shop.id, lack);
    const lacking = lackingIds(lack).slice(0, IDS_PER_LOOKUP);
    const beingAsked = lacking.flatMap((id) => this.asking.get(cacheKey(shop.id, id)) ?? []);
    const fresh = lacking.filter((id) => !this.asking.has(cacheKey(shop.id, id)));
    const askFor = lack.ordersCount === null ? lack.customerId : null;
    if ((fresh.length > 0 || askFor !== null) && !signal.aborted) {
      const ordersCount = await this.ask(shop, fresh, askFor, signal);
      if (ordersCount !== null) remember(this.ordersCounts, lack.countKey, ordersCount);
      lack.ordersCount ??= ordersCount;
    }
    await Promise.all(beingAsked);
    this.takeKnown(shop.id, lack);
  }

  private goWithout(shop: Shop, error: unknown): void {
    this.log.warn({ shop: shop.domain, reason: redactText(messageOf(error)) }, 'event goes without enrichment');
  }

  private takeKnown(shopId: string, { productIds, products }: Lack): void {
    const nowMs = this.clock.nowMs();
    for (const id of productIds) {
      const entry = this.known.get(cacheKey(shopId, id));
      if (entry !== undefined && entry.untilMs > nowMs) products.set(id, entry.product);
    }
  }

  /** One statement for all that neither this process knows nor the database lacked a moment ago. */
  private async readKept(shopId: string, wanted: ReadonlySet<string>): Promise<void> {
    const nowMs = this.clock.nowMs();
    const ids = [...wanted].filter((id) => (this.absent.get(cacheKey(shopId, id)) ?? 0) <= nowMs);
    if (ids.length === 0) return;
    const since = new Date(nowMs - FRESH_MS);
    const { rows } = await this.database.query<ProductRow>(READ_PRODUCTS, [shopId, ids, since]);
    for (const row of rows) this.keep(shopId, row.product_id, { productType: row.product_type, vendor: row.vendor });
    const kept = new Set(rows.map((row) => row.product_id));
    for (const id of ids) if (!kept.has(id)) remember(this.absent, cacheKey(shopId, id), nowMs + ABSENT_MS);
  }

  private keep(shopId: string, productId: string, product: Product): void {
    remember(this.known, cacheKey(shopId, productId), { product, untilMs: this.clock.nowMs() + FRESH_MS });
  }

  /** One call for one event's lack; events that lack the same product meanwhile wait for this call's answer. */
  private async ask(
    shop: Shop,
    productIds: readonly string[],
    customerId: string | null,
    signal: AbortSignal,
  ): Promise<number | null> {
    const { source } = this;
    if (source === null || this.isOpen(shop.id)) return null;
    const answer = (async () => source.lookup(shop, productIds, customerId, signal))();
    const learning = answer.then(({ products }) => this.learn(shop.id, productIds, products));
    // Those who wait for it take what was learnt, or nothing; a failed call is the asker's to report.
    const shared = learning.catch((error: unknown) => {
      this.log.debug({ shop: shop.domain, reason: redactText(messageOf(error)) }, 'product not learnt');
    });
    for (const id of productIds) this.asking.set(cacheKey(shop.id, id), shared);
    try {
      const { ordersCount } = await answer;
      this.breakers.delete(shop.id);
      await shared;
      return ordersCount;
    } catch (error) {
      this.countFailure(shop.id);
      throw error;
    } finally {
      for (const id of productIds) this.asking.delete(cacheKey(shop.id, id));
    }
  }

  private async learn(
    shopId: string,
    productIds: readonly string[],
    products: ReadonlyMap<string, Product>,
  ): Promise<void> {
    if (productIds.length === 0) return;
    // "Shopify does not know it" is worth remembering too.
    const learnt = productIds.map((id) => products.get(id) ?? { productType: null, vendor: null });
    learnt.forEach((product, index) => this.keep(shopId, productIds[index] as string, product));
    await this.database.query(KEEP_PRODUCTS, [
      shopId,
      productIds,
      learnt.map(({ productType }) => productType),
      learnt.map(({ vendor }) => vendor),
      this.clock.now(),
    ]);
  }

  /** After three failures in a row a shop's Admin API is left alone for a minute; then one call tries again. */
  private isOpen(shopId: string): boolean {
    const breaker = this.breakers.get(shopId);
    if (breaker === undefined || breaker.failures < FAILURES_TO_OPEN) return false;
    if (breaker.openUntilMs > this.clock.nowMs()) return true;
    breaker.openUntilMs = this.clock.nowMs() + OPEN_MS; // this caller is the one that tries
    return false;
  }

  private countFailure(shopId: string): void {
    const failures = (this.breakers.get(shopId)?.failures ?? 0) + 1;
    this.breakers.set(shopId, { failures, openUntilMs: this.clock.nowMs() + OPEN_MS });
  }
}

/** What one event wants to know, and what has been found of it so far. */
interface Lack {
  productIds: readonly string[];
  customerId: string | null;
  /** The order, as `ordersCounts` names it. */
  countKey: string;
  products: Map<string, Product>;
  ordersCount: number | null;
}

interface ProductRow extends QueryResultRow {
  product_id: string;
  product_type: string | null;
  vendor: string | null;
}

/** Oldest out: a Map keeps the order of insertion. */
function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  if (map.size >= KNOWN_MAX) {
    const oldest = map.keys().next();
    if (oldest.done !== true) map.delete(oldest.value);
  }
  map.set(key, value);
}

function cacheKey(shopId: string, productId: string): string {
  return `${shopId}/${productId}`;
}

function lackingIds({ productIds, products }: Lack): string[] {
  return productIds.filter((id) => !products.has(id));
}

function productsWanted(event: PipelineEvent): string[] {
  const ids = event.lines.flatMap((line) =>
    line.productId !== null && (line.productType === null || line.vendor === null) ? [line.productId] : [],
  );
  return [...new Set(ids)];
}

/** Only a purchase says `customer_type`, so only a purchase is worth the question. */
function customerWanted(event: PipelineEvent): string | null {
  return event.kind === 'purchase' && event.customer?.returning === null ? event.customer.id : null;
}

/** What the webhook said itself is never overwritten. */
function applyFound(event: PipelineEvent, found: Pick<Lack, 'products' | 'ordersCount'>): PipelineEvent {
  if (found.products.size === 0 && found.ordersCount === null) return event;
  const fill = (line: EventLine): EventLine => {
    const product = line.productId === null ? undefined : found.products.get(line.productId);
    if (product === undefined) return line;
    return { ...line, productType: line.productType ?? product.productType, vendor: line.vendor ?? product.vendor };
  };
  const customer =
    event.customer !== null && event.customer.returning === null && found.ordersCount !== null
      ? { ...event.customer, returning: found.ordersCount > 1 }
      : event.customer;
  return { ...event, lines: event.lines.map(fill), customer };
}
