import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../clock.js';
import {
  connection,
  customerNode,
  orderNode,
  productNode,
  refundNode,
  subscriptionNode,
  topicEnum,
  topicOfEnum,
} from './admin-nodes.js';
import type { BulkOperations } from './bulk-operations.js';
import type { BulkSource } from './bulk-lines.js';
import type { StoreProfile } from './catalogue.js';
import {
  argsOf,
  fieldsOn,
  Projection,
  requestedCost,
  type Args,
  type Answer,
  type GraphNode,
  type Resolved,
} from './graphql-answer.js';
import { GraphqlError, parse, valueOf, type Document, type Operation } from './graphql.js';
import type { RefundBody } from './lifecycle.js';
import type { OrderRow } from './order-book.js';
import type { Till } from './orders.js';
import { OrderSearch, sortKey, type SearchedShop } from './order-search.js';
import type { Subscription, Subscriptions } from './subscriptions.js';

/** Stable versions answered as asked; any other is served by the oldest, and the answer's header says so. */
const SUPPORTED_VERSIONS = ['2026-01', '2026-04', '2026-07', '2026-10'] as const;
const BUCKET_POINTS = 2_000; // what real stores show: docs/shopify.md, "Admin API"
const RESTORE_PER_SECOND = 100;
const BODY_MAX_BYTES = 1_000_000;
const COUNT_LIMIT = 10_000;
const SCOPES = ['read_orders', 'read_customers', 'read_products'];
const ROUTE = /^\/shops\/(?<domain>[a-z0-9-]+\.myshopify\.com)\/admin\/api\/(?<version>[\w-]+)\/graphql\.json$/;

/** Subscribed to in the app's TOML only: the Admin API's enum does not have them (docs/shopify.md, "Compliance"). */
const COMPLIANCE_TOPICS = new Set(['CUSTOMERS_DATA_REQUEST', 'CUSTOMERS_REDACT', 'SHOP_REDACT']);

/**
 * `none`, or how the Admin API fails for everybody: a 503, a 402 of a frozen shop, every query throttled, or every
 * change of a subscription refused.
 */
export type AdminTrouble = 'none' | 'unavailable' | 'frozen' | 'throttled' | 'refusing-writes';

export interface AdminShop extends SearchedShop {
  /** The token of an app that was uninstalled is dead. */
  isInstalled: boolean;
  till: Till;
}

interface Bucket {
  available: number;
  atMs: number;
}

interface GraphqlAnswer {
  status: number;
  body: unknown;
}

/** The Admin GraphQL API of every store, told apart by a path prefix: `/shops/<domain>/admin/api/<version>/…`. */
export class AdminApi {
  trouble: AdminTrouble = 'none';
  queries = 0;
  private readonly buckets = new Map<string, Bucket>();
  private readonly search: OrderSearch;

  constructor(
    private readonly shops: ReadonlyMap<string, AdminShop>,
    private readonly subscriptions: Subscriptions,
    readonly bulk: BulkOperations,
    private readonly clock: Clock,
    private readonly apiVersion: string,
    /** Where paging ends: 25,000 objects at Shopify. */
    private readonly pagedMax: number,
  ) {
    this.search = new OrderSearch(clock);
  }

  /** @returns false when the path is none of the Admin API's */
  async serve(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const path = (request.url ?? '').split('?')[0] ?? '';
    if (!path.startsWith('/shops/')) return this.bulk.serve(request, response);
    const { domain, version } = ROUTE.exec(path)?.groups ?? {};
    const shop = this.shops.get(domain ?? '');
    if (shop === undefined || request.method !== 'POST') return send(response, 404, { errors: 'Not Found' });
    const asked = SUPPORTED_VERSIONS.find((known) => known === version) ?? SUPPORTED_VERSIONS[0];
    response.setHeader('X-Shopify-API-Version', asked);
    const failure = this.failure();
    if (failure !== null) return send(response, failure.status, failure.body);
    if (!shop.isInstalled || request.headers['x-shopify-access-token'] !== shop.store.accessToken) {
      const errors = '[API] Invalid API key or access token (unrecognized login or wrong password)';
      return send(response, 401, { errors });
    }
    const body = await readBody(request);
    if (body === null) return send(response, 413, { errors: 'Payload too large' });
    const answer = this.answer(shop, body, `http://${request.headers.host ?? ''}`);
    return send(response, answer.status, answer.body);
  }

  private failure(): GraphqlAnswer | null {
    if (this.trouble === 'unavailable') return { status: 503, body: { errors: 'Service Unavailable' } };
    if (this.trouble === 'frozen') return { status: 402, body: { errors: 'Unavailable Shop' } };
    return null;
  }

