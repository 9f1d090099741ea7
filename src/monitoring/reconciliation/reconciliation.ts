import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Logger } from '../../kernel/log.js';
import type {
  Destination,
  Kind,
  LedgerReader,
  LedgerVerdicts,
  PipelineReader,
  ReadBack,
  RegistryReader,
  Requeue,
} from '../../pipeline/contract.js';
import type {
  GapState,
  GapView,
  ProofView,
  ReconciliationDesk,
  ReconciliationState,
  ReconciliationView,
} from '../contract.js';
import type { Duty } from '../../kernel/duty.js';
import type { SignalBook } from '../signals/signal-book.js';
import { GapStore } from './gap-store.js';
import type { Listing } from './listing.js';
import { InboxGapWatch } from './inbox-gap-watch.js';
import { ReadBackCheck } from './read-back-check.js';
import { ReadBackStore } from './read-back-store.js';
import { Reconciler } from './reconciler.js';
import { Recovery } from './recovery.js';
import { RunStore, type Run } from './run-store.js';
import { missingFindings, partialFindings } from './signals.js';
import { SoldStore } from './sold-store.js';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Recovery usually takes seconds; what is not back by then is told. */
const TOLD_AFTER_MS = 5 * MINUTE_MS;
const GIVEN_UP_TOLD_MS = 7 * DAY_MS;
/** Shopify away for a while is no news; it is when the next hour's proof is in doubt. */
const HINDERED_TOLD_AFTER_MS = 30 * MINUTE_MS;

export interface ReconciliationDeps {
  database: Database;
  clock: Clock;
  log: Logger;
  signals: SignalBook;
  registry: RegistryReader;
  reader: Pick<PipelineReader, 'inboxGaps'>;
  ledger: LedgerReader;
  verdicts: LedgerVerdicts;
  requeue: Requeue;
  readBack: ReadBack;
  listing: Listing;
  takes: (destination: Destination) => ReadonlySet<Kind>;
}

/** Reconciliation, wired: comparing, reading back, bringing back, and what is said of it. */
export class Reconciliation implements ReconciliationDesk {
  readonly runs: RunStore;
  readonly reconciler: Reconciler;
  readonly recovery: Recovery;
  readonly readBackCheck: ReadBackCheck;
  private readonly gapStore: GapStore;
  private readonly inboxGaps: InboxGapWatch;
  private wakeUp: () => void = () => undefined;

  constructor(private readonly deps: ReconciliationDeps) {
    const { database, clock } = deps;
    this.runs = new RunStore(database, clock);
    this.gapStore = new GapStore(database, clock);
    const shared = { ...deps, gaps: this.gapStore };
    this.reconciler = new Reconciler({ ...shared, runs: this.runs, sold: new SoldStore(database, clock) });
    this.recovery = new Recovery(shared);
    this.inboxGaps = new InboxGapWatch({ ...deps, runs: this.runs });
    this.readBackCheck = new ReadBackCheck({ ...shared, store: new ReadBackStore(database, clock) });
  }

  duties(): Duty[] {
    return [
      { name: 'reconciliation', pauseMs: 1_000, round: (signal) => this.reconciler.round(signal) },
      { name: 'recovery', pauseMs: 1_000, round: (signal) => this.recovery.round(signal) },
      { name: 'read-back', pauseMs: 5_000, round: (signal) => this.readBackCheck.round(signal) },
      {
        name: 'reconciliation-signals',
        pauseMs: 10_000,
        round: async () => {
          await this.signal();
          await this.inboxGaps.look();
          return 'idle';
        },
      },
    ];
  }

  /** Told when a run has been asked for. */
  onRequest(wakeUp: () => void): void {
    this.wakeUp = wakeUp;
  }

  async request(shopDomain: string, from: Date, to: Date, actor: string): Promise<string | null> {
    const shop = this.deps.registry.shops().find(({ domain }) => domain === shopDomain);
    if (!shop) return null;
    return this.requestFor(shop.id, from, to, 'on-demand', actor);
  }

  /** For the rest of monitoring: a subscription was gone, stored webhooks are gone. */
  async requestFor(shopId: string, fromAt: Date, toAt: Date, why: string, actor = 'monitoring'): Promise<string> {
    const id = await this.reconciler.request(shopId, { fromAt, toAt }, why, actor);
    this.wakeUp();
    return id;
  }

  /** Whether a run has looked at all of its window and nothing of it is open any more. */
  async isProved(id: string): Promise<boolean> {
    return (await this.runs.run(id))?.state === 'complete';
  }

  async reconciliation(id: string): Promise<ReconciliationView | null> {
    const run = await this.runs.run(id);
    return run ? this.viewOf(run) : null;
  }

