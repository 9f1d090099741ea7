import { afterAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { Databases } from '../../../simulation/databases.js';
import type { FarSideName } from '../../../simulation/far-sides.js';
import { Stage } from '../../../simulation/stage.js';
import { Database } from '../../../src/kernel/database.js';
import { silentLogger } from '../../../src/kernel/log.js';
import type { GapView, ReconciliationView } from '../../../src/monitoring/contract.js';

const START = Date.UTC(2026, 10, 27, 12);
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const TOPICS = ['orders/create', 'orders/paid', 'orders/updated', 'orders/cancelled', 'refunds/create'] as const;

const databases = new Databases((name) => inject('serverUrl').replace('{database}', name), `gaps_${process.pid}`);
afterAll(() => databases.end());

/** A store that sells to three destinations, and somebody who makes a hole in it. */
class PlantedStage {
  readonly database: Database;

  private constructor(readonly stage: Stage) {
    this.database = new Database({ url: stage.databaseUrl, log: silentLogger, poolSize: 2 });
  }

  static async open(farSides: readonly FarSideName[] = ['ga4', 'lake', 'hook'], seed = 1): Promise<PlantedStage> {
    const stage = await Stage.start({
      databases,
      seed,
      startAtMs: START,
      storeCount: 1,
      ordersPerSecond: 0,
      removal: 'subscription',
      topics: TOPICS,
      farSides,
    });
    stage.open();
    const planted = new PlantedStage(stage);
    await planted.live(5 * MINUTE); // the first comparison of an empty shop
    return planted;
  }

  get domain(): string {
    return [...this.stage.world.shops.keys()][0] ?? '';
  }

  get nowMs(): number {
    return this.stage.timeline.nowMs;
  }

  /** Lives on, in steps as long as the duties' pauses. */
  async live(ms: number, stepMs = 30 * SECOND): Promise<void> {
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs;) {
      await this.stage.live(Math.min(untilMs, this.nowMs + stepMs));
    }
  }

  /** @returns its id */
  sell(wish: Parameters<Stage['world']['sellOne']>[1] = {}): string {
    return this.stage.world.sellOne(this.domain, { quiet: true, channel: 'web', ...wish }).orderId;
  }

  /** Sells without anybody being told. */
  async sellUntold(count = 1): Promise<string[]> {
    this.stage.world.make({ kind: 'drop', store: null, share: 1 });
    const ids = Array.from({ length: count }, () => this.sell());
    await this.live(30 * SECOND);
    this.stage.world.make({ kind: 'drop', store: null, share: 0 });
    return ids;
  }

  /** Compares a window of its own, and lives until the run has ended. */
  async reconcile(fromMs: number, toMs: number): Promise<ReconciliationView> {
    const desk = this.stage.product.monitoring.reconciliation;
    const id = (await desk.request(this.domain, new Date(fromMs), new Date(toMs), 'test')) ?? '';
    for (let minutes = 0; minutes < 30; minutes++) {
      await this.live(MINUTE);
      const run = await desk.reconciliation(id);
      if (run?.finishedAt != null) return run;
    }
    throw new Error(`reconciliation ${id} did not end: ${JSON.stringify(await desk.reconciliation(id))}`);
  }

  async gaps(): Promise<GapView[]> {
    return (await this.stage.product.monitoring.reconciliation.gaps({}, { limit: 200 })).items;
  }

  async openSignals(): Promise<string[]> {
    const { items } = await this.stage.product.monitoring.signals.signals({}, { limit: 50 });
    return items.map(({ kind, subject }) => `${kind} ${subject}`);
  }

  async inWarehouse(orderId: string): Promise<number> {
    const rows = await this.stage.farSides.warehouseRows();
    return rows.filter((row) => row.subjectId === orderId && row.kind === 'purchase').length;
  }

  /** Events that the webhook destination was sent more than once. */
  hookRepeats(): number {
    return this.stage.farSides.hook.webhookIds.repeats;
  }

  async stop(): Promise<void> {
    await this.database.end();
    await this.stage.stop();
  }
}

let planted: PlantedStage;
const stop: (() => Promise<void>)[] = [];
beforeEach(async () => {
  for (const each of stop.splice(0)) await each();
});
afterAll(async () => {
  for (const each of stop.splice(0)) await each();
});

async function open(farSides?: readonly FarSideName[]): Promise<PlantedStage> {
  planted = await PlantedStage.open(farSides);
  stop.push(() => planted.stop());
  return planted;
}

const stagesOf = (gaps: readonly GapView[]): Set<string> =>
  new Set(gaps.map(({ orderId, kind, stage, state }) => `${orderId} ${kind} ${stage} ${state}`));

