import { ManualClock } from '../../../src/kernel/clock.js';
import { Database } from '../../../src/kernel/database.js';
import { silentLogger } from '../../../src/kernel/log.js';
import { SeededRandom } from '../../../src/kernel/random.js';
import type { AlertChange, AlertView, IncidentView } from '../../../src/alerting/contract.js';
import { Incidents } from '../../../src/alerting/incidents/incidents.js';
import type {
  FleetItem,
  GapView,
  ReconciliationDesk,
  ReconciliationView,
  ThroughputCounts,
  ThroughputItem,
  ThroughputReader,
} from '../../../src/monitoring/contract.js';
import type { Destination, LaneView, Shop, World } from '../../../src/pipeline/contract.js';
import { testDatabase, type TestDatabase } from '../../support/test-database.js';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const NOON = Date.UTC(2026, 10, 27, 12);

/** Monitoring as incidents ask it: plain values that a test sets. */
export class PretendedDesk implements ReconciliationDesk {
  readonly runs: ReconciliationView[] = [];
  gapList: GapView[] = [];
  /** Happens while a run is asked after: in the middle of somebody's look. */
  meanwhile: () => Promise<void> = () => Promise.resolve();

  constructor(private readonly clock: ManualClock) {}

  request(shop: string, from: Date, to: Date, actor: string): Promise<string | null> {
    const id = String(this.runs.length + 1);
    this.runs.push({
      id,
      shop,
      from,
      to,
      why: 'on-demand',
      requestedBy: actor,
      state: 'queued',
      detail: null,
      notCovered: null,
      counts: { sold: 0, obligations: [] },
      gaps: [],
      requeued: 0,
      recovered: 0,
      open: 0,
      requestedAt: this.clock.now(),
      startedAt: null,
      listedAt: null,
      finishedAt: null,
    });
    return Promise.resolve(id);
  }

  /** What becomes of a run. Begun now, unless it says otherwise. */
  become(id: string, given: Partial<ReconciliationView>): void {
    const index = this.runs.findIndex((run) => run.id === id);
    const run = this.runs[index];
    if (run) this.runs[index] = { ...run, startedAt: run.startedAt ?? this.clock.now(), ...given };
  }

  async reconciliation(id: string): Promise<ReconciliationView | null> {
    await this.meanwhile();
    return this.runs.find((run) => run.id === id) ?? null;
  }

  reconciliations(filter: { shop?: string; state?: string }, { limit }: { limit: number }) {
    const items = this.runs
      .filter(({ shop, state }) => (filter.shop ?? shop) === shop && (filter.state ?? state) === state)
      .reverse()
      .slice(0, limit);
    return Promise.resolve({ items, nextCursor: null });
  }

  gaps(filter: { shop?: string }) {
    const items = this.gapList.filter(({ shop }) => (filter.shop ?? shop) === shop);
    return Promise.resolve({ items, nextCursor: null });
  }

  proofs() {
    return Promise.resolve([]);
  }
}

const NOTHING: ThroughputCounts = {
  sold: 0,
  logged: 0,
  processed: 0,
  accepted: 0,
  confirmed: null,
  ignored: 0,
  failed: 0,
  missing: 0,
  recovered: 0,
  late: 0,
  throughput: null,
};

export class PretendedThroughput implements ThroughputReader {
  /** In the hour of `start`, at one destination. */
  late: { shop: string; destination: string; start: Date; late: number }[] = [];
  soldAnHour = 1_000;

  items(filter: { shop?: string }) {
    const items = this.late
      .filter(({ shop }) => (filter.shop ?? shop) === shop)
      .map((each): ThroughputItem => ({
        ...NOTHING,
        ...each,
        confirmation: 'confirmable',
        settledAt: null,
        settledThroughput: null,
      }));
    return Promise.resolve({ items, nextCursor: null });
  }

  fleet() {
    const starts = [...new Set(this.late.map(({ start }) => start.getTime()))];
    const items = starts.map((start): FleetItem => ({
      start: new Date(start),
      kind: null,
      shops: 1,
      shopsProved: 1,
      settled: { ...NOTHING, sold: this.soldAnHour },
      provisional: NOTHING,
      unproved: { ...NOTHING, sold: null },
      lost: [],
    }));
    return Promise.resolve({ items, nextCursor: null });
  }
}

/** Incidents on the real PostgreSQL, with alerts and orders as a test says. */
export class IncidentWorld {
  readonly clock = new ManualClock(NOON);
  readonly changes: AlertChange[] = [];
  readonly desk = new PretendedDesk(this.clock);
  readonly throughput = new PretendedThroughput();
  readonly shops: Shop[] = [];
  readonly destinations: Destination[] = [];
  lanes: LaneView[] = [];
  readonly incidents: Incidents;
  private readonly alerts = new Map<string, AlertView>();

  private constructor(readonly db: TestDatabase) {
    this.incidents = this.process(db.database);
    this.addDestination('ga4', 'ga4');
    for (const name of ['acme', 'bolt']) this.addShop(name);
  }

  static async open(): Promise<IncidentWorld> {
    return new IncidentWorld(await testDatabase());
  }

