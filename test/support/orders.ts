let lastId = 6_200_000_000_000;

/** A fresh Shopify id, in the size real ones have today. */
export function nextId(): string {
  lastId += 1 + (lastId % 7);
  return String(lastId);
}

export interface OrderParts {
  id?: string;
  createdAt?: string;
  updatedAt?: string;
  total?: string;
  status?: string;
  test?: boolean;
  source?: string;
  lines?: number;
  note?: string;
  extra?: Record<string, unknown>;
}

/** An order body as a webhook carries it, written as text so that ids keep every digit. */
export function orderBody(parts: OrderParts = {}): string {
  const id = parts.id ?? nextId();
  const createdAt = parts.createdAt ?? '2026-11-23T09:59:58Z';
  const total = parts.total ?? '24.00';
  const money = (amount: string): unknown => ({
    shop_money: { amount, currency_code: 'EUR' },
    presentment_money: { amount, currency_code: 'EUR' },
  });
  const body = {
    id: '@id@',
    admin_graphql_api_id: `gid://shopify/Order/${id}`,
    name: `#${id.slice(-4)}`,
    created_at: createdAt,
    updated_at: parts.updatedAt ?? createdAt,
    processed_at: createdAt,
    cancelled_at: null,
    test: parts.test ?? false,
    financial_status: parts.status ?? 'paid',
    source_name: parts.source ?? 'web',
    currency: 'EUR',
    presentment_currency: 'EUR',
    total_price: total,
    total_price_set: money(total),
    subtotal_price: total,
    subtotal_price_set: money(total),
    total_tax: '0.00',
    total_tax_set: money('0.00'),
    total_discounts: '0.00',
    total_discounts_set: money('0.00'),
    total_shipping_price_set: money('0.00'),
    note: parts.note ?? null,
    note_attributes: [],
    discount_codes: [],
    landing_site: '/?utm_source=news&utm_medium=email',
    customer: null,
    refunds: [],
    line_items: Array.from({ length: parts.lines ?? 1 }, (_, i) => ({
      id: 14_000_000_000_000 + i,
      product_id: 8_000_000_000_000 + i,
      variant_id: 44_000_000_000_000 + i,
      sku: `SKU-${i}`,
      title: `Coffee ${i}`,
      name: `Coffee ${i}`,
      quantity: 1,
      vendor: 'Harbour',
      price: total,
      price_set: money(total),
      total_discount: '0.00',
      total_discount_set: money('0.00'),
    })),
    ...parts.extra,
  };
  return JSON.stringify(body).replace('"@id@"', id);
}

export function refundBody(orderId: string, id = nextId(), amount = '10.00'): string {
  return JSON.stringify({
    id: Number(id),
    admin_graphql_api_id: `gid://shopify/Refund/${id}`,
    order_id: '@order@',
    created_at: '2026-11-23T10:05:00Z',
    processed_at: '2026-11-23T10:05:00Z',
    note: null,
    refund_line_items: [],
    transactions: [{ id: 1, kind: 'refund', status: 'success', amount, currency: 'EUR', test: false }],
  }).replace('"@order@"', orderId);
}
