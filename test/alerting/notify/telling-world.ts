import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { metrics } from '@opentelemetry/api';
import { afterAll } from 'vitest';
import { MailCatcher } from '../../../sandbox/mail-catcher.js';
import { PagerDutySide } from '../../../sandbox/pagerduty/pagerduty.js';
import type { AlertingFile } from '../../../src/alerting/config.js';
import type { AlertDesk, NotificationBody, NotificationReason, Severity } from '../../../src/alerting/contract.js';
import { Notifier } from '../../../src/alerting/notify/notifier.js';
import { ManualClock } from '../../../src/kernel/clock.js';
import type { Database } from '../../../src/kernel/database.js';
import type { Duty } from '../../../src/kernel/duty.js';
import { createLogger } from '../../../src/kernel/log.js';
import type { LoopHealth } from '../../../src/kernel/loop.js';
import { SeededRandom } from '../../../src/kernel/random.js';
import { SignalBook } from '../../../src/monitoring/signals/signal-book.js';
import { testDatabase } from '../../support/test-database.js';

export const NOON = Date.UTC(2026, 10, 27, 12);
const NAMES = { shops: () => [], shopById: () => undefined, destinations: () => [], destinationById: () => undefined };

/** What an alert's page says, as far as a test cares. */
export interface Page {
  key: string;
  name?: string;
  route?: string;
  severity?: Severity;
  class?: 'page' | 'ticket';
  reason?: NotificationReason;
}

/** Telling, with the outside that it speaks to over real TLS, and time that stands still until it is told to go on. */
export class TellingWorld {
  readonly clock = new ManualClock(NOON);
  readonly pager: PagerDutySide;
  readonly mail: MailCatcher;
  readonly signals: SignalBook;
  /** Who acknowledged what, in words. */
  readonly acknowledged: string[] = [];
  loops: LoopHealth[] = [];
  /** Everything that was logged. */
  log = '';
  private readonly notifiers: Notifier[] = [];
  private door: Server | null = null;

  private constructor(readonly database: Database) {
    const clock = {
      now: () => this.clock.nowMs(),
      after: (delayMs: number, action: () => void) => {
        const timer = setTimeout(action, Math.min(delayMs, 50));
        return () => clearTimeout(timer);
      },
    };
    this.pager = new PagerDutySide({ clock, webhookUrl: () => this.webhookUrl });
    this.mail = new MailCatcher(clock);
    this.signals = new SignalBook({ database, clock: this.clock, log: this.logger(), names: NAMES });
  }

  static async open(): Promise<TellingWorld> {
    const { database } = await testDatabase();
    const world = new TellingWorld(database);
    await world.pager.start();
    await world.mail.start();
    afterAll(() => world.close());
    return world;
  }

  /** Where the pager's webhooks go; `null` = it has no subscription. */
  private get webhookUrl(): string | null {
    return this.door === null
      ? null
      : `http://127.0.0.1:${(this.door.address() as AddressInfo).port}/inbound/pagerduty`;
  }

  settings(more: Partial<AlertingFile> = {}, pagerduty: Partial<AlertingFile['pagerduty']> = {}): AlertingFile {
    return {
      publicUrl: 'https://plumbline.example.com',
      tickets: 'pagerduty',
      pagerduty: {
        routingKeys: this.pager.routingKeys,
        eventsHost: this.pager.host,
        restHost: this.pager.host,
        webhookSecrets: [],
        escalationPolicies: [],
        ...pagerduty,
      },
      secondChannel: { kind: 'email', url: this.mail.url, from: 'plumbline@example.com', to: ['oncall@example.com'] },
      ...more,
    };
  }

  /** One process that tells. */
  process(settings = this.settings(), name = `process-${this.notifiers.length}`): Notifier {
    const notifier = new Notifier({
      database: this.database,
      signals: this.signals,
      alerts: this.desk(),
      processName: name,
      loops: () => this.loops,
      meter: metrics.getMeter('test'),
      clock: this.clock,
      ids: new SeededRandom(this.notifiers.length + 1),
      random: new SeededRandom(7),
      log: this.logger(),
    });
    notifier.configure('real', settings, this.pager.ca);
    this.notifiers.push(notifier);
    return notifier;
  }

