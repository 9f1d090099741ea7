import { stopwatch, type Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Logger } from '../../kernel/log.js';
import type { Round } from '../../kernel/loop.js';
import { dropExpired, ensurePartitions, type PartitionedTable } from '../../kernel/partitions.js';
import type { LedgerReader, ReadBack, RegistryReader, ShopHour } from '../../pipeline/contract.js';
import { Watermark } from '../watermark.js';
import { HOUR_MS, LATE_AFTER_MS, rowsOfHour, type CountedDestination } from './hour-row.js';
import type { ProvedShop, SoldCounts } from './sold-counts.js';
import {
  hoursNewlyProved,
  hoursToRecheck,
  replaceHours,
  settleHours,
  type DirtyHour,
  type ProvedLink,
} from './throughput-table.js';

const DAY_MS = 86_400_000;

/** A transaction of the pipeline that writes down an instant has committed this long after it, or never does. */
export const OVERLAP_MS = 3 * 60_000;
/** Facts of so long in one pass, and of more while they touch few hours: a pass stays short after a long absence. */
const SLICE_MS = 6 * HOUR_MS;
/** Where a first pass begins: as far back as Shopify lists orders. */
const HISTORY_MS = 60 * DAY_MS;
/** Hours counted by one set of statements. */
const CHUNK_HOURS = 1_000;
/** Thirteen months, so that a month can be held against the same one a year ago. */
const KEEP_DAYS = 400;
const REST_MIN_MS = 20_000;
const REST_MAX_MS = 10 * 60_000;
/** A pass is followed by a rest of twenty times its length: counting never takes more than a twentieth of a connection. */
const REST_PER_PASS = 20;

const PARTITIONS: readonly PartitionedTable[] = [
  { table: 'monitoring.throughput', every: 'week', keepDays: KEEP_DAYS },
];
const FORGET_OLDER = `delete from monitoring.throughput_older where day < $1`;

export interface RollUpDeps {
  database: Database;
  clock: Clock;
  log: Logger;
  registry: RegistryReader;
  ledger: Pick<LedgerReader, 'touchedHours' | 'hourCounts'>;
  readBack: Pick<ReadBack, 'ability'>;
  sold: SoldCounts;
}

/**
 * Keeps `monitoring.throughput` right.
 *
 * A pass counts anew each hour of which a fact has come since the pass before: in the ledger, from Shopify, or a proof
 * that covers it now. Hours are replaced, never added to, so a pass that is cut short, done twice, or done by two
 * processes at once ends in the same rows.
 *
 * Invariant: the watermark moves after the hours are written, and the next pass looks back behind it by OVERLAP_MS. So
 * no fact is passed by, however late its transaction commits.
 */
export class ThroughputRollUp {
  private readonly watermark: Watermark;
  /** Proofs as the last pass has seen them, by shop. */
  private seenProofs = new Map<string, string>();
  private nextAtMs = 0;
  private houseAtMs = 0;
  private sliceMs = SLICE_MS;

  constructor(private readonly deps: RollUpDeps) {
    this.watermark = new Watermark(deps.database, 'throughput');
  }

  /** A pass, when the rest after the last one is over. */
  async round(signal: AbortSignal): Promise<Round> {
    if (this.deps.clock.nowMs() < this.nextAtMs) return 'idle';
    const elapsedMs = stopwatch();
    const caughtUp = await this.pass(signal);
    if (signal.aborted) return 'idle';
    if (!caughtUp) return 'busy';
    const restMs = Math.min(REST_MAX_MS, Math.max(REST_MIN_MS, REST_PER_PASS * elapsedMs()));
    this.nextAtMs = this.deps.clock.nowMs() + restMs;
    return 'idle';
  }

  /** @returns false when there are older facts than the present ones left to look at */
  async pass(signal: AbortSignal): Promise<boolean> {
    const { database, clock, sold } = this.deps;
    const nowAt = clock.now();
    await this.keepHouse(nowAt);
    const doneAt = (await this.watermark.read()) ?? new Date(nowAt.getTime() - HISTORY_MS);
    const untilAt = new Date(Math.min(nowAt.getTime(), doneAt.getTime() + this.sliceMs));
    // Proofs before what they cover: an hour that counts as proved is then read with everything that proves it.
    const proofs = new Map((await sold.proved()).map((proof) => [proof.shopId, proof]));
    const dirty = await this.dirtyHours(new Date(doneAt.getTime() - OVERLAP_MS), untilAt, nowAt, proofs);
    this.sliceMs = dirty.length < CHUNK_HOURS ? this.sliceMs * 2 : SLICE_MS;
    for (let start = 0; start < dirty.length; start += CHUNK_HOURS) {
      if (signal.aborted) return false;
      await this.count(dirty.slice(start, start + CHUNK_HOURS), proofs, nowAt);
    }
    await settleHours(database, nowAt, signal);
    await this.watermark.move(untilAt);
    this.seenProofs = new Map([...proofs].map(([shopId, proof]) => [shopId, JSON.stringify(proof)]));
    return untilAt >= nowAt;
  }

