import { z } from 'zod';
import type { ReadBackItem } from '../contract.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const BACKDATE_MS = 72 * 60 * 60 * 1000;

/** Token buckets of a property. A request takes the same number out of each. */
const TOKEN_BUCKETS = ['tokensPerDay', 'tokensPerHour', 'tokensPerProjectPerHour'] as const;

export interface Report {
  /** Purchases by transaction id, of this page. */
  purchases: ReadonlyMap<string, number>;
  /** Rows of this page, and of all pages. */
  rows: number;
  rowCount: number;
  /** Why rows may be lacking, for people; `null` = what is not there is absent. */
  withheld: string | null;
  /** The least that is left in any token bucket; `null` = not said. */
  tokensLeft: number | null;
}

/**
 * Dates that hold the purchases wherever the property's time zone is: no zone is further than a day from UTC.
 *
 * A purchase lies at the day it happened, or at the day 72 hours before it arrived where it came later than that. An
 * earlier try may have been the one that counted, so all days between are asked for. `today` is today in the property's
 * own zone; a date in its future is never named.
 *
 * Source: docs/destinations/ga4.md (`sending-events#past_events`; DateRange of the Data API)
 */
export function reportRange(
  items: readonly Pick<ReadBackItem, 'occurredAt' | 'acceptedAt'>[],
  nowMs: number,
): { startDate: string; endDate: string } {
  const firstMs = Math.min(...items.map(({ occurredAt }) => occurredAt.getTime()));
  const lastMs = Math.max(
    ...items.map(({ occurredAt, acceptedAt }) => Math.max(occurredAt.getTime(), acceptedAt.getTime() - BACKDATE_MS)),
  );
  const endDate = utcDay(lastMs + DAY_MS);
  return { startDate: utcDay(firstMs - DAY_MS), endDate: endDate >= utcDay(nowMs) ? 'today' : endDate };
}

function utcDay(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}

/** Purchases of these transactions: the body of `runReport`. */
export function reportRequest(
  transactionIds: readonly string[],
  range: { startDate: string; endDate: string },
  page: { limit: number; offset: number },
): string {
  return JSON.stringify({
    dateRanges: [range],
    dimensions: [{ name: 'transactionId' }],
    metrics: [{ name: 'ecommercePurchases' }],
    dimensionFilter: {
      andGroup: {
        expressions: [
          { filter: { fieldName: 'eventName', stringFilter: { matchType: 'EXACT', value: 'purchase' } } },
          { filter: { fieldName: 'transactionId', inListFilter: { values: transactionIds } } },
        ],
      },
    },
    limit: String(page.limit),
    offset: String(page.offset),
    returnPropertyQuota: true,
  });
}

const NAMED = z.array(z.object({ name: z.string() }));
const VALUES = z.array(z.object({ value: z.string().default('') }));
const QUOTA = z.object({ remaining: z.number().optional() }).optional();

const ANSWER = z.object({
  // Its only proof of being a report: what is empty is left out, so that `{}` would pass for "nothing was sold".
  kind: z.literal('analyticsData#runReport'),
  dimensionHeaders: NAMED.default([]),
  metricHeaders: NAMED.default([]),
  rows: z.array(z.object({ dimensionValues: VALUES, metricValues: VALUES })).default([]),
  rowCount: z.number().int().default(0),
  metadata: z
    .object({
      dataLossFromOtherRow: z.boolean().optional(),
      subjectToThresholding: z.boolean().optional(),
      samplingMetadatas: z.array(z.unknown()).optional(),
    })
    .default({}),
  propertyQuota: z.object(Object.fromEntries(TOKEN_BUCKETS.map((name) => [name, QUOTA]))).optional(),
});

/**
 * Reads a page of the report.
 *
 * `(not set)` and `(other)` are no transactions of ours: no order id looks like them, so they count for nobody.
 *
 * @returns `null` when it is no such report
 */
export function readReport(body: string): Report | null {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return null;
  }
  const parsed = ANSWER.safeParse(json);
  if (!parsed.success) return null;
  const { dimensionHeaders, metricHeaders, rows, rowCount, metadata, propertyQuota } = parsed.data;
  const idAt = dimensionHeaders.findIndex(({ name }) => name === 'transactionId');
  const purchasesAt = metricHeaders.findIndex(({ name }) => name === 'ecommercePurchases');
  if (rows.length > 0 && (idAt < 0 || purchasesAt < 0)) return null;

  const purchases = new Map<string, number>();
  for (const { dimensionValues, metricValues } of rows) {
    const id = dimensionValues[idAt]?.value;
    const count = Number(metricValues[purchasesAt]?.value);
    if (id === undefined || !Number.isFinite(count)) return null;
    purchases.set(id, (purchases.get(id) ?? 0) + count);
  }
  const left = Object.values(propertyQuota ?? {}).flatMap((quota) => quota?.remaining ?? []);
  return {
    purchases,
    rows: rows.length,
    rowCount: Math.max(rowCount, rows.length),
    withheld: withheldBy(metadata),
    tokensLeft: left.length === 0 ? null : Math.min(...left),
  };
}

function withheldBy(metadata: z.infer<typeof ANSWER>['metadata']): string | null {
  if (metadata.dataLossFromOtherRow === true) return 'GA4 folded transactions into its row "(other)"';
  if (metadata.subjectToThresholding === true) return 'GA4 withholds rows below its privacy threshold';
  if ((metadata.samplingMetadatas ?? []).length > 0) return 'GA4 answered from a sample';
  return null;
}
