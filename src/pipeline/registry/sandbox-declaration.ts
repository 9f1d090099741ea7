import type { Declared } from './declared.js';

/** What the sandbox says of itself: its stores, and the addresses of its destinations. */
export interface PretendedWorld {
  stores: readonly { domain: string; adminUrl: string; accessToken: string }[];
  destinations: {
    ga4: { url: string; propertyId: string; serviceAccount: string; settlingHours: number };
    segment: { url: string; publicToken: string; sourceId: string; settlingMinutes: number };
    webhook: { url: string; secret: string };
  };
}

/** The pretended world as a configuration file would declare it. */
export function declareSandbox(world: PretendedWorld, warehouse: { url: string; table: string }): Declared {
  const names = ['sandbox-ga4', 'sandbox-segment', 'sandbox-warehouse', 'sandbox-webhook'];
  const { ga4, segment, webhook } = world.destinations;
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
        endpoint: ga4.url,
        propertyId: ga4.propertyId,
        serviceAccount: ga4.serviceAccount,
        dataEndpoint: ga4.url,
        settlingHours: ga4.settlingHours,
      },
      {
        ...common,
        name: 'sandbox-segment',
        kind: 'segment',
        writeKey: 'pretended',
        endpoint: segment.url,
        publicToken: segment.publicToken,
        sourceId: segment.sourceId,
        publicEndpoint: segment.url,
        settlingMinutes: segment.settlingMinutes,
      },
      { ...common, name: 'sandbox-warehouse', kind: 'postgres', ...warehouse },
      {
        ...common,
        name: 'sandbox-webhook',
        kind: 'webhook',
        url: webhook.url,
        secret: webhook.secret,
      },
    ],
  };
}
