import { AlertRound } from '../../src/alerting/alerts/alert-round.js';
import { bigints, instants, texts } from '../../src/kernel/binary-arrays.js';
import { SystemClock } from '../../src/kernel/clock.js';
import { Database } from '../../src/kernel/database.js';
import { silentLogger } from '../../src/kernel/log.js';
import { SignalBook } from '../../src/monitoring/signals/signal-book.js';
import { answer } from '../rpc.js';

export type AlertFolderApi = {
  open: { takes: { databaseUrl: string }; gives: void };
  /** A storm of signals' changes, not folded yet; what was there is gone. */
  storm: { takes: { changes: number; shops: number }; gives: { signals: number } };
  /** Folds it: to alerts, or only into a table. */
  fold: { takes: { how: 'alerts' | 'insert' }; gives: { changes: number; seconds: number; alerts: number } };
};

const BATCH = 2_000;

/**
 * Four changes a signal; three of ten signals stay open. By tens: four are failing topics (one ticket), three silent shops,
 * two missing orders, one a removed subscription. A thousand signals are opened before the first of them is updated.
 */
const SIGNALS = `
insert into monitoring.signal (id, kind, subject, shop_id, destination_id, facts, evidence, opened_at, updated_at, closed_at)
overriding system value
select n, (array['subscription-countdown', 'subscription-countdown', 'subscription-countdown', 'subscription-countdown',
                 'store-silent', 'store-silent', 'store-silent', 'order-missing', 'order-missing', 'subscription-removed'])[1 + n % 10],
       'shop-' || 1 + n % $2 || '.myshopify.com/' || n, 1 + n % $2, case when n % 10 in (7, 8) then 1 end,
       jsonb_build_object('topic', 'orders/' || n, 'failuresInRow', 1 + n % 3, 'orders', 1 + n % 12, 'expectedAtLeast', n % 30),
       '/api/v1/signals', now(), now(), case when n % 10 < 7 then now() end
  from generate_series(1, $1::integer) as n`;
const CHANGES = `
insert into monitoring.signal_change (signal_id, at, change, facts, evidence)
select s.id, now(), case step when 1 then 'opened' when 4 then case when s.closed_at is null then 'updated' else 'closed' end
                              else 'updated' end,
       s.facts || jsonb_build_object('orders', s.id % 12 + step, 'tries', step), s.evidence
  from monitoring.signal s cross join generate_series(1, 4) as step
 order by s.id / 1000, step, s.id`;

const INSERT = `
insert into bench_change (signal_id, at, change, subject, facts)
select given.signal_id, given.at, given.change, given.subject, given.facts::jsonb
  from unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::text[]) as given (signal_id, at, change, subject, facts)`;

const clock = new SystemClock();
let database: Database | null = null;

function opened(): Database {
  if (!database) throw new Error('open first');
  return database;
}

function bookOf(database: Database): SignalBook {
  const names = {
    shops: () => [],
    shopById: (id: string) => ({ domain: `shop-${id}.myshopify.com`, world: 'real' as const }),
    destinations: () => [],
    destinationById: () => ({ name: 'hook', world: 'real' as const }),
  };
  return new SignalBook({ database, clock, log: silentLogger, names });
}

async function toAlerts(database: Database): Promise<void> {
  const round = new AlertRound({
    database,
    clock,
    log: silentLogger,
    signals: bookOf(database),
    worldOfService: () => 'real',
    kindOfDestination: () => 'webhook',
    listeners: (alert) => (alert.class === 'page' ? [{ channel: 'pagerduty', recipient: alert.route }] : []),
  });
  while ((await round.round()) === 'busy');
}

/** The least that could be done with them: read, and written once more. */
async function toTable(database: Database): Promise<void> {
  const book = bookOf(database);
  let seq = '0';
  for (;;) {
    const changes = await book.changes(seq, BATCH);
    const last = changes.at(-1);
    if (!last) return;
    await database.query(INSERT, [
      bigints(changes.map(({ signal }) => signal.id)),
      instants(changes.map(({ at }) => at)),
      texts(changes.map(({ change }) => change)),
      texts(changes.map(({ signal }) => signal.subject)),
      texts(changes.map(({ signal }) => JSON.stringify(signal.facts))),
    ]);
    seq = last.seq;
  }
}

answer<AlertFolderApi>({
  async open({ databaseUrl }) {
    database = new Database({ url: databaseUrl, log: silentLogger });
    await database.query(
      `create table if not exists bench_change (seq bigint generated always as identity primary key, signal_id bigint,
         at timestamptz, change text, subject text, facts jsonb)`,
    );
  },
  async storm({ changes, shops }) {
    const signals = Math.ceil(changes / 4);
    await opened().query(
      `alter table alerting.alert_change disable trigger never_emptied;
     truncate monitoring.signal, monitoring.signal_change, alerting.alert, alerting.alert_signal, alerting.alert_change,
                alerting.notification, alerting.cursor, bench_change restart identity cascade;
     alter table alerting.alert_change enable trigger never_emptied`,
    );
    await opened().query(SIGNALS, [signals, shops]);
    await opened().query(CHANGES);
    await opened().query('vacuum analyze monitoring.signal, monitoring.signal_change');
    return { signals };
  },
  async fold({ how }) {
    const database = opened();
    const startedMs = performance.now();
    await (how === 'alerts' ? toAlerts(database) : toTable(database));
    const seconds = (performance.now() - startedMs) / 1000;
    const [counted] = await database.rows<{ changes: number; folded: number; alerts: number }>(
      `select (select count(*) from monitoring.signal_change)::integer as changes,
              (select coalesce(max(seq), (select max(seq) from bench_change)) from alerting.cursor)::integer as folded,
              (select count(*) from alerting.alert)::integer as alerts`,
    );
    if (counted?.folded !== counted?.changes) throw new Error(`${counted?.folded} of ${counted?.changes} were folded`);
    return { changes: counted?.changes ?? 0, seconds, alerts: counted?.alerts ?? 0 };
  },
});