  private answer(shop: AdminShop, body: string, base: string): GraphqlAnswer {
    this.queries++;
    try {
      const { query, variables, operationName } = readRequest(body);
      const document = parse(query);
      const operation =
        document.operations.find(({ name }) => name === operationName) ??
        (operationName === null && document.operations.length === 1 ? document.operations[0] : undefined);
      if (operation === undefined) throw new GraphqlError('An operation name is required');
      return this.run(shop, document, operation, variables, base);
    } catch (error) {
      if (!(error instanceof GraphqlError)) throw error;
      return { status: 200, body: { errors: [{ message: error.message, extensions: error.extensions }] } };
    }
  }

  private run(
    shop: AdminShop,
    document: Document,
    operation: Operation,
    given: Readonly<Record<string, unknown>>,
    base: string,
  ): GraphqlAnswer {
    const defaults = Object.entries(operation.defaults).map(([name, value]) => [name, valueOf(value, {})]);
    const variables = { ...Object.fromEntries(defaults), ...given } as Record<string, unknown>;
    const requested = requestedCost(operation, document, variables);
    const bucket = this.bucket(shop.store.domain);
    const cost = (actual: number | null) => ({
      requestedQueryCost: requested,
      actualQueryCost: actual,
      throttleStatus: {
        maximumAvailable: BUCKET_POINTS,
        currentlyAvailable: Math.floor(bucket.available),
        restoreRate: RESTORE_PER_SECOND,
      },
    });
    if (requested > BUCKET_POINTS) {
      const message = `Query cost is ${requested}, which exceeds the single query max cost limit (${BUCKET_POINTS}).`;
      return {
        status: 200,
        body: { errors: [{ message, extensions: { code: 'MAX_COST_EXCEEDED', cost: requested } }] },
      };
    }
    if (this.trouble === 'throttled' || requested > bucket.available) {
      const extensions = { code: 'THROTTLED', documentation: 'https://shopify.dev/api/usage/rate-limits' };
      const errors = [{ message: 'Throttled', extensions }];
      return { status: 200, body: { errors, extensions: { cost: cost(null) } } };
    }
    const searches: Record<string, unknown>[] = [];
    const root = operation.type === 'query' ? this.queryRoot(shop, searches, base) : this.mutationRoot(shop, base);
    const projection = new Projection(document, variables);
    const data: Record<string, Answer> = {};
    // Fields of a mutation run one after the other, each seeing what the last one did.
    for (const field of fieldsOn(null, operation.selections, document)) {
      const resolver = root[field.name];
      if (field.name !== '__typename' && resolver === undefined) {
        throw new GraphqlError(`Field '${field.name}' doesn't exist on type '${root.__typename}'`, {
          code: 'undefinedField',
        });
      }
      const before = searches.length;
      const resolved = typeof resolver === 'function' ? resolver(argsOf(field, variables)) : (resolver ?? null);
      for (const search of searches.slice(before)) search.path = [field.key];
      const holder = { __typename: root.__typename, [field.name]: resolved };
      Object.assign(data, projection.of(holder, [field]));
    }
    const actual = Math.min(
      requested,
      Math.max(operation.type === 'mutation' ? 10 : 1, Math.ceil(projection.objects / 8)),
    );
    bucket.available -= actual;
    const extensions = { cost: cost(actual), ...(searches.length > 0 && { search: searches }) };
    return { status: 200, body: { data, extensions } };
  }

  /** The leaky bucket of one store, filled up to now. */
  private bucket(domain: string): Bucket {
    const nowMs = this.clock.now();
    const bucket = this.buckets.get(domain) ?? { available: BUCKET_POINTS, atMs: nowMs };
    const restored = (Math.max(0, nowMs - bucket.atMs) / 1000) * RESTORE_PER_SECOND;
    bucket.available = Math.min(BUCKET_POINTS, bucket.available + restored);
    bucket.atMs = nowMs;
    this.buckets.set(domain, bucket);
    return bucket;
  }

