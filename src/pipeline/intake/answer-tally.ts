import type { IncomingHttpHeaders } from 'node:http';
import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Round } from '../../kernel/loop.js';
import type { IntakeTallies, IntakeTally } from '../contract.js';
import { readSubscription } from './header-profile.js';

/**
 * Answers that Shopify counts against a subscription and that only we can be to blame for. Not 401, 400 and 405: those
 * anybody can cause, and a webhook of Shopify's own never gets them from a service that knows its secret.
 */
const OURS: ReadonlySet<number> = new Set([0, 408, 413, 503]);

/** A shop has some ten topics: this is room for a thousand shops in trouble at once. */
const KEYS_MAX = 10_000;
/** A subscription that has had no answer for so long has been removed, or nobody wants it. */
const KEEP_MS = 7 * 86_400_000;

interface Tally {
  shopDomain: string;
  topic: string;
  failures: number;
  /** Of these, how many the table has. */
  written: number;
  lastFailureAtMs: number;
  lastStatus: number;
}

interface Row extends Record<string, unknown> {
  shop_domain: string;
  topic: string;
  process: string;
  last_failure_at: Date;
}

const READ = 'select shop_domain, topic, process, last_failure_at from pipeline.intake_tally';

/** Locks its own rows. */
const WRITE = `
insert into pipeline.intake_tally as t (shop_domain, topic, process, failures_in_row, last_failure_at, last_status)
select i.shop_domain, i.topic, $1, i.failures, i.last_failure_at, i.last_status
  from unnest($2::text[], $3::text[], $4::integer[], $5::timestamptz[], $6::smallint[])
         as i (shop_domain, topic, failures, last_failure_at, last_status)
on conflict (shop_domain, topic, process) do update set
  failures_in_row = excluded.failures_in_row, last_failure_at = excluded.last_failure_at,
  last_status = excluded.last_status`;

/** A 2xx anywhere ends the row of failures everywhere: Shopify does not know our processes. */
const FORGET = `
delete from pipeline.intake_tally t
 using unnest($1::text[], $2::text[], $3::timestamptz[]) as i (shop_domain, topic, at)
 where t.shop_domain = i.shop_domain and t.topic = i.topic and t.last_failure_at <= i.at`;

const FORGET_OLD = 'delete from pipeline.intake_tally where last_failure_at < $1';

const FAILING = `
select shop_domain as "shopDomain", topic, sum(failures_in_row)::integer as "failuresInRow",
       max(last_failure_at) as "lastFailureAt",
       (array_agg(last_status order by last_failure_at desc))[1] as "lastStatus"
  from pipeline.intake_tally group by shop_domain, topic order by shop_domain, topic`;

export interface AnswerTallyDeps {
  database: Database;
  clock: Clock;
  /** This process among all that take webhooks in, now and before. */
  process: string;
  /** Whether a shop is connected; `null` = the registry has not been read yet. Anybody can name any domain. */
  knows: (shopDomain: string) => boolean | null;
}

/**
 * Counts our own failures in a row, by shop and topic: how near Shopify is to removing a subscription.
 *
 * Counting is in memory, so that no answer waits for it (invariant 2), and costs nothing while all is well; a loop
 * carries what has changed to the table, which holds every process's part.
 */
export class AnswerTally implements IntakeTallies {
  private readonly tallies = new Map<string, Tally>();
  /** Failing by other processes' count. */
  private elsewhere = new Set<string>();
  private recovered = new Map<string, { shopDomain: string; topic: string; atMs: number }>();

  constructor(private readonly deps: AnswerTallyDeps) {}

  /** Every answer once. @param status 0 = the sender left before there was one */
  answered(status: number, headers: IncomingHttpHeaders): void {
    if (status >= 200 && status < 300) {
      if (this.tallies.size === 0 && this.elsewhere.size === 0) return;
      this.forget(headers);
    } else if (OURS.has(status)) this.count(status, headers);
  }