describe('a shop whose orders all arrive', () => {
  it('is proved, and nothing is reported', async () => {
    await open();
    const fromMs = planted.nowMs;
    const orders = Array.from({ length: 5 }, () => planted.sell());
    planted.sell({ test: true });
    planted.sell({ unpaid: true });
    planted.sell({ free: true });
    await planted.live(10 * MINUTE);
    const run = await planted.reconcile(fromMs, planted.nowMs - 4 * MINUTE);
    expect(run).toMatchObject({ state: 'complete', gaps: [], requeued: 0, open: 0, counts: { sold: 8 } });
    expect(await planted.gaps()).toEqual([]);
    expect(await planted.openSignals()).toEqual([]);
    for (const orderId of orders) expect(await planted.inWarehouse(orderId)).toBe(1);
    expect(planted.hookRepeats()).toBe(0);
  });
});

describe('a planted gap', () => {
  it('of webhooks that never came is found at "logged" for each destination, and filled', async () => {
    await open();
    const fromMs = planted.nowMs;
    const told = planted.sell();
    await planted.live(MINUTE);
    const untold = await planted.sellUntold(3);
    await planted.live(10 * MINUTE);
    const run = await planted.reconcile(fromMs, planted.nowMs - 4 * MINUTE);
    expect(run).toMatchObject({ state: 'complete', open: 0, counts: { sold: 4 } });
    const gaps = await planted.gaps();
    expect(stagesOf(gaps)).toEqual(new Set(untold.map((id) => `${id} purchase logged recovered`)));
    expect(gaps).toHaveLength(3 * 3);
    for (const orderId of [told, ...untold]) expect(await planted.inWarehouse(orderId)).toBe(1);
    expect(planted.hookRepeats()).toBe(0);
  });

  it('of a payment that was never told is found, and the order is delivered once', async () => {
    await open();
    const fromMs = planted.nowMs;
    const orderId = planted.sell({ unpaid: true });
    await planted.live(MINUTE);
    planted.stage.world.make({ kind: 'drop', store: null, share: 1 });
    planted.stage.world.step(planted.domain, Number(orderId), 'pay');
    await planted.live(MINUTE);
    planted.stage.world.make({ kind: 'drop', store: null, share: 0 });
    await planted.live(10 * MINUTE);
    await planted.reconcile(fromMs, planted.nowMs - 4 * MINUTE);
    const gaps = (await planted.gaps()).filter(({ kind }) => kind === 'purchase');
    expect(stagesOf(gaps)).toEqual(new Set([`${orderId} purchase logged recovered`]));
    expect(await planted.inWarehouse(orderId)).toBe(1);
  });

  it('of refunds and cancellations is found and filled, each as its own event', async () => {
    await open(['lake', 'hook']);
    const fromMs = planted.nowMs;
    const [refunded, cancelled] = [planted.sell(), planted.sell()];
    await planted.live(2 * MINUTE);
    planted.stage.world.make({ kind: 'drop', store: null, share: 1 });
    planted.stage.world.step(planted.domain, Number(refunded), 'refund-part');
    planted.stage.world.step(planted.domain, Number(cancelled), 'cancel');
    await planted.live(2 * MINUTE);
    planted.stage.world.make({ kind: 'drop', store: null, share: 0 });
    await planted.live(10 * MINUTE);
    const run = await planted.reconcile(fromMs, planted.nowMs - 4 * MINUTE);
    expect(run).toMatchObject({ state: 'complete', open: 0 });
    const kinds = new Set((await planted.gaps()).map(({ orderId, kind, state }) => `${orderId} ${kind} ${state}`));
    expect(kinds).toContain(`${refunded} refund recovered`);
    expect(kinds).toContain(`${cancelled} order-cancelled recovered`);
    expect([...kinds].filter((one) => one.includes('purchase'))).toEqual([]);
  });

  it('of a delivery that somebody deleted is found at "accepted", and filled', async () => {
    await open(['lake', 'hook']);
    const fromMs = planted.nowMs;
    planted.stage.farSides.hook.misbehave({ mode: 'status', code: 503 });
    const orderId = planted.sell();
    await planted.live(MINUTE);
    await planted.database.query('delete from pipeline.delivery');
    planted.stage.farSides.hook.misbehave({ mode: 'ok' });
    await planted.live(10 * MINUTE);
    await planted.reconcile(fromMs, planted.nowMs - 4 * MINUTE);
    expect(stagesOf((await planted.gaps()).filter(({ kind }) => kind === 'purchase'))).toEqual(
      new Set([`${orderId} purchase accepted recovered`]),
    );
    expect(planted.stage.farSides.hook.events.size).toBeGreaterThan(0);
    expect(planted.hookRepeats()).toBe(0);
  });

  it('of rows that somebody deleted in the warehouse is found at "received" by reading back, and filled', async () => {
    await open(['lake']);
    const orderId = planted.sell();
    const kept = planted.sell();
    await planted.live(10 * SECOND, 5 * SECOND);
    expect(await planted.inWarehouse(orderId)).toBe(1);
    await planted.stage.farSides.warehouse.query('delete from plumbline_events where subject_id = $1', [orderId]);
    await planted.live(40 * MINUTE, MINUTE);
    expect(await planted.inWarehouse(orderId)).toBe(1);
    expect(await planted.inWarehouse(kept)).toBe(1);
    const gaps = (await planted.gaps()).filter(({ kind }) => kind === 'purchase');
    expect(stagesOf(gaps)).toEqual(new Set([`${orderId} purchase received recovered`]));
  });

  it('on the edges of windows of one second is found once, and nothing beside it', async () => {
    await open(['lake']);
    const untold: string[] = [];
    const fromMs = planted.nowMs;
    for (let second = 0; second < 3; second++) {
      planted.stage.world.make({ kind: 'drop', store: null, share: 1 });
      untold.push(planted.sell());
      await planted.live(SECOND, SECOND);
    }
    planted.stage.world.make({ kind: 'drop', store: null, share: 0 });
    await planted.live(10 * MINUTE);
    const runs: ReconciliationView[] = [];
    for (let second = 0; second < 6; second++) {
      runs.push(await planted.reconcile(fromMs + second * SECOND, fromMs + (second + 1) * SECOND));
    }
    expect(runs.reduce((sum, { counts }) => sum + counts.sold, 0)).toBe(3);
    expect(new Set((await planted.gaps()).map(({ orderId }) => orderId))).toEqual(new Set(untold));
    expect(await planted.gaps()).toHaveLength(3);
  });

  it('on the border of pages is found, and every order is listed once', async () => {
    await open(['lake']);
    const fromMs = planted.nowMs;
    for (let order = 0; order < 260; order++) planted.sell();
    await planted.live(2 * MINUTE);
    const untold = await planted.sellUntold(2);
    for (let order = 0; order < 260; order++) planted.sell();
    await planted.live(10 * MINUTE);
    const run = await planted.reconcile(fromMs, planted.nowMs - 4 * MINUTE);
    expect(run).toMatchObject({ state: 'complete', counts: { sold: 522 } });
    expect(stagesOf(await planted.gaps())).toEqual(new Set(untold.map((id) => `${id} purchase logged recovered`)));
  });
});