  private queryRoot(shop: AdminShop, searches: Record<string, unknown>[], base: string): GraphNode {
    const { store } = shop;
    return {
      __typename: 'QueryRoot',
      shop: {
        __typename: 'Shop',
        id: `gid://shopify/Shop/${store.shopId}`,
        name: store.name,
        myshopifyDomain: store.domain,
        currencyCode: store.currency,
        ianaTimezone: store.timeZone,
      },
      orders: (args) => {
        const rows = this.search.sorted(shop, args, searches);
        const nodeOf = (row: OrderRow) => requiredOrder(shop, row.id);
        return connection('Order', rows, args, nodeOf, (row) => row.id, sortKey(args.sortKey), this.pagedMax);
      },
      ordersCount: (args) => {
        const { length } = this.search.found(shop, args, searches);
        const limit = args.limit === null ? Infinity : typeof args.limit === 'number' ? args.limit : COUNT_LIMIT;
        return {
          __typename: 'Count',
          count: Math.min(length, limit),
          precision: length > limit ? 'AT_LEAST' : 'EXACT',
        };
      },
      order: ({ id }) => this.node(shop, id, 'Order'),
      refund: ({ id }) => this.node(shop, id, 'Refund'),
      customer: ({ id }) => this.node(shop, id, 'Customer'),
      node: ({ id }) => this.bulk.node(store.domain, id, base) ?? this.node(shop, id),
      nodes: ({ ids }) => (Array.isArray(ids) ? ids.map((id: unknown) => this.node(shop, id)) : []),
      ...this.bulk.queries(store.domain, base),
      currentAppInstallation: {
        __typename: 'AppInstallation',
        id: `gid://shopify/AppInstallation/${store.shopId}`,
        accessScopes: (shop.readAllOrders ? [...SCOPES, 'read_all_orders'] : SCOPES).map((handle): GraphNode => ({
          __typename: 'AccessScope',
          handle,
          description: handle,
        })),
      },
      webhookSubscriptions: (args) =>
        connection('WebhookSubscription', this.listed(store, args), args, this.asNode, ({ id }) => id),
      webhookSubscriptionsCount: (args) => ({
        __typename: 'Count',
        count: this.listed(store, args).length,
        precision: 'EXACT',
      }),
    };
  }

  private bulkSource(shop: AdminShop): BulkSource {
    return (name, args) => {
      if (name !== 'orders') throw new GraphqlError(`the sandbox lists no ${name} in bulk`);
      const nodeOf = (id: number) => (shop.book.get(id) === undefined ? null : requiredOrder(shop, id));
      return this.search.sorted(shop, args, []).map((row) => () => nodeOf(row.id));
    };
  }

  private node(shop: AdminShop, gid: unknown, only?: string): GraphNode | null {
    const found = node(shop, gid, only);
    const createdAt = found?.__typename === 'Order' ? found.createdAt : undefined;
    return typeof createdAt !== 'string' || this.search.isInReach(shop, Date.parse(createdAt)) ? found : null;
  }

  /** Shop-owned subscriptions only: Shopify does not show an app's TOML ones here. */
  private listed(store: StoreProfile, { topics, uri }: Args) {
    return this.subscriptions
      .of(store.domain)
      .filter(({ owner }) => owner === 'shop')
      .filter(({ topic }) => !Array.isArray(topics) || topics.includes(topicEnum(topic)))
      .filter((subscription) => typeof uri !== 'string' || subscription.uri === uri);
  }

  private readonly asNode = (subscription: Subscription): GraphNode => subscriptionNode(subscription, this.apiVersion);

  private mutationRoot(shop: AdminShop, base: string): GraphNode {
    const { store } = shop;
    const payload = (
      kind: string,
      rest: Readonly<Record<string, Resolved>>,
      faults: readonly (readonly [string, string])[],
    ): GraphNode => ({
      __typename: `WebhookSubscription${kind}Payload`,
      userErrors: faults.map(([field, message]) => ({
        __typename: 'UserError',
        field: ['webhookSubscription', field],
        message,
      })),
      ...rest,
    });
    const own = (id: unknown) => {
      const found = this.subscriptions.get(Number(String(id).split('/').at(-1)));
      return found?.domain === store.domain && found.owner === 'shop' ? found : undefined;
    };
    const noSubscription = { webhookSubscription: null };
    const noDeletion = { deletedWebhookSubscriptionId: null };
    const taken = [['callbackUrl', 'Address for this topic has already been taken']] as const;
    const absent = [['id', 'Webhook subscription does not exist']] as const;
    const refused = [['base', 'Webhook subscriptions cannot be changed at the moment']] as const;
    const isRefusing = this.trouble === 'refusing-writes';
    return {
      __typename: 'Mutation',
      ...this.bulk.mutations(store.domain, this.bulkSource(shop), base),
      webhookSubscriptionCreate: ({ topic, webhookSubscription }) => {
        const { uri, ...rest } = readSubscription(webhookSubscription);
        requireTopic(topic);
        if (isRefusing) return payload('Create', noSubscription, refused);
        if (uri === null) return payload('Create', noSubscription, [['callbackUrl', "Address can't be blank"]]);
        const { domain } = store;
        const wanted = { domain, topic: topicOfEnum(topic), uri, owner: 'shop', name: null, ...rest } as const;
        const made = this.subscriptions.add(wanted, this.clock.now());
        if (made === null) return payload('Create', noSubscription, taken);
        return payload('Create', { webhookSubscription: this.asNode(made) }, []);
      },
      webhookSubscriptionUpdate: ({ id, webhookSubscription }) => {
        const found = own(id);
        const { uri, ...rest } = readSubscription(webhookSubscription);
        if (isRefusing) return payload('Update', noSubscription, refused);
        if (found === undefined) return payload('Update', noSubscription, absent);
        const changed = { ...found, ...rest, uri: uri ?? found.uri, updatedAtMs: this.clock.now() };
        if (this.subscriptions.isTaken(changed)) return payload('Update', noSubscription, taken);
        Object.assign(found, changed);
        return payload('Update', { webhookSubscription: this.asNode(found) }, []);
      },
      webhookSubscriptionDelete: ({ id }) => {
        const found = own(id);
        if (isRefusing) return payload('Delete', noDeletion, refused);
        if (found === undefined) return payload('Delete', noDeletion, absent);
        this.subscriptions.remove(found.id, 'api', this.clock.now());
        return payload('Delete', { deletedWebhookSubscriptionId: String(id) }, []);
      },
    };
  }
}

