import type { Clock } from '../../kernel/clock.js';
import type { AdminAnswer, Shop, ShopifyAdmin, ShopifyFiles } from '../../pipeline/contract.js';
import { BulkLines } from './bulk-lines.js';
import { LOOK, POLL, RUN, begunOf, bulkQuery, markedIn, standingOf, type Standing } from './bulk-operation.js';
import { bulkPositionOf, type Looking, type Position, type Reading, type Waiting } from './bulk-position.js';
import { UnreadableNode } from './listed-order.js';
import type { Listing, ListingPosition, ListingStep, ListingWindow } from './listing.js';
import { OpenBulkFiles } from './open-bulk-files.js';
import { failureOf, misreadSearch, searchOf } from './page-listing.js';

const BATCH = 1_000;
const POLL_MIN_MS = 1_000;
const POLL_MAX_MS = 60_000;
/** Operations wait their turn at Shopify, and a great one takes hours; one that stands still for this long is told. */
const NO_PROGRESS_MS = 3_600_000;
const FULL_PAUSE_MS = 60_000;
const RESTART_PAUSE_MS = 60_000;
const RESTARTS_MAX = 3;
const CUT_PAUSE_MS = 5_000;
const AWAY_PAUSE_MS = 60_000;

export interface BulkListingDeps {
  admin: ShopifyAdmin;
  files: ShopifyFiles;
  clock: Clock;
  /** Orders a step. */
  batch?: number;
}

/**
 * Lists by one of Shopify's bulk operations: for windows that would take pages by the hundred.
 *
 * Invariant: one operation a position. Before it is begun, its mark is in the position that is kept, and whoever comes
 * next looks for an operation with that mark first: a crash, or an answer that got lost, begins no second one.
 * Invariant: the window is only called complete when a whole file of a completed operation has been read, with as many
 * orders as Shopify says that it found.
 */
export class BulkListing implements Listing {
  private readonly open = new OpenBulkFiles();

  constructor(private readonly deps: BulkListingDeps) {}

  async step(shop: Shop, window: ListingWindow, position: ListingPosition, signal: AbortSignal): Promise<ListingStep> {
    const at = bulkPositionOf(position);
    switch (at?.state) {
      case undefined:
        return goOn({ state: 'looking', mark: this.markOf(shop, window), restarts: 0 });
      case 'looking':
        return this.begin(shop, window, at, signal);
      case 'waiting':
        return this.poll(shop, at, signal);
      case 'reading':
        return this.read(shop, at, signal);
    }
  }

  /** Lets go of open files. Positions stay good. */
  close(): void {
    this.open.close();
  }

  private async begin(shop: Shop, window: ListingWindow, at: Looking, signal: AbortSignal): Promise<ListingStep> {
    const { admin } = this.deps;
    const search = searchOf(window.fromAt, window.toAt);
    const mark = `${at.mark}/${at.restarts}`;
    const looked = await admin.query(shop, LOOK, { search }, signal);
    if (looked.outcome !== 'data') return failureOf(looked, { ...at });
    const misread = misreadSearch(looked.extensions);
    if (misread !== null) return { outcome: 'blind', detail: misread };
    const found = markedIn(looked.data, mark);
    if (found !== null) return this.waitFor(at, found);
    const ran = await admin.query(shop, RUN, { query: bulkQuery(search, mark) }, signal);
    if (ran.outcome !== 'data') return failureOf(ran, { ...at });
    const begun = begunOf(ran.data);
    switch (begun.outcome) {
      case 'begun':
        return this.waitFor(at, begun.operationId);
      case 'full':
        return {
          outcome: 'later',
          detail: 'Shopify runs as many bulk operations of this shop as it may; ours waits for its place',
          retryAfterMs: FULL_PAUSE_MS,
          position: { ...at },
        };
      case 'refused':
        return { outcome: 'blind', detail: `Shopify refuses the bulk operation: ${begun.detail}` };
    }
  }

  private waitFor({ mark, restarts }: Looking, operationId: string): ListingStep {
    const now = this.deps.clock.now().toISOString();
    const position: Waiting = {
      state: 'waiting',
      mark,
      restarts,
      operationId,
      begunAt: now,
      objects: 0,
      progressAt: now,
    };
    return later(`bulk operation ${operationId} has begun`, POLL_MIN_MS, position, true);
  }

  /** The window alone would not do: asked for again, it is listed again. */
  private markOf(shop: Shop, { fromAt, toAt }: ListingWindow): string {
    return [shop.id, ...[fromAt, toAt, this.deps.clock.now()].map((at) => at.toISOString())].join('/');
  }

  private async poll(shop: Shop, at: Waiting, signal: AbortSignal): Promise<ListingStep> {
    const standing = await this.standing(shop, at.operationId, signal);
    if ('outcome' in standing) return failureOf(standing, { ...at });
    if (standing.standing === 'running') return this.goOnWaiting(at, standing.objects);
    if (standing.standing !== 'ready') return this.ended(at, standing);
    const { mark, restarts, operationId } = at;
    const reading: Reading = {
      state: 'reading',
      mark,
      restarts,
      operationId,
      expected: standing.orders,
      byte: 0,
      orders: 0,
    };
    return this.readFrom(shop, reading, standing.url, signal);
  }

