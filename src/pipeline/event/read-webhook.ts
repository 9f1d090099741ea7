import type { InboxEntry, PipelineEvent, Reading } from '../contract.js';
import { messageOf } from '../../kernel/errors.js';
import { WebhookBody, jsonText } from './body.js';
import { DEFAULT_BROWSER_ID_NAMES, type BrowserIdNames } from './browser-ids.js';
import { readCheckout } from './checkout.js';
import { readCustomer } from './customer.js';
import { WrongType, hasKey, instantAt, isFields, ownId, type Fields } from './fields.js';
import { instantOfMs, parseInstant, type Instant } from './instant.js';
import { WANTED_OF_ORDER, readOrder } from './order.js';
import { NoId, type ReadContext } from './read-context.js';
import { readRefund } from './refund.js';
import { noEffectReason } from './topics.js';
import { WantedPlan, readWanted, type WantedPart } from './wanted-json.js';

interface Reader {
  read: (body: Fields, context: ReadContext) => PipelineEvent[];
  /** What `read` looks at; `null` = not written down, so everything is read. */
  wanted: WantedPlan | null;
}

const ORDER: Reader = { read: readOrder, wanted: new WantedPlan(WANTED_OF_ORDER) };

/** The topics that have an effect at a destination (docs/destinations/), each with its reader. */
const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['orders/create', ORDER],
  ['orders/paid', ORDER],
  ['orders/updated', ORDER],
  ['orders/cancelled', ORDER],
  ['refunds/create', { read: readRefund, wanted: null }],
  ['checkouts/create', { read: readCheckout, wanted: null }],
  ['customers/create', { read: readCustomer, wanted: null }],
]);

/** Bodies that were asked for, and say what is so now. */
const FETCHED: ReadonlySet<InboxEntry['source']> = new Set(['fetch', 'reconciliation']);

export const TOPICS_WITH_EFFECT: readonly string[] = [...READERS.keys()];

/**
 * Reads a webhook's bytes once, for every destination. Pure of the entry, and never throws: what cannot be read is
 * a reading too. Only what a destination needs can fail; everything else is taken as it comes, nulls included.
 *
 * Reasons of `unmappable`: `not-json`, `not-an-object`, `no-id`, `wrong-type:<path>` and `unreadable`.
 */
export function readWebhook(entry: InboxEntry, browserIdNames: BrowserIdNames = DEFAULT_BROWSER_ID_NAMES): Reading {
  const topic = entry.topic.trim().toLowerCase();
  const reader = READERS.get(topic);
  if (reader === undefined) {
    const reason = noEffectReason(topic);
    return reason === null ? { outcome: 'unknown-topic' } : { outcome: 'no-effect', reason };
  }

  const body = (reader.wanted && readWanted(entry.body, reader.wanted)) ?? parseBody(entry.body);
  if (!('fields' in body)) return body;
  try {
    const id = body.hasOthers ? null : loneId(body.fields);
    if (id !== null) return { outcome: 'fetch', id };
    const triggeredAt = parseInstant(entry.triggeredAt) ?? instantOfMs(entry.receivedAtMs);
    const events = reader.read(body.fields, {
      topic,
      shopDomain: entry.shopDomain.toLowerCase(),
      triggeredAt,
      dueAt: FETCHED.has(entry.source) ? (changedAt(body.fields) ?? triggeredAt) : triggeredAt,
      browserIdNames,
      body: new WebhookBody(entry.body),
    });
    return { outcome: 'event', events };
  } catch (error) {
    const id = idIfAny(body.fields);
    if (error instanceof WrongType) {
      return { outcome: 'unmappable', reason: `wrong-type:${error.path}`, detail: error.message, id };
    }
    if (error instanceof NoId) return { outcome: 'unmappable', reason: 'no-id', detail: error.message, id };
    // A body nobody foresaw must become a dead letter with its payload, never stop the webhooks behind it.
    return { outcome: 'unmappable', reason: 'unreadable', detail: messageOf(error), id };
  }
}

/** A refund never changes, so it has no `updated_at`. */
function changedAt(body: Fields): Instant | null {
  return instantAt(body, 'updated_at') ?? instantAt(body, 'created_at');
}

function parseBody(bytes: Buffer): WantedPart | Extract<Reading, { outcome: 'unmappable' }> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(jsonText(bytes));
  } catch (error) {
    return {
      outcome: 'unmappable',
      reason: 'not-json',
      detail: `${bytes.length} bytes: ${withoutQuote(error)}`,
      id: null,
    };
  }
  if (!isFields(parsed)) {
    return { outcome: 'unmappable', reason: 'not-an-object', detail: 'the body is JSON but no object', id: null };
  }
  return { fields: parsed, hasOthers: false };
}

function idIfAny(body: Fields): string | null {
  try {
    return ownId(body);
  } catch {
    return null; // an id of a type it cannot have is what makes it unmappable
  }
}

/** V8 quotes the text around the fault; a body can hold personal data, so only the kind of fault is kept. */
function withoutQuote(error: unknown): string {
  return (messageOf(error).split(/[,"'`]|\.\.\./, 1)[0] ?? '').trim();
}

/** `{"id": …}` alone is what Shopify sends instead of a body over the transport's limit (docs/shopify.md, "Size"). */
function loneId(body: Fields): string | null {
  for (const key in body) {
    if (key !== 'id' && key !== 'admin_graphql_api_id' && hasKey(body, key)) return null;
  }
  return ownId(body);
}