  /** Subscribes to the pager's webhooks: they come in at a door of their own, as they would at the service. */
  async subscribe(notifier: Notifier): Promise<void> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const signature = String(request.headers['x-pagerduty-signature'] ?? '');
        void notifier.door
          .take({ signature, body: Buffer.concat(chunks) })
          .then(({ status }) => response.writeHead(status).end());
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.door = server;
  }

  /** An open alert; what is said of it is up to the test. @returns its id */
  async alert({
    key,
    name = 'orders-late',
    route = 'routine',
    severity = 2,
    class: kind = 'page',
  }: Page): Promise<string> {
    const [row] = await this.database.rows<{ id: string }>(
      `insert into alerting.alert (name, dedupe_key, world, class, severity, state, route, summary, facts, evidence, runbook,
         is_fleet, signals, shops, count, first_seen_at, last_seen_at, due_at, opened_at, told)
       values ($1, $2, 'real', $3, $4, 'open', $5, $6, '{}', '/api/v1/orders', $1, false, 1, 1, 1, $7, $7, $7, $7,
         '[]')
       returning id::text as id`,
      [name, key, kind, severity, route, `${name} of ${key}`, this.clock.now()],
    );
    return row?.id ?? '';
  }

  /** Decides that somebody is to be told, as the fold does. */
  async say(
    alertId: string,
    page: Page,
    action: 'trigger' | 'acknowledge' | 'resolve' = 'trigger',
    reason: NotificationReason = action === 'resolve' ? 'resolved' : (page.reason ?? 'new'),
  ): Promise<void> {
    const { key, name = 'orders-late', route = 'routine', severity = 2 } = page;
    const body: NotificationBody = {
      name,
      class: page.class ?? 'page',
      facts: { late: 12, hours: 'since 11:40' },
      evidence: '/api/v1/throughput?shop=acme.myshopify.com',
      runbook: name,
      shop: 'acme.myshopify.com',
      destination: null,
      signals: 1,
      shops: 1,
      since: this.clock.now().toISOString(),
    };
    const nowAt = this.clock.now();
    const isPage = action === 'trigger' && body.class === 'page';
    await this.database.query(
      `insert into alerting.notification (alert_id, dedupe_key, world, channel, recipient, action, reason, severity, summary,
         body, state, created_at, try_at, confirm_by)
       values ($1, $2, 'real', 'pagerduty', $3, $4, $5, $6, $7, $8, 'waiting', $9, $9, $10)`,
      [
        alertId,
        key,
        route,
        action,
        reason,
        severity,
        `${name} of ${key}`,
        JSON.stringify(body),
        nowAt,
        isPage ? new Date(nowAt.getTime() + 60_000) : null,
      ],
    );
  }

  /** An alert opens and its page is decided. @returns its id */
  async page(page: Page): Promise<string> {
    const id = await this.alert(page);
    await this.say(id, page);
    return id;
  }

  async resolve(id: string, page: Page): Promise<void> {
    await this.database.query(`update alerting.alert set state = 'closed', closed_at = $2 where id = $1`, [
      id,
      this.clock.now(),
    ]);
    await this.say(id, page, 'resolve');
  }

  /** Lets time pass, with every duty of every process at its pace. */
  async live(ms: number, notifiers: readonly Notifier[] = this.notifiers): Promise<void> {
    const duties = notifiers.flatMap((notifier) => notifier.duties());
    const untilMs = this.clock.nowMs() + ms;
    for (;;) {
      for (const duty of duties) if (isDue(duty, this.clock.nowMs())) await settled(duty);
      if (this.clock.nowMs() >= untilMs) return;
      this.clock.advance(Math.min(STEP_MS, untilMs - this.clock.nowMs()));
    }
  }

  /** What the pager was sent and took in, oldest first: `trigger key`. */
  get heard(): string[] {
    return this.pager.received
      .filter(({ status }) => status === 202)
      .map(({ event }) => `${event.action} ${event.dedupKey ?? ''}`);
  }

  async rows(columns = 'id::text as id, dedupe_key, action, state'): Promise<Record<string, unknown>[]> {
    return this.database.rows(`select ${columns} from alerting.notification order by id`);
  }

  async openSignals(): Promise<string[]> {
    const { items } = await this.signals.signals({ state: 'open' }, { limit: 50 });
    return items.map(({ kind, subject, facts }) => `${kind} ${subject}: ${String(facts['why'])}`);
  }

  async close(): Promise<void> {
    for (const notifier of this.notifiers) await notifier.stop();
    this.door?.closeAllConnections();
    this.door?.close();
    await this.pager.stop();
    await this.mail.stop();
  }

  private desk(): Pick<AlertDesk, 'acknowledge' | 'unacknowledge'> {
    return {
      acknowledge: async (id, by, note, nextLookAt) => {
        const minutes = Math.round((nextLookAt.getTime() - this.clock.nowMs()) / 60_000);
        this.acknowledged.push(`${id} by ${by} for ${minutes} min: ${note ?? ''}`);
        await this.database.query(
          'update alerting.alert set acknowledged_at = $2, acknowledged_by = $3 where id = $1',
          [id, this.clock.now(), by],
        );
        return null;
      },
      unacknowledge: async (id, by) => {
        this.acknowledged.push(`${id} no more, by ${by}`);
        await this.database.query('update alerting.alert set acknowledged_at = null where id = $1', [id]);
        return null;
      },
    };
  }

  private logger() {
    const sink = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.log += chunk.toString();
        done();
      },
    });
    return createLogger('debug', sink);
  }
}

const STEP_MS = 1_000;

function isDue({ pauseMs }: Duty, nowMs: number): boolean {
  return (nowMs - NOON) % Math.max(pauseMs, STEP_MS) === 0;
}

async function settled({ round }: Duty): Promise<void> {
  const { signal } = new AbortController();
  while ((await round(signal)) === 'busy');
}
