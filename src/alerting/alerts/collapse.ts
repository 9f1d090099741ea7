import { GROUP_WAIT_MS, ruleNamed } from '../catalogue.js';
import { COLLAPSE_ABOVE, type Surroundings } from './look.js';
import { Tally, liveKey, type AlertRecord } from './record.js';

/**
 * Opens the alerts of many shops that are wanted: a cause has more than five shops, and the wait of one of them is over.
 * They are put into the groups, so that the shops' own alerts are folded into them when they are looked at.
 *
 * @param due alerts that are to be looked at
 * @returns the new ones; to be looked at before the others
 */
export function collapse(
  due: readonly AlertRecord[],
  { now, groups }: Pick<Surroundings, 'now' | 'groups'>,
  nextId: () => string,
): AlertRecord[] {
  return due.flatMap((alert): AlertRecord[] => {
    const rule = ruleNamed(alert.name);
    if (rule?.collapses !== true || alert.isFleet || alert.cause === null || alert.dueAt > now) return [];
    const group = groups.get(liveKey(alert.world, alert.cause));
    if (group === undefined || group.fleet !== null || group.shops <= COLLAPSE_ABOVE) return [];
    const count = { signals: group.alerts, shops: group.shops };
    const fleet: AlertRecord = {
      ...alert,
      id: nextId(),
      dedupeKey: alert.cause,
      severity: group.worst,
      state: 'open',
      summary: (rule.summaryOfMany?.(count, alert) ?? alert.summary).slice(0, 1_024),
      facts: {},
      evidence: `/api/v1/alerts?name=${alert.name}`,
      shop: null,
      destination: null,
      cause: null,
      isFleet: true,
      ...count,
      count: group.alerts,
      firstSeenAt: group.firstSeenAt,
      lastSeenAt: now,
      // Told a moment later: by then each shop's alert has been looked at, and it is known whether any may be heard.
      dueAt: new Date(now.getTime() + GROUP_WAIT_MS),
      lookAt: now,
      openedAt: now,
      closedAt: null,
      acknowledged: null,
      foldedInto: null,
      inhibitedBy: null,
      silencedBy: null,
      unfoldAt: null,
      unwatchedSince: null,
      told: [],
      tally: new Tally(),
    };
    group.fleet = fleet;
    return [fleet];
  });
}
