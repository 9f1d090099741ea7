import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import { messageOf } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import type { Round } from '../../kernel/loop.js';
import type {
  Destination,
  Kind,
  LedgerReader,
  LedgerVerdicts,
  ReadBack,
  ReadBackAbility,
  RegistryReader,
  Standing,
  State,
} from '../../pipeline/contract.js';
import { isWithin, receiptOf, shortfalls, type CountPoint, type Span } from './count-check.js';
import type { FoundGap, GapStore } from './gap-store.js';
import type { ReadBackStore, ReadBackTurn } from './read-back-store.js';

const PAGE = 500;
const PAGES_AT_ONCE = 20;
const SPAN_MAX_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** A count looks so far beyond its span: what lay at the last one's border lies well within this one. */
const LOOK_BACK_MS = 10 * MINUTE_MS;
const SPAN_MIN_MS = 2 * MINUTE_MS;
/** Nothing is asked for in the moment it was accepted. */
const FRESH_MS = 10_000;
const CHECK_AT_LEAST_EVERY_MS = 15_000;
const LATER_MS = 60_000;
const LATER_MAX_MS = 30 * 60_000;
/** Segment drops a repeat for about a day (docs/destinations/segment.md); past this, sending again could count twice. */
const REPEATABLE_MS = 20 * 3_600_000;

export interface ReadBackCheckDeps {
  database: Database;
  store: ReadBackStore;
  gaps: GapStore;
  readBack: ReadBack;
  ledger: Pick<LedgerReader, 'acceptedBetween'>;
  verdicts: LedgerVerdicts;
  registry: RegistryReader;
  clock: Clock;
  log: Logger;
}

/**
 * Accepted is not received (invariant 6): asks each destination that can tell what it has.
 *
 * That something is there is believed at once. That it is absent is believed only after the destination's settling
 * time; until then it is provisional, and nothing is said.
 */
export class ReadBackCheck {
  constructor(private readonly deps: ReadBackCheckDeps) {}

  async round(signal: AbortSignal): Promise<Round> {
    const { store, registry, readBack, clock } = this.deps;
    const turns = new Map((await store.turns()).map((turn) => [turn.destinationId, turn]));
    const destinations = new Map(
      registry
        .shops()
        .flatMap((shop) => shop.destinationIds)
        .flatMap((id) => registry.destinationById(id) ?? [])
        .map((destination) => [destination.id, destination]),
    );
    let round: Round = 'idle';
    for (const destination of destinations.values()) {
      if (signal.aborted) break;
      const ability = readBack.ability(destination);
      if (ability.means === 'none') continue;
      const turn = turns.get(destination.id);
      if (!turn) {
        await store.add(destination.id, new Date(clock.nowMs() - ability.settlingMs));
        round = 'busy';
      } else if (turn.nextCheckAt.getTime() <= clock.nowMs()) {
        await this.check(destination, ability, turn, signal);
      }
    }
    return round;
  }

