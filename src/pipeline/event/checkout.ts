import type { PipelineEvent } from '../contract.js';
import { pairAt, type Currencies } from './amounts.js';
import { customerOf } from './customer.js';
import { instantAt, ownId, textAt, type Fields } from './fields.js';
import { attributesOf, couponsOf, readLines, shippingLinesTotal } from './line.js';
import { NoId, blankEvent, identityOf, type ReadContext } from './read-context.js';

/** checkouts/create. Its subject is the token: newer API versions send no id at all. */
export function readCheckout(body: Fields, context: ReadContext): PipelineEvent[] {
  const token = textAt(body, 'token');
  const subjectId = token ?? ownId(body);
  if (subjectId === null) throw new NoId('the body has neither token nor id');
  const currencies: Currencies = { plain: textAt(body, 'presentment_currency') ?? textAt(body, 'currency') ?? '' };
  const customer = customerOf(body);
  const createdAt = instantAt(body, 'created_at');
  return [
    {
      ...blankEvent(context, {
        kind: 'checkout-started',
        subjectId,
        orderId: subjectId,
        createdAt,
        occurredAt: createdAt,
        attributes: attributesOf(body),
        browserIdentity: identityOf(customer, `checkout:${subjectId}`),
        customer,
        landingSite: textAt(body, 'landing_site'),
      }),
      channel: textAt(body, 'source_name'),
      test: body['test'] === true,
      total: pairAt(body, 'total_price', currencies),
      subtotal: pairAt(body, 'subtotal_price', currencies),
      shipping: shippingLinesTotal(body, currencies),
      tax: pairAt(body, 'total_tax', currencies),
      discount: pairAt(body, 'total_discounts', currencies),
      coupons: couponsOf(body),
      lines: readLines(body, currencies),
      checkoutToken: token,
    },
  ];
}
