import { z } from 'zod';
import type { AdminAnswer, Shop, ShopifyAdmin } from '../../pipeline/contract.js';
import type { Action, ListedSubscription } from './plan.js';
import { topicEnum } from './topics.js';

/** Shopify did not let us look, or act. Nothing follows from it. */
export interface NoAnswer {
  outcome: 'no-answer';
  why: 'denied' | 'unavailable' | 'throttled' | 'refused';
  detail: string;
  retryAfterMs: number | null;
}

export type Listing = { outcome: 'listed'; items: ListedSubscription[] } | NoAnswer;

/** `refused`: userErrors, as Shopify words them. */
export type Changed = { outcome: 'done'; id: string } | { outcome: 'refused'; detail: string } | NoAnswer;

// Without `name` and `updatedAt`: nothing here is decided by them, and 2026-01 does not have the former.
const LIST = `query Subscriptions($after: String) {
  webhookSubscriptions(first: 100, after: $after) {
    nodes { id topic uri filter format includeFields apiVersion { handle } createdAt }
    pageInfo { hasNextPage endCursor }
  }
}`;
const CREATE = `mutation CreateSubscription($topic: WebhookSubscriptionTopic!, $subscription: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $subscription) {
    webhookSubscription { id }
    userErrors { field message }
  }
}`;
const MOVE = `mutation MoveSubscription($id: ID!, $subscription: WebhookSubscriptionInput!) {
  webhookSubscriptionUpdate(id: $id, webhookSubscription: $subscription) {
    webhookSubscription { id }
    userErrors { field message }
  }
}`;
const DELETE = `mutation DeleteSubscription($id: ID!) {
  webhookSubscriptionDelete(id: $id) {
    deletedWebhookSubscriptionId
    userErrors { field message }
  }
}`;

/** 5,000 subscriptions of one app in one shop: far more than there are topics. A listing cut short proves nothing. */
const PAGES_MAX = 50;
const DETAIL_MAX = 300;

const pageSchema = z.object({
  webhookSubscriptions: z.object({
    nodes: z.array(
      z.object({
        id: z.string(),
        topic: z.string(),
        uri: z.string(),
        filter: z.string().nullable(),
        format: z.string(),
        includeFields: z.array(z.string()).nullable(),
        apiVersion: z.object({ handle: z.string() }),
        createdAt: z.iso.datetime({ offset: true }),
      }),
    ),
    pageInfo: z.object({ hasNextPage: z.boolean(), endCursor: z.string().nullable() }),
  }),
});

const userErrors = z.array(z.object({ field: z.array(z.string()).nullable(), message: z.string() }));
const changeSchema = z.object({ webhookSubscription: z.object({ id: z.string() }).nullable(), userErrors });
const answerSchemas = {
  create: z.object({ webhookSubscriptionCreate: changeSchema }),
  move: z.object({ webhookSubscriptionUpdate: changeSchema }),
  delete: z.object({
    webhookSubscriptionDelete: z.object({ deletedWebhookSubscriptionId: z.string().nullable(), userErrors }),
  }),
};

/**
 * A shop's webhook subscriptions through the Admin API: those that this app made there for this shop. Those of the
 * app's TOML file and those made by hand in the shop's admin are not listed.
 * Source: shopify.dev/docs/api/admin-graphql/latest/queries/webhookSubscriptions (read 2026-11)
 */
export class ShopifySubscriptions {
  constructor(private readonly admin: ShopifyAdmin) {}

