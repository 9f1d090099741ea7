import type { Shop } from '../../pipeline/contract.js';
import type { Finding } from '../contract.js';
import { atLeast } from '../signals/steps.js';

/** Runs are hourly and end some minutes before now: past two hours one has not happened. */
const STALE_AFTER_MS = 2 * 3_600_000;
/** Past so many shops it is not theirs but ours, and one finding says so; until fewer than half of that are left. */
const FOLD_ABOVE = 5;
const UNFOLD_BELOW = 3;

export const FLEET = 'fleet';

/**
 * Shops of which nothing is proved any more. Pure.
 *
 * @param provedUntil up to when, by shop; absent = never
 * @param folded whether they were told as one before
 */
export function staleProofs(
  shops: readonly Pick<Shop, 'id' | 'domain' | 'connectedAt' | 'uninstalledAt' | 'accessToken'>[],
  provedUntil: ReadonlyMap<string, Date>,
  nowMs: number,
  folded: boolean,
): Finding[] {
  const stale = shops.flatMap((shop) => {
    if (shop.uninstalledAt !== null) return [];
    const provedUntilAt = provedUntil.get(shop.id) ?? null;
    const sinceMs = Math.max(shop.connectedAt.getTime(), provedUntilAt?.getTime() ?? 0);
    return nowMs - sinceMs > STALE_AFTER_MS ? [{ shop, provedUntilAt }] : [];
  });
  if (stale.length > FOLD_ABOVE || (folded && stale.length >= UNFOLD_BELOW)) {
    const oldest = stale.flatMap(({ provedUntilAt }) => provedUntilAt ?? []).sort((one, other) => +one - +other)[0];
    return [
      {
        kind: 'reconciliation-stale',
        subject: FLEET,
        facts: {
          shopsAtLeast: atLeast(stale.length),
          neverProvedAtLeast: atLeast(stale.filter(({ provedUntilAt }) => provedUntilAt === null).length),
          oldestProvedUntilAt: oldest ?? null,
        },
        evidence: '/api/v1/reconciliations',
      },
    ];
  }
  return stale.map(({ shop, provedUntilAt }) => ({
    kind: 'reconciliation-stale',
    subject: shop.domain,
    shopId: shop.id,
    facts: {
      provedUntilAt,
      connectedAt: shop.connectedAt,
      ...(shop.accessToken === null ? { why: 'no access token' } : {}),
    },
    evidence: `/api/v1/reconciliations?shop=${shop.domain}`,
  }));
}
