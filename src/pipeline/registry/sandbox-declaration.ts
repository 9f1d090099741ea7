import type { Declared } from './declared.js';

/** What the sandbox says of itself: its stores, and the addresses of its destinations. */
export interface PretendedWorld {
  stores: readonly { domain: string; adminUrl: string; accessToken: string }[];
  destinations: { ga4: string; segment: string; webhook: { url: string; secret: string } };
}

/** The pretended world as a configuration file would declare it. */
export function declareSandbox(world: PretendedWorld, warehouse: { url: string; table: string }): Declared {
  const names = ['sandbox-ga4', 'sandbox-segment', 'sandbox-warehouse', 'sandbox-webhook'];
  const common = {
    enabled: true,
    purchaseOn: 'paid' as const,
    money: 'shop' as const,
    testOrders: false,
    excludeChannels: [],
    consentAttribute: null,
  };
  return {
    shops: world.stores.map((store) => ({
      domain: store.domain,
      adminUrl: store.adminUrl,
      accessToken: store.accessToken,
      subscriptions: 'shop',
      destinations: names,
      settings: {},
    })),
    destinations: [
      {
        ...common,
        name: 'sandbox-ga4',
        kind: 'ga4',
        measurementId: 'G-SANDBOX',
        apiSecret: 'pretended',
        endpoint: world.destinations.ga4,
      },
      {
        ...common,
        name: 'sandbox-segment',
        kind: 'segment',
        writeKey: 'pretended',
        endpoint: world.destinations.segment,
      },
      { ...common, name: 'sandbox-warehouse', kind: 'postgres', ...warehouse },
      {
        ...common,
        name: 'sandbox-webhook',
        kind: 'webhook',
        url: world.destinations.webhook.url,
        secret: world.destinations.webhook.secret,
      },
    ],
  };
}
