import type { Shop } from '../../pipeline/contract.js';
import type { SubscriptionView } from '../contract.js';
import type { ShopAudit, StoredTopic, SubscriptionBook } from './subscription-book.js';
import { wantedOf, whyNotWatched, type SubscriptionSettings } from './wanted.js';
import { listableTopics } from './topics.js';

interface Sources {
  book: SubscriptionBook;
  shops: readonly Shop[];
  settings: SubscriptionSettings;
}

/**
 * Every topic that is wanted, or seen, in every shop. Shops that cannot be looked at have their topics too: nothing is
 * left out because nothing is known of it.
 *
 * @param page `cursor`: `<domain>/<topic>` of the last one seen
 */
export async function subscriptionViews(
  { book, shops, settings }: Sources,
  filter: { shop?: string },
  { limit, cursor = '' }: { limit: number; cursor?: string },
): Promise<{ items: SubscriptionView[]; nextCursor: string | null }> {
  const from = cursor.slice(0, cursor.indexOf('/'));
  // One more shop than could fill the page, each with one topic at least, tells whether anything follows.
  const meant = shops
    .filter(({ domain }) => (filter.shop === undefined || domain === filter.shop) && domain >= from)
    .sort((one, other) => (one.domain < other.domain ? -1 : 1))
    .slice(0, limit + 2);
  const ids = meant.map(({ id }) => id);
  const [audits, topics] = await Promise.all([book.audits(ids), book.topicsOf(ids)]);
  const auditOf = new Map(audits.map((audit) => [audit.shopId, audit]));
  const topicsOf = Map.groupBy(topics, ({ shopId }) => shopId);
  const views = meant.flatMap((shop) => viewsOf(shop, auditOf.get(shop.id), topicsOf.get(shop.id) ?? [], settings));
  const rest = views.filter((view) => keyOf(view) > cursor);
  const items = rest.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rest.length > limit && last !== undefined ? keyOf(last) : null };
}

function keyOf({ shop, topic }: SubscriptionView): string {
  return `${shop}/${topic}`;
}

function viewsOf(
  shop: Shop,
  audit: ShopAudit | undefined,
  stored: readonly StoredTopic[],
  settings: SubscriptionSettings,
): SubscriptionView[] {
  const wanted = wantedOf(settings, shop);
  const why = whyNotWatched(shop, wanted);
  const recordOf = new Map(stored.map((record) => [record.topic, record]));
  const topics = new Set([...listableTopics(settings.topics), ...recordOf.keys()]);
  return [...topics].sort().map((topic): SubscriptionView => {
    const record = recordOf.get(topic);
    const isWanted = record?.wanted ?? true;
    const blind = why?.state ?? (audit?.state === 'unknown' || audit?.state === 'pending' ? audit.state : undefined);
    // A case that is open stays the first thing to say, also while Shopify does not let us look.
    const isOpen = record != null && record.goneSince !== null && why?.forget !== true;
    const state = isOpen ? record.state : (blind ?? record?.state ?? 'pending');
    const isThere = record != null && record.subscriptionId !== null;
    return {
      shop: shop.domain,
      topic,
      wanted: isWanted,
      state,
      since: state === record?.state ? record.since : (audit?.since ?? null),
      reason: record?.error ?? why?.reason ?? audit?.reason ?? null,
      findings: record?.findings ?? [],
      wantedUri: isWanted ? (wanted?.uri ?? null) : null,
      uri: record?.uri ?? null,
      lastSeenAt: isThere ? (audit?.auditedAt ?? record.lastSeenAt) : (record?.lastSeenAt ?? null),
      goneSince: record?.goneSince ?? null,
      recreatedAt: record?.recreatedAt ?? null,
      recreatedBy: record?.recreatedBy ?? null,
      reconciliation: record?.reconciliationId ?? null,
      lastAuditedAt: audit?.auditedAt ?? null,
      lastTriedAt: audit?.triedAt ?? null,
    };
  });
}
