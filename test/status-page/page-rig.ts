import type { AddressInfo } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IncidentUpdate, IncidentView } from '../../src/alerting/contract.js';
import { ManualClock, type Clock } from '../../src/kernel/clock.js';
import { silentLogger } from '../../src/kernel/log.js';
import { SeededRandom } from '../../src/kernel/random.js';
import { JUDGES, type FleetItem, type ThroughputCounts } from '../../src/monitoring/contract.js';
import { SignalBook } from '../../src/monitoring/signals/signal-book.js';
import type { Destination, DestinationKind, Shop, World } from '../../src/pipeline/contract.js';
import { StatusPage } from '../../src/status-page/status-page.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

export const NOON_MS = Date.UTC(2026, 10, 23, 12);
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

export const DOMAINS = ['acme.myshopify.com', 'bolt.myshopify.com', 'cord.myshopify.com', 'dune.myshopify.com'];

/** Of monitoring, whose findings the page goes by. */
export const DUTIES = [...new Set(['reconciliation', ...Object.values(JUDGES).filter((duty) => duty !== null)])];

export function shop(id: number, domain: string, world: World = 'real', destinationIds: number[] = [1, 2]): Shop {
  return {
    id: String(id),
    domain,
    key: `key-${id}`,
    world,
    adminUrl: null,
    accessToken: 'token',
    settings: {},
    destinationIds,
    links: destinationIds.map((destinationId) => ({ destinationId, linkedAt: null })),
    subscriptions: 'shop',
    connectedAt: new Date(NOON_MS - 100 * DAY_MS),
    uninstalledAt: null,
  };
}

export function destination(id: number, name: string, kind: DestinationKind, world: World = 'real'): Destination {
  return {
    id,
    name,
    kind,
    world,
    enabled: true,
    settings: {
      purchaseOn: 'paid',
      money: 'shop',
      testOrders: false,
      excludeChannels: [],
      consentAttribute: null,
      own: {},
    },
  };
}

export function incident(given: Partial<IncidentView>): IncidentView {
  return {
    id: 'inc000000001',
    world: 'real',
    title: 'Orders of some stores are not taken in',
    cause: 'shop:acme.myshopify.com/orders/paid:subscription-removed',
    severity: 2,
    severityReason: 'one store',
    state: 'investigating',
    components: ['intake'],
    shops: ['acme.myshopify.com'],
    touchesOrders: true,
    public: true,
    ordersLost: 0,
    ordersUnrecoverable: 0,
    ordersQueued: 0,
    alertsOpen: 1,
    nextUpdateAt: null,
    ordersLate: 0,
    ordersRecovered: 0,
    startedAt: new Date(NOON_MS),
    declaredAt: new Date(NOON_MS),
    mitigatedAt: null,
    resolvedAt: null,
    gate: [],
    proofs: [],
    ...given,
  };
}

const NO_COUNTS: ThroughputCounts = {
  sold: 0,
  logged: 0,
  processed: 0,
  accepted: 0,
  confirmed: 0,
  ignored: 0,
  failed: 0,
  missing: 0,
  recovered: 0,
  late: 0,
  throughput: null,
};

/** A day of the fleet in which some orders were sold and some of them lost, settled unless told otherwise. */
export function fleetDay(
  startMs: number,
  kind: DestinationKind | null,
  { sold, lost = 0, isSettled = true }: { sold: number; lost?: number; isSettled?: boolean },
): FleetItem {
  const counts: ThroughputCounts = {
    ...NO_COUNTS,
    sold,
    logged: sold,
    throughput: sold === 0 ? null : (sold - lost) / sold,
  };
  return {
    start: new Date(startMs),
    kind,
    shops: 4,
    shopsProved: 4,
    settled: isSettled ? counts : NO_COUNTS,
    provisional: isSettled ? NO_COUNTS : counts,
    unproved: NO_COUNTS,
    lost: [
      { stage: 'logged', orders: 0 },
      { stage: 'processed', orders: 0 },
      { stage: 'accepted', orders: lost },
      { stage: 'received', orders: 0 },
    ],
  };
}

export interface RigOptions {
  clock?: Clock;
  watch?: boolean;
  exports?: boolean;
  settings?: Partial<ConstructorParameters<typeof StatusPage>[0]['settings']>;
  db?: TestDatabase;
  dataDir?: string;
}

/** The status page on a real database and a real server; what other areas say is told by the test. */
export class PageRig {
  shops: Shop[] = DOMAINS.map((domain, index) => shop(index + 1, domain));
  destinations: Destination[] = [destination(1, 'acme-ga4', 'ga4'), destination(2, 'acme-lake', 'postgres')];
  comparedUntil = new Map<string, Date | null>();
  fleet: FleetItem[] = [];
  /** Duties that are not done, with when they last were; all others are. */
  readonly stalled = new Map<string, Date>();
  incidents: IncidentView[] = [];
  readonly updates = new Map<string, IncidentUpdate[]>();
  readonly signals: SignalBook;
  readonly page: StatusPage;
  private server: Server | null = null;