  private goOnWaiting(at: Waiting, objects: number): ListingStep {
    const nowMs = this.deps.clock.nowMs();
    const position = objects > at.objects ? { ...at, objects, progressAt: new Date(nowMs).toISOString() } : at;
    const ageMs = nowMs - Date.parse(at.begunAt);
    const pauseMs = Math.min(POLL_MAX_MS, Math.max(POLL_MIN_MS, ageMs / 10));
    if (nowMs - Date.parse(position.progressAt) >= NO_PROGRESS_MS) {
      const detail = `bulk operation ${at.operationId} has made no progress since ${position.progressAt}`;
      return later(detail, pauseMs, position, false);
    }
    return later(`bulk operation ${at.operationId} runs, ${objects} objects so far`, pauseMs, position, true);
  }

  private async read(shop: Shop, at: Reading, signal: AbortSignal): Promise<ListingStep> {
    const lines = this.open.take(at.operationId, at.byte);
    if (lines) return this.take(at, lines, signal);
    // The address is asked for anew each time: it is a secret, so it is not kept in the position.
    const standing = await this.standing(shop, at.operationId, signal);
    if ('outcome' in standing) return failureOf(standing, { ...at });
    if (standing.standing === 'ready') return this.readFrom(shop, at, standing.url, signal);
    if (standing.standing !== 'running') return this.ended(at, standing);
    return this.again(at, 'Shopify says that it runs again');
  }

  private async readFrom(shop: Shop, at: Reading, url: string, signal: AbortSignal): Promise<ListingStep> {
    const opened = await this.deps.files.open(shop, url, at.byte, signal);
    switch (opened.outcome) {
      case 'open':
        return this.take(at, new BulkLines(opened.body, at.byte), signal);
      case 'gone':
        return this.again(at, `its result cannot be fetched: ${opened.detail}`);
      case 'later':
        return later(`the result of the bulk operation is away: ${opened.detail}`, AWAY_PAUSE_MS, at, false);
      case 'refused':
        return { outcome: 'blind', detail: `the result of the bulk operation may not be fetched: ${opened.detail}` };
    }
  }

  private async take(at: Reading, lines: BulkLines, signal: AbortSignal): Promise<ListingStep> {
    const stop = (): void => lines.close();
    signal.addEventListener('abort', stop, { once: true });
    try {
      const { orders, byte, then, detail } = await lines.batch(this.deps.batch ?? BATCH);
      const position: Reading = { ...at, byte, orders: at.orders + orders.length };
      if (then === 'more') this.open.keep(at.operationId, lines);
      else lines.close();
      if (then === 'end') {
        if (position.orders < (at.expected ?? 0)) {
          return this.again(at, `its file holds ${position.orders} orders of ${at.expected}`);
        }
        return { outcome: 'orders', orders, position: null, complete: true, notCovered: null };
      }
      if (then === 'cut' && orders.length === 0) {
        return later(`the download of the bulk operation’s result was cut: ${detail}`, CUT_PAUSE_MS, at, false);
      }
      return { outcome: 'orders', orders, position: { ...position }, complete: false, notCovered: null };
    } catch (error) {
      lines.close();
      if (error instanceof UnreadableNode) return { outcome: 'blind', detail: error.message };
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  private ended(at: Waiting | Reading, standing: Exclude<Standing, { standing: 'ready' | 'running' }>): ListingStep {
    switch (standing.standing) {
      case 'empty':
        return { outcome: 'orders', orders: [], position: null, complete: true, notCovered: null };
      case 'denied':
        return { outcome: 'blind', detail: 'the app lacks a scope that the bulk operation needs' };
      case 'lost':
        return this.again(at, standing.why);
    }
  }

  /** Another operation, from the beginning; what has been listed comes again. */
  private again({ mark, restarts, operationId }: Waiting | Reading, why: string): ListingStep {
    const detail = `bulk operation ${operationId} gave no whole result: ${why}`;
    if (restarts + 1 >= RESTARTS_MAX)
      return { outcome: 'blind', detail: `${detail}; it was the last of ${RESTARTS_MAX} tries` };
    const position: Looking = { state: 'looking', mark, restarts: restarts + 1 };
    return later(`${detail}; another one begins`, RESTART_PAUSE_MS * 2 ** restarts, position, false);
  }

  private async standing(
    shop: Shop,
    id: string,
    signal: AbortSignal,
  ): Promise<Standing | Exclude<AdminAnswer, { outcome: 'data' }>> {
    const polled = await this.deps.admin.query(shop, POLL, { id }, signal);
    return polled.outcome === 'data' ? standingOf(polled.data, this.deps.clock.nowMs()) : polled;
  }
}

function goOn(position: Position): ListingStep {
  return { outcome: 'orders', orders: [], position: { ...position }, complete: false, notCovered: null };
}

function later(detail: string, retryAfterMs: number, position: Position, underWay: boolean): ListingStep {
  return { outcome: 'later', detail, retryAfterMs, position: { ...position }, ...(underWay && { underWay }) };
}
