import { LISTED_ORDER_FIELDS } from './listed-order.js';

/** Since 2026-01 newest first. More of one app than this cannot begin between a crash and the next step. */
const LOOKED_AT = 20;
/** Shopify keeps a result for seven days; an hour less, so that it is not lost while it is read. */
const KEPT_MS = 7 * 86_400_000 - 3_600_000;

/** Asks whether an operation of ours is there already, and whether the search means what it should. */
export const LOOK = `query PlumblineBulkLook($search: String!) {
  orders(first: 1, query: $search, sortKey: UPDATED_AT) { nodes { id } }
  bulkOperations(first: ${LOOKED_AT}) { nodes { id query } } }`;

export const RUN = `mutation PlumblineBulkRun($query: String!) {
  bulkOperationRunQuery(query: $query, groupObjects: false) {
    bulkOperation { id status } userErrors { code message } } }`;

export const POLL = `query PlumblineBulkPoll($id: ID!) { node(id: $id) { ... on BulkOperation {
  id status errorCode completedAt objectCount rootObjectCount url } } }`;

/**
 * The query that runs in bulk. `refunds` is a plain list inside the order, so there is one connection and no nesting.
 *
 * @param mark a comment by which the operation is found again, whoever began it
 */
export function bulkQuery(search: string, mark: string): string {
  const orders = `orders(query: ${JSON.stringify(search)}, sortKey: UPDATED_AT)`;
  return `# plumbline ${mark}\n{ ${orders} { edges { node { ${LISTED_ORDER_FIELDS} } } } }`;
}

/** @returns the id of the operation that carries the mark; `null` = there is none */
export function markedIn(data: Readonly<Record<string, unknown>>, mark: string): string | null {
  const nodes = record(data['bulkOperations'])?.['nodes'];
  const found = Array.isArray(nodes)
    ? (nodes as unknown[]).map(record).find((node) => textOf(node?.['query'])?.includes(mark))
    : undefined;
  return textOf(found?.['id']) ?? null;
}

export type Begun =
  | { outcome: 'begun'; operationId: string }
  /** As many run as may run at a time. */
  | { outcome: 'full' }
  | { outcome: 'refused'; detail: string };

/** What the answer to RUN says. Pure. */
export function begunOf(data: Readonly<Record<string, unknown>>): Begun {
  const payload = record(data['bulkOperationRunQuery']);
  const errors = payload?.['userErrors'];
  const first = record(Array.isArray(errors) ? errors[0] : undefined);
  const message = textOf(first?.['message']) ?? '';
  if (first !== null) {
    const code = first['code'];
    const isFull = code === 'OPERATION_IN_PROGRESS' || code === 'LIMIT_REACHED' || /already in progress/i.test(message);
    return isFull ? { outcome: 'full' } : { outcome: 'refused', detail: message || 'no reason given' };
  }
  const operationId = textOf(record(payload?.['bulkOperation'])?.['id']);
  return operationId === undefined
    ? { outcome: 'refused', detail: 'no operation came back' }
    : { outcome: 'begun', operationId };
}

export type Standing =
  | { standing: 'running'; objects: number }
  /** @prop orders how many the file must hold; `null` = not told */
  | { standing: 'ready'; url: string; orders: number | null }
  /** Complete, and there was nothing to list. */
  | { standing: 'empty' }
  /** The app lacks a scope: it will fail again. */
  | { standing: 'denied' }
  /** Ended without a whole result: another must begin. */
  | { standing: 'lost'; why: string };

/**
 * Where an operation stands. A result that is not whole counts for nothing: what is in `partialDataUrl` would pass for
 * all of the window.
 *
 * @param data the answer to POLL
 * Source: docs/shopify.md, "Bulk operations"
 */
export function standingOf(data: Readonly<Record<string, unknown>>, nowMs: number): Standing {
  const node = record(data['node']);
  if (node === null) return { standing: 'lost', why: 'Shopify does not know it any more' };
  const status = textOf(node['status']) ?? 'UNKNOWN';
  const objects = countOf(node['objectCount']) ?? 0;
  switch (status) {
    case 'CREATED':
    case 'RUNNING':
    case 'CANCELING':
      return { standing: 'running', objects };
    case 'COMPLETED': {
      const url = textOf(node['url']);
      const completedMs = Date.parse(textOf(node['completedAt']) ?? '');
      if (nowMs - completedMs >= KEPT_MS) return { standing: 'lost', why: 'its result is a week old' };
      if (url !== undefined) return { standing: 'ready', url, orders: countOf(node['rootObjectCount']) };
      return objects === 0 ? { standing: 'empty' } : { standing: 'lost', why: 'its result has no address' };
    }
    case 'FAILED':
      if (node['errorCode'] === 'ACCESS_DENIED') return { standing: 'denied' };
      return { standing: 'lost', why: `it failed: ${textOf(node['errorCode']) ?? 'no reason given'}` };
    default:
      return { standing: 'lost', why: `it is ${status.toLowerCase()}` };
  }
}

/** UnsignedInt64 comes as text. */
function countOf(value: unknown): number | null {
  const count = typeof value === 'string' || typeof value === 'number' ? Number(value) : NaN;
  return Number.isInteger(count) && count >= 0 ? count : null;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function record(value: unknown): Record<string, unknown> | null {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}
