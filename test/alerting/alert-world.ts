import { ManualClock } from '../../src/kernel/clock.js';
import type { Database } from '../../src/kernel/database.js';
import { silentLogger } from '../../src/kernel/log.js';
import { AlertQuery } from '../../src/alerting/alerts/alert-query.js';
import { AlertBook } from '../../src/alerting/alerts/alert-book.js';
import { SilenceBook } from '../../src/alerting/silences/silence-book.js';
import { AlertRound, type AlertRoundDeps } from '../../src/alerting/alerts/alert-round.js';
import { SignalBook } from '../../src/monitoring/signals/signal-book.js';
import { testDatabase } from '../support/test-database.js';

export const NOON = Date.UTC(2026, 10, 27, 12);
export const MINUTE = 60_000;

export const shopOf = (number: number): string => `shop-${number}.myshopify.com`;

/** Shops by number, and one destination of each kind. */
const NAMES = {
  shops: () => Array.from({ length: 2_000 }, (_, index) => ({ id: String(index + 1), domain: shopOf(index + 1) })),
  shopById: (id: string) => ({ domain: shopOf(Number(id)), world: 'real' as const }),
  destinations: () => [],
  destinationById: (id: number) => ({ name: `destination-${id}`, world: 'real' as const }),
};

export interface AlertWorld {
  database: Database;
  clock: ManualClock;
  signals: SignalBook;
  query: AlertQuery;
  desk: AlertBook;
  silences: SilenceBook;
  rounds: AlertRound;
  /** Rounds until there is nothing more to do. */
  settle(): Promise<void>;
  /** Time passes, with sixty rounds in it, or one every ten seconds. */
  pass(ms: number): Promise<void>;
  /** What was said, in order: `new shop:…`. */
  said(): Promise<string[]>;
}

export async function alertWorld(more: Partial<AlertRoundDeps> = {}): Promise<AlertWorld> {
  const { database } = await testDatabase();
  return alertWorldOn(database, more);
}

export function alertWorldOn(database: Database, more: Partial<AlertRoundDeps> = {}): AlertWorld {
  const clock = new ManualClock(NOON);
  const signals = new SignalBook({ database, clock, log: silentLogger, names: NAMES });
  const rounds = new AlertRound({
    database,
    clock,
    log: silentLogger,
    signals,
    worldOfService: () => 'real',
    kindOfDestination: () => 'ga4',
    listeners: (alert) => (alert.class === 'page' ? [{ channel: 'pagerduty', recipient: alert.route }] : []),
    ...more,
  });
  const settle = async (): Promise<void> => {
    while ((await rounds.round()) === 'busy');
  };
  const woken = (): void => undefined;
  return {
    database,
    clock,
    signals,
    query: new AlertQuery(database),
    desk: new AlertBook({ database, clock, woken }),
    silences: new SilenceBook({ database, clock, woken }),
    rounds,
    settle,
    async pass(ms) {
      const until = clock.nowMs() + ms;
      const stepMs = Math.max(10_000, ms / 60);
      while (clock.nowMs() < until) {
        clock.advance(Math.min(stepMs, until - clock.nowMs()));
        await settle();
      }
    },
    async said() {
      const rows = await database.rows<{ reason: string; dedupe_key: string }>(
        'select reason, dedupe_key from alerting.notification order by id',
      );
      return rows.map(({ reason, dedupe_key }) => `${reason} ${dedupe_key}`);
    },
  };
}
