import type { EventBody, EventCustomer, Kind, PipelineEvent } from '../contract.js';
import { browserIds, type BrowserIdNames } from './browser-ids.js';
import { campaignOf } from './campaign.js';
import { instantText, utcDay, type Instant } from './instant.js';

/** What is known around the bytes and is the same for every event read from them. */
export interface ReadContext {
  topic: string;
  /** lower case */
  shopDomain: string;
  /** When Shopify triggered the webhook, else when it arrived: stands in for times the body leaves out. */
  triggeredAt: Instant;
  /** See `PipelineEvent.dueAt`. */
  dueAt: Instant;
  browserIdNames: BrowserIdNames;
  /** As events carry it. */
  body: EventBody;
}

/** The body does not say what it is about. */
export class NoId extends Error {}

/** The first day of the ledger: where subjects without a `created_at` are kept. */
const NO_DAY = '1970-01-01';

interface Known extends Pick<PipelineEvent, 'subjectId' | 'orderId' | 'attributes'> {
  kind: Kind;
  createdAt: Instant | null;
  occurredAt: Instant | null;
  /** What a client id of our own is derived from, within the shop. */
  browserIdentity: string;
  customer: EventCustomer | null;
  landingSite?: string | null;
}

/** An event of which only the frame is known; each reader fills in what its body has. */
export function blankEvent(context: ReadContext, known: Known): PipelineEvent {
  const landingSite = known.landingSite ?? null;
  return {
    kind: known.kind,
    topic: context.topic,
    subjectId: known.subjectId,
    orderId: known.orderId,
    orderName: null,
    version: '0',
    ledgerDay: known.createdAt === null ? NO_DAY : utcDay(known.createdAt),
    occurredAt: instantText(known.occurredAt ?? context.triggeredAt),
    createdAt: known.createdAt === null ? null : instantText(known.createdAt),
    dueAt: instantText(context.dueAt),
    payment: 'none',
    cancelled: false,
    test: false,
    channel: null,
    total: null,
    subtotal: null,
    shipping: null,
    tax: null,
    discount: null,
    coupons: [],
    lines: [],
    customer: known.customer,
    browser: browserIds(known.attributes, `${context.shopDomain}\n${known.browserIdentity}`, context.browserIdNames),
    campaign: campaignOf(landingSite),
    landingSite,
    attributes: known.attributes,
    checkoutToken: null,
    isFullRefund: false,
    hasRefunds: false,
    body: context.body,
  };
}

/** A customer's client id is the same on all of their orders; a guest's is the same on all webhooks of one order. */
export function identityOf(customer: EventCustomer | null, subject: string): string {
  return customer?.id ? `customer:${customer.id}` : subject;
}