  /** Carries the changes of the last second to the table, and takes notice of what other processes know. */
  async round(): Promise<Round> {
    const { database, clock, process } = this.deps;
    this.dropUnknown();
    const rows = await database.rows<Row>(READ);
    const mine = new Set(rows.filter((row) => row.process === process).map(keyOfRow));
    for (const [key, tally] of this.tallies) {
      // Another process has answered 2xx since: what it forgot was over then, what came after counts.
      if (tally.written > 0 && !mine.has(key)) this.restart(key, tally);
    }
    this.elsewhere = new Set(rows.map(keyOfRow).filter((key) => !this.tallies.has(key) && !this.recovered.has(key)));
    await this.writeChanges();
    if (rows.some((row) => clock.nowMs() - row.last_failure_at.getTime() > KEEP_MS)) {
      await database.query(FORGET_OLD, [new Date(clock.nowMs() - KEEP_MS)]);
    }
    return 'idle';
  }

  async failing(): Promise<IntakeTally[]> {
    return this.deps.database.rows<IntakeTally & Record<string, unknown>>(FAILING);
  }

  private count(status: number, headers: IncomingHttpHeaders): void {
    const subscription = readSubscription(headers);
    if (subscription === null) return;
    const key = keyOf(subscription);
    const tally = this.tallies.get(key) ?? {
      ...subscription,
      failures: 0,
      written: 0,
      lastFailureAtMs: 0,
      lastStatus: 0,
    };
    if (tally.failures === 0) {
      if (this.tallies.size >= KEYS_MAX) return;
      this.tallies.set(key, tally);
    }
    tally.failures += 1;
    tally.lastStatus = status;
    tally.lastFailureAtMs = this.deps.clock.nowMs();
  }

  private forget(headers: IncomingHttpHeaders): void {
    const subscription = readSubscription(headers);
    if (subscription === null) return;
    const key = keyOf(subscription);
    const failed = this.tallies.delete(key);
    if (!this.elsewhere.delete(key) && !failed) return;
    this.recovered.set(key, { ...subscription, atMs: this.deps.clock.nowMs() });
  }

  private dropUnknown(): void {
    for (const [key, { shopDomain }] of this.tallies)
      if (this.deps.knows(shopDomain) === false) this.tallies.delete(key);
  }

  private restart(key: string, tally: Tally): void {
    tally.failures -= tally.written;
    tally.written = 0;
    if (tally.failures === 0) this.tallies.delete(key);
  }

  private async writeChanges(): Promise<void> {
    const { database, process } = this.deps;
    const { recovered } = this;
    if (recovered.size > 0) {
      this.recovered = new Map();
      const over = [...recovered.values()];
      await database
        .query(FORGET, [
          over.map(({ shopDomain }) => shopDomain),
          over.map(({ topic }) => topic),
          over.map(({ atMs }) => new Date(atMs)),
        ])
        .catch((error: unknown) => {
          this.recovered = new Map([...recovered, ...this.recovered]);
          throw error;
        });
    }
    const changed = [...this.tallies.values()]
      .filter(({ shopDomain, failures, written }) => failures !== written && this.deps.knows(shopDomain) === true)
      .map((tally) => ({ tally, failures: tally.failures }));
    if (changed.length === 0) return;
    await database.query(WRITE, [
      process,
      changed.map(({ tally }) => tally.shopDomain),
      changed.map(({ tally }) => tally.topic),
      changed.map(({ failures }) => failures),
      changed.map(({ tally }) => new Date(tally.lastFailureAtMs)),
      changed.map(({ tally }) => tally.lastStatus),
    ]);
    for (const { tally, failures } of changed) tally.written = failures;
  }
}

function keyOf({ shopDomain, topic }: { shopDomain: string; topic: string }): string {
  return `${shopDomain}\n${topic}`;
}

function keyOfRow(row: Row): string {
  return keyOf({ shopDomain: row.shop_domain, topic: row.topic });
}
