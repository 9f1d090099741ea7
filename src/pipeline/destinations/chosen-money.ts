import type { Destination, EventLine, MoneyPair, PipelineEvent } from '../contract.js';
import type { DeliveryItem } from './adapter.js';
import { add, multiply, subtract } from '../event/money.js';

/**
 * One event's money as one destination wants it: the shop's currency or the buyer's, the same for every amount of the
 * event. Amounts stay decimal strings; a destination turns them into numbers at its door, if it must.
 */
export class ChosenMoney {
  readonly view: 'shop' | 'presentment';

  constructor(
    private readonly item: DeliveryItem,
    destination: Destination,
  ) {
    this.view = destination.settings.money;
  }

  amount(pair: MoneyPair | null): string | null {
    return pair === null ? null : pair[this.view].amount;
  }

  /** ISO 4217, or `null` when neither the webhook nor the shop's settings tell. */
  get currency(): string | null {
    const { event, shop } = this.item;
    const pair = event.total ?? event.subtotal ?? event.lines[0]?.price ?? null;
    return pair?.[this.view].currency || shop.settings.currency || null;
  }

  /** What a line costs with its discount. */
  lineTotal(line: EventLine): string {
    return subtract(multiply(line.price[this.view].amount, line.quantity), line.discount[this.view].amount);
  }

  /**
   * Σ price × quantity, discounts taken off, without shipping (and without tax, where prices do not include it):
   * GA4's `value` and Segment's `revenue`. A refund of an amount without lines is that amount.
   */
  goods(event: PipelineEvent): string {
    if (event.lines.length === 0) return this.amount(event.total) ?? '0';
    return event.lines.map((line) => this.lineTotal(line)).reduce(add);
  }
}
