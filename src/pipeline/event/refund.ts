import type { EventLine, Money, MoneyPair, PipelineEvent } from '../contract.js';
import { amountAt, pairAt, type Currencies } from './amounts.js';
import { eachAt, fieldsAt, idAt, instantAt, isFields, listAt, ownId, textAt, within, type Fields } from './fields.js';
import { quantityAt, readLine } from './line.js';
import { add, addPairs, multiplyPair, samePair, subtractPairs, sumPairs } from './money.js';
import { NoId, blankEvent, type ReadContext } from './read-context.js';

/** refunds/create: the refund is the subject, `order_id` says whose money went back. */
export function readRefund(body: Fields, context: ReadContext): PipelineEvent[] {
  const id = ownId(body);
  if (id === null) throw new NoId('the body has neither id nor admin_graphql_api_id');
  const orderId = idAt(body, 'order_id');
  if (orderId === null) throw new NoId('the refund does not say which order it belongs to (order_id)');
  const currencies = currenciesOf(body);
  const lines = eachAt(body, 'refund_line_items', (entry) => refundLine(entry, currencies));
  const taxes = eachAt(body, 'refund_line_items', (entry) => pairAt(entry, 'total_tax', currencies));
  const tax = sumPairs(taxes.filter((one) => one !== null));
  const subtotal = sumPairs(lines.map((line) => subtractPairs(multiplyPair(line.price, line.quantity), line.discount)));
  const createdAt = instantAt(body, 'created_at');
  return [
    {
      ...blankEvent(context, {
        kind: 'refund',
        subjectId: id,
        orderId,
        createdAt,
        occurredAt: instantAt(body, 'processed_at') ?? createdAt,
        attributes: {},
        browserIdentity: `order:${orderId}`,
        customer: null,
      }),
      test: listAt(body, 'transactions').some((transaction) => transaction['test'] === true),
      total: refundedTotal(body, currencies, subtotal, tax),
      subtotal,
      tax,
      lines,
    },
  ];
}

/** The line as it was refunded: the refunded quantity, and the discount that explains the refunded subtotal. */
function refundLine(entry: Fields, currencies: Currencies): EventLine {
  const lineItem = fieldsAt(entry, 'line_item') ?? {};
  const line = within('line_item', () => readLine(lineItem, currencies));
  const quantity = quantityAt(entry);
  const subtotal = pairAt(entry, 'subtotal', currencies);
  const full = multiplyPair(line.price, quantity);
  return {
    ...line,
    lineId: line.lineId ?? idAt(entry, 'line_item_id'),
    quantity,
    discount: subtotal === null ? line.discount : subtractPairs(full, subtotal),
  };
}

/**
 * The money that went back. Transactions are the truth: a refund can give more or less than its lines. They carry one
 * currency each (none = the shop's); a view in another currency is told from the lines, which have both.
 */
function refundedTotal(
  body: Fields,
  currencies: Currencies,
  subtotal: MoneyPair | null,
  tax: MoneyPair | null,
): MoneyPair | null {
  const fromLines = subtotal === null ? null : tax === null ? subtotal : addPairs(subtotal, tax);
  let paidBack: Money | null = null;
  for (const [index, transaction] of listAt(body, 'transactions').entries()) {
    if (transaction['kind'] !== 'refund' || transaction['status'] !== 'success') continue;
    const amount = within(`transactions[${index}]`, () => amountAt(transaction, 'amount'));
    if (amount === null) continue;
    const currency = textAt(transaction, 'currency') ?? currencies.plain;
    if (paidBack !== null && paidBack.currency !== currency) return fromLines ?? samePair(paidBack);
    paidBack = { amount: paidBack === null ? amount : add(paidBack.amount, amount), currency };
  }
  if (paidBack === null) return fromLines;
  if (fromLines === null) return samePair(paidBack);
  return {
    shop: fromLines.shop.currency === paidBack.currency ? paidBack : fromLines.shop,
    presentment: fromLines.presentment.currency === paidBack.currency ? paidBack : fromLines.presentment,
  };
}

/** A refund names no currency of its own; its sets and its transactions do. */
function currenciesOf(body: Fields): Currencies {
  const firstLine = listAt(body, 'refund_line_items')[0];
  const set = firstLine?.['subtotal_set'] ?? body['total_duties_set'];
  const shopMoney = isFields(set) ? set['shop_money'] : undefined;
  const fromSet = isFields(shopMoney) ? textAt(shopMoney, 'currency_code') : null;
  const transaction = listAt(body, 'transactions')[0];
  return { plain: fromSet ?? (transaction === undefined ? null : textAt(transaction, 'currency')) ?? '' };
}
