/*
 * One process of alerting, whole, for tests that kill it: it folds signals into alerts, tells the pager, and follows the
 * alerts with incidents. Its only argument is an `AlertingProcess` as JSON. Says `ready` to its parent.
 */
import { metrics } from '@opentelemetry/api';
import { Alerting } from '../../src/alerting/alerting.js';
import type { AlertingFile } from '../../src/alerting/config.js';
import { Database } from '../../src/kernel/database.js';
import { HttpOut } from '../../src/kernel/http-out.js';
import { createLogger } from '../../src/kernel/log.js';
import { systemIds, systemRandom } from '../../src/kernel/random.js';
import { SignalBook } from '../../src/monitoring/signals/signal-book.js';
import type { Destination, Shop } from '../../src/pipeline/contract.js';
import { FastClock } from './fast-clock.js';

export interface AlertingProcess {
  databaseUrl: string;
  settings: AlertingFile;
  /** PEM: what the pager is trusted by. */
  ca: string;
  clock: { startedAtMs: number; speed: number };
}

const { databaseUrl, settings, ca, clock: rate } = JSON.parse(process.argv[2] ?? '') as AlertingProcess;
const clock = new FastClock(rate.startedAtMs, rate.speed);
const log = createLogger('fatal');
const database = new Database({ url: databaseUrl, log, poolSize: 8 });
const shop = (id: string) => ({ id, domain: `shop-${id}.myshopify.com`, world: 'real' }) as Shop;
const destination = { id: 1, name: 'destination-1', kind: 'ga4', world: 'real' } as Destination;
const names = { shops: () => [], shopById: shop, destinationById: () => destination };
const none = { items: [], nextCursor: null };

// Nothing is known of the orders behind the alerts: no incident can be proved, and each goes on.
const alerting = new Alerting({
  database,
  processName: `${process.pid}`,
  watch: true,
  clock,
  log,
  ids: systemIds,
  random: systemRandom,
  registry: { ...names, destinations: () => [destination] },
  signals: new SignalBook({ database, clock, log, names }),
  reconciliation: {
    request: () => Promise.resolve(null),
    reconciliation: () => Promise.resolve(null),
    reconciliations: () => Promise.resolve(none),
    gaps: () => Promise.resolve(none),
    proofs: () => Promise.resolve([]),
  },
  throughput: { items: () => Promise.resolve(none), fleet: () => Promise.resolve(none) },
  pipeline: { lanes: () => Promise.resolve([]) },
  worldOfService: () => 'real',
  http: new HttpOut(null),
  meter: metrics.getMeter('test'),
  heartbeats: { heartbeats: () => Promise.resolve([]) },
  settings: { alertmanagerUrl: null },
});
alerting.notifier.configure('real', settings, ca);
alerting.start();
process.send?.('ready');