  /** One more process. */
  process(database: Database, seed = 1): Incidents {
    return new Incidents({
      database,
      alerts: {
        changes: (afterSeq, limit) =>
          Promise.resolve(this.changes.filter(({ seq }) => BigInt(seq) > BigInt(afterSeq)).slice(0, limit)),
        signalsOf: (id) =>
          Promise.resolve(
            [...this.alerts.values()]
              .filter(({ foldedInto }) => foldedInto === id)
              .map(({ shop, severity }, index) => ({ id: String(index), shop, severity, facts: {} })),
          ),
      },
      reconciliation: this.desk,
      throughput: this.throughput,
      pipeline: { lanes: (name) => Promise.resolve(this.lanes.filter(({ destination }) => destination === name)) },
      registry: { shops: () => this.shops, destinations: () => this.destinations },
      clock: this.clock,
      ids: new SeededRandom(seed),
      log: silentLogger,
    });
  }

  addShop(name: string, given: Partial<Shop> = {}): string {
    const domain = `${name}.myshopify.com`;
    this.shops.push({
      id: String(this.shops.length + 1),
      domain,
      key: name,
      world: 'real',
      adminUrl: null,
      accessToken: 'token',
      settings: {},
      destinationIds: [1],
      links: [],
      subscriptions: 'shop',
      connectedAt: new Date(NOON - 24 * HOUR),
      uninstalledAt: null,
      ...given,
    });
    return domain;
  }

  addDestination(name: string, kind: Destination['kind']): void {
    this.destinations.push({
      id: this.destinations.length + 1,
      name,
      kind,
      world: 'real',
      enabled: true,
      settings: {
        purchaseOn: 'paid',
        money: 'shop',
        testOrders: false,
        excludeChannels: [],
        consentAttribute: null,
        own: {},
      },
    });
  }

  uninstall(domain: string): void {
    const index = this.shops.findIndex((shop) => shop.domain === domain);
    const shop = this.shops[index];
    if (shop) this.shops[index] = { ...shop, uninstalledAt: this.clock.now() };
  }

  /** An alert opens now, or another change happens to it. @returns its id */
  opens(name: string, given: Partial<AlertView> = {}): string {
    const nowAt = this.clock.now();
    const id = given.id ?? String(this.alerts.size + 1);
    const shop = given.shop === undefined ? 'acme.myshopify.com' : given.shop;
    this.alerts.set(id, {
      id,
      name,
      dedupeKey: `shop:${shop ?? 'fleet'}:${name}:${id}`,
      world: 'real',
      class: 'page',
      severity: 2,
      state: 'open',
      route: 'routine',
      summary: `${name} at ${shop ?? 'the fleet'}`,
      facts: {},
      evidence: '/api/v1/signals',
      runbook: name,
      destination: null,
      signals: 1,
      shops: 1,
      count: 1,
      firstSeenAt: nowAt,
      lastSeenAt: nowAt,
      openedAt: nowAt,
      closedAt: null,
      acknowledged: null,
      foldedInto: null,
      inhibitedBy: null,
      silencedBy: null,
      unwatchedSince: null,
      ...given,
      shop,
    });
    this.happens(id, 'opened');
    return id;
  }

  happens(
    id: string,
    change: AlertChange['change'],
    given: Partial<AlertView> = {},
    said: { actor?: string; detail?: string } = {},
  ): void {
    const alert = this.alerts.get(id);
    if (!alert) throw new Error(`there is no alert ${id}`);
    const closed = change === 'closed' ? { state: 'closed' as const, closedAt: this.clock.now() } : {};
    const after = { ...alert, ...closed, ...given };
    this.alerts.set(id, after);
    this.changes.push({
      seq: String(this.changes.length + 1),
      at: this.clock.now(),
      change,
      actor: said.actor ?? null,
      detail: said.detail ?? null,
      alert: after,
    });
  }

  gap(order: string, given: Partial<GapView> = {}): GapView {
    return {
      id: order,
      shop: 'acme.myshopify.com',
      destination: 'ga4',
      orderId: order,
      subjectId: order,
      kind: 'purchase',
      stage: 'logged',
      cause: 'no webhook',
      state: 'open',
      reason: null,
      soldAt: this.clock.now(),
      foundAt: this.clock.now(),
      requeues: 0,
      closedAt: null,
      ...given,
    };
  }

  /** Every duty until nothing is left to do, as its loop would. */
  async settle(incidents = this.incidents): Promise<void> {
    const { signal } = new AbortController();
    for (const duty of incidents.duties()) while ((await duty.round(signal)) === 'busy');
  }

  async lives(ms: number, stepMs = MINUTE): Promise<void> {
    for (const untilMs = this.clock.nowMs() + ms; this.clock.nowMs() < untilMs;) {
      this.clock.advance(Math.min(stepMs, untilMs - this.clock.nowMs()));
      await this.settle();
    }
  }

  async all(world?: World): Promise<IncidentView[]> {
    const { items } = await this.incidents.incidents({ state: 'all', ...(world && { world }) }, { limit: 200 });
    return items.reverse();
  }

  /** The only one. */
  async one(): Promise<IncidentView> {
    const all = await this.all();
    const [incident] = all;
    if (!incident || all.length > 1) throw new Error(`there are ${all.length} incidents`);
    return incident;
  }

  async timeline(): Promise<string[]> {
    const { id } = await this.one();
    return (await this.incidents.timeline(id)).map(({ kind, text }) => `${kind}: ${text}`);
  }

  /** Oldest first. */
  async told(): Promise<string[]> {
    const { id } = await this.one();
    return (await this.incidents.updates(id)).map(({ state, body }) => `${state}: ${body}`).reverse();
  }
}
