import type { Destination, PipelineEvent } from '../../src/pipeline/contract.js';
import { WebhookBody } from '../../src/pipeline/event/body.js';
import type { Obligation } from '../../src/pipeline/router/plan.js';

/** A paid web order's purchase; override what the test is about. */
export function purchaseEvent(overrides: Partial<PipelineEvent> = {}): PipelineEvent {
  const amount = { shop: { amount: '10.00', currency: 'EUR' }, presentment: { amount: '10.00', currency: 'EUR' } };
  return {
    kind: 'purchase',
    topic: 'orders/paid',
    subjectId: '6123456789001',
    orderId: '6123456789001',
    orderName: '#1001',
    version: '0',
    ledgerDay: '2026-11-23',
    occurredAt: '2026-11-23T10:00:00.000Z',
    createdAt: '2026-11-23T10:00:00.000Z',
    dueAt: '2026-11-23T10:00:00.500Z',
    payment: 'paid',
    cancelled: false,
    test: false,
    channel: 'web',
    total: amount,
    subtotal: amount,
    shipping: null,
    tax: null,
    discount: null,
    coupons: [],
    lines: [],
    customer: null,
    browser: { clientId: '1.2', sessionId: null, synthetic: true },
    campaign: {},
    landingSite: null,
    attributes: {},
    checkoutToken: null,
    isFullRefund: false,
    hasRefunds: false,
    body: new WebhookBody(Buffer.from('{}')),
    ...overrides,
  };
}

export function destination(overrides: Partial<Destination> = {}): Destination {
  return {
    id: 1,
    name: 'acme-hook',
    kind: 'webhook',
    world: 'real',
    enabled: true,
    settings: {
      purchaseOn: 'paid',
      money: 'shop',
      testOrders: false,
      excludeChannels: [],
      consentAttribute: null,
      own: {},
    },
    ...overrides,
  };
}

export function obligation(overrides: Partial<Obligation> = {}): Obligation {
  return {
    shopId: '1',
    destinationId: 1,
    event: purchaseEvent(),
    plan: { state: 'queued', reason: null },
    webhookId: 'w-1',
    loggedAtMs: Date.parse('2026-11-23T10:00:01Z'),
    seenAtMs: Date.parse('2026-11-23T10:00:01Z'),
    pointer: { segmentDay: '2026-11-23', streamId: 1, segmentSeq: '1', entry: 0 },
    ...overrides,
  };
}