describe('while the Admin API', () => {
  it('is away, nothing is called lost, and the run goes on where it was', async () => {
    await open(['lake']);
    const fromMs = planted.nowMs;
    for (let order = 0; order < 3; order++) planted.sell();
    const untold = await planted.sellUntold(1);
    await planted.live(10 * MINUTE);
    planted.stage.world.make({ kind: 'admin', mode: 'unavailable' });
    const desk = planted.stage.product.monitoring.reconciliation;
    const toMs = planted.nowMs - 4 * MINUTE;
    const id = (await desk.request(planted.domain, new Date(fromMs), new Date(toMs), 'test')) ?? '';
    await planted.live(40 * MINUTE, MINUTE);
    expect(await desk.reconciliation(id)).toMatchObject({ state: 'partial', gaps: [], counts: { sold: 0 } });
    expect(await planted.gaps()).toEqual([]);
    expect(await planted.openSignals()).toContain(`reconciliation-partial ${planted.domain}`);
    expect(await planted.openSignals()).not.toContainEqual(expect.stringContaining('order-missing'));
    planted.stage.world.make({ kind: 'admin', mode: 'none' });
    await planted.live(40 * MINUTE, MINUTE);
    expect(await desk.reconciliation(id)).toMatchObject({ state: 'complete', counts: { sold: 4 }, open: 0 });
    expect(new Set((await planted.gaps()).map(({ orderId }) => orderId))).toEqual(new Set(untold));
    expect(await planted.openSignals()).toEqual([]);
  });

  it('refuses the token, the run is blind and says why', async () => {
    await open(['lake']);
    const fromMs = planted.nowMs;
    planted.sell();
    await planted.live(10 * MINUTE);
    planted.stage.world.make({ kind: 'admin', mode: 'frozen' });
    const desk = planted.stage.product.monitoring.reconciliation;
    const id = (await desk.request(planted.domain, new Date(fromMs), new Date(fromMs + MINUTE), 'test')) ?? '';
    await planted.live(15 * MINUTE, MINUTE);
    const run = await desk.reconciliation(id);
    expect(run?.detail).toContain('402');
    expect(await planted.gaps()).toEqual([]);
  });
});
