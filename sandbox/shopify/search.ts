import { fromLocalTime, zonedTime } from '../clock.js';
import { GraphqlError } from './graphql.js';
import type { OrderRow } from './order-book.js';

type Comparison = 'range_gte' | 'range_gt' | 'range_lte' | 'range_lt' | 'match_all';

interface Term {
  field: string;
  comparison: Comparison;
  /** As the answer's `extensions.search` repeats it. */
  text: string;
  matches: (row: OrderRow) => boolean;
  isKnown: boolean;
}

export interface Search {
  matches: (row: OrderRow) => boolean;
  /** `extensions.search[]` without its path: the only way for a caller to see what Shopify understood. */
  extension: Record<string, unknown>;
}

const SIGNS: Record<string, Comparison> = {
  '>=': 'range_gte',
  '>': 'range_gt',
  '<=': 'range_lte',
  '<': 'range_lt',
  '': 'match_all',
};
const TERM = /\s*(?<field>\w+):(?<sign>>=|<=|>|<|)(?:'(?<quoted>[^']*)'|"(?<double>[^"]*)"|(?<bare>[^\s()'"]+))\s*/y;

/**
 * Shopify's search text: terms joined by AND or nothing. A time without zone is read in the shop's own; an unknown
 * field matches everything and is only warned of (docs/shopify.md). OR, NOT and brackets are refused here.
 */
export function parseSearch(query: string, timeZone: string): Search {
  const terms: Term[] = [];
  let at = 0;
  while (at < query.trimEnd().length) {
    TERM.lastIndex = at;
    const match = TERM.exec(query);
    const { field, sign, quoted, double, bare } = match?.groups ?? {};
    if (field === undefined) throw new GraphqlError(`the sandbox cannot search for: ${query.slice(at)}`);
    terms.push(term(field, SIGNS[sign ?? ''] ?? 'match_all', quoted ?? double ?? bare ?? '', timeZone));
    at = TERM.lastIndex;
    const and = /^AND\b/.exec(query.slice(at));
    if (and !== null) at += and[0].length;
  }
  const parsed = terms
    .filter(({ isKnown }) => isKnown)
    .map(({ field, comparison, text }) => ({ field, [comparison]: text }));
  const warnings = terms
    .filter(({ isKnown }) => !isKnown)
    .map(({ field }) => ({ field, message: 'Invalid search field for this query.', code: 'invalid_field' }));
  return {
    matches: (row) => terms.every((one) => one.matches(row)),
    extension: {
      query,
      parsed: parsed.length === 1 ? parsed[0] : { and: parsed },
      ...(warnings.length > 0 && { warnings }),
    },
  };
}

function term(field: string, comparison: Comparison, text: string, timeZone: string): Term {
  const known = (matches: (row: OrderRow) => boolean, shown = text): Term => {
    return { field, comparison, text: shown, matches, isKnown: true };
  };
  switch (field) {
    case 'created_at':
    case 'processed_at':
      return time((row) => row.createdAtMs);
    case 'updated_at':
      return time((row) => row.updatedAtMs);
    case 'id':
      return known((row) => compare(row.id, comparison, Number(text)));
    case 'name':
      return known((row) => row.name === text || row.name === `#${text}`);
    case 'test':
      return known((row) => String(row.test) === text);
    case 'status':
      return known((row) => text === 'any' || (text === 'cancelled' ? row.isCancelled : !row.isCancelled));
    case 'financial_status':
      return known((row) => text === 'any' || row.financialStatus === text.toLowerCase());
    case 'source_name':
      return known((row) => row.sourceName === text);
    default:
      return { field, comparison, text, matches: () => true, isKnown: false };
  }

  function time(of: (row: OrderRow) => number): Term {
    const hasZone = /(?:Z|[+-]\d\d:?\d\d)$/.test(text);
    const local = text.includes('T') ? text : `${text}T00:00:00`;
    const atMs = hasZone ? Date.parse(text) : fromLocalTime(local, timeZone);
    if (Number.isNaN(atMs)) throw new GraphqlError(`the sandbox cannot read the time ${text}`);
    return known((row) => compare(of(row), comparison, atMs), hasZone ? text : zonedTime(atMs, timeZone));
  }
}

function compare(value: number, comparison: Comparison, bound: number): boolean {
  switch (comparison) {
    case 'range_gte':
      return value >= bound;
    case 'range_gt':
      return value > bound;
    case 'range_lte':
      return value <= bound;
    case 'range_lt':
      return value < bound;
    case 'match_all':
      return value === bound;
  }
}