  /** All of them, or no answer: a part of the list is none. */
  async list(shop: Shop, signal?: AbortSignal): Promise<Listing> {
    const items: ListedSubscription[] = [];
    let after: string | null = null;
    for (let page = 0; page < PAGES_MAX; page++) {
      const answer: AdminAnswer = await this.ask(shop, LIST, { after }, signal);
      if (answer.outcome !== 'data') return noAnswer(answer);
      const parsed = pageSchema.safeParse(answer.data);
      if (!parsed.success) return strange();
      const { nodes, pageInfo } = parsed.data.webhookSubscriptions;
      for (const { apiVersion, createdAt, includeFields, ...node } of nodes) {
        items.push({
          ...node,
          includeFields: includeFields ?? [],
          apiVersion: apiVersion.handle,
          createdAt: new Date(createdAt),
        });
      }
      if (!pageInfo.hasNextPage) return { outcome: 'listed', items };
      after = pageInfo.endCursor;
    }
    return { outcome: 'no-answer', why: 'refused', detail: `more than ${PAGES_MAX} pages`, retryAfterMs: null };
  }

  async carryOut(shop: Shop, topic: string, action: Action, signal?: AbortSignal): Promise<Changed> {
    switch (action.act) {
      case 'create': {
        const variables = { topic: topicEnum(topic), subscription: { uri: action.uri, format: 'JSON' } };
        const answer = await this.ask(shop, CREATE, variables, signal);
        return changed(answer, answerSchemas.create, ({ webhookSubscriptionCreate: made }) => ({
          id: made.webhookSubscription?.id,
          errors: made.userErrors,
        }));
      }
      case 'move': {
        const variables = { id: action.id, subscription: { uri: action.uri, format: 'JSON' } };
        const answer = await this.ask(shop, MOVE, variables, signal);
        return changed(answer, answerSchemas.move, ({ webhookSubscriptionUpdate: made }) => ({
          id: made.webhookSubscription?.id,
          errors: made.userErrors,
        }));
      }
      case 'delete': {
        const answer = await this.ask(shop, DELETE, { id: action.id }, signal);
        return changed(answer, answerSchemas.delete, ({ webhookSubscriptionDelete: gone }) => ({
          id: gone.deletedWebhookSubscriptionId ?? undefined,
          errors: gone.userErrors,
        }));
      }
    }
  }

  /** @throws the reason why the caller gave up: that Shopify did not answer then says nothing about Shopify */
  private async ask(
    shop: Shop,
    query: string,
    variables: Record<string, unknown>,
    signal: AbortSignal | undefined,
  ): Promise<AdminAnswer> {
    const answer = await this.admin.query(shop, query, variables, signal);
    if (answer.outcome !== 'data') signal?.throwIfAborted();
    return answer;
  }
}

function changed<Schema extends z.ZodType>(
  answer: AdminAnswer,
  schema: Schema,
  read: (data: z.output<Schema>) => { id: string | undefined; errors: z.output<typeof userErrors> },
): Changed {
  if (answer.outcome !== 'data') return noAnswer(answer);
  const parsed = schema.safeParse(answer.data);
  if (!parsed.success) return strange();
  const { id, errors } = read(parsed.data);
  if (errors.length > 0) {
    const quoted = errors.map(({ field, message }) => (field === null ? message : `${field.join('.')}: ${message}`));
    return { outcome: 'refused', detail: quoted.join('; ').slice(0, DETAIL_MAX) };
  }
  return id === undefined ? strange() : { outcome: 'done', id };
}

function noAnswer(answer: Exclude<AdminAnswer, { outcome: 'data' }>): NoAnswer {
  if (answer.outcome === 'throttled') {
    return {
      outcome: 'no-answer',
      why: 'throttled',
      detail: 'Shopify throttles the queries of the app in this shop',
      retryAfterMs: answer.retryAfterMs,
    };
  }
  const detail = answer.detail === 'HTTP 402' ? 'HTTP 402: the shop is frozen or paused' : answer.detail;
  return { outcome: 'no-answer', why: answer.outcome, detail: detail.slice(0, DETAIL_MAX), retryAfterMs: null };
}

function strange(): NoAnswer {
  return {
    outcome: 'no-answer',
    why: 'refused',
    detail: 'the answer is not what Shopify documents',
    retryAfterMs: null,
  };
}
