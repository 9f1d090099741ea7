import type { Clock } from '../clock.js';
import type { OrderBody } from '../shopify/order-body.js';
import { SHOPIFY_LIMITS, type Answer, type Transport } from '../shopify/post.js';
import type { Pool } from './pool.js';

/**
 * The handler as it was: each request is read, enriched and passed on to the destinations while Shopify waits, and only
 * then answered. Careful all the same: it answers 200 only for what arrived, knows what it has passed on already, and goes
 * on with work that Shopify has given up waiting for.
 */
export class PlainHandler implements Transport {
  /** When each order's purchase arrived at the destinations. */
  readonly arrivedAtMs = new Map<number, number>();
  /** Closed: nobody outside gets through. */
  isDoorOpen = true;

  constructor(
    private readonly clock: Clock,
    private readonly pool: Pool,
  ) {}

  post(_uri: string, headers: Readonly<Record<string, string>>, body: Buffer): Promise<Answer> {
    const { connectMs, totalMs } = SHOPIFY_LIMITS;
    if (!this.isDoorOpen) {
      return this.later<Answer>(connectMs, () => ({
        outcome: 'connect-timeout',
        detail: 'the door is closed',
        tookMs: connectMs,
      }));
    }
    const { doneAfterMs, engine } = this.pool.take();
    if (engine !== null && Number.isFinite(doneAfterMs)) {
      // Whatever Shopify makes of it: an engine that lives long enough ends what it has begun.
      this.clock.after(doneAfterMs, () => {
        if (!engine.isDead) this.passOn(headers, body);
      });
      if (doneAfterMs <= totalMs) {
        return this.later(doneAfterMs, () =>
          engine.isDead
            ? { outcome: 'broken', detail: 'the engine died', tookMs: doneAfterMs }
            : { outcome: 'answered', status: 200, tookMs: doneAfterMs },
        );
      }
    }
    return this.later<Answer>(totalMs, () => ({
      outcome: 'timeout',
      detail: `no answer within ${totalMs} ms`,
      tookMs: totalMs,
    }));
  }

  close(): void {
    // Nothing is held open.
  }

  private passOn(headers: Readonly<Record<string, string>>, body: Buffer): void {
    const topic = headers['X-Shopify-Topic'] ?? '';
    if (topic !== 'orders/paid' && topic !== 'orders/create') return;
    const order = JSON.parse(body.toString()) as Pick<OrderBody, 'id' | 'financial_status' | 'test'>;
    if (order.test || order.financial_status !== 'paid' || this.arrivedAtMs.has(order.id)) return;
    this.arrivedAtMs.set(order.id, this.clock.now());
  }

  private later<Result>(afterMs: number, result: () => Result): Promise<Result> {
    return new Promise((resolve) => {
      this.clock.after(afterMs, () => resolve(result()));
    });
  }
}
