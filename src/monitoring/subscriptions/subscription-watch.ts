import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Logger } from '../../kernel/log.js';
import type { Round } from '../../kernel/loop.js';
import type { LedgerReader, RegistryReader, Shop, ShopifyAdmin } from '../../pipeline/contract.js';
import type { SubscriptionDesk, SubscriptionView } from '../contract.js';
import type { SignalBook } from '../signals/signal-book.js';
import type { GapProof } from './gap-proof.js';
import { LastOrders } from './last-orders.js';
import { Mending } from './mending.js';
import { ShopifySubscriptions } from './shopify-subscriptions.js';
import { SubscriptionAudit } from './subscription-audit.js';
import { SubscriptionBook, type ShopAudit } from './subscription-book.js';
import { subscriptionViews } from './subscription-views.js';
import { wantedOf, whyNotWatched, type SubscriptionSettings } from './wanted.js';

/** Shops of one round, and how many of them are looked at at once: 16 connections to each host are the most there are. */
const SHOPS_A_ROUND = 32;
const SHOPS_AT_ONCE = 8;
/** A look is over by then, or has died with its process. */
const LEASE_MS = 30_000;
/** After a look that failed for a reason of ours: the others must have their turn meanwhile. */
const FAULT_PAUSE_MS = 60_000;

export interface WatchDeps {
  database: Database;
  registry: RegistryReader;
  admin: ShopifyAdmin;
  ledger: Pick<LedgerReader, 'ordersSeen'>;
  signals: SignalBook;
  settings: SubscriptionSettings;
  /** `null` = nobody reconciles here. */
  gaps: GapProof | null;
  clock: Clock;
  log: Logger;
}

/**
 * Watches that Shopify goes on sending: compares the subscriptions that are wanted with those that are there, shop by
 * shop, each at its own second; tells what is wrong, and mends what may be mended.
 */
export class SubscriptionWatch implements SubscriptionDesk {
  private readonly book: SubscriptionBook;
  private readonly orders: LastOrders;
  private readonly audit: SubscriptionAudit;
  private readonly known = new Map<string, string>();
  private noticed: { shops: readonly Shop[]; bases: string } | null = null;

  /** @param wake asks for a round now, where this process leads */
  constructor(
    private readonly deps: WatchDeps,
    private readonly wake: () => void = () => undefined,
  ) {
    const { admin, clock, database, gaps, ledger, log, registry, settings, signals } = deps;
    this.book = new SubscriptionBook(database);
    this.orders = new LastOrders({ ledger, book: this.book, clock, log });
    const shopify = new ShopifySubscriptions(admin);
    this.audit = new SubscriptionAudit({
      shopify,
      book: this.book,
      mending: new Mending({ shopify, book: this.book, database, clock, log }),
      signals,
      gaps,
      registry,
      lastOrderAt: (shopId) => this.orders.of(shopId),
      wantedOf: (shop) => wantedOf(settings, shop),
      clock,
      log,
    });
  }

  /**
   * Something makes it likely that a subscription is gone: a mail, silence, failures of our own. The shop is looked at
   * at once. A hint is no evidence; what follows from it is what the look finds.
   */
  async hint(shopId: string, why: string): Promise<void> {
    await this.book.hint([shopId], why, this.deps.clock.now());
    this.wake();
  }

  /** The shops whose turn it is. `busy` when there are more of them. */
  async round(signal: AbortSignal): Promise<Round> {
    const { clock } = this.deps;
    await this.noticeChanges();
    const nowAt = clock.now();
    const [due] = await Promise.all([
      this.book.takeDue(nowAt, new Date(nowAt.getTime() + LEASE_MS), SHOPS_A_ROUND),
      this.orders.refresh(),
    ]);
    const faults: unknown[] = [];
    const waiting = [...due];
    const lane = async (): Promise<void> => {
      for (let known = waiting.shift(); known && !signal.aborted; known = waiting.shift()) {
        await this.look(known, signal).catch((error: unknown) => faults.push(error));
      }
    };
    await Promise.all(Array.from({ length: SHOPS_AT_ONCE }, lane));
    if (faults.length > 0) throw faults[0];
    return due.length === SHOPS_A_ROUND ? 'busy' : 'idle';
  }

