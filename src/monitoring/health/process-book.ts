import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { LoopHealth } from '../../kernel/loop.js';
import type { Vitals } from '../../kernel/vitals.js';
import type { ProcessReader, ProcessView } from '../contract.js';
import { EVENT_LOOP_SLOW_MS, EXPECTED_FOR_MS, HEAP_FULL_SHARE, isSilent, type ProcessRow } from './process-findings.js';

const BEAT = `
insert into monitoring.process as p (id, name, roles, started_at, beat_at, figures)
values ($1, $2, $3, $4, $5, $6)
on conflict (id) do update set beat_at = greatest(p.beat_at, excluded.beat_at), figures = excluded.figures`;
const LEAVE = `delete from monitoring.process where id = $1`;
const FORGET = `delete from monitoring.process where beat_at < $1`;
const READ = `
select id, name, roles, started_at as "startedAt", beat_at as "beatAt", figures
  from monitoring.process where beat_at >= $1 order by started_at, id`;

const KEEP_MS = 24 * 3_600_000;

export interface ProcessBookDeps {
  database: Database;
  clock: Clock;
  /** This process among all that there are and were. */
  id: string;
  /** For people. */
  name: string;
  roles: readonly string[];
  /** Since the last time that it was asked. */
  vitals: () => Vitals;
  /** Every loop of this process. */
  loops: () => readonly LoopHealth[];
}

/**
 * What every process says of itself, whatever its roles: that it is there, and how it is. One that stops gracefully takes
 * its row away, so whoever is silent was not asked to be.
 */
export class ProcessBook implements ProcessReader {
  private readonly startedAt: Date;
  private slowSince: string | null = null;
  private fullSince: string | null = null;

  constructor(private readonly deps: ProcessBookDeps) {
    this.startedAt = deps.clock.now();
  }

  async beat(): Promise<void> {
    const { clock, database, id, name, roles, vitals, loops } = this.deps;
    const nowAt = clock.now();
    const read = vitals();
    const since = (before: string | null, is: boolean): string | null => (is ? (before ?? nowAt.toISOString()) : null);
    this.slowSince = since(this.slowSince, read.eventLoopDelayP99Ms > EVENT_LOOP_SLOW_MS);
    this.fullSince = since(this.fullSince, read.heapUsedBytes > HEAP_FULL_SHARE * read.heapLimitBytes);
    const stuck = loops()
      .filter(({ state, ageMs, staleAfterMs }) => (state === 'running' || state === 'failing') && ageMs > staleAfterMs)
      .map((loop) => loop.name);
    const figures: ProcessRow['figures'] = {
      ...read,
      eventLoopSlowSince: this.slowSince,
      heapFullSince: this.fullSince,
      stuck,
    };
    await database.query(BEAT, [id, name, roles, this.startedAt, nowAt, JSON.stringify(figures)]);
  }

  async leave(): Promise<void> {
    await this.deps.database.query(LEAVE, [this.deps.id]);
  }

  async processes(): Promise<ProcessView[]> {
    const nowMs = this.deps.clock.nowMs();
    const rows = await this.heardOf(new Date(nowMs - EXPECTED_FOR_MS));
    return rows.map(({ figures, ...row }) => ({
      ...row,
      silent: isSilent(row, nowMs),
      eventLoopDelayP99Ms: figures.eventLoopDelayP99Ms,
      heapUsedBytes: figures.heapUsedBytes,
      heapLimitBytes: figures.heapLimitBytes,
      residentBytes: figures.residentBytes,
      stuck: figures.stuck,
    }));
  }

  /** Those that have said something since. */
  heardOf(sinceAt: Date): Promise<ProcessRow[]> {
    return this.deps.database.rows<ProcessRow & Record<string, unknown>>(READ, [sinceAt]);
  }

  async forgetOld(): Promise<void> {
    await this.deps.database.query(FORGET, [new Date(this.deps.clock.nowMs() - KEEP_MS)]);
  }
}
