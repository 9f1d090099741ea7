import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Duty } from '../../kernel/duty.js';
import type { Round } from '../../kernel/loop.js';
import type { FlowReader, RegistryReader, World } from '../../pipeline/contract.js';
import type { Slo, SloReader, SloView } from '../contract.js';
import { HeldFindings } from '../line-watch/held-findings.js';
import type { SignalBook } from '../signals/signal-book.js';
import { NOTHING, badShare, budgetOf, burnOf, type Stretch } from './burn.js';
import { SloDays, type SettledDays } from './days.js';
import { LATE_MINUTES, burnFindings, lateFindings } from './findings.js';
import { SloMeasures, type SloMeasure } from './measures.js';

const LOOK_EVERY_MS = 30_000;
const ADD_UP_EVERY_MS = 60_000;
/** Burning that stops for two looks and goes on is the same burning. */
const BURN_HOLD_MS = 2 * 60_000;
const LATE_HOLD_MS = 5 * 60_000;
/** Older than this, nobody measures any more, and nothing can be said. */
const MEASURED_WITHIN_MS = 5 * 60_000;
const DAY_MINUTES = 1_440;
/** From here on a limit is about arriving at all, which is what the roll-ups count. */
const ARRIVING_AT_ALL_MINUTES = 12 * 60;
const UNRECOVERED_MAX = 100;

export interface SloWatchDeps {
  database: Database;
  clock: Clock;
  registry: Pick<RegistryReader, 'shops' | 'destinations'>;
  flow: Pick<FlowReader, 'arrivals' | 'lostSince' | 'waitingSince'>;
  signals: Pick<SignalBook, 'signals' | 'replace'>;
}

/** Measures what is promised of orders, and tells when the promise is in danger. */
export class SloWatch implements SloReader {
  private readonly measures: SloMeasures;
  private readonly days: SloDays;
  private readonly burning: HeldFindings;
  private readonly late: HeldFindings;

  constructor(
    private readonly declared: readonly Slo[],
    private readonly deps: SloWatchDeps,
  ) {
    this.measures = new SloMeasures([...declared, LATENESS], deps);
    this.days = new SloDays(deps);
    this.burning = new HeldFindings(deps.signals, 'slo-burn', BURN_HOLD_MS);
    this.late = new HeldFindings(deps.signals, 'orders-late', LATE_HOLD_MS);
  }

  duties(): Duty[] {
    return [
      { name: 'slo', pauseMs: LOOK_EVERY_MS, round: () => this.look() },
      { name: 'slo-days', pauseMs: ADD_UP_EVERY_MS, round: (signal) => this.days.round(signal) },
    ];
  }

  async look(): Promise<Round> {
    if (!(await this.measures.count())) return 'busy';
    const worlds = this.measures.worlds();
    const nowMs = this.deps.clock.nowMs();
    const burning = [];
    const late = [];
    for (const world of worlds) {
      const measures = await this.measures.read(world);
      burning.push(...burnFindings(world, this.ofDeclared(measures)));
      const lateness = measures.find(({ slo }) => slo === LATENESS)?.stretches.get(LATE_MINUTES);
      late.push(...lateFindings(world, lateness ?? NOTHING));
    }
    await this.burning.settle(burning, nowMs);
    await this.late.settle(late, nowMs);
    return 'idle';
  }

  /** For tests and for who drives the clock. */
  addUpDays(): Promise<void> {
    return this.days.addUp(new AbortController().signal);
  }

  async slos(filter: { world?: World }): Promise<SloView[]> {
    const views: SloView[] = [];
    for (const world of this.measures.worlds()) {
      if (filter.world !== undefined && filter.world !== world) continue;
      const unrecovered = await this.unrecovered(world);
      for (const measure of this.ofDeclared(await this.measures.read(world))) {
        const settled = await this.days.read(world, measure.slo.windowDays);
        views.push(viewOf(world, measure, settled, unrecovered, this.deps.clock.nowMs()));
      }
    }
    return views;
  }

  private ofDeclared(measures: readonly SloMeasure[]): SloMeasure[] {
    return measures.filter(({ slo }) => this.declared.includes(slo));
  }

  private async unrecovered(world: World): Promise<SloView['unrecovered']> {
    const { items } = await this.deps.signals.signals({ kind: 'order-missing' }, { limit: UNRECOVERED_MAX });
    return items
      .filter((signal) => signal.world === world)
      .map(({ id, shop, destination, facts }) => ({
        shop: shop ?? '',
        destination: destination ?? '',
        orders: typeof facts['orders'] === 'number' ? facts['orders'] : 0,
        signal: id,
      }));
  }
}

/** Measured beside what is declared, so that lateness is seen whatever is promised; a day of it is enough. */
const LATENESS: Slo = {
  name: 'lateness',
  objective: 0.99,
  windowDays: 1,
  arrivedWithinMinutes: LATE_MINUTES,
  windows: [{ longMinutes: LATE_MINUTES, shortMinutes: 5, budgetShare: 1, class: 'ticket', severity: 4 }],
};

/** An objective as people see it. Pure. */
export function viewOf(
  world: World,
  { slo, stretches, lost, from, until }: SloMeasure,
  settled: SettledDays,
  unrecovered: SloView['unrecovered'],
  nowMs: number,
): SloView {
  const stretch = (minutes: number): Stretch => stretches.get(minutes) ?? NOTHING;
  const whole = stretch(slo.windowDays * DAY_MINUTES);
  const windows = slo.windows.map((window) =>
    burnOf(slo, window, stretch(window.longMinutes), stretch(window.shortMinutes)),
  );
  const budget = budgetOf(whole, slo.objective);
  const share = badShare(whole);
  const measuredNow = until !== null && nowMs - until.getTime() <= MEASURED_WITHIN_MS;
  return {
    name: slo.name,
    objective: slo.objective,
    windowDays: slo.windowDays,
    arrivedWithinMinutes: slo.arrivedWithinMinutes,
    world,
    state:
      !measuredNow || share === null
        ? 'unknown'
        : windows.some(({ burning }) => burning)
          ? 'burning'
          : budget.left < 0
            ? 'spent'
            : 'ok',
    provisional: {
      from,
      until,
      total: whole.total,
      bad: whole.bad,
      achieved: share === null ? null : 1 - share,
      budget,
    },
    settled: settledOf(slo, settled),
    windows,
    lost: [...lost],
    unrecovered: [...unrecovered],
  };
}

function settledOf({ arrivedWithinMinutes }: Slo, settled: SettledDays): SloView['settled'] {
  const { owed, arrived, late, ...rest } = settled;
  const knows = arrivedWithinMinutes === LATE_MINUTES || arrivedWithinMinutes >= ARRIVING_AT_ALL_MINUTES;
  if (!knows) return null;
  const good = arrivedWithinMinutes === LATE_MINUTES ? Math.max(0, arrived - late) : arrived;
  return { ...rest, owed, good, achieved: owed === 0 ? null : good / owed };
}
