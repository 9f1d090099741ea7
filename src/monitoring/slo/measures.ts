import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { FlowReader, RegistryReader, World } from '../../pipeline/contract.js';
import { STAGES, type Slo, type Stage } from '../contract.js';
import type { Stretch } from './burn.js';
import { readLostOrders } from './lost-orders.js';
import { MINUTE_MS, forgetMinutes, readMeasured, replaceMinutes, type SloMinute } from './minutes.js';

const DAY_MINUTES = 1_440;
/** A transaction that accepts a delivery has committed so long after the instant that it writes down. */
const OVERLAP_MINUTES = 4;
/** Minutes counted by one statement: catching up is done in short steps. */
const STEP_MINUTES = 6 * 60;
const HOUSE_EVERY_MS = 3_600_000;

export const WORLDS: readonly World[] = ['real', 'sandbox'];

/** Everything that an objective is judged by, in one world. */
export interface SloMeasure {
  slo: Slo;
  /** The last so many minutes; one of each length that the objective asks for. */
  stretches: ReadonlyMap<number, Stretch>;
  /** The bad orders of the objective's whole time, by the stage that they did not reach. */
  lost: readonly { stage: Stage; orders: number }[];
  /** Measured from and until, within the objective's whole time; `null` = not at all. */
  from: Date | null;
  until: Date | null;
}

export interface MeasuresDeps {
  database: Database;
  clock: Clock;
  registry: Pick<RegistryReader, 'shops' | 'destinations'>;
  flow: Pick<FlowReader, 'arrivals' | 'lostSince' | 'waitingSince'>;
}

/**
 * Measures orders by the minute, and adds up what the objectives ask for.
 *
 * Three books make a stretch of time: purchases that arrived in it, by the minute of arrival, in `monitoring.slo_minute`;
 * what was found lost in it and is lost still, from reconciliation and from the dead letters; and what waits now for
 * longer than it may, which is trouble of every stretch that ends now. A loss that is recovered leaves the second book
 * and comes into the first, as late as it is; so an order is never in two.
 */
export class SloMeasures {
  private houseAtMs = 0;

  constructor(
    private readonly slos: readonly Slo[],
    private readonly deps: MeasuresDeps,
  ) {}

  /** Worlds of which there is anything to promise. */
  worlds(): World[] {
    return WORLDS.filter((world) => this.deps.registry.shops().some((shop) => shop.world === world));
  }

  /**
   * Counts the minutes since the last count, the last few of them again. Minutes are replaced, so it may be done twice, or
   * by two processes at once.
   *
   * @returns false when there are older minutes than the present ones left to count
   */
  async count(): Promise<boolean> {
    const { clock, database, flow } = this.deps;
    const nowMs = clock.nowMs();
    let caughtUp = true;
    for (const world of this.worlds()) {
      const fromMs = await this.countedUntilMs(world, nowMs);
      const toMs = Math.min(nowMs, fromMs + STEP_MINUTES * MINUTE_MS);
      caughtUp &&= toMs === nowMs;
      const limits = this.limits();
      const arrivals = await flow.arrivals(
        new Date(fromMs),
        new Date(toMs),
        limits.map((minutes) => minutes * MINUTE_MS),
      );
      const mine = new Set(this.destinationsOf(world));
      const byMinute = Map.groupBy(
        arrivals.filter(({ destinationId }) => mine.has(destinationId)),
        ({ minuteAt }) => minuteAt.getTime(),
      );
      const rows: SloMinute[] = [];
      for (let minuteMs = fromMs; minuteMs < toMs; minuteMs += MINUTE_MS) {
        const ofMinute = byMinute.get(minuteMs) ?? [];
        for (const [index, withinMinutes] of limits.entries()) {
          rows.push({
            world,
            withinMinutes,
            minuteAt: new Date(minuteMs),
            arrived: ofMinute.reduce((sum, { arrived }) => sum + arrived, 0),
            beyond: ofMinute.reduce((sum, { beyond }) => sum + (beyond[index] ?? 0), 0),
          });
        }
      }
      await replaceMinutes(database, rows);
    }
    if (nowMs >= this.houseAtMs) {
      await forgetMinutes(database, new Date(nowMs - (this.longestMinutes() + DAY_MINUTES) * MINUTE_MS));
      this.houseAtMs = nowMs + HOUSE_EVERY_MS;
    }
    return caughtUp;
  }

