import type { Severity } from '../contract.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Fewer bad orders than this make no share: one of ten is no outage of a tenth. The SLO's floor is the same. */
const BAD_ORDERS_MIN = 3;
/** A loss that has not grown for so long is not growing. */
const GROWING_MS = HOUR_MS;

/** What the severity is computed from. */
export interface Stakes {
  /** The worst that one of its alerts has had. `null` = none: declared by a person. */
  alerts: Severity | null;
  /** Shops in which a subscription was removed, of so many that are connected. */
  removedShops: number;
  shopsConnected: number;
  /** Not where they belong now; of these, those that nobody brings back. */
  lost: number;
  unrecoverable: number;
  late: number;
  /** Of all that was sold in the worst hour of it; `null` = not known. */
  lostShare: number | null;
  lateShare: number | null;
  /** Since it was declared, while it is not mitigated; `null` = it is. */
  openMs: number | null;
  /** Since the loss was last seen to grow; `null` = it never did. */
  sinceGrowthMs: number | null;
}

/**
 * How bad it is, and why. Pure. Never better than it was: what was bad once is judged in review, not in the night.
 *
 * If unsure, the higher: the first rule of the worst severity that holds is the reason.
 */
export function severityOf(
  now: { severity: Severity; reason: string },
  stakes: Stakes,
): { severity: Severity; reason: string } {
  const found = [...rules(stakes), ...raises(now.severity, stakes)].sort((one, other) => one.severity - other.severity);
  const [worst] = found;
  return worst !== undefined && worst.severity < now.severity ? worst : now;
}

function rules(stakes: Stakes): { severity: Severity; reason: string }[] {
  const { alerts, removedShops, shopsConnected, lost, unrecoverable, late, lostShare, lateShare } = stakes;
  const found: { severity: Severity; reason: string }[] = [];
  const rule = (severity: Severity, holds: boolean, reason: string): void => {
    if (holds) found.push({ severity, reason });
  };
  rule(1, unrecoverable > 0, `${orders(unrecoverable)} cannot be brought back`);
  rule(1, lost >= 10, `${orders(lost)} missing`);
  rule(
    1,
    lost >= BAD_ORDERS_MIN && lostShare !== null && lostShare > 0.001,
    `${orders(lost)} missing, over 0.1 % of an hour`,
  );
  rule(2, lost > 0, `${orders(lost)} missing`);
  rule(1, removedShops >= 3, `subscriptions of ${removedShops} shops removed`);
  rule(1, shopsConnected > 1 && removedShops >= shopsConnected, 'subscriptions of every shop removed');
  rule(2, removedShops > 0, `subscriptions of ${removedShops === 1 ? 'one shop' : `${removedShops} shops`} removed`);
  const share = late >= BAD_ORDERS_MIN ? (lateShare ?? 0) : 0;
  rule(1, share > 0.05, `${orders(late)} late, over 5 % of an hour`);
  rule(2, share > 0.01, `${orders(late)} late, over 1 % of an hour`);
  rule(3, share > 0.005, `${orders(late)} late, over 0.5 % of an hour`);
  if (alerts !== null) rule(alerts, true, `an alert of severity ${alerts}`);
  return found;
}

/** What goes on for too long is worse than it looked. */
function raises(severity: Severity, { openMs, sinceGrowthMs }: Stakes): { severity: Severity; reason: string }[] {
  if (openMs === null) return [];
  if (severity === 3 && openMs > 4 * HOUR_MS) return [{ severity: 2, reason: 'not mitigated for over 4 hours' }];
  const isGrowing = sinceGrowthMs !== null && sinceGrowthMs <= GROWING_MS;
  if (severity === 2 && openMs > 2 * HOUR_MS && isGrowing) {
    return [{ severity: 1, reason: 'not mitigated for over 2 hours, and the loss is growing' }];
  }
  return [];
}

export function orders(count: number): string {
  return count === 1 ? '1 order' : `${count} orders`;
}