function requiredOrder(shop: AdminShop, id: number): GraphNode {
  const order = shop.book.get(id);
  if (order === undefined) throw new GraphqlError('Internal error: an order vanished while it was read');
  return orderNode(order, shop.store, (customer) => shop.till.customer(customer));
}

function node(shop: AdminShop, gid: unknown, only?: string): GraphNode | null {
  const { type, id } = /^gid:\/\/shopify\/(?<type>\w+)\/(?<id>\d+)/.exec(String(gid))?.groups ?? {};
  if (type === undefined || (only !== undefined && type !== only))
    throw new GraphqlError(`Invalid global id '${String(gid)}'`);
  const number = Number(id);
  switch (type) {
    case 'Order': {
      return shop.book.get(number) === undefined ? null : requiredOrder(shop, number);
    }
    case 'Product':
      return productNode(number, shop.store);
    case 'Customer': {
      const customer = shop.till.customer(number);
      return customer === undefined ? null : customerNode(number, customer);
    }
    case 'Refund': {
      const order = shop.book.withRefund(number);
      const refund = (order?.refunds as RefundBody[] | undefined)?.find((one) => one.id === number);
      return order === undefined || refund === undefined ? null : refundNode(refund, order, shop.store);
    }
    default:
      return null;
  }
}

/** @throws GraphqlError as for any value that an enum does not have */
function requireTopic(topic: unknown): asserts topic is string {
  if (typeof topic === 'string' && /^[A-Z_]+$/.test(topic) && !COMPLIANCE_TOPICS.has(topic)) return;
  throw new GraphqlError(
    `Argument 'topic' on Field 'webhookSubscriptionCreate' has an invalid value (${String(topic)}). Expected type 'WebhookSubscriptionTopic!'.`,
  );
}

/** What was given; `uri` is `null` when it was not. */
function readSubscription(
  input: unknown,
): { uri: string | null } & Partial<Pick<Subscription, 'name' | 'format' | 'filter' | 'includeFields'>> {
  const fields: Record<string, unknown> = typeof input === 'object' && input !== null ? { ...input } : {};
  const { name, format, filter, includeFields } = fields;
  const uri = fields.uri ?? fields.callbackUrl;
  return {
    uri: typeof uri === 'string' && uri !== '' ? uri : null,
    ...(typeof name === 'string' && { name }),
    ...((format === 'JSON' || format === 'XML') && { format }),
    ...(typeof filter === 'string' && { filter: filter === '' ? null : filter }),
    ...(Array.isArray(includeFields) && { includeFields: includeFields.map(String) }),
  };
}

function readRequest(body: string) {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    throw new GraphqlError('the body is no JSON');
  }
  const fields: Record<string, unknown> = typeof parsed === 'object' && parsed !== null ? { ...parsed } : {};
  if (typeof fields.query !== 'string') throw new GraphqlError('No query string was present');
  const variables: Record<string, unknown> =
    typeof fields.variables === 'object' && fields.variables !== null ? { ...fields.variables } : {};
  return {
    query: fields.query,
    variables,
    operationName: typeof fields.operationName === 'string' ? fields.operationName : null,
  };
}

async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_MAX_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function send(response: ServerResponse, status: number, body: unknown): true {
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify(body));
  return true;
}
