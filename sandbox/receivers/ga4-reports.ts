import { Ga4Quota } from './ga4-quota.js';
import { asList, asRecord, jsonReply, keepLatest, parseJson, type Received, type Reply } from './receiver.js';

const REPORTED_MAX = 200_000; // purchases a property remembers; some 30 MB
const DAY_MS = 24 * 60 * 60 * 1_000;
const ROWS_USUAL = 10_000;
const TOKENS_USUAL = 5;

const NOT_SET = '(not set)';
const OTHER = '(other)';

interface Purchase {
  transactionId: string;
  /** `YYYYMMDD` in the property's zone of when it happened, after GA4 moved what was too old. */
  date: string;
  visibleAtMs: number;
  value: number;
}
type Row = Record<'date' | 'transactionId' | 'eventName', string>;
type Metric = 'ecommercePurchases' | 'purchaseRevenue';
const METRICS: Record<Metric, string> = { ecommercePurchases: 'TYPE_INTEGER', purchaseRevenue: 'TYPE_CURRENCY' };

class Invalid extends Error {}

/**
 * What a GA4 property shows of its purchases, over the Data API's `runReport`: after a delay, each transaction id once,
 * by the day of the property's time zone, and for as long as the quota lasts. What it cannot compute it refuses.
 */
export class Ga4Reports {
  propertyId = '123456789';
  readonly timeZone = 'America/New_York';
  /** Most rows of one answer, whatever is asked for. */
  rowsMax = 250_000;
  /** How long a purchase is processed before a report shows it; between these, drawn for each. */
  processing = { leastMs: 0, mostMs: 0 };
  /** Transaction ids that a report folds into "(other)", as it does with too many different ones. */
  readonly folded = new Set<string>();
  /** Flags of the answer's `metadata` besides: thresholding, sampling. */
  metadata: Record<string, unknown> = {};
  readonly quota: Ga4Quota;
  private readonly purchases = new Map<string, Purchase>();
  private readonly days = new Intl.DateTimeFormat('en-CA', { timeZone: this.timeZone });
  private unnamed = 0;

  constructor(
    private readonly now: () => number,
    private readonly chance: () => number,
  ) {
    this.quota = new Ga4Quota(now);
  }

  /** Each transaction id counts once; what has none counts each time, under "(not set)". */
  keep(transactionId: string, atMs: number, value: number): void {
    const { leastMs, mostMs } = this.processing;
    const visibleAtMs = this.now() + leastMs + this.chance() * (mostMs - leastMs);
    const purchase = { transactionId: transactionId || NOT_SET, date: this.dateOf(atMs), visibleAtMs, value };
    const key = transactionId || `${NOT_SET} ${this.unnamed++}`;
    if (!this.purchases.has(key)) keepLatest(this.purchases, key, purchase, REPORTED_MAX);
  }

  /** As if it had never come: accepted, and lost in the processing. */
  lose(transactionId: string): void {
    this.purchases.delete(transactionId);
  }

  /** Purchases that a report would show now. */
  get shown(): number {
    return this.visible().length;
  }

  answer(request: Received, underWay: number): Reply {
    const property = /^\/v1beta\/properties\/(\d+):runReport$/.exec(request.path)?.[1];
    if (property === undefined) return failure(404, 'NOT_FOUND', 'Method not found.');
    if (property !== this.propertyId) {
      return failure(403, 'PERMISSION_DENIED', 'User does not have sufficient permissions for this property.');
    }
    try {
      return this.report(asRecord(parseJson(request.body)), underWay);
    } catch (error) {
      if (error instanceof Invalid) return failure(400, 'INVALID_ARGUMENT', error.message);
      throw error;
    }
  }