  subscriptions(
    filter: { shop?: string },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: SubscriptionView[]; nextCursor: string | null }> {
    const { registry, settings } = this.deps;
    return subscriptionViews({ book: this.book, shops: registry.shops(), settings }, filter, page);
  }

  async requestAudit(domain: string | undefined, why: string): Promise<{ shops: string[]; requestedAt: Date } | null> {
    const shops = this.deps.registry.shops().filter((shop) => domain === undefined || shop.domain === domain);
    if (domain !== undefined && shops.length === 0) return null;
    const requestedAt = this.deps.clock.now();
    await this.book.hint(
      shops.map(({ id }) => id),
      why,
      requestedAt,
    );
    this.wake();
    return { shops: shops.map((shop) => shop.domain), requestedAt };
  }

  private async look(known: ShopAudit, signal: AbortSignal): Promise<void> {
    const { clock, log, registry } = this.deps;
    const shop = registry.shopById(known.shopId);
    if (shop === undefined) return; // connected by another process a moment ago; the registry follows within a second
    this.orders.remember(shop.id, known.lastOrderAt);
    if (known.hint !== null) log.info({ shop: shop.domain, why: known.hint }, 'subscriptions looked at out of turn');
    try {
      await this.audit.look(shop, known, signal);
    } catch (error) {
      if (signal.aborted) return; // we were told to stop; the lease brings the shop's turn back
      const dueAt = new Date(clock.nowMs() + FAULT_PAUSE_MS);
      await this.book.saveAudit({ ...known, dueAt });
      throw error;
    }
  }

  /** A shop that is new, was uninstalled, or is to be looked at with another token has its turn now. */
  private async noticeChanges(): Promise<void> {
    const { registry, settings, clock } = this.deps;
    const shops = registry.shops();
    const bases = JSON.stringify([settings.callbackBase('real'), settings.callbackBase('sandbox')]);
    if (this.noticed?.shops === shops && this.noticed.bases === bases) return;
    const nowAt = clock.now();
    const news = shops.filter(({ id }) => !this.known.has(id));
    const changed = shops.filter((shop) => {
      const before = this.known.get(shop.id);
      return before !== undefined && before !== fingerprint(shop, settings);
    });
    const idsOf = (some: readonly Shop[]) => some.map(({ id }) => id);
    await this.book.enroll(idsOf(news), nowAt);
    await this.book.makeDue(idsOf([...changed, ...(await this.changedBefore(news))]), nowAt);
    for (const shop of [...news, ...changed]) this.known.set(shop.id, fingerprint(shop, settings));
    this.noticed = { shops, bases };
  }

  /** Those of which the book says something that was true when another process led, or before a restart. */
  private async changedBefore(shops: readonly Shop[]): Promise<Shop[]> {
    if (shops.length === 0) return [];
    const audits = await this.book.audits(shops.map(({ id }) => id));
    const stateOf = new Map(audits.map(({ shopId, state }) => [shopId, state]));
    return shops.filter((shop) => {
      const why = whyNotWatched(shop, wantedOf(this.deps.settings, shop));
      const stored = stateOf.get(shop.id);
      return why === null ? stored !== undefined && !LOOKED_AT.has(stored) : stored !== why.state;
    });
  }
}

const LOOKED_AT: ReadonlySet<ShopAudit['state']> = new Set(['ok', 'wrong', 'pending', 'unknown']);

/** What a look at a shop depends on. */
function fingerprint(shop: Shop, settings: SubscriptionSettings): string {
  const { accessToken, adminUrl, destinationIds, subscriptions, uninstalledAt } = shop;
  const base = settings.callbackBase(shop.world);
  return JSON.stringify([accessToken, adminUrl, destinationIds.length > 0, subscriptions, uninstalledAt, base]);
}
