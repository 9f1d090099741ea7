import type { Databases } from '../databases.js';
import { describe } from './plan.js';
import { runWorld, type WorldResult } from './run.js';

/** Worlds at once: most of a world's time goes into waiting for its database and its far sides. */
const AT_ONCE = 3;

export interface SimulationReport {
  worlds: number;
  orders: number;
  kills: number;
  /** How many worlds had each kind of fault. */
  faults: Record<string, number>;
  failed: { seed: number; faults: string; broken: string[] }[];
  realSeconds: number;
}

/** Lives through one world a seed. A world that cannot be lived through at all has failed like any other. */
export async function simulate(
  databases: Databases,
  seeds: readonly number[],
  ended: (seed: number, broken: readonly string[]) => void = () => undefined,
): Promise<SimulationReport> {
  const startedMs = performance.now();
  const report: SimulationReport = { worlds: 0, orders: 0, kills: 0, faults: {}, failed: [], realSeconds: 0 };
  const left = [...seeds];
  const worker = async (): Promise<void> => {
    for (let seed = left.shift(); seed !== undefined; seed = left.shift()) {
      const outcome = await runWorld(databases, seed).catch((error: unknown) => ({ seed, error }));
      const broken = note(report, outcome);
      ended(seed, broken);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  report.realSeconds = (performance.now() - startedMs) / 1000;
  return report;
}

function note(report: SimulationReport, outcome: WorldResult | { seed: number; error: unknown }): string[] {
  report.worlds++;
  if ('error' in outcome) {
    const { error, seed } = outcome;
    const broken = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
    report.failed.push({ seed, faults: 'it could not be lived through', broken });
    return broken;
  }
  const { seed, plan, orders, kills, broken } = outcome;
  report.orders += orders;
  report.kills += kills;
  for (const kind of new Set(plan.faults.map(({ fault }) => fault.kind))) {
    report.faults[kind] = (report.faults[kind] ?? 0) + 1;
  }
  if (broken.length > 0) report.failed.push({ seed, faults: describe(plan), broken });
  return broken;
}

export function sayReport(report: SimulationReport): string {
  const { worlds, orders, kills, faults, failed, realSeconds } = report;
  const had = Object.entries(faults)
    .sort(([one], [other]) => one.localeCompare(other))
    .map(([kind, count]) => `${kind} ${count}`)
    .join(', ');
  return [
    `${worlds} worlds, ${orders} orders, ${kills} kills in ${realSeconds.toFixed(0)} s. Worlds with: ${had}.`,
    ...failed.map(
      ({ seed, faults: lived, broken }) =>
        `seed ${seed} FAILED (${lived})\n  ${broken.slice(0, 12).join('\n  ')}\n  alone: npm run simulate -- --seed ${seed}`,
    ),
    failed.length === 0
      ? 'every invariant held in every world'
      : `${failed.length} of ${worlds} worlds broke a promise`,
  ].join('\n');
}
