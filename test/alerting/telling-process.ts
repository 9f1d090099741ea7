/*
 * One process of alerting, for tests that kill it: it folds signals into alerts, and tells a pager of what is to be said,
 * one notification at a time. Arguments: the database's URL, the pager's URL.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { AlertRound } from '../../src/alerting/alerts/alert-round.js';
import { SystemClock } from '../../src/kernel/clock.js';
import { Database } from '../../src/kernel/database.js';
import { silentLogger } from '../../src/kernel/log.js';
import { SignalBook } from '../../src/monitoring/signals/signal-book.js';

const [, , databaseUrl = '', pagerUrl = ''] = process.argv;
const clock = new SystemClock();
const database = new Database({ url: databaseUrl, log: silentLogger, poolSize: 4 });
const names = {
  shops: () => [],
  shopById: (id: string) => ({ domain: `shop-${id}.myshopify.com`, world: 'real' as const }),
  destinationById: (id: number) => ({ name: `destination-${id}`, world: 'real' as const }),
};
const round = new AlertRound({
  database,
  clock,
  log: silentLogger,
  signals: new SignalBook({ database, clock, log: silentLogger, names }),
  worldOfService: () => 'real',
  kindOfDestination: () => 'ga4',
  listeners: (alert) => (alert.class === 'page' ? [{ channel: 'pagerduty', recipient: alert.route }] : []),
});

/** The row's lock is the lease: killed after the pager has it and before the commit, it is told once more. */
async function tellOne(): Promise<boolean> {
  return database.transaction(async (client) => {
    const { rows } = await client.query<{ id: string; dedupe_key: string; action: string }>(
      `select id, dedupe_key, action from alerting.notification
        where state = 'waiting' order by severity, id limit 1 for update skip locked`,
    );
    const [next] = rows;
    if (!next) return false;
    const answer = await fetch(pagerUrl, {
      method: 'POST',
      body: JSON.stringify({ dedup_key: next.dedupe_key, event_action: next.action }),
      signal: AbortSignal.timeout(5_000),
    });
    if (answer.status !== 202) throw new Error(`the pager answered ${answer.status}`);
    await client.query(`update alerting.notification set state = 'taken', taken_at = now() where id = $1`, [next.id]);
    return true;
  });
}

async function forEver(work: () => Promise<boolean>): Promise<never> {
  for (;;) {
    try {
      if (await work()) continue;
    } catch {
      // Whatever it was, it is tried again: only the test ends this process.
    }
    await pause(20);
  }
}

process.send?.('ready');
await Promise.all([forEver(async () => (await round.round()) === 'busy'), forEver(tellOne)]);
