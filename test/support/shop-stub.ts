import type { Shop } from '../../src/pipeline/contract.js';

/** A shop as the registry has it. */
export function shopStub(over: Partial<Shop> = {}): Shop {
  return {
    id: '1',
    domain: 'acme.myshopify.com',
    key: 'acme-key',
    world: 'real',
    adminUrl: null,
    accessToken: 'shpat_test',
    settings: {},
    destinationIds: [],
    links: [],
    subscriptions: 'shop',
    connectedAt: new Date(0),
    uninstalledAt: null,
    ...over,
  };
}