  private async dirtyHours(
    sinceAt: Date,
    untilAt: Date,
    nowAt: Date,
    proofs: ReadonlyMap<string, ProvedShop>,
  ): Promise<DirtyHour[]> {
    const { database, ledger, sold } = this.deps;
    const moved = [...proofs.values()].filter((proof) => this.seenProofs.get(proof.shopId) !== JSON.stringify(proof));
    const touched = [...(await ledger.touchedHours(sinceAt, untilAt)), ...(await sold.touchedHours(sinceAt, untilAt))];
    const aged = [
      ...(await hoursNewlyProved(
        database,
        moved.flatMap((proof) => this.provedLinks(proof)),
      )),
      ...(await hoursToRecheck(database, nowAt)),
    ];
    return foldHours(touched, aged, new Date(nowAt.getTime() - KEEP_DAYS * DAY_MS));
  }

  private async count(
    hours: readonly DirtyHour[],
    proofs: ReadonlyMap<string, ProvedShop>,
    nowAt: Date,
  ): Promise<void> {
    const { database, ledger, registry, sold } = this.deps;
    const counts = byHour(await ledger.hourCounts(hours, { lateAfterMs: LATE_AFTER_MS, nowAt }));
    const listed = byHour(await sold.hours(hours));
    const gaps = byHour(await sold.gaps(hours));
    const destinations = this.destinationsOf([
      ...[...counts.values()].flat(),
      ...[...gaps.values()].flat(),
      ...hours.flatMap(({ shopId }) => registry.shopById(shopId)?.links ?? []),
    ]);
    const rows = hours.flatMap((hour) => {
      const facts = {
        hour: { shopId: hour.shopId, hourAt: hour.hourAt },
        listed: listed.get(keyOf(hour))?.[0],
        proof: proofs.get(hour.shopId),
        links: registry.shopById(hour.shopId)?.links ?? [],
        counts: counts.get(keyOf(hour)) ?? [],
        gaps: gaps.get(keyOf(hour)) ?? [],
      };
      return rowsOfHour(facts, destinations, nowAt).map((row) => ({
        ...row,
        // Everything that waits now is late by then, and stays so: one look more is enough until the next fact.
        recheckAt: row.waiting && hour.touched ? new Date(nowAt.getTime() + LATE_AFTER_MS) : null,
      }));
    });
    await replaceHours(database, hours, rows, nowAt);
  }

  /** For each destination, what of a shop's proved time it is owed. */
  private provedLinks({ shopId, spans }: ProvedShop): ProvedLink[] {
    return (this.deps.registry.shopById(shopId)?.links ?? []).flatMap(({ destinationId, linkedAt }) =>
      spans.map(({ fromAt, untilAt }) => ({
        shopId,
        destinationId,
        fromAt: linkedAt !== null && linkedAt > fromAt ? linkedAt : fromAt,
        untilAt,
      })),
    );
  }

  private destinationsOf(of: readonly { destinationId: number }[]): Map<number, CountedDestination> {
    const { registry, readBack } = this.deps;
    const counted = new Map<number, CountedDestination>();
    for (const id of new Set(of.map(({ destinationId }) => destinationId))) {
      const destination = registry.destinationById(id);
      if (destination === undefined) continue;
      const { means, kinds, settlingMs } = readBack.ability(destination);
      const confirmable = means !== 'none' && kinds.has('purchase');
      counted.set(id, { id, purchaseOn: destination.settings.purchaseOn, confirmable, settlingMs });
    }
    return counted;
  }

  /** Partitions come before their first row; and once an hour is plenty. */
  private async keepHouse(nowAt: Date): Promise<void> {
    if (nowAt.getTime() < this.houseAtMs) return;
    const { database, clock, log } = this.deps;
    await ensurePartitions(database, clock, PARTITIONS, { log });
    await dropExpired(database, clock, PARTITIONS);
    await database.query(FORGET_OLDER, [new Date(nowAt.getTime() - KEEP_DAYS * DAY_MS)]);
    this.houseAtMs = nowAt.getTime() + HOUR_MS;
  }
}

function keyOf({ shopId, hourAt }: ShopHour): string {
  return `${shopId}/${hourAt.getTime()}`;
}

/** Each hour once, sorted, so that two processes lock rows in the same order; what is past keeping is left alone. */
function foldHours(touched: readonly ShopHour[], aged: readonly ShopHour[], oldestAt: Date): DirtyHour[] {
  const dirty = new Map<string, DirtyHour>();
  for (const { shopId, hourAt } of aged) dirty.set(keyOf({ shopId, hourAt }), { shopId, hourAt, touched: false });
  for (const { shopId, hourAt } of touched) dirty.set(keyOf({ shopId, hourAt }), { shopId, hourAt, touched: true });
  return [...dirty.values()]
    .filter(({ hourAt }) => hourAt >= oldestAt)
    .sort((one, other) =>
      one.shopId === other.shopId ? one.hourAt.getTime() - other.hourAt.getTime() : one.shopId < other.shopId ? -1 : 1,
    );
}

function byHour<Item extends ShopHour>(items: readonly Item[]): Map<string, Item[]> {
  const grouped = new Map<string, Item[]>();
  for (const item of items) {
    const group = grouped.get(keyOf(item));
    if (group) group.push(item);
    else grouped.set(keyOf(item), [item]);
  }
  return grouped;
}
