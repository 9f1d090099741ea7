import type { World } from '../../pipeline/contract.js';
import type { Finding } from '../contract.js';
import { atLeast } from '../signals/steps.js';
import { NOTHING, badShare, budgetOf, burnOf, type Stretch } from './burn.js';
import type { SloMeasure } from './measures.js';

const DAY_MINUTES = 1_440;

/** An order that takes longer is late: what customers are told is "within a quarter of an hour". */
export const LATE_MINUTES = 15;
const LATE_SHARE = 0.01;
const LATE_MIN = 3;

/** What is told of one world's objectives: one finding a pair of windows that burns. Pure. */
export function burnFindings(world: World, measures: readonly SloMeasure[]): Finding[] {
  return measures.flatMap(({ slo, stretches, lost }) =>
    slo.windows.flatMap((window): Finding[] => {
      const stretch = (minutes: number): Stretch => stretches.get(minutes) ?? NOTHING;
      const burn = burnOf(slo, window, stretch(window.longMinutes), stretch(window.shortMinutes));
      if (!burn.burning) return [];
      const budget = budgetOf(stretch(slo.windowDays * DAY_MINUTES), slo.objective);
      const worst = [...lost].sort((one, other) => other.orders - one.orders)[0];
      return [
        {
          kind: 'slo-burn',
          subject: `${world}/${slo.name}/${spanOf(window.longMinutes)}+${spanOf(window.shortMinutes)}`,
          world,
          facts: {
            slo: slo.name,
            objective: slo.objective,
            window: spanOf(window.longMinutes),
            class: window.class,
            severity: window.severity,
            limit: Number(burn.limit.toPrecision(4)),
            // In steps: what it is to the last order changes with every look.
            longBurnAtLeast: stepOf(burn.longBurn),
            shortBurnAtLeast: stepOf(burn.shortBurn),
            badOrdersAtLeast: atLeast(burn.longBad),
            budgetOrders: roughly(budget.orders),
            budgetLeftPercentAtMost:
              budget.orders === 0 ? 0 : Math.max(0, Math.ceil((10 * budget.left) / budget.orders) * 10),
            stage: worst === undefined || worst.orders === 0 ? null : worst.stage,
          },
          evidence: `/api/v1/slos?world=${world}`,
        },
      ];
    }),
  );
}

/**
 * Whether too many orders are late now, over the last quarter of an hour; what is lost is told elsewhere. Pure.
 *
 * @param stretch of the 15-minute limit
 */
export function lateFindings(world: World, { total, bad, lost }: Stretch): Finding[] {
  const late = bad - lost;
  const share = badShare({ total: total - lost, bad: late });
  if (share === null || share <= LATE_SHARE || late < LATE_MIN) return [];
  return [
    {
      kind: 'orders-late',
      subject: world,
      world,
      facts: { lateAtLeast: atLeast(late), latePercentAtLeast: atLeast(Math.floor(share * 100)) },
      evidence: `/api/v1/throughput/fleet?world=${world}`,
    },
  ];
}

/** `5m`, `6h`, `3d`. */
export function spanOf(minutes: number): string {
  if (minutes % DAY_MINUTES === 0) return `${minutes / DAY_MINUTES}d`;
  return minutes % 60 === 0 ? `${minutes / 60}h` : `${minutes}m`;
}

function stepOf(burn: number | null): number {
  if (burn === null) return 0;
  return burn < 10 ? Math.floor(burn) : atLeast(Math.floor(burn));
}

function roughly(orders: number): number {
  return orders < 10 ? Math.round(orders * 10) / 10 : atLeast(Math.floor(orders));
}