  async reconciliations(
    filter: { shop?: string; state?: ReconciliationState },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: ReconciliationView[]; nextCursor: string | null }> {
    const runs = await this.runs.list(
      {
        ...this.shopFilter(filter.shop),
        ...(filter.state === undefined ? {} : { state: filter.state }),
        ...(page.cursor === undefined ? {} : { beforeId: page.cursor }),
      },
      page.limit + 1,
    );
    const shown = runs.slice(0, page.limit);
    const items = await Promise.all(shown.map((run) => this.viewOf(run)));
    return { items, nextCursor: runs.length > page.limit ? (shown.at(-1)?.id ?? null) : null };
  }

  async gaps(
    filter: { shop?: string; state?: GapState | 'unrecovered'; reconciliation?: string; order?: string },
    page: { limit: number; cursor?: string },
  ): Promise<{ items: GapView[]; nextCursor: string | null }> {
    const gaps = await this.gapStore.list(
      {
        ...this.shopFilter(filter.shop),
        ...(filter.state === undefined ? {} : { state: filter.state }),
        ...(filter.reconciliation === undefined ? {} : { runId: filter.reconciliation }),
        ...(filter.order === undefined ? {} : { orderId: filter.order }),
        ...(page.cursor === undefined ? {} : { beforeId: page.cursor }),
      },
      page.limit + 1,
    );
    const shown = gaps.slice(0, page.limit);
    const items = shown.map(
      ({ id, shopId, destinationId, orderId, subjectId, kind, stage, cause, ...rest }): GapView => ({
        id,
        shop: this.domainOf(shopId),
        destination: this.nameOf(destinationId),
        orderId,
        subjectId,
        kind,
        stage,
        cause,
        state: rest.state,
        reason: rest.reason,
        soldAt: rest.soldAt,
        foundAt: rest.foundAt,
        requeues: rest.requeues,
        closedAt: rest.closedAt,
      }),
    );
    return { items, nextCursor: gaps.length > page.limit ? (shown.at(-1)?.id ?? null) : null };
  }

  async proofs(): Promise<ProofView[]> {
    const turns = new Map((await this.runs.turns()).map((turn) => [turn.shopId, turn]));
    return this.deps.registry.shops().flatMap((shop): ProofView[] => {
      const turn = turns.get(shop.id);
      if (!turn || shop.uninstalledAt !== null) return [];
      return [
        {
          shop: shop.domain,
          comparedFrom: turn.comparedFromAt,
          comparedUntil: turn.comparedUntilAt,
          nextRunAt: turn.nextRunAt,
          lastError: turn.lastError,
        },
      ];
    });
  }

  /** One look at what is to be said. */
  async signal(): Promise<void> {
    const { registry, clock, signals } = this.deps;
    const nowMs = clock.nowMs();
    const givenUpSinceAt = new Date(nowMs - GIVEN_UP_TOLD_MS);
    await this.recovery.recallGivenUp(givenUpSinceAt);
    const shops = registry.shops();
    const unrecovered = await this.gapStore.unrecovered(shops, new Date(nowMs - TOLD_AFTER_MS), givenUpSinceAt);
    await signals.replace('order-missing', null, missingFindings(unrecovered, registry));
    const hindered = await this.runs.hindered(new Date(nowMs - HINDERED_TOLD_AFTER_MS));
    await signals.replace('reconciliation-partial', null, partialFindings(hindered, registry));
  }

  private async viewOf(run: Run): Promise<ReconciliationView> {
    const gaps = await this.gapStore.countsOf(run.shopId, run.id);
    const sum = (states: readonly GapState[]): number =>
      gaps.filter(({ state }) => states.includes(state)).reduce((total, { count }) => total + count, 0);
    return {
      id: run.id,
      shop: this.domainOf(run.shopId),
      from: run.window.fromAt,
      to: run.window.toAt,
      why: run.why,
      requestedBy: run.requestedBy,
      state: run.state,
      detail: run.detail,
      notCovered: run.notCovered,
      counts: {
        sold: run.ordersListed,
        obligations: run.counts.map(({ destinationId, ...rest }) => ({
          destination: this.nameOf(destinationId),
          ...rest,
        })),
      },
      gaps: gaps.map(({ destinationId, ...rest }) => ({ ...rest, destination: this.nameOf(destinationId) })),
      requeued: gaps.reduce((total, { requeued }) => total + requeued, 0),
      recovered: sum(['recovered']),
      open: sum(['open', 'requeued']),
      requestedAt: run.requestedAt,
      startedAt: run.startedAt,
      listedAt: run.listedAt,
      finishedAt: run.finishedAt,
    };
  }

  private shopFilter(domain: string | undefined): { shopId?: string } {
    if (domain === undefined) return {};
    return { shopId: this.deps.registry.shops().find((shop) => shop.domain === domain)?.id ?? '-1' };
  }

  private domainOf(shopId: string): string {
    return this.deps.registry.shopById(shopId)?.domain ?? shopId;
  }

  private nameOf(destinationId: number): string {
    return this.deps.registry.destinationById(destinationId)?.name ?? String(destinationId);
  }
}