  private report(asked: Record<string, unknown>, underWay: number): Reply {
    const dimensions = names(asked['dimensions'], ['date', 'transactionId', 'eventName'] as const);
    const metrics = names(asked['metrics'], Object.keys(METRICS) as Metric[]); // METRICS is a literal
    const range = this.rangeOf(asked['dateRanges']);
    const matches = filterOf(asked['dimensionFilter']);
    const limit = whole(asked['limit'], ROWS_USUAL);
    const offset = whole(asked['offset'], 0);
    if (limit < 1) throw new Invalid('limit must be positive');

    const refusal = this.quota.take(TOKENS_USUAL, underWay);
    if (refusal !== null) return failure(429, 'RESOURCE_EXHAUSTED', refusal);

    const lines = new Map<string, { row: Row; values: Record<Metric, number> }>();
    for (const purchase of this.visible()) {
      const row = this.rowOf(purchase);
      if (row.date < range.start || row.date > range.end || !matches(row)) continue;
      const key = JSON.stringify(dimensions.map((name) => row[name]));
      const line = lines.get(key) ?? { row, values: { ecommercePurchases: 0, purchaseRevenue: 0 } };
      line.values.ecommercePurchases += 1;
      line.values.purchaseRevenue += purchase.value;
      lines.set(key, line);
    }
    const all = [...lines.values()];
    const page = all.slice(offset, offset + Math.min(limit, this.rowsMax));
    const isQuotaAsked = asked['returnPropertyQuota'] === true;
    return jsonReply(200, {
      dimensionHeaders: dimensions.map((name) => ({ name })),
      metricHeaders: metrics.map((name) => ({ name, type: METRICS[name] })),
      // Like all of Google's JSON: what is empty or zero is left out.
      ...(page.length > 0 && {
        rows: page.map(({ row, values }) => ({
          dimensionValues: dimensions.map((name) => ({ value: row[name] })),
          metricValues: metrics.map((name) => ({ value: String(values[name]) })),
        })),
      }),
      ...(all.length > 0 && { rowCount: all.length }),
      metadata: {
        currencyCode: 'USD',
        timeZone: this.timeZone,
        ...(this.folded.size > 0 && { dataLossFromOtherRow: true }),
        ...this.metadata,
      },
      ...(isQuotaAsked && { propertyQuota: this.quota.state(TOKENS_USUAL, underWay) }),
      kind: 'analyticsData#runReport',
    });
  }

  private visible(): Purchase[] {
    const nowMs = this.now();
    return [...this.purchases.values()].filter(({ visibleAtMs }) => visibleAtMs <= nowMs);
  }

  private rowOf({ transactionId, date }: Purchase): Row {
    const shown = this.folded.has(transactionId) ? OTHER : transactionId;
    return { date, transactionId: shown, eventName: 'purchase' };
  }

  private rangeOf(ranges: unknown): { start: string; end: string } {
    const [first, ...more] = asList(ranges).map(asRecord);
    if (first === undefined || more.length > 0) throw new Invalid('exactly one date range is supported here');
    const date = (value: unknown): string => {
      const text = typeof value === 'string' ? value : '';
      if (text === 'today') return this.dateOf(this.now());
      if (text === 'yesterday') return this.dateOf(this.now() - DAY_MS);
      if (!/^\d{4}-\d\d-\d\d$/.test(text)) throw new Invalid(`Invalid date: ${text}`);
      return text.replaceAll('-', '');
    };
    const range = { start: date(first['startDate']), end: date(first['endDate']) };
    if (range.start > range.end) throw new Invalid('startDate cannot be after endDate');
    return range;
  }

  private dateOf(atMs: number): string {
    return this.days.format(atMs).replaceAll('-', '');
  }
}

function names<Name extends string>(given: unknown, known: readonly Name[]): Name[] {
  return asList(given).map((entry) => {
    const { name } = asRecord(entry);
    const found = known.find((one) => one === name);
    if (found === undefined) throw new Invalid(`Field ${String(name)} is not supported here.`);
    return found;
  });
}

/** int64 comes as text. */
function whole(value: unknown, usual: number): number {
  if (value === undefined) return usual;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0) throw new Invalid('limit and offset must be whole numbers');
  return number;
}

type Matches = (row: Row) => boolean;

function filterOf(expression: unknown): Matches {
  if (expression === undefined) return () => true;
  const { filter, andGroup, orGroup, notExpression, ...rest } = asRecord(expression);
  if (Object.keys(rest).length > 0)
    throw new Invalid(`Unknown name "${Object.keys(rest)[0] ?? ''}" in dimensionFilter`);
  if (andGroup !== undefined) {
    const parts = asList(asRecord(andGroup)['expressions']).map(filterOf);
    return (row) => parts.every((matches) => matches(row));
  }
  if (orGroup !== undefined) {
    const parts = asList(asRecord(orGroup)['expressions']).map(filterOf);
    return (row) => parts.some((matches) => matches(row));
  }
  if (notExpression !== undefined) {
    const matches = filterOf(notExpression);
    return (row) => !matches(row);
  }
  const { fieldName, stringFilter, inListFilter } = asRecord(filter);
  const [field] = names([{ name: fieldName }], ['date', 'transactionId', 'eventName'] as const);
  if (field === undefined) throw new Invalid('A filter needs a fieldName');
  if (inListFilter !== undefined) {
    const values = new Set(asList(asRecord(inListFilter)['values']).map(String));
    if (values.size === 0) throw new Invalid('InListFilter values must be non-empty');
    return (row) => values.has(row[field]);
  }
  const { matchType, value } = asRecord(stringFilter);
  if (matchType !== 'EXACT') throw new Invalid(`matchType ${String(matchType)} is not supported here`);
  return (row) => row[field] === value;
}

function failure(code: number, status: string, message: string): Reply {
  return jsonReply(code, { error: { code, message, status } });
}