  async read(world: World): Promise<SloMeasure[]> {
    const { clock, database, flow, registry } = this.deps;
    const nowMs = clock.nowMs();
    const lengths = [...new Set(this.slos.flatMap(lengthsOf))].sort((one, other) => one - other);
    const sinceAts = lengths.map((minutes) => new Date(nowMs - minutes * MINUTE_MS));
    const limits = this.limits();
    const mine = new Set(this.destinationsOf(world));
    const ofWorld = <Count extends { destinationId: number }>(counts: readonly Count[]): Count[] =>
      counts.filter(({ destinationId }) => mine.has(destinationId));
    const measured = await readMeasured(database, world, limits, sinceAts);
    const letters = ofWorld(await flow.lostSince(sinceAts));
    const gaps = ofWorld(await readLostOrders(database, registry.shops(), sinceAts));
    const waiting = ofWorld(await flow.waitingSince(limits.map((minutes) => new Date(nowMs - minutes * MINUTE_MS))));
    const at = (counts: readonly { counts: readonly number[] }[], index: number): number =>
      counts.reduce((sum, each) => sum + (each.counts[index] ?? 0), 0);
    return this.slos.map((slo): SloMeasure => {
      const overdue = at(waiting, limits.indexOf(slo.arrivedWithinMinutes));
      const badOf = (index: number): { lost: number; beyond: number; arrived: number } => {
        const minutes = measured.find(
          ({ withinMinutes, sinceAt }) => withinMinutes === slo.arrivedWithinMinutes && sinceAt === sinceAts[index],
        );
        return {
          lost: at(letters, index) + at(gaps, index),
          beyond: minutes?.beyond ?? 0,
          arrived: minutes?.arrived ?? 0,
        };
      };
      const stretches = new Map(
        lengthsOf(slo).map((length): [number, Stretch] => {
          const { lost, beyond, arrived } = badOf(lengths.indexOf(length));
          return [length, { total: arrived + lost + overdue, bad: lost + beyond + overdue, lost }];
        }),
      );
      const whole = lengths.indexOf(slo.windowDays * DAY_MINUTES);
      const { beyond } = badOf(whole);
      const found = measured.find(
        ({ withinMinutes, sinceAt }) => withinMinutes === slo.arrivedWithinMinutes && sinceAt === sinceAts[whole],
      );
      return {
        slo,
        stretches,
        lost: STAGES.map((stage) => ({
          stage,
          orders:
            at(
              gaps.filter((gap) => gap.stage === stage),
              whole,
            ) + (stage === 'accepted' ? at(letters, whole) + beyond + overdue : 0),
        })),
        from: found?.firstAt ?? null,
        until: found?.lastAt ?? null,
      };
    });
  }

  /** Thresholds in minutes, each once, ascending. */
  private limits(): number[] {
    return [...new Set(this.slos.map(({ arrivedWithinMinutes }) => arrivedWithinMinutes))].sort((a, b) => a - b);
  }

  private longestMinutes(): number {
    return Math.max(...this.slos.map(({ windowDays }) => windowDays)) * DAY_MINUTES;
  }

  /** A new limit begins where the whole is begun: it is counted back as far as the ledger goes. */
  private async countedUntilMs(world: World, nowMs: number): Promise<number> {
    const { database, registry } = this.deps;
    const [row] = await database.rows<{ until: Date | null }>(
      `select min(until) as until
         from (select l.within, (select max(minute) from monitoring.slo_minute m
                                  where m.world = $1 and m.within_minutes = l.within) as until
                 from unnest($2::integer[]) as l (within)) each
        having count(until) = count(*)`,
      [world, this.limits()],
    );
    const connectedMs = registry
      .shops()
      .filter((shop) => shop.world === world)
      .reduce((first, { connectedAt }) => Math.min(first, connectedAt.getTime()), nowMs);
    const oldestMs = Math.max(connectedMs, nowMs - this.longestMinutes() * MINUTE_MS);
    const untilMs = row?.until ? row.until.getTime() - (OVERLAP_MINUTES - 1) * MINUTE_MS : oldestMs;
    const fromMs = Math.max(untilMs, oldestMs);
    return fromMs - (fromMs % MINUTE_MS);
  }

  private destinationsOf(world: World): number[] {
    return this.deps.registry.destinations().flatMap((each) => (each.world === world ? each.id : []));
  }
}

/** Every length of time that an objective is looked at over, in minutes. */
export function lengthsOf(slo: Slo): number[] {
  return [
    ...new Set([
      ...slo.windows.flatMap(({ longMinutes, shortMinutes }) => [longMinutes, shortMinutes]),
      slo.windowDays * DAY_MINUTES,
    ]),
  ];
}
