import type { Finding } from '../../src/monitoring/contract.js';
import { shopOf } from './alert-world.js';

export const removed = (shop: number, topic = 'orders/paid'): Finding => ({
  kind: 'subscription-removed',
  subject: `${shopOf(shop)}/${topic}`,
  shopId: String(shop),
  facts: { topic },
  evidence: '/api/v1/subscriptions',
});

export const silent = (shop: number): Finding => ({
  kind: 'store-silent',
  subject: shopOf(shop),
  shopId: String(shop),
  facts: { expectedAtLeast: 5 },
  evidence: '/api/v1/silence',
});

export const refusing = (destination: number): Finding => ({
  kind: 'destination-refusing',
  subject: `destination-${destination}`,
  destinationId: destination,
  facts: { trouble: 'answered 503' },
  evidence: '/api/v1/destinations',
});

export const missing = (shop: number, destination: number, orders = 2, givenUp = 0): Finding => ({
  kind: 'order-missing',
  subject: `${shopOf(shop)}/destination-${destination}`,
  shopId: String(shop),
  destinationId: destination,
  facts: { orders, givenUp, oldestSoldAt: '2026-11-27T11:00:00.000Z' },
  evidence: '/api/v1/gaps',
});

export const failing = (shop: number, failuresInRow: number, topic = 'orders/paid'): Finding => ({
  kind: 'subscription-countdown',
  subject: `${shopOf(shop)}/${topic}`,
  shopId: String(shop),
  facts: { topic, failuresInRow, of: 8, left: 8 - failuresInRow },
  evidence: '/api/v1/subscriptions',
});

export const notice = (shop: number): Finding => ({
  kind: 'notice-unclassified',
  subject: shopOf(shop),
  shopId: String(shop),
  facts: { notices: 3, sinceAt: '2026-11-27T11:00:00.000Z', hasRemoval: false },
  evidence: '/api/v1/notices',
});

export const fleetSilent = (): Finding => ({
  kind: 'store-silent',
  subject: 'fleet',
  facts: { nothingArrives: true },
  evidence: '/api/v1/silence',
});