  private async check(
    destination: Destination,
    ability: ReadBackAbility,
    turn: ReadBackTurn,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, clock, log } = this.deps;
    try {
      const settledUntilMs =
        ability.means === 'ids'
          ? await this.checkIds(destination, ability, turn, signal)
          : await this.checkCounts(destination, ability, turn, signal);
      const behind = settledUntilMs < clock.nowMs() - ability.settlingMs - SPAN_MAX_MS;
      const pauseMs = behind ? 0 : Math.max(CHECK_AT_LEAST_EVERY_MS, ability.settlingMs / 48);
      await store.checked(destination.id, new Date(settledUntilMs), new Date(clock.nowMs() + pauseMs));
    } catch (error) {
      const pauseMs =
        (error instanceof Later ? error.retryAfterMs : null) ??
        Math.min(LATER_MAX_MS, LATER_MS * 2 ** Math.min(turn.failures, 5));
      log.warn({ destination: destination.name, err: messageOf(error) }, 'a destination could not be read back; later');
      await store.hindered(destination.id, messageOf(error), new Date(clock.nowMs() + pauseMs));
    }
  }

  /** @returns until when everything has its verdict */
  private async checkIds(
    destination: Destination,
    ability: ReadBackAbility,
    turn: ReadBackTurn,
    signal: AbortSignal,
  ): Promise<number> {
    const nowMs = this.deps.clock.nowMs();
    const fromMs = Math.max(turn.settledUntilAt.getTime(), knownSinceMs(destination));
    const untilMs = Math.min(nowMs - ability.settlingMs, fromMs + SPAN_MAX_MS);
    let settledMs = fromMs;
    if (untilMs > fromMs) {
      const settled = await this.pages(
        destination,
        ability,
        fromMs,
        untilMs,
        ['accepted', 'confirmed'],
        async (page) => {
          await this.judge(destination, await this.absent(destination, page, signal));
        },
      );
      settledMs = settled ?? untilMs;
    }
    const provisionalMs = Math.max(settledMs, nowMs - ability.settlingMs);
    await this.pages(destination, ability, provisionalMs, nowMs - FRESH_MS, ['accepted'], async (page) => {
      await this.absent(destination, page, signal); // confirms those that are there
    });
    return settledMs;
  }

  /**
   * Confirms what is there. Of what a destination withholds nothing is concluded: it stays accepted.
   *
   * @returns what is not there
   */
  private async absent(destination: Destination, page: readonly Standing[], signal: AbortSignal): Promise<Standing[]> {
    const { readBack, registry, verdicts, log } = this.deps;
    const absent: Standing[] = [];
    const there: Standing[] = [];
    for (const [shopId, ofShop] of Map.groupBy(page, (one) => one.shopId)) {
      const shop = registry.shopById(shopId);
      if (!shop) continue;
      for (const [kind, items] of Map.groupBy(ofShop, (one) => one.kind)) {
        const asked = items.map((one) => ({ ...one, acceptedAt: one.acceptedAt ?? one.updatedAt }));
        const answer = await readBack.present(destination, shop, kind, asked, signal);
        if (answer.outcome === 'later') {
          if (answer.present === undefined) throw new Later(answer.detail, answer.retryAfterMs);
          log.warn({ destination: destination.name, why: answer.detail }, 'a destination withholds a part');
        }
        for (const item of items) {
          if (answer.present?.has(item.subjectId)) there.push(item);
          else if (answer.outcome === 'read') absent.push(item);
        }
      }
    }
    const news = there.filter(({ state }) => state === 'accepted');
    if (news.length > 0) await verdicts.confirm(news.map((one) => ({ ...one, detail: 'read back by id' })));
    return absent;
  }

  private async judge(destination: Destination, absent: readonly Standing[], cause = 'absent'): Promise<void> {
    if (absent.length === 0) return;
    const { database, gaps, verdicts, log, clock } = this.deps;
    const nowMs = clock.nowMs();
    const found = absent.map((one): FoundGap & { standing: Standing } => ({
      shopId: one.shopId,
      subjectId: one.subjectId,
      kind: one.kind,
      destinationId: one.destinationId,
      orderId: one.orderId,
      ledgerDay: one.ledgerDay,
      soldAt: one.occurredAt,
      stage: 'received',
      cause,
      then: this.mayRepeat(destination, one, nowMs) ? 'requeue' : 'dead',
      standing: one,
    }));
    // The gap first: a crash in between looks at the same span again, and finds the same gap.
    for (const [shopId, some] of Map.groupBy(found, (one) => one.shopId)) {
      await database.transaction((client) => gaps.find(client, shopId, null, some));
    }
    const marked = await verdicts.markMissing(
      found.map(({ standing }) => ({
        ...standing,
        reason: cause,
        detail: `not found when ${destination.name} was read`,
      })),
    );
    log.warn({ destination: destination.name, absent: absent.length, marked }, 'accepted, and not there');
  }

  /** What only counts can tell may have arrived; it goes again only while its destination would drop a repeat. */
  private mayRepeat(destination: Destination, one: Standing, nowMs: number): boolean {
    const isExact = this.deps.readBack.ability(destination).means === 'ids';
    return isExact || nowMs - (one.acceptedAt?.getTime() ?? 0) < REPEATABLE_MS;
  }

  /** @returns until when everything has its verdict */
  private async checkCounts(
    destination: Destination,
    ability: ReadBackAbility,
    turn: ReadBackTurn,
    signal: AbortSignal,
  ): Promise<number> {
    const fromMs = wholeMinute(Math.max(turn.settledUntilAt.getTime(), knownSinceMs(destination)));
    const untilMs = wholeMinute(Math.min(this.deps.clock.nowMs() - ability.settlingMs, fromMs + SPAN_MAX_MS));
    if (untilMs - fromMs < SPAN_MIN_MS) return turn.settledUntilAt.getTime();
    try {
      for (const kind of ability.kinds) {
        await this.checkCount(destination, kind, { fromMs, toMs: untilMs }, signal);
      }
    } catch (error) {
      // What cannot be counted any more, after days in which nobody looked, must not keep back what can.
      if (!(error instanceof Never)) throw error;
      this.deps.log.warn({ destination: destination.name, why: error.message }, 'not counted: it stays accepted');
    }
    return untilMs;
  }

  /**
   * Judges one kind by its counts. It looks back beyond the span, because what lies at a border is told by an interval
   * across it, and what was sent twice may have been counted at the first time.
   */
  private async checkCount(destination: Destination, kind: Kind, span: Span, signal: AbortSignal): Promise<void> {
    const lookBackMs = Math.max(span.fromMs - LOOK_BACK_MS, knownSinceMs(destination));
    const recent = await this.acceptedIn(destination, kind, { fromMs: lookBackMs, toMs: span.toMs });
    if (recent.length === 0) return;
    const earliestMs = recent.reduce((least, one) => Math.min(least, receiptOf(one).earliestMs), span.fromMs);
    const fromMs = wholeMinute(Math.max(earliestMs, span.toMs - REPEATABLE_MS, knownSinceMs(destination)));
    const points =
      (await this.counted(destination, kind, { fromMs, toMs: span.toMs }, signal)) ??
      (await this.counted(destination, kind, span, signal)) ??
      [];
    if (points.length === 0) throw new Never(`${kind} can no longer be counted`);
    const items = await this.acceptedIn(destination, kind, { fromMs: points[0]?.fromMs ?? 0, toMs: span.toMs });
    const whole = { fromMs: points[0]?.fromMs ?? 0, toMs: points.at(-1)?.toMs ?? 0 };
    const short = shortfalls(points, items.map(receiptOf));
    const judged = items.filter((one) => isWithin(receiptOf(one), whole));
    const isSuspect = (one: Standing): boolean => short.some((each) => isWithin(receiptOf(one), each));
    const proved = judged.filter((one) => one.state === 'accepted' && !isSuspect(one));
    if (proved.length > 0) {
      const received = points.reduce((sum, point) => sum + point.received, 0);
      const between = `${new Date(whole.fromMs).toISOString()} and ${new Date(whole.toMs).toISOString()}`;
      const detail = `counted at the destination: ${received} between ${between}`;
      await this.deps.verdicts.confirm(proved.map((one) => ({ ...one, detail })));
    }
    await this.judge(destination, judged.filter(isSuspect), 'count-short');
  }

  /** @returns `null` when the destination tells nothing of that time */
  private async counted(
    destination: Destination,
    kind: Kind,
    { fromMs, toMs }: Span,
    signal: AbortSignal,
  ): Promise<readonly CountPoint[] | null> {
    const answer = await this.deps.readBack.count(destination, kind, new Date(fromMs), new Date(toMs), signal);
    if (answer.outcome === 'later') throw new Later(answer.detail, answer.retryAfterMs);
    return answer.outcome === 'never' ? null : answer.points;
  }

  private async acceptedIn(destination: Destination, kind: Kind, { fromMs, toMs }: Span): Promise<Standing[]> {
    const items: Standing[] = [];
    const kinds = new Set([kind]);
    await this.pages(
      destination,
      { kinds },
      fromMs,
      toMs,
      ['accepted', 'confirmed'],
      async (page) => {
        items.push(...page);
      },
      Infinity,
    );
    return items;
  }
  /** @returns how far it came when there was more than one round takes; `null` = to the end */
  private async pages(
    destination: Destination,
    { kinds }: Pick<ReadBackAbility, 'kinds'>,
    fromMs: number,
    toMs: number,
    states: readonly State[],
    each: (page: readonly Standing[]) => Promise<void>,
    pagesMax = PAGES_AT_ONCE,
  ): Promise<number | null> {
    if (toMs <= fromMs) return null;
    let after: string | undefined;
    for (let page = 0; page < pagesMax; page++) {
      const { items, next } = await this.deps.ledger.acceptedBetween(destination.id, new Date(fromMs), new Date(toMs), {
        states,
        kinds: [...kinds],
        limit: PAGE,
        ...(after === undefined ? {} : { after }),
      });
      if (items.length > 0) await each(items);
      if (next === null) return null;
      after = next;
      const lastMs = items.at(-1)?.acceptedAt?.getTime();
      if (page === pagesMax - 1 && lastMs !== undefined) return lastMs;
    }
    return null;
  }
}

/** The destination cannot be asked now; nothing may be concluded. */
class Later extends Error {
  constructor(
    detail: string,
    readonly retryAfterMs: number | null,
  ) {
    super(detail);
  }
}

/** The destination tells nothing of that time, now or ever. */
class Never extends Error {}

function wholeMinute(ms: number): number {
  return Math.floor(ms / MINUTE_MS) * MINUTE_MS;
}

/** A pretended destination forgets with its process, and comes back with other settings: before that it knows nothing. */
function knownSinceMs({ world, changedAt }: Destination): number {
  return world === 'sandbox' ? (changedAt?.getTime() ?? 0) : 0;
}
