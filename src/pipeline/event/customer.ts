import type { EventCustomer, PipelineEvent } from '../contract.js';
import { fieldsAt, idAt, instantAt, ownId, textAt, within, type Fields } from './fields.js';
import { NoId, blankEvent, type ReadContext } from './read-context.js';
import type { WantedFields } from './wanted-json.js';

/** What `customerOf` reads of the customer. */
export const WANTED_OF_CUSTOMER: WantedFields = {
  id: true,
  email: true,
  phone: true,
  first_name: true,
  last_name: true,
  orders_count: true,
};

/** The buyer of an order or a checkout; `null` for a POS sale without one and after a redaction. */
export function customerOf(body: Fields): EventCustomer | null {
  const customer = fieldsAt(body, 'customer');
  if (customer === null) return null;
  return {
    ...personOf(customer),
    id: within('customer', () => idAt(customer, 'id')),
    email: textAt(customer, 'email') ?? textAt(body, 'email'),
    phone: textAt(customer, 'phone') ?? textAt(body, 'phone'),
  };
}

function personOf(customer: Fields): Omit<EventCustomer, 'id'> {
  const ordersCount = customer['orders_count'];
  return {
    email: textAt(customer, 'email'),
    phone: textAt(customer, 'phone'),
    firstName: textAt(customer, 'first_name'),
    lastName: textAt(customer, 'last_name'),
    // The count includes the order at hand. Newer API versions leave it out: then nobody knows yet, see enrichment.
    returning: typeof ordersCount === 'number' ? ordersCount > 1 : null,
  };
}

/** customers/create */
export function readCustomer(body: Fields, context: ReadContext): PipelineEvent[] {
  const id = ownId(body);
  if (id === null) throw new NoId('the body has neither id nor admin_graphql_api_id');
  const createdAt = instantAt(body, 'created_at');
  return [
    blankEvent(context, {
      kind: 'customer-created',
      subjectId: id,
      orderId: id,
      createdAt,
      occurredAt: createdAt,
      attributes: {},
      browserIdentity: `customer:${id}`,
      customer: { ...personOf(body), id },
    }),
  ];
}
