import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { SeededRandom } from '../../src/kernel/random.js';
import { nextId, orderBody, refundBody } from '../support/orders.js';
import { signedWebhook, type SignedWebhook } from '../support/shopify-webhook.js';

export const SECRET = 'crash-secret';
export const SHOP = 'crash.myshopify.com';

/** A webhook that was answered 200: from here on it is the service's. */
export interface Sent {
  webhookId: string;
  kind: 'purchase' | 'refund';
  /** The order, or the refund. */
  subjectId: string;
  orderId: string;
}

interface Outgoing extends Sent {
  webhook: SignedWebhook;
}

const REPEAT_SHARE = 0.12;
const SECOND_WEBHOOK_SHARE = 0.1;
const REFUND_SHARE = 0.08;

/** Shopify's side of the crash test: sends, repeats until it is answered, and remembers what was. */
export class Senders {
  readonly answered: Sent[] = [];
  /** How many times something already answered was sent again. */
  repeatsSent = 0;
  private readonly past: Outgoing[] = [];
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 64 });
  private running: Promise<void>[] = [];
  private stopped = false;

  constructor(
    private readonly service: string,
    private readonly random: SeededRandom,
  ) {}

  start(count: number): void {
    this.running = Array.from({ length: count }, () => this.loop());
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.running);
    this.agent.destroy();
  }

  private async loop(): Promise<void> {
    while (!this.stopped) {
      const repeated = this.past.length > 0 && this.random.next() < REPEAT_SHARE ? this.random.pick(this.past) : null;
      const outgoing = repeated ?? this.next();
      if (await this.untilAnswered(outgoing)) {
        if (repeated) this.repeatsSent += 1;
        else this.remember(outgoing);
      }
      await pause(this.random.integer(5, 60));
    }
  }

  private remember({ webhook, ...sent }: Outgoing): void {
    this.answered.push(sent);
    this.past.push({ webhook, ...sent });
    if (this.past.length > 500) this.past.shift();
  }

  /** As Shopify does, only sooner: the same id and body until there is a 200. */
  private async untilAnswered({ webhook }: Outgoing): Promise<boolean> {
    while (!this.stopped) {
      if ((await this.post(webhook)) === 200) return true;
      await pause(this.random.integer(50, 250));
    }
    return false;
  }

  private next(): Outgoing {
    const dice = this.random.next();
    const past = this.past.length > 0 ? this.random.pick(this.past) : null;
    if (past && past.kind === 'purchase' && dice < REFUND_SHARE) {
      const subjectId = nextId();
      return this.outgoing('refund', 'refunds/create', subjectId, past.orderId, refundBody(past.orderId, subjectId));
    }
    if (past && past.kind === 'purchase' && dice < REFUND_SHARE + SECOND_WEBHOOK_SHARE) {
      // The same fact by another webhook: its own id, another topic.
      return this.outgoing('purchase', 'orders/create', past.orderId, past.orderId, orderBody({ id: past.orderId }));
    }
    const id = nextId();
    return this.outgoing('purchase', 'orders/paid', id, id, orderBody({ id }));
  }

  private outgoing(kind: Sent['kind'], topic: string, subjectId: string, orderId: string, body: string): Outgoing {
    const webhookId = this.random.uuid();
    const webhook = signedWebhook({ service: this.service, secret: SECRET, shop: SHOP, topic, body, webhookId });
    return { webhookId, kind, subjectId, orderId, webhook };
  }

  private post({ url, headers, body }: SignedWebhook): Promise<number> {
    return new Promise((resolve) => {
      const req = request(url, { method: 'POST', headers, agent: this.agent, timeout: 5_000 }, (res) => {
        res.resume();
        res.on('end', () => resolve(res.statusCode ?? 0));
        res.on('error', () => resolve(0));
      });
      req.on('timeout', () => req.destroy());
      req.on('error', () => resolve(0));
      req.end(body);
    });
  }
}
