import { recordAudit } from '../../kernel/audit.js';
import type { Clock } from '../../kernel/clock.js';
import type { Queryable } from '../../kernel/database.js';
import type { InboxEntry, Shop } from '../contract.js';
import { parseInstant } from '../event/instant.js';
import { tokenHash } from './dead-token.js';

export const UNINSTALLED_TOPIC = 'app/uninstalled';

/** Taken first, as every writer of the registry does. Held to the end of the router's batch, which is short. */
const LOCK = `select version from pipeline.registry_version for update`;
const BUMP = `update pipeline.registry_version set version = version + 1`;

/**
 * Only the installation that the webhook tells of: one that comes late, after the shop was connected again, says
 * nothing about the new one.
 */
const MARK = `
update pipeline.shop set uninstalled_at = $2, access_token = null, dead_token = $3, updated_at = $4
 where id = $1 and uninstalled_at is null and coalesce(connected_at, created_at) < $2
returning id`;

/**
 * The merchant has removed the app: its token is dead and its subscriptions are gone, by Shopify's own word. The shop is
 * marked in the transaction that records the webhook, so nobody who sees the one misses the other for more than the
 * second in which the registry is read again.
 *
 * @returns whether this webhook ended the installation
 */
export async function markUninstalled(
  client: Queryable,
  clock: Clock,
  shop: Shop,
  entry: InboxEntry,
): Promise<boolean> {
  const receivedAt = new Date(entry.receivedAtMs);
  const triggered = parseInstant(entry.triggeredAt);
  const uninstalledAt = triggered === null ? receivedAt : new Date(Math.min(triggered.ms, entry.receivedAtMs));
  const deadToken = shop.accessToken === null ? null : tokenHash(shop.accessToken);
  await client.query(LOCK);
  const { rowCount } = await client.query(MARK, [shop.id, uninstalledAt, deadToken, clock.now()]);
  if (rowCount === 0) return false;
  await client.query(BUMP);
  await recordAudit({ query: (text, values) => client.query(text, values) }, clock, {
    actor: 'shopify',
    action: 'shop.uninstall',
    subject: shop.domain,
    detail: { webhookId: entry.webhookId },
  });
  return true;
}
