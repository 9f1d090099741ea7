import type { Destination, DestinationKind, Kind, PipelineEvent, Shop } from '../../../src/pipeline/contract.js';
import type { DeliveryItem, SendItem } from '../../../src/pipeline/destinations/adapter.js';
import { eventId } from '../../../src/pipeline/event/event-id.js';
import { readWebhook } from '../../../src/pipeline/event/read-webhook.js';
import { entryOf } from '../event/entry.js';

const SHOP = 'acme.myshopify.com';

export const ACME: Shop = {
  id: '1',
  domain: SHOP,
  key: 'k',
  world: 'real',
  adminUrl: null,
  accessToken: null,
  settings: {},
  destinationIds: [1],
  links: [{ destinationId: 1, linkedAt: null }],
  subscriptions: 'shop',
  connectedAt: new Date(0),
  uninstalledAt: null,
};

const TOPICS: Record<Kind, string> = {
  purchase: 'orders/paid',
  'order-updated': 'orders/updated',
  'order-cancelled': 'orders/cancelled',
  refund: 'refunds/create',
  'checkout-started': 'checkouts/create',
  'customer-created': 'customers/create',
};

function pair(amount: string, seen: string): object {
  return {
    shop_money: { amount, currency_code: 'CAD' },
    presentment_money: { amount: seen, currency_code: 'EUR' },
  };
}

/** Two tees with a discount of 5.00 and a mug: 47.50 CAD of goods, 5.00 of shipping, 4.20 of tax. */
export function orderBody(id: number | string): Record<string, unknown> {
  return {
    id,
    name: `#${id}`,
    currency: 'CAD',
    created_at: '2026-11-23T07:00:00Z',
    processed_at: '2026-11-23T07:00:00Z',
    updated_at: '2026-11-23T07:30:00Z',
    cancelled_at: null,
    financial_status: 'paid',
    source_name: 'web',
    test: false,
    landing_site: '/?utm_source=google&utm_medium=cpc&utm_campaign=sale',
    checkout_token: 'c0ffee',
    note_attributes: [
      { name: '_ga', value: 'GA1.1.1234567890.1700000000' },
      { name: '_ga_X1', value: 'GS2.1.s1764250000$o3' },
    ],
    discount_codes: [{ code: 'SUMMER' }],
    total_price_set: pair('56.70', '37.80'),
    subtotal_price_set: pair('47.50', '31.60'),
    total_shipping_price_set: pair('5.00', '3.40'),
    total_tax_set: pair('4.20', '2.80'),
    total_discounts_set: pair('5.00', '3.40'),
    customer: { id: 706405506930370, email: 'ann@example.com', first_name: 'Ann', last_name: null, phone: null },
    line_items: [
      {
        id: 1,
        product_id: 632910392,
        variant_id: 39072856,
        sku: 'TEE-M',
        title: 'Tee',
        variant_title: 'M',
        vendor: 'Acme',
        quantity: 2,
        price_set: pair('20.00', '13.30'),
        discount_allocations: [{ amount: '5.00', amount_set: pair('5.00', '3.40') }],
      },
      { id: 2, product_id: 921728736, sku: null, title: 'Blue mug', quantity: 1, price_set: pair('12.50', '8.40') },
    ],
  };
}

function bodyOf(kind: Kind, id: number | string): Record<string, unknown> {
  switch (kind) {
    case 'refund':
      return {
        id,
        order_id: 450789469,
        created_at: '2026-11-23T08:00:00Z',
        refund_line_items: [
          {
            quantity: 1,
            subtotal: 17.5,
            subtotal_set: pair('17.50', '11.60'),
            total_tax_set: pair('1.40', '0.90'),
            line_item: { id: 1, product_id: 632910392, sku: 'TEE-M', title: 'Tee', price_set: pair('20.00', '13.30') },
          },
        ],
        transactions: [{ kind: 'refund', status: 'success', amount: '18.90', currency: 'CAD' }],
      };
    case 'checkout-started':
      return { ...orderBody(1), id: undefined, token: `t${id}`, presentment_currency: 'CAD' };
    case 'customer-created':
      return { id, email: 'ann@example.com', first_name: 'Ann', created_at: '2026-11-23T07:00:00Z' };
    case 'order-cancelled':
      return { ...orderBody(id), cancelled_at: '2026-11-23T09:00:00Z' };
    default:
      return orderBody(id);
  }
}

/** An event as delivery hands it over, read from a webhook's body. */
export function itemOf(kind: Kind, id: number | string = 450789469, over: Record<string, unknown> = {}): DeliveryItem {
  const reading = readWebhook(entryOf(TOPICS[kind], { ...bodyOf(kind, id), ...over }));
  const event = reading.outcome === 'event' ? reading.events.find((found) => found.kind === kind) : undefined;
  if (event === undefined) throw new Error(`no ${kind} in ${JSON.stringify(reading)}`);
  return itemWith(event);
}

export function itemWith(event: PipelineEvent): DeliveryItem {
  const { subjectId, kind, version } = event;
  return {
    shop: { id: '1', domain: SHOP, settings: {} },
    event,
    eventId: eventId({ shopDomain: SHOP, subjectId, kind, version }),
    attempt: 1,
    maybeSentBefore: false,
  };
}

export function destinationOf(
  kind: DestinationKind,
  own: Record<string, unknown>,
  over: Partial<Destination['settings']> = {},
): Destination {
  const settings: Destination['settings'] = {
    purchaseOn: 'paid',
    money: 'shop',
    testOrders: false,
    excludeChannels: [],
    consentAttribute: null,
    own,
    ...over,
  };
  return { id: 1, name: `acme-${kind}`, kind, world: 'real', enabled: true, settings };
}

/** As delivery hands an item on once it is formatted. */
export function toSend({ event, eventId }: DeliveryItem, formatted: SendItem['formatted']): SendItem {
  return { kind: event.kind, eventId, formatted };
}