  private constructor(
    readonly db: TestDatabase,
    readonly clock: ManualClock,
    readonly dataDir: string,
    options: RigOptions,
  ) {
    const registry = {
      shops: () => this.shops,
      destinations: () => this.destinations,
      shopById: (id: string) => this.shops.find((each) => each.id === id),
      destinationById: (id: number) => this.destinations.find((each) => each.id === id),
    };
    this.signals = new SignalBook({ database: db.database, clock, log: silentLogger, names: registry });
    this.page = new StatusPage({
      database: db.database,
      dataDir,
      processName: 'test',
      watch: options.watch ?? false,
      settings: { title: 'Acme Pipeline', url: 'https://status.example.com', components: {}, ...options.settings },
      serviceUrl: () => 'http://127.0.0.1',
      exportDirectory: options.exports ? this.exportDir : null,
      clock,
      ids: new SeededRandom(7),
      log: silentLogger,
      ports: {
        registry,
        signals: this.signals,
        reconciliation: {
          proofs: () =>
            Promise.resolve(
              this.shops.map(({ domain }) => ({
                shop: domain,
                comparedFrom: null,
                comparedUntil: this.comparedUntil.get(domain) ?? null,
                nextRunAt: clock.now(),
                lastError: null,
              })),
            ),
        },
        throughput: {
          fleet: ({ from, to }) =>
            Promise.resolve({
              items: this.fleet.filter(({ start }) => start >= from && start < to),
              nextCursor: null,
            }),
        },
        incidents: {
          incidents: ({ world, state }, { limit, cursor = '0' }) => {
            const all = this.incidents.filter(
              (each) => each.world === world && (state !== 'open' || each.resolvedAt === null),
            );
            const end = Number(cursor) + limit;
            return Promise.resolve({
              items: all.slice(Number(cursor), end),
              nextCursor: end < all.length ? String(end) : null,
            });
          },
          updatesOf: () => Promise.resolve(this.updates),
        },
        heartbeats: {
          heartbeats: () =>
            Promise.resolve(DUTIES.map((name) => ({ name, beatAt: this.stalled.get(name) ?? clock.now() }))),
        },
      },
    });
  }

  static async open(options: RigOptions = {}): Promise<PageRig> {
    const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'plumbline-status-')));
    const rig = new PageRig(options.db ?? (await testDatabase()), new ManualClock(NOON_MS), dataDir, options);
    await rig.page.open();
    const server = rig.page.serverFactory()((_req, res) => void res.writeHead(418).end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    rig.server = server;
    return rig;
  }

  get exportDir(): string {
    return join(this.dataDir, 'export');
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server?.address() as AddressInfo).port}/status`;
  }

  /** Every store was compared until three minutes ago. */
  proveAll(): void {
    for (const { domain } of this.shops) this.comparedUntil.set(domain, new Date(this.clock.nowMs() - 3 * MINUTE_MS));
  }

  /** 90 days of sales, of which a few went wrong. */
  sell(): void {
    const today = Math.floor(this.clock.nowMs() / DAY_MS) * DAY_MS;
    for (let back = 89; back >= 0; back--) {
      if (back > 82) continue; // before the page, and so of nothing
      const lost = back === 40 ? 130 : back === 21 ? 12 : back === 60 ? 1 : 0;
      const isSettled = back > 1;
      for (const kind of [null, 'ga4', 'postgres'] as const) {
        const gone = kind === 'postgres' ? 0 : lost;
        this.fleet.push(
          fleetDay(today - back * DAY_MS, kind, { sold: (kind === null ? 2 : 1) * 10_400, lost: gone, isSettled }),
        );
      }
    }
  }

  /** Time passes, and the page is published throughout. */
  async live(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 4 * MINUTE_MS) {
      this.clock.advance(Math.min(left, 4 * MINUTE_MS));
      await this.page.publish();
    }
  }

  say(id: string, state: IncidentUpdate['state'], body: string): void {
    const updates = this.updates.get(id) ?? [];
    const update = { id: `${updates.length + 1}`, at: this.clock.now(), state, body, actor: null, nextUpdateAt: null };
    this.updates.set(id, [update, ...updates]);
    this.incidents = this.incidents.map((each) => (each.id === id ? { ...each, state } : each));
  }

  async get(path = '', headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, { headers });
  }

  async json<Body>(path: string): Promise<Body> {
    return (await this.get(`/api/v2/${path}`)).json() as Promise<Body>;
  }

  /** The page's text as a person reads it, but for the lists of days: no tags, no double spaces. */
  async text(path = ''): Promise<string> {
    return textOf(await (await this.get(path)).text());
  }

  async close(): Promise<void> {
    await this.page.stop();
    await this.stopServing();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  async stopServing(): Promise<void> {
    const { server } = this;
    this.server = null;
    server?.closeAllConnections();
    if (server) await new Promise((resolve) => server.close(resolve));
  }
}

export function textOf(page: string): string {
  return page
    .replace(/<title>.*?<\/title>/s, '')
    .replace(/<ol class="days">.*?<\/ol>/gs, '')
    .replace(/<\/?(?:time|a|strong|span)\b[^>]*>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
    .replace(/\s+/g, ' ')
    .trim();
}
